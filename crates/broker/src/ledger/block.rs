//! A block: consecutive entries of one queue, stored and moved as one.
//!
//! While the queue's publishers are at it, it is open and grows. It is sealed when
//! it is full or when something must be read from it. A sealed block may be put
//! away: forgotten where the log holds all of it, else written to a page.
//!
//! ```text
//!  Open --full or read--> Here --backlog is long--> Away(log | page)
//!                          ^                             |
//!                          +--loaded-- Coming <--wanted--+
//! ```

use crate::id::{PageId, Place};
use lockgate_model::{Run, RunBuilder};
use std::sync::Arc;

/// A block is sealed at this many bytes: what one read of a socket brings at most,
/// and what one read of the disk brings back.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// A block is sealed at this many entries, so that its index stays small beside its bytes.
pub const BLOCK_ENTRIES: u32 = 2048;

/// Above these no log of ours goes: entries of a record, bytes of its messages, numbers of
/// entries. What claims to is damaged, and arithmetic on it need not be checked below them.
const COUNT_MAX: u32 = 1 << 27;
const BYTES_MAX: u64 = 1 << 31;
pub const NUMBER_MAX: u64 = 1 << 62;

/// Where a block's messages are.
#[derive(Debug)]
pub enum Body {
    /// Still growing.
    Open(RunBuilder),
    /// In memory, for good.
    Here(Arc<Run>),
    /// Not in memory; in this page, or in the log if there is none.
    Away(Option<PageId>),
    /// On its way back into memory.
    Coming(Option<PageId>),
    /// All settled: nothing is kept.
    Gone,
}

/// Entries of a block that one record of the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first entry's number in its queue.
    pub first: u64,
    /// How many.
    pub count: u32,
    /// The first entry's place in the record's run.
    pub skip: u32,
    /// The record.
    pub place: Place,
    /// What each entry counts of the record's live weight.
    pub weight: u32,
}

impl Extent {
    /// The number after its last entry.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// True if a log can say so of messages of that many bytes.
    pub fn is_possible(&self, bytes: u64) -> bool {
        let counts = (1..=COUNT_MAX).contains(&self.count) && self.skip <= COUNT_MAX;
        counts && bytes <= BYTES_MAX && self.first <= NUMBER_MAX
    }

    /// The part of it that lies in `from..to`.
    pub fn cut(&self, from: u64, to: u64) -> Option<Extent> {
        let (first, end) = (self.first.max(from), self.end().min(to));
        (first < end).then(|| Extent {
            first,
            count: (end - first) as u32,
            skip: self.skip + (first - self.first) as u32,
            ..*self
        })
    }
}

/// Consecutive entries.
#[derive(Debug)]
pub struct Block {
    /// The first entry's number.
    pub first: u64,
    /// How many entries it was filled with.
    pub count: u32,
    /// How many of them are not yet settled.
    pub live: u32,
    /// Bytes of all its messages.
    pub bytes: u64,
    /// The size of each one's body, in queues that are bounded by it; else empty.
    pub sizes: Vec<u32>,
    /// Where they are.
    pub body: Body,
    /// Where the log holds them; entries that need not last are in none.
    pub extents: Vec<Extent>,
}

impl Block {
    /// A block to be filled.
    pub fn open(first: u64) -> Block {
        let body = Body::Open(RunBuilder::default());
        Block { first, count: 0, live: 0, bytes: 0, sizes: Vec::new(), body, extents: Vec::new() }
    }

    /// The number after its last entry.
    pub fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// True if more may be appended while the block has no body in memory to append to.
    pub fn is_full(&self) -> bool {
        self.count >= BLOCK_ENTRIES || self.bytes >= BLOCK_BYTES as u64
    }

    /// True if the log holds every entry.
    pub fn is_logged(&self) -> bool {
        self.extents.iter().map(|e| e.count).sum::<u32>() == self.count
    }

    /// Seals an open block.
    pub fn seal(&mut self) {
        if let Body::Open(builder) = &mut self.body {
            self.body = Body::Here(Arc::new(std::mem::take(builder).finish()));
            self.extents.shrink_to_fit();
        }
    }

    /// Its memory, as far as it is counted.
    pub fn resident(&self) -> u64 {
        match &self.body {
            Body::Open(b) => b.bytes() as u64,
            Body::Here(run) => run.bytes.len() as u64,
            Body::Away(_) | Body::Coming(_) | Body::Gone => 0,
        }
    }

    /// Notes that a record holds entries `first..first + count`.
    pub fn note(&mut self, extent: Extent) {
        self.extents.push(extent);
    }

    /// Calls `each` with every record that holds entries of `from..to` and how much weight they are.
    pub fn weigh(&self, from: u64, to: u64, mut each: impl FnMut(Place, u64)) {
        let start = self.extents.partition_point(|e| e.first + u64::from(e.count) <= from);
        for e in &self.extents[start..] {
            if e.first >= to {
                break;
            }
            let n = (e.first + u64::from(e.count)).min(to) - e.first.max(from);
            each(e.place, n * u64::from(e.weight));
        }
    }
}
