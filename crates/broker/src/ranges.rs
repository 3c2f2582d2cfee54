//! A set of numbers kept as ranges: what is contiguous costs one entry, however long.

use std::collections::BTreeMap;

/// Half-open ranges, disjoint and never adjacent: start -> end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// True if nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `from..to`, merged with what it touches.
    pub fn insert(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (mut start, mut end) = (from, to);
        if let Some((&s, &e)) = self.0.range(..=from).next_back()
            && e >= from
        {
            start = s;
            end = end.max(e);
        }
        while let Some((&s, &e)) = self.0.range(start..=end).next() {
            self.0.remove(&s);
            end = end.max(e);
        }
        self.0.insert(start, end);
    }

    /// Takes `from..to` out.
    pub fn remove(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        if let Some((&s, &e)) = self.0.range(..from).next_back()
            && e > from
        {
            self.0.insert(s, from);
            if e > to {
                self.0.insert(to, e);
            }
        }
        while let Some((&s, &e)) = self.0.range(from..to).next() {
            self.0.remove(&s);
            if e > to {
                self.0.insert(to, e);
            }
        }
    }

    /// The first range.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.0.iter().next().map(|(&s, &e)| (s, e))
    }

    /// The range that `n` is in.
    pub fn around(&self, n: u64) -> Option<(u64, u64)> {
        let (&s, &e) = self.0.range(..=n).next_back()?;
        (e > n).then_some((s, e))
    }

    /// The first start at or above `n`.
    pub fn next_start(&self, n: u64) -> Option<u64> {
        self.0.range(n..).next().map(|(&s, _)| s)
    }

    /// How many numbers of `from..to` are in it.
    pub fn count_within(&self, from: u64, to: u64) -> u64 {
        self.within(from, to).map(|(s, e)| e - s).sum()
    }

    /// What is in it of `from..to`.
    pub fn within(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let start = self.around(from).map_or(from, |(s, _)| s);
        let inside = move |(&s, &e): (&u64, &u64)| (s.max(from), e.min(to));
        let range = if start < to { Some(self.0.range(start..to)) } else { None };
        range.into_iter().flatten().map(inside).filter(|(s, e)| s < e)
    }

    /// All ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(&s, &e)| (s, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn says_what_a_set_of_numbers_says(
            steps in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..12), 0..60),
            from in 0u64..60, len in 0u64..30,
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (add, from, len) in steps {
                let to = from + len;
                if add {
                    ranges.insert(from, to);
                    set.extend(from..to);
                } else {
                    ranges.remove(from, to);
                    (from..to).for_each(|n| { set.remove(&n); });
                }
                let listed: Vec<u64> = ranges.iter().flat_map(|(s, e)| s..e).collect();
                prop_assert_eq!(listed, set.iter().copied().collect::<Vec<_>>());
                let pairs: Vec<_> = ranges.iter().collect();
                prop_assert!(pairs.windows(2).all(|w| w[0].1 < w[1].0), "adjacent: {:?}", pairs);
            }
            let to = from + len;
            prop_assert_eq!(ranges.count_within(from, to), set.range(from..to).count() as u64);
            prop_assert_eq!(ranges.around(from).is_some(), set.contains(&from));
        }
    }
}
