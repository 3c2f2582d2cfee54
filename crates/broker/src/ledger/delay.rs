//! How long a message asks to be held back: the header `x-delay`, in milliseconds.

use lockgate_model::{Glance, Table, Value};

/// The header's name, as it stands in a table: its length in front.
const NAME: &str = "x-delay";
const WRITTEN: &[u8] = b"\x07x-delay";

/// Longest delay. RabbitMQ's plugin sends on at once what asks for more, and so do we.
const DELAY_MAX: i64 = u32::MAX as i64;

/// What a message with these headers asks for; none if it is to go on at once.
pub fn delay_in(headers: &Table) -> Option<u64> {
    let value = headers.get(NAME)?;
    let ms = match value {
        Value::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok()?,
        // Rust's casts saturate, and what is no number becomes 0.
        Value::F32(ms) => *ms as i64,
        Value::F64(ms) => *ms as i64,
        other => other.as_int()?,
    };
    (1..=DELAY_MAX).contains(&ms).then_some(ms as u64)
}

/// The same from a property list: most have no headers, and most of those no such one.
#[inline]
pub fn delay(head: &[u8]) -> Option<u64> {
    const HEADERS: u8 = 0x20;
    if head.first()? & HEADERS == 0 || !head.windows(WRITTEN.len()).any(|w| w == WRITTEN) {
        return None;
    }
    delay_in(&Table::decode(Glance::of(head).ok()?.headers?).ok()?)
}

/// Marks a message as having been held back: its delay is turned round, so that no other
/// exchange on its way holds it back again.
pub fn turn_round(headers: &mut Table) {
    if let Some(ms) = delay_in(headers) {
        headers.set(NAME, Value::I64(-(ms as i64)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_model::Properties;

    #[test]
    fn a_delay_is_a_number_of_any_spelling_within_bounds() {
        let asked = |value: Value| {
            let mut headers = Table::default();
            headers.set("other", Value::I32(1));
            headers.set("x-delay", value);
            let mut head = Vec::new();
            Properties { headers: Some(headers), ..Properties::default() }.encode(&mut head);
            delay(&head)
        };
        let five = [Value::I32(5), Value::U8(5), Value::I64(5), Value::text("5"), Value::F64(5.9)];
        five.into_iter().for_each(|v| assert_eq!(asked(v.clone()), Some(5), "{v:?}"));
        assert_eq!(asked(Value::I64(u32::MAX.into())), Some(u32::MAX.into()));
        let none = [
            Value::I32(0),
            Value::I32(-5),
            Value::I64(1 << 32),
            Value::text("soon"),
            Value::F64(f64::NAN),
            Value::Void,
        ];
        none.into_iter().for_each(|v| assert_eq!(asked(v.clone()), None, "{v:?}"));
        assert_eq!((delay(&[]), delay(&[0, 0]), delay(&[0x20, 0, 0, 0])), (None, None, None));
    }

    #[test]
    fn what_was_held_back_is_not_held_back_again() {
        let mut headers = Table::default();
        headers.set("x-delay", Value::text("250"));
        turn_round(&mut headers);
        assert_eq!(headers.get("x-delay"), Some(&Value::I64(-250)));
        assert_eq!(delay_in(&headers), None);
    }
}
