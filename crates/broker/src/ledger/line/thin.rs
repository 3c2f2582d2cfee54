//! Thinning: where one old entry lives on, what came and went behind it must cost nothing, or
//! next to it. Whole blocks are forgotten, and of others where each settled entry was.

use super::rank::Rank;
use crate::id::Place;
use crate::ledger::block::{Block, Body, Extent};
use crate::ranges::Ranges;

/// So few extents are left as they are.
const EXTENTS_LEAST: usize = 16;

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

    /// Where most entries are settled, where each of those was is forgotten: what stays costs
    /// about as much as lives.
    pub fn thin(&mut self, gone: &Ranges) {
        if self.extents.len() <= EXTENTS_LEAST + 4 * self.live as usize {
            return;
        }
        let dead = |e: &Extent| gone.count_within(e.first, e.end()) == u64::from(e.count);
        let mut thinned: Vec<Extent> = Vec::with_capacity(2 * self.live as usize + 1);
        for e in self.extents.drain(..) {
            let nowhere = Extent { skip: 0, place: Place::default(), weight: 0, ..e };
            match thinned.last_mut() {
                Some(last) if dead(&e) && dead(last) && last.end() == e.first => {
                    *last = Extent { count: last.count + e.count, ..*last };
                }
                _ if dead(&e) => thinned.push(nowhere),
                _ => thinned.push(e),
            }
        }
        self.extents = thinned;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::NoJournal;
    use crate::ledger::line::{Line, Logged, Read};
    use lockgate_model::{Run, RunBuilder};

    fn run(n: u64) -> Run {
        let mut b = RunBuilder::default();
        b.push(b"x", b"k", false, &[0, 0], &n.to_be_bytes(), true, 0);
        b.finish()
    }

    /// Every thousandth entry lives on, all others go as soon as the next one comes.
    #[test]
    fn what_came_and_went_behind_an_old_entry_costs_next_to_nothing() {
        let (mut line, mut pages) = (Line::default(), Vec::new());
        const COUNT: u64 = 200_000;
        for n in 0..COUNT {
            let logged = Logged { place: Place { pos: n * 100, len: 99 }, weight: 9 };
            line.append(0, &run(n), 0, 1, Some(logged));
            if n > 0 && (n - 1) % 1000 != 0 {
                line.settle(n - 1, n, &mut NoJournal, &mut pages);
            }
        }
        // The last one is still to be followed.
        line.settle(COUNT - 1, COUNT, &mut NoJournal, &mut pages);
        assert_eq!(line.live(), 200);
        let rank = &line.ranks()[0];
        let blocks = rank.blocks().count();
        // Of the first block, and of the last, more is known.
        let extents: usize = rank.blocks().skip(1).map(|b| b.extents.len()).sum();
        assert!(blocks <= 110 && extents < 7_000, "{blocks} blocks, {extents} extents");
        for n in (0..COUNT).step_by(1000) {
            assert_eq!(line.next_live(n.saturating_sub(500)), Some(n));
            assert_eq!(line.live_within(n, n + 1000), 1);
            assert!(line.is_logged(n));
            let Some(Read::Slice(slice)) = line.read(n, COUNT) else { panic!("{n} is here") };
            let body = slice.run.body(&slice.run.items[slice.item as usize]);
            assert_eq!((body, slice.count), (&n.to_be_bytes()[..], 1));
        }
        let places = line.live_places().map(|p| p.pos);
        assert!(places.eq((0..COUNT).step_by(1000).map(|n| n * 100)));
        line.clear(&mut NoJournal, &mut pages);
        assert_eq!((line.live(), line.resident(), line.ranks()[0].gone().is_empty()), (0, 0, true));
    }
}
