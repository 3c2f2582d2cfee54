//! Streams: queues that keep what they deliver. Entries are in the log first, as everybody's,
//! and move to segments of their own when there are enough of them; readers stand where they
//! like, and what is too old or too much goes by whole segments.
//!
//! ```text
//!  publish --> line (in the log) --Io::Keep--> segment files --Io::Fetch--> chunks in memory
//!                  |                     kept: record, out of the line           |
//!                  +------------------> readers, each at its place <-------------+
//! ```

mod arguments;
mod keep;
mod read;
mod subscribe;

pub(super) use arguments::{age, check_consumer_kind, check_kind, locator};

use super::Broker;
use crate::dispatch::{Chunks, Filling};
use crate::id::QueueId;
use crate::journal::{Effects, Io, Journal};
use crate::ledger::{Kind, Logged, Queue, Segment, Slice};
use crate::record::{self, kind};
use lockgate_model::{Deed, Malformed, Refusal, Time};

impl Broker {
    pub(super) fn is_stream(&self, queue: QueueId) -> bool {
        self.ledger.queues.get(&queue).is_some_and(|q| q.rules.kind == Kind::Stream)
    }

    /// Refuses what no stream can do.
    pub(super) fn not_of_streams(&self, q: &Queue, deed: Deed) -> Result<(), Refusal> {
        if q.rules.kind != Kind::Stream {
            return Ok(());
        }
        let (name, vhost) = (q.spec.name.clone(), self.ledger.vhost_name(q.vhost));
        Err(Refusal::NotOfStreams { deed, name, vhost })
    }

    /// The volatile half of a stream that is declared, or was there before the start.
    pub(super) fn open_stream(&mut self, queue: QueueId) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(stream) = &q.stream else { return };
        let filling = |s: &Segment| Filling { base: s.base, bytes: s.bytes, since: s.from };
        let mut chunks = Chunks::default();
        chunks.handed = q.span().1 - q.line.live();
        chunks.pending = tail_bytes(q);
        chunks.filling = stream.newest().map(filling);
        self.dispatch.chunks.insert(queue, chunks);
        self.list(queue);
    }

    /// A stream is gone, with all its files.
    pub(super) fn close_stream(&mut self, queue: QueueId, after: u64, out: &mut Effects) {
        if let Some(chunks) = self.dispatch.chunks.remove(&queue) {
            self.resident -= chunks.bytes();
            self.keeping.retain(|q| *q != queue);
            out.io.push(Io::Discard { stream: queue, below: u64::MAX, after });
        }
    }

    /// Applies that a stream's entries are kept.
    pub(super) fn apply_kept(
        &mut self,
        queue: QueueId,
        segment: Segment,
        latest: u64,
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return Ok(()) };
        let Some(stream) = &mut q.stream else { return Ok(()) };
        stream.keep(segment, latest)?;
        let before = q.line.resident();
        q.line.settle(0, segment.end, journal, &mut self.freed);
        q.line.skip_to(segment.end);
        self.resident -= before - q.line.resident();
        Ok(())
    }

    /// Serves what was just appended to a stream, and keeps what is enough.
    pub(super) fn store_in_stream(
        &mut self,
        queue: QueueId,
        slice: &Slice,
        logged: Option<Logged>,
        out: &mut Effects,
    ) {
        self.note_arrival(queue, slice.first, keep::size(slice), self.now);
        self.shrink(queue, out);
        self.offer_live(queue, slice, logged.map_or(0, |l| l.place.end()), out);
    }

    /// A block came back: perhaps it is what keeping waits for.
    pub(super) fn list_again(&mut self, queue: QueueId) {
        if self.dispatch.chunks.contains_key(&queue) {
            self.list(queue);
        }
    }

    /// What time or a new segment demands of a stream.
    pub(super) fn tend(&mut self, queue: QueueId, journal: &mut impl Journal, out: &mut Effects) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(stream) = &q.stream else { return };
        let Some(chunks) = self.dispatch.chunks.get_mut(&queue) else { return };
        if let Some(due) = tail_due(q, chunks)
            && due <= self.now
        {
            chunks.eager = true;
        }
        let below = stream.overdue(&q.rules, self.now, chunks.pending);
        self.list(queue);
        let Some(below) = below else { return };
        let place = journal.append(kind::CUT, |out| record::write_cut(queue, below, out));
        out.io.push(Io::Discard { stream: queue, below, after: place.end() });
        self.apply_cut(queue, below);
    }

    /// Applies that a stream's oldest segments are gone.
    pub(super) fn apply_cut(&mut self, queue: QueueId, below: u64) {
        if let Some(s) = self.ledger.queues.get_mut(&queue).and_then(|q| q.stream.as_mut()) {
            s.cut(below);
        }
        if let Some(chunks) = self.dispatch.chunks.get_mut(&queue) {
            let before = chunks.bytes();
            chunks.cut(below);
            self.resident -= before - chunks.bytes();
        }
    }

    /// When a stream wants to be looked at.
    pub(super) fn stream_due(&self, q: &Queue) -> Option<u64> {
        let chunks = self.dispatch.chunks.get(&q.id)?;
        let old = q.stream.as_ref()?.due(&q.rules);
        let due = old.into_iter().chain(tail_due(q, chunks)).min()?;
        // A moment is due when it is over.
        Some(due.millis() + 1)
    }

    /// The segments that streams have kept, for whoever looks after their files: stream,
    /// first entry, bytes.
    pub fn kept_segments(&self) -> Vec<(QueueId, u64, u64)> {
        let of = |q: &Queue| -> Vec<(QueueId, u64, u64)> {
            let Some(stream) = &q.stream else { return Vec::new() };
            stream.segments().map(|s| (q.id, s.base, s.bytes)).collect()
        };
        let mut all: Vec<_> = self.ledger.queues.values().flat_map(|q| of(q)).collect();
        all.sort_unstable();
        all
    }
}

/// Bytes of a stream's entries that are still in the log.
fn tail_bytes(q: &Queue) -> u64 {
    let blocks = q.line.ranks().iter().flat_map(|r| r.blocks()).filter(|b| b.live > 0);
    blocks.map(|b| b.bytes).sum()
}

/// When what is not kept yet has to be, so that it can get old.
fn tail_due(q: &Queue, chunks: &Chunks) -> Option<Time> {
    let age = q.rules.segment_age()?;
    let waits = !chunks.busy && !chunks.eager && chunks.handed < q.span().1;
    let oldest = q.stream.as_ref().filter(|_| waits)?.time_of(chunks.handed);
    Some(oldest + age)
}
