//! Subscribing and cancelling.

use super::arguments::{check_consumer, refusal};
use super::{Answered, Broker};
use crate::dispatch::Subscriber;
use crate::id::QueueId;
use crate::journal::{Effect, Effects, Journal};
use lockgate_model::{
    Answer, CancelCause, Consumer, Event, Lane, Object, Refusal, SessionId, Subscription, Value,
};

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        lane: Lane,
        wish: Subscription,
    ) -> Answered {
        let q = self.accessible(session, &wish.queue)?;
        let (queue, vhost) = (q.id, q.vhost);
        let own = wish.arguments.get("x-consumer-timeout").and_then(Value::as_int);
        let hold_max = own.and_then(|ms| u64::try_from(ms).ok()).or(q.rules.hold_max);
        let vhost = self.ledger.vhost_name(vhost);
        let reader = self.reader(q, &wish)?;
        check_consumer(&wish.arguments)
            .map_err(|e| refusal(Object::Queue, &wish.queue, vhost.clone(), e))?;
        let desk = self.dispatch.desks.get_mut(&queue);
        let taken = desk.as_ref().is_some_and(|d| {
            let alone = d.subscribers.iter().any(|s| self.dispatch.subscribers[*s].exclusive);
            // Where one is active at a time the others wait, which an exclusive one would not let them.
            alone || (wish.exclusive && (d.single || !d.subscribers.is_empty()))
        });
        if taken {
            return Err(Refusal::ExclusiveUse { name: wish.queue, vhost });
        }
        self.next_order += 1;
        let id = self.dispatch.subscribers.insert(Subscriber {
            session,
            lane,
            handle: wish.consumer,
            queue,
            settled: wish.settled,
            exclusive: wish.exclusive,
            priority: wish.arguments.get("x-priority").and_then(Value::as_int).unwrap_or(0),
            hold_max: hold_max.filter(|_| !wish.settled),
            holds_by_rule: own.is_none(),
            limit: wish.limit,
            in_flight: 0,
            in_ring: false,
            order: self.next_order,
            reader,
        });
        if let Some(desk) = desk {
            desk.subscribers.push(id);
            desk.was_used = true;
        }
        if let Some(s) = self.dispatch.sessions.get_mut(&session) {
            s.consumers.insert(wish.consumer, id);
            s.lane(lane);
        }
        self.touch(queue);
        self.dispatch.revive(id);
        Ok((Answer::Done, 0))
    }

    pub(super) fn cancel(
        &mut self,
        session: SessionId,
        consumer: Consumer,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Answered {
        if let Some(id) = self.dispatch.subscriber(session, consumer) {
            self.unsubscribe(id, journal, out);
        }
        Ok((Answer::Done, 0))
    }

    /// Ends a subscription; what it holds it keeps. The queue may go with it.
    pub(super) fn unsubscribe(&mut self, id: usize, journal: &mut impl Journal, out: &mut Effects) {
        let order = self.dispatch.subscribers.get(id).map_or(0, |s| s.order);
        let queue = self.forget(id);
        self.part_from_groups(queue, order);
        self.touch(queue);
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        desk.subscribers.retain(|s| *s != id);
        desk.ring.retain(|s| *s != id);
        let unused = desk.was_used && desk.subscribers.is_empty();
        // Where one alone is served, it is the next one's turn.
        let next = desk.subscribers.first().copied().filter(|_| desk.single);
        if let Some(next) = next {
            self.dispatch.revive(next);
        }
        self.arm(queue);
        if unused && self.ledger.queues.get(&queue).is_some_and(|q| q.spec.auto_delete) {
            self.drop_queue(queue, journal, out);
        }
    }

    /// Tells all subscribers of a queue that it is gone, once who deleted it has been told.
    pub(super) fn cancel_all(&mut self, subscribers: Vec<usize>, after: u64) {
        for id in subscribers {
            if let Some(s) = self.dispatch.subscribers.get(id) {
                let (session, lane, consumer) = (s.session, s.lane, s.handle);
                let cause = CancelCause::QueueDeleted;
                let event = Event::Cancelled { lane, consumer, cause };
                self.farewells.push(Effect { session, after, event });
            }
            self.forget(id);
        }
    }

    /// Takes a subscriber out of everything but its queue's desk.
    fn forget(&mut self, id: usize) -> QueueId {
        let s = self.dispatch.subscribers.remove(id);
        if let Some(session) = self.dispatch.sessions.get_mut(&s.session) {
            session.consumers.remove(&s.handle);
            // The slot will be used again: leases must not point there.
            for lease in &session.leases {
                if let Some(l) = self.dispatch.leases.get_mut(lease.0 as usize)
                    && l.subscriber == Some(id)
                {
                    l.subscriber = None;
                }
            }
        }
        s.queue
    }
}
