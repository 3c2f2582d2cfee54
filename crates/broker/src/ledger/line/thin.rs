//! Thinning: where one old entry lives on, whole blocks that came and went behind it are
//! forgotten.

use super::rank::Rank;
use crate::ledger::block::{Block, Body};

impl Rank {
    /// Forgets settled blocks among those of entries `from..to`. The first block goes by itself.
    pub(super) fn thin(&mut self, from: u64, to: u64) {
        let mut i = self.index_of(from).max(1);
        while self.blocks.get(i).is_some_and(|b| b.first < to) {
            let dead = self.blocks.range(i..).take_while(|b| b.first < to && b.is_over()).count();
            for b in self.blocks.drain(i..i + dead) {
                self.gone.remove(b.first, b.end());
            }
            i += 1;
        }
    }
}

impl Block {
    /// True if nothing is left of it, and nothing comes.
    pub fn is_over(&self) -> bool {
        self.live == 0 && matches!(self.body, Body::Gone)
    }
}

#[cfg(test)]
mod tests {
    use crate::id::Place;
    use crate::journal::NoJournal;
    use crate::ledger::line::{Line, Logged, Read};
    use lockgate_model::{Run, RunBuilder};

    fn run(n: u64) -> Run {
        let mut b = RunBuilder::default();
        b.push(b"x", b"k", false, &[0, 0], &n.to_be_bytes(), true, 0);
        b.finish()
    }

    /// Every five thousandth entry lives on, all others go as soon as the next one comes.
    #[test]
    fn blocks_that_came_and_went_behind_an_old_entry_are_forgotten() {
        let (mut line, mut pages) = (Line::default(), Vec::new());
        const COUNT: u64 = 200_000;
        const APART: u64 = 5_000;
        for n in 0..COUNT {
            let logged = Logged { place: Place { pos: n * 100, len: 99 }, weight: 9 };
            line.append(0, &run(n), 0, 1, Some(logged));
            if n > 0 && (n - 1) % APART != 0 {
                line.settle(n - 1, n, &mut NoJournal, &mut pages);
            }
        }
        // The last one is still to be followed.
        line.settle(COUNT - 1, COUNT, &mut NoJournal, &mut pages);
        assert_eq!(line.live(), COUNT / APART);
        let rank = &line.ranks()[0];
        let blocks = rank.blocks().count();
        assert!(blocks <= 42, "{blocks} blocks");
        for n in (0..COUNT).step_by(APART as usize) {
            assert_eq!(line.next_live(n.saturating_sub(APART / 2)), Some(n));
            assert_eq!(line.live_within(n, n + APART), 1);
            assert!(line.is_logged(n));
            let Some(Read::Slice(slice)) = line.read(n, COUNT) else { panic!("{n} is here") };
            let body = slice.run.body(&slice.run.items[slice.item as usize]);
            assert_eq!((body, slice.count), (&n.to_be_bytes()[..], 1));
        }
        let places = line.live_places().map(|p| p.pos);
        assert!(places.eq((0..COUNT).step_by(APART as usize).map(|n| n * 100)));
        line.clear(&mut NoJournal, &mut pages);
        assert_eq!((line.live(), line.resident(), line.ranks()[0].gone().is_empty()), (0, 0, true));
    }
}
