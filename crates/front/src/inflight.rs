//! Tags of deliveries and the leases behind them, kept by spans: what was handed out together
//! costs one entry, however many messages it is. For fronts whose peers settle by counted tags.
//!
//! ```text
//!  tags     1 2 3 4 5 | 6 7 8 | 12 13 ...       (9, 10, 11 are settled)
//!  leases   A 0..5    | B 2..5| C 0..
//! ```

use lockgate_model::{Command, LeaseId, Outcome, Step};
use std::collections::VecDeque;

/// Consecutive tags that stand for consecutive entries of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<N = ()> {
    /// The first tag.
    pub tag: u64,
    /// How many.
    pub count: u32,
    /// The lease they are entries of.
    pub lease: LeaseId,
    /// The first one's place in the lease.
    pub from: u32,
    /// What the front has noted of them.
    pub note: N,
}

impl<N: Copy> Span<N> {
    /// The tag behind the last.
    fn end(&self) -> u64 {
        self.tag + u64::from(self.count)
    }

    /// What tells the engine that this became of it.
    pub fn settle(&self, outcome: Outcome) -> Command {
        Command::Settle { lease: self.lease, from: self.from, count: self.count, outcome }
    }

    /// The same as a step of a transaction.
    pub fn step(&self, outcome: Outcome) -> Step {
        Step::Settle { lease: self.lease, from: self.from, count: self.count, outcome }
    }

    /// The span without its first `n` entries.
    fn skip(&self, n: u32) -> Span<N> {
        Span { tag: self.tag + u64::from(n), count: self.count - n, from: self.from + n, ..*self }
    }

    /// The first `n` entries.
    fn first(&self, n: u32) -> Span<N> {
        Span { count: n, ..*self }
    }
}

/// All that is in flight under one count of tags.
#[derive(Debug)]
pub struct Inflight<N = ()> {
    /// By tag, without overlap; none is empty.
    spans: VecDeque<Span<N>>,
    /// The last tag given.
    last: u64,
}

impl<N> Default for Inflight<N> {
    fn default() -> Self {
        Inflight { spans: VecDeque::new(), last: 0 }
    }
}

impl<N: Copy> Inflight<N> {
    /// Gives `count` tags to entries of a lease, or just tags where there is none, and
    /// returns the first tag.
    #[inline]
    pub fn hand_out(&mut self, count: u32, lease: Option<LeaseId>, note: N) -> u64 {
        self.hand_out_at(count, lease.map(|lease| (lease, 0)), note)
    }

    /// The same for entries from one place of a lease on.
    #[inline]
    pub fn hand_out_at(&mut self, count: u32, lease: Option<(LeaseId, u32)>, note: N) -> u64 {
        let tag = self.last + 1;
        self.last += u64::from(count);
        if let Some((lease, from)) = lease
            && count > 0
        {
            self.spans.push_back(Span { tag, count, lease, from, note });
        }
        tag
    }

    /// The span that a tag is in.
    pub fn look(&self, tag: u64) -> Option<&Span<N>> {
        self.find(tag).and_then(|(at, _)| self.spans.get(at))
    }

    /// Takes out all up to a tag whose note says so, and the tag itself; false if it is not in
    /// flight.
    pub fn take_of(&mut self, tag: u64, of: impl Fn(&N) -> bool, taken: &mut Vec<Span<N>>) -> bool {
        let Some((at, offset)) = self.find(tag) else { return false };
        let mut n = 0;
        for _ in 0..at {
            match self.spans.get(n) {
                Some(span) if of(&span.note) => taken.extend(self.spans.remove(n)),
                _ => n += 1,
            }
        }
        if let Some(span) = self.spans.get(n).copied() {
            taken.push(span.first(offset + 1));
            self.replace(n, span.skip(offset + 1));
        }
        true
    }

    /// The oldest tag in flight, or else the next one.
    pub fn oldest(&self) -> u64 {
        self.spans.front().map_or(self.last + 1, |span| span.tag)
    }

    /// Takes one tag out, or with `cumulative` all up to it. What was taken goes to `taken`;
    /// false if the tag is not in flight.
    pub fn take(&mut self, tag: u64, cumulative: bool, taken: &mut Vec<Span<N>>) -> bool {
        let Some((at, offset)) = self.find(tag) else { return false };
        let Some(span) = self.spans.get(at).copied() else { return false };
        let rest = span.skip(offset + 1);
        if cumulative {
            taken.extend(self.spans.drain(..at));
            taken.push(span.first(offset + 1));
            self.replace(0, rest);
            return true;
        }
        taken.push(span.skip(offset).first(1));
        if offset == 0 {
            self.replace(at, rest);
        } else {
            self.replace(at, span.first(offset));
            if rest.count > 0 {
                self.spans.insert(at + 1, rest);
            }
        }
        true
    }

    /// Takes everything out.
    pub fn take_all(&mut self) -> impl Iterator<Item = Span<N>> + '_ {
        self.spans.drain(..)
    }

    /// Puts a span back that was taken out.
    pub fn put_back(&mut self, span: Span<N>) {
        let at = self.spans.partition_point(|s| s.tag < span.tag);
        self.spans.insert(at, span);
    }

    /// Which span a tag is in, and where in it. The oldest is the likely one.
    fn find(&self, tag: u64) -> Option<(usize, u32)> {
        let at = match self.spans.front() {
            Some(first) if tag < first.end() => 0,
            _ => self.spans.partition_point(|s| s.end() <= tag),
        };
        let span = self.spans.get(at).filter(|s| s.tag <= tag)?;
        Some((at, u32::try_from(tag - span.tag).ok()?))
    }

    fn replace(&mut self, at: usize, rest: Span<N>) {
        if rest.count == 0 {
            self.spans.remove(at);
        } else if let Some(slot) = self.spans.get_mut(at) {
            *slot = rest;
        }
    }
}

/// Settled spans on their way to the engine: those that touch become one command.
#[derive(Debug)]
pub struct Settling<N = ()> {
    pending: Option<(Span<N>, Outcome)>,
}

impl<N> Default for Settling<N> {
    fn default() -> Self {
        Settling { pending: None }
    }
}

impl<N> Settling<N> {
    /// Adds a span; gives back what it does not join.
    pub fn add(&mut self, span: Span<N>, outcome: Outcome) -> Option<(Span<N>, Outcome)> {
        if let Some((last, how)) = &mut self.pending
            && *how == outcome
            && last.lease == span.lease
            && last.from + last.count == span.from
        {
            last.count += span.count;
            return None;
        }
        self.pending.replace((span, outcome))
    }

    /// Takes what is held back.
    pub fn take(&mut self) -> Option<(Span<N>, Outcome)> {
        self.pending.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn take(f: &mut Inflight<u32>, tag: u64, all: bool) -> Option<Vec<(u32, u32, u32)>> {
        let mut taken = Vec::new();
        let known = f.take(tag, all, &mut taken);
        known.then(|| taken.iter().map(|s| (s.lease.0, s.from, s.count)).collect())
    }

    #[test]
    fn a_cumulative_tag_takes_all_before_it_and_a_settled_one_is_unknown() {
        let mut f = Inflight::default();
        assert_eq!(f.hand_out(5, Some(LeaseId(1)), 1), 1);
        assert_eq!(f.hand_out(2, None, 2), 6);
        assert_eq!(f.hand_out(3, Some(LeaseId(2)), 3), 8);
        assert_eq!(f.look(9).map(|s| s.note), Some(3));
        assert_eq!(take(&mut f, 9, true), Some(vec![(1, 0, 5), (2, 0, 2)]));
        for tag in [0, 6, 9, 11, u64::MAX] {
            assert_eq!(take(&mut f, tag, false), None, "{tag}");
        }
        assert_eq!(take(&mut f, 10, false), Some(vec![(2, 2, 1)]));
    }

    #[test]
    fn a_holder_s_own_are_taken_and_no_other_s() {
        let mut f = Inflight::default();
        for (lease, holder) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
            f.hand_out(2, Some(LeaseId(lease)), holder);
        }
        let mut taken = Vec::new();
        assert!(f.take_of(5, |holder| *holder == 1, &mut taken));
        let of: Vec<_> = taken.iter().map(|s| (s.lease.0, s.from, s.count)).collect();
        assert_eq!(of, [(1, 0, 2), (3, 0, 1)]);
        assert!(!f.take_of(5, |holder| *holder == 1, &mut taken));
        assert_eq!(f.oldest(), 3);
        assert_eq!(take(&mut f, 8, true), Some(vec![(2, 0, 2), (3, 1, 1), (4, 0, 2)]));
        assert_eq!(f.oldest(), 9);
    }

    #[test]
    fn settled_entries_that_touch_become_one() {
        let mut s = Settling::default();
        let lease = LeaseId(4);
        let span = |from, count| Span { tag: 1, count, lease, from, note: () };
        assert_eq!(s.add(span(0, 2), Outcome::Accept), None);
        assert_eq!(s.add(span(2, 1), Outcome::Accept), None);
        assert_eq!(s.add(span(3, 1), Outcome::Requeue), Some((span(0, 3), Outcome::Accept)));
        assert_eq!(s.take(), Some((span(3, 1), Outcome::Requeue)));
    }

    proptest! {
        /// Spans say what a plain map of tag -> (lease, entry) says, put back or not.
        #[test]
        fn spans_agree_with_a_map_of_single_tags(
            ops in prop::collection::vec((0..4u8, 1..40u64, any::<bool>()), 1..60)
        ) {
            let mut f = Inflight::default();
            let mut naive: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
            let mut lease = 0;
            for (op, n, all) in ops {
                if op == 0 {
                    lease += 1;
                    let count = n as u32 % 7;
                    let kept = (n % 5 != 0).then_some(LeaseId(lease));
                    let first = f.hand_out(count, kept, 1);
                    if kept.is_some() {
                        naive.extend((0..count).map(|i| (first + u64::from(i), (lease, i))));
                    }
                    continue;
                }
                let expected: Option<Vec<_>> = if !naive.contains_key(&n) {
                    None
                } else if all {
                    Some(naive.range(..=n).map(|(_, v)| *v).collect())
                } else {
                    naive.get(&n).map(|v| vec![*v])
                };
                let mut taken = Vec::new();
                let known = f.take(n, all, &mut taken);
                let got: Vec<_> = taken.iter()
                    .flat_map(|s| (0..s.count).map(|i| (s.lease.0, s.from + i))).collect();
                prop_assert_eq!(known.then_some(got), expected);
                if op == 1 {
                    taken.into_iter().for_each(|span| f.put_back(span));
                } else if known {
                    naive.retain(|tag, _| if all { *tag > n } else { *tag != n });
                }
            }
        }
    }
}
