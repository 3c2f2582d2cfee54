//! Delivering from a queue whose messages name groups: one by one, each to the subscriber
//! that has its group.

use super::Broker;
use super::backlog::read;
use crate::dispatch::{Group, Holder, Lot, Verdict};
use crate::id::QueueId;
use crate::journal::{Effects, Journal};
use crate::ledger::Slice;

/// An entry that could be delivered now.
struct Candidate {
    number: u64,
    redelivered: bool,
    /// It was passed over before, as one of this group, and is for this subscriber.
    passed: Option<(Group, usize)>,
}

impl Broker {
    /// True if any of these messages names a group.
    pub(super) fn names_groups(&self, slice: &Slice) -> bool {
        let (from, to) = (slice.item as usize, (slice.item + slice.count) as usize);
        slice.run.items[from..to].iter().any(|i| self.groups.group(slice.run.head(i)).is_some())
    }

    /// The same of entries that wait. Who takes few at a time is shown the others again and
    /// again: they are looked at once.
    pub(super) fn finds_groups(&mut self, queue: QueueId, slice: &Slice) -> bool {
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return false };
        let (first, end) = (slice.first, slice.first + u64::from(slice.count));
        if desk.plain.start <= first && end <= desk.plain.end {
            return false;
        }
        desk.plain = first..end;
        self.names_groups(slice)
    }

    /// From now on the queue's messages go by their groups.
    pub(super) fn begin_groups(&mut self, queue: QueueId) {
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.groups.get_or_insert_default();
        }
    }

    /// Delivers as long as there is something for somebody who can take it.
    pub(super) fn deliver_grouped(
        &mut self,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        while let Some(next) = self.candidate(queue) {
            let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
            let number = next.number;
            let (stamp, _) = q.stamp(number, number + 1);
            let resident = &mut self.resident;
            let Some(slice) = read(q.id, &mut q.line, resident, number, number + 1, out) else {
                return;
            };
            let group = self.groups.group(slice.run.head(&slice.run.items[slice.item as usize]));
            let taker = match (next.passed, group) {
                (Some((_, taker)), _) => Some(taker),
                (None, None) => self.dispatch.next_taker(queue),
                (None, Some(group)) => match self.taker_of(queue, number, group) {
                    Ok(taker) => Some(taker),
                    Err(true) => None,
                    Err(false) => return,
                },
            };
            if let Some(taker) = taker {
                let lot = Lot { slice, redelivered: next.redelivered, stamp };
                self.hand_over_grouped(queue, number, group, taker, &lot, journal, out);
                self.shrink(queue, out);
            }
        }
    }

    /// Who is to have an entry of a group. If nobody now: whether it could be passed over.
    fn taker_of(&mut self, queue: QueueId, number: u64, group: Group) -> Result<usize, bool> {
        let Some(desk) = self.dispatch.desks.get(&queue) else { return Err(false) };
        let Some(groups) = &desk.groups else { return Err(false) };
        let taker = match groups.judge(number, group) {
            Verdict::Anybody => self.dispatch.next_taker(queue),
            Verdict::Only(holder) => self.dispatch.taker_named(queue, holder),
            Verdict::Nobody => None,
        };
        if let Some(taker) = taker {
            return Ok(taker);
        }
        let Some(q) = self.ledger.queues.get(&queue) else { return Err(false) };
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return Err(false) };
        Err(desk.pass_over(&q.line, number, group))
    }

    #[allow(clippy::too_many_arguments)] // what goes to whom, and the turn's
    fn hand_over_grouped(
        &mut self,
        queue: QueueId,
        number: u64,
        group: Option<Group>,
        taker: usize,
        lot: &Lot,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(s) = self.dispatch.subscribers.get(taker) else { return };
        let (holder, settled) = (s.order, s.settled);
        self.dispatch.hand_one(queue, taker, lot, out);
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.took(&q.line, number, 1);
            if let (Some(groups), Some(group)) = (&mut desk.groups, group) {
                groups.hand(number, group, holder, settled);
            }
        }
        if settled {
            self.settle_range(queue, number, number + 1, journal);
        }
    }

    /// The next entry that could be delivered: the first of those that were passed over and
    /// whose subscriber can take them now, and of the others.
    fn candidate(&mut self, queue: QueueId) -> Option<Candidate> {
        let takers = self.dispatch.able_takers(queue);
        let desk = self.dispatch.desks.get_mut(&queue)?;
        if takers.is_empty() || !desk.waiting.is_empty() {
            return None;
        }
        let q = self.ledger.queues.get(&queue)?;
        let groups = desk.groups.as_mut()?;
        let mut first: Option<Candidate> = None;
        for (taker, holder) in takers {
            while let Some((number, group)) = groups.first_for(holder) {
                // What was expired, dropped or got meanwhile is passed over no more.
                let fresh = desk.passed.around(number).is_some();
                if fresh || desk.returned.around(number).is_some() {
                    let passed = Some((group, taker));
                    let redelivered = !fresh || number < desk.seen.of(number);
                    if first.as_ref().is_none_or(|f| number < f.number) {
                        first = Some(Candidate { number, redelivered, passed });
                    }
                    break;
                }
                groups.unpass(number);
            }
        }
        match desk.next_unpassed(&q.line) {
            Some((number, ..)) if first.as_ref().is_some_and(|f| f.number < number) => first,
            Some((number, _, redelivered)) => Some(Candidate { number, redelivered, passed: None }),
            None => first,
        }
    }

    /// Entries are in nobody's hands any more: groups may be free by that.
    pub(super) fn release_groups(&mut self, queue: QueueId, (first, step, count): (u64, u32, u32)) {
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        let Some(groups) = &mut desk.groups else { return };
        let mut freed = false;
        if step == 1 {
            freed = groups.release(first, first + u64::from(count));
        } else {
            for n in 0..u64::from(count) {
                let at = first + n * u64::from(step);
                freed |= groups.release(at, at + 1);
            }
        }
        if freed {
            self.dispatch.wake(queue);
        }
    }

    /// A subscriber is gone.
    pub(super) fn part_from_groups(&mut self, queue: QueueId, holder: Holder) {
        if let Some(groups) =
            self.dispatch.desks.get_mut(&queue).and_then(|desk| desk.groups.as_mut())
        {
            groups.part(holder);
            self.dispatch.wake(queue);
        }
    }
}
