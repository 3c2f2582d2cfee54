//! The shelf: segment files of streams, beside the log. A stream's messages move here from the log
//! in chunks, so that to retain less is to delete whole files and the log stays short.
//!
//! The log says how far each file counts (its *kept* bytes). What stands behind that was never
//! promised from here, since the log still has it, and is cut when the shelf is opened; a file
//! that is shorter, or gone, is damage and refuses the start. Every chunk is checked when it is
//! read. Nothing is ever retried but for lack of space.
//!
//! ```text
//!  <stream>-<base>.stream   | head | chunk | chunk | ... | kept ends here | torn, to be cut
//! ```

mod book;
mod chunk;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::segment::hex16;
use book::Book;
pub use chunk::ChunkHead;
use chunk::HEAD;

const SUFFIX: &str = ".stream";
/// Segment files kept open for reading.
const OPEN_MAX: usize = 64;

/// A stream's segment: which stream, and its first entry's number.
pub type SegmentId = (u32, u64);

/// How much of a segment file counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The stream.
    pub stream: u32,
    /// The number of the segment's first entry.
    pub base: u64,
    /// Bytes of the file, from its beginning.
    pub bytes: u64,
}

/// A chunk read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// What it says of its body.
    pub head: ChunkHead,
    /// The body.
    pub body: Bytes,
}

/// Why a stream's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// What was kept there is not there any more.
    #[error("the stream segment {name} is damaged at offset {offset}: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// What was found.
        what: &'static str,
        /// Where.
        offset: u64,
    },
    /// The disk refused.
    #[error("the stream segment {name}: {source}")]
    Io {
        /// The file.
        name: String,
        /// What the disk said.
        source: io::Error,
    },
}

/// The name of a segment's file.
pub(crate) fn name(stream: u32, base: u64) -> String {
    format!("{stream:08x}-{base:016x}{SUFFIX}")
}

/// The segment that a file of this name holds.
pub(crate) fn segment_of(file: &str) -> Option<SegmentId> {
    let (stream, base) = file.strip_suffix(SUFFIX)?.split_once('-')?;
    let stream = Some(stream).filter(|s| s.len() == 8).map(|s| format!("{s:0>16}"))?;
    Some((u32::try_from(hex16(&stream)?).ok()?, hex16(base)?))
}

/// All streams' segment files.
pub struct Shelf<D: Disk> {
    disk: Arc<D>,
    /// What is written of each, synced or not.
    lengths: BTreeMap<SegmentId, u64>,
    open: BTreeMap<SegmentId, Book<D::File>>,
    /// Written and not synced.
    loose: BTreeSet<SegmentId>,
    /// A file was made since the directory was synced.
    fresh: bool,
    uses: u64,
}

impl<D: Disk> Shelf<D> {
    /// Makes the files what the log says of them. Files that it says nothing of go.
    pub fn open(disk: Arc<D>, kept: &[Kept]) -> Result<Shelf<D>, OpenError> {
        let known: BTreeMap<SegmentId, u64> =
            kept.iter().map(|k| ((k.stream, k.base), k.bytes)).collect();
        let mut missing = known.clone();
        let names = disk.list().map_err(OpenError::io("list", "the log's directory"))?;
        let mut changed = false;
        for name in names {
            let Some(id) = segment_of(&name) else { continue };
            let Some(bytes) = missing.remove(&id) else {
                disk.remove(&name).map_err(OpenError::io("remove", &name))?;
                changed = true;
                continue;
            };
            cut(&*disk, &name, bytes)?;
        }
        if let Some(((stream, base), _)) = missing.pop_first() {
            return Err(damaged(name(stream, base), "the file is gone", 0));
        }
        if changed {
            disk.sync_dir().map_err(OpenError::io("sync", "the log's directory"))?;
        }
        let (open, loose) = (BTreeMap::new(), BTreeSet::new());
        Ok(Shelf { disk, lengths: known, open, loose, fresh: false, uses: 0 })
    }

    /// Writes a chunk at the end of a segment, which is made if it is not there. It is not
    /// kept before [`Shelf::sync`]; returns the file's length with it.
    pub fn append(&mut self, id: SegmentId, head: ChunkHead, body: &[u8]) -> io::Result<u64> {
        let at = match self.lengths.get(&id) {
            Some(at) => *at,
            None => {
                let book = Book::create(&*self.disk, id.0, id.1)?;
                self.fresh = true;
                self.lengths.insert(id, HEAD);
                self.open.insert(id, book);
                HEAD
            }
        };
        let book = self.book(id).map_err(io::Error::other)?;
        let end = book.append(at, head, body)?;
        self.lengths.insert(id, end);
        self.loose.insert(id);
        Ok(end)
    }

    /// Takes back what was appended to a segment behind `bytes`: there was no room for all.
    pub fn take_back(&mut self, id: SegmentId, bytes: u64) {
        if let Some(length) = self.lengths.get_mut(&id) {
            *length = (*length).min(bytes.max(HEAD));
            let length = *length;
            if let Some(book) = self.open.get_mut(&id) {
                book.forget(length);
            }
        }
    }

    /// Makes everything appended durable.
    pub fn sync(&mut self) -> io::Result<()> {
        for id in std::mem::take(&mut self.loose) {
            self.book(id).map_err(io::Error::other)?.sync()?;
        }
        if std::mem::take(&mut self.fresh) {
            self.disk.sync_dir()?;
        }
        Ok(())
    }

    /// Deletes a stream's segments whose base is below.
    pub fn remove(&mut self, stream: u32, below: u64) -> io::Result<()> {
        let ids: Vec<SegmentId> =
            self.lengths.range((stream, 0)..(stream, below)).map(|(id, _)| *id).collect();
        for id in ids {
            self.lengths.remove(&id);
            self.open.remove(&id);
            self.loose.remove(&id);
            self.disk.remove(&name(id.0, id.1))?;
        }
        Ok(())
    }

    /// How long a segment's file is, with all that was appended; 0 if there is none.
    pub fn length(&self, id: SegmentId) -> u64 {
        self.lengths.get(&id).copied().unwrap_or_default()
    }

    /// The chunks of a segment from the one that holds entry `number` on: at least one, and no
    /// more when `bytes_max` is reached. None if the segment is gone.
    pub fn read(
        &mut self,
        id: SegmentId,
        number: u64,
        bytes_max: usize,
    ) -> Result<Option<Vec<Chunk>>, ShelfError> {
        let Some(end) = self.lengths.get(&id).copied() else { return Ok(None) };
        self.book(id)?.read(number, end, bytes_max).map(Some)
    }

    /// The number of the first entry of the first chunk whose last entry came at `time` or later;
    /// the segment's end if all are older. None if the segment is gone.
    pub fn seek(&mut self, id: SegmentId, time: u64) -> Result<Option<u64>, ShelfError> {
        let Some(end) = self.lengths.get(&id).copied() else { return Ok(None) };
        self.book(id)?.seek(time, end).map(|found| Some(found.unwrap_or(u64::MAX)))
    }

    fn book(&mut self, id: SegmentId) -> Result<&mut Book<D::File>, ShelfError> {
        self.uses += 1;
        if !self.open.contains_key(&id) {
            let idle = self.open.iter().filter(|(id, _)| !self.loose.contains(id));
            let oldest = idle.min_by_key(|(_, book)| book.used).map(|(id, _)| *id);
            if let Some(oldest) = oldest.filter(|_| self.open.len() >= OPEN_MAX) {
                self.open.remove(&oldest);
            }
        }
        let book = match self.open.entry(id) {
            std::collections::btree_map::Entry::Occupied(book) => book.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(Book::open(&*self.disk, id.0, id.1)?)
            }
        };
        book.used = self.uses;
        Ok(book)
    }
}

/// Cuts what stands behind the kept bytes of a file, durably.
fn cut<D: Disk>(disk: &D, name: &str, bytes: u64) -> Result<(), OpenError> {
    let file = disk.open(name).map_err(OpenError::io("open", name))?;
    let size = file.size().map_err(OpenError::io("open", name))?;
    if size < bytes {
        return Err(damaged(name.to_owned(), "the file ends before what was kept", size));
    }
    if size > bytes {
        file.truncate(bytes).map_err(OpenError::io("cut", name))?;
        file.sync_data().map_err(OpenError::io("sync", name))?;
    }
    Ok(())
}

fn damaged(name: String, what: &'static str, offset: u64) -> OpenError {
    OpenError::Shelf(ShelfError::Damaged { name, what, offset })
}

/// Reads everything that is kept of a segment; says how many entries that is.
pub fn verify_segment<D: Disk>(disk: &D, kept: Kept) -> Result<u64, ShelfError> {
    let Kept { stream, base, bytes } = kept;
    Book::open(disk, stream, base)?.verify(bytes)
}
