//! Messages to the client: deliveries to PUBLISH, what it acknowledges to settlements, and
//! what is in flight between both. Never decides what is delivered.

use crate::Shared;
use crate::error::Fault;
use crate::packet::{PacketId, Version};
use crate::reason::Reason;
use lockgate_front::Output;
use lockgate_model::{Attached, Consumer, Delivery, Interest, Ticket, Time};

/// Set in the tickets of `Command::Received`, and in no other of a session's.
pub(super) const RECEIVED: u64 = 1 << 63;

/// What was agreed with the client of what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// What is spoken.
    pub(super) version: Version,
    /// The largest packet that it takes, with its head.
    pub(super) packet_max: usize,
    /// How many topics may be given numbers: what the client takes and the settings allow.
    pub(super) alias_max: u16,
    /// Most messages with QoS above 0 on the way to it: its Receive Maximum and what the
    /// settings allow, and what the attachment says.
    pub(super) in_flight_max: u16,
}

/// What is sent to the client.
#[derive(Debug)]
pub(super) struct Outbound {
    terms: Terms,
}

impl Outbound {
    /// Nothing is sent yet.
    pub(super) fn new() -> Outbound {
        let (version, packet_max) = (Version::V311, usize::MAX);
        Outbound { terms: Terms { version, packet_max, alias_max: 0, in_flight_max: 1 } }
    }

    /// The berth is taken and CONNACK is said: PUBREL goes again for what was received.
    pub(super) fn attached(
        &mut self,
        _shared: &Shared,
        terms: Terms,
        _attached: &Attached,
        _out: &mut Output,
    ) {
        self.terms = terms;
    }

    /// An interest was declared, in place of one of the same filter.
    pub(super) fn follow(&mut self, _interest: Interest, _consumer: Consumer) {}

    /// An interest ended.
    pub(super) fn unfollow(&mut self, _filter: &str) {}

    /// Is there an interest of this filter?
    pub(super) fn follows(&self, _filter: &str) -> bool {
        false
    }

    /// How many interests there are.
    pub(super) fn interests(&self) -> usize {
        0
    }

    /// Sends messages, and says what they take of the window.
    pub(super) fn deliver(&mut self, _shared: &Shared, d: &Delivery, _now: Time, out: &mut Output) {
        out.delivered += d.cost;
    }

    /// The client has taken a message with QoS 1.
    pub(super) fn puback(
        &mut self,
        _id: PacketId,
        _reason: Reason,
        _out: &mut Output,
    ) -> Result<(), Fault> {
        Ok(())
    }

    /// The client has received a message with QoS 2, or refused it.
    pub(super) fn pubrec(
        &mut self,
        _id: PacketId,
        _reason: Reason,
        _out: &mut Output,
    ) -> Result<(), Fault> {
        Ok(())
    }

    /// The client has forgotten the packet identifier of a message with QoS 2.
    pub(super) fn pubcomp(
        &mut self,
        _id: PacketId,
        _reason: Reason,
        _out: &mut Output,
    ) -> Result<(), Fault> {
        Ok(())
    }

    /// `count` of what was received is safe, from this ticket on: PUBREL leaves.
    pub(super) fn confirmed(&mut self, _first: Ticket, _count: u32, _out: &mut Output) {}

    /// The end of a turn that brought anything of the above: hands over what acknowledgements
    /// were gathered, and sends what waited for them.
    pub(super) fn flush(&mut self, _now: Time, _out: &mut Output) {}
}
