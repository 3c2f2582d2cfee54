//! How far each rank of a queue is handed out.

use super::{base_of, rank_of};
use smallvec::SmallVec;

/// A number per rank: everything of the rank below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors(SmallVec<[u64; 1]>);

impl Cursors {
    /// The number that a rank has come to.
    pub fn at(&self, rank: usize) -> u64 {
        self.0.get(rank).copied().unwrap_or(base_of(rank))
    }

    /// The number that the rank of `number` has come to.
    pub fn of(&self, number: u64) -> u64 {
        self.at(rank_of(number))
    }

    /// True if the number is below it.
    pub fn passed(&self, number: u64) -> bool {
        number < self.of(number)
    }

    /// Moves the cursor of the rank of `number` there.
    pub fn set(&mut self, number: u64) {
        let rank = rank_of(number);
        while self.0.len() <= rank {
            self.0.push(base_of(self.0.len()));
        }
        self.0[rank] = number;
    }
}
