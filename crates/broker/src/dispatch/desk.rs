//! A desk: how one queue stands with its subscribers.

use super::Reader;
use super::groups::Groups;
use crate::id::QueueId;
use crate::ledger::Cursors;
use crate::ranges::Ranges;
use lockgate_model::{Consumer, Lane, LeaseId, SessionId, Ticket, Time};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// One queue's deliveries.
#[derive(Debug, Default)]
pub struct Desk {
    /// Entries below this were handed out, or are settled.
    pub cursor: Cursors,
    /// Entries below the cursor that came back.
    pub returned: Ranges,
    /// Entries below this may have been delivered before the process began.
    pub seen: Cursors,
    /// Entries handed out and not settled.
    pub leased: u64,
    /// Subscribers that can take something: those of the highest priority first, and among
    /// them the next one first.
    pub ring: VecDeque<usize>,
    /// Only the first subscriber is served, until it goes.
    pub single: bool,
    /// All subscribers.
    pub subscribers: Vec<usize>,
    /// Single messages asked for and not in memory yet.
    pub waiting: VecDeque<Waiting>,
    /// It has had a subscriber: an auto-delete queue without one goes.
    pub was_used: bool,
    /// Entries that are dying, in order; each is settled when its letter is sent.
    pub dying: VecDeque<Death>,
    /// Their numbers: what is dying is delivered to nobody.
    pub doomed: Ranges,
    /// How many they are.
    pub dying_count: u64,
    /// Entries below the cursor that were passed over and never handed out.
    pub passed: Ranges,
    /// Who has which group; none as long as no message named one.
    pub groups: Option<Box<Groups>>,
    /// These entries were looked at for groups, as long as none of them names one.
    pub plain: Range<u64>,
    /// Letters that no queue takes are tried again then.
    pub stuck_until: Option<u64>,
    /// Entries that are not committed yet, where only what is committed is delivered.
    pub unsure: Ranges,
    /// Bytes of bodies that wait, where they are counted.
    pub ready_bytes: u64,
    /// What came back and rests: until when and from which number, to which.
    pub resting: BTreeMap<(u64, u64), u64>,
    /// How many rest.
    pub resting_count: u64,
    /// What is lent for a time only, by when that ends and its lease's serial; may name leases
    /// that are over.
    pub lent: BTreeMap<(u64, u64), LeaseId>,
    /// At so many those that are over are looked for.
    pub lent_max: usize,
    /// Handed-out entries whose time has run out meanwhile.
    pub late: Ranges,
    /// When it was last used.
    pub used: Time,
    /// When a timer looks at it.
    pub armed: Option<u64>,
    /// It stands in `Dispatch::ready`.
    pub awake: bool,
}

/// So few that it is not worth looking which are over.
const LENT_LEAST: usize = 64;

impl Desk {
    /// True if the subscriber may be served at all.
    pub fn serves(&self, subscriber: usize) -> bool {
        !self.single || self.subscribers.first() == Some(&subscriber)
    }

    /// Entries that are not settled and do not wait.
    pub fn away(&self) -> u64 {
        self.leased + self.dying_count + self.resting_count
    }

    /// Entries `from..to` rest until `ms`.
    pub fn lay_down(&mut self, ms: u64, from: u64, to: u64) {
        self.resting.insert((ms, from), to);
        self.resting_count += to - from;
    }

    /// The next entries that have rested enough.
    pub fn get_up(&mut self, now: u64) -> Option<(u64, u64)> {
        let first = self.resting.first_entry().filter(|e| e.key().0 <= now)?;
        let ((_, from), to) = first.remove_entry();
        self.resting_count -= to - from;
        Some((from, to))
    }

    /// Notes what is lent for a time. Those that are over meanwhile are forgotten whenever they
    /// could be half of all: one that is held long must not keep all behind it in memory.
    pub fn note_lent(&mut self, due: u64, lent: Lent, is_open: impl Fn(Lent) -> bool) {
        if self.lent.len() >= self.lent_max.max(LENT_LEAST) {
            self.lent.retain(|(_, serial), lease| is_open(Lent { lease: *lease, serial: *serial }));
            self.lent_max = 2 * self.lent.len();
        }
        self.lent.insert((due, lent.serial), lent.lease);
    }

    /// The next of what is lent whose time is up.
    pub fn overdue(&mut self, now: u64) -> Option<Lent> {
        let first = self.lent.first_entry().filter(|e| e.key().0 <= now)?;
        let ((_, serial), lease) = first.remove_entry();
        Some(Lent { lease, serial })
    }

    /// When something is to be done by itself next.
    pub fn due(&self) -> Option<u64> {
        let resting = self.resting.keys().next().map(|(ms, _)| *ms);
        let lent = self.lent.keys().next().map(|(ms, _)| *ms);
        resting.into_iter().chain(lent).chain(self.stuck_until).min()
    }
}

/// Why a message died, in the words of its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A consumer refused it.
    Rejected,
    /// Its time had run out.
    Expired,
    /// Its queue was full.
    MaxLength,
    /// It came back too often.
    DeliveryLimit,
}

impl Reason {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Rejected => "rejected",
            Reason::Expired => "expired",
            Reason::MaxLength => "maxlen",
            Reason::DeliveryLimit => "delivery_limit",
        }
    }
}

/// Entries `from..to` die of this.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// The first one's number.
    pub from: u64,
    /// The number after the last one's.
    pub to: u64,
    /// Of what.
    pub reason: Reason,
}

/// A lease with an end.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    /// Which.
    pub lease: LeaseId,
    /// Which of all that have that id.
    pub serial: u64,
}

/// A `Get` that waits for the disk.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Who asks.
    pub session: SessionId,
    /// On which strand.
    pub lane: Lane,
    /// Under which ticket.
    pub ticket: Ticket,
    /// It is done with when delivered.
    pub settled: bool,
}

/// One subscription.
#[derive(Debug)]
pub struct Subscriber {
    /// Whose.
    pub session: SessionId,
    /// On which strand.
    pub lane: Lane,
    /// The front's handle.
    pub handle: Consumer,
    /// To which queue.
    pub queue: QueueId,
    /// Delivered is done.
    pub settled: bool,
    /// It wants to be alone.
    pub exclusive: bool,
    /// Who has more is served first, as long as it can take something.
    pub priority: i64,
    /// How long it may hold an entry, in milliseconds.
    pub hold_max: Option<u64>,
    /// It says nothing of that itself: the queue's rules do.
    pub holds_by_rule: bool,
    /// Most entries that it may hold.
    pub limit: Option<u32>,
    /// Entries that it holds.
    pub in_flight: u32,
    /// It stands in the desk's ring.
    pub in_ring: bool,
    /// Counts subscriptions: who came first.
    pub order: u64,
    /// Where it stands, if it reads a stream.
    pub reader: Option<Box<Reader>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_held_long_keeps_none_of_those_behind_it() {
        let mut desk = Desk::default();
        for serial in 0..100_000u64 {
            desk.note_lent(serial, Lent { lease: LeaseId(1), serial }, |l| l.serial == 0);
        }
        assert!(desk.lent.len() <= LENT_LEAST, "{}", desk.lent.len());
        assert_eq!(desk.overdue(0).map(|l| l.serial), Some(0));
    }
}
