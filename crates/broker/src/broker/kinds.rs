//! What the arguments of exchanges and the keys of bindings must be, kind by kind, in the
//! words of RabbitMQ's plugins.

use super::arguments::{check_headers, kind};
use crate::ledger::{flag, number};
use crate::route::{HashOn, weight};
use lockgate_model::{Binding, ExchangeKind, ExchangeSpec, Table, Value};

/// Exchange arguments that two declarations of one exchange must agree on.
pub const COMPARED: &[&str] = &[
    "alternate-exchange",
    "hash-header",
    "hash-property",
    "x-hash-on",
    "x-recent-history-length",
    "x-delayed-type",
    "x-message-deduplication",
    "x-cache-size",
    "x-cache-ttl",
    "x-cache-persistence",
    "x-deduplication-header",
];

/// Checks what a declaration says to its kind.
pub fn check_kind(spec: &ExchangeSpec) -> Result<(), String> {
    check_by(spec.kind, spec)?;
    match spec.arguments.get("x-message-deduplication") {
        None => Ok(()),
        Some(value) if flag(value).is_none() => {
            Err("Invalid argument, 'x-message-deduplication' must be a boolean".into())
        }
        Some(_) => check_window(&spec.arguments, false),
    }
}

fn check_by(kind: ExchangeKind, spec: &ExchangeSpec) -> Result<(), String> {
    match kind {
        ExchangeKind::ConsistentHash => check_hash(&spec.arguments),
        ExchangeKind::Direct
        | ExchangeKind::Fanout
        | ExchangeKind::Topic
        | ExchangeKind::Headers
        | ExchangeKind::ModulusHash
        | ExchangeKind::Random => Ok(()),
        ExchangeKind::RecentHistory => check_length(&spec.arguments),
        ExchangeKind::Delayed => check_delayed(spec),
        ExchangeKind::Deduplicating => check_window(&spec.arguments, true),
    }
}

/// How an exchange chooses that holds messages back: as another kind, which has its say too.
fn check_delayed(spec: &ExchangeSpec) -> Result<(), String> {
    let named = spec.arguments.get("x-delayed-type").and_then(Value::as_str);
    match named.and_then(ExchangeKind::named).filter(|kind| *kind != ExchangeKind::Delayed) {
        Some(kind) => check_by(kind, spec),
        None => Err("Invalid argument, 'x-delayed-type' must be an existing exchange type".into()),
    }
}

/// How much is to be known, and for how long. By its kind an exchange must say how much.
fn check_window(arguments: &Table, sized: bool) -> Result<(), String> {
    let positive = |name: &str| arguments.get(name).map(|v| number(v).is_some_and(|n| n > 0));
    if !positive("x-cache-size").unwrap_or(!sized) {
        let text = "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0";
        return Err(text.into());
    }
    if !positive("x-cache-ttl").unwrap_or(true) {
        return Err("Invalid argument, 'x-cache-ttl' must be an integer greater than 0".into());
    }
    let text = |name: &str| arguments.get(name).map(|v| v.as_str().unwrap_or_default());
    if !matches!(text("x-cache-persistence"), None | Some("memory" | "disk")) {
        let text = "Invalid argument, 'x-cache-persistence' must be either 'memory' or 'disk'";
        return Err(text.into());
    }
    if text("x-deduplication-header") == Some("") {
        return Err("Invalid argument, 'x-deduplication-header' must be a header's name".into());
    }
    Ok(())
}

/// How many messages are kept.
fn check_length(arguments: &Table) -> Result<(), String> {
    const NAME: &str = "x-recent-history-length";
    match arguments.get(NAME) {
        None => Ok(()),
        Some(value) if value.as_int().is_some_and(|n| n > 0) => Ok(()),
        Some(value) => {
            Err(format!("Invalid argument {}, '{NAME}' must be a positive integer", term(value)))
        }
    }
}

/// A value as RabbitMQ prints it.
fn term(value: &Value) -> String {
    match value {
        Value::Text(bytes) | Value::Binary(bytes) => erlang(bytes),
        Value::Bool(b) => b.to_string(),
        Value::F32(n) => format!("{n:?}"),
        Value::F64(n) => format!("{n:?}"),
        Value::Void => "undefined".into(),
        other => other.as_int().map_or_else(|| kind(other).to_string(), |n| n.to_string()),
    }
}

/// What is hashed: the key, or one header, or one property.
fn check_hash(arguments: &Table) -> Result<(), String> {
    const WAYS: [&str; 3] = ["hash-header", "x-hash-on", "hash-property"];
    let mut given = Vec::new();
    for name in WAYS {
        match arguments.get(name) {
            None => {}
            Some(value) if value.as_str().is_some() => given.push(name),
            Some(value) => return Err(format!("invalid type '{}' for arg '{name}'", kind(value))),
        }
    }
    if let [first, second, ..] = given[..] {
        return Err(format!("{first} and {second} are mutually exclusive"));
    }
    match arguments.get("hash-property").and_then(Value::as_str) {
        Some(name) if HashOn::property(name).is_none() => {
            Err(format!("Unsupported property: {name}"))
        }
        _ => Ok(()),
    }
}

/// Checks a binding that is to leave an exchange that chooses like that kind.
pub fn check_binding(kind: ExchangeKind, binding: &Binding) -> Result<(), String> {
    match kind {
        ExchangeKind::Headers => check_headers(&binding.arguments),
        ExchangeKind::ConsistentHash => match weight(&binding.key) {
            None => Err(format!("The binding key must be an integer: {}", erlang(&binding.key))),
            Some(n) if n < 1 => Err("The binding key must be greater than 0".into()),
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Bytes as RabbitMQ prints them.
fn erlang(bytes: &[u8]) -> String {
    let printable = |b: &u8| b.is_ascii_graphic() || *b == b' ';
    if bytes.is_empty() {
        "<<>>".into()
    } else if bytes.iter().all(printable) {
        let text = String::from_utf8_lossy(bytes).replace('\\', "\\\\").replace('"', "\\\"");
        format!("<<\"{text}\">>")
    } else {
        let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
        format!("<<{}>>", numbers.join(","))
    }
}
