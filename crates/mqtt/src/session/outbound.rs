//! Messages to the client: deliveries to PUBLISH, what it acknowledges to settlements, and
//! what is in flight between both. Never decides what is delivered.
//!
//! ```text
//!  Delivery --> topic, interests --> QoS, flags --> identifier --> Layout --> bytes
//!                     |                                 |
//!                     v nobody hears it, too large,     v in use, or too many on the way
//!                settled at once                   waits until an acknowledgement comes
//! ```

mod alias;
mod crossing;
mod flight;
mod gather;
mod late;
mod layout;
mod send;
#[cfg(test)]
mod tests;

use crate::dialect::Dialect;
use crate::encode;
use crate::error::Fault;
use crate::interests::Interests;
use crate::packet::{Ack, Packet, PacketId, Version};
use crate::property::Properties;
use crate::reason::Reason;
use alias::Aliases;
use crossing::Crossing;
use flight::{Flight, Pubrec};
use gather::Gather;
use late::Late;
use layout::Layout;
use lockgate_front::Output;
use lockgate_model::{Attached, Consumer, Delivery, Interest, Mark, Outcome, Ticket, Time};
use std::collections::VecDeque;
use std::num::NonZeroU16;

/// Set in the tickets of `Command::Received`, and in no other of a session's.
pub(super) const RECEIVED: u64 = 1 << 63;

/// What was agreed with the client of what is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// What is spoken.
    pub(super) version: Version,
    /// Whose rules make topics of keys.
    pub(super) dialect: Dialect,
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
    interests: Interests,
    crossing: Late<Crossing>,
    /// None for a client that takes no numbers for topics.
    aliases: Option<Box<Aliases>>,
    layout: Late<Layout>,
    flight: Flight,
    gather: Late<Gather>,
    /// Deliveries to be settled that wait for identifiers, each with the first message that
    /// has not been sent; in order.
    waiting: VecDeque<(Delivery, u32)>,
}

impl Outbound {
    /// Nothing is sent yet.
    pub(super) fn new() -> Outbound {
        let (version, dialect, packet_max) = (Version::V311, Dialect::default(), usize::MAX);
        Outbound {
            terms: Terms { version, dialect, packet_max, alias_max: 0, in_flight_max: 1 },
            interests: Interests::default(),
            crossing: Late::default(),
            aliases: None,
            layout: Late::default(),
            flight: Flight::default(),
            gather: Late::default(),
            waiting: VecDeque::new(),
        }
    }

    /// The berth is taken and CONNACK is said: PUBREL goes again for what was received.
    pub(super) fn attached(&mut self, terms: Terms, attached: &Attached, out: &mut Output) {
        self.terms = terms;
        let numbers = terms.version == Version::V5 && terms.alias_max > 0;
        self.aliases = numbers.then(|| Box::new(Aliases::new(terms.alias_max)));
        self.flight = Flight::new(terms.in_flight_max);
        for (interest, handle) in &attached.interests {
            self.interests.follow(interest, *handle);
        }
        for mark in &attached.received {
            self.flight.resume(*mark);
            pubrel(&self.terms, mark.0, Reason::Success, out);
        }
    }

    /// An interest was declared, in place of one of the same filter.
    pub(super) fn follow(&mut self, interest: Interest, consumer: Consumer) {
        self.interests.follow(&interest, consumer);
    }

    /// An interest ended.
    pub(super) fn unfollow(&mut self, filter: &str) {
        self.interests.unfollow(filter);
    }

    /// Is there an interest of this filter?
    pub(super) fn follows(&self, filter: &str) -> bool {
        self.interests.follows(filter)
    }

    /// How many interests there are.
    pub(super) fn interests(&self) -> usize {
        self.interests.len()
    }

    /// The client has taken a message with QoS 1, or refused it. What we know nothing of is
    /// passed over: nobody could be told (4.13).
    pub(super) fn puback(
        &mut self,
        id: PacketId,
        reason: Reason,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if let Some(entry) = self.flight.puback(id.0.get()) {
            self.gather.get().settle(entry, outcome(reason), out);
        }
        Ok(())
    }

    /// The client has received a message with QoS 2, or refused it.
    pub(super) fn pubrec(
        &mut self,
        id: PacketId,
        reason: Reason,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let id = id.0.get();
        if reason.is_error() {
            if let Some(entry) = self.flight.refuse(id) {
                self.gather.get().settle(entry, outcome(reason), out);
            }
            return Ok(());
        }
        match self.flight.pubrec(id) {
            Pubrec::Keep(entry) => self.gather.get().receive(entry, Mark(id), out),
            Pubrec::Wait => {}
            Pubrec::Again => pubrel(&self.terms, id, Reason::Success, out),
            Pubrec::Unknown => pubrel(&self.terms, id, Reason::PacketIdNotFound, out),
        }
        Ok(())
    }

    /// The client has forgotten the packet identifier of a message with QoS 2; if it never
    /// knew it, that is as good.
    pub(super) fn pubcomp(
        &mut self,
        id: PacketId,
        _reason: Reason,
        _out: &mut Output,
    ) -> Result<(), Fault> {
        let id = id.0.get();
        if self.flight.pubcomp(id) {
            self.gather.get().complete(Mark(id));
        }
        Ok(())
    }

    /// `count` of what was received is safe, from this ticket on: PUBREL leaves.
    pub(super) fn confirmed(&mut self, first: Ticket, count: u32, out: &mut Output) {
        let Outbound { gather, flight, terms, .. } = self;
        let Some(gather) = gather.made() else { return };
        gather.confirmed(first, count, |mark| {
            flight.release(mark.0);
            pubrel(terms, mark.0, Reason::Success, out);
        });
    }

    /// The end of a turn that brought anything of the above: hands over what acknowledgements
    /// were gathered, and sends what waited for them.
    #[inline]
    pub(super) fn flush(&mut self, now: Time, out: &mut Output) {
        if !self.waiting.is_empty() {
            self.send_waiting(now, out);
        }
        if let Some(gather) = self.gather.made() {
            gather.flush(out);
        }
    }
}

/// What becomes of a message: one that the client refuses must not go to another, and may
/// have a place where such go [MQTT-4.8.2-6].
fn outcome(reason: Reason) -> Outcome {
    if reason.is_error() { Outcome::Discard } else { Outcome::Accept }
}

fn pubrel(terms: &Terms, id: u16, reason: Reason, out: &mut Output) {
    let Some(id) = NonZeroU16::new(id).map(PacketId) else { return };
    let packet = Packet::Pubrel(Ack { id, reason, properties: Properties::NONE });
    // A client that takes no packets of five bytes is not told.
    let _ = encode::packet(out.bytes.small(), terms.version, terms.packet_max, &packet);
}
