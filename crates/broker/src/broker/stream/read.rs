//! Reading: each reader of a stream goes on from its own place as far as it can take, from
//! segments by way of the chunks in memory, then from the line. Who must wait for the disk
//! waits alone.

use super::super::{Broker, backlog};
use crate::dispatch::Seek;
use crate::id::QueueId;
use crate::journal::{Effects, Io};
use crate::ledger::Slice;
use lockgate_model::{Run, Time};
use std::sync::Arc;

/// One read of the disk brings so much at the most, and at the least when there are many readers.
const AHEAD_BYTES: u64 = 512 * 1024;
const AHEAD_LEAST: u64 = 64 * 1024;
/// With so few chunks in memory before a reader, the disk is asked for more.
const AHEAD_CHUNKS: usize = 4;

impl Broker {
    /// Gives all readers of a stream what there is for them.
    pub(in super::super) fn serve_readers(&mut self, queue: QueueId, out: &mut Effects) {
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        let ring = std::mem::take(&mut desk.ring);
        ring.iter().for_each(|id| self.serve_reader(queue, *id, out));
        self.seat(queue, ring);
        self.shrink(queue, out);
    }

    /// Those of a ring that can take more stay in it.
    fn seat(&mut self, queue: QueueId, mut ring: std::collections::VecDeque<usize>) {
        ring.retain(|id| {
            let stays = self.dispatch.capacity(*id) > 0;
            if let Some(s) = self.dispatch.subscribers.get_mut(*id) {
                s.in_ring = stays;
            }
            stays
        });
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.ring = ring;
        }
    }

    fn serve_reader(&mut self, queue: QueueId, id: usize, out: &mut Effects) {
        while self.dispatch.capacity(id) > 0 {
            let Some(q) = self.ledger.queues.get(&queue) else { return };
            let (first, next) = q.span();
            let Some(s) = self.dispatch.subscribers.get_mut(id) else { return };
            let Some(reader) = &mut s.reader else { return };
            if let Some(Seek { segment, time, asked }) = &mut reader.seeks {
                if !std::mem::replace(asked, true) {
                    out.io.push(Io::Seek { stream: queue, segment: *segment, time: *time });
                }
                return;
            }
            // What was cut meanwhile cannot be read any more.
            reader.next = reader.next.max(first);
            let at = reader.next;
            if at >= next {
                return;
            }
            let Some((slice, after)) = self.stretch(queue, at, out) else { return };
            self.dispatch.read_out(id, &slice, after, out);
        }
    }

    /// Entries from `at` on that are in memory, and what must be committed before they leave.
    /// What is not in memory is asked for.
    fn stretch(&mut self, queue: QueueId, at: u64, out: &mut Effects) -> Option<(Slice, u64)> {
        let q = self.ledger.queues.get_mut(&queue)?;
        let (kept, next) = (q.stream.as_ref()?.kept_end(), q.line.next(0));
        if at >= kept {
            let after = q.line.needs(at);
            let slice = backlog::read(q.id, &mut q.line, &mut self.resident, at, next, out)?;
            return Some((slice, after));
        }
        let chunks = self.dispatch.chunks.get_mut(&queue)?;
        let slice = chunks.find(at);
        // Where a reader enters a chunk it is time to look ahead.
        if slice.as_ref().is_none_or(|s| s.item == 0) {
            let gap = chunks.gap(at, AHEAD_CHUNKS).filter(|gap| *gap < kept);
            if let Some(gap) = gap {
                self.fetch_chunks(queue, gap, out);
            }
        }
        slice.map(|s| (s, 0))
    }

    /// Asks the disk for the chunk that holds an entry, and some behind it.
    fn fetch_chunks(&mut self, queue: QueueId, from: u64, out: &mut Effects) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(segment) = q.stream.as_ref().and_then(|s| s.segment_of(from)) else { return };
        let room = self.chunks_max(queue) / 2;
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        if chunks.coming.insert(from) {
            let readers = self.dispatch.desks.get(&queue).map_or(1, |d| d.subscribers.len().max(1));
            let bytes_max = (room / readers as u64).clamp(AHEAD_LEAST, AHEAD_BYTES) as usize;
            let segment = segment.base;
            out.io.push(Io::Fetch { stream: queue, segment, from, bytes_max });
        }
    }

    /// The disk brought chunks, the first of which holds the entry that was asked for. False
    /// if it should be there and is not.
    pub fn chunks_came(&mut self, queue: QueueId, from: u64, found: Vec<(u64, Arc<Run>)>) -> bool {
        let Some(q) = self.ledger.queues.get(&queue) else { return true };
        let Some(stream) = &q.stream else { return true };
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return true };
        chunks.coming.remove(&from);
        let (first, kept) = (q.span().0, stream.kept_end());
        let before = chunks.bytes();
        for (at, run) in found {
            let count = run.items.len() as u32;
            let end = at.saturating_add(count.into());
            // A file may have more than the log says by now: that is still in the line.
            if first < end && end <= kept {
                let bytes = run.bytes.len() as u64;
                chunks.hold(Slice { run, item: 0, first: at, count }, bytes);
            }
        }
        let here = from < first || chunks.find(from).is_some();
        self.resident = self.resident + chunks.bytes() - before;
        self.shrink_chunks(queue);
        self.dispatch.wake(queue);
        here
    }

    /// The disk has found a place by its time: the entry `number`, or the segment's end.
    pub fn sought(&mut self, queue: QueueId, segment: u64, time: Time, number: Option<u64>) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let end = q.stream.as_ref().and_then(|s| s.segment_of(segment)).map_or(0, |s| s.end);
        let next = number.unwrap_or(end).min(end);
        let Some(desk) = self.dispatch.desks.get(&queue) else { return };
        for id in &desk.subscribers {
            let s = self.dispatch.subscribers.get_mut(*id);
            let Some(reader) = s.and_then(|s| s.reader.as_mut()) else { continue };
            if reader.seeks.is_some_and(|s| s.segment == segment && s.time == time && s.asked) {
                reader.seeks = None;
                reader.next = next;
            }
        }
        self.dispatch.wake(queue);
    }

    /// Gives entries that have just been appended to the readers who wait for them.
    pub(in super::super) fn offer_live(
        &mut self,
        queue: QueueId,
        slice: &Slice,
        after: u64,
        out: &mut Effects,
    ) {
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        if desk.ring.is_empty() {
            return;
        }
        let ring = std::mem::take(&mut desk.ring);
        let mut behind = false;
        for id in &ring {
            let s = self.dispatch.subscribers.get(*id);
            let Some(reader) = s.and_then(|s| s.reader.as_ref()) else { continue };
            if reader.next == slice.first && reader.seeks.is_none() {
                self.dispatch.read_out(*id, slice, after, out);
            } else {
                behind |= reader.next < slice.first + u64::from(slice.count);
            }
        }
        self.seat(queue, ring);
        if behind {
            self.dispatch.wake(queue);
        }
    }

    /// How much of a stream's segments may be in memory.
    fn chunks_max(&self, queue: QueueId) -> u64 {
        let most = self.resident_limit();
        let readers = self.dispatch.desks.get(&queue).map_or(0, |d| d.subscribers.len());
        most.max(readers as u64 * AHEAD_LEAST * 2)
    }

    /// Forgets chunks of a stream that has too many.
    pub(super) fn shrink_chunks(&mut self, queue: QueueId) {
        let most = self.chunks_max(queue);
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        let before = chunks.bytes();
        chunks.shrink(most);
        self.resident -= before - chunks.bytes();
    }
}
