//! A line: the entries of one queue. Without priorities they are one rank; with them the
//! ranks stand one behind the other, the highest priority first, each with numbers of its
//! own: a lower number is always the one to be delivered first.
//!
//! ```text
//!  number   | rank: 8 bits | place in the rank: 54 bits |
//! ```

mod away;
mod cursors;
mod rank;
mod thin;

pub use away::{Evicted, Wanted};
pub use cursors::Cursors;
pub use rank::Rank;

use super::block::Extent;
use crate::id::{PageId, Place};
use crate::journal::{Journal, Part};
use crate::ranges::Ranges;
use lockgate_model::{Malformed, Run};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// Bits of a number that tell places within a rank.
const PLACE_BITS: u32 = 54;

/// Most ranks: priorities 0 to 255.
const RANKS_MAX: usize = 256;

/// The rank that a number belongs to.
pub fn rank_of(number: u64) -> usize {
    (number >> PLACE_BITS) as usize
}

/// The first number of a rank.
pub fn base_of(rank: usize) -> u64 {
    (rank as u64) << PLACE_BITS
}

/// Entries `first..first + count`, which are items `item..` of a run.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Where they are.
    pub run: Arc<Run>,
    /// The first one's place in the run.
    pub item: u32,
    /// Its number in the line.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// What `Line::read` found.
#[derive(Debug)]
pub enum Read {
    /// Entries in memory.
    Slice(Slice),
    /// They are on the disk.
    Away,
}

/// What the log holds of entries being appended.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    /// The record.
    pub place: Place,
    /// What each entry counts of its weight.
    pub weight: u32,
}

/// The entries of one queue.
#[derive(Debug)]
pub struct Line(SmallVec<[Rank; 1]>);

impl Default for Line {
    fn default() -> Line {
        Line(smallvec![Rank::new(0, false)])
    }
}

impl Line {
    /// Its ranks, the first to be delivered first.
    pub fn ranks(&self) -> &[Rank] {
        &self.0
    }

    fn rank(&self, number: u64) -> Option<&Rank> {
        self.0.get(rank_of(number))
    }

    fn rank_mut(&mut self, number: u64) -> Option<&mut Rank> {
        self.0.get_mut(rank_of(number))
    }

    /// The rank, made if it is not there yet.
    fn made(&mut self, rank: usize) -> &mut Rank {
        let (rank, measured) = (rank.min(RANKS_MAX - 1), self.0[0].is_measured());
        while self.0.len() <= rank {
            self.0.push(Rank::new(base_of(self.0.len()), measured));
        }
        &mut self.0[rank]
    }

    /// Entries not yet settled.
    pub fn live(&self) -> u64 {
        self.0.iter().map(Rank::live).sum()
    }

    /// The number of the next entry in a rank.
    pub fn next(&self, rank: usize) -> u64 {
        self.0.get(rank).map_or(base_of(rank), Rank::next)
    }

    /// Bytes of messages in memory.
    pub fn resident(&self) -> u64 {
        self.0.iter().map(Rank::resident).sum()
    }

    /// True if the number stands below all that its rank still has.
    pub fn is_past(&self, number: u64) -> bool {
        self.rank(number).is_some_and(|r| number < r.head())
    }

    /// Numbers of its rank below this were given out before, whatever became of them.
    pub fn skip_to(&mut self, next: u64) {
        self.made(rank_of(next)).skip_to(next);
    }

    /// Appends items `from..to` of a run to a rank. Returns the first one's number.
    pub fn append(
        &mut self,
        rank: usize,
        run: &Run,
        from: usize,
        to: usize,
        logged: Option<Logged>,
    ) -> u64 {
        self.made(rank).append(run, from, to, logged)
    }

    /// Replay: a record holds these entries. `bytes` is what they weigh in memory.
    pub fn restore(&mut self, extent: Extent, bytes: u64) -> Result<(), Malformed> {
        if rank_of(extent.first) >= RANKS_MAX {
            return Err(Malformed("entries that cannot be"));
        }
        self.made(rank_of(extent.first)).restore(extent, bytes)
    }

    /// Entries `from..to` of one rank are done with; those that are not there are passed over.
    /// Returns how many went. Says to `journal` what weight the log lost; pages no longer
    /// needed go to `pages`.
    pub fn settle(
        &mut self,
        from: u64,
        to: u64,
        journal: &mut impl Journal,
        pages: &mut Vec<PageId>,
    ) -> u64 {
        self.rank_mut(from).map_or(0, |r| r.settle(from, to, journal, pages))
    }

    /// All entries are done with.
    pub fn clear(&mut self, journal: &mut impl Journal, pages: &mut Vec<PageId>) {
        for rank in &mut self.0 {
            let (head, next) = (rank.head(), rank.next());
            rank.settle(head, next, journal, pages);
        }
    }

    /// The first unsettled entry at or above `from`, in its rank or a later one.
    pub fn next_live(&self, from: u64) -> Option<u64> {
        self.0.iter().skip(rank_of(from)).find_map(|r| r.next_live(from))
    }

    /// The first unsettled entry at or above `from` in its rank.
    pub fn next_in_rank(&self, from: u64) -> Option<u64> {
        self.rank(from)?.next_live(from)
    }

    /// Live entries among `from..to` of one rank.
    pub fn live_within(&self, from: u64, to: u64) -> u64 {
        self.rank(from).map_or(0, |r| r.live_within(from, to))
    }

    /// The live ones of entries `from..to` of one rank.
    pub fn live_ranges(&self, from: u64, to: u64) -> Ranges {
        self.rank(from).map(|r| r.live_ranges(from, to)).unwrap_or_default()
    }

    /// Bytes of the bodies of live entries among `from..to` of one rank; none unless measured.
    pub fn body_bytes(&self, from: u64, to: u64) -> u64 {
        self.rank(from).map_or(0, |r| r.body_bytes(from, to))
    }

    /// From now on each entry's size is known.
    pub fn measure(&mut self) {
        self.0.iter_mut().for_each(Rank::measure);
    }

    /// Replay: the sizes of entries from `first` on.
    pub fn set_sizes(&mut self, first: u64, sizes: &[u32]) {
        if let Some(rank) = self.rank_mut(first) {
            rank.set_sizes(first, sizes);
        }
    }

    /// Reads from the live entry `from` on, at most up to `to`: as far as its block and no
    /// settled entry reaches.
    pub fn read(&mut self, from: u64, to: u64) -> Option<Read> {
        self.rank_mut(from)?.read(from, to)
    }

    /// The records that hold a live entry.
    pub fn live_places(&self) -> impl Iterator<Item = Place> + '_ {
        self.0.iter().flat_map(Rank::live_places)
    }

    /// The live ones of entries `first..first + count` that the record at `place` holds.
    pub fn live_at(&self, first: u64, count: u32, place: Place) -> Ranges {
        self.rank(first).map(|r| r.live_at(first, count, place)).unwrap_or_default()
    }

    /// Entries of the record at `from` are found in another from now on, and their weight there.
    pub fn moved(&mut self, new: Extent, from: Place, journal: &mut impl Journal) {
        if let Some(rank) = self.rank_mut(new.first) {
            rank.moved(new, from, journal);
        }
    }

    /// What must be committed so that the entries of the block that holds `from` are.
    pub fn needs(&self, from: u64) -> u64 {
        self.rank(from).map_or(0, |r| r.needs(from))
    }

    /// True if any of `from..to` is in the log.
    pub fn any_logged(&self, from: u64, to: u64) -> bool {
        self.rank(from).is_some_and(|r| r.any_logged(from, to))
    }

    /// True if the log holds the entry.
    pub fn is_logged(&self, number: u64) -> bool {
        self.rank(number).is_some_and(|r| r.is_logged(number))
    }

    /// The blocks that are away among the `ahead` ones from the entry `from` on that begin
    /// below `to`, marked as coming: each is given to `fetch`.
    pub fn want(&mut self, from: u64, to: u64, ahead: usize, fetch: impl FnMut(u64, Wanted)) {
        if let Some(rank) = self.rank_mut(from) {
            rank.want(from, to, ahead, fetch);
        }
    }

    /// Where the log alone holds entries: see `Rank::logged_parts`.
    pub fn logged_parts(&self, from: u64, to: u64) -> Option<Vec<Part>> {
        self.rank(from)?.logged_parts(from, to)
    }

    /// Puts away the block that an entry is in, if it is sealed and in memory.
    pub fn put_away(&mut self, entry: u64, page: PageId) -> Option<Evicted> {
        self.rank_mut(entry)?.put_away(entry, page)
    }

    /// A block could not be brought: see `Rank::missed`.
    pub fn missed(&mut self, first: u64, place: Place) -> bool {
        self.rank_mut(first).is_none_or(|r| r.missed(first, place))
    }

    /// A block that was coming is here. False if it is not wanted any more.
    pub fn arrived(&mut self, first: u64, run: Arc<Run>, pages: &mut Vec<PageId>) -> bool {
        self.rank_mut(first).is_some_and(|r| r.arrived(first, run, pages))
    }

    /// Seals the blocks that are full, so that they can be put away.
    pub fn seal_full(&mut self) {
        self.0.iter_mut().for_each(Rank::seal_full);
    }

    /// Puts away a sealed block in memory that nobody will read soon: one of the last rank
    /// that has any. `cursor` says how far a rank is handed out.
    pub fn evict(&mut self, cursor: impl Fn(usize) -> u64, page: PageId) -> Option<Evicted> {
        let mut ranks = self.0.iter_mut().enumerate().rev();
        ranks.find_map(|(n, rank)| rank.evict(cursor(n), page))
    }
}
