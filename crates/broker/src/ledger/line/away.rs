//! The part of a rank that is not in memory: blocks are put away where nobody will read
//! soon, and brought back before somebody does.

use super::rank::Rank;
use crate::id::{PageId, Place};
use crate::journal::Part;
use crate::ledger::block::{Body, Extent};
use lockgate_model::Run;
use std::sync::Arc;

/// Where a block is to be brought from.
#[derive(Debug)]
pub enum Wanted {
    /// A page.
    Page(PageId),
    /// The log.
    Parts(Vec<Part>),
}

/// What became of a block's memory.
#[derive(Debug)]
pub enum Evicted {
    /// The log has it all.
    Dropped,
    /// It must be written to a page.
    Stored(Arc<Run>),
}

impl Rank {
    /// The blocks that are away among the `ahead` ones from the entry `from` on that begin
    /// below `to`, marked as coming: each is given to `fetch`.
    pub fn want(&mut self, from: u64, to: u64, ahead: usize, mut fetch: impl FnMut(u64, Wanted)) {
        let start = self.index_of(from);
        let blocks = self.blocks.iter_mut().skip(start).take_while(|b| b.first < to);
        for block in blocks.take(ahead) {
            if let Body::Away(page) = block.body {
                block.body = Body::Coming(page);
                let part = |e: &Extent| {
                    let dead = self.gone.count_within(e.first, e.end()) == u64::from(e.count);
                    Part { place: (!dead).then_some(e.place), skip: e.skip, count: e.count }
                };
                fetch(
                    block.first,
                    match page {
                        Some(page) => Wanted::Page(page),
                        None => Wanted::Parts(block.extents.iter().map(part).collect()),
                    },
                );
            }
        }
    }

    /// A block could not be brought, since the record at `place` is not there any more. That
    /// is fine if nothing lives in it by now: it will be asked for again, without. False if
    /// something does.
    pub fn missed(&mut self, first: u64, place: Place) -> bool {
        let i = self.index_of(first);
        let Some(block) = self.blocks.get_mut(i).filter(|b| b.first == first) else { return true };
        let Body::Coming(page) = block.body else { return true };
        block.body = Body::Away(page);
        let lives = |e: &Extent| self.gone.count_within(e.first, e.end()) < u64::from(e.count);
        !block.extents.iter().any(|e| e.place == place && lives(e))
    }

    /// A block that was coming is here. False if it is not wanted any more.
    pub fn arrived(&mut self, first: u64, run: Arc<Run>, pages: &mut Vec<PageId>) -> bool {
        let i = self.index_of(first);
        let Some(block) = self.blocks.get_mut(i).filter(|b| b.first == first) else { return false };
        let Body::Coming(page) = block.body else { return false };
        assert_eq!(run.items.len(), block.count as usize, "a block came back with another length");
        pages.extend(page);
        self.resident += run.bytes.len() as u64;
        block.body = Body::Here(run);
        true
    }

    /// Puts away a sealed block in memory that nobody will read soon: the newest of those
    /// that begin above the cursor, else the newest of those that are handed out to their end.
    pub fn evict(&mut self, cursor: u64, page: PageId) -> Option<Evicted> {
        let at = self.index_of(cursor);
        let ahead = (at..self.blocks.len()).rev().take_while(|i| self.blocks[*i].first > cursor);
        let behind = (0..at).rev();
        let i = self.first_here(ahead).or_else(|| self.first_here(behind))?;
        let block = &mut self.blocks[i];
        let Body::Here(run) = &block.body else { return None };
        self.resident -= run.bytes.len() as u64;
        let (run, logged) = (Arc::clone(run), block.is_logged());
        block.body = Body::Away((!logged).then_some(page));
        Some(if logged { Evicted::Dropped } else { Evicted::Stored(run) })
    }

    /// Puts away the block that the entry is in, if it is sealed and in memory.
    pub fn put_away(&mut self, entry: u64, page: PageId) -> Option<Evicted> {
        let i = self.index_of(entry);
        let block = self.blocks.get_mut(i)?;
        let Body::Here(run) = &block.body else { return None };
        self.resident -= run.bytes.len() as u64;
        let (run, logged) = (Arc::clone(run), block.is_logged());
        block.body = Body::Away((!logged).then_some(page));
        Some(if logged { Evicted::Dropped } else { Evicted::Stored(run) })
    }

    /// Where the log holds the entries from `from` on, up to `to`, the end of their block or
    /// one that is settled. None unless the log alone has that block.
    pub fn logged_parts(&self, from: u64, to: u64) -> Option<Vec<Part>> {
        let block = self.blocks.get(self.index_of(from))?;
        if !matches!(block.body, Body::Away(None)) || !block.is_logged() {
            return None;
        }
        let to = to.min(self.gone.next_start(from).unwrap_or(u64::MAX));
        let cuts = block.extents.iter().filter_map(|e| e.cut(from, to));
        let part = |e: Extent| Part { place: Some(e.place), skip: e.skip, count: e.count };
        Some(cuts.map(part).collect())
    }

    /// The first of these blocks that is in memory for good. Behind one that is away all
    /// are: they are put away in this order.
    fn first_here(&self, order: impl Iterator<Item = usize>) -> Option<usize> {
        for i in order {
            match &self.blocks[i].body {
                Body::Here(_) => return Some(i),
                Body::Open(_) | Body::Gone => {}
                Body::Away(_) | Body::Coming(_) => return None,
            }
        }
        None
    }
}
