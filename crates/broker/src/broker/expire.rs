//! Time passes: entries expire, and queues that nobody uses.

use super::Broker;
use crate::dispatch::Desk;
use crate::dispatch::Reason;
use crate::id::QueueId;
use crate::journal::{Effects, Journal};
use crate::ledger::{Line, Store, base_of, lifetimes};
use lockgate_model::{Run, Time};

impl Broker {
    /// Notes when items `from..to` of a run, the entries from `first` on, are due.
    pub(super) fn note_expiry(
        &mut self,
        queue: QueueId,
        first: u64,
        run: &Run,
        from: usize,
        to: usize,
    ) {
        match self.ledger.queues.get(&queue).and_then(|q| q.store) {
            None => {}
            Some(Store::Delayed(_)) => return self.note_delays(queue, first, run, (from, to)),
            // What is remembered lives until newer ones take its place.
            Some(Store::Kept(_) | Store::Retained(..)) => return,
        }
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let own =
            |i: &lockgate_model::Item| run.head(i).first().is_some_and(|flags| flags & 1 != 0);
        if q.rules.lifetime.is_none() && !run.items[from..to].iter().any(own) {
            return;
        }
        let (mut at, now) = (first, self.now.millis());
        for (lives, count) in lifetimes(run, from, to, q.rules.lifetime) {
            if let Some(ms) = lives {
                q.expiry.note(now.saturating_add(ms), at, at + count);
            }
            at += count;
        }
        q.expiry.prune(|n| q.line.is_past(n));
        self.arm(queue);
    }

    /// Sees to it that the queue is looked at when something of it is due.
    pub(super) fn arm(&mut self, queue: QueueId) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get(&queue) else { return };
        let unused = q.rules.idle.filter(|_| desk.subscribers.is_empty());
        let idle = unused.map(|ms| desk.used.millis().saturating_add(ms));
        let retained = q.retained.as_ref().and_then(|r| r.next_due());
        let dues = idle.into_iter().chain(q.expiry.next()).chain(desk.due()).chain(retained);
        let next = dues.chain(self.stream_due(q)).min();
        // What could not go on in one turn goes on in the next.
        let going = self.dispatch.releasing.get(&queue).is_some_and(|r| !r.due.is_empty());
        let soonest = if q.store.is_some() { self.now.millis() + 1 } else { 0 };
        let next = if going { Some(soonest) } else { next };
        if let Some(ms) = next {
            self.rouse(queue, ms.max(soonest));
        }
    }

    /// Looks at the queue at that moment, or sooner.
    pub(super) fn rouse(&mut self, queue: QueueId, ms: u64) {
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        if ms < desk.armed.unwrap_or(u64::MAX) {
            if let Some(later) = desk.armed.replace(ms) {
                self.timers.remove(&(later, queue));
            }
            self.timers.insert((ms, queue));
        }
    }

    /// The queue is being used.
    pub(super) fn touch(&mut self, queue: QueueId) {
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.used = self.now;
        }
        self.arm(queue);
    }

    /// Does what is due. Says when something is due next.
    pub fn tick(
        &mut self,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Option<Time> {
        self.pass_time(now);
        self.retry();
        self.turn_tides(journal, out);
        self.weigh_berths();
        let ms = self.now.millis();
        while let Some((due, queue)) = self.timers.first().copied()
            && due <= ms
        {
            self.timers.pop_first();
            if let Some(desk) = self.dispatch.desks.get_mut(&queue)
                && desk.armed == Some(due)
            {
                desk.armed = None;
            }
            self.expire(queue, journal);
            self.end_rest(queue, journal);
            self.wake_replays(queue);
            self.recall(queue, journal, out);
            self.try_letters_again(queue);
            self.tend(queue, journal, out);
            if self.is_forsaken(queue, ms) {
                self.drop_under_berths(queue, journal, out);
            }
            self.arm(queue);
        }
        let next = [self.timers.first().map(|(ms, _)| *ms), self.tides.first().map(|(ms, _)| *ms)];
        next.into_iter().flatten().min().map(|ms| Time(ms.saturating_mul(1000)))
    }

    fn is_forsaken(&self, queue: QueueId, now: u64) -> bool {
        let Some(desk) = self.dispatch.desks.get(&queue) else { return false };
        let limit = self.ledger.queues.get(&queue).and_then(|q| q.rules.idle);
        let unused = limit.filter(|_| desk.subscribers.is_empty());
        unused.is_some_and(|ms| desk.used.millis().saturating_add(ms) <= now)
    }

    /// Drops the entries that are due and in nobody's hands; those that somebody holds go
    /// when they come back.
    pub(super) fn expire(&mut self, queue: QueueId, journal: &mut impl Journal) {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        if q.retained.is_some() {
            return self.expire_retained(queue, journal);
        }
        if q.store.is_some() {
            return self.dispatch.wake(queue);
        }
        let now = self.now.millis();
        if q.expiry.next().is_none_or(|first| first > now) {
            return;
        }
        let due = q.expiry.take_due(now);
        for (from, to) in due {
            let Some(q) = self.ledger.queues.get(&queue) else { return };
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            let cursor = desk.cursor.of(from);
            if from < cursor {
                desk.late.insert(from, to.min(cursor));
            }
            let ready = desk.withdraw(&q.line, from, to);
            for (from, to) in &ready {
                desk.late.remove(*from, *to);
            }
            for (from, to) in ready {
                self.expired += self.die(queue, from, to, Reason::Expired, journal);
            }
        }
        self.trim_late(queue);
    }

    /// What came back too late goes at once.
    pub(super) fn drop_late(&mut self, queue: QueueId, journal: &mut impl Journal) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        for (from, to) in desk.take_late(&q.line) {
            self.expired += self.die(queue, from, to, Reason::Expired, journal);
        }
    }

    /// Forgets lateness of what is settled.
    fn trim_late(&mut self, queue: QueueId) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        if !desk.late.is_empty() {
            for (n, rank) in q.line.ranks().iter().enumerate() {
                desk.late.remove(base_of(n), rank.head());
            }
        }
    }
}

impl Desk {
    /// Takes out of what came back whatever was due meanwhile.
    fn take_late(&mut self, line: &Line) -> Vec<(u64, u64)> {
        if self.late.is_empty() {
            return Vec::new();
        }
        let late: Vec<(u64, u64)> = self.late.iter().collect();
        let back = late.iter().flat_map(|(from, to)| self.returned.within(*from, *to));
        let back: Vec<(u64, u64)> = back.collect();
        for (from, to) in &back {
            self.returned.remove(*from, *to);
            self.ready_bytes = self.ready_bytes.saturating_sub(line.body_bytes(*from, *to));
            self.late.remove(*from, *to);
        }
        back
    }
}
