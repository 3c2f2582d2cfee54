//! When entries expire: ranges of numbers under the moment they are due.

use crate::ranges::Ranges;
use lockgate_model::{Glance, Run};
use std::collections::BTreeMap;

/// Moments are rounded up to this many milliseconds, so that what comes close together
/// costs one range.
const GRAIN_MS: u64 = 8;

/// What a queue's entries are due.
#[derive(Debug, Default)]
pub struct Expiry(BTreeMap<u64, Ranges>);

impl Expiry {
    /// Entries `from..to` are due at `ms`.
    pub fn note(&mut self, ms: u64, from: u64, to: u64) {
        // What is never due is due at the last moment there is.
        let ms = ms.checked_next_multiple_of(GRAIN_MS).unwrap_or(u64::MAX);
        self.0.entry(ms).or_default().insert(from, to);
    }

    /// When the first are due.
    pub fn next(&self) -> Option<u64> {
        self.0.keys().next().copied()
    }

    /// Takes what is due at `now`.
    pub fn take_due(&mut self, now: u64) -> Vec<(u64, u64)> {
        let mut due = Vec::new();
        while let Some(first) = self.0.first_entry()
            && *first.key() <= now
        {
            due.extend(first.remove().iter());
        }
        due
    }

    /// Forgets what is due first of entries that are settled, which it often is.
    pub fn prune(&mut self, is_past: impl Fn(u64) -> bool) {
        while let Some(first) = self.0.first_entry()
            && first.get().iter().all(|(_, to)| is_past(to - 1))
        {
            first.remove();
        }
    }

    /// All of it, for snapshots.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.0.iter().flat_map(|(ms, ranges)| ranges.iter().map(|(from, to)| (*ms, from, to)))
    }
}

/// How long a message with this property list lives by its own wish, in milliseconds.
#[inline]
pub fn lifetime(head: &[u8]) -> Option<u64> {
    // Most have no expiration: the flag that says so is the lowest bit of the first byte.
    if head.first()? & 1 == 0 {
        return None;
    }
    let text = Glance::of(head).ok()?.expiration?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The lifetimes of items `from..to`, each with how many items it holds for, where the
/// queue allows `queue` at most.
pub fn lifetimes(run: &Run, from: usize, to: usize, queue: Option<u64>) -> Vec<(Option<u64>, u64)> {
    let mut all: Vec<(Option<u64>, u64)> = Vec::new();
    for item in &run.items[from..to] {
        let own = lifetime(run.head(item));
        let lives = own.into_iter().chain(queue).min();
        match all.last_mut() {
            Some((last, n)) if *last == lives => *n += 1,
            _ => all.push((lives, 1)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use lockgate_model::Properties;

    #[test]
    fn what_is_due_comes_when_it_is_due_and_not_before() {
        let mut e = Expiry::default();
        e.note(1000, 0, 5);
        e.note(1001, 5, 6);
        e.note(2000, 6, 9);
        assert_eq!(e.take_due(999), []);
        assert_eq!(e.take_due(1008), [(0, 5), (5, 6)]);
        e.prune(|n| n < 9);
        assert_eq!(e.next(), None);
    }

    #[test]
    fn the_lower_of_the_messages_and_the_queues_lifetime_holds() {
        let head = |ms: Option<&'static str>| {
            let expiration = ms.map(|t| Bytes::from_static(t.as_bytes()));
            let mut out = Vec::new();
            Properties { expiration, priority: Some(1), ..Properties::default() }.encode(&mut out);
            out
        };
        assert_eq!(lifetime(&head(Some("250"))), Some(250));
        assert_eq!(lifetime(&head(None)), None);
        let run = Run::single("", b"q", &head(Some("250")), b"", false);
        assert_eq!(lifetimes(&run, 0, 1, Some(100)), [(Some(100), 1)]);
        assert_eq!(lifetimes(&run, 0, 1, Some(300)), [(Some(250), 1)]);
        assert_eq!(lifetimes(&run, 0, 1, None), [(Some(250), 1)]);
    }
}
