//! Bounds: a queue that may hold so much and no more.

use super::Broker;
use crate::dispatch::Reason;
use crate::id::QueueId;
use crate::journal::{Effects, Journal};
use crate::ledger::{Overflow, Slice};
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

    /// Items that a full queue did not take: they die there if it wants them to.
    pub(super) fn refuse(
        &mut self,
        queue: QueueId,
        run: &Arc<Run>,
        from: usize,
        to: usize,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(q) = self.ledger.queues.get(&queue).filter(|_| from < to) else { return };
        if q.rules.overflow != Overflow::RejectDead {
            return;
        }
        let (item, count) = (from as u32, (to - from) as u32);
        let slice = Slice { run: Arc::clone(run), item, first: 0, count };
        if let Some(letter) = q.rules.dead_letter.clone() {
            let (vhost, name) = (q.vhost, q.spec.name.clone());
            self.send_letters(vhost, &name, &letter, &slice, Reason::MaxLength, journal, out);
        }
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
            let to = from + u64::from(count);
            let went = self.die(queue, from, to, Reason::MaxLength, journal);
            self.dropped += went;
            excess -= went.min(excess);
        }
    }
}
