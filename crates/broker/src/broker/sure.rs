//! Quorum queues deliver only what is committed: what a failover could still undo has
//! been seen by nobody.

use super::Broker;
use crate::id::QueueId;
use crate::journal::Journal;

/// Entries that wait for the log.
#[derive(Clone, Copy, Debug)]
pub struct Unsure {
    /// The log must be committed up to here.
    pub after: u64,
    /// Whose they are.
    pub queue: QueueId,
    /// The first one's number.
    pub from: u64,
    /// The number after the last one's.
    pub to: u64,
}

impl Broker {
    /// Entries of a queue that delivers only what is committed have just been stored.
    pub(super) fn wait_for_commit(&mut self, unsure: Unsure) {
        if unsure.after <= self.committed {
            return;
        }
        if let Some(desk) = self.dispatch.desks.get_mut(&unsure.queue) {
            desk.unsure.insert(unsure.from, unsure.to);
            self.unsure.push_back(unsure);
        }
    }

    /// What was stored since the log stood at `from` is committed only when `to` is.
    pub(super) fn wait_together(&mut self, from: u64, to: u64) {
        for unsure in self.unsure.iter_mut().rev().take_while(|u| u.after > from) {
            unsure.after = to;
        }
    }

    /// The log is committed up to here.
    pub fn committed(&mut self, position: u64, journal: &mut impl Journal) {
        self.committed = self.committed.max(position);
        self.begin_replays();
        while let Some(first) = self.unsure.front().copied()
            && first.after <= self.committed
        {
            self.unsure.pop_front();
            if let Some(desk) = self.dispatch.desks.get_mut(&first.queue) {
                desk.unsure.remove(first.from, first.to);
                self.trim_to_bound(first.queue, journal);
                self.dispatch.wake(first.queue);
            }
        }
    }
}
