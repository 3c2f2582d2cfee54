//! What is there, in numbers, for operators. Nothing here counts: it is asked of who does.

use super::Broker;
use crate::ledger::Store;

/// What is there, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // they say it
pub struct Counts {
    pub sessions: u64,
    pub queues: u64,
    pub exchanges: u64,
    pub messages: u64,
    /// Bytes of messages in memory.
    pub resident: u64,
    /// Published by clients.
    pub published: u64,
    /// Handed to subscribers, as often as it was.
    pub delivered: u64,
    /// Published and taken by no queue.
    pub unroutable: u64,
    /// Gone because their time had run out.
    pub expired: u64,
    /// Gone because their queue was full.
    pub dropped: u64,
    /// Dead, and no queue took the letter.
    pub letters_lost: u64,
    /// Published, and not taken by a full queue.
    pub rejected: u64,
    /// Gone because they came back too often.
    pub worn_out: u64,
    /// Subscriptions ended because they held something for too long.
    pub timed_out: u64,
    /// Held back by exchanges until they are due.
    pub delayed: u64,
    /// Held back, and lost with the exchange that held them.
    pub delayed_lost: u64,
    /// Seen before where they were not to come twice.
    pub repeats: u64,
    /// Clients with a berth.
    pub berths: u64,
    /// Those of them that are away.
    pub away: u64,
    /// What clients with berths want to hear.
    pub interests: u64,
    /// Under keys longer than others can be told, and kept from them.
    pub uncrossed: u64,
    /// Retained by topics for those who come later, and their bytes.
    pub retained: u64,
    pub retained_bytes: u64,
    /// Published, and not retained: there were too many, or too much of it.
    pub not_retained: u64,
}

impl Broker {
    /// What is there, in numbers.
    pub fn counts(&self) -> Counts {
        let named = || self.ledger.queues.values().filter(|q| q.store.is_none());
        let all = || self.ledger.queues.values();
        let delayed = all().filter(|q| matches!(q.store, Some(Store::Delayed(_))));
        let (retained, retained_bytes) = self.count_retained();
        Counts {
            sessions: self.dispatch.sessions.len() as u64,
            queues: named().count() as u64,
            exchanges: self.ledger.exchanges.len() as u64,
            messages: named().map(|q| q.messages()).sum(),
            delayed: delayed.map(|q| q.line.live()).sum(),
            delayed_lost: self.delayed_lost,
            repeats: self.repeats,
            berths: self.ledger.berths.len() as u64,
            away: (self.ledger.berths.len() - self.dispatch.moorings.len()) as u64,
            interests: self.ledger.berths.values().map(|b| b.interests.len() as u64).sum(),
            uncrossed: self.uncrossed,
            retained,
            retained_bytes,
            not_retained: self.not_retained,
            resident: self.resident,
            published: self.published,
            delivered: self.dispatch.delivered,
            unroutable: self.unroutable,
            expired: self.expired,
            dropped: self.dropped,
            letters_lost: self.letters_lost,
            rejected: self.rejected,
            worn_out: self.worn_out,
            timed_out: self.timed_out,
        }
    }
}
