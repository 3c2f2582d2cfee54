//! When entries are due: to expire, or to go on. Flat and ordered, so that a million entries
//! with a million moments cost little more than their numbers.

use lockgate_model::{Glance, Run};
use std::collections::BTreeMap;

/// Moments are rounded up to this many milliseconds, so that what comes close together
/// costs one range.
const GRAIN_MS: u64 = 8;

/// What a queue's entries are due: the moment and the first of a range -> how many.
#[derive(Debug, Default)]
pub struct Expiry(BTreeMap<(u64, u64), u32>);

impl Expiry {
    /// Entries `from..to` are due at `ms`.
    pub fn note(&mut self, ms: u64, from: u64, to: u64) {
        // What is never due is due at the last moment there is.
        let ms = ms.checked_next_multiple_of(GRAIN_MS).unwrap_or(u64::MAX);
        let (mut at, mut from) = (from, from);
        if let Some(((_, first), count)) = self.0.range((ms, 0)..=(ms, from)).next_back()
            && first + u64::from(*count) >= from
        {
            (from, at) = (*first, at.max(first + u64::from(*count)));
        }
        // A range longer than a count can say is more than one.
        while at < to {
            let end = to.min(from + u64::from(u32::MAX));
            self.0.insert((ms, from), (end - from) as u32);
            (from, at) = (end, end);
        }
    }

    /// When the first are due.
    pub fn next(&self) -> Option<u64> {
        self.0.keys().next().map(|(ms, _)| *ms)
    }

    /// Takes the first range that is due at `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<(u64, u64)> {
        let first = self.0.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, from), count) = first.remove_entry();
        Some((from, from + u64::from(count)))
    }

    /// Takes what is due at `now`.
    pub fn take_due(&mut self, now: u64) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| self.pop_due(now)).collect()
    }

    /// Forgets what is due first of entries that are settled, which it often is.
    pub fn prune(&mut self, is_past: impl Fn(u64) -> bool) {
        let past = |from: u64, count: u32| is_past(from + u64::from(count) - 1);
        while let Some(first) = self.0.first_entry()
            && past(first.key().1, *first.get())
        {
            first.remove();
        }
    }

    /// All of it, for snapshots.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.0.iter().map(|((ms, from), count)| (*ms, *from, from + u64::from(*count)))
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
