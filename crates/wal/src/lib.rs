//! The log: append, group sync, recover, read back, checkpoint, and the death of segments.
//! Its content is opaque: a record is a kind (one byte) and a body. It never knows what a body
//! means, never retries a failed write or sync, and no clock decides what it keeps.
//!
//! ```text
//!  append -> pending batch -> flush -> queue -> writer thread: one write, one sync -> Progress
//!                                        |        |
//!  read   <- batches not yet written <---+        +-> segment files <- keeper thread (ahead)
//!  checkpoint -> checkpoint thread: temporary file, sync, rename, directory sync -> release
//! ```
//!
//! **What a torn tail is.** Unsynced writes reach the disk in any order, so after a power cut a
//! record may survive behind a hole. Every record therefore carries a mark: the position below
//! which everything was synced when it was written. A bad place below the mark of any record (or
//! checkpoint) that survived is damage and refuses the start; a bad place above all marks was
//! never promised to anybody and is cut. The log goes on in a fresh segment: a seal is written at
//! the cut, so that nothing behind it is ever read.

mod checkpoint;
mod disk;
mod error;
mod keeper;
mod layout;
mod log;
mod pages;
mod reader;
mod record;
mod recover;
mod scan;
mod segment;
mod shared;
mod shelf;
pub mod sim;
mod verify;
mod writer;

use std::fmt;
use std::io;
use std::time::Duration;

pub use disk::{Disk, DiskFile, OsDisk, OsFile};
pub use error::{Damaged, OpenError, ReadError, ReplayError};
pub use log::{Log, SegmentInfo, Space};
pub use pages::{Pages, Slot};
pub use reader::{OwnedEntry, Reader};
pub use record::{KIND_MAX, RECORD_MAX};
pub use recover::{Cut, Entry, Recovery, Report, open};
pub use shelf::{Chunk, ChunkHead, Kept, SegmentId, Shelf, ShelfError, verify_segment};
pub use verify::{CheckpointReport, SegmentReport, VerifyReport, dump, dump_checkpoint, verify};

/// A byte offset in the endless log. Positions only grow; they jump where a segment ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pos(pub u64);

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// One whole record, header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Where the record begins.
    pub pos: Pos,
    /// Bytes from there to its end.
    pub len: u32,
}

impl Span {
    /// The first position behind the record.
    pub fn end(self) -> Pos {
        Pos(self.pos.0.saturating_add(u64::from(self.len)))
    }
}

/// When a position counts as committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// After the device said that it is durable.
    #[default]
    Fsync,
    /// After the write; synced every [`Options::flush_every`]. A power cut may lose that long.
    Os,
    /// At the flush; written within [`Options::flush_every`]. A crash may lose that long.
    Memory,
}

/// How a log behaves; fixed from its opening to its close.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of a segment file; a record that does not fit gets a segment of its own size.
    pub segment_bytes: u64,
    /// When a position counts as committed.
    pub level: Level,
    /// The longest that level `Os` leaves data unsynced and level `Memory` leaves it unwritten.
    pub flush_every: Duration,
    /// Below this much free space [`Space::low`] is raised.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            segment_bytes: 64 << 20,
            level: Level::Fsync,
            flush_every: Duration::from_millis(200),
            // Three segments: one being filled, one prepared, one for what settles the backlog.
            reserve_bytes: 3 * (64 << 20),
        }
    }
}

/// What the background threads have to say.
#[derive(Debug)]
pub enum Progress {
    /// Everything below this position is committed, as the level says.
    Committed(Pos),
    /// A checkpoint is durable, or could not be written for lack of space (nothing is lost then:
    /// the older one stands, the caller makes a new one later).
    Checkpoint(Result<Pos, io::Error>),
    /// The log has ended for good: nothing is retried, nothing more will be committed.
    Failed(io::Error),
}
