//! What is in memory of a stream's segments, shared by all its readers, and what is on its
//! way to or from the disk. It decides nothing of what lasts.

use crate::ledger::Slice;
use lockgate_model::Time;
use std::collections::{BTreeMap, BTreeSet};

/// A stream's volatile half.
#[derive(Debug, Default)]
pub struct Chunks {
    /// By the number of their first entry.
    held: BTreeMap<u64, Held>,
    /// Bytes of those.
    bytes: u64,
    /// Counts looks: what was not looked at for longest goes first.
    looks: u64,
    /// Reads under way, by the entry that was asked for.
    pub coming: BTreeSet<u64>,
    /// Entries below this are kept, or on their way there.
    pub handed: u64,
    /// Bytes of the entries from there on.
    pub pending: u64,
    /// Something is on its way to the segments.
    pub busy: bool,
    /// What is pending goes to the segments, however little it is.
    pub eager: bool,
    /// It stands in `Broker::keeping`.
    pub listed: bool,
    /// The segment being filled.
    pub filling: Option<Filling>,
}

/// A segment being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filling {
    /// Its first entry.
    pub base: u64,
    /// Its bytes, about.
    pub bytes: u64,
    /// When its first entry came.
    pub since: Time,
}

#[derive(Debug)]
struct Held {
    slice: Slice,
    bytes: u64,
    look: u64,
}

impl Held {
    fn end(&self) -> u64 {
        self.slice.first + u64::from(self.slice.count)
    }
}

impl Chunks {
    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The entries from `number` on that stand in one chunk in memory.
    pub fn find(&mut self, number: u64) -> Option<Slice> {
        let (_, held) = self.held.range_mut(..=number).next_back()?;
        if number >= held.end() {
            return None;
        }
        self.looks += 1;
        held.look = self.looks;
        let skip = (number - held.slice.first) as u32;
        let mut slice = held.slice.clone();
        slice.item += skip;
        slice.first += u64::from(skip);
        slice.count -= skip;
        Some(slice)
    }

    /// The first entry from `number` on that is in no chunk in memory, looking at `most` of them.
    pub fn gap(&self, number: u64, most: usize) -> Option<u64> {
        let mut at = number;
        for _ in 0..most {
            match self.held.range(..=at).next_back().filter(|(_, h)| at < h.end()) {
                Some((_, held)) => at = held.end(),
                None => return Some(at),
            }
        }
        None
    }

    /// Takes in a chunk, in place of all that hold any entry of it.
    pub fn hold(&mut self, slice: Slice, bytes: u64) {
        self.looks += 1;
        let held = Held { slice, bytes, look: self.looks };
        let (first, end) = (held.slice.first, held.end());
        while let Some((&at, _)) =
            self.held.range(..end).next_back().filter(|(_, h)| h.end() > first)
        {
            self.bytes -= self.held.remove(&at).map_or(0, |h| h.bytes);
        }
        self.bytes += bytes;
        self.held.insert(first, held);
    }

    /// Forgets chunks until no more than `most` bytes are left, but not the last one looked at.
    pub fn shrink(&mut self, most: u64) {
        while self.bytes > most && self.held.len() > 1 {
            let Some((&first, _)) = self.held.iter().min_by_key(|(_, h)| h.look) else { return };
            if let Some(old) = self.held.remove(&first) {
                self.bytes -= old.bytes;
            }
        }
    }

    /// Forgets chunks that end at or below `first`.
    pub fn cut(&mut self, first: u64) {
        while let Some(entry) = self.held.first_entry().filter(|e| e.get().end() <= first) {
            self.bytes -= entry.remove().bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_model::Run;
    use std::sync::Arc;

    fn slice(first: u64, count: u32) -> Slice {
        Slice { run: Arc::new(Run::default()), item: 5, first, count }
    }

    #[test]
    fn chunks_are_found_by_any_entry_and_forgotten_by_their_last_look() {
        let mut c = Chunks::default();
        for first in [0, 10, 20, 40] {
            c.hold(slice(first, 10), 100);
        }
        let found = c.find(13).expect("is there");
        assert_eq!((found.item, found.first, found.count), (8, 13, 7));
        assert!(c.find(30).is_none() && c.find(50).is_none());
        assert_eq!((c.gap(3, 9), c.gap(3, 2), c.gap(33, 9)), (Some(30), None, Some(33)));
        c.shrink(200);
        assert!(c.find(13).is_some() && c.find(40).is_some() && c.find(0).is_none());
        c.hold(slice(35, 30), 50);
        assert_eq!(c.bytes(), 150);
        assert_eq!(c.find(45).map(|s| (s.first, s.count)), Some((45, 20)));
        c.cut(20);
        assert_eq!(c.bytes(), 50);
        c.shrink(0);
        assert_eq!(c.bytes(), 50, "what was just brought stays");
    }
}
