//! From MQTT 5 to the neutral property list, and to the native properties that go beside it.
//! Writes both in one go, without a table in between.

use super::{BARE, CONTENT_TYPE, CORRELATION, EXPIRY, NATIVE, REPLY_TOPIC};
use crate::dialect::Dialect;
use crate::packet::Qos;
use crate::property::{Properties, Property};
use lockgate_model::limits::{NAME_BYTES_MAX, VALUES_MAX};
use lockgate_model::{Range, Time};
use std::collections::BTreeSet;
use std::io::Write;

/// Most octets of a property list. It has to go into one frame of AMQP, and the frames that
/// nearly all of its clients agree to are twice as large.
const HEAD_MAX: usize = 64 * 1024;

// Flags of the property list, see `lockgate_model::Properties`.
const HAS_CONTENT_TYPE: u16 = 1 << 15;
const HAS_HEADERS: u16 = 1 << 13;
const HAS_DELIVERY_MODE: u16 = 1 << 12;
const HAS_CORRELATION_ID: u16 = 1 << 10;
const HAS_EXPIRATION: u16 = 1 << 8;

/// What a message says of itself, for everybody and for who speaks MQTT; both in the buffer
/// beside a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// The neutral property list.
    pub(crate) head: Range,
    /// `M` and the properties as they are delivered; empty if there are none.
    pub(crate) native: Range,
    /// How many properties the neutral list has no room for.
    pub(crate) untold: u32,
}

/// When a message's expiry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Now: the message is published.
    Now(Time),
    /// Whenever it is published: it is a will. Only the neutral list can say how long it lasts.
    Later,
}

/// Appends to `beside` what properties say of a message.
pub(crate) fn heads(
    properties: &Properties<'_>,
    qos: Qos,
    begins: Begins,
    dialect: Dialect,
    beside: &mut Vec<u8>,
) -> Heads {
    let at = beside.len();
    let bare = BARE[usize::from(qos != Qos::AtMostOnce)];
    if properties.is_empty() {
        beside.extend_from_slice(&bare);
        return Heads { head: Range::beside(at, 3), native: Range::default(), untold: 0 };
    }
    let said = Said::of(properties);
    let mut list = List { at, untold: 0, values: 0, names: Names::default(), out: beside };
    list.write(&said, properties, bare[2], dialect);
    let untold = list.untold;
    let native_at = beside.len();
    native(&said, properties, begins, beside);
    let native = match beside.len() - native_at {
        0 => Range::default(),
        size => Range::beside(native_at, size),
    };
    Heads { head: Range::beside(at, native_at - at), native, untold }
}

/// What stands in a list of properties at most once.
#[derive(Default)]
struct Said<'a> {
    content_type: Option<&'a str>,
    correlation: Option<&'a [u8]>,
    response: Option<&'a str>,
    expiry: Option<u32>,
    /// There is more that is not delivered as it was sent.
    passing: bool,
}

impl<'a> Said<'a> {
    fn of(properties: &Properties<'a>) -> Said<'a> {
        let mut said = Said::default();
        for property in properties.iter() {
            match property {
                Property::ContentType(text) => said.content_type = Some(text),
                Property::CorrelationData(bytes) => said.correlation = Some(bytes),
                Property::ResponseTopic(name) => said.response = Some(name),
                Property::MessageExpiry(seconds) => said.expiry = Some(seconds),
                property if is_passing(&property) => said.passing = true,
                _ => {}
            }
        }
        said
    }
}

/// Is it between this client and us alone?
fn is_passing(property: &Property<'_>) -> bool {
    matches!(
        property,
        Property::TopicAlias(_) | Property::SubscriptionId(_) | Property::WillDelay(_)
    )
}

/// Appends what is delivered to whoever speaks the same; nothing if that is nothing.
fn native(said: &Said<'_>, properties: &Properties<'_>, begins: Begins, out: &mut Vec<u8>) {
    let at = out.len();
    out.push(NATIVE);
    if let (Some(seconds), Begins::Now(now)) = (said.expiry, begins) {
        let until = now.secs().saturating_add(seconds.into());
        out.push(EXPIRY);
        out.extend_from_slice(&u32::try_from(until).unwrap_or(u32::MAX).to_be_bytes());
    }
    if said.expiry.is_none() && !said.passing {
        out.extend_from_slice(properties.as_bytes());
        return;
    }
    for property in properties.iter() {
        let is_expiry = matches!(property, Property::MessageExpiry(_));
        if !is_expiry && !is_passing(&property) {
            // It was read, so its parts are as short as they have to be.
            let _ = property.write(out);
        }
    }
    if out.len() == at + 1 {
        out.truncate(at);
    }
}

/// A property list that is being written, from `at` on.
struct List<'o, 'a> {
    at: usize,
    untold: u32,
    values: usize,
    names: Names<'a>,
    out: &'o mut Vec<u8>,
}

impl<'a> List<'_, 'a> {
    fn write(&mut self, said: &Said<'a>, all: &Properties<'a>, mode: u8, dialect: Dialect) {
        let mut flags = HAS_DELIVERY_MODE;
        self.out.extend_from_slice(&[0; 2]);
        let content_type = said.content_type.filter(|t| t.len() <= NAME_BYTES_MAX);
        if let Some(text) = content_type {
            flags |= HAS_CONTENT_TYPE;
            self.short(text.as_bytes());
        }
        let id = said.correlation.filter(|id| id.len() <= NAME_BYTES_MAX && is_text(id));
        let table_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        if let (Some(text), None) = (said.content_type, content_type) {
            self.header(CONTENT_TYPE, b'S', text.as_bytes());
        }
        if let (Some(bytes), None) = (said.correlation, id) {
            self.header(CORRELATION, if is_text(bytes) { b'S' } else { b'x' }, bytes);
        }
        if let Some(name) = said.response {
            let mut key = Vec::new();
            dialect.key(name, &mut key);
            self.header(REPLY_TOPIC, b'S', &key);
        }
        for (name, value) in all.user_properties() {
            self.header(name, b'S', value.as_bytes());
        }
        let size = self.out.len() - table_at - 4;
        if size > 0 {
            flags |= HAS_HEADERS;
            self.out[table_at..table_at + 4].copy_from_slice(&(size as u32).to_be_bytes());
        } else {
            self.out.truncate(table_at);
        }
        self.out.push(mode);
        if let Some(id) = id {
            flags |= HAS_CORRELATION_ID;
            self.short(id);
        }
        if let Some(seconds) = said.expiry {
            flags |= HAS_EXPIRATION;
            let at = self.out.len();
            self.out.push(0);
            // Writing to memory does not fail.
            let _ = write!(self.out, "{}", u64::from(seconds) * 1000);
            self.out[at] = (self.out.len() - at - 1) as u8;
        }
        self.out[self.at..self.at + 2].copy_from_slice(&flags.to_be_bytes());
    }

    /// Appends a short string, which is one.
    fn short(&mut self, bytes: &[u8]) {
        self.out.push(bytes.len() as u8);
        self.out.extend_from_slice(bytes);
    }

    /// Appends a header, if it is the first of its name and there is room.
    fn header(&mut self, name: &'a str, tag: u8, value: &[u8]) {
        let size = self.out.len() - self.at + 1 + name.len() + 1 + 4 + value.len();
        // Behind the table stand two short strings at most.
        let room = size + 2 * (1 + NAME_BYTES_MAX) <= HEAD_MAX && self.values < VALUES_MAX;
        if name.len() > NAME_BYTES_MAX || !room || !self.names.add(name) {
            self.untold += 1;
            return;
        }
        self.values += 1;
        self.short(name.as_bytes());
        self.out.push(tag);
        self.out.extend_from_slice(&(value.len() as u32).to_be_bytes());
        self.out.extend_from_slice(value);
    }
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// Names that were used: few are compared one by one, many are looked up.
#[derive(Default)]
struct Names<'a> {
    few: [&'a str; 16],
    count: usize,
    many: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// Adds a name; false if it is there.
    fn add(&mut self, name: &'a str) -> bool {
        if self.few.iter().take(self.count).any(|n| *n == name) {
            return false;
        }
        match self.few.get_mut(self.count) {
            Some(slot) => {
                *slot = name;
                self.count += 1;
                true
            }
            None => self.many.insert(name),
        }
    }
}
