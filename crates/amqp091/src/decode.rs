//! Bytes to packets, and nothing else. Works on the exact payload of one frame:
//! a field that is cut short is an error, never a wish for more.

use crate::error::DecodeError;
use crate::packet::{Header, Method, RawTable, Secret, method_table};
use crate::table;
use lockgate_model::Table;
use nom::error::{ErrorKind, ParseError};
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32, be_u64};
use nom::{IResult, Parser};

/// The only thing that can go wrong inside a parser on an exact slice.
#[derive(Debug)]
struct Short;

impl<I> ParseError<I> for Short {
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Short
    }
    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }
}

fn short_string(bytes: &[u8]) -> IResult<&[u8], &[u8], Short> {
    length_data(be_u8).parse(bytes)
}

fn long_string(bytes: &[u8]) -> IResult<&[u8], &[u8], Short> {
    length_data(be_u32).parse(bytes)
}

/// Reads field after field; one method per kind of the method table.
struct Reader<'a> {
    rest: &'a [u8],
    /// The octet of flags last read, and how many of its bits are taken.
    bits: u8,
    taken: u8,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Reader { rest, bits: 0, taken: 8 }
    }

    fn take<O>(
        &mut self,
        mut parser: impl Parser<&'a [u8], Output = O, Error = Short>,
    ) -> Result<O, DecodeError> {
        self.taken = 8;
        let (rest, value) = parser.parse(self.rest).map_err(|_| DecodeError::Short)?;
        self.rest = rest;
        Ok(value)
    }

    fn octet(&mut self) -> Result<u8, DecodeError> {
        self.take(be_u8)
    }

    fn short(&mut self) -> Result<u16, DecodeError> {
        self.take(be_u16)
    }

    fn long(&mut self) -> Result<u32, DecodeError> {
        self.take(be_u32)
    }

    fn huge(&mut self) -> Result<u64, DecodeError> {
        self.take(be_u64)
    }

    /// Bits that follow each other share octets, the lowest first (section 4.2.5.2).
    fn bit(&mut self) -> Result<bool, DecodeError> {
        if self.taken == 8 {
            self.bits = self.octet()?;
            self.taken = 0;
        }
        let set = self.bits >> self.taken & 1 == 1;
        self.taken += 1;
        Ok(set)
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.key()?).map_err(|_| DecodeError::NotText)
    }

    fn key(&mut self) -> Result<&'a [u8], DecodeError> {
        self.take(short_string)
    }

    fn blob(&mut self) -> Result<&'a [u8], DecodeError> {
        self.take(long_string)
    }

    fn secret(&mut self) -> Result<Secret<'a>, DecodeError> {
        self.blob().map(Secret)
    }

    fn raw(&mut self) -> Result<RawTable<'a>, DecodeError> {
        let whole = self.rest;
        let inner = self.blob()?;
        let (with_length, _) = whole.split_at(inner.len() + 4);
        table::check(with_length).map_err(DecodeError::Table)?;
        Ok(RawTable(inner))
    }

    fn args(&mut self) -> Result<Table, DecodeError> {
        let whole = self.rest;
        let inner = self.blob()?;
        let (with_length, _) = whole.split_at(inner.len() + 4);
        Table::decode(with_length).map_err(DecodeError::Table)
    }
}

macro_rules! decoder {
    ($($class:literal $id:literal $name:literal $variant:ident { $($field:ident: $kind:ident),* })*) => {
        /// The method that is all of `payload`.
        pub fn method(payload: &[u8]) -> Result<Method<'_>, DecodeError> {
            let mut r = Reader::new(payload);
            let (class, id) = (r.short()?, r.short()?);
            let method = match (class, id) {
                $(($class, $id) => Method::$variant { $($field: r.$kind()?),* },)*
                (class, method) => return Err(DecodeError::Unknown { class, method }),
            };
            if r.rest.is_empty() { Ok(method) } else { Err(DecodeError::Trailing) }
        }
    };
}
method_table!(decoder);

/// Class and method id of a method's payload, if it has them.
pub fn id(payload: &[u8]) -> Option<(u16, u16)> {
    let [c0, c1, m0, m1] = *payload.first_chunk::<4>()?;
    Some((u16::from_be_bytes([c0, c1]), u16::from_be_bytes([m0, m1])))
}

/// The content header that is all of `payload`; its properties are not looked at.
pub fn header(payload: &[u8]) -> Result<Header<'_>, DecodeError> {
    let (properties, (class, weight, body_size)) =
        (be_u16::<_, Short>, be_u16, be_u64).parse(payload).map_err(|_| DecodeError::Short)?;
    Ok(Header { class, weight, body_size, properties })
}
