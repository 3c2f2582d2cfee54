//! Walks the records of one segment in order, and searches behind a bad place for records that
//! survived there. Linear in the segment's size; it only reads.

use std::io;

use crate::Pos;
use crate::disk::DiskFile;
use crate::record::{HEADER, Head, Judged, SEAL, claims, judge, u64_at};

/// How much is read from the disk at once.
const CHUNK: usize = 256 << 10;
/// The grain in which the search skips what was never written.
const GRAIN: usize = 4096;

/// A part of a file, kept in memory while it is looked at.
struct Window<'f, F> {
    file: &'f F,
    size: u64,
    start: u64,
    buf: Vec<u8>,
}

impl<F: DiskFile> Window<'_, F> {
    /// `wanted` bytes at `offset`, fewer only where the file ends.
    fn at(&mut self, offset: u64, wanted: usize) -> io::Result<&[u8]> {
        let left = self.size.saturating_sub(offset);
        let wanted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        let held = self.start + self.buf.len() as u64;
        if offset < self.start || offset + wanted as u64 > held {
            let whole = wanted.max(CHUNK).min(usize::try_from(left).unwrap_or(usize::MAX));
            self.buf.resize(whole, 0);
            let n = self.file.read_at(&mut self.buf, offset)?;
            self.buf.truncate(n);
            self.start = offset;
        }
        let from = (offset - self.start) as usize;
        let held = self.buf.get(from..).unwrap_or_default();
        Ok(held.get(..wanted).unwrap_or(held))
    }
}

pub(crate) enum Step<'a> {
    Record(Head, &'a [u8]),
    /// The segment ends here in order; the next one has this base.
    Seal(u64),
    /// No record stands here.
    Stop,
}

/// The records of one segment, in order.
pub(crate) struct Scan<'f, F> {
    window: Window<'f, F>,
    base: u64,
    generation: u32,
    /// Offset of what comes next; after `Stop` that of the bad place, after `Seal` the seal's.
    pub at: u64,
}

impl<'f, F: DiskFile> Scan<'f, F> {
    pub fn new(file: &'f F, base: u64, generation: u32, at: u64) -> io::Result<Self> {
        let window = Window { file, size: file.size()?, start: 0, buf: Vec::new() };
        Ok(Scan { window, base, generation, at })
    }

    pub fn next(&mut self) -> io::Result<Step<'_>> {
        let pos = Pos(self.base.saturating_add(self.at));
        let generation = Some(self.generation);
        let head = match judge(self.window.at(self.at, HEADER)?, pos, generation) {
            Judged::Good(head) => head,
            Judged::Bad => return Ok(Step::Stop),
            Judged::Short(length) => {
                match judge(self.window.at(self.at, length)?, pos, generation) {
                    Judged::Good(head) => head,
                    Judged::Bad | Judged::Short(_) => return Ok(Step::Stop),
                }
            }
        };
        let record = self.window.at(self.at, head.length as usize)?;
        let body = record.get(HEADER..).unwrap_or_default();
        if head.kind == SEAL {
            return Ok(u64_at(body, 0).map_or(Step::Stop, Step::Seal));
        }
        self.at += u64::from(head.length);
        Ok(Step::Record(head, body))
    }
}

/// What stands behind a bad place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Survey {
    /// The highest mark of any whole record found: everything below it had been synced.
    pub synced: Pos,
    /// Whole records found.
    pub records: u64,
    /// Offset behind the last byte that is not zero, or 0.
    pub used: u64,
}

/// Searches from `from` on. `generation`: `None` when the segment's header is unreadable.
pub(crate) fn survey<F: DiskFile>(
    file: &F,
    base: u64,
    generation: Option<u32>,
    from: u64,
) -> io::Result<Survey> {
    let size = file.size()?;
    let mut window = Window { file, size, start: 0, buf: Vec::new() };
    let mut found = Survey::default();
    let mut at = from;
    let mut look = true;
    while at < size {
        if look {
            let Some(next) = file.next_data(at)? else {
                break;
            };
            at = next.max(at);
        }
        // A header may begin in this grain and end in the next.
        let bytes = window.at(at, GRAIN + HEADER - 1)?;
        let grain = bytes.get(..GRAIN).unwrap_or(bytes);
        let step = grain.len().max(1) as u64;
        if let Some(last) = last_used(grain) {
            found.used = at + last as u64 + 1;
        } else if last_used(bytes).is_none() {
            at += step;
            look = true;
            continue;
        }
        look = false;
        let candidate = (0..grain.len()).find_map(|i| {
            let pos = Pos(base.saturating_add(at + i as u64));
            claims(bytes.get(i..)?, pos, generation).map(|length| (at + i as u64, length))
        });
        let Some((offset, length)) = candidate else {
            at += step;
            continue;
        };
        let pos = Pos(base.saturating_add(offset));
        at = match judge(window.at(offset, length)?, pos, generation) {
            Judged::Good(head) => {
                found.records += 1;
                found.synced = found.synced.max(head.synced);
                found.used = found.used.max(offset + length as u64);
                offset + length as u64
            }
            Judged::Bad | Judged::Short(_) => offset + 1,
        };
    }
    Ok(found)
}

/// Index of the last byte that is not zero.
fn last_used(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    if words.iter().all(|w| u64::from_ne_bytes(*w) == 0) && rest.iter().all(|b| *b == 0) {
        return None;
    }
    bytes.iter().rposition(|b| *b != 0)
}
