//! Which arguments go with which kind of queue, in RabbitMQ's words: what makes no sense for a
//! stream is refused there, and what only a stream knows is refused elsewhere.

use super::super::arguments::kind;
use crate::ledger::{Kind, Queue, Rules, age_seconds};
use lockgate_model::{Name, QueueSpec, Refusal, Table, Value};

/// Arguments of other kinds of queues that a stream has no use for.
const NOT_FOR_STREAMS: &[&str] = &[
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-priority",
    "x-single-active-consumer",
    "x-overflow",
    "x-queue-mode",
    "x-queue-version",
    "x-queue-master-locator",
    "x-delivery-limit",
    "x-quorum-initial-group-size",
    "x-message-deduplication",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
    "x-message-group-header",
];

/// Arguments that only a stream knows.
const FOR_STREAMS: &[&str] =
    &["x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size"];

/// Arguments of consumers that a stream has no use for.
const NOT_FOR_READERS: &[&str] = &["x-priority", "x-cancel-on-ha-failover"];

/// Largest segment that a declaration can ask for.
const SEGMENT_MAX: i64 = 3_000_000_000;

/// Checks a declaration against its kind. `named` is false if the broker chose the name.
pub fn check_kind(spec: &QueueSpec, named: bool, vhost: &Name) -> Result<(), Refusal> {
    let kind = Rules::of(&spec.arguments).kind;
    let stream = kind == Kind::Stream;
    let (misfits, of) = if stream {
        (NOT_FOR_STREAMS, "rabbit_stream_queue")
    } else {
        (FOR_STREAMS, other_kind(&spec.arguments))
    };
    let name = &spec.name;
    if let Some(argument) = misfits.iter().find(|a| spec.arguments.get(a).is_some()) {
        return Err(misfit(argument, name, vhost, of));
    }
    if kind == Kind::Classic {
        return Ok(());
    }
    if stream && !named {
        let text = "Cannot declare a server-named queue for type rabbit_stream_queue";
        return Err(Refusal::Limit(text.into()));
    }
    let properties = [
        ("auto-delete", spec.auto_delete),
        ("exclusive-owner", spec.exclusive),
        ("non-durable", !spec.durable),
    ];
    if let Some((property, _)) = properties.iter().find(|(_, given)| *given) {
        return Err(Refusal::Limit(format!(
            "invalid property '{property}' for queue '{name}' in vhost '{vhost}'"
        )));
    }
    let number = |name: &str| spec.arguments.get(name).and_then(Value::as_int);
    if number("x-stream-max-segment-size-bytes").is_some_and(|n| n > SEGMENT_MAX) {
        let text = "Exceeded max value for x-stream-max-segment-size-bytes";
        return Err(Refusal::Limit(text.into()));
    }
    if number("x-stream-filter-size-bytes").is_some_and(|n| !(16..=255).contains(&n)) {
        let text = "Invalid value for x-stream-filter-size-bytes";
        return Err(Refusal::Limit(text.into()));
    }
    Ok(())
}

/// Checks a consumer's arguments against its queue's kind.
pub fn check_consumer_kind(q: &Queue, arguments: &Table, vhost: &Name) -> Result<(), Refusal> {
    let (misfits, of) = match q.rules.kind {
        Kind::Stream => (NOT_FOR_READERS, "rabbit_stream_queue"),
        _ => (&["x-stream-offset"][..], other_kind(&q.spec.arguments)),
    };
    match misfits.iter().find(|a| arguments.get(a).is_some()) {
        Some(argument) => Err(misfit(argument, &q.spec.name, vhost, of)),
        None => Ok(()),
    }
}

/// RabbitMQ's name of a kind that is not a stream.
fn other_kind(arguments: &Table) -> &'static str {
    match arguments.get("x-queue-type").and_then(Value::as_str) {
        Some("quorum") => "rabbit_quorum_queue",
        _ => "rabbit_classic_queue",
    }
}

fn misfit(argument: &str, queue: &Name, vhost: &Name, of: &str) -> Refusal {
    Refusal::Limit(format!(
        "invalid arg '{argument}' for queue '{queue}' in vhost '{vhost}' of queue type {of}"
    ))
}

/// Checks `x-max-age`.
pub fn age(value: &Value) -> Result<(), String> {
    match value.as_str().map(age_seconds) {
        None => Err(format!("{{unacceptable_type,{}}}", kind(value))),
        Some(None) => Err("invalid_max_age".into()),
        Some(Some(_)) => Ok(()),
    }
}

/// Checks `x-queue-leader-locator`, which chooses among nodes that are not there.
pub fn locator(value: &Value) -> Result<(), String> {
    match value.as_str() {
        None => Err(format!("{{unacceptable_type,{}}}", kind(value))),
        Some("client-local" | "balanced" | "random" | "least-leaders") => Ok(()),
        Some(_) => Err("invalid_queue_locator_arg".into()),
    }
}
