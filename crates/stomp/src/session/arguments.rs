//! What headers say of queues and of who reads them, as arguments; and the names of queues
//! that subscriptions find again.

use super::connect::letters;
use crate::error::{Fault, shown};
use crate::header::number;
use crate::map;
use crate::packet::Frame;
use lockgate_model::{Name, QueueSpec, Table, Value};
use md5::{Digest, Md5};

/// The queue of a durable subscription. The name is RabbitMQ's, letter by letter, so that a
/// subscription finds the queue that it had there: the MD5 of `{Key, Id}` as Erlang writes it.
pub(super) fn durable_name(key: &[u8], id: &[u8]) -> String {
    let mut term = vec![131, 104, 2];
    for text in [key, id] {
        match u16::try_from(text.len()) {
            Ok(0) => term.push(106),
            Ok(n) => {
                term.push(107);
                term.extend_from_slice(&n.to_be_bytes());
                term.extend_from_slice(text);
            }
            // A list of so many letters is written letter by letter.
            Err(_) => {
                term.push(108);
                term.extend_from_slice(&(text.len() as u32).to_be_bytes());
                text.iter().for_each(|b| term.extend_from_slice(&[97, *b]));
                term.push(106);
            }
        }
    }
    format!("stomp-subscription-{}", letters(&Md5::digest(&term), 22))
}

/// A queue as headers want it, or as it is without them.
pub(super) fn spec(
    frame: &Frame<'_>,
    name: Name,
    durable: bool,
    exclusive: bool,
    auto_delete: bool,
) -> Result<QueueSpec, Fault> {
    let mut arguments = Table::default();
    for (header, value) in frame.iter() {
        let Ok(header) = std::str::from_utf8(header) else { continue };
        let value = match header {
            "x-dead-letter-exchange"
            | "x-dead-letter-routing-key"
            | "x-queue-type"
            | "x-max-age"
            | "x-overflow"
            | "x-dead-letter-strategy" => {
                Value::Text(bytes::Bytes::copy_from_slice(value.trim_ascii()))
            }
            "x-expires"
            | "x-message-ttl"
            | "x-max-length"
            | "x-max-length-bytes"
            | "x-max-priority"
            | "x-delivery-limit"
            | "x-stream-max-segment-size-bytes"
            | "x-stream-filter-size-bytes" => {
                let count = number(value).and_then(|n| i64::try_from(n).ok());
                Value::I64(count.ok_or_else(|| map::no_number(header, value))?)
            }
            "x-single-active-consumer" => {
                let truth = crate::packet::truth(value);
                Value::Bool(truth.ok_or_else(|| not_true_or_false(header, value))?)
            }
            _ => continue,
        };
        arguments.set(header, value);
    }
    let exclusive = frame.truth("exclusive").unwrap_or(exclusive);
    let auto_delete = frame.truth("auto-delete").unwrap_or(auto_delete);
    Ok(QueueSpec { name, durable, exclusive, auto_delete, arguments })
}

fn not_true_or_false(name: &str, value: &[u8]) -> Fault {
    let text = format!("'{name}' is neither true nor false: '{}'.\n", shown(value));
    Fault::new("Invalid header", text)
}

/// What a subscription says of itself to the queue.
pub(super) fn consumer_arguments(frame: &Frame<'_>) -> Result<Table, Fault> {
    let mut arguments = Table::default();
    if let Some(value) = frame.get("x-stream-offset") {
        arguments.set("x-stream-offset", stream_offset(value)?);
    }
    if let Some(value) = frame.get("x-stream-filter") {
        // Several are told apart by commas.
        let one = |part: &[u8]| Value::Text(bytes::Bytes::copy_from_slice(part.trim_ascii()));
        let filters = value.split(|b| *b == b',').map(one).collect();
        arguments.set("x-stream-filter", Value::Array(filters));
    }
    if let Some(value) = frame.get("x-stream-match-unfiltered") {
        let truth = crate::packet::truth(value)
            .ok_or_else(|| not_true_or_false("x-stream-match-unfiltered", value))?;
        arguments.set("x-stream-match-unfiltered", Value::Bool(truth));
    }
    if let Some(value) = frame.get("x-priority") {
        let text = std::str::from_utf8(value.trim_ascii()).ok();
        let priority = text.and_then(|t| t.parse::<i32>().ok());
        let priority = priority.ok_or_else(|| map::no_number("x-priority", value))?;
        arguments.set("x-priority", Value::I32(priority));
    }
    Ok(arguments)
}

/// `offset=N` and `timestamp=SECONDS` are numbers; `first`, `last`, `next` and the rest are
/// words, and whether they mean anything the broker will say.
fn stream_offset(value: &[u8]) -> Result<Value, Fault> {
    let told = |name: &[u8]| value.strip_prefix(name).map(|n| number(n).ok_or(n));
    let bad = |n: &[u8]| map::no_number("x-stream-offset", n);
    if let Some(n) = told(b"offset=") {
        let n = n.map_err(bad)?;
        return i64::try_from(n).map(Value::I64).map_err(|_| bad(value));
    }
    match told(b"timestamp=") {
        Some(n) => n.map(Value::Timestamp).map_err(bad),
        None => Ok(Value::Text(bytes::Bytes::copy_from_slice(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_subscription_has_the_queue_that_it_had_in_rabbitmq() {
        // As RabbitMQ 3.10 names it for SUBSCRIBE of /topic/news.uk with id 7.
        assert_eq!(durable_name(b"news.uk", b"7"), "stomp-subscription-j9FFt3RkMFu_0sfWhCBZsA");
    }
}
