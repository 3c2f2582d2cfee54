//! What the arguments of exchanges and the keys of bindings must be, kind by kind, in the
//! words of RabbitMQ's plugins.

use super::arguments::{check_headers, kind};
use crate::route::{HashOn, weight};
use lockgate_model::{Binding, ExchangeKind, ExchangeSpec, Table, Value};

/// Exchange arguments that two declarations of one exchange must agree on.
pub const COMPARED: &[&str] = &["alternate-exchange", "hash-header", "hash-property", "x-hash-on"];

/// Checks what a declaration says to its kind.
pub fn check_kind(spec: &ExchangeSpec) -> Result<(), String> {
    check_by(spec.kind, spec)
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

/// Checks a binding that is to leave an exchange of that kind.
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
