//! Who holds something for too long loses it, and the subscription with it: what hangs
//! would otherwise keep messages from others for ever.

use super::Broker;
use crate::id::QueueId;
use crate::journal::{Effect, Effects, Journal};
use lockgate_model::{CancelCause, Event};

impl Broker {
    /// Ends the subscriptions whose time is up.
    pub(super) fn recall(&mut self, queue: QueueId, journal: &mut impl Journal, out: &mut Effects) {
        let now = self.now.millis();
        loop {
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            let Some(first) = desk.overdue(now) else { return };
            let held = self.dispatch.leases.get(first.lease.0 as usize);
            let still = held.filter(|l| l.serial == first.serial && l.open > 0 && !l.void);
            if let Some(id) = still.and_then(|l| l.subscriber) {
                self.recall_all(id, queue, journal, out);
            }
        }
    }

    /// Takes everything that a subscriber holds from it, and ends it.
    fn recall_all(
        &mut self,
        id: usize,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(s) = self.dispatch.subscribers.get(id) else { return };
        let (session, lane, consumer) = (s.session, s.lane, s.handle);
        let held = self.dispatch.sessions.get(&session).map(|s| &s.leases);
        let mut leases: Vec<_> = held.into_iter().flatten().copied().collect();
        leases.retain(|l| {
            self.dispatch.leases.get(l.0 as usize).is_some_and(|l| l.subscriber == Some(id))
        });
        leases.sort_unstable();
        for lease in leases {
            let Some(l) = self.dispatch.leases.get_mut(lease.0 as usize) else { continue };
            // The front still knows it: it stands, empty, until it is settled or left.
            l.void = true;
            let (open, counted) = (l.open, l.counted);
            let parts: Vec<_> = l.parts().collect();
            self.dispatch.release(session, lane, None, counted, open);
            if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
                desk.leased -= u64::from(open);
            }
            for part in parts {
                self.release_groups(queue, part);
                self.bring_back(queue, part, true, journal);
            }
        }
        let cause = CancelCause::TimedOut;
        let event = Event::Cancelled { lane, consumer, cause };
        self.farewells.push(Effect { session, after: 0, event });
        self.timed_out += 1;
        self.unsubscribe(id, journal, out);
    }
}
