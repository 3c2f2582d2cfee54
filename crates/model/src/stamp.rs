//! What the broker writes on a message as it hands it out: a number that is not the
//! sender's. Each front puts it where its protocol's users look for it.

use crate::{Properties, Table, Value};

/// A number on delivered messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// None.
    #[default]
    None,
    /// So often it was handed out before and came back.
    Attempts(u32),
    /// The first item's place in its stream; the next one's is `step` higher.
    Offset(u64),
}

impl Stamp {
    /// The stamp of the item `n` items behind the first, `step` apart.
    pub fn of(self, n: u32, step: u32) -> Stamp {
        match self {
            Stamp::Offset(first) => Stamp::Offset(first + u64::from(n) * u64::from(step)),
            other => other,
        }
    }

    /// Its number.
    pub fn number(self) -> Option<i64> {
        match self {
            Stamp::None => None,
            Stamp::Attempts(n) => Some(n.into()),
            Stamp::Offset(n) => Some(i64::try_from(n).unwrap_or(i64::MAX)),
        }
    }
}

/// Appends to `out` the property list `head` with the header `name` set to a number, in
/// place of one of that name. A list that cannot be read is copied as it is.
pub fn put_header(head: &[u8], name: &str, number: i64, out: &mut Vec<u8>) {
    let [high, low, rest @ ..] = head else { return out.extend_from_slice(head) };
    let flags = u16::from_be_bytes([*high, *low]);
    // Mostly the table is absent or says nothing of that name: then nothing is decoded.
    let known = rest.windows(name.len()).any(|w| w == name.as_bytes());
    if let Some(at) = table_at(flags, rest).filter(|_| !known) {
        let (before, table) = rest.split_at(at);
        let (old, behind) = if flags & HEADERS == 0 {
            (&[][..], table)
        } else {
            let Some((length, tail)) = table.split_first_chunk::<4>() else {
                return out.extend_from_slice(head);
            };
            let Some(split) = tail.split_at_checked(u32::from_be_bytes(*length) as usize) else {
                return out.extend_from_slice(head);
            };
            split
        };
        let size = (old.len() + 1 + name.len() + 9) as u32;
        out.extend_from_slice(&(flags | HEADERS).to_be_bytes());
        out.extend_from_slice(before);
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(old);
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(b'l');
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(behind);
        return;
    }
    let Ok(mut properties) = Properties::decode(head) else {
        return out.extend_from_slice(head);
    };
    properties.headers.get_or_insert_with(Table::default).set(name, Value::I64(number));
    properties.encode(out);
}

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;

/// Where the header table stands, or would.
fn table_at(flags: u16, rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    for bit in [CONTENT_TYPE, CONTENT_ENCODING] {
        if flags & bit != 0 {
            at += 1 + usize::from(*rest.get(at)?);
        }
    }
    (at <= rest.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn stamped(p: &Properties) -> Properties {
        let (mut head, mut out) = (Vec::new(), Vec::new());
        p.encode(&mut head);
        put_header(&head, "x-n", 7, &mut out);
        Properties::decode(&out).unwrap()
    }

    #[test]
    fn a_stamp_stands_beside_whatever_else_there_is() {
        let text = |t: &'static str| Some(Bytes::from_static(t.as_bytes()));
        let bare = Properties::default();
        let full = Properties {
            content_type: text("text/plain"),
            content_encoding: text("gzip"),
            headers: Some(Table(vec![("a".into(), Value::Bool(true))])),
            delivery_mode: Some(2),
            app_id: text("me"),
            ..Properties::default()
        };
        let before = Properties {
            headers: Some(Table(vec![("x-n".into(), Value::I32(3))])),
            ..full.clone()
        };
        for p in [bare, full, before] {
            let mut expected = p.clone();
            expected.headers.get_or_insert_with(Table::default).set("x-n", Value::I64(7));
            assert_eq!(stamped(&p), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for head in [&b""[..], b"\x20", b"\x20\0\0\0\0\x09x", b"\x80\0\x09x", b"\x80\0"] {
            let mut out = Vec::new();
            put_header(head, "x-n", 7, &mut out);
            assert_eq!(out, head);
        }
    }
}
