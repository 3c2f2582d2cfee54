//! The broker's journal, kept in the log; and how much of each segment still matters.

use lockgate_broker::{Journal, Place};
use lockgate_wal::{Disk, Log, Pos};
use std::collections::BTreeMap;

/// What lives in each segment, in bytes.
#[derive(Debug, Default)]
pub struct Weights {
    bases: BTreeMap<u64, i64>,
    /// The newest segment's: most of what changes is there.
    newest: u64,
    newest_weight: i64,
}

impl Weights {
    /// A segment exists; it may be opened more than once.
    #[inline]
    pub fn open(&mut self, base: Pos) {
        if base.0 != self.newest || self.bases.is_empty() {
            self.bases.entry(self.newest).and_modify(|w| *w += self.newest_weight);
            self.newest_weight = 0;
            self.bases.entry(base.0).or_default();
            self.newest = self.newest.max(base.0);
        }
    }

    /// A segment is gone.
    pub fn close(&mut self, base: Pos) {
        self.bases.remove(&base.0);
    }

    /// What is at `pos` has become worth more, or less.
    #[inline]
    pub fn add(&mut self, pos: u64, delta: i64) {
        if pos >= self.newest {
            self.newest_weight += delta;
        } else if let Some((_, weight)) = self.bases.range_mut(..=pos).next_back() {
            *weight += delta;
        }
    }

    /// What lives in a segment.
    pub fn of(&self, base: Pos) -> i64 {
        let extra = if base.0 == self.newest { self.newest_weight } else { 0 };
        self.bases.get(&base.0).copied().unwrap_or_default() + extra
    }
}

/// The journal of a running broker.
pub struct Live<'a, D: Disk> {
    /// The log.
    pub log: &'a mut Log<D>,
    /// What its segments hold.
    pub weights: &'a mut Weights,
}

impl<D: Disk> Journal for Live<'_, D> {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let span = self.log.append(kind, write);
        self.weights.open(self.log.base());
        Place { pos: span.pos.0, len: span.len }
    }

    fn weigh(&mut self, place: Place, delta: i64) {
        self.weights.add(place.pos, delta);
    }
}

/// The journal of a replay: nothing is written, weights are remembered until the segments are known.
#[derive(Debug, Default)]
pub struct Replayed(pub Vec<(u64, i64)>);

impl Journal for Replayed {
    fn append(&mut self, _: u8, _: impl FnOnce(&mut Vec<u8>)) -> Place {
        unreachable!("a replay writes nothing")
    }

    fn weigh(&mut self, place: Place, delta: i64) {
        self.0.push((place.pos, delta));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_goes_to_the_segment_that_holds_the_position() {
        let mut w = Weights::default();
        w.open(Pos(0));
        w.open(Pos(100));
        w.add(99, 5);
        w.add(100, 7);
        w.add(150, -2);
        assert_eq!((w.of(Pos(0)), w.of(Pos(100))), (5, 5));
        w.close(Pos(0));
        assert_eq!(w.of(Pos(0)), 0);
    }
}
