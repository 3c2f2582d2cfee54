//! The arguments of declarations: known and good, known and harmless, or refused.

use lockgate_model::{Name, Object, Refusal, Table, Value};

/// Queue arguments that change nothing here and are shown as given: they choose among
/// implementations of RabbitMQ that are one here.
const HARMLESS: &[&str] = &[
    "x-queue-mode",
    "x-queue-version",
    "x-queue-leader-locator",
    "x-queue-master-locator",
    "x-quorum-initial-group-size",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
];

/// Queue arguments that applications know and that are not there yet. To ignore one
/// would break a promise in silence.
const MISSING: &[&str] = &[
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-max-priority",
    "x-single-active-consumer",
    "x-delivery-limit",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "x-message-deduplication",
    "x-consumer-timeout",
];

/// Queue arguments that two declarations of one queue must agree on.
const COMPARED: &[&str] = &["x-expires", "x-message-ttl", "x-queue-type"];

/// Largest time in an argument: what RabbitMQ's timers take (about 49 days).
const MILLIS_MAX: i64 = u32::MAX as i64;

/// Checks a queue's arguments; what is wrong comes with its reason.
pub fn check_queue(arguments: &Table) -> Result<(), (String, String)> {
    for (name, value) in &arguments.0 {
        let bad = |reason: &str| Err((name.to_string(), reason.to_string()));
        match &**name {
            "x-expires" => match value.as_int() {
                Some(n) if n > 0 && n <= MILLIS_MAX => {}
                Some(0) => return bad("{value_zero,0}"),
                Some(n) if n < 0 => {
                    return Err((name.to_string(), format!("{{value_negative,{n}}}")));
                }
                Some(n) => return Err((name.to_string(), format!("{{value_too_big,{n}}}"))),
                None => return bad("{unacceptable_type,longstr}"),
            },
            "x-message-ttl" => match value.as_int() {
                Some(n) if (0..=MILLIS_MAX).contains(&n) => {}
                Some(n) if n < 0 => {
                    return Err((name.to_string(), format!("{{value_negative,{n}}}")));
                }
                Some(n) => return Err((name.to_string(), format!("{{value_too_big,{n}}}"))),
                None => return bad("{unacceptable_type,longstr}"),
            },
            "x-queue-type" => match value.as_str() {
                Some("classic") => {}
                Some("quorum" | "stream") => return bad("this queue type is not supported yet"),
                _ => return bad("unsupported queue type"),
            },
            known if MISSING.contains(&known) => return bad("this argument is not supported yet"),
            known if HARMLESS.contains(&known) => {}
            _ => {}
        }
    }
    Ok(())
}

/// Checks an exchange's arguments.
pub fn check_exchange(arguments: &Table) -> Result<(), (String, String)> {
    match arguments.get("alternate-exchange") {
        Some(_) => Err(("alternate-exchange".into(), "this argument is not supported yet".into())),
        None => Ok(()),
    }
}

/// Checks a binding's arguments for a headers exchange.
pub fn check_headers(arguments: &Table) -> Result<(), (String, String)> {
    match arguments.get("x-match").map(|v| (v, v.as_str())) {
        None | Some((_, Some("all" | "any" | "all-with-x" | "any-with-x"))) => Ok(()),
        Some((_, Some(other))) => Err((
            "x-match".into(),
            format!("Invalid x-match field value {other:?}; expected all or any"),
        )),
        Some((other, None)) => {
            Err(("x-match".into(), format!("Invalid x-match field type {}", kind(other))))
        }
    }
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
        let of = |t: &Table| {
            t.get(name)
                .filter(|v| *name != "x-queue-type" || v.as_str() != Some("classic"))
                .cloned()
        };
        let (r, c) = (of(received), of(current));
        let same = match (&r, &c) {
            (None, None) => true,
            (Some(r), Some(c)) => r.same(c),
            _ => false,
        };
        let (received, current) = match (&r, &c) {
            (Some(r), Some(c)) => (format!("'{}'", text(r)), format!("'{}'", text(c))),
            _ => (describe(r.as_ref()), describe(c.as_ref())),
        };
        (!same).then(|| (name.to_string(), received, current))
    })
}

/// A value, or its absence, as RabbitMQ's error texts name it.
fn describe(value: Option<&Value>) -> String {
    match value {
        None => "none".into(),
        Some(value) => format!("the value '{}' of type '{}'", text(value), kind(value)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(b) => String::from_utf8_lossy(b).into_owned(),
        Value::Bool(b) => b.to_string(),
        other => other.as_int().map_or_else(|| format!("{other:?}"), |n| n.to_string()),
    }
}

/// A type as RabbitMQ names it.
fn kind(value: &Value) -> &'static str {
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
