//! Getting a single message, for those who would rather ask than be told.

use super::backlog::read;
use super::{Answered, Asker, Broker};
use crate::dispatch::{Lease, Waiting};
use crate::id::QueueId;
use crate::journal::{Effects, Journal};
use crate::ledger::Slice;
use lockgate_model::{Answer, Deed, Got, Name, Refusal};

impl Broker {
    /// A message, none, or nothing yet: then it is on its way from the disk.
    pub(super) fn get(
        &mut self,
        asker: Asker,
        name: &Name,
        settled: bool,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Result<Option<(Answer, u64)>, Refusal> {
        let q = self.accessible(asker.session, name)?;
        let queue = q.id;
        self.not_of_streams(q, Deed::Get)?;
        self.touch(queue);
        self.expire(queue, journal);
        let Asker { session, lane, ticket } = asker;
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.waiting.push_back(Waiting { session, lane, ticket, settled });
            if desk.waiting.len() > 1 {
                return Ok(None);
            }
        }
        let Some(got) = self.serve_one(queue, journal, out) else { return Ok(None) };
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.waiting.pop_front();
        }
        Ok(Some((Answer::Got(got), 0)))
    }

    /// Answers those who wait for a single message of a queue.
    pub(super) fn serve_waiting(
        &mut self,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        while self.dispatch.desks.get(&queue).is_some_and(|d| !d.waiting.is_empty()) {
            let gone = self
                .dispatch
                .desks
                .get(&queue)
                .and_then(|d| d.waiting.front())
                .is_none_or(|w| !self.dispatch.sessions.contains_key(&w.session));
            let got = if gone { None } else { self.serve_one(queue, journal, out) };
            if got.is_none() && !gone {
                return;
            }
            let first = self.dispatch.desks.get_mut(&queue).and_then(|d| d.waiting.pop_front());
            if let (Some(w), Some(got)) = (first, got) {
                let asker = Asker { session: w.session, lane: w.lane, ticket: w.ticket };
                let answered: Answered = Ok((Answer::Got(got), 0));
                self.answer(asker, answered, out);
            }
        }
    }

    /// The message (or none) for the first who waits; nothing if it is not in memory.
    fn serve_one(
        &mut self,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Option<Option<Got>> {
        let q = self.ledger.queues.get_mut(&queue)?;
        let desk = self.dispatch.desks.get_mut(&queue)?;
        let first = *desk.waiting.front()?;
        let Some((from, _, redelivered)) = desk.upcoming(&q.line) else { return Some(None) };
        let (stamp, _) = q.stamp(from, from + 1);
        let slice = read(q.id, &mut q.line, &mut self.resident, from, from + 1, out)?;
        desk.took(&q.line, from, 1);
        let Slice { run, item, .. } = slice;
        let lease = if first.settled {
            self.settle_range(queue, from, from + 1, journal);
            None
        } else {
            let lease = Lease::new(first.session, first.lane, None, queue, from, 1, 1);
            Some(self.dispatch.lend(lease))
        };
        let waiting = self.waiting_messages(queue);
        Some(Some(Got { run, item, lease, redelivered, stamp, waiting }))
    }

    /// Messages of a queue that nobody holds.
    pub(super) fn waiting_messages(&self, queue: QueueId) -> u64 {
        let live = self.ledger.queues.get(&queue).map_or(0, |q| q.messages());
        if self.is_stream(queue) {
            return live;
        }
        live - self.dispatch.desks.get(&queue).map_or(0, |d| d.away())
    }
}
