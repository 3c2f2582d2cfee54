//! Delivering what waits; what is on the disk is fetched ahead of the consumer.

use super::Broker;
use crate::dispatch::Lot;
use crate::id::{PageId, Place, QueueId};
use crate::journal::{BlockKey, Effects, Io, Journal};
use crate::ledger::{Evicted, Line, Read, Store, Wanted};
use lockgate_model::Run;
use std::sync::Arc;

/// Blocks on their way from the disk at a time: half a megabyte, what a consumer drains
/// while the disk turns round.
pub(super) const AHEAD: usize = 8;

/// With all memory taken, a queue keeps this much: what one consumer has under way.
const RESIDENT_LEAST: u64 = 256 * 1024;

impl Broker {
    /// Delivers from one queue as long as there is something and someone to take it.
    pub(super) fn deliver_from(
        &mut self,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        if self.is_stream(queue) {
            return self.serve_readers(queue, out);
        }
        match self.ledger.queues.get(&queue).and_then(|q| q.store) {
            None => {}
            Some(Store::Delayed(_)) => return self.release(queue, journal, out),
            Some(Store::Kept(_)) => return self.go_on_reminding(queue, journal, out),
            Some(Store::Retained(..)) => return self.feed_replays(queue),
        }
        self.expire(queue, journal);
        self.bury(queue, journal, out);
        self.serve_waiting(queue, journal, out);
        loop {
            let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            if desk.ring.is_empty() || !desk.waiting.is_empty() {
                return;
            }
            if desk.groups.is_some() {
                return self.deliver_grouped(queue, journal, out);
            }
            let Some((from, to, redelivered)) = desk.upcoming(&q.line) else { return };
            let (stamp, to) = q.stamp(from, to);
            let Some(slice) = read(q.id, &mut q.line, &mut self.resident, from, to, out) else {
                return;
            };
            if self.finds_groups(queue, &slice) {
                self.begin_groups(queue);
                continue;
            }
            let lot = Lot { slice, redelivered, stamp };
            let served = self.dispatch.serve(queue, &lot, out);
            let Some(q) = self.ledger.queues.get(&queue) else { return };
            if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
                desk.took(&q.line, from, served.taken);
            }
            for (part, step, count) in served.settled {
                self.settle_strided(queue, from + u64::from(part), step, count, journal);
            }
            if served.taken == 0 {
                return;
            }
            self.shrink(queue, out);
        }
    }

    /// How much of one queue may be in memory.
    pub(super) fn resident_limit(&self) -> u64 {
        let crowded = self.resident > self.settings.resident_max;
        if crowded { RESIDENT_LEAST } else { self.settings.queue_resident }
    }

    /// A queue with much in memory puts blocks away.
    pub(super) fn shrink(&mut self, queue: QueueId, out: &mut Effects) {
        let limit = self.resident_limit();
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        // What a stream has too much of in memory it keeps in its segments.
        if q.stream.is_some() || q.line.resident() <= limit {
            return;
        }
        q.line.seal_full();
        let Some(desk) = self.dispatch.desks.get(&queue) else { return };
        while q.line.resident() > limit {
            let before = q.line.resident();
            let page = PageId(self.next_page + 1);
            let cursor = |rank| desk.cursor.at(rank);
            let Some(evicted) = q.line.evict(cursor, page) else { break };
            self.next_page += 1;
            self.resident -= before - q.line.resident();
            if let Evicted::Stored(run) = evicted {
                out.io.push(Io::Store { page, run });
            }
        }
    }

    /// The disk brought a block back.
    pub fn loaded(&mut self, key: BlockKey, run: Arc<Run>) {
        if self.fetched(key, &run) {
            return;
        }
        let Some(q) = self.ledger.queues.get_mut(&key.queue) else { return };
        let before = q.line.resident();
        if q.line.arrived(key.first, run, &mut self.freed) {
            self.resident += q.line.resident() - before;
            self.list_again(key.queue);
        }
        // Who waits for what is settled by now must see that.
        self.dispatch.wake(key.queue);
    }

    /// The disk could not bring a block: the record at `place` was gone. False if
    /// that should not be.
    pub fn missed(&mut self, key: BlockKey, place: Place) -> bool {
        if let Some(fine) = self.unfetched(key, place) {
            return fine;
        }
        let Some(q) = self.ledger.queues.get_mut(&key.queue) else { return true };
        self.dispatch.wake(key.queue);
        q.line.missed(key.first, place)
    }
}

/// Reads entries that are in memory; asks for them and gives none if they are not.
pub(super) fn read(
    queue: QueueId,
    line: &mut Line,
    resident: &mut u64,
    from: u64,
    to: u64,
    out: &mut Effects,
) -> Option<crate::ledger::Slice> {
    let before = line.resident();
    let read = line.read(from, to);
    *resident = *resident + line.resident() - before;
    let (slice, enter) = match read? {
        // The first look into a block is the time to fetch those behind it.
        Read::Slice(slice) => {
            let enter = slice.item == 0;
            (Some(slice), enter)
        }
        Read::Away => (None, true),
    };
    if enter {
        ask(queue, line, (from, u64::MAX), AHEAD, out);
    }
    slice
}

/// Asks for those of the first `ahead` blocks of entries `from..to` that are away.
pub(super) fn ask(
    queue: QueueId,
    line: &mut Line,
    (from, to): (u64, u64),
    ahead: usize,
    out: &mut Effects,
) {
    line.want(from, to, ahead, |first, wanted| {
        let key = BlockKey { queue, first };
        out.io.push(match wanted {
            Wanted::Page(page) => Io::LoadPage { key, page },
            Wanted::Parts(parts) => Io::Load { key, parts },
        });
    });
}
