//! Settling: what was handed out is done with, or goes back to its place.

use super::Broker;
use crate::dispatch::Reason;
use crate::id::QueueId;
use crate::journal::Journal;
use crate::record;
use lockgate_model::{LeaseId, Outcome, SessionId};

impl Broker {
    /// Settles entries `from..from + count` of a lease.
    pub(super) fn settle(
        &mut self,
        session: SessionId,
        id: LeaseId,
        from: u32,
        count: u32,
        outcome: Outcome,
        journal: &mut impl Journal,
    ) {
        let known = self.dispatch.leases.get_mut(id.0 as usize);
        let Some(lease) = known.filter(|l| l.session == session) else { return };
        let to = from.saturating_add(count).min(lease.count);
        let n = lease.settle(from, count);
        if n == 0 {
            return;
        }
        let (queue, lane, subscriber) = (lease.queue, lease.lane, lease.subscriber);
        let (open, counted, void) = (lease.open, lease.counted, lease.void);
        let (first, step) = (lease.first + u64::from(from) * u64::from(lease.step), lease.step);
        if open == 0 {
            self.dispatch.leases.remove(id.0 as usize);
            if let Some(s) = self.dispatch.sessions.get_mut(&session) {
                s.leases.remove(&id);
            }
        }
        if void {
            return;
        }
        self.release_groups(queue, (first, step, to - from));
        let stream = self.is_stream(queue);
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.leased -= u64::from(n);
            match outcome {
                // What a reader has been given is still there.
                _ if stream => {}
                Outcome::Accept => self.settle_strided(queue, first, step, to - from, journal),
                Outcome::Discard => {
                    let (width, count) = if step == 1 { (to - from, 1) } else { (1, to - from) };
                    for n in 0..u64::from(count) {
                        let at = first + n * u64::from(step);
                        self.die(queue, at, at + u64::from(width), Reason::Rejected, journal);
                    }
                }
                Outcome::Requeue | Outcome::Failed => {
                    let failed = outcome == Outcome::Failed;
                    self.bring_back(queue, (first, step, to - from), failed, journal);
                }
            }
        }
        self.dispatch.release(session, lane, subscriber, counted, n);
    }

    /// Entries `first, first + step, ...` are done with.
    pub(super) fn settle_strided(
        &mut self,
        queue: QueueId,
        first: u64,
        step: u32,
        count: u32,
        journal: &mut impl Journal,
    ) {
        if step == 1 {
            self.settle_range(queue, first, first + u64::from(count), journal);
        } else {
            for n in 0..u64::from(count) {
                let at = first + n * u64::from(step);
                self.settle_range(queue, at, at + 1, journal);
            }
        }
    }

    /// Entries `from..to` are done with; returns how many were there. The log learns of it
    /// at the end of the turn.
    pub(super) fn settle_range(
        &mut self,
        queue: QueueId,
        from: u64,
        to: u64,
        journal: &mut impl Journal,
    ) -> u64 {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return 0 };
        if q.is_logged() && q.line.any_logged(from, to) {
            match self.unlogged.last_mut() {
                Some((last, _, end)) if *last == queue && *end == from => *end = to,
                _ => self.unlogged.push((queue, from, to)),
            }
        }
        let before = q.line.resident();
        let went = q.settle(from, to, journal, &mut self.freed);
        self.resident -= before - q.line.resident();
        went
    }

    /// Writes what was settled in this turn to the log, a record for each queue.
    pub(super) fn log_settled(&mut self, journal: &mut impl Journal) {
        if self.unlogged.is_empty() {
            return;
        }
        let mut settled = std::mem::take(&mut self.unlogged);
        settled.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for group in settled.chunk_by(|a, b| a.0 == b.0) {
            ranges.clear();
            for (_, from, to) in group {
                match ranges.last_mut() {
                    Some((_, end)) if *end == *from => *end = *to,
                    _ => ranges.push((*from, *to)),
                }
            }
            journal.append(record::kind::SETTLED, |out| {
                record::write_settled(group[0].0, &ranges, out)
            });
        }
        settled.clear();
        self.unlogged = settled;
    }
}
