//! Bounds: a queue that may hold so much and no more.

use super::Broker;
use crate::journal::{Effects, Journal};
use crate::ledger::QueueId;
use lockgate_model::{Run, Time};
use std::sync::Arc;

impl Broker {
    /// How many more entries a bounded queue has room for.
    fn room(&self, queue: QueueId) -> Option<u64> {
        let limit = self.ledger.queues.get(&queue)?.rules.length_max?;
        Some(limit.saturating_sub(self.waiting_messages(queue)))
    }

    /// Stores items from `from` on as far as there is room. Returns the end of what was
    /// taken, and what its confirmation must wait for.
    #[allow(clippy::too_many_arguments)] // what, where, and the turn's
    pub(super) fn store_within(
        &mut self,
        queue: QueueId,
        run: &Arc<Run>,
        from: usize,
        to: usize,
        logs: bool,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> (usize, u64) {
        let (mut at, mut after) = (from, 0);
        while at < to {
            // Subscribers take some of it at once, and then there is room again.
            let room = self.room(queue).unwrap_or(u64::MAX).min((to - at) as u64) as usize;
            if room == 0 {
                break;
            }
            if logs {
                after = self.log(&[(at, queue)], run, at + room, now, journal, out);
            } else {
                self.store(queue, run, at, at + room, None, journal, out);
            }
            at += room;
        }
        (at, after)
    }

    /// Drops the oldest of a queue that holds more than it may.
    pub(super) fn trim_to_bound(&mut self, queue: QueueId, journal: &mut impl Journal) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(limit) = q.rules.length_max.filter(|_| !q.rules.rejects()) else { return };
        let mut excess = self.waiting_messages(queue).saturating_sub(limit);
        while excess > 0 {
            let Some(q) = self.ledger.queues.get(&queue) else { return };
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            let Some((from, to, returned)) = desk.upcoming(&q.line) else { return };
            let count = excess.min(to - from).min(u64::from(u32::MAX)) as u32;
            desk.took(from, count, returned);
            let went = self.settle_range(queue, from, from + u64::from(count), journal);
            self.dropped += went;
            excess -= went.min(excess);
        }
    }
}
