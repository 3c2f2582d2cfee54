//! A PUBLISH up to its payload, kept for the next one: mostly they differ in a few numbers
//! only, so that a message costs them and two copies.
//!
//! ```text
//!   room for     | length, | packet     | length, properties                      | payload
//!   fixed header | topic   | identifier | [expiry] own [subscriptions] [alias]    |
//! ```

use super::alias::Said;
use crate::dialect::Dialect;
use crate::frame::{HEAD_MAX, LENGTH_MAX, number_size, put_number};
use crate::map;
use crate::packet::Version;
use crate::property::Property;
use bytes::Bytes;
use lockgate_front::WriteBuffer;
use lockgate_model::Stamp;
use std::num::NonZeroU32;

/// Larger than this, a layout gives its memory back: idle connections hold none.
const KEEP_MAX: usize = 1024;

/// What has to be the same for a layout to be that of the next message, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Like {
    /// Of what was heard of its topic; 0 is that of none.
    pub(super) serial: u64,
    /// The first octet.
    pub(super) flags: u8,
    /// What is to be written on it.
    pub(super) stamp: Stamp,
}

/// What a message says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Own<'a> {
    pub(super) native: &'a [u8],
    pub(super) head: &'a [u8],
}

/// The bytes of the last message.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// `HEAD_MAX` octets, of which the fixed header takes the last, and the rest.
    bytes: Vec<u8>,
    like: Like,
    /// Native properties and list that the properties were made of.
    own: Vec<u8>,
    native_size: usize,
    /// Where the packet begins, as long as its payload has this size.
    begin: usize,
    payload: usize,
    /// Where the packet identifier stands; 0 if there is none.
    id_at: usize,
    /// Where the expiry stands that is counted down; 0 if there is none.
    expiry_at: usize,
    /// How the topic is said.
    pub(super) said: Said,
    /// How much of what the message says of itself cannot be told.
    pub(super) untold: u32,
}

impl Layout {
    /// Is the next message like the last?
    #[inline]
    pub(super) fn is(&self, like: Like, own: Own<'_>) -> bool {
        let size = own.native.len() + own.head.len();
        if self.like != like || self.own.len() != size {
            return false;
        }
        // Mostly there is nothing to compare, and comparing nothing at no address takes 100 ns:
        // vector instructions fault there and are started again.
        size == 0
            || self.native_size == own.native.len()
                && self.own[..self.native_size] == *own.native
                && self.own[self.native_size..] == *own.head
    }

    /// Nothing is like it.
    pub(super) fn forget(&mut self) {
        self.like = Like::default();
        if self.bytes.capacity() + self.own.capacity() > KEEP_MAX {
            *self = Layout::default();
        }
    }

    /// Is it so large that it should not be kept for long?
    pub(super) fn is_large(&self) -> bool {
        self.bytes.capacity() + self.own.capacity() > KEEP_MAX
    }

    /// How many octets stand before a payload, at most.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Lays out a message.
    pub(super) fn lay_out(
        &mut self,
        version: Version,
        dialect: Dialect,
        topic: (&str, Said),
        labels: &[u32],
        like: Like,
        own: Own<'_>,
    ) {
        let (topic, said) = topic;
        self.like = like;
        self.own.clear();
        self.own.extend_from_slice(own.native);
        self.own.extend_from_slice(own.head);
        self.native_size = own.native.len();
        (self.payload, self.id_at, self.expiry_at) = (usize::MAX, 0, 0);
        (self.said, self.untold) = (said, 0);
        self.bytes.clear();
        self.bytes.extend_from_slice(&[0; HEAD_MAX]);
        let name = if matches!(said, Said::Number(_)) { "" } else { topic };
        self.bytes.extend_from_slice(&(name.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        if like.flags & 0b0110 != 0 {
            self.id_at = self.bytes.len();
            self.bytes.extend_from_slice(&[0; 2]);
        }
        if version < Version::V5 {
            return;
        }
        let at = self.bytes.len();
        // Their length stands before them, and is nearly always one octet.
        self.bytes.push(0);
        self.properties(dialect, said, labels, like.stamp, own);
        let size = self.bytes.len() - at - 1;
        if size < 0x80 {
            self.bytes[at] = size as u8;
            return;
        }
        let mut length = Vec::with_capacity(4);
        put_number(&mut length, size);
        if self.expiry_at > 0 {
            self.expiry_at += length.len() - 1;
        }
        self.bytes.splice(at..=at, length);
    }

    fn properties(
        &mut self,
        dialect: Dialect,
        said: Said,
        labels: &[u32],
        stamp: Stamp,
        own: Own<'_>,
    ) {
        if map::deadline(own.native, own.head).is_some() {
            self.expiry_at = self.bytes.len() + 1;
        }
        self.untold = map::put_own(own.native, own.head, stamp, dialect, &mut self.bytes);
        let labels = labels.iter().filter_map(|label| NonZeroU32::new(*label));
        let alias = match said {
            Said::Name => None,
            Said::Both(number) | Said::Number(number) => Some(Property::TopicAlias(number)),
        };
        for property in labels.map(Property::SubscriptionId).chain(alias) {
            let before = self.bytes.len();
            if property.write(&mut self.bytes).is_err() {
                self.bytes.truncate(before);
            }
        }
    }

    /// Makes the fixed header that of a packet with so large a payload; how large it is, or
    /// nothing if no packet is.
    #[inline]
    pub(super) fn fit(&mut self, payload: usize) -> Option<usize> {
        if payload != self.payload {
            let size = (self.bytes.len() - HEAD_MAX).checked_add(payload)?;
            if size > LENGTH_MAX {
                return None;
            }
            self.begin = HEAD_MAX - 1 - number_size(size);
            self.payload = payload;
            let (mut at, mut left) = (self.begin + 1, size);
            self.bytes[self.begin] = self.like.flags;
            while at < HEAD_MAX {
                let more = if at + 1 < HEAD_MAX { 0x80 } else { 0 };
                self.bytes[at] = left as u8 & 0x7f | more;
                left >>= 7;
                at += 1;
            }
        }
        Some(self.bytes.len() - self.begin + payload)
    }

    /// Writes the packet. `fit` has been asked for the size of this payload, a part of `whole`.
    #[inline]
    pub(super) fn write(
        &mut self,
        id: u16,
        left: u32,
        whole: &Bytes,
        payload: &[u8],
        out: &mut WriteBuffer,
    ) {
        if self.id_at > 0 {
            self.bytes[self.id_at..self.id_at + 2].copy_from_slice(&id.to_be_bytes());
        }
        if self.expiry_at > 0 {
            self.bytes[self.expiry_at..self.expiry_at + 4].copy_from_slice(&left.to_be_bytes());
        }
        out.small().extend_from_slice(&self.bytes[self.begin..]);
        out.body(whole, payload);
    }
}
