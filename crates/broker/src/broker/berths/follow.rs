//! What a client wants to hear: its queues are made when they are first needed, and bound.

use super::super::{Answered, Broker};
use crate::change::{BerthSpec, Change};
use crate::id::{BerthId, QueueId, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::{Hearing, Kind};
use lockgate_model::{
    Answer, Consumer, Followed, Interest, Lane, Name, PASSING, QueueSpec, Refusal, Replay,
    SETTLING, SessionId, Subscription, Table, Value,
};

impl Broker {
    pub(in super::super) fn follow(
        &mut self,
        session: SessionId,
        wishes: Vec<Interest>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Answered {
        let id = self.taken(session)?;
        let (mut done, mut after) = (Vec::with_capacity(wishes.len()), 0);
        for wish in wishes {
            let one = self.follow_one(session, id, wish, journal, out);
            done.push(one.map(|(followed, at)| {
                after = at.max(after);
                followed
            }));
        }
        Ok((Answer::Followed(done), after))
    }

    fn follow_one(
        &mut self,
        session: SessionId,
        id: BerthId,
        wish: Interest,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Result<(Followed, u64), Refusal> {
        let vhost = self.vhost_of(session)?;
        let Some(b) = self.ledger.berths.get(&id) else {
            return Err(Refusal::Invalid("the berth is gone".into()));
        };
        let (mut logged, lasts) = (b.logged, b.lasting.lasts());
        if wish.group.is_some() && !logged {
            // Else nobody would know after a crash that one less is in the group.
            logged = true;
            let spec = BerthSpec { logged, ..b.spec() };
            self.change(&Change::BerthTaken(Box::new(spec)), true, journal);
        }
        let Some(b) = self.ledger.berths.get(&id) else {
            return Err(Refusal::Invalid("the berth is gone".into()));
        };
        let old = b.interest(&wish.filter).cloned();
        let new = old.is_none();
        let (settling, name) = (b.settling.clone(), b.queue_of(&wish).clone());
        let made = match (&wish.group, wish.level) {
            (Some(_), _) => self.open_lasting(session, vhost, &name, id, true, journal)?,
            (None, 0) => self.open_passing(session, id, journal)?,
            (None, _) => self.open_lasting(session, vhost, &settling, id, lasts, journal)?,
        };
        let consumer = match &wish.group {
            Some(group) => {
                // Another level takes another kind of subscription.
                if old.as_ref().is_some_and(|old| (old.level > 0) != (wish.level > 0)) {
                    self.stop_sharing(session, id, &wish.filter, journal, out);
                }
                self.share(session, id, &wish, group)?
            }
            None if wish.level > 0 => self.listen(session, id, &settling, SETTLING)?,
            None => self.listen(session, id, &name, PASSING)?,
        };
        // Last, since somebody else may have the queue for itself.
        let change = Change::Followed { id, interest: wish.clone() };
        let after = self.change(&change, logged, journal).max(made);
        let after = if lasts { after } else { 0 };
        self.replay_to(id, &wish, old.as_ref(), after);
        Ok((Followed { new, consumer }, after))
    }

    pub(in super::super) fn unfollow(
        &mut self,
        session: SessionId,
        filters: Vec<Name>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Answered {
        let id = self.taken(session)?;
        let (mut done, mut after) = (Vec::with_capacity(filters.len()), 0);
        for filter in filters {
            let b = self.ledger.berths.get(&id);
            let Some(interest) = b.and_then(|b| b.interest(&filter)).cloned() else {
                done.push(false);
                continue;
            };
            let (logged, lasts) = b.map_or((false, false), |b| (b.logged, b.lasting.lasts()));
            let at =
                self.change(&Change::Unfollowed { id, filter: filter.clone() }, logged, journal);
            if lasts {
                after = at.max(after);
            }
            if let Some(target) = self.queue_of_interest(id, &interest) {
                self.stop_replay(target, interest.pattern());
            }
            if let Some(group) = &interest.group {
                self.stop_sharing(session, id, &filter, journal, out);
                let vhost = self.vhost_of(session)?;
                self.drop_forsaken_group(vhost, group, journal, out);
            }
            done.push(true);
        }
        Ok((Answer::Unfollowed(done), after))
    }

    /// The queue of what is done when delivered; it goes with the session.
    pub(super) fn open_passing(
        &mut self,
        session: SessionId,
        id: BerthId,
        journal: &mut impl Journal,
    ) -> Result<u64, Refusal> {
        let vhost = self.vhost_of(session)?;
        let Some(b) = self.ledger.berths.get(&id) else { return Ok(0) };
        let (name, bytes_max) = (b.passing.clone(), b.caps.passing_bytes_max);
        if let Some(q) = self.ledger.queue_named(vhost, &name) {
            return if q.owner == Some(session) { Ok(0) } else { Err(self.locked(vhost, name)) };
        }
        let arguments = bounds(None, Some(bytes_max));
        let (durable, exclusive, auto_delete) = (false, true, false);
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        self.room_for_queue(vhost, &spec.name)?;
        Ok(self.make_queue(session, vhost, spec, journal).1)
    }

    /// A queue of what is to be settled: a berth's own, which lasts as it does, or a group's.
    fn open_lasting(
        &mut self,
        session: SessionId,
        vhost: VhostId,
        name: &Name,
        id: BerthId,
        lasts: bool,
        journal: &mut impl Journal,
    ) -> Result<u64, Refusal> {
        if let Some(q) = self.ledger.queue_named(vhost, name) {
            let ours = q.hearing.is_some() || q.owner.is_none_or(|owner| owner == session);
            let fits = ours && q.rules.kind != Kind::Stream;
            return if fits { Ok(0) } else { Err(self.locked(vhost, name.clone())) };
        }
        let caps = self.ledger.berths.get(&id).map(|b| b.caps);
        let arguments = caps.map_or_else(Table::default, |caps| {
            bounds(Some(caps.messages_max), Some(caps.bytes_max))
        });
        let (name, durable, exclusive, auto_delete) = (name.clone(), lasts, !lasts, false);
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        self.room_for_queue(vhost, &spec.name)?;
        Ok(self.make_queue(session, vhost, spec, journal).1)
    }

    fn locked(&self, vhost: VhostId, name: Name) -> Refusal {
        Refusal::Locked { name, vhost: self.ledger.vhost_name(vhost) }
    }

    /// What comes to a queue of the berth is delivered to its client from now on.
    pub(super) fn listen(
        &mut self,
        session: SessionId,
        id: BerthId,
        queue: &Name,
        consumer: Consumer,
    ) -> Result<Consumer, Refusal> {
        let limit = self.dispatch.moorings.get(&id).map(|m| m.in_flight_max);
        self.hear(session, queue, consumer, consumer == PASSING, limit)?;
        Ok(consumer)
    }

    /// The client takes its turns in a group.
    pub(super) fn share(
        &mut self,
        session: SessionId,
        id: BerthId,
        interest: &Interest,
        group: &Name,
    ) -> Result<Consumer, Refusal> {
        let Some(mooring) = self.dispatch.moorings.get_mut(&id) else {
            return Err(Refusal::Invalid("the berth is gone".into()));
        };
        let (consumer, limit) = (mooring.handle(&interest.filter), mooring.in_flight_max);
        self.hear(session, group, consumer, interest.level == 0, Some(limit))?;
        // What it holds of all queues together is bounded.
        if let Some(lane) = self.dispatch.lane(session, Lane::default()) {
            lane.limit = Some(limit);
        }
        Ok(consumer)
    }

    fn hear(
        &mut self,
        session: SessionId,
        queue: &Name,
        consumer: Consumer,
        settled: bool,
        limit: Option<u32>,
    ) -> Result<(), Refusal> {
        if self.dispatch.subscriber(session, consumer).is_some() {
            return Ok(());
        }
        let (queue, tag, exclusive) = (queue.clone(), Name::default(), false);
        let arguments = Table::default();
        let wish = Subscription { queue, consumer, tag, settled, exclusive, limit, arguments };
        self.subscribe(session, Lane::default(), wish).map(|_| ())
    }

    fn stop_sharing(
        &mut self,
        session: SessionId,
        id: BerthId,
        filter: &Name,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(mooring) = self.dispatch.moorings.get_mut(&id) else { return };
        let Some(consumer) = mooring.shared.remove(filter) else { return };
        if let Some(subscriber) = self.dispatch.subscriber(session, consumer) {
            self.unsubscribe(subscriber, journal, out);
        }
    }

    /// A group that nobody is in any more goes, with what waits there.
    pub(super) fn drop_forsaken_group(
        &mut self,
        vhost: VhostId,
        group: &Name,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let forsaken = self
            .ledger
            .queue_named(vhost, group)
            .filter(|q| matches!(q.hearing, Some(Hearing::Group { members: 0, .. })));
        if let Some(queue) = forsaken.map(|q| q.id) {
            self.drop_queue(queue, journal, out);
        }
    }

    /// What topics retain comes to who is newly interested, after the answer to that.
    fn replay_to(&mut self, id: BerthId, wish: &Interest, old: Option<&Interest>, after: u64) {
        let exchange = self.ledger.berths.get(&id).map(|b| b.exchange);
        let target = self.queue_of_interest(id, wish);
        // Another level takes another queue.
        let before =
            old.and_then(|old| self.queue_of_interest(id, old)).filter(|q| Some(*q) != target);
        if let Some(before) = before
            && wish.replay == Replay::Always
        {
            self.stop_replay(before, wish.pattern());
        }
        if let (Some(exchange), Some(target)) = (exchange, target) {
            self.replay_retained(exchange, target, wish, old.is_none(), after);
        }
    }

    /// The queue where what an interest wants comes.
    fn queue_of_interest(&self, id: BerthId, interest: &Interest) -> Option<QueueId> {
        let b = self.ledger.berths.get(&id)?;
        self.ledger.queue_named(b.vhost, b.queue_of(interest)).map(|q| q.id)
    }
}

/// Arguments of a queue that drops what came first when it is full.
fn bounds(messages_max: Option<u64>, bytes_max: Option<u64>) -> Table {
    let bounds = [("x-max-length", messages_max), ("x-max-length-bytes", bytes_max)];
    let given = |(name, most): (&str, Option<u64>)| {
        Some((name.into(), Value::I64(i64::try_from(most?).ok()?)))
    };
    let mut given: Vec<_> = bounds.into_iter().filter_map(given).collect();
    given.shrink_to_fit();
    Table(given)
}
