//! Bounds: a queue that may hold so much and no more, counted in entries, in bytes of
//! bodies, or both. What is in somebody's hands does not count.

use super::Broker;
use crate::dispatch::Reason;
use crate::id::QueueId;
use crate::journal::{Effects, Journal};
use crate::ledger::{Overflow, Slice};
use lockgate_model::{Item, Run, Time};
use std::sync::Arc;

impl Broker {
    /// How many of these items a queue has room for, from the first on.
    fn room(&self, queue: QueueId, items: &[Item]) -> usize {
        let Some(q) = self.ledger.queues.get(&queue) else { return items.len() };
        let desk = self.dispatch.desks.get(&queue);
        let mut room = items.len();
        if let Some(limit) = q.rules.length_max {
            // Letters that nobody takes still take the room that they had.
            let dying = q.rules.dead_letter.as_ref().is_some_and(|l| l.at_least_once);
            let dying = desk.map_or(0, |d| d.dying_count).min(if dying { u64::MAX } else { 0 });
            let left = limit.saturating_sub(self.waiting_messages(queue) + dying);
            room = room.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        if let Some(limit) = q.rules.bytes_max {
            let mut left = limit.saturating_sub(desk.map_or(0, |d| d.ready_bytes));
            let fits = |i: &&Item| {
                let fits = u64::from(i.body.len) <= left;
                left = left.saturating_sub(i.body.len.into());
                fits
            };
            room = items[..room].iter().take_while(fits).count();
        }
        room
    }

    /// True if a queue would refuse the first of these items.
    pub(super) fn is_full(&self, queue: QueueId, items: &[Item]) -> bool {
        let rejects = self.ledger.queues.get(&queue).is_some_and(|q| q.rules.rejects());
        rejects && self.room(queue, items) == 0
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
            let room = self.room(queue, &run.items[at..to]);
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
        // Making room is what an exchange's own queue does all the time.
        let counts = self.ledger.queues.get(&queue).is_some_and(|q| q.store.is_none());
        loop {
            let Some(q) = self.ledger.queues.get(&queue) else { return };
            if !q.rules.is_bounded() || q.rules.rejects() {
                return;
            }
            let (length_max, bytes_max) = (q.rules.length_max, q.rules.bytes_max);
            let waiting = self.waiting_messages(queue);
            let excess = length_max.map_or(0, |limit| waiting.saturating_sub(limit));
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            let heavy = bytes_max.map_or(0, |limit| desk.ready_bytes.saturating_sub(limit));
            if excess == 0 && heavy == 0 {
                return;
            }
            let Some((from, to, _)) = desk.upcoming(&q.line) else { return };
            // By number many at once, by size one after the other.
            let count = excess.clamp(1, (to - from).min(u64::from(u32::MAX))) as u32;
            desk.took(&q.line, from, count);
            let to = from + u64::from(count);
            let went = self.die(queue, from, to, Reason::MaxLength, journal);
            self.dropped += if counts { went } else { 0 };
        }
    }
}
