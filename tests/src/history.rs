//! What was sent, confirmed and seen, and which promise it breaks. It knows no
//! broker and no protocol: its tests prove that it catches each kind of fault.

use std::collections::{BTreeMap, BTreeSet};

/// Something that happened, as a client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields say it
pub enum Seen {
    /// A producer sent a message, in this life of the broker.
    Sent { producer: u32, sequence: u64, life: u32 },
    /// The broker confirmed it.
    Confirmed { producer: u32, sequence: u64 },
    /// The consumer got it.
    Delivered { producer: u32, sequence: u64, redelivered: bool },
}

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // the fields say it
pub enum Violation {
    /// Confirmed and never seen.
    Lost { producer: u32, sequence: u64 },
    /// Seen and never sent.
    Unexpected { producer: u32, sequence: u64 },
    /// Seen first after a later one of the same producer was.
    Reordered { producer: u32, sequence: u64 },
    /// Seen again, and not marked as delivered before.
    Unflagged { producer: u32, sequence: u64 },
    /// Gone, while a later one that was sent to the same life of the broker was kept.
    Hole { producer: u32, sequence: u64 },
}

/// All that was seen. Only the order of deliveries among themselves matters.
#[derive(Clone, Debug, Default)]
pub struct History {
    seen: Vec<Seen>,
}

impl History {
    /// Adds what was seen.
    pub fn add(&mut self, seen: impl IntoIterator<Item = Seen>) {
        self.seen.extend(seen);
    }

    /// How many were sent, confirmed and delivered.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.seen.iter().fold((0, 0, 0), |(sent, confirmed, delivered), seen| match seen {
            Seen::Sent { .. } => (sent + 1, confirmed, delivered),
            Seen::Confirmed { .. } => (sent, confirmed + 1, delivered),
            Seen::Delivered { .. } => (sent, confirmed, delivered + 1),
        })
    }

    /// Every promise broken, once the queue has been drained to its end.
    pub fn check(&self) -> Vec<Violation> {
        let mut sent: BTreeMap<u32, BTreeMap<u64, u32>> = BTreeMap::new();
        let mut confirmed = BTreeSet::new();
        for seen in &self.seen {
            match *seen {
                Seen::Sent { producer, sequence, life } => {
                    sent.entry(producer).or_default().insert(sequence, life);
                }
                Seen::Confirmed { producer, sequence } => {
                    confirmed.insert((producer, sequence));
                }
                Seen::Delivered { .. } => {}
            }
        }
        let mut violations = Vec::new();
        let delivered = self.deliveries(&sent, &mut violations);
        for &(producer, sequence) in &confirmed {
            if !delivered.contains(&(producer, sequence)) {
                violations.push(Violation::Lost { producer, sequence });
            }
        }
        for (&producer, messages) in &sent {
            // From the last to the first: behind a kept one of the same life, all are kept.
            let mut kept_in = None;
            for (&sequence, &life) in messages.iter().rev() {
                if delivered.contains(&(producer, sequence)) {
                    kept_in = Some(life);
                } else if kept_in == Some(life) && !confirmed.contains(&(producer, sequence)) {
                    violations.push(Violation::Hole { producer, sequence });
                }
            }
        }
        violations.sort();
        violations
    }

    /// Goes through the deliveries in order; returns what was delivered at all.
    fn deliveries(
        &self,
        sent: &BTreeMap<u32, BTreeMap<u64, u32>>,
        violations: &mut Vec<Violation>,
    ) -> BTreeSet<(u32, u64)> {
        let mut delivered = BTreeSet::new();
        let mut last_first: BTreeMap<u32, u64> = BTreeMap::new();
        for seen in &self.seen {
            let Seen::Delivered { producer, sequence, redelivered } = *seen else { continue };
            if !sent.get(&producer).is_some_and(|all| all.contains_key(&sequence)) {
                violations.push(Violation::Unexpected { producer, sequence });
            } else if delivered.insert((producer, sequence)) {
                let last = last_first.entry(producer).or_insert(sequence);
                if sequence < *last {
                    violations.push(Violation::Reordered { producer, sequence });
                }
                *last = sequence.max(*last);
            } else if !redelivered {
                violations.push(Violation::Unflagged { producer, sequence });
            }
        }
        delivered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(sequence: u64, life: u32) -> Seen {
        Seen::Sent { producer: 1, sequence, life }
    }

    fn confirmed(sequence: u64) -> Seen {
        Seen::Confirmed { producer: 1, sequence }
    }

    fn delivered(sequence: u64) -> Seen {
        Seen::Delivered { producer: 1, sequence, redelivered: false }
    }

    fn again(sequence: u64) -> Seen {
        Seen::Delivered { producer: 1, sequence, redelivered: true }
    }

    fn check(seen: &[Seen]) -> Vec<Violation> {
        let mut history = History::default();
        history.add(seen.iter().copied());
        history.check()
    }

    #[test]
    fn what_keeps_every_promise_passes() {
        let fine = [
            sent(1, 0),
            sent(2, 0),
            sent(3, 0),
            sent(4, 1),
            confirmed(1),
            confirmed(2),
            delivered(1),
            again(1),
            again(2),
            // 3 was never confirmed and is gone; 4 belongs to the next life.
            delivered(4),
        ];
        assert_eq!(check(&fine), []);
    }

    #[test]
    fn a_confirmed_one_that_never_comes_is_lost() {
        let seen = [sent(1, 0), sent(2, 0), confirmed(1), confirmed(2), delivered(1)];
        assert_eq!(check(&seen), [Violation::Lost { producer: 1, sequence: 2 }]);
    }

    #[test]
    fn one_that_nobody_sent_is_unexpected() {
        assert_eq!(
            check(&[sent(1, 0), delivered(1), delivered(7)]),
            [Violation::Unexpected { producer: 1, sequence: 7 }]
        );
    }

    #[test]
    fn a_first_delivery_behind_a_later_one_is_out_of_order() {
        let seen = [sent(1, 0), sent(2, 0), sent(3, 0), delivered(1), delivered(3), again(2)];
        assert_eq!(check(&seen), [Violation::Reordered { producer: 1, sequence: 2 }]);
    }

    #[test]
    fn producers_have_no_order_among_each_other() {
        let other = |sequence| Seen::Sent { producer: 2, sequence, life: 0 };
        let there = |sequence| Seen::Delivered { producer: 2, sequence, redelivered: false };
        let seen = [sent(1, 0), sent(2, 0), other(1), delivered(1), delivered(2), there(1)];
        assert_eq!(check(&seen), []);
    }

    #[test]
    fn a_second_delivery_must_be_marked() {
        let seen = [sent(1, 0), delivered(1), delivered(1)];
        assert_eq!(check(&seen), [Violation::Unflagged { producer: 1, sequence: 1 }]);
    }

    #[test]
    fn one_that_is_gone_before_a_kept_one_of_the_same_life_is_a_hole() {
        let seen = [sent(1, 0), sent(2, 0), sent(3, 0), delivered(1), delivered(3)];
        assert_eq!(check(&seen), [Violation::Hole { producer: 1, sequence: 2 }]);
        let lives = [sent(1, 0), sent(2, 0), sent(3, 1), delivered(1), delivered(3)];
        assert_eq!(check(&lives), []);
    }
}
