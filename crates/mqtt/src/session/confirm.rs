//! What is answered to publishers: PUBACK and PUBREC in the order of the PUBLISHes
//! [MQTT-4.6.0-2, MQTT-4.6.0-3], PUBCOMP in that of the PUBRELs, each when the engine has
//! said that its message is safe, and never sooner.
//!
//! ```text
//!  PUBLISH   1   2   3   4   5        tickets, from `first` on
//!  slots     .   .   x   x   .        x is safe; 3 and 4 are answered when 1 and 2 are
//! ```

use super::{Connection, publish};
use crate::encode;
use crate::error::Fault;
use crate::packet::{Ack, Kind, Packet, PacketId, Version};
use crate::property::{Property, PropertyList};
use crate::reason::Reason;
use lockgate_front::Output;
use lockgate_model::Ticket;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// Set in the tickets of `Command::Release`.
const RELEASE: u64 = 1 << 62;

/// Answers that there is room for while none is owed.
const KEEP_MAX: usize = 512;

/// An answer that is owed.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// None: the message has QoS 0 and stands among others; nothing is said.
    id: Option<PacketId>,
    kind: Kind,
    reason: Reason,
    /// It may be said.
    done: bool,
    /// It is counted against Receive Maximum until it is said. What is open is counted there.
    counted: bool,
}

/// Answers that are owed, in order.
#[derive(Debug, Default)]
struct Owed {
    /// The first slot's ticket.
    first: u64,
    slots: VecDeque<Slot>,
}

impl Owed {
    /// The ticket of what comes next.
    fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn find(&mut self, ticket: u64) -> Option<&mut Slot> {
        let at = ticket.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    fn pop(&mut self) -> Option<Slot> {
        let slot = self.slots.pop_front_if(|slot| slot.done)?;
        self.first += 1;
        Some(slot)
    }
}

/// A packet identifier of a QoS 2 message that has not been released.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// It was counted against Receive Maximum: it came on this connection.
    counted: bool,
    /// The read that it came with.
    read: u32,
}

/// Spreads packet identifiers over a table: no two of them have one hash, so nobody can
/// choose them to slow us down. Nothing ever goes through the table in its order.
#[derive(Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.write_u16((*b).into()));
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        // 2^64 by the golden ratio, and odd: the lowest bits differ as those of `n` do.
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// What became of a packet identifier that a PUBLISH brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// There was none like it.
    New,
    /// It is open already: the message has come before.
    Again,
}

/// What came of a PUBREL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Released {
    /// There is no such identifier: it is answered.
    Unknown,
    /// The engine is to be told.
    Known {
        /// Its PUBLISH came with the same read.
        fresh: bool,
    },
}

/// What the client has published and not been answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    publishes: Owed,
    releases: Owed,
    /// QoS 2 messages that the client may still send again.
    open: HashMap<u16, Open, BuildHasherDefault<Spread>>,
    /// Messages against Receive Maximum (4.9).
    unanswered: u32,
    read: u32,
    /// The largest packet that may explain a refusal; 0 = the client does not want to know.
    explained_max: usize,
}

impl Answers {
    /// Refusals are explained, in packets of this size at most.
    pub(super) fn explain(&mut self, packet_max: usize) {
        self.explained_max = packet_max;
    }

    /// What the berth has open from before: not counted, since Receive Maximum begins anew
    /// with each connection (4.9).
    pub(super) fn resume(&mut self, open: impl Iterator<Item = u16>) {
        let before = Open { counted: false, read: self.read };
        self.open.extend(open.map(|id| (id, before)));
        self.next_read();
    }

    /// Another read begins.
    pub(super) fn next_read(&mut self) {
        self.read = self.read.wrapping_add(1);
    }

    /// Counts a message with QoS 1 that has come; false if it is one too many.
    pub(super) fn count(&mut self, most: u32) -> bool {
        if self.unanswered >= most {
            return false;
        }
        self.unanswered += 1;
        true
    }

    /// Counts a message with QoS 2 that has come; none if it is one too many.
    pub(super) fn open(&mut self, id: PacketId, most: u32) -> Option<Arrival> {
        let (id, read) = (id.0.get(), self.read);
        match self.open.get_mut(&id) {
            Some(open) => {
                if !open.counted {
                    if self.unanswered >= most {
                        return None;
                    }
                    self.unanswered += 1;
                    open.counted = true;
                }
                open.read = read;
                Some(Arrival::Again)
            }
            None => {
                if self.unanswered >= most {
                    return None;
                }
                self.unanswered += 1;
                self.open.insert(id, Open { counted: true, read });
                Some(Arrival::New)
            }
        }
    }

    /// Is the packet identifier open?
    pub(super) fn knows(&self, id: PacketId) -> bool {
        self.open.contains_key(&id.0.get())
    }

    /// The ticket of the next publish.
    pub(super) fn next_publish(&self) -> Ticket {
        Ticket(self.publishes.next())
    }

    /// The ticket of the next release.
    pub(super) fn next_release(&self) -> Ticket {
        Ticket(RELEASE | self.releases.next())
    }

    /// A message is on its way to the engine, under the next ticket.
    pub(super) fn published(&mut self, id: Option<PacketId>, kind: Kind) {
        let counted = id.is_some() && kind == Kind::Puback;
        let (reason, done) = (Reason::Success, false);
        self.publishes.slots.push_back(Slot { id, kind, reason, done, counted });
    }

    /// A message is not for the engine: this is its answer, in its place.
    pub(super) fn decided(&mut self, id: PacketId, kind: Kind, reason: Reason) {
        let counted = match kind {
            Kind::Puback => true,
            // It is not open: the identifier is free again (4.3.3).
            _ if reason.is_error() => self.close(id),
            _ => false,
        };
        let (id, done) = (Some(id), true);
        self.publishes.slots.push_back(Slot { id, kind, reason, done, counted });
    }

    /// An identifier is open no more. True if it was counted.
    fn close(&mut self, id: PacketId) -> bool {
        self.open.remove(&id.0.get()).is_some_and(|open| open.counted)
    }

    /// The client has forgotten a message with QoS 2.
    pub(super) fn release(&mut self, id: PacketId, version: Version) -> Released {
        let mut slot = Slot {
            id: Some(id),
            kind: Kind::Pubcomp,
            reason: Reason::Success,
            done: false,
            counted: false,
        };
        let Some(open) = self.open.remove(&id.0.get()) else {
            slot.done = true;
            if version == Version::V5 {
                slot.reason = Reason::PacketIdNotFound;
            }
            self.releases.slots.push_back(slot);
            return Released::Unknown;
        };
        slot.counted = open.counted;
        self.releases.slots.push_back(slot);
        Released::Known { fresh: open.read == self.read }
    }

    /// The engine has said what became of `count` of them.
    fn settled(&mut self, first: Ticket, count: u32, refused: Option<Reason>) {
        let owed = if first.0 & RELEASE == 0 { &mut self.publishes } else { &mut self.releases };
        let first = first.0 & !RELEASE;
        for ticket in first..first + u64::from(count) {
            if let Some(slot) = owed.find(ticket) {
                slot.done = true;
                slot.reason = refused.unwrap_or(slot.reason);
            }
        }
    }

    /// Does anybody wait for what becomes of one of these publishes?
    fn is_awaited(&mut self, first: Ticket, count: u32) -> bool {
        (first.0..first.0 + u64::from(count))
            .any(|ticket| self.publishes.find(ticket).is_some_and(|slot| slot.id.is_some()))
    }

    /// Says all that may be said.
    pub(super) fn say(&mut self, out: &mut Output) {
        while let Some(slot) = self.publishes.pop() {
            let Some(id) = slot.id else { continue };
            let refused = slot.kind == Kind::Pubrec && slot.reason.is_error();
            let counted = slot.counted || refused && self.close(id);
            self.unanswered -= u32::from(counted);
            if !slot.reason.is_error() || !self.put_explained(out, slot.kind, id, slot.reason) {
                put(out, slot.kind, id, slot.reason);
            }
        }
        while let Some(slot) = self.releases.pop() {
            self.unanswered -= u32::from(slot.counted);
            if let Some(id) = slot.id {
                put(out, slot.kind, id, slot.reason);
            }
        }
        self.rest();
    }

    /// Writes an acknowledgement with a Reason String, if there is one and the client takes it.
    fn put_explained(&self, out: &mut Output, kind: Kind, id: PacketId, reason: Reason) -> bool {
        let (text, mut list) = (publish::text(reason), PropertyList::default());
        if text.is_empty() || list.push(&Property::ReasonString(text)).is_err() {
            return false;
        }
        let ack = Ack { id, reason, properties: list.properties() };
        let packet = match kind {
            Kind::Puback => Packet::Puback(ack),
            _ => Packet::Pubrec(ack),
        };
        // Only version 5 has reasons that are errors.
        encode::packet(out.bytes.small(), Version::V5, self.explained_max, &packet).is_ok()
    }

    /// Gives memory back that an idle client need not hold.
    fn rest(&mut self) {
        for owed in [&mut self.publishes, &mut self.releases] {
            if owed.slots.is_empty() && owed.slots.capacity() > KEEP_MAX {
                owed.slots = VecDeque::new();
            }
        }
        if self.open.is_empty() && self.open.capacity() > KEEP_MAX {
            self.open = HashMap::default();
        }
    }
}

/// Writes an acknowledgement. Only version 5 has reasons other than success.
fn put(out: &mut Output, kind: Kind, id: PacketId, reason: Reason) {
    let first = kind.number() << 4 | kind.flags().unwrap_or(0);
    let [high, low] = id.0.get().to_be_bytes();
    if reason == Reason::Success {
        out.bytes.small().extend_from_slice(&[first, 2, high, low]);
    } else {
        out.bytes.small().extend_from_slice(&[first, 3, high, low, reason.number()]);
    }
}

impl Connection {
    /// The engine has committed `count` things.
    pub(super) fn confirmed(&mut self, first: Ticket, count: u32, out: &mut Output) {
        if first.0 & super::outbound::RECEIVED != 0 {
            self.outbound.confirmed(first, count, out);
        } else {
            self.answers.settled(first, count, None);
        }
    }

    /// The engine did not take `count` messages. 3.1 and 3.1.1 cannot say so.
    pub(super) fn rejected(&mut self, first: Ticket, count: u32) -> Result<(), Fault> {
        if self.version < Version::V5 && self.answers.is_awaited(first, count) {
            let reason = Reason::QuotaExceeded;
            return Err(Fault::new(reason, publish::text(reason), ""));
        }
        self.answers.settled(first, count, Some(Reason::QuotaExceeded));
        Ok(())
    }

    /// Nobody is interested in a message (3.4.2.1).
    pub(super) fn returned(&mut self, ticket: Option<Ticket>) {
        if self.version == Version::V5
            && let Some(Ticket(ticket)) = ticket
            && let Some(slot) = self.answers.publishes.find(ticket)
        {
            slot.reason = Reason::NoMatchingSubscribers;
        }
    }
}
