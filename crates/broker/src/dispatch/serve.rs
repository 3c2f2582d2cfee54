//! Serving: entries of a queue go to its subscribers in turn, as far as each can take them.

use super::{Dispatch, Lease};
use crate::id::QueueId;
use crate::journal::Effects;
use crate::ledger::Slice;
use lockgate_model::limits::MESSAGE_OVERHEAD_BYTES;
use lockgate_model::{Delivery, Event, Run, Stamp};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// Most rounds that are dealt before everybody's room is looked at again.
const ROUNDS_MAX: u32 = 64;

/// What became of the entries served.
#[derive(Debug, Default)]
pub struct Served {
    /// So many from the front of the slice are handed out.
    pub taken: u32,
    /// Those that are done with already: places in the slice (first, step, count).
    pub settled: SmallVec<[(u32, u32, u32); 2]>,
}

/// Entries to be served together.
#[derive(Debug)]
pub struct Lot {
    /// Where they are.
    pub slice: Slice,
    /// They may have been delivered before.
    pub redelivered: bool,
    /// What is to be written on them.
    pub stamp: Stamp,
}

/// Part of a slice: `count` entries from `first` on, `step` apart.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub first: u32,
    pub step: u32,
    pub count: u32,
}

impl Dispatch {
    /// Hands out entries of a lot from the front, in turn, until they or the takers run out.
    pub fn serve(&mut self, queue: QueueId, lot: &Lot, out: &mut Effects) -> Served {
        let mut served = Served::default();
        while served.taken < lot.slice.count {
            let left = lot.slice.count - served.taken;
            let Some((takers, room)) = self.takers(queue) else { break };
            let rounds = room.min(left / takers).min(ROUNDS_MAX);
            let mut part = Part { first: served.taken, step: 1, count: 1 };
            if takers == 1 {
                part.count = left.min(room);
                let taken = self.hand_out_front(queue, lot, part, out, &mut served);
                served.taken += taken;
            } else if rounds < 2 {
                served.taken += self.hand_out_front(queue, lot, part, out, &mut served);
                self.turn(queue);
            } else {
                for n in 0..takers {
                    part = Part { first: served.taken + n, step: takers, count: rounds };
                    self.hand_out_front(queue, lot, part, out, &mut served);
                    self.turn(queue);
                }
                served.taken += takers * rounds;
            }
        }
        served
    }

    /// How many subscribers can take something now, and how much each can at least.
    /// Those that cannot leave the ring.
    fn takers(&mut self, queue: QueueId) -> Option<(u32, u32)> {
        let mut ring = std::mem::take(&mut self.desks.get_mut(&queue)?.ring);
        let mut room = u32::MAX;
        let mut shared = false;
        ring.retain(|id| {
            let capacity = self.capacity(*id);
            room = room.min(capacity.max(1));
            if let Some(s) = self.subscribers.get_mut(*id) {
                s.in_ring = capacity > 0;
                let lane = self.sessions.get(&s.session).and_then(|x| x.find_lane(s.lane));
                shared |= !s.settled && lane.is_some_and(|l| l.limit.is_some());
            }
            capacity > 0
        });
        let equals = self.equals(&ring);
        let takers = equals as u32;
        self.desks.get_mut(&queue)?.ring = ring;
        // Subscribers that share a limit take from each other: one message at a time.
        if shared && takers > 1 {
            room = 1;
        }
        if takers == 1 {
            let id = *self.desks.get(&queue)?.ring.front()?;
            room = self.capacity(id);
        }
        (takers > 0).then_some((takers, room))
    }

    /// Subscribers that can take something now, the next one first, with their orders.
    pub fn able_takers(&mut self, queue: QueueId) -> Vec<(usize, u64)> {
        self.takers(queue);
        let ring = self.desks.get(&queue).map(|d| &d.ring);
        let order = |id: &usize| Some((*id, self.subscribers.get(*id)?.order));
        ring.into_iter().flatten().filter_map(order).collect()
    }

    /// The subscriber whose turn it is, if it can take something.
    pub fn next_taker(&self, queue: QueueId) -> Option<usize> {
        let ring = &self.desks.get(&queue)?.ring;
        ring.front().copied().filter(|id| self.capacity(*id) > 0)
    }

    /// The subscriber of that order, if it can take something.
    pub fn taker_named(&self, queue: QueueId, order: u64) -> Option<usize> {
        let is = |id: &&usize| self.subscribers.get(**id).is_some_and(|s| s.order == order);
        let id = *self.desks.get(&queue)?.ring.iter().find(is)?;
        (self.capacity(id) > 0).then_some(id)
    }

    /// Hands the one entry of a lot to a subscriber of the queue's ring, which goes behind
    /// its equals then.
    pub fn hand_one(&mut self, queue: QueueId, id: usize, lot: &Lot, out: &mut Effects) {
        let part = Part { first: 0, step: 1, count: 1 };
        self.hand_out(queue, id, lot, part, out, &mut Served::default());
        if let Some(desk) = self.desks.get_mut(&queue) {
            desk.ring.retain(|other| *other != id);
        }
        if let Some(s) = self.subscribers.get_mut(id) {
            s.in_ring = false;
        }
        self.revive(id);
    }

    /// How many in a ring have the highest priority: the first ones.
    fn equals(&self, ring: &VecDeque<usize>) -> usize {
        let priority = |id: &usize| self.subscribers.get(*id).map(|s| s.priority);
        let highest = ring.front().and_then(priority);
        ring.iter().take_while(|id| priority(id) == highest).count()
    }

    /// The first in the ring has had its turn: it goes behind its equals.
    fn turn(&mut self, queue: QueueId) {
        let Some(mut ring) = self.desks.get_mut(&queue).map(|d| std::mem::take(&mut d.ring)) else {
            return;
        };
        let equals = self.equals(&ring);
        if equals == ring.len() {
            ring.rotate_left(1.min(equals));
        } else if let Some(first) = ring.pop_front() {
            ring.insert(equals - 1, first);
        }
        if let Some(desk) = self.desks.get_mut(&queue) {
            desk.ring = ring;
        }
    }

    /// Hands a part to the first in the ring; less of it if its window is too narrow.
    /// Returns how many it took.
    fn hand_out_front(
        &mut self,
        queue: QueueId,
        lot: &Lot,
        part: Part,
        out: &mut Effects,
        served: &mut Served,
    ) -> u32 {
        match self.desks.get(&queue).and_then(|d| d.ring.front().copied()) {
            Some(id) => self.hand_out(queue, id, lot, part, out, served),
            None => 0,
        }
    }

    fn hand_out(
        &mut self,
        queue: QueueId,
        id: usize,
        lot: &Lot,
        mut part: Part,
        out: &mut Effects,
        served: &mut Served,
    ) -> u32 {
        let s = &self.subscribers[id];
        let (session, lane, consumer, settled) = (s.session, s.lane, s.handle, s.settled);
        let Some(state) = self.sessions.get_mut(&session) else { return 0 };
        // A stride must be taken whole, or the others' turns would not fit.
        let room = if part.step == 1 { state.window.max(0) as u64 } else { u64::MAX };
        let slice = &lot.slice;
        let cost = measure(&slice.run, slice.item, &mut part, room);
        state.window -= cost as i64;
        let lease = if settled {
            served.settled.push((part.first, part.step, part.count));
            None
        } else {
            let first = slice.first + u64::from(part.first);
            Some(self.lend(Lease::new(
                session,
                lane,
                Some(id),
                queue,
                first,
                part.step,
                part.count,
            )))
        };
        let delivery = Delivery {
            lane,
            consumer,
            run: Arc::clone(&slice.run),
            first: slice.item + part.first,
            step: part.step,
            count: part.count,
            number: slice.first + u64::from(part.first),
            lease,
            redelivered: lot.redelivered,
            stamp: lot.stamp.of(part.first, 1),
            cost,
        };
        self.delivered += u64::from(part.count);
        out.now(session, Event::Deliver(delivery));
        part.count
    }
}

/// What the entries of a part cost; cuts the part where the cost reaches `room`, but
/// never below one entry.
pub(super) fn measure(run: &Run, item: u32, part: &mut Part, room: u64) -> u64 {
    let mut cost = 0;
    for n in 0..part.count {
        if cost >= room && n > 0 {
            part.count = n;
            break;
        }
        let at = (item + part.first + n * part.step) as usize;
        cost += (run.items[at].size() + MESSAGE_OVERHEAD_BYTES) as u64;
    }
    cost
}
