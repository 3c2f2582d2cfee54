//! Reads records back, from the disk or from batches that are not written yet. Every record is
//! checked; a wrong body is never handed out.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, DiskFile};
use crate::error::{Damaged, ReadError};
use crate::record::{HEADER, Judged, KIND_MAX, judge};
use crate::segment;
use crate::shared::Shared;
use crate::{Pos, Span};

/// Spans closer than this are read together.
const GAP_MAX: u64 = 4096;
/// One read takes no more than this (but for one record that is longer).
const READ_MAX: u64 = 1 << 20;
/// Segment files kept open for reading.
const OPEN_MAX: usize = 64;

/// A record that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedEntry {
    /// The epoch in which it was written.
    pub epoch: u32,
    /// Its kind.
    pub kind: u8,
    /// Its body.
    pub body: Bytes,
}

/// Reads from any thread. What was flushed can be read, written or not; what was only appended
/// cannot ([`ReadError::NotFlushed`]).
pub struct Reader<D: Disk> {
    shared: Arc<Shared<D>>,
}

impl<D: Disk> Clone for Reader<D> {
    fn clone(&self) -> Self {
        Reader { shared: self.shared.clone() }
    }
}

impl<D: Disk> Reader<D> {
    pub(crate) fn new(shared: Arc<Shared<D>>) -> Self {
        Reader { shared }
    }

    /// Reads one record.
    pub fn read(&self, span: Span) -> Result<OwnedEntry, ReadError> {
        if let Some(entry) = self.unwritten(span)? {
            return Ok(entry);
        }
        let (base, bytes) = self.load(span, span.end())?;
        entry_at(base, &bytes, 0, span)
    }

    /// Reads records that stand in ascending order; neighbours come with one disk access. Bodies
    /// from one access share one buffer.
    pub fn read_many(&self, spans: &[Span]) -> Result<Vec<OwnedEntry>, ReadError> {
        let mut entries = Vec::with_capacity(spans.len());
        let mut rest = spans;
        while let Some(first) = rest.first() {
            if let Some(entry) = self.unwritten(*first)? {
                entries.push(entry);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let run = neighbours(rest, self.shared.written());
            let (run, after) = rest.split_at(run.max(1));
            let end = run.last().map_or(first.end(), |last| last.end());
            let (base, bytes) = self.load(*first, end)?;
            for span in run {
                let at = (span.pos.0 - first.pos.0) as usize;
                entries.push(entry_at(base, &bytes, at, *span)?);
            }
            rest = after;
        }
        Ok(entries)
    }

    /// A record that is not written yet; `None` if it is on the disk.
    fn unwritten(&self, span: Span) -> Result<Option<OwnedEntry>, ReadError> {
        if span.end() <= self.shared.written() {
            return Ok(None);
        }
        let queue = self.shared.queue();
        let held = queue.find(span.pos).and_then(|batch| batch.bytes_at(span.pos));
        if let Some(record) = held.and_then(|bytes| bytes.get(..span.len as usize)) {
            let copy = Bytes::copy_from_slice(record);
            return entry_at(span.pos.0, &copy, 0, span).map(Some);
        }
        drop(queue);
        // It may have been written between the two looks.
        if span.end() <= self.shared.written() {
            Ok(None)
        } else {
            Err(ReadError::NotFlushed(span))
        }
    }

    /// The bytes from the span's beginning to `end`, and the base of their segment.
    fn load(&self, span: Span, end: Pos) -> Result<(u64, Bytes), ReadError> {
        let (base, file) = self.file_of(span, end)?;
        let mut bytes = vec![0u8; (end.0 - span.pos.0) as usize];
        let n = file.read_at(&mut bytes, span.pos.0 - base);
        let n = n.map_err(|source| ReadError::Io { segment: segment::name(base), source })?;
        bytes.truncate(n);
        Ok((base, Bytes::from(bytes)))
    }

    fn file_of(&self, span: Span, end: Pos) -> Result<(u64, Arc<D::File>), ReadError> {
        let mut table = self.shared.table();
        let found = table.slots.range(..=span.pos.0).next_back();
        let Some((&base, slot)) = found.filter(|(base, slot)| end.0 - **base <= slot.size) else {
            return Err(ReadError::Gone(span));
        };
        if let Some(file) = &slot.file {
            return Ok((base, file.clone()));
        }
        let opened = self.shared.disk.open(&segment::name(base));
        let opened =
            opened.map_err(|source| ReadError::Io { segment: segment::name(base), source })?;
        let file = Arc::new(opened);
        if table.slots.values().filter(|s| s.file.is_some()).count() >= OPEN_MAX {
            table.slots.values_mut().for_each(|s| s.file = None);
        }
        if let Some(slot) = table.slots.get_mut(&base) {
            slot.file = Some(file.clone());
        }
        Ok((base, file))
    }
}

/// How many of the first spans one read may serve.
fn neighbours(spans: &[Span], written: Pos) -> usize {
    let Some(first) = spans.first() else {
        return 0;
    };
    let near = |pair: &[Span]| match pair {
        [a, b] => {
            let gap = b.pos.0.checked_sub(a.end().0);
            gap.is_some_and(|gap| gap <= GAP_MAX)
                && b.end().0 - first.pos.0 <= READ_MAX
                && b.end() <= written
        }
        _ => false,
    };
    1 + spans.windows(2).take_while(|pair| near(pair)).count()
}

fn entry_at(base: u64, bytes: &Bytes, at: usize, span: Span) -> Result<OwnedEntry, ReadError> {
    let range: Range<usize> = at..at.saturating_add(span.len as usize);
    let record = bytes.get(range.clone()).unwrap_or_default();
    match judge(record, span.pos, None) {
        Judged::Good(head) if head.length == span.len && head.kind <= KIND_MAX => Ok(OwnedEntry {
            epoch: head.epoch,
            kind: head.kind,
            body: bytes.slice(at + HEADER..range.end),
        }),
        _ => Err(ReadError::Damaged(Damaged {
            what: "a record is unreadable",
            segment: segment::name(base),
            offset: span.pos.0.saturating_sub(base),
            from: span.pos,
            to: span.end(),
        })),
    }
}
