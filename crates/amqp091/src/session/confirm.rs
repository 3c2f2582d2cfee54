//! Publisher confirms: what is done is gathered over a turn and told in as few
//! `basic.ack` and `basic.nack` as its order allows.

use super::slots::Mode;
use super::{Ask, Connection, Reply};
use crate::encode;
use crate::error::{Code, Fault};
use crate::packet::Method;
use lockgate_front::Output;
use lockgate_model::{Lane, Ticket};

const CONFIRM_SELECT: (u16, u16) = (85, 10);

/// The confirmations of one channel. Sequence numbers begin with 1.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The last number given.
    last: u64,
    /// All numbers up to this are told.
    floor: u64,
    /// What is told above the floor: ranges without their ends, in order, apart.
    told: Vec<(u64, u64)>,
    /// What is done and not yet told.
    done: Vec<Done>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    from: u64,
    end: u64,
    good: bool,
}

impl Confirms {
    /// Numbers for `count` messages; the first of them.
    pub(super) fn publish(&mut self, count: usize) -> u64 {
        let first = self.last + 1;
        self.last += count as u64;
        first
    }

    fn done(&mut self, from: u64, count: u32, good: bool) {
        let end = from + u64::from(count);
        match self.done.last_mut() {
            Some(last) if last.end == from && last.good == good => last.end = end,
            _ => self.done.push(Done { from, end, good }),
        }
    }

    /// Tells what is done: (last number, multiple, good).
    fn tell(&mut self, mut say: impl FnMut(u64, bool, bool)) {
        let mut done = std::mem::take(&mut self.done);
        done.sort_unstable_by_key(|d| d.from);
        done.dedup_by(|next, kept| {
            let joins = kept.end == next.from && kept.good == next.good;
            if joins {
                kept.end = next.end;
            }
            joins
        });
        for Done { from, end, good } in done.drain(..) {
            if from == self.floor + 1 {
                say(end - 1, end - from > 1, good);
                self.floor = end - 1;
                self.absorb();
            } else {
                (from..end).for_each(|n| say(n, false, good));
                let at = self.told.partition_point(|t| t.0 < from);
                self.told.insert(at, (from, end));
            }
        }
        self.done = done;
    }

    /// Raises the floor over what was told above it.
    fn absorb(&mut self) {
        let mut n = 0;
        while let Some(&(from, end)) = self.told.get(n)
            && from == self.floor + 1
        {
            self.floor = end - 1;
            n += 1;
        }
        self.told.drain(..n);
    }
}

impl Connection {
    pub(super) fn select_confirms(
        &mut self,
        n: u16,
        no_wait: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let channel = self.channel(n)?;
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
            Mode::Tx(_) => {
                let text = "cannot switch from tx to confirm mode";
                return Err(Fault::new(Code::PreconditionFailed, text));
            }
        }
        if no_wait {
            return Ok(());
        }
        self.answer(n, CONFIRM_SELECT, Reply::ConfirmsSelected, out)
    }

    pub(super) fn confirmed(&mut self, lane: Lane, first: Ticket, count: u32, good: bool) {
        let Ask { incarnation, .. } = Ask::of(first);
        if let Some(channel) = self.slots.open(lane.0)
            && channel.incarnation == incarnation
            && let Mode::Confirm(confirms) = &mut channel.mode
            && count > 0
        {
            confirms.done(first.0 & ((1 << 48) - 1), count, good);
            if self.confirming.last() != Some(&lane.0) {
                self.confirming.push(lane.0);
            }
        }
    }

    /// Tells all that is done, channel by channel.
    pub(super) fn flush_confirms(&mut self, out: &mut Output) {
        for n in self.confirming.drain(..) {
            let Some(channel) = self.slots.open(n) else {
                continue;
            };
            if let Mode::Confirm(confirms) = &mut channel.mode {
                let small = out.bytes.small();
                confirms.tell(|delivery_tag, multiple, good| {
                    let method = if good {
                        Method::BasicAck { delivery_tag, multiple }
                    } else {
                        Method::BasicNack { delivery_tag, multiple, requeue: false }
                    };
                    encode::method(small, n, &method);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(c: &mut Confirms) -> Vec<(u64, bool, bool)> {
        let mut all = Vec::new();
        c.tell(|tag, multiple, good| all.push((tag, multiple, good)));
        all
    }

    #[test]
    fn what_is_contiguous_is_told_at_once() {
        let mut c = Confirms::default();
        assert_eq!(c.publish(10), 1);
        c.done(3, 2, true);
        c.done(1, 2, true);
        assert_eq!(told(&mut c), [(4, true, true)]);
        c.done(6, 2, true);
        assert_eq!(told(&mut c), [(6, false, true), (7, false, true)]);
        c.done(5, 1, true);
        assert_eq!(told(&mut c), [(5, false, true)]);
        c.done(8, 3, true);
        assert_eq!(told(&mut c), [(10, true, true)]);
    }

    #[test]
    fn a_rejection_stands_alone_between_confirmations() {
        let mut c = Confirms::default();
        c.publish(6);
        c.done(1, 2, true);
        c.done(3, 2, false);
        c.done(5, 2, true);
        assert_eq!(told(&mut c), [(2, true, true), (4, true, false), (6, true, true)]);
    }

    proptest! {
        /// A client that counts as the specification says hears of every message
        /// exactly once, and hears the truth.
        #[test]
        fn everyone_is_told_once_and_truly(
            sizes in prop::collection::vec((1..5u32, any::<bool>(), any::<u8>()), 1..30),
            turn in 1..4usize,
        ) {
            let mut c = Confirms::default();
            let mut parts = Vec::new();
            let mut truth = Vec::new();
            for (count, good, weight) in sizes {
                let first = c.publish(count as usize);
                truth.extend(std::iter::repeat_n(good, count as usize));
                parts.push((weight, first, count, good));
            }
            parts.sort();
            let mut open: Vec<u64> = (1..=truth.len() as u64).collect();
            for some in parts.chunks(turn) {
                for (_, first, count, good) in some {
                    c.done(*first, *count, *good);
                }
                for (tag, multiple, good) in told(&mut c) {
                    let (heard, rest): (Vec<u64>, Vec<u64>) =
                        open.iter().partition(|n| **n == tag || (multiple && **n < tag));
                    prop_assert!(heard.contains(&tag));
                    for n in heard {
                        prop_assert_eq!(truth[n as usize - 1], good);
                    }
                    open = rest;
                }
            }
            prop_assert!(open.is_empty());
        }
    }
}
