//! How much waits in all berths together. It is looked at once a second; while it is more than
//! it may be, whatever comes to a berth pushes out as much of what came there before.

use super::super::Broker;
use crate::dispatch::Reason;
use crate::id::QueueId;
use crate::journal::Journal;
use crate::ledger::Hearing;

/// How often it is looked at, in milliseconds.
const EVERY: u64 = 1000;

impl Broker {
    /// Looks how much there is, if it is time to.
    pub(in super::super) fn weigh_berths(&mut self) {
        let now = self.now.millis();
        if now < self.weighed.saturating_add(EVERY) {
            return;
        }
        self.weighed = now;
        let (mut messages, mut bytes) = (0u64, 0u64);
        for q in self.ledger.queues.values() {
            if q.hearing.is_some() && self.is_settling(q.id) {
                messages += self.waiting_messages(q.id);
                bytes += self.dispatch.desks.get(&q.id).map_or(0, |d| d.ready_bytes);
            }
        }
        let most = &self.settings;
        self.crowded = messages > most.berths_messages_max || bytes > most.berths_bytes_max;
    }

    fn is_settling(&self, queue: QueueId) -> bool {
        let hearing = self.ledger.queues.get(&queue).and_then(|q| q.hearing.as_ref());
        matches!(hearing, Some(Hearing::Settling(_) | Hearing::Group { .. }))
    }

    /// So many have come to a queue: with too much in all berths, as many of it go.
    pub(in super::super) fn push_out(
        &mut self,
        queue: QueueId,
        mut count: u64,
        journal: &mut impl Journal,
    ) {
        if !self.crowded || !self.is_settling(queue) {
            return;
        }
        while count > 0 {
            let Some(q) = self.ledger.queues.get(&queue) else { return };
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            let Some((from, to, _)) = desk.upcoming(&q.line) else { return };
            let goes = count.min(to - from).min(u64::from(u32::MAX)) as u32;
            desk.took(&q.line, from, goes);
            let to = from + u64::from(goes);
            self.dropped += self.die(queue, from, to, Reason::MaxLength, journal);
            count -= u64::from(goes);
        }
    }
}
