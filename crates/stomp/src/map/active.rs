//! ActiveMQ's headers and the neutral property list, both ways. Expiry and timestamps are
//! moments in milliseconds there; a body without a length is a text.

use super::inward::{no_number, not_a_header};
use super::{REPLY_TOPIC, Sent};
use crate::destination::active::TEMP_TOPIC;
use crate::encode::header;
use crate::error::Fault;
use crate::header::{Escapes, number};
use crate::packet::{Frame, truth};
use crate::selector;
use bytes::Bytes;
use lockgate_model::limits::NAME_BYTES_MAX;
use lockgate_model::{Name, Properties, Table, Time, Value};

/// `text` or `bytes`: which of JMS's messages it is.
const KIND: &str = "amq-msg-type";
/// When it expires, as its sender said it.
const EXPIRES: &str = "expires";
/// The priority of what names none.
const PRIORITY: u8 = 4;

/// Where an answer is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplyTo {
    Queue(Name),
    Topic(String),
}

/// Appends the property list of a SEND to `out`.
pub(crate) fn head(
    frame: &Frame<'_>,
    now: Time,
    reply_to: Option<ReplyTo>,
    out: &mut Vec<u8>,
) -> Result<Sent, Fault> {
    let mut p = Properties { timestamp: Some(now.secs()), ..Properties::default() };
    let mut table = Table::default();
    let mut persistent = false;
    for (name, value) in frame.iter() {
        let bytes = || Bytes::copy_from_slice(value);
        match name {
            b"destination" | b"receipt" | b"transaction" | b"content-length" | b"message-id"
            | b"redelivered" | b"subscription" | b"JMSXUserID" | b"transformation"
            | b"reply-to" => {}
            b"content-type" => p.content_type = Some(bytes()),
            b"correlation-id" => p.correlation_id = Some(bytes()),
            b"type" => p.kind = Some(bytes()),
            b"persistent" => persistent = truth(value).unwrap_or(false),
            b"priority" => {
                let priority = number(value).ok_or_else(|| no_number("priority", value))?;
                p.priority = Some(priority.min(9) as u8);
            }
            b"timestamp" => {
                let millis = number(value).ok_or_else(|| no_number("timestamp", value))?;
                p.timestamp = Some(millis / 1_000);
            }
            b"expires" => {
                let at = number(value).ok_or_else(|| no_number(EXPIRES, value))?;
                if at > 0 {
                    let left = at.saturating_sub(now.millis());
                    p.expiration = Some(left.to_string().into());
                    table.set(EXPIRES, Value::I64(i64::try_from(at).unwrap_or(i64::MAX)));
                }
            }
            other => {
                let name = std::str::from_utf8(other).map_err(|_| not_a_header(other))?;
                if name.len() > NAME_BYTES_MAX {
                    return Err(not_a_header(other));
                }
                table.set(name, Value::Text(bytes()));
            }
        }
    }
    for text in [&p.content_type, &p.correlation_id, &p.kind] {
        if text.as_ref().is_some_and(|t| t.len() > NAME_BYTES_MAX) {
            let text = format!("a value is longer than {NAME_BYTES_MAX} bytes.\n");
            return Err(Fault::new("Invalid header", text));
        }
    }
    if frame.get("content-length").is_none() && table.get(KIND).is_none() {
        table.set(KIND, Value::text("text"));
    }
    match reply_to {
        Some(ReplyTo::Queue(name)) => p.reply_to = Some(name.as_bytes().to_vec().into()),
        Some(ReplyTo::Topic(key)) => table.set(REPLY_TOPIC, Value::text(&key)),
        None => {}
    }
    p.delivery_mode = persistent.then_some(2);
    p.headers = (!table.is_empty()).then_some(table);
    p.encode(out);
    Ok(Sent { persistent, priority: p.priority.unwrap_or_default() })
}

/// Appends the header lines of a MESSAGE. True if it is a text, whose length is not said.
pub(crate) fn put_headers(head: &[u8], escapes: Escapes, out: &mut Vec<u8>) -> bool {
    let p = Properties::decode(head).unwrap_or_default();
    let mut put = |name: &str, value: &[u8]| header(out, name.as_bytes(), value, escapes);
    put(EXPIRES, expires(&p).to_string().as_bytes());
    put("priority", p.priority.unwrap_or(PRIORITY).to_string().as_bytes());
    put("timestamp", millis(&p).to_string().as_bytes());
    if p.delivery_mode == Some(2) {
        put("persistent", b"true");
    }
    for (name, value) in [
        ("correlation-id", &p.correlation_id),
        ("type", &p.kind),
        ("content-type", &p.content_type),
        ("content-encoding", &p.content_encoding),
        ("amqp-message-id", &p.message_id),
    ] {
        if let Some(value) = value {
            put(name, value);
        }
    }
    let (mut kind, mut answer, mut scratch) = (None, None, Vec::new());
    for (name, value) in p.headers.iter().flat_map(|table| &table.0) {
        match &**name {
            KIND => kind = value.as_str(),
            REPLY_TOPIC => answer = value.as_str(),
            EXPIRES => {}
            name if super::outward::OURS.contains(&name) => {}
            name if super::outward::put_value(value, &mut scratch) => put(name, &scratch),
            _ => {}
        }
    }
    if let Some(to) = reply_to(p.reply_to.as_deref(), answer) {
        put("reply-to", &to);
    }
    match kind {
        Some(kind) => kind == "text",
        None => p.content_type.is_some_and(|kind| kind.starts_with(b"text/")),
    }
}

fn millis(p: &Properties) -> u64 {
    p.timestamp.unwrap_or_default().saturating_mul(1_000)
}

/// When a message expires; 0 for never.
fn expires(p: &Properties) -> u64 {
    let said = p.headers.as_ref().and_then(|table| table.get(EXPIRES)).and_then(Value::as_int);
    let left = p.expiration.as_deref().and_then(number);
    match (said, left, p.timestamp) {
        (Some(at), ..) => u64::try_from(at).unwrap_or_default(),
        (None, Some(left), Some(_)) => millis(p).saturating_add(left),
        _ => 0,
    }
}

fn reply_to(name: Option<&[u8]>, topic: Option<&str>) -> Option<Vec<u8>> {
    let before: &[u8] = match (name, topic) {
        (Some(name), _) if name.starts_with(b"/") => b"",
        (Some(name), _) if name.starts_with(b"amq.gen-") => b"/remote-temp-queue/",
        (Some(_), _) => b"/queue/",
        (None, Some(key)) if key.starts_with(TEMP_TOPIC) => b"/remote-temp-topic/",
        (None, Some(_)) => b"/topic/",
        (None, None) => return None,
    };
    Some([before, name.or(topic.map(str::as_bytes)).unwrap_or_default()].concat())
}

/// Is a message selected? Its properties have the names that JMS gives them.
pub(crate) fn selects(selector: &selector::Selector, head: &[u8]) -> bool {
    let p = Properties::decode(head).unwrap_or_default();
    let find = |name: &str| match name {
        "JMSCorrelationID" => value_text(&p.correlation_id),
        "JMSType" => value_text(&p.kind),
        "JMSMessageID" => value_text(&p.message_id),
        "JMSPriority" => Some(selector::Value::Int(p.priority.unwrap_or(PRIORITY).into())),
        "JMSTimestamp" => Some(selector::Value::Int(millis(&p) as i64)),
        "JMSExpiration" => Some(selector::Value::Int(expires(&p) as i64)),
        "JMSDeliveryMode" => Some(selector::Value::Text(match p.delivery_mode {
            Some(2) => "PERSISTENT",
            _ => "NON_PERSISTENT",
        })),
        other => p.headers.as_ref()?.get(other).and_then(value),
    };
    selector.selects(&find)
}

fn value_text(bytes: &Option<Bytes>) -> Option<selector::Value<'_>> {
    let text = std::str::from_utf8(bytes.as_deref()?).ok()?;
    Some(selector::Value::Text(text))
}

fn value(of: &Value) -> Option<selector::Value<'_>> {
    Some(match of {
        Value::Text(_) => selector::Value::Text(of.as_str()?),
        Value::Bool(truth) => selector::Value::Bool(*truth),
        Value::F32(n) => selector::Value::Float((*n).into()),
        Value::F64(n) => selector::Value::Float(*n),
        other => selector::Value::Int(other.as_int()?),
    })
}
