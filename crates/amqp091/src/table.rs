//! Field tables looked at where they lie: checked, or walked over, without an
//! allocation. What passes `check` is what `lockgate_model::Table::decode` accepts.

use lockgate_model::Malformed;
use lockgate_model::limits::{NESTING_MAX, VALUES_MAX};

const SHORT: Malformed = Malformed("value cut short");

/// A value as it lies in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawValue<'a> {
    /// Its type letter.
    pub tag: u8,
    /// Its bytes; without the length in front where it has one.
    pub bytes: &'a [u8],
}

/// The fields of a table's bytes, its length not among them. Ends at the first
/// malformed one, so whoever must know checks first.
#[derive(Clone, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], RawValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (&n, rest) = self.0.split_first()?;
        let (name, rest) = rest.split_at_checked(n.into())?;
        let (value, rest) = value(rest).ok()?;
        self.0 = rest;
        Some((name, value))
    }
}

/// Checks a whole table, its length in front, nested ones too.
pub fn check(bytes: &[u8]) -> Result<(), Malformed> {
    let (inner, rest) = long(bytes)?;
    check_fields(inner, 0, &mut 0)?;
    if rest.is_empty() { Ok(()) } else { Err(Malformed("bytes after the table")) }
}

fn check_fields(mut rest: &[u8], depth: usize, values: &mut usize) -> Result<(), Malformed> {
    while let Some((&n, after)) = rest.split_first() {
        let (name, after) = after.split_at_checked(n.into()).ok_or(SHORT)?;
        if !name.is_ascii() && std::str::from_utf8(name).is_err() {
            return Err(Malformed("field name is not UTF-8"));
        }
        rest = check_value(after, depth, values)?;
    }
    Ok(())
}

fn check_value<'a>(
    bytes: &'a [u8],
    depth: usize,
    values: &mut usize,
) -> Result<&'a [u8], Malformed> {
    *values += 1;
    if *values > VALUES_MAX {
        return Err(Malformed("too many values"));
    }
    if depth > NESTING_MAX {
        return Err(Malformed("nested too deep"));
    }
    let (found, after) = value(bytes)?;
    match found.tag {
        b'F' => check_fields(found.bytes, depth + 1, values)?,
        b'A' => {
            let mut rest = found.bytes;
            while !rest.is_empty() {
                rest = check_value(rest, depth + 1, values)?;
            }
        }
        _ => {}
    }
    Ok(after)
}

/// Cuts off the value that `bytes` begin with, its letter in front.
fn value(bytes: &[u8]) -> Result<(RawValue<'_>, &[u8]), Malformed> {
    let (&tag, rest) = bytes.split_first().ok_or(SHORT)?;
    let (bytes, rest) = match tag {
        b't' | b'b' | b'B' => fixed(rest, 1),
        b's' | b'U' | b'u' => fixed(rest, 2),
        b'I' | b'i' | b'f' => fixed(rest, 4),
        b'l' | b'L' | b'd' | b'T' => fixed(rest, 8),
        b'D' => fixed(rest, 5),
        b'S' | b'x' | b'A' | b'F' => long(rest),
        b'V' => fixed(rest, 0),
        _ => Err(Malformed("unknown value type")),
    }?;
    Ok((RawValue { tag, bytes }, rest))
}

fn fixed(bytes: &[u8], n: usize) -> Result<(&[u8], &[u8]), Malformed> {
    bytes.split_at_checked(n).ok_or(SHORT)
}

fn long(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (n, rest) = bytes.split_first_chunk::<4>().ok_or(SHORT)?;
    rest.split_at_checked(u32::from_be_bytes(*n) as usize).ok_or(SHORT)
}
