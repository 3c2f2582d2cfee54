//! A message's properties, and the bytes that carry them beside the body.
//!
//! The binary form is the property list of an AMQP 0-9-1 content header: sixteen
//! flag bits, then the fields present. A front that is handed these bytes checks
//! them with `Glance` and passes them on; only who must look inside decodes.

use crate::value::{Malformed, Table};
use bytes::Bytes;

/// The properties that every protocol can be told about.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // named as the protocols name them
pub struct Properties {
    pub content_type: Option<Bytes>,
    pub content_encoding: Option<Bytes>,
    pub headers: Option<Table>,
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub correlation_id: Option<Bytes>,
    pub reply_to: Option<Bytes>,
    /// Milliseconds, as text.
    pub expiration: Option<Bytes>,
    pub message_id: Option<Bytes>,
    pub timestamp: Option<u64>,
    pub kind: Option<Bytes>,
    pub user_id: Option<Bytes>,
    pub app_id: Option<Bytes>,
    pub cluster_id: Option<Bytes>,
}

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const KIND: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;
const CLUSTER_ID: u16 = 1 << 2;
/// Announces a second word of flags, which there is not. Bit 1 says nothing at all.
const CONTINUED: u16 = 1;

/// What routing and storing need to know of a property list, found without allocating.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance<'a> {
    /// delivery-mode 2
    pub persistent: bool,
    /// As given: 1 and 2 have a meaning.
    pub delivery_mode: Option<u8>,
    /// 0 when absent
    pub priority: u8,
    /// The raw expiration text.
    pub expiration: Option<&'a [u8]>,
    /// The header table with its length in front, not yet looked into.
    pub headers: Option<&'a [u8]>,
    /// The raw name to reply to.
    pub reply_to: Option<&'a [u8]>,
    /// The raw user id.
    pub user_id: Option<&'a [u8]>,
}

impl<'a> Glance<'a> {
    /// Walks over a whole property list. Fails where a field is cut short, more
    /// flags are announced, or bytes are left over; tables are not looked into.
    #[inline]
    pub fn of(head: &'a [u8]) -> Result<Glance<'a>, Malformed> {
        // Most messages have a delivery mode only, or nothing.
        match *head {
            [0x10, 0x00, mode] => {
                Ok(Glance { persistent: mode == 2, delivery_mode: Some(mode), ..Glance::default() })
            }
            [0, 0] => Ok(Glance::default()),
            _ => Glance::walk(head),
        }
    }

    fn walk(head: &'a [u8]) -> Result<Glance<'a>, Malformed> {
        let mut f = Fields::open(head)?;
        let mut g = Glance::default();
        f.short(CONTENT_TYPE)?;
        f.short(CONTENT_ENCODING)?;
        g.headers = f.table(HEADERS)?;
        g.delivery_mode = f.byte(DELIVERY_MODE)?;
        g.persistent = g.delivery_mode == Some(2);
        g.priority = f.byte(PRIORITY)?.unwrap_or(0);
        f.short(CORRELATION_ID)?;
        g.reply_to = f.short(REPLY_TO)?;
        g.expiration = f.short(EXPIRATION)?;
        f.short(MESSAGE_ID)?;
        f.long(TIMESTAMP)?;
        f.short(KIND)?;
        g.user_id = f.short(USER_ID)?;
        f.short(APP_ID)?;
        f.short(CLUSTER_ID)?;
        f.end()?;
        Ok(g)
    }
}

impl Properties {
    /// Reads a whole property list.
    pub fn decode(head: &[u8]) -> Result<Properties, Malformed> {
        let mut f = Fields::open(head)?;
        let copy = |b: Option<&[u8]>| b.map(Bytes::copy_from_slice);
        let p = Properties {
            content_type: copy(f.short(CONTENT_TYPE)?),
            content_encoding: copy(f.short(CONTENT_ENCODING)?),
            headers: f.table(HEADERS)?.map(Table::decode).transpose()?,
            delivery_mode: f.byte(DELIVERY_MODE)?,
            priority: f.byte(PRIORITY)?,
            correlation_id: copy(f.short(CORRELATION_ID)?),
            reply_to: copy(f.short(REPLY_TO)?),
            expiration: copy(f.short(EXPIRATION)?),
            message_id: copy(f.short(MESSAGE_ID)?),
            timestamp: f.long(TIMESTAMP)?,
            kind: copy(f.short(KIND)?),
            user_id: copy(f.short(USER_ID)?),
            app_id: copy(f.short(APP_ID)?),
            cluster_id: copy(f.short(CLUSTER_ID)?),
        };
        f.end()?;
        Ok(p)
    }

    /// Writes the property list. Texts over 255 bytes are cut: callers check first.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[0; 2]);
        let mut flags = 0;
        put_short(out, &mut flags, CONTENT_TYPE, &self.content_type);
        put_short(out, &mut flags, CONTENT_ENCODING, &self.content_encoding);
        if let Some(t) = &self.headers {
            flags |= HEADERS;
            t.encode(out);
        }
        for (bit, byte) in [(DELIVERY_MODE, self.delivery_mode), (PRIORITY, self.priority)] {
            if let Some(b) = byte {
                flags |= bit;
                out.push(b);
            }
        }
        put_short(out, &mut flags, CORRELATION_ID, &self.correlation_id);
        put_short(out, &mut flags, REPLY_TO, &self.reply_to);
        put_short(out, &mut flags, EXPIRATION, &self.expiration);
        put_short(out, &mut flags, MESSAGE_ID, &self.message_id);
        if let Some(t) = self.timestamp {
            flags |= TIMESTAMP;
            out.extend_from_slice(&t.to_be_bytes());
        }
        put_short(out, &mut flags, KIND, &self.kind);
        put_short(out, &mut flags, USER_ID, &self.user_id);
        put_short(out, &mut flags, APP_ID, &self.app_id);
        put_short(out, &mut flags, CLUSTER_ID, &self.cluster_id);
        out[at..at + 2].copy_from_slice(&flags.to_be_bytes());
    }
}

fn put_short(out: &mut Vec<u8>, flags: &mut u16, bit: u16, text: &Option<Bytes>) {
    if let Some(b) = text {
        *flags |= bit;
        let n = b.len().min(255);
        out.push(n as u8);
        out.extend_from_slice(&b[..n]);
    }
}

/// The fields behind their flags, read in order.
struct Fields<'a> {
    flags: u16,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn open(head: &'a [u8]) -> Result<Self, Malformed> {
        let (flags, rest) = head.split_first_chunk::<2>().ok_or(Malformed("no property flags"))?;
        let flags = u16::from_be_bytes(*flags);
        if flags & CONTINUED != 0 {
            return Err(Malformed("unknown property flag"));
        }
        Ok(Fields { flags, rest })
    }

    fn has(&self, bit: u16) -> bool {
        self.flags & bit != 0
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(Malformed("property cut short"))?;
        self.rest = rest;
        Ok(head)
    }

    fn byte(&mut self, bit: u16) -> Result<Option<u8>, Malformed> {
        Ok(if self.has(bit) { Some(self.take(1)?[0]) } else { None })
    }

    fn short(&mut self, bit: u16) -> Result<Option<&'a [u8]>, Malformed> {
        if !self.has(bit) {
            return Ok(None);
        }
        let n = self.take(1)?[0];
        self.take(n.into()).map(Some)
    }

    fn long(&mut self, bit: u16) -> Result<Option<u64>, Malformed> {
        if !self.has(bit) {
            return Ok(None);
        }
        let mut n = [0; 8];
        n.copy_from_slice(self.take(8)?);
        Ok(Some(u64::from_be_bytes(n)))
    }

    /// The table with its length in front.
    fn table(&mut self, bit: u16) -> Result<Option<&'a [u8]>, Malformed> {
        if !self.has(bit) {
            return Ok(None);
        }
        let n = self.rest.first_chunk::<4>().ok_or(Malformed("property cut short"))?;
        let n = u32::from_be_bytes(*n) as usize;
        self.take(n.saturating_add(4)).map(Some)
    }

    fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes after the properties")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn full() -> Properties {
        let text = |s: &'static str| Some(Bytes::from_static(s.as_bytes()));
        let mut headers = Table::default();
        headers.set("k", Value::I32(7));
        Properties {
            content_type: text("text/plain"),
            content_encoding: text("gzip"),
            headers: Some(headers),
            delivery_mode: Some(2),
            priority: Some(9),
            correlation_id: text("c"),
            reply_to: text("r"),
            expiration: text("1000"),
            message_id: text("m"),
            timestamp: Some(42),
            kind: text("t"),
            user_id: text("guest"),
            app_id: text("a"),
            cluster_id: text("x"),
        }
    }

    #[test]
    fn all_properties_come_back_as_they_went() {
        let mut head = Vec::new();
        full().encode(&mut head);
        assert_eq!(Properties::decode(&head), Ok(full()));
        let g = Glance::of(&head).unwrap();
        assert!(g.persistent);
        assert_eq!(
            (g.priority, g.expiration, g.user_id),
            (9, Some(&b"1000"[..]), Some(&b"guest"[..]))
        );
        assert_eq!((g.delivery_mode, g.reply_to), (Some(2), Some(&b"r"[..])));
        assert_eq!(Table::decode(g.headers.unwrap()).unwrap().get("k"), Some(&Value::I32(7)));
    }

    #[test]
    fn no_cut_of_a_property_list_is_accepted_or_panics() {
        let mut head = Vec::new();
        full().encode(&mut head);
        for n in 0..head.len() {
            assert!(Glance::of(&head[..n]).is_err(), "cut at {n}");
            assert!(Properties::decode(&head[..n]).is_err(), "cut at {n}");
        }
        head.push(0);
        assert!(Glance::of(&head).is_err());
    }

    #[test]
    fn a_flag_that_says_nothing_is_passed_over_and_one_that_announces_more_is_not() {
        assert!(Glance::of(&[0x10, 2, 2]).unwrap().persistent);
        assert!(Glance::of(&[0x10, 1, 2]).is_err());
        assert!(Properties::decode(&[0, 3]).is_err());
    }

    #[test]
    fn the_short_cuts_agree_with_the_walk() {
        for head in [&[0x10, 0, 2][..], &[0x10, 0, 1], &[0, 0]] {
            assert_eq!(Glance::of(head), Glance::walk(head));
        }
    }
}
