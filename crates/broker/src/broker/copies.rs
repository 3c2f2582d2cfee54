//! Copies: the headers `CC` and `BCC` name further routing keys; `BCC` is not shown to anybody.

use lockgate_model::{Glance, Parts, Properties, Refusal, Run, RunBuilder, Table, Value};

/// Further routing keys of one message.
#[derive(Debug)]
pub struct Copies {
    /// All of them, the blind ones too.
    pub keys: Vec<Vec<u8>>,
    /// The message without its blind copies, if it has any.
    pub stripped: Option<Run>,
}

/// Whether a property list may name copies. Most have no headers at all, and of those that
/// do a look at the bytes sorts out nearly all.
#[inline]
pub fn suspected(head: &[u8]) -> bool {
    const HEADERS: u8 = 0x20;
    head.len() > 3
        && head[0] & HEADERS != 0
        && head.windows(3).any(|w| w == b"\x02CC" || w == b"BCC")
}

/// The copies that item `i` asks for.
pub fn copies(run: &Run, i: usize) -> Result<Copies, Refusal> {
    let item = &run.items[i];
    let headers = Glance::of(run.head(item)).ok().and_then(|g| g.headers);
    let headers = headers.and_then(|t| Table::decode(t).ok()).unwrap_or_default();
    let mut keys = keys(&headers, "CC")?;
    keys.extend(self::keys(&headers, "BCC")?);
    let blind = headers.get("BCC").is_some();
    Ok(Copies { keys, stripped: blind.then(|| strip(run, i, headers)).flatten() })
}

fn keys(headers: &Table, name: &str) -> Result<Vec<Vec<u8>>, Refusal> {
    match headers.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items
            .iter()
            .filter_map(|v| if let Value::Text(key) = v { Some(key.to_vec()) } else { None })
            .collect()),
        Some(other) => Err(Refusal::Limit(format!(
            "invalid message: {{unacceptable_type_in_header,\"{name}\",{}}}",
            super::arguments::kind(other)
        ))),
    }
}

/// The message alone, without the header that names its blind copies.
fn strip(run: &Run, i: usize, mut headers: Table) -> Option<Run> {
    let item = &run.items[i];
    headers.0.retain(|(name, _)| &**name != "BCC");
    let mut properties = Properties::decode(run.head(item)).ok()?;
    properties.headers = Some(headers);
    let mut head = Vec::new();
    properties.encode(&mut head);
    let mut alone = RunBuilder::default();
    alone.push_like(*item, run.names(item), Parts { head: &head, ..run.parts(item) });
    Some(alone.finish())
}
