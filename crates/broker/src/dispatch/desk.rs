//! A desk: how one queue stands with its subscribers.

use crate::id::QueueId;
use crate::ledger::Cursors;
use crate::ranges::Ranges;
use lockgate_model::{Consumer, Lane, SessionId, Ticket, Time};
use std::collections::VecDeque;

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
    /// Handed-out entries whose time has run out meanwhile.
    pub late: Ranges,
    /// When it was last used.
    pub used: Time,
    /// When a timer looks at it.
    pub armed: Option<u64>,
    /// It stands in `Dispatch::ready`.
    pub awake: bool,
}

impl Desk {
    /// True if the subscriber may be served at all.
    pub fn serves(&self, subscriber: usize) -> bool {
        !self.single || self.subscribers.first() == Some(&subscriber)
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
}

impl Reason {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Rejected => "rejected",
            Reason::Expired => "expired",
            Reason::MaxLength => "maxlen",
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
    /// Most entries that it may hold.
    pub limit: Option<u32>,
    /// Entries that it holds.
    pub in_flight: u32,
    /// It stands in the desk's ring.
    pub in_ring: bool,
    /// Counts subscriptions: who came first.
    pub order: u64,
}
