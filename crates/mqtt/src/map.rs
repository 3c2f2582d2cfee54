//! Between MQTT's properties and the neutral list: what a PUBLISH says, for everybody and for
//! who speaks MQTT. Never judges a packet.

use crate::packet::{Qos, Version};
use crate::property::Properties;
use lockgate_model::{Range, Time};

/// The property lists of messages that say nothing of themselves, one for each delivery mode.
pub(crate) const BARE: [[u8; 3]; 2] = [[0x10, 0, 1], [0x10, 0, 2]];

/// What a message says of itself, for everybody and for who speaks MQTT; both behind the end
/// of what stands beside a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// The neutral property list.
    pub(crate) head: Range,
    /// `M` and the properties; empty if there are none.
    pub(crate) native: Range,
}

/// When a message's expiry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// Now: the message is published.
    Now(Time),
    /// Whenever it is published: it is a will.
    Later,
}

/// Appends to `beside` what properties say of a message.
pub(crate) fn heads(
    _version: Version,
    properties: &Properties<'_>,
    qos: Qos,
    _begins: Begins,
    beside: &mut Vec<u8>,
) -> Heads {
    let head = Range::beside(beside.len(), 3);
    beside.extend_from_slice(&BARE[usize::from(qos != Qos::AtMostOnce)]);
    let native = if properties.is_empty() {
        Range::default()
    } else {
        let at = beside.len();
        beside.push(b'M');
        beside.extend_from_slice(properties.as_bytes());
        Range::beside(at, beside.len() - at)
    };
    Heads { head, native }
}
