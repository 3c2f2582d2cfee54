//! SUBSCRIBE and UNSUBSCRIBE: the queue that a destination means is made, bound and read, one
//! step behind the other, and the receipt is told when the last one is done.

use super::Connection;
use super::ask::{Outcome, Steps};
use super::connect::letters;
use crate::destination::{Destination, misplaced};
use crate::error::{Fault, shown};
use crate::header::number;
use crate::map;
use crate::packet::Frame;
use crate::settings::Settings;
use lockgate_front::Output;
use lockgate_model::limits::NAME_BYTES_MAX;
use lockgate_model::{
    Binding, Consumer, Destination as To, Name, QueueSpec, Request, Subscription, Table, Value,
};
use md5::{Digest, Md5};
use std::collections::{BTreeMap, VecDeque};

/// How messages of a subscription are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Delivered is done.
    Auto,
    /// By ACK, each with all before it.
    Cumulative,
    /// By ACK, each on its own.
    Individual,
}

/// A subscription of this connection.
#[derive(Debug)]
pub(super) struct Subscribed {
    /// `T_` and its id, or `Q_` and its destination where it has none.
    pub(super) tag: Name,
    pub(super) mode: Mode,
    /// The queue to delete, if UNSUBSCRIBE says that the subscription is not to last.
    durable: Option<Name>,
}

impl Subscribed {
    /// Its id as its subscriber gave it.
    pub(super) fn id(&self) -> Option<&str> {
        self.tag.strip_prefix("T_")
    }

    /// As RabbitMQ's texts speak of it.
    fn description(tag: &str) -> String {
        match tag.strip_prefix("T_") {
            Some(id) => format!("id='{id}'"),
            None => format!("destination='{}'", tag.strip_prefix("Q_").unwrap_or(tag)),
        }
    }
}

/// The subscriptions of a connection, by handle and by tag. A handle is never used twice.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_handle: BTreeMap<u32, Subscribed>,
    by_tag: BTreeMap<Name, u32>,
    last: u32,
}

impl Subscriptions {
    #[inline]
    pub(super) fn get(&self, handle: u32) -> Option<&Subscribed> {
        self.by_handle.get(&handle)
    }

    fn add(
        &mut self,
        tag: Name,
        mode: Mode,
        durable: Option<Name>,
        settings: &Settings,
    ) -> Result<u32, Fault> {
        if self.by_tag.contains_key(&tag) {
            let text = format!("A subscription identified by '{tag}' already exists.");
            return Err(Fault::last("Duplicated subscription identifier", text));
        }
        if self.by_handle.len() >= settings.subscriptions_max {
            let text = format!("A connection may have {}\n", settings.subscriptions_max);
            return Err(Fault::new("Too many subscriptions", text));
        }
        self.last += 1;
        self.by_tag.insert(tag.clone(), self.last);
        self.by_handle.insert(self.last, Subscribed { tag, mode, durable });
        Ok(self.last)
    }

    /// A subscription to a reply queue, whose id is what its owner calls the queue.
    pub(super) fn add_replies(
        &mut self,
        id: &str,
        settings: &Settings,
    ) -> Result<(u32, Name), Fault> {
        let tag = Name::from(format!("T_{id}"));
        let handle = self.add(tag.clone(), Mode::Auto, None, settings)?;
        Ok((handle, tag))
    }

    pub(super) fn forget(&mut self, handle: u32) {
        if let Some(gone) = self.by_handle.remove(&handle) {
            self.by_tag.remove(&gone.tag);
        }
    }
}

impl Connection {
    pub(super) fn subscribe(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        check_durable(frame)?;
        let destination = self.destination(frame, "SUBSCRIBE")?;
        if let Some(selector) = frame.get("selector") {
            let text =
                format!("'selector' is not supported on 'SUBSCRIBE': '{}'.\n", shown(selector));
            return Err(Fault::new("Invalid header", text));
        }
        let mode = mode(frame)?;
        let limit = match frame.get("prefetch-count") {
            None => None,
            Some(value) => {
                let count = number(value).and_then(|n| u32::try_from(n).ok());
                let count = count.ok_or_else(|| map::no_number("prefetch-count", value))?;
                Some(count).filter(|n| *n > 0)
            }
        };
        let arguments = consumer_arguments(frame)?;
        let tag = tag(frame, "SUBSCRIBE")?;
        let Reading { queue, declare, binding, durable } = self.reading(frame, &destination)?;
        let handle = self.subscriptions.add(tag.clone(), mode, durable, &self.settings)?;
        let made = declare.as_ref().filter(|_| binding.is_some()).map(|_| queue.clone());
        let declared = declare.as_ref().filter(|_| binding.is_none()).map(|_| queue.clone());
        let mut left: VecDeque<Request> = declare.map(Request::DeclareQueue).into_iter().collect();
        left.extend(binding.map(Request::Bind));
        left.push_back(Request::Subscribe(Subscription {
            queue,
            consumer: Consumer(handle),
            tag,
            settled: mode == Mode::Auto,
            exclusive: false,
            limit,
            arguments,
        }));
        let receipt = frame.get("receipt").map(Into::into);
        self.walk(Steps { left, receipt, outcome: Outcome::Subscribed { made } }, out);
        if let Some(name) = declared {
            // Were it refused, the connection would be over.
            self.remember_declared(name);
        }
        Ok(())
    }

    /// What is to be read for a destination, and what must be made before.
    fn reading(
        &mut self,
        frame: &Frame<'_>,
        destination: &Destination<'_>,
    ) -> Result<Reading, Fault> {
        let (exchange, key) = match destination {
            Destination::Queue(name) => {
                let declare = match self.declared.contains(&**name) {
                    true => None,
                    false => {
                        let lasts = truth_of_durable(frame).unwrap_or(true);
                        Some(spec(frame, Name::from(&**name), lasts, !lasts, !lasts)?)
                    }
                };
                let queue = Name::from(&**name);
                return Ok(Reading { queue, declare, binding: None, durable: None });
            }
            Destination::AmqQueue(name) | Destination::ReplyQueue(name) => {
                let queue = Name::from(&**name);
                return Ok(Reading { queue, declare: None, binding: None, durable: None });
            }
            Destination::TempQueue(_) => {
                let text = frame.get("destination").unwrap_or_default();
                return Err(misplaced(text, "SUBSCRIBE"));
            }
            Destination::Topic(key) => (self.settings.topic_exchange.clone(), key),
            Destination::Exchange { name, key } => (Name::from(&**name), key),
        };
        let lasts = truth_of_durable(frame).unwrap_or(false);
        let queue = match (frame.text("x-queue-name"), frame.get("id")) {
            (Some(name), _) => Name::from(name),
            (None, Some(id)) if lasts => Name::from(durable_name(key.as_bytes(), id)),
            _ => Name::from(format!("stomp-subscription-{}", self.draw("subscription"))),
        };
        if queue.is_empty() || queue.len() > NAME_BYTES_MAX {
            let text = format!("'x-queue-name' is empty or longer than {NAME_BYTES_MAX} bytes.\n");
            return Err(Fault::new("Invalid header", text));
        }
        let spec = spec(frame, queue.clone(), lasts, false, true)?;
        let binding = Binding {
            source: exchange,
            destination: To::Queue(queue.clone()),
            key: key.as_bytes().to_vec().into(),
            arguments: Table::default(),
        };
        let durable =
            matches!(destination, Destination::Topic(_)).then(|| queue.clone()).filter(|_| lasts);
        Ok(Reading { queue, declare: Some(spec), binding: Some(binding), durable })
    }

    pub(super) fn unsubscribe(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        check_durable(frame)?;
        let tag = tag(frame, "UNSUBSCRIBE")?;
        let Some(&handle) = self.subscriptions.by_tag.get(&tag) else {
            let what = Subscribed::description(&tag);
            let text = format!(
                "UNSUBSCRIBE must refer to an existing subscription.\n\
                 Subscription to \"{}\" not found.\n",
                shown(what.as_bytes())
            );
            return Err(Fault::new("No subscription found", text));
        };
        let mut left = VecDeque::from([Request::Cancel(Consumer(handle))]);
        if truth_of_durable(frame) == Some(true)
            && let Some(name) = self.subscriptions.get(handle).and_then(|s| s.durable.clone())
        {
            left.push_back(Request::DeleteQueue { name, if_unused: false, if_empty: false });
        }
        let receipt = frame.get("receipt").map(Into::into);
        self.walk(Steps { left, receipt, outcome: Outcome::Unsubscribed(handle) }, out);
        Ok(())
    }

    /// A subscription ended by itself.
    pub(super) fn cancelled(&mut self, consumer: Consumer, out: &mut Output) {
        let Some(gone) = self.subscriptions.get(consumer.0) else { return };
        let what = Subscribed::description(&gone.tag);
        let id = gone.tag.get(2..).unwrap_or_default().to_owned();
        let text = format!(
            "The server has canceled a subscription.\n\
             No more messages will be delivered for \"{what}\".\n"
        );
        self.subscriptions.forget(consumer.0);
        let fault = Fault::new("Server cancelled subscription", text);
        self.say_error(&fault, Some(("subscription", id.as_bytes())), out);
    }
}

/// What is to be read.
struct Reading {
    queue: Name,
    declare: Option<QueueSpec>,
    binding: Option<Binding>,
    durable: Option<Name>,
}

/// The same subscription again is the same queue again, so a durable one must have an id.
fn check_durable(frame: &Frame<'_>) -> Result<(), Fault> {
    let durable = ["durable", "persistent"].iter().any(|name| frame.get(name) == Some(b"true"));
    if durable && frame.get("id").is_none() {
        let text = "Header 'id' is required for durable subscriptions";
        return Err(Fault::new("Missing Header", text));
    }
    Ok(())
}

/// `durable`, and its other name.
fn truth_of_durable(frame: &Frame<'_>) -> Option<bool> {
    match (frame.truth("durable"), frame.truth("persistent")) {
        (Some(a), Some(b)) => Some(a || b),
        (a, b) => a.or(b),
    }
}

fn mode(frame: &Frame<'_>) -> Result<Mode, Fault> {
    match frame.get("ack") {
        None | Some(b"auto") => Ok(Mode::Auto),
        Some(b"client") => Ok(Mode::Cumulative),
        Some(b"client-individual") => Ok(Mode::Individual),
        Some(other) => {
            let text = format!(
                "'{}' is not a valid 'ack': auto, client or client-individual.\n",
                shown(other)
            );
            Err(Fault::new("Invalid header", text))
        }
    }
}

/// What a subscription is known by.
fn tag(frame: &Frame<'_>, command: &str) -> Result<Name, Fault> {
    let text = |prefix: &str, value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) if text.len() + 2 <= NAME_BYTES_MAX => Ok(Name::from(format!("{prefix}{text}"))),
        _ => {
            let text = format!("{command} 'id' is too long or not UTF-8\n");
            Err(Fault::new("Invalid id", text))
        }
    };
    match (frame.get("id"), frame.get("destination")) {
        (Some(id), _) if id.starts_with(b"/temp-queue/") => {
            let text = format!("{command} 'id' may not start with /temp-queue/\n");
            Err(Fault::new("Invalid id", text))
        }
        (Some(id), _) => text("T_", id),
        (None, Some(destination)) => text("Q_", destination),
        (None, None) => {
            let text = format!("{command} must include a 'destination' or 'id' header");
            Err(Fault::new("Missing destination or id", text))
        }
    }
}

/// The queue of a durable subscription. The name is RabbitMQ's, letter by letter, so that a
/// subscription finds the queue that it had there: the MD5 of `{Key, Id}` as Erlang writes it.
fn durable_name(key: &[u8], id: &[u8]) -> String {
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
fn consumer_arguments(frame: &Frame<'_>) -> Result<Table, Fault> {
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
