//! Keeping: a stream's entries that are committed and many enough move to its segments. One
//! batch at a time is on its way; what comes meanwhile makes the next one larger.

use super::super::{Broker, backlog};
use crate::dispatch::Filling;
use crate::id::QueueId;
use crate::journal::{Chunk, Effects, Io, Journal};
use crate::ledger::{Read, Rules, Segment, Slice};
use crate::record::{self, kind};
use lockgate_model::Time;

/// So much is worth a sync of its own; less of it when memory is short.
const KEEP_BYTES: u64 = 256 * 1024;
const KEEP_LEAST: u64 = 64 * 1024;
/// One chunk: what one read brings back.
const CHUNK_BYTES: u64 = 64 * 1024;
/// No more is on its way at a time.
const BATCH_BYTES: u64 = 8 << 20;

impl Broker {
    /// Entries from `first` on were appended to a stream, `bytes` of them.
    pub(in super::super) fn note_arrival(
        &mut self,
        queue: QueueId,
        first: u64,
        bytes: u64,
        at: Time,
    ) {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let Some(stream) = &mut q.stream else { return };
        stream.note(first, at);
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        let was_empty = chunks.pending == 0;
        chunks.pending += bytes;
        self.list(queue);
        if was_empty {
            self.arm(queue);
        }
    }

    /// Notes that the stream may have something to be kept.
    pub(super) fn list(&mut self, queue: QueueId) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let worth = self.worth(&q.rules);
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        let enough = chunks.eager || chunks.pending >= worth;
        if enough && !chunks.listed {
            chunks.listed = true;
            self.keeping.push(queue);
        }
    }

    /// How much must wait before it is kept.
    fn worth(&self, rules: &Rules) -> u64 {
        let crowded = self.resident > self.settings.resident_max;
        rules.segment_max().min(if crowded { KEEP_LEAST } else { KEEP_BYTES })
    }

    /// Hands to the disk what can be kept by now.
    pub(in super::super) fn keep(&mut self, out: &mut Effects) {
        let mut listed = std::mem::take(&mut self.keeping);
        listed.retain(|queue| {
            self.keep_some(*queue, out);
            let Some(q) = self.ledger.queues.get(queue) else { return false };
            let worth = self.worth(&q.rules);
            let Some(chunks) = self.dispatch.chunks.get_mut(queue) else { return false };
            if chunks.handed >= q.span().1 {
                chunks.eager = false;
            }
            chunks.listed = chunks.eager || chunks.pending >= worth;
            chunks.listed
        });
        listed.append(&mut self.keeping);
        self.keeping = listed;
    }

    /// Bytes of streams that wait to be kept: who publishes faster than that must wait, too.
    pub fn keeping_bytes(&self) -> u64 {
        self.keeping.iter().filter_map(|q| self.dispatch.chunks.get(q)).map(|c| c.pending).sum()
    }

    fn keep_some(&mut self, queue: QueueId, out: &mut Effects) {
        let mut batch: Vec<Chunk> = Vec::new();
        let (mut bytes, mut total) = (0, 0);
        while total < BATCH_BYTES {
            let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
            let Some(chunks) = self.dispatch.chunks.get_mut(&queue).filter(|c| !c.busy) else {
                return;
            };
            let (from, to) = (chunks.handed, q.line.next(0));
            if from >= to || q.line.needs(from) > self.committed {
                break;
            }
            let read = backlog::read(q.id, &mut q.line, &mut self.resident, from, to, out);
            let (Some(slice), Some(stream)) = (read, &q.stream) else { break };
            let size = size(&slice);
            let end = slice.first + u64::from(slice.count);
            let times = (stream.time_of(from), stream.time_of(end - 1));
            match batch.last_mut().filter(|_| bytes < CHUNK_BYTES) {
                Some(chunk) => {
                    chunk.times.1 = times.1;
                    chunk.slices.push(slice);
                    bytes += size;
                }
                None => {
                    batch.push(Chunk { first: from, times, slices: vec![slice] });
                    bytes = size;
                }
            }
            total += size;
            chunks.handed = end;
            chunks.pending = if end == to { 0 } else { chunks.pending.saturating_sub(size) };
            if end == to {
                break;
            }
        }
        self.hand_in(queue, batch, out);
    }

    /// Hands a batch to the disk, to one segment; what belongs into the next one waits.
    fn hand_in(&mut self, queue: QueueId, mut batch: Vec<Chunk>, out: &mut Effects) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        let Some(first) = batch.first() else { return };
        let aged = |f: &Filling, at: Time| q.rules.segment_age().is_some_and(|a| f.since + a <= at);
        let (most, now) = (q.rules.segment_max(), self.now);
        let fits = |f: &Filling| f.bytes < most && !aged(f, now);
        let fresh = Filling { base: first.first, bytes: 0, since: first.times.0 };
        let mut filling = chunks.filling.filter(fits).unwrap_or(fresh);
        let mut taken = 0;
        for chunk in &batch {
            if taken > 0 && filling.bytes >= most {
                break;
            }
            filling.bytes += chunk.slices.iter().map(size).sum::<u64>();
            taken += 1;
        }
        let rest: u64 = batch.drain(taken..).flat_map(|c| c.slices).map(|s| size(&s)).sum();
        chunks.pending += rest;
        let last = batch.last().and_then(|c| c.slices.last());
        chunks.handed = last.map_or(chunks.handed, |s| s.first + u64::from(s.count));
        (chunks.filling, chunks.busy) = (Some(filling), true);
        let kept = q.stream.as_ref().and_then(|s| s.newest()).filter(|s| s.base == filling.base);
        let bytes = kept.map_or(0, |s| s.bytes);
        out.io.push(Io::Keep { stream: queue, segment: filling.base, bytes, chunks: batch });
    }

    /// The disk has kept a stream's entries below `end`; the segment's file is `bytes` long.
    pub fn kept(
        &mut self,
        queue: QueueId,
        base: u64,
        end: u64,
        bytes: u64,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let (Some(stream), Some(first)) = (&q.stream, q.line.next_in_rank(0)) else { return };
        let (from, to) = (stream.time_of(first), stream.time_of(end.saturating_sub(1)));
        let segment = Segment { base, end, bytes, from, to };
        let latest = stream.latest();
        journal.append(kind::KEPT, |out| record::write_kept(queue, &segment, latest, out));
        self.take_over(queue, first, end);
        let applied = self.apply_kept(queue, segment, latest, journal);
        assert!(applied.is_ok(), "what was handed out to be kept follows what is kept");
        if let Some(chunks) = self.dispatch.chunks.get_mut(&queue) {
            chunks.busy = false;
        }
        self.tend(queue, journal, out);
        self.arm(queue);
    }

    /// There is no room for a stream's entries: they stay in the log, and are tried again.
    pub fn unkept(&mut self, queue: QueueId) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        chunks.handed = q.line.next_in_rank(0).unwrap_or(chunks.handed);
        chunks.pending = super::tail_bytes(q);
        chunks.filling = q.stream.as_ref().and_then(|s| s.newest()).map(|s| Filling {
            base: s.base,
            bytes: s.bytes,
            since: s.from,
        });
        self.stalled.push(queue);
    }

    /// Tries again what there was no room for.
    pub(in super::super) fn retry(&mut self) {
        for queue in std::mem::take(&mut self.stalled) {
            if let Some(chunks) = self.dispatch.chunks.get_mut(&queue) {
                chunks.busy = false;
                self.list(queue);
            }
        }
    }

    /// Entries `from..to` leave the line: what is in memory of them stays there for readers.
    fn take_over(&mut self, queue: QueueId, from: u64, to: u64) {
        let desk = self.dispatch.desks.get(&queue);
        if desk.is_none_or(|d| d.subscribers.is_empty()) {
            return;
        }
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        let before = chunks.bytes();
        let mut at = from;
        while at < to
            && let Some(Read::Slice(slice)) = q.line.read(at, to)
        {
            at += u64::from(slice.count);
            let bytes = size(&slice);
            chunks.hold(slice, bytes);
        }
        self.resident += chunks.bytes() - before;
        self.shrink_chunks(queue);
    }
}

/// Bytes of a slice's messages.
pub(super) fn size(slice: &Slice) -> u64 {
    let items = slice.run.items.iter().skip(slice.item as usize).take(slice.count as usize);
    items.map(|i| i.size() as u64).sum()
}
