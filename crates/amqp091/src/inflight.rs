//! Delivery tags of a channel and the leases behind them, kept by spans: what was
//! handed out together costs one entry, however many messages it is.
//!
//! ```text
//!  tags     1 2 3 4 5 | 6 7 8 | 12 13 ...       (9, 10, 11 are settled)
//!  leases   A 0..5    | B 2..5| C 0..
//! ```

use lockgate_model::{LeaseId, Outcome};
use std::collections::VecDeque;

/// Consecutive tags that stand for consecutive entries of one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first tag.
    pub tag: u64,
    /// How many.
    pub count: u32,
    /// The lease they are entries of.
    pub lease: LeaseId,
    /// The first one's place in the lease.
    pub from: u32,
}

impl Span {
    /// The tag behind the last.
    fn end(&self) -> u64 {
        self.tag + u64::from(self.count)
    }

    /// The span without its first `n` entries.
    fn skip(&self, n: u32) -> Span {
        Span { tag: self.tag + u64::from(n), count: self.count - n, from: self.from + n, ..*self }
    }

    /// The first `n` entries.
    fn first(&self, n: u32) -> Span {
        Span { count: n, ..*self }
    }
}

/// A tag that is not in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownTag(pub u64);

/// All that is in flight on a channel.
#[derive(Debug, Default)]
pub struct Inflight {
    /// By tag, without overlap; none is empty.
    spans: VecDeque<Span>,
    /// The last tag given.
    last: u64,
}

impl Inflight {
    /// Gives `count` tags to entries of a lease, or just tags where there is none,
    /// and returns the first tag.
    #[inline]
    pub fn hand_out(&mut self, count: u32, lease: Option<LeaseId>) -> u64 {
        let tag = self.last + 1;
        self.last += u64::from(count);
        if let Some(lease) = lease
            && count > 0
        {
            self.spans.push_back(Span { tag, count, lease, from: 0 });
        }
        tag
    }

    /// Takes one tag out, or with `multiple` all up to it; 0 with `multiple` is all
    /// there are (section 1.8.3.13). What was taken goes to `taken`.
    pub fn take(
        &mut self,
        tag: u64,
        multiple: bool,
        taken: &mut Vec<Span>,
    ) -> Result<(), UnknownTag> {
        if tag == 0 && multiple {
            taken.extend(self.spans.drain(..));
            return Ok(());
        }
        let (at, offset) = self.find(tag).ok_or(UnknownTag(tag))?;
        let Some(span) = self.spans.get(at).copied() else {
            return Err(UnknownTag(tag));
        };
        let rest = span.skip(offset + 1);
        if multiple {
            taken.extend(self.spans.drain(..at));
            taken.push(span.first(offset + 1));
            self.replace(0, rest);
            return Ok(());
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
        Ok(())
    }

    /// Takes everything out.
    pub fn take_all(&mut self) -> impl Iterator<Item = Span> + '_ {
        self.spans.drain(..)
    }

    /// Puts a span back that was taken out.
    pub fn put_back(&mut self, span: Span) {
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

    fn replace(&mut self, at: usize, rest: Span) {
        if rest.count == 0 {
            self.spans.remove(at);
        } else if let Some(slot) = self.spans.get_mut(at) {
            *slot = rest;
        }
    }
}

/// Settled spans on their way to the engine: those that touch become one command.
#[derive(Debug, Default)]
pub struct Settling {
    pending: Option<(Span, Outcome)>,
}

impl Settling {
    /// Adds a span; gives back what it could not be joined with.
    pub fn add(&mut self, span: Span, outcome: Outcome) -> Option<(Span, Outcome)> {
        if let Some((last, same)) = &mut self.pending
            && *same == outcome
            && last.lease == span.lease
            && last.from + last.count == span.from
        {
            last.count += span.count;
            return None;
        }
        self.pending.replace((span, outcome))
    }

    /// What is left.
    pub fn take(&mut self) -> Option<(Span, Outcome)> {
        self.pending.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn filled() -> Inflight {
        let mut f = Inflight::default();
        assert_eq!(f.hand_out(5, Some(LeaseId(1))), 1);
        assert_eq!(f.hand_out(2, None), 6);
        assert_eq!(f.hand_out(3, Some(LeaseId(2))), 8);
        f
    }

    fn take(f: &mut Inflight, tag: u64, multiple: bool) -> Result<Vec<(u32, u32, u32)>, u64> {
        let mut taken = Vec::new();
        f.take(tag, multiple, &mut taken).map_err(|UnknownTag(t)| t)?;
        Ok(taken.iter().map(|s| (s.lease.0, s.from, s.count)).collect())
    }

    #[test]
    fn multiple_takes_all_up_to_a_tag_in_whole_spans() {
        let mut f = filled();
        assert_eq!(take(&mut f, 9, true), Ok(vec![(1, 0, 5), (2, 0, 2)]));
        assert_eq!(take(&mut f, 9, true), Err(9));
        assert_eq!(take(&mut f, 10, false), Ok(vec![(2, 2, 1)]));
        assert_eq!(take(&mut f, 0, true), Ok(vec![]));
    }

    #[test]
    fn tags_of_settled_deliveries_and_of_the_future_are_unknown() {
        let mut f = filled();
        for tag in [0, 6, 7, 11, u64::MAX] {
            assert_eq!(take(&mut f, tag, false), Err(tag));
        }
        assert_eq!(take(&mut f, 3, false), Ok(vec![(1, 2, 1)]));
        assert_eq!(take(&mut f, 3, false), Err(3));
        assert_eq!(take(&mut f, 0, true), Ok(vec![(1, 0, 2), (1, 3, 2), (2, 0, 3)]));
    }

    #[test]
    fn what_is_put_back_can_be_taken_again() {
        let mut f = filled();
        let mut taken = Vec::new();
        f.take(2, false, &mut taken).unwrap();
        f.take(8, false, &mut taken).unwrap();
        for span in taken.drain(..) {
            f.put_back(span);
        }
        assert_eq!(take(&mut f, 8, true), Ok(vec![(1, 0, 1), (1, 1, 1), (1, 2, 3), (2, 0, 1)]));
    }

    #[test]
    fn settled_entries_that_touch_become_one() {
        let mut s = Settling::default();
        let span = |from, count| Span { tag: 1, count, lease: LeaseId(4), from };
        assert_eq!(s.add(span(0, 2), Outcome::Accept), None);
        assert_eq!(s.add(span(2, 1), Outcome::Accept), None);
        assert_eq!(s.add(span(3, 1), Outcome::Requeue), Some((span(0, 3), Outcome::Accept)));
        assert_eq!(s.take(), Some((span(3, 1), Outcome::Requeue)));
    }

    proptest! {
        /// Spans say what a plain map of tag -> (lease, entry) says.
        #[test]
        fn spans_agree_with_a_map_of_single_tags(
            ops in prop::collection::vec((0..3u8, 0..40u64, any::<bool>()), 1..60)
        ) {
            let mut f = Inflight::default();
            let mut naive: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
            let mut lease = 0;
            for (op, n, multiple) in ops {
                if op == 0 {
                    lease += 1;
                    let count = n as u32 % 7;
                    let kept = (n % 5 != 0).then_some(LeaseId(lease));
                    let first = f.hand_out(count, kept);
                    if kept.is_some() {
                        naive.extend((0..count).map(|i| (first + u64::from(i), (lease, i))));
                    }
                    continue;
                }
                let expected: Result<Vec<_>, _> = if n == 0 && multiple {
                    Ok(std::mem::take(&mut naive).into_values().collect())
                } else if !naive.contains_key(&n) {
                    Err(UnknownTag(n))
                } else if multiple {
                    let rest = naive.split_off(&(n + 1));
                    Ok(std::mem::replace(&mut naive, rest).into_values().collect())
                } else {
                    Ok(naive.remove(&n).into_iter().collect())
                };
                let mut taken = Vec::new();
                let got = f.take(n, multiple, &mut taken).map(|()| {
                    taken.iter().flat_map(|s| (0..s.count).map(|i| (s.lease.0, s.from + i))).collect()
                });
                prop_assert_eq!(got, expected);
            }
        }
    }
}
