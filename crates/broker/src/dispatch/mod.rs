//! The volatile half of the broker: who is connected, who subscribes, who holds what.
//! Born empty at every start and every promotion; nothing of it is in the log.

mod chunks;
mod desk;
mod groups;
mod lease;
mod reader;
mod ready;
mod releasing;
mod serve;
mod session;

pub use chunks::{Chunks, Filling};
pub use desk::{Death, Desk, Lent, Reason, Subscriber, Waiting};
pub use groups::{Finder, Group, Holder, Verdict};
pub use lease::Lease;
pub use reader::{Filter, Reader, Seek};
pub use releasing::Releasing;
pub use serve::Lot;
pub use session::{LaneState, SessionState, WINDOW_BYTES};

use crate::broker::Mooring;
use crate::id::{BerthId, QueueId};
use crate::ledger::ById;
use lockgate_model::{Consumer, Lane, LeaseId, SessionId, Time};
use slab::Slab;

/// Everything that goes when the process goes.
#[derive(Debug, Default)]
pub struct Dispatch {
    /// Live sessions.
    pub sessions: ById<SessionId, Box<SessionState>>,
    /// Who has which berth.
    pub moorings: ById<BerthId, Mooring>,
    /// All subscriptions.
    pub subscribers: Slab<Subscriber>,
    /// All that is handed out and not yet settled.
    pub leases: Slab<Lease>,
    /// How each queue stands with its subscribers.
    pub desks: ById<QueueId, Box<Desk>>,
    /// What is in memory of streams' segments.
    pub chunks: ById<QueueId, Chunks>,
    /// Queues that may have something to deliver.
    pub ready: Vec<QueueId>,
    /// Queues whose time has changed with what they lent.
    pub unarmed: Vec<QueueId>,
    /// The latest time that anybody told.
    pub now: Time,
    /// Entries handed to subscribers, as often as they were.
    pub delivered: u64,
    /// Counts leases: their ids are used again.
    pub next_serial: u64,
    /// Queues of delayed messages of which something is due.
    pub releasing: ById<QueueId, Releasing>,
}

impl Dispatch {
    /// The queue may have something to deliver.
    pub fn wake(&mut self, queue: QueueId) {
        if let Some(desk) = self.desks.get_mut(&queue)
            && !desk.awake
        {
            desk.awake = true;
            self.ready.push(queue);
        }
    }

    /// The strand of a session, made at its first use.
    pub fn lane(&mut self, session: SessionId, lane: Lane) -> Option<&mut LaneState> {
        Some(self.sessions.get_mut(&session)?.lane(lane))
    }

    /// The subscriber that a front's handle names.
    pub fn subscriber(&self, session: SessionId, handle: Consumer) -> Option<usize> {
        self.sessions.get(&session)?.consumers.get(&handle).copied()
    }

    /// How many more entries a subscriber can take now.
    pub fn capacity(&self, id: usize) -> u32 {
        let Some(s) = self.subscribers.get(id) else { return 0 };
        let Some(session) = self.sessions.get(&s.session) else { return 0 };
        if session.window <= 0 {
            return 0;
        }
        let Some(lane) = session.find_lane(s.lane).filter(|l| l.active) else { return 0 };
        if s.settled {
            return u32::MAX;
        }
        let room =
            |limit: Option<u32>, held: u32| limit.map_or(u32::MAX, |l| l.saturating_sub(held));
        room(s.limit, s.in_flight).min(room(lane.limit, lane.in_flight))
    }

    /// Puts a subscriber that can take something back in its queue's ring.
    pub fn revive(&mut self, id: usize) {
        let Some(s) = self.subscribers.get(id) else { return };
        if s.in_ring || self.capacity(id) == 0 {
            return;
        }
        let (queue, priority) = (s.queue, s.priority);
        let Some(desk) = self.desks.get_mut(&queue).filter(|d| d.serves(id)) else { return };
        // Behind its equals, before those of lower priority.
        let below = |other: &usize| self.subscribers[*other].priority < priority;
        let at = desk.ring.iter().position(below).unwrap_or(desk.ring.len());
        desk.ring.insert(at, id);
        self.subscribers[id].in_ring = true;
        self.wake(queue);
    }

    /// Revives all subscribers of a session, or of one of its strands.
    pub fn revive_all(&mut self, session: SessionId, lane: Option<Lane>) {
        let Some(s) = self.sessions.get(&session) else { return };
        let mut ids: Vec<usize> = s.consumers.values().copied().collect();
        ids.retain(|id| lane.is_none_or(|l| self.subscribers[*id].lane == l));
        // The order of a map is no order: the same session must always revive alike.
        ids.sort_unstable_by_key(|id| self.subscribers[*id].order);
        ids.into_iter().for_each(|id| self.revive(id));
    }

    /// Entries of a lease are done with: what they took of limits is free again.
    pub fn release(
        &mut self,
        session: SessionId,
        lane: Lane,
        subscriber: Option<usize>,
        counted: bool,
        count: u32,
    ) {
        if !counted {
            return;
        }
        let mut shared = false;
        if let Some(l) = self.sessions.get_mut(&session).map(|s| s.lane(lane)) {
            l.in_flight = l.in_flight.saturating_sub(count);
            shared = l.limit.is_some();
        }
        if let Some(s) = subscriber.and_then(|id| self.subscribers.get_mut(id)) {
            s.in_flight = s.in_flight.saturating_sub(count);
        }
        match subscriber {
            _ if shared => self.revive_all(session, Some(lane)),
            Some(id) => self.revive(id),
            None => {}
        }
    }

    /// Hands out a new lease.
    pub fn lend(&mut self, mut lease: Lease) -> LeaseId {
        self.next_serial += 1;
        lease.serial = self.next_serial;
        let serial = lease.serial;
        let (session, lane, subscriber) = (lease.session, lease.lane, lease.subscriber);
        let (count, counted) = (lease.count, lease.counted);
        let queue = lease.queue;
        let id = LeaseId(self.leases.insert(lease) as u32);
        let hold = subscriber.and_then(|id| self.subscribers.get(id)).and_then(|s| s.hold_max);
        if let Some(desk) = self.desks.get_mut(&queue) {
            desk.leased += u64::from(count);
            if let Some(ms) = hold {
                let due = self.now.millis().saturating_add(ms);
                self.unarmed.push(queue);
                let leases = &self.leases;
                desk.note_lent(due, Lent { lease: id, serial }, |l| {
                    leases.get(l.lease.0 as usize).is_some_and(|lease| lease.serial == l.serial)
                });
            }
        }
        if let Some(s) = self.sessions.get_mut(&session) {
            s.leases.insert(id);
            s.lane(lane).in_flight += if counted { count } else { 0 };
        }
        if let Some(s) = subscriber.and_then(|id| self.subscribers.get_mut(id)) {
            s.in_flight += count;
        }
        id
    }
}
