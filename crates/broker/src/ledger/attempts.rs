//! How often entries were handed out and came back, for queues that count it.

use std::collections::BTreeMap;

/// Entries that came back at least once, with how often.
#[derive(Debug, Default)]
pub struct Attempts(BTreeMap<u64, u32>);

impl Attempts {
    /// Entries `from..to` came back once more. Returns them with how often by now: from, to, count.
    pub fn raised(&self, from: u64, to: u64) -> Vec<(u64, u64, u32)> {
        let mut all: Vec<(u64, u64, u32)> = Vec::new();
        for n in from..to {
            let count = self.0.get(&n).map_or(1, |c| c.saturating_add(1));
            match all.last_mut() {
                Some((_, end, last)) if *last == count => *end = n + 1,
                _ => all.push((n, n + 1, count)),
            }
        }
        all
    }

    /// Entries `from..to` came back so often.
    pub fn set(&mut self, from: u64, to: u64, count: u32) {
        (from..to).for_each(|n| {
            self.0.insert(n, count);
        });
    }

    /// Entries `from..to` are settled.
    pub fn forget(&mut self, from: u64, to: u64) {
        if !self.0.is_empty() && from < to {
            let known: Vec<u64> = self.0.range(from..to).map(|(n, _)| *n).collect();
            known.iter().for_each(|n| {
                self.0.remove(n);
            });
        }
    }

    /// How often the entry `from` came back, and the end of those up to `to` that did alike.
    pub fn alike(&self, from: u64, to: u64) -> (u32, u64) {
        let count = self.0.get(&from).copied().unwrap_or(0);
        let mut end = from + 1;
        for (n, c) in self.0.range(end..to.max(end)) {
            match count {
                0 => return (0, *n),
                _ if *n == end && *c == count => end += 1,
                _ => return (count, end),
            }
        }
        (count, if count == 0 { to } else { end })
    }

    /// All of them: from, to, count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u32)> + '_ {
        self.0.iter().map(|(n, count)| (*n, n + 1, *count))
    }

    /// True if nothing came back.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_counted_one_by_one() {
        let mut a = Attempts::default();
        assert_eq!(a.alike(0, 9), (0, 9));
        for (from, to) in [(2, 5), (4, 6)] {
            for (from, to, count) in a.raised(from, to) {
                a.set(from, to, count);
            }
        }
        assert_eq!(a.alike(0, 9), (0, 2));
        assert_eq!(a.alike(2, 9), (1, 4));
        assert_eq!(a.alike(4, 9), (2, 5));
        assert_eq!(a.alike(5, 9), (1, 6));
        assert_eq!(a.alike(5, 6), (1, 6));
        assert_eq!(a.alike(6, 9), (0, 9));
        a.forget(9, 0);
        a.forget(0, 5);
        assert_eq!(a.iter().collect::<Vec<_>>(), [(5, 6, 1)]);
    }
}
