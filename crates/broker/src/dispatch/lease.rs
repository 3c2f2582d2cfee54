//! A lease: entries handed out together, until they are settled or come back.

use crate::id::QueueId;
use crate::ranges::Ranges;
use lockgate_model::{Lane, SessionId};

/// Entries `first, first + step, ...` of a queue in somebody's hands.
#[derive(Debug)]
pub struct Lease {
    /// Whose hands.
    pub session: SessionId,
    /// On which strand.
    pub lane: Lane,
    /// For which subscription; none for a `Get`.
    pub subscriber: Option<usize>,
    /// Of which queue.
    pub queue: QueueId,
    /// The first entry's number.
    pub first: u64,
    /// From one entry to the next.
    pub step: u32,
    /// How many.
    pub count: u32,
    /// It counts against limits: what was got singly does not.
    pub counted: bool,
    /// Tells it from others that have its id before and after it.
    pub serial: u64,
    /// It was taken back: what is settled of it is nobody's business any more.
    pub void: bool,
    /// Entries not yet settled.
    pub open: u32,
    /// The first so many are settled.
    prefix: u32,
    /// Settled ones behind them.
    done: Ranges,
}

impl Lease {
    /// A lease of entries none of which is settled.
    pub fn new(
        session: SessionId,
        lane: Lane,
        subscriber: Option<usize>,
        queue: QueueId,
        first: u64,
        step: u32,
        count: u32,
    ) -> Lease {
        let counted = subscriber.is_some();
        Lease {
            session,
            lane,
            subscriber,
            queue,
            first,
            step,
            count,
            counted,
            serial: 0,
            void: false,
            open: count,
            prefix: 0,
            done: Ranges::default(),
        }
    }

    /// Notes that entries `from..from + count` are settled; returns how many were not yet.
    pub fn settle(&mut self, from: u32, count: u32) -> u32 {
        let (from, to) = (from.min(self.count), from.saturating_add(count).min(self.count));
        let before = self.open;
        if from <= self.prefix {
            let to = to.max(self.prefix);
            let known = self.done.count_within(self.prefix.into(), to.into()) as u32;
            self.open -= to - self.prefix - known;
            self.done.remove(0, to.into());
            self.prefix = to;
        } else {
            let known = self.done.count_within(from.into(), to.into()) as u32;
            self.open -= (to - from) - known;
            self.done.insert(from.into(), to.into());
        }
        before - self.open
    }

    /// The places in the lease that are not settled, as ranges.
    pub fn rest(&self) -> Vec<(u32, u32)> {
        let (mut at, mut rest) = (self.prefix, Vec::new());
        for (s, e) in self.done.iter() {
            if at < s as u32 {
                rest.push((at, s as u32));
            }
            at = e as u32;
        }
        if at < self.count {
            rest.push((at, self.count));
        }
        rest
    }

    /// What is not settled: first number, step, count.
    pub fn parts(&self) -> impl Iterator<Item = (u64, u32, u32)> + use<> {
        let (first, step) = (self.first, self.step);
        self.rest()
            .into_iter()
            .map(move |(from, to)| (first + u64::from(from) * u64::from(step), step, to - from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease(step: u32, count: u32) -> Lease {
        Lease::new(SessionId(1), Lane(1), None, QueueId(1), 100, step, count)
    }

    proptest! {
        #[test]
        fn what_is_settled_and_what_rests_make_the_whole(
            steps in prop::collection::vec((0u32..20, 0u32..8), 0..20),
        ) {
            let mut l = lease(1, 20);
            let mut done = [false; 20];
            for (from, n) in steps {
                let fresh = (from..(from + n).min(20)).filter(|i| !done[*i as usize]).count();
                prop_assert_eq!(l.settle(from, n) as usize, fresh);
                (from..(from + n).min(20)).for_each(|i| done[i as usize] = true);
                let rest: Vec<u32> = l.rest().into_iter().flat_map(|(s, e)| s..e).collect();
                let expected: Vec<u32> = (0..20).filter(|i| !done[*i as usize]).collect();
                prop_assert_eq!(rest.len() as u32, l.open);
                prop_assert_eq!(rest, expected);
            }
        }
    }

    #[test]
    fn what_rests_follows_the_stride() {
        let mut l = lease(3, 9);
        l.settle(0, 1);
        l.settle(3, 2);
        assert_eq!(l.parts().collect::<Vec<_>>(), [(103, 3, 2), (115, 3, 4)]);
    }
}
