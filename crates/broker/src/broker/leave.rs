//! Leaving: a strand or a whole session ends, and what it held goes back.

use super::Broker;
use crate::journal::{Effects, Journal};
use lockgate_model::{Lane, LeaseId, SessionId};

impl Broker {
    /// A strand ends.
    pub(super) fn leave(
        &mut self,
        session: SessionId,
        lane: Lane,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        self.end_subscriptions(session, Some(lane), journal, out);
        self.give_back(session, Some(lane), journal);
        if let Some(s) = self.dispatch.sessions.get_mut(&session) {
            s.drop_lane(lane);
        }
    }

    /// A session ends.
    pub(super) fn gone(
        &mut self,
        session: SessionId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        self.end_subscriptions(session, None, journal, out);
        self.give_back(session, None, journal);
        self.leave_berth(session, journal, out);
        let Some(s) = self.dispatch.sessions.remove(&session) else { return };
        for queue in s.owned {
            self.drop_queue(queue, journal, out);
        }
    }

    pub(super) fn end_subscriptions(
        &mut self,
        session: SessionId,
        lane: Option<Lane>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(s) = self.dispatch.sessions.get(&session) else { return };
        let mut ids: Vec<usize> = s.consumers.values().copied().collect();
        ids.retain(|id| lane.is_none_or(|l| self.dispatch.subscribers[*id].lane == l));
        ids.sort_unstable_by_key(|id| self.dispatch.subscribers[*id].order);
        for id in ids {
            if self.dispatch.subscribers.contains(id) {
                self.unsubscribe(id, journal, out);
            }
        }
    }

    /// Everything that the strand (or the session) holds goes back to its place.
    pub(super) fn give_back(
        &mut self,
        session: SessionId,
        lane: Option<Lane>,
        journal: &mut impl Journal,
    ) {
        let Some(s) = self.dispatch.sessions.get_mut(&session) else { return };
        let leases = &self.dispatch.leases;
        let on_lane = |id: &LeaseId| {
            leases.get(id.0 as usize).is_none_or(|l| lane.is_none_or(|lane| l.lane == lane))
        };
        let mut ids: Vec<LeaseId> = s.leases.extract_if(on_lane).collect();
        ids.sort_unstable();
        for id in ids {
            let Some(lease) = self.dispatch.leases.try_remove(id.0 as usize) else { continue };
            if lease.void {
                continue;
            }
            let Some(desk) = self.dispatch.desks.get_mut(&lease.queue) else { continue };
            desk.leased -= u64::from(lease.open);
            for part in lease.parts() {
                self.release_groups(lease.queue, part);
                self.bring_back(lease.queue, part, true, journal);
            }
        }
    }
}
