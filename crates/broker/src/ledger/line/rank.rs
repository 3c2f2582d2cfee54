//! A rank: entries of equal priority in order, each with a number that is never used again.
//!
//! It knows what has come and what has been settled. What has been handed out
//! to whom is not its business: that is volatile and lives in `dispatch`.

use super::{Logged, Read, Slice};
use crate::id::PageId;
use crate::id::Place;
use crate::journal::Journal;
use crate::ledger::block::{self, Block, Body, Extent};
use crate::ranges::Ranges;
use lockgate_model::{Malformed, Run};
use std::collections::VecDeque;
use std::sync::Arc;

/// A drained queue keeps this much memory for what comes next, no more: there may be many.
const KEEP_MAX: usize = 16 * 1024;

/// Entries of equal priority.
#[derive(Debug)]
pub struct Rank {
    /// In order of their numbers; there may be gaps between them, but the last is the newest.
    pub(super) blocks: VecDeque<Block>,
    /// The next entry's number.
    next: u64,
    /// Entries not yet settled.
    live: u64,
    /// Bytes of messages in memory.
    pub(super) resident: u64,
    /// Each entry's size is known.
    measured: bool,
    /// Settled entries at or above `head()` that still stand in a block.
    pub(super) gone: Ranges,
}

impl Rank {
    /// A rank whose numbers begin at `base`.
    pub fn new(base: u64, measured: bool) -> Rank {
        Rank {
            blocks: VecDeque::new(),
            next: base,
            live: 0,
            resident: 0,
            measured,
            gone: Ranges::default(),
        }
    }

    /// Entries not yet settled.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// The next entry's number.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// True if each entry's size is known.
    pub fn is_measured(&self) -> bool {
        self.measured
    }

    /// Bytes of messages in memory.
    pub fn resident(&self) -> u64 {
        self.resident
    }

    /// The oldest number that may still be unsettled.
    pub fn head(&self) -> u64 {
        self.blocks.front().map_or(self.next, |b| b.first)
    }

    /// Numbers below this were given out before, whatever became of them.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// Appends items `from..to` of a run; `place` is the record that holds them, if one does.
    /// Returns the first one's number.
    pub fn append(&mut self, run: &Run, from: usize, to: usize, logged: Option<Logged>) -> u64 {
        let (first, measured) = (self.next, self.measured);
        let mut at = from;
        while at < to {
            let block = self.tail();
            let end = at + fitting(run, at, to, block);
            let before = block.resident();
            if let Body::Open(builder) = &mut block.body {
                builder.copy(run, at, end);
            }
            if measured {
                block.sizes.extend(run.items[at..end].iter().map(|i| i.body.len));
            }
            let (n, grown) = ((end - at) as u32, block.resident() - before);
            if let Some(l) = logged {
                let first = block.end();
                block.note(Extent {
                    first,
                    count: n,
                    skip: (at - from) as u32,
                    place: l.place,
                    weight: l.weight,
                });
            }
            block.count += n;
            block.live += n;
            block.bytes += grown;
            self.resident += grown;
            self.next += u64::from(n);
            self.live += u64::from(n);
            at = end;
        }
        first
    }

    /// The open block at the end, made if need be.
    fn tail(&mut self) -> &mut Block {
        let fresh = match self.blocks.back_mut() {
            Some(b) if b.is_full() => {
                b.seal();
                true
            }
            Some(b) => !matches!(b.body, Body::Open(_)) || b.end() != self.next,
            None => true,
        };
        if fresh {
            self.blocks.push_back(Block::open(self.next));
        }
        let at = self.blocks.len() - 1;
        &mut self.blocks[at]
    }

    /// Replay: a record holds these entries. `bytes` is what they weigh in memory.
    /// The newest entries come last, or the log is not one that we wrote.
    pub fn restore(&mut self, extent: Extent, bytes: u64) -> Result<(), Malformed> {
        if extent.first < self.next || !extent.is_possible(bytes) {
            return Err(Malformed("entries that cannot be"));
        }
        let measured = self.measured;
        let appendable = self.blocks.back().is_some_and(|b| {
            b.end() == extent.first && !b.is_full() && matches!(b.body, Body::Away(None))
        });
        if !appendable {
            let mut block = Block::open(extent.first);
            block.body = Body::Away(None);
            self.blocks.push_back(block);
        }
        if let Some(block) = self.blocks.back_mut() {
            block.count += extent.count;
            block.live += extent.count;
            block.bytes += bytes;
            if measured {
                // The mean, until somebody knows better.
                let mean = (bytes / u64::from(extent.count)) as u32;
                block.sizes.resize(block.count as usize, mean);
            }
            block.extents.push(extent);
        }
        self.next = self.next.max(extent.first + u64::from(extent.count));
        self.live += u64::from(extent.count);
        Ok(())
    }

    /// Entries `from..to` are done with; those that are not there are passed over.
    /// Returns how many went. Says to `journal` what weight the log lost; pages no
    /// longer needed go to `pages`.
    pub fn settle(
        &mut self,
        from: u64,
        to: u64,
        journal: &mut impl Journal,
        pages: &mut Vec<PageId>,
    ) -> u64 {
        let (mut at, mut went) = (from.max(self.head()), 0);
        let mut i = self.index_of(at);
        while at < to && i < self.blocks.len() {
            let (start, end) = (self.blocks[i].first.max(at), self.blocks[i].end().min(to));
            i += 1;
            at = at.max(end);
            if start < end {
                went += self.settle_in(i - 1, start, end, journal, pages);
            }
        }
        self.live -= went;
        self.trim();
        self.thin(from, to);
        went
    }

    fn settle_in(
        &mut self,
        i: usize,
        from: u64,
        to: u64,
        journal: &mut impl Journal,
        pages: &mut Vec<PageId>,
    ) -> u64 {
        let newest = i + 1 == self.blocks.len() && to == self.next;
        let block = &mut self.blocks[i];
        let mut went = 0;
        let mut lose = |from: u64, to: u64| {
            went += to - from;
            block.weigh(from, to, |place, weight| journal.weigh(place, -(weight as i64)));
        };
        if self.gone.is_empty() {
            lose(from, to);
        } else {
            let mut at = from;
            for (s, e) in self.gone.within(from, to) {
                lose(at, s);
                at = e;
            }
            lose(at, to);
        }
        block.live -= went as u32;
        // A whole block at the head goes at once; anything else is remembered.
        if block.live > 0 || i > 0 {
            self.gone.insert(from, to);
        }
        if block.live == 0 {
            self.resident -= block.resident();
            block.extents = Vec::new();
            block.sizes = Vec::new();
            match std::mem::replace(&mut block.body, Body::Gone) {
                // The queue is drained as fast as it is filled: keep the memory for what comes next.
                Body::Open(mut builder) if newest => {
                    builder.clear();
                    self.gone.remove(block.first, block.end());
                    *block = Block::open(self.next);
                    if builder.capacity() <= KEEP_MAX {
                        block.body = Body::Open(builder);
                    }
                }
                Body::Away(Some(page)) | Body::Coming(Some(page)) => pages.push(page),
                _ => {}
            }
        } else if i > 0 {
            // In the first block, where most is settled in order, that would be for nothing.
            block.thin(&self.gone);
        }
        went
    }

    /// Forgets settled blocks at the head.
    fn trim(&mut self) {
        while let Some(b) = self.blocks.front() {
            if b.live > 0 || matches!(b.body, Body::Open(_)) {
                break;
            }
            let (first, end) = (b.first, b.end());
            if !self.gone.is_empty() {
                self.gone.remove(first, end);
            }
            self.blocks.pop_front();
        }
    }

    /// The index of the block that `n` is in, or of the next one after it.
    pub(super) fn index_of(&self, n: u64) -> usize {
        match self.blocks.front() {
            Some(b) if n < b.end() => 0,
            _ => self.blocks.partition_point(|b| b.end() <= n),
        }
    }

    /// The first unsettled entry at or above `from`.
    pub fn next_live(&self, from: u64) -> Option<u64> {
        let (mut n, mut i) = (from, self.index_of(from));
        while let Some(b) = self.blocks.get(i) {
            n = n.max(b.first);
            match self.gone.around(n) {
                Some((_, end)) => n = end,
                None if n < b.end() => return Some(n),
                None => {}
            }
            i = if n >= b.end() { i + 1 } else { i };
        }
        None
    }

    /// Live entries among `from..to`.
    pub fn live_within(&self, from: u64, to: u64) -> u64 {
        let blocks = self.blocks.iter().skip(self.index_of(from)).take_while(|b| b.first < to);
        blocks
            .map(|b| {
                let (s, e) = (b.first.max(from), b.end().min(to).max(b.first.max(from)));
                e - s - self.gone.count_within(s, e)
            })
            .sum()
    }

    /// Reads from the live entry `from` on, at most up to `to`: as far as its block and no
    /// settled entry reaches. Seals the block if it is open.
    pub fn read(&mut self, from: u64, to: u64) -> Option<Read> {
        let i = self.index_of(from);
        let gone = self.gone.next_start(from).unwrap_or(u64::MAX);
        let block = self.blocks.get_mut(i)?;
        if from < block.first {
            return None;
        }
        block.seal();
        let end = block.end().min(to).min(gone);
        match &block.body {
            Body::Here(run) => Some(Read::Slice(Slice {
                run: Arc::clone(run),
                item: (from - block.first) as u32,
                first: from,
                count: (end - from) as u32,
            })),
            _ => Some(Read::Away),
        }
    }

    /// The live ones of entries `from..to`.
    pub fn live_ranges(&self, from: u64, to: u64) -> Ranges {
        let mut live = Ranges::default();
        let blocks = self.blocks.iter().skip(self.index_of(from));
        for b in blocks.take_while(|b| b.first < to) {
            live.insert(b.first.max(from), b.end().min(to));
        }
        for (from, to) in self.gone.within(from, to) {
            live.remove(from, to);
        }
        live
    }

    /// Bytes of the bodies of live entries among `from..to`; none where nobody wants to know.
    pub fn body_bytes(&self, from: u64, to: u64) -> u64 {
        if !self.measured {
            return 0;
        }
        let blocks = self.blocks.iter().skip(self.index_of(from)).take_while(|b| b.first < to);
        let mut sum = 0;
        for b in blocks {
            let (mut at, to) = (b.first.max(from), b.end().min(to));
            let add = |from: u64, to: u64| -> u64 {
                let within = (from - b.first) as usize..(to - b.first) as usize;
                b.sizes.get(within).unwrap_or_default().iter().map(|n| u64::from(*n)).sum()
            };
            for (s, e) in self.gone.within(at, to) {
                sum += add(at, s);
                at = e;
            }
            sum += add(at, to.max(at));
        }
        sum
    }

    /// From now on each entry's size is known: of those in memory as it is, of those
    /// that are away as the mean of their block's, which includes what is around bodies.
    pub fn measure(&mut self) {
        if std::mem::replace(&mut self.measured, true) {
            return;
        }
        for b in &mut self.blocks {
            b.sizes = match &b.body {
                Body::Open(builder) => builder.body_sizes().collect(),
                Body::Here(run) => run.items.iter().map(|i| i.body.len).collect(),
                _ => vec![(b.bytes / u64::from(b.count.max(1))) as u32; b.count as usize],
            };
        }
    }

    /// Replay: the sizes of entries from `first` on.
    pub fn set_sizes(&mut self, first: u64, sizes: &[u32]) {
        let i = self.index_of(first);
        let mut n = first;
        for b in self.blocks.iter_mut().skip(i).filter(|b| b.live > 0) {
            b.sizes.resize(b.count as usize, 0);
            while n < b.end() {
                let Some(size) = sizes.get((n - first) as usize) else { return };
                if let Some(slot) =
                    n.checked_sub(b.first).and_then(|at| b.sizes.get_mut(at as usize))
                {
                    *slot = *size;
                }
                n += 1;
            }
        }
    }

    /// The sizes of all entries, block by block.
    pub fn sizes(&self) -> impl Iterator<Item = (u64, &[u32])> {
        self.blocks.iter().filter(|b| b.live > 0).map(|b| (b.first, &b.sizes[..]))
    }

    /// The records that hold a live entry.
    pub fn live_places(&self) -> impl Iterator<Item = Place> + '_ {
        let lives = |e: &&Extent| self.gone.count_within(e.first, e.end()) < u64::from(e.count);
        self.blocks.iter().flat_map(|b| &b.extents).filter(lives).map(|e| e.place)
    }

    /// Seals the block at the end if it is full, so that it can be put away.
    pub fn seal_full(&mut self) {
        if let Some(b) = self.blocks.back_mut().filter(|b| b.is_full()) {
            b.seal();
        }
    }

    /// The live ones of entries `first..first + count` that the record at `place` holds.
    pub fn live_at(&self, first: u64, count: u32, place: Place) -> Ranges {
        let end = first + u64::from(count);
        let mut live = Ranges::default();
        let blocks = self.blocks.iter().skip(self.index_of(first));
        for e in blocks.take_while(|b| b.first < end).flat_map(|b| &b.extents) {
            if let Some(e) = e.cut(first, end).filter(|e| e.place == place) {
                live.insert(e.first, e.end());
            }
        }
        for (from, to) in self.gone.within(first, end) {
            live.remove(from, to);
        }
        live
    }

    /// Entries of the record at `from` are found in another from now on, and their weight there.
    pub fn moved(&mut self, new: Extent, from: Place, journal: &mut impl Journal) {
        let mut i = self.index_of(new.first);
        while let Some(b) = self.blocks.get_mut(i)
            && b.first < new.end()
        {
            let mut extents = Vec::with_capacity(b.extents.len() + 2);
            for old in b.extents.drain(..) {
                let part = old.cut(new.first, new.end()).filter(|_| old.place == from);
                let Some(part) = part else {
                    extents.push(old);
                    continue;
                };
                let live = part.count as u64 - self.gone.count_within(part.first, part.end());
                journal.weigh(from, -((live * u64::from(old.weight)) as i64));
                journal.weigh(new.place, (live * u64::from(new.weight)) as i64);
                extents.extend(old.cut(old.first, part.first));
                extents.extend(new.cut(part.first, part.end()));
                extents.extend(old.cut(part.end(), old.end()));
            }
            b.extents = extents;
            i += 1;
        }
    }

    /// All blocks, for snapshots.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter()
    }

    /// Settled entries that still stand in a block.
    pub fn gone(&self) -> &Ranges {
        &self.gone
    }

    /// What must be committed so that the entries of the block that holds `from` are.
    pub fn needs(&self, from: u64) -> u64 {
        let block = self.blocks.get(self.index_of(from));
        block.and_then(|b| b.extents.iter().map(|e| e.place.end()).max()).unwrap_or(0)
    }

    /// True if the log holds the entry.
    pub fn is_logged(&self, number: u64) -> bool {
        let block = self.blocks.get(self.index_of(number));
        block.is_some_and(|b| b.extents.iter().any(|e| e.first <= number && number < e.end()))
    }

    /// True if any of `from..to` may be in the log.
    pub fn any_logged(&self, from: u64, to: u64) -> bool {
        let mut i = self.index_of(from);
        while let Some(b) = self.blocks.get(i)
            && b.first < to
        {
            if !b.extents.is_empty() {
                return true;
            }
            i += 1;
        }
        false
    }
}

/// How many items from `at` go into the block: at least one, and no more than fill it.
fn fitting(run: &Run, at: usize, to: usize, block: &Block) -> usize {
    let room = (block::BLOCK_ENTRIES - block.count) as usize;
    let mut bytes = block.bytes;
    let mut n = 0;
    for item in &run.items[at..to.min(at + room)] {
        n += 1;
        bytes += item.size() as u64;
        if bytes >= block::BLOCK_BYTES as u64 {
            break;
        }
    }
    n.max(1)
}
