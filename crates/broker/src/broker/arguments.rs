//! The arguments of declarations: known and good, known and harmless, or refused. Those that
//! only choose among RabbitMQ's own implementations (`x-queue-mode`, `x-queue-version`, leader
//! locators, group sizes) are kept and shown, and change nothing.

use super::stream::{age, locator};
use crate::ledger::{flag, number};
use lockgate_model::{Name, Object, Refusal, Table, Value};

/// Queue arguments that two declarations of one queue must agree on.
const COMPARED: &[&str] = &[
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delivery-limit",
    "x-delayed-retry-type",
    "x-delayed-retry-min",
    "x-delayed-retry-max",
    "x-consumer-timeout",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-overflow",
    "x-queue-type",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size",
    "x-queue-leader-locator",
    "x-single-active-consumer",
    "x-message-deduplication",
    "x-cache-size",
    "x-cache-ttl",
    "x-deduplication-header",
];

/// Largest time in an argument: RabbitMQ's ten years. Celery's longest delay is over four.
const MILLIS_MAX: i64 = 315_360_000_000;

/// What is wrong with an argument: its name and why, in RabbitMQ's words where it has any.
type Fault = (String, String);

/// Checks a queue's arguments.
pub fn check_queue(arguments: &Table) -> Result<(), Fault> {
    for (name, value) in &arguments.0 {
        let checked = match &**name {
            "x-expires" => millis(value, 1),
            "x-message-ttl" => millis(value, 0),
            "x-max-length" | "x-max-length-bytes" => count(value),
            // RabbitMQ 4's word for no limit.
            "x-delivery-limit" if value.as_int() == Some(-1) => Ok(()),
            "x-delivery-limit" => count(value),
            "x-delayed-retry-min" | "x-delayed-retry-max" | "x-consumer-timeout" => {
                millis(value, 1)
            }
            "x-delayed-retry-type" => {
                one_of(value, "delayed retry type", &["disabled", "all", "failed", "returned"])
            }
            "x-dead-letter-strategy" => strategy(value),
            "x-max-priority" => priority(value),
            "x-overflow" => overflow(value),
            "x-single-active-consumer" => boolean(value),
            "x-message-deduplication" => switch(value),
            "x-cache-size" | "x-cache-ttl" if of_window(arguments) => positive(value),
            "x-deduplication-header" if of_window(arguments) => header(value),
            "x-dead-letter-routing-key" => letter_key(value, arguments),
            "x-queue-type" => queue_type(value),
            "x-max-age" => age(value),
            "x-stream-max-segment-size-bytes" | "x-stream-filter-size-bytes" => count(value),
            "x-initial-cluster-size" => some(value),
            "x-queue-leader-locator" => locator(value),
            "x-queue-mode" => one_of(value, "queue mode", &["default", "lazy"]),
            _ => Ok(()),
        };
        checked.map_err(|reason| (name.to_string(), reason))?;
    }
    Ok(())
}

/// Checks a subscription's arguments.
pub fn check_consumer(arguments: &Table) -> Result<(), Fault> {
    if let Some(value) = arguments.get("x-consumer-timeout") {
        millis(value, 1).map_err(|reason| ("x-consumer-timeout".into(), reason))?;
    }
    match arguments.get("x-priority") {
        Some(v) if v.as_int().is_none() => {
            Err(("x-priority".into(), format!("\"expected integer, got {}\"", kind(v))))
        }
        _ => Ok(()),
    }
}

fn millis(value: &Value, least: i64) -> Result<(), String> {
    match value.as_int() {
        None => Err(format!("\"expected integer, got {}\"", kind(value))),
        Some(n) if n < 0 => Err(format!("{{value_negative,{n}}}")),
        Some(n) if n < least => Err(format!("{{value_zero,{n}}}")),
        Some(n) if n > MILLIS_MAX => Err(format!("{{value_too_large,{n}}}")),
        Some(_) => Ok(()),
    }
}

fn count(value: &Value) -> Result<(), String> {
    match value.as_int() {
        None => Err(format!("\"expected integer, got {}\"", kind(value))),
        Some(n) if n < 0 => Err(format!("{{value_negative,{n}}}")),
        Some(_) => Ok(()),
    }
}

fn priority(value: &Value) -> Result<(), String> {
    count(value)?;
    match value.as_int() {
        Some(n) if n > 255 => Err(format!("{{max_value_exceeded,{n}}}")),
        _ => Ok(()),
    }
}

fn some(value: &Value) -> Result<(), String> {
    count(value)?;
    if value.as_int() == Some(0) { Err("{value_zero,0}".into()) } else { Ok(()) }
}

fn boolean(value: &Value) -> Result<(), String> {
    match value {
        Value::Bool(_) => Ok(()),
        _ => Err(format!("{{unacceptable_type,{}}}", kind(value))),
    }
}

/// A flag, also as a text.
fn switch(value: &Value) -> Result<(), String> {
    match flag(value) {
        Some(_) => Ok(()),
        None => Err(format!("{{unacceptable_type,{}}}", kind(value))),
    }
}

/// True if arguments that would mean nothing otherwise are those of a window.
fn of_window(arguments: &Table) -> bool {
    arguments.get("x-message-deduplication").is_some()
}

fn positive(value: &Value) -> Result<(), String> {
    match number(value) {
        Some(n) if n > 0 => Ok(()),
        _ => Err("must be an integer greater than 0".into()),
    }
}

fn header(value: &Value) -> Result<(), String> {
    match value.as_str() {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err("must be the name of a header".into()),
    }
}

fn overflow(value: &Value) -> Result<(), String> {
    match value.as_str() {
        None => Err(format!("{{unacceptable_type,{}}}", kind(value))),
        Some("drop-head" | "reject-publish" | "reject-publish-dlx") => Ok(()),
        Some(_) => Err("invalid_overflow".into()),
    }
}

fn strategy(value: &Value) -> Result<(), String> {
    match value.as_str() {
        None => Err(format!("{{unacceptable_type,{}}}", kind(value))),
        Some("at-most-once" | "at-least-once") => Ok(()),
        Some(_) => Err("invalid_dlx_strategy".into()),
    }
}

fn letter_key(value: &Value, arguments: &Table) -> Result<(), String> {
    match (value.as_str(), arguments.get("x-dead-letter-exchange")) {
        (None, _) => Err(format!("{{unacceptable_type,{}}}", kind(value))),
        (Some(_), None) => Err("routing_key_but_no_dlx_defined".into()),
        (Some(_), Some(_)) => Ok(()),
    }
}

fn one_of(value: &Value, what: &str, known: &[&str]) -> Result<(), String> {
    match value.as_str() {
        None => Err(format!("{{unacceptable_type,{}}}", kind(value))),
        Some(name) if known.contains(&name) => Ok(()),
        Some(other) => Err(format!("\"unsupported {what} '{other}'\"")),
    }
}

fn queue_type(value: &Value) -> Result<(), String> {
    one_of(value, "queue type", &["classic", "quorum", "stream"])
}

/// Checks what names an exchange among a queue's arguments.
pub fn check_letters(arguments: &Table) -> Result<(), String> {
    match arguments.get("x-dead-letter-exchange") {
        Some(v) if v.as_str().is_none() => {
            Err(format!("invalid type '{}' for arg 'x-dead-letter-exchange'", kind(v)))
        }
        _ => Ok(()),
    }
}

/// Checks an exchange's arguments.
pub fn check_exchange(arguments: &Table) -> Result<(), String> {
    match arguments.get("alternate-exchange") {
        None => Ok(()),
        Some(value) if value.as_str().is_some() => Ok(()),
        Some(value) => Err(format!("invalid type '{}' for arg 'alternate-exchange'", kind(value))),
    }
}

/// Checks a binding's arguments for a headers exchange.
pub fn check_headers(arguments: &Table) -> Result<(), String> {
    let Some(mode) = arguments.get("x-match") else { return Ok(()) };
    let reason = match mode.as_str() {
        Some("all" | "any" | "all-with-x" | "any-with-x") => return Ok(()),
        Some(other) => {
            format!("field value <<\"{other}\">>; expected all, any, all-with-x, or any-with-x")
        }
        None => format!("field type {} (value {}); expected longstr", kind(mode), text(mode)),
    };
    Err(format!("Invalid x-match {reason}"))
}

/// A refusal of an argument.
pub fn refusal(
    object: Object,
    name: &Name,
    vhost: Name,
    (argument, reason): (String, String),
) -> Refusal {
    Refusal::BadArgument { object, name: name.clone(), vhost, argument, reason }
}

/// The first argument in which two declarations of a queue differ: name, received, current.
pub fn difference(received: &Table, current: &Table) -> Option<(String, String, String)> {
    COMPARED.iter().find_map(|name| {
        let is_classic =
            |t: &Table| t.get(name).is_none_or(|kind| kind.as_str() == Some("classic"));
        if *name == "x-queue-type" && is_classic(received) && is_classic(current) {
            return None;
        }
        compare(name, received.get(name).cloned(), current.get(name).cloned())
    })
}

/// One argument in two declarations; nothing if it is the same.
pub fn compare(
    name: &str,
    received: Option<Value>,
    current: Option<Value>,
) -> Option<(String, String, String)> {
    let (received, current) = match (&received, &current) {
        (None, None) => return None,
        (Some(r), Some(c)) if r.same(c) => return None,
        (Some(r), Some(c)) => (format!("'{}'", text(r)), format!("'{}'", text(c))),
        (r, c) => (describe(r.as_ref()), describe(c.as_ref())),
    };
    Some((name.to_string(), received, current))
}

/// A value, or its absence, as RabbitMQ's error texts name it.
fn describe(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(value) => format!("the value '{}' of type '{}'", text(value), kind(value)),
    }
}

pub fn text(value: &Value) -> String {
    match value {
        Value::Text(b) => String::from_utf8_lossy(b).into_owned(),
        Value::Bool(b) => b.to_string(),
        other => other.as_int().map_or_else(|| format!("{other:?}"), |n| n.to_string()),
    }
}

/// A type as RabbitMQ names it.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::I8(_) => "byte",
        Value::U8(_) => "unsignedbyte",
        Value::I16(_) => "short",
        Value::U16(_) => "unsignedshort",
        Value::I32(_) => "signedint",
        Value::U32(_) => "unsignedint",
        Value::I64(_) => "long",
        Value::F32(_) => "float",
        Value::F64(_) => "double",
        Value::Decimal { .. } => "decimal",
        Value::Text(_) => "longstr",
        Value::Binary(_) => "binary",
        Value::Array(_) => "array",
        Value::Timestamp(_) => "timestamp",
        Value::Table(_) => "table",
        Value::Void => "void",
    }
}
