//! What comes back: to its place at once, after a rest, or never again if it came back too
//! often. How often is in the log, so a crash does not forgive what a message does to its
//! consumers.

use super::Broker;
use crate::dispatch::Reason;
use crate::id::QueueId;
use crate::journal::Journal;
use crate::record;

impl Broker {
    /// Entries `first, first + step, ...` come back from somebody's hands, who failed over
    /// them or not.
    pub(super) fn bring_back(
        &mut self,
        queue: QueueId,
        (first, step, count): (u64, u32, u32),
        failed: bool,
        journal: &mut impl Journal,
    ) {
        // What a reader was given is still where it was.
        if self.is_stream(queue) {
            return;
        }
        if step == 1 {
            self.bring_back_range(queue, first, first + u64::from(count), failed, journal);
        } else {
            for n in 0..u64::from(count) {
                let at = first + n * u64::from(step);
                self.bring_back_range(queue, at, at + 1, failed, journal);
            }
        }
        self.drop_late(queue, journal);
        self.trim_to_bound(queue, journal);
        self.dispatch.wake(queue);
    }

    fn bring_back_range(
        &mut self,
        queue: QueueId,
        from: u64,
        to: u64,
        failed: bool,
        journal: &mut impl Journal,
    ) {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        if !q.rules.counts() {
            return desk.back(&q.line, from, to);
        }
        let counts = q.attempts.raised(from, to);
        if q.is_logged() {
            let write = |out: &mut Vec<u8>| record::write_counted(queue, &counts, out);
            journal.append(record::kind::COUNTED, write);
        }
        let (limit, rest) = (q.rules.attempts_max, q.rules.rest);
        for (from, to, count) in counts {
            let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            q.attempts.set(from, to, count);
            if limit.is_some_and(|limit| count > limit) {
                self.worn_out += to - from;
                self.die(queue, from, to, Reason::DeliveryLimit, journal);
            } else if let Some(ms) = rest.and_then(|rest| rest.after(count, failed)) {
                desk.lay_down(self.now.millis().saturating_add(ms), from, to);
                self.arm(queue);
            } else {
                desk.back(&q.line, from, to);
            }
        }
    }

    /// What has rested long enough waits again.
    pub(super) fn end_rest(&mut self, queue: QueueId, journal: &mut impl Journal) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        let mut woken = false;
        while let Some((from, to)) = desk.get_up(self.now.millis()) {
            desk.back(&q.line, from, to);
            woken = true;
        }
        if woken {
            self.drop_late(queue, journal);
            self.trim_to_bound(queue, journal);
            self.dispatch.wake(queue);
        }
    }
}
