//! Typed values and tables, and their one binary form.
//!
//! The form is the field table of AMQP 0-9-1 with RabbitMQ's letters, since that
//! is a superset of what the other protocols carry, and since messages that pass
//! through in it need no conversion at all. Decoding never trusts a length.

use crate::limits::{NESTING_MAX, VALUES_MAX};
use bytes::Bytes;

/// The bytes do not follow the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// One typed value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the variants say it
pub enum Value {
    Bool(bool),
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    F32(f32),
    F64(f64),
    Decimal { scale: u8, value: i32 },
    Text(Bytes),
    Binary(Bytes),
    Array(Vec<Value>),
    Timestamp(u64),
    Table(Table),
    Void,
}

impl Value {
    /// A text value.
    pub fn text(s: &str) -> Value {
        Value::Text(Bytes::copy_from_slice(s.as_bytes()))
    }

    /// The integer, whatever its width; none if it is no integer.
    pub fn as_int(&self) -> Option<i64> {
        Some(match *self {
            Value::I8(n) => n.into(),
            Value::U8(n) => n.into(),
            Value::I16(n) => n.into(),
            Value::U16(n) => n.into(),
            Value::I32(n) => n.into(),
            Value::U32(n) => n.into(),
            Value::I64(n) => n,
            _ => return None,
        })
    }

    /// The text, if it is text and UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(b) => std::str::from_utf8(b).ok(),
            _ => None,
        }
    }

    /// Equal as an argument of a declaration: integers compare across widths.
    pub fn same(&self, other: &Value) -> bool {
        match (self.as_int(), other.as_int()) {
            (Some(a), Some(b)) => a == b,
            (None, None) => self == other,
            _ => false,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Bool(b) => out.extend_from_slice(&[b't', u8::from(*b)]),
            Value::I8(n) => out.extend_from_slice(&[b'b', n.to_be_bytes()[0]]),
            Value::U8(n) => out.extend_from_slice(&[b'B', *n]),
            Value::I16(n) => tagged(out, b's', &n.to_be_bytes()),
            Value::U16(n) => tagged(out, b'u', &n.to_be_bytes()),
            Value::I32(n) => tagged(out, b'I', &n.to_be_bytes()),
            Value::U32(n) => tagged(out, b'i', &n.to_be_bytes()),
            Value::I64(n) => tagged(out, b'l', &n.to_be_bytes()),
            Value::F32(n) => tagged(out, b'f', &n.to_be_bytes()),
            Value::F64(n) => tagged(out, b'd', &n.to_be_bytes()),
            Value::Timestamp(n) => tagged(out, b'T', &n.to_be_bytes()),
            Value::Decimal { scale, value } => {
                out.extend_from_slice(&[b'D', *scale]);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Value::Text(b) => long(out, b'S', b),
            Value::Binary(b) => long(out, b'x', b),
            Value::Array(items) => {
                out.push(b'A');
                sized(out, |out| items.iter().for_each(|v| v.encode(out)));
            }
            Value::Table(t) => {
                out.push(b'F');
                t.encode(out);
            }
            Value::Void => out.push(b'V'),
        }
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn long(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn sized(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// Named values in the order they were given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(Box<str>, Value)>);

impl Table {
    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, v)| v)
    }

    /// True if nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a value, replacing the first of that name.
    pub fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(n, _)| &**n == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Writes the table with its length in front.
    pub fn encode(&self, out: &mut Vec<u8>) {
        sized(out, |out| {
            for (name, value) in &self.0 {
                let n = name.len().min(255);
                out.push(n as u8);
                out.extend_from_slice(&name.as_bytes()[..n]);
                value.encode(out);
            }
        });
    }

    /// Reads a table with its length in front, all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Table, Malformed> {
        let mut r = Reader { rest: bytes, values: 0 };
        let table = r.table(0)?;
        if r.rest.is_empty() { Ok(table) } else { Err(Malformed("bytes after the table")) }
    }
}

/// A cursor that never reads past its bytes.
struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Malformed("value cut short"))?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or(Malformed("value cut short"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let n = u32::from_be_bytes(self.array()?);
        self.take(n as usize)
    }

    fn table(&mut self, depth: usize) -> Result<Table, Malformed> {
        let mut inner = Reader { rest: self.long()?, values: self.values };
        let mut fields = Vec::new();
        while !inner.rest.is_empty() {
            let [n] = inner.array()?;
            let name = std::str::from_utf8(inner.take(n.into())?)
                .map_err(|_| Malformed("field name is not UTF-8"))?;
            fields.push((name.into(), inner.value(depth)?));
        }
        self.values = inner.values;
        Ok(Table(fields))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(Malformed("too many values"));
        }
        if depth > NESTING_MAX {
            return Err(Malformed("nested too deep"));
        }
        let [tag] = self.array()?;
        Ok(match tag {
            b't' => Value::Bool(self.array::<1>()?[0] != 0),
            b'b' => Value::I8(i8::from_be_bytes(self.array()?)),
            b'B' => Value::U8(u8::from_be_bytes(self.array()?)),
            b's' | b'U' => Value::I16(i16::from_be_bytes(self.array()?)),
            b'u' => Value::U16(u16::from_be_bytes(self.array()?)),
            b'I' => Value::I32(i32::from_be_bytes(self.array()?)),
            b'i' => Value::U32(u32::from_be_bytes(self.array()?)),
            b'l' | b'L' => Value::I64(i64::from_be_bytes(self.array()?)),
            b'f' => Value::F32(f32::from_be_bytes(self.array()?)),
            b'd' => Value::F64(f64::from_be_bytes(self.array()?)),
            b'T' => Value::Timestamp(u64::from_be_bytes(self.array()?)),
            b'D' => {
                let [scale] = self.array()?;
                Value::Decimal { scale, value: i32::from_be_bytes(self.array()?) }
            }
            b'S' => Value::Text(Bytes::copy_from_slice(self.long()?)),
            b'x' => Value::Binary(Bytes::copy_from_slice(self.long()?)),
            b'A' => {
                let mut inner = Reader { rest: self.long()?, values: self.values };
                let mut items = Vec::new();
                while !inner.rest.is_empty() {
                    items.push(inner.value(depth + 1)?);
                }
                self.values = inner.values;
                Value::Array(items)
            }
            b'F' => Value::Table(self.table(depth + 1)?),
            b'V' => Value::Void,
            _ => return Err(Malformed("unknown value type")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_type() -> Table {
        let mut inner = Table::default();
        inner.set("deep", Value::Void);
        Table(vec![
            ("t".into(), Value::Bool(true)),
            ("b".into(), Value::I8(-1)),
            ("B".into(), Value::U8(255)),
            ("s".into(), Value::I16(-2)),
            ("u".into(), Value::U16(65_535)),
            ("I".into(), Value::I32(-3)),
            ("i".into(), Value::U32(u32::MAX)),
            ("l".into(), Value::I64(i64::MIN)),
            ("f".into(), Value::F32(1.5)),
            ("d".into(), Value::F64(-2.5)),
            ("T".into(), Value::Timestamp(1_700_000_000)),
            ("D".into(), Value::Decimal { scale: 2, value: 314 }),
            ("S".into(), Value::text("hello")),
            ("x".into(), Value::Binary(Bytes::from_static(&[0, 159, 255]))),
            ("A".into(), Value::Array(vec![Value::I32(1), Value::text("two")])),
            ("F".into(), Value::Table(inner)),
            ("V".into(), Value::Void),
        ])
    }

    #[test]
    fn every_type_comes_back_as_it_went() {
        let mut bytes = Vec::new();
        every_type().encode(&mut bytes);
        assert_eq!(Table::decode(&bytes), Ok(every_type()));
    }

    #[test]
    fn no_cut_of_a_table_is_accepted_or_panics() {
        let mut bytes = Vec::new();
        every_type().encode(&mut bytes);
        for n in 0..bytes.len() {
            assert!(Table::decode(&bytes[..n]).is_err(), "cut at {n}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut value = Value::Void;
        for _ in 0..40 {
            value = Value::Array(vec![value]);
        }
        let mut bytes = Vec::new();
        Table(vec![("a".into(), value)]).encode(&mut bytes);
        assert_eq!(Table::decode(&bytes), Err(Malformed("nested too deep")));
    }

    #[test]
    fn zero_width_values_cannot_fill_memory() {
        let void = Value::Array(vec![Value::Void; VALUES_MAX + 1]);
        let mut bytes = Vec::new();
        Table(vec![("a".into(), void)]).encode(&mut bytes);
        assert_eq!(Table::decode(&bytes), Err(Malformed("too many values")));
    }

    #[test]
    fn integers_compare_across_widths_as_arguments() {
        assert!(Value::I32(5).same(&Value::I64(5)));
        assert!(!Value::I32(5).same(&Value::text("5")));
    }
}
