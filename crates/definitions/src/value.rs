//! JSON and typed values. JSON knows fewer types: what it loses is RabbitMQ's loss, too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lockgate_model::limits::NESTING_MAX;
use lockgate_model::{Table, Value};
use serde_json::{Map, Number, Value as Json};

/// A JSON value as RabbitMQ types it: whole numbers are long, others double, strings text.
pub fn value(json: &Json) -> Result<Value, String> {
    within(json, 0)
}

fn within(json: &Json, depth: usize) -> Result<Value, String> {
    if depth > NESTING_MAX {
        return Err("values are nested too deep".into());
    }
    Ok(match json {
        Json::Null => Value::Void,
        Json::Bool(b) => Value::Bool(*b),
        Json::String(s) => Value::text(s),
        Json::Array(all) => {
            Value::Array(all.iter().map(|v| within(v, depth + 1)).collect::<Result<_, _>>()?)
        }
        Json::Object(map) => Value::Table(table_within(map, depth + 1)?),
        Json::Number(n) if n.is_i64() => Value::I64(n.as_i64().unwrap_or_default()),
        Json::Number(n) if n.is_u64() => return Err(format!("{n} is too large a number")),
        Json::Number(n) => Value::F64(n.as_f64().unwrap_or_default()),
    })
}

/// A JSON object as a table.
pub fn table(map: &Map<String, Json>) -> Result<Table, String> {
    table_within(map, 0)
}

fn table_within(map: &Map<String, Json>, depth: usize) -> Result<Table, String> {
    let pair = |(k, v): (&String, &Json)| Ok((k.as_str().into(), within(v, depth)?));
    map.iter().map(pair).collect::<Result<_, String>>().map(Table)
}

/// Arguments of a declaration: RabbitMQ takes no null among them.
pub fn arguments(map: &Map<String, Json>) -> Result<Table, String> {
    fn has_null(json: &Json) -> bool {
        match json {
            Json::Null => true,
            Json::Array(all) => all.iter().any(has_null),
            Json::Object(map) => map.values().any(has_null),
            _ => false,
        }
    }
    match map.iter().find(|(_, v)| has_null(v)) {
        Some((name, _)) => Err(format!("argument '{name}' is null, which is not allowed")),
        None => table(map),
    }
}

/// A table as JSON, in the order of its names.
pub fn json_table(table: &Table) -> Json {
    Json::Object(table.0.iter().map(|(k, v)| (k.to_string(), json(v))).collect())
}

/// A value as JSON.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Bool(b) => Json::Bool(*b),
        Value::Void => Json::Null,
        Value::Text(bytes) | Value::Binary(bytes) => text(bytes),
        Value::Array(all) => Json::Array(all.iter().map(json).collect()),
        Value::Table(table) => json_table(table),
        Value::Timestamp(n) => Json::Number((*n).into()),
        Value::F32(n) => float(f64::from(*n)),
        Value::F64(n) => float(*n),
        Value::Decimal { scale, value } => float(f64::from(*value) / 10f64.powi((*scale).into())),
        other => other.as_int().map_or(Json::Null, |n| Json::Number(n.into())),
    }
}

fn float(n: f64) -> Json {
    Number::from_f64(n).map_or(Json::Null, Json::Number)
}

/// Bytes as text; what is not UTF-8 is read as Latin-1, as RabbitMQ does it.
pub fn text(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::String(text.into()),
        Err(_) => Json::String(bytes.iter().map(|b| char::from(*b)).collect()),
    }
}

/// Reads base64.
pub fn unbase64(text: &str) -> Option<Bytes> {
    STANDARD.decode(text.trim()).ok().map(Bytes::from)
}

/// Writes base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
