//! What of a queue waits to be handed out, and in which order: rank by rank, in each first
//! what came back to its place, then on from the cursor.

use super::{Desk, Group};
use crate::ledger::{Line, base_of, rank_of};
use crate::ranges::Ranges;

impl Desk {
    /// Nothing waits: the entry `next` would be the first one delivered.
    pub fn is_idle(&self, line: &Line, next: u64) -> bool {
        let drained = |n: usize| n == rank_of(next) || self.cursor.at(n) == line.next(n);
        self.cursor.of(next) == next
            && self.returned.is_empty()
            && self.passed.is_empty()
            && self.waiting.is_empty()
            && (line.ranks().len() == 1 || (0..line.ranks().len()).all(drained))
    }

    /// New entries wait.
    pub fn came(&mut self, line: &Line, from: u64, to: u64) {
        self.ready_bytes += line.body_bytes(from, to);
    }

    /// Entries come back to their places.
    pub fn back(&mut self, line: &Line, from: u64, to: u64) {
        self.returned.insert(from, to);
        self.ready_bytes += line.body_bytes(from, to);
    }

    /// The next entries to deliver, `from..to`, and whether they came back.
    pub fn upcoming(&mut self, line: &Line) -> Option<(u64, u64, bool)> {
        let back = self.returned.first().map(|(from, to)| (from, to, true));
        let passed = self.passed.first().map(|(from, to)| {
            let seen = self.seen.of(from);
            if from < seen { (from, to.min(seen), true) } else { (from, to, false) }
        });
        let back = back.into_iter().chain(passed).min();
        (0..line.ranks().len()).find_map(|rank| match back {
            Some((from, ..)) if rank_of(from) == rank => back,
            _ => self.ahead(line, rank),
        })
    }

    /// As `upcoming`, but for what groups have passed over.
    pub fn next_unpassed(&mut self, line: &Line) -> Option<(u64, u64, bool)> {
        let groups = self.groups.as_ref()?;
        let back = {
            let mut back = self.returned.iter().flat_map(|(from, to)| from..to);
            back.find(|n| !groups.is_passed(*n))
        };
        (0..line.ranks().len()).find_map(|rank| match back {
            Some(n) if rank_of(n) == rank => Some((n, n + 1, true)),
            _ => self.ahead(line, rank),
        })
    }

    /// Passes an entry over. False if there are too many already.
    pub fn pass_over(&mut self, line: &Line, number: u64, group: Group) -> bool {
        let Some(groups) = self.groups.as_mut().filter(|g| g.has_room()) else { return false };
        groups.pass(number, group);
        if self.returned.around(number).is_none() {
            self.passed.insert(number, number + 1);
            self.cursor.set(number + 1);
        }
        debug_assert!(line.next_live(number) == Some(number), "passing over what is gone");
        true
    }

    /// The next entries of a rank that were not handed out yet.
    fn ahead(&mut self, line: &Line, rank: usize) -> Option<(u64, u64, bool)> {
        let mut at = self.cursor.at(rank);
        while let Some(from) = line.next_in_rank(at) {
            if let Some((_, end)) = self.doomed.around(from) {
                at = end;
                continue;
            }
            self.cursor.set(from);
            if self.unsure.around(from).is_some() {
                return None;
            }
            let seen = self.seen.at(rank);
            let to = if from < seen { seen } else { line.next(rank) };
            let to = to.min(self.doomed.next_start(from).unwrap_or(u64::MAX));
            let to = to.min(self.unsure.next_start(from).unwrap_or(u64::MAX));
            return Some((from, to, from < seen));
        }
        self.cursor.set(line.next(rank));
        None
    }

    /// Entries from `from` on, `count` of them, are handed out.
    pub fn took(&mut self, line: &Line, from: u64, count: u32) {
        let to = from + u64::from(count);
        self.ready_bytes = self.ready_bytes.saturating_sub(line.body_bytes(from, to));
        if self.cursor.passed(from) {
            self.returned.remove(from, to);
            self.passed.remove(from, to);
        } else {
            self.cursor.set(to);
        }
    }

    /// Takes what waits of entries `from..to` of one rank out of the order. Those that the
    /// cursor has not come to must be doomed or settled at once.
    pub fn withdraw(&mut self, line: &Line, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut ready = Ranges::default();
        for waiting in [&mut self.returned, &mut self.passed] {
            for (from, to) in waiting.within(from, to).collect::<Vec<_>>() {
                waiting.remove(from, to);
                ready.insert(from, to);
            }
        }
        ready.insert(from.max(self.cursor.of(from)), to);
        for (from, to) in self.doomed.within(from, to) {
            ready.remove(from, to);
        }
        let bytes: u64 = ready.iter().map(|(from, to)| line.body_bytes(from, to)).sum();
        self.ready_bytes = self.ready_bytes.saturating_sub(bytes);
        ready.iter().collect()
    }

    /// Counts anew what waits.
    pub fn recount(&mut self, line: &Line) {
        let mut ready = self.returned.clone();
        self.passed.iter().for_each(|(from, to)| ready.insert(from, to));
        for n in 0..line.ranks().len() {
            ready.insert(self.cursor.at(n).max(base_of(n)), line.next(n));
        }
        for (from, to) in self.doomed.iter() {
            ready.remove(from, to);
        }
        self.ready_bytes = ready.iter().map(|(from, to)| line.body_bytes(from, to)).sum();
    }
}
