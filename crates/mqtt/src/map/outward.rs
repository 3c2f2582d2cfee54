//! From what a delivery brings to properties of MQTT 5: native ones as they are, the neutral
//! property list in MQTT's words. Appends octets that are good properties, whatever the
//! list holds.

use super::{CONTENT_TYPE, CORRELATION, EXPIRY, NATIVE, REPLY_TOPIC};
use crate::dialect::Dialect;
use crate::property::Property;
use crate::topic::LENGTH_MAX;
use lockgate_model::{Glance, Properties, Stamp, Table, Value};
use std::fmt::Write;

/// Until when a message with these native properties is of use, in whole seconds of `Time`;
/// nothing if that is not said, or no longer holds: who dead-letters a message takes its
/// lifetime out of the property list.
#[inline]
pub(crate) fn deadline(native: &[u8], head: &[u8]) -> Option<u32> {
    match *native {
        [NATIVE, EXPIRY, a, b, c, d, ..] if expires(head) => Some(u32::from_be_bytes([a, b, c, d])),
        _ => None,
    }
}

/// Does the property list have an expiration? Its flag is the lowest bit of the first byte.
#[inline]
fn expires(head: &[u8]) -> bool {
    head.first().is_some_and(|flags| flags & 1 != 0)
}

/// Appends the properties that a message has of its own, and returns how many things of it
/// cannot be told. With a deadline its Message Expiry Interval stands first, and says what
/// the deadline says: whoever sends it knows what is left.
pub(crate) fn put_own(
    native: &[u8],
    head: &[u8],
    stamp: Stamp,
    dialect: Dialect,
    out: &mut Vec<u8>,
) -> u32 {
    let untold = match native {
        [NATIVE, EXPIRY, _, _, _, _, properties @ ..] if !expires(head) => {
            out.extend_from_slice(properties);
            0
        }
        [NATIVE, properties @ ..] => {
            if !matches!(properties, [EXPIRY, ..])
                && let Some(text) = Glance::of(head).ok().and_then(|g| g.expiration)
                && let Some(seconds) = seconds(text)
            {
                put(Property::MessageExpiry(seconds), out);
            }
            out.extend_from_slice(properties);
            0
        }
        _ => neutral(head, dialect, out),
    };
    let name = match stamp {
        Stamp::None => return untold,
        Stamp::Attempts(_) => "x-delivery-count",
        Stamp::Offset(_) => "x-stream-offset",
    };
    let number = stamp.number().unwrap_or_default().to_string();
    put(Property::UserProperty((name, &number)), out);
    untold
}

/// Appends a property that is short enough.
fn put(property: Property<'_>, out: &mut Vec<u8>) {
    let before = out.len();
    if property.write(out).is_err() {
        out.truncate(before);
    }
}

/// Milliseconds as text, in whole seconds.
fn seconds(text: &[u8]) -> Option<u32> {
    let millis: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(u32::try_from(millis / 1000).unwrap_or(u32::MAX))
}

/// Text that may stand in a property.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|t| t.len() <= LENGTH_MAX && !t.contains('\0'))
}

/// Appends what a neutral property list says.
fn neutral(head: &[u8], dialect: Dialect, out: &mut Vec<u8>) -> u32 {
    // Most messages have a delivery mode only, or nothing.
    if let [] | [0x10, 0, _] | [0, 0] = *head {
        return 0;
    }
    let Ok(list) = Properties::decode(head) else { return 1 };
    let mut untold = 0;
    if let Some(expiration) = &list.expiration {
        match seconds(expiration) {
            Some(seconds) => put(Property::MessageExpiry(seconds), out),
            None => untold += 1,
        }
    }
    if let Some(bytes) = &list.content_type {
        match text(bytes) {
            Some(text) => put(Property::ContentType(text), out),
            None => untold += 1,
        }
    }
    if let Some(id) = &list.correlation_id {
        put(Property::CorrelationData(id), out);
    }
    let Some(headers) = &list.headers else { return untold };
    untold + self::headers(headers, &list, dialect, out)
}

fn headers(headers: &Table, list: &Properties, dialect: Dialect, out: &mut Vec<u8>) -> u32 {
    let (mut untold, mut number, mut topic) = (0, String::new(), String::new());
    let (mut has_type, mut has_id) = (list.content_type.is_some(), list.correlation_id.is_some());
    let mut has_response = false;
    for (name, value) in &headers.0 {
        match (&**name, value) {
            (CONTENT_TYPE, Value::Text(bytes)) if !has_type => {
                has_type = true;
                match text(bytes) {
                    Some(text) => put(Property::ContentType(text), out),
                    None => untold += 1,
                }
            }
            (CORRELATION, Value::Text(id) | Value::Binary(id))
                if !has_id && id.len() <= LENGTH_MAX =>
            {
                has_id = true;
                put(Property::CorrelationData(id), out);
            }
            (REPLY_TOPIC, Value::Text(key)) if !has_response => {
                has_response = true;
                match dialect.topic(key, &mut topic) {
                    Ok(()) => put(Property::ResponseTopic(&topic), out),
                    Err(_) => untold += 1,
                }
            }
            (name, value) => match spoken(value, &mut number) {
                Some(text) if !name.contains('\0') => {
                    put(Property::UserProperty((name, text)), out);
                }
                _ => untold += 1,
            },
        }
    }
    untold
}

/// A header's value as text, as RabbitMQ says it; arrays, tables and bytes are none.
fn spoken<'a>(value: &'a Value, number: &'a mut String) -> Option<&'a str> {
    number.clear();
    // Writing to memory does not fail.
    let _ = match value {
        Value::Text(bytes) => return text(bytes),
        Value::Void => return Some(""),
        Value::Bool(truth) => return Some(if *truth { "true" } else { "false" }),
        Value::F32(n) => write!(number, "{n}"),
        Value::F64(n) => write!(number, "{n}"),
        Value::Timestamp(n) => write!(number, "{n}"),
        Value::Decimal { scale, value } => decimal(*scale, *value, number),
        Value::Array(_) | Value::Table(_) | Value::Binary(_) => return None,
        whole => write!(number, "{}", whole.as_int()?),
    };
    Some(number)
}

/// A number with `scale` digits behind its point.
fn decimal(scale: u8, value: i32, into: &mut String) -> std::fmt::Result {
    let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs().to_string());
    let scale = usize::from(scale);
    if scale == 0 {
        return write!(into, "{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, part) = padded.split_at(padded.len() - scale);
    write!(into, "{sign}{whole}.{part}")
}
