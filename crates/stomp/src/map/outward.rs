//! From the neutral property list to the headers of a MESSAGE, in RabbitMQ's order.

use super::REPLY_TOPIC;
use crate::destination::{REPLY_PREFIXES, put_topic};
use crate::encode::header;
use crate::header::{Escapes, put_number};
use lockgate_model::{Properties, Value};

/// Headers that a message may not bring: they are said by us.
pub(super) const OURS: [&str; 7] = [
    "subscription",
    "destination",
    "message-id",
    "redelivered",
    "ack",
    "content-length",
    "receipt",
];

/// Appends the header lines that a property list stands for. One that cannot be read says
/// nothing.
pub(crate) fn put_headers(head: &[u8], escapes: Escapes, out: &mut Vec<u8>) {
    if let [0, 0] | [0x10, 0, 0..=1] = head {
        return;
    }
    let Ok(all) = Properties::decode(head) else { return };
    let mut scratch = Vec::new();
    let mut answer = None;
    for (name, value) in all.headers.iter().flat_map(|table| &table.0) {
        if **name == *REPLY_TOPIC {
            answer = value.as_str();
        }
        if !OURS.contains(&&**name) && put_value(value, &mut scratch) {
            header(out, name.as_bytes(), &scratch, escapes);
        }
    }
    let mut put = |name: &str, value: &[u8]| header(out, name.as_bytes(), value, escapes);
    let mut text = |name: &str, value: &Option<bytes::Bytes>| {
        if let Some(value) = value {
            put(name, value);
        }
    };
    text("app-id", &all.app_id);
    text("user-id", &all.user_id);
    text("type", &all.kind);
    if let Some(n) = all.timestamp {
        put("timestamp", n.to_string().as_bytes());
    }
    let mut text = |name: &str, value: &Option<bytes::Bytes>| {
        if let Some(value) = value {
            put(name, value);
        }
    };
    text("amqp-message-id", &all.message_id);
    text("expiration", &all.expiration);
    if let Some(to) = reply_to(all.reply_to.as_deref(), answer) {
        put("reply-to", &to);
    }
    if let Some(id) = &all.correlation_id {
        put("correlation-id", id);
    }
    if let Some(n) = all.priority {
        put("priority", n.to_string().as_bytes());
    }
    if all.delivery_mode == Some(2) {
        put("persistent", b"true");
    }
    if let Some(encoding) = &all.content_encoding {
        put("content-encoding", encoding);
    }
    if let Some(kind) = &all.content_type {
        put("content-type", kind);
    }
}

/// Where to answer: names of queues become destinations, and so do keys of topics.
fn reply_to(name: Option<&[u8]>, topic: Option<&str>) -> Option<Vec<u8>> {
    match (name, topic) {
        (Some(to), _) if REPLY_PREFIXES.iter().any(|p| to.starts_with(p.as_bytes())) => {
            Some(to.to_vec())
        }
        (Some(name), _) => Some([b"/reply-queue/", name].concat()),
        (None, Some(key)) => {
            let mut to = Vec::new();
            put_topic(key.as_bytes(), &mut to);
            Some(to)
        }
        (None, None) => None,
    }
}

/// A value as text; false if it cannot be one.
pub(super) fn put_value(value: &Value, out: &mut Vec<u8>) -> bool {
    out.clear();
    match value {
        Value::Text(text) => out.extend_from_slice(text),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Timestamp(n) => put_number(*n, out),
        other => match other.as_int() {
            Some(n) => out.extend_from_slice(n.to_string().as_bytes()),
            None => return false,
        },
    }
    true
}
