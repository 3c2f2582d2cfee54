//! Delayed messages: an exchange that holds messages back owns a queue for them, and what is
//! due there goes on from that exchange as if it had just been published, unchanged but for
//! its header `x-delay`, which is turned round.
//!
//! Nothing is done before something is due. Then its record alone is fetched from the log,
//! and that it went on and that it left the queue stand in one group: a crash repeats neither.

use super::Broker;
use super::backlog::ask;
use super::copies::{Copies, copies};
use crate::id::{ExchangeId, PageId, Place, QueueId};
use crate::journal::{BlockKey, Effects, Io, Journal};
use crate::ledger::{Evicted, Read, Slice, Store, delay, turn_round};
use crate::route::Heading;
use lockgate_model::{Names, Parts, Properties, Run, RunBuilder};
use std::sync::Arc;

/// Most messages that go on in one turn: the rest a moment later, so that others get theirs.
const TURN_MAX: u64 = 1024;

/// Most ranges that are being fetched at a time: enough to keep the disk busy.
const FETCHES_MAX: usize = 64;

impl Broker {
    /// When items `from..to` of a run go on, the entries from `first` on of such a queue.
    pub(super) fn note_delays(
        &mut self,
        queue: QueueId,
        first: u64,
        run: &Run,
        (from, to): (usize, usize),
    ) {
        let now = self.now.millis();
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        for (n, item) in (first..).zip(&run.items[from..to]) {
            let ms = delay(run.head(item)).unwrap_or(0);
            q.expiry.note(now.saturating_add(ms), n, n + 1);
        }
        self.arm(queue);
    }

    /// Lets go on what is due, as far as it is in memory, and asks for the rest.
    pub(super) fn release(
        &mut self,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let (mut left, mut grouped) = (TURN_MAX, false);
        while let Some((from, to)) = self.next_due(queue) {
            if left == 0 {
                self.rouse(queue, self.now.millis() + 1);
                break;
            }
            let Some(slice) = self.take_up(queue, from, to.min(from + left), out) else {
                self.fetch_due(queue, out);
                break;
            };
            let Some(q) = self.ledger.queues.get(&queue) else { break };
            let Some(Store::Delayed(exchange)) = q.store else { break };
            if q.is_logged() && !grouped {
                grouped = self.begin_group(journal);
            }
            for item in slice.item..slice.item + slice.count {
                self.go_on(exchange, &slice.run, item as usize, journal, out);
            }
            let count = u64::from(slice.count);
            self.settle_range(queue, from, from + count, journal);
            self.shed(queue, from + count - 1, out);
            left = left.saturating_sub(count);
        }
        if grouped {
            self.end_group(journal);
        }
        self.arm(queue);
    }

    /// The first range that is due and still there.
    fn next_due(&mut self, queue: QueueId) -> Option<(u64, u64)> {
        let now = self.now.millis();
        let q = self.ledger.queues.get_mut(&queue)?;
        let releasing = self.dispatch.releasing.entry(queue).or_default();
        loop {
            while releasing.due.len() < FETCHES_MAX
                && let Some(due) = q.expiry.pop_due(now)
            {
                releasing.due.push_back(due);
            }
            let (from, to) = releasing.due.front_mut()?;
            match q.line.next_in_rank(*from).filter(|next| next < to) {
                Some(next) => {
                    *from = next;
                    return Some((next, *to));
                }
                None => releasing.due.pop_front(),
            };
        }
    }

    /// Entries from `from` on, if they are at hand.
    fn take_up(&mut self, queue: QueueId, from: u64, to: u64, out: &mut Effects) -> Option<Slice> {
        let fetched = &mut self.dispatch.releasing.get_mut(&queue)?.fetched;
        if let Some(run) = fetched.get(&from) {
            let run = Arc::clone(run.as_ref()?);
            fetched.remove(&from);
            let count = (run.items.len() as u64).min(to - from) as u32;
            return Some(Slice { run, item: 0, first: from, count });
        }
        let line = &mut self.ledger.queues.get_mut(&queue)?.line;
        let before = line.resident();
        let read = line.read(from, to);
        self.resident = self.resident + line.resident() - before;
        match read? {
            Read::Slice(slice) => Some(slice),
            Read::Away => {
                self.fetch(queue, from, to, out);
                None
            }
        }
    }

    /// Asks for the first entries of all that is due.
    fn fetch_due(&mut self, queue: QueueId, out: &mut Effects) {
        let Some(releasing) = self.dispatch.releasing.get(&queue) else { return };
        let due: Vec<(u64, u64)> = releasing.due.iter().skip(1).copied().collect();
        due.into_iter().for_each(|(from, to)| self.fetch(queue, from, to, out));
    }

    /// Asks for entries that are on the disk: of the log for those alone, of a page for all
    /// that it holds.
    fn fetch(&mut self, queue: QueueId, from: u64, to: u64, out: &mut Effects) {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let Some(releasing) = self.dispatch.releasing.get_mut(&queue) else { return };
        if releasing.fetched.contains_key(&from) {
            return;
        }
        let to = to.min(from + TURN_MAX);
        if let Some(parts) = q.line.logged_parts(from, to) {
            releasing.fetched.insert(from, None);
            out.io.push(Io::Load { key: BlockKey { queue, first: from }, parts });
            return;
        }
        ask(queue, &mut q.line, (from, to), 1, out);
    }

    /// What was asked of the disk is here. False if it was not asked here.
    pub(super) fn fetched(&mut self, key: BlockKey, run: &Arc<Run>) -> bool {
        let releasing = self.dispatch.releasing.get_mut(&key.queue);
        let Some(slot) = releasing.and_then(|r| r.fetched.get_mut(&key.first)) else {
            return false;
        };
        *slot = Some(Arc::clone(run));
        self.dispatch.wake(key.queue);
        true
    }

    /// What was asked of the disk was not at its place. None if it was not asked here, else
    /// whether that can be: it has moved on meanwhile.
    pub(super) fn unfetched(&mut self, key: BlockKey, place: Place) -> Option<bool> {
        let releasing = self.dispatch.releasing.get_mut(&key.queue)?;
        releasing.fetched.remove(&key.first)?;
        let q = self.ledger.queues.get(&key.queue)?;
        self.dispatch.wake(key.queue);
        let parts = q.line.logged_parts(key.first, key.first + TURN_MAX).unwrap_or_default();
        Some(parts.iter().all(|part| part.place != Some(place)))
    }

    /// With too much in memory, the block of an entry that went on is put away again.
    pub(super) fn shed(&mut self, queue: QueueId, entry: u64, out: &mut Effects) {
        self.shrink(queue, out);
        let limit = self.resident_limit();
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let before = q.line.resident();
        if before <= limit {
            return;
        }
        let page = PageId(self.next_page + 1);
        if let Some(evicted) = q.line.put_away(entry, page) {
            self.next_page += 1;
            self.resident -= before - q.line.resident();
            if let Evicted::Stored(run) = evicted {
                out.io.push(Io::Store { page, run });
            }
        }
    }

    /// A message whose time has come goes on from the exchange that held it back.
    fn go_on(
        &mut self,
        exchange: ExchangeId,
        run: &Run,
        i: usize,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let due = Arc::new(released(run, i));
        let Ok(Copies { keys, stripped }) = copies(&due, 0) else { return };
        let own = due.key(&due.items[0]);
        let keys: Vec<&[u8]> = std::iter::once(own).chain(keys.iter().map(Vec::as_slice)).collect();
        let message = Heading::new(&keys, due.head(&due.items[0]));
        let message = message.named(due.topic(&due.items[0]));
        let reach = self.reach_from_delay(exchange, &message);
        if reach.nowhere {
            self.unroutable += 1;
        }
        let stripped = stripped.map(Arc::new);
        self.send(&reach, &due, stripped.as_ref(), (0, 1), journal, out);
    }
}

/// A message as it goes on: nobody waits to hear of it, and its delay is turned round.
fn released(run: &Run, i: usize) -> Run {
    let item = &run.items[i];
    let mut head = run.head(item).to_vec();
    if let Ok(mut properties) = Properties::decode(&head)
        && let Some(headers) = &mut properties.headers
    {
        turn_round(headers);
        head.clear();
        properties.encode(&mut head);
    }
    let mut alone = RunBuilder::default();
    let names = Names { mandatory: false, ..run.names(item) };
    alone.push_like(*item, names, Parts { head: &head, ..run.parts(item) });
    alone.finish()
}
