//! Declaring, deleting and purging queues.

use super::arguments::{check_letters, check_queue, difference, refusal};
use super::stream::check_kind;
use super::{Answered, Broker};
use crate::change::Change;
use crate::id::{ExchangeId, QueueId, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::{Queue, base_of};
use lockgate_model::{Answer, Deed, Name, Object, QueueSpec, Refusal, SessionId, Table};

impl Broker {
    /// A queue by name, if the session may use it.
    pub(super) fn accessible(&self, session: SessionId, name: &Name) -> Result<&Queue, Refusal> {
        let vhost = self.vhost_of(session)?;
        let vhost_name = || self.ledger.vhost_name(vhost);
        let queue = self.ledger.queue_named(vhost, name).ok_or_else(|| Refusal::Missing {
            object: Object::Queue,
            name: name.clone(),
            vhost: vhost_name(),
        })?;
        match queue.owner {
            Some(owner) if owner != session => {
                Err(Refusal::Locked { name: name.clone(), vhost: vhost_name() })
            }
            _ => Ok(queue),
        }
    }

    pub(super) fn declare_queue(
        &mut self,
        session: SessionId,
        mut spec: QueueSpec,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        self.choose_kind(session, vhost, &mut spec);
        let named = !spec.name.is_empty();
        if !named {
            spec.name = self.fresh_name(vhost);
        } else if let Some(q) = self.ledger.queue_named(vhost, &spec.name) {
            self.equivalent(session, &spec, q)?;
            let (id, answer) = (q.id, self.describe(q));
            self.touch(id);
            return Ok((answer, 0));
        } else {
            self.unreserved(vhost, Object::Queue, &spec.name)?;
        }
        self.room_for_queue(vhost, &spec.name)?;
        check_kind(&spec, named, &self.ledger.vhost_name(vhost))?;
        check_letters(&spec.arguments).map_err(|why| {
            let vhost = self.ledger.vhost_name(vhost);
            Refusal::Limit(format!("{why} in queue '{}' in vhost '{vhost}'", spec.name))
        })?;
        check_queue(&spec.arguments)
            .map_err(|e| refusal(Object::Queue, &spec.name, self.ledger.vhost_name(vhost), e))?;
        Ok(self.make_queue(session, vhost, spec, journal))
    }

    /// A queue of a reserved name for one session, which others can only publish to.
    pub(super) fn open_mailbox(
        &mut self,
        session: SessionId,
        name: Name,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        if self.ledger.queue_named(vhost, &name).is_some() {
            let vhost = self.ledger.vhost_name(vhost);
            return Err(Refusal::Reserved { object: Object::Queue, name, vhost });
        }
        let spec = QueueSpec {
            name,
            durable: false,
            exclusive: true,
            auto_delete: true,
            arguments: Table::default(),
        };
        Ok(self.make_queue(session, vhost, spec, journal))
    }

    pub(super) fn make_queue(
        &mut self,
        session: SessionId,
        vhost: VhostId,
        spec: QueueSpec,
        journal: &mut impl Journal,
    ) -> (Answer, u64) {
        let id = QueueId(self.ledger.fresh_id());
        let owner = spec.exclusive.then_some(session);
        let (name, lasting) = (spec.name.clone(), spec.durable && owner.is_none());
        let after =
            self.change(&Change::QueueDeclared { vhost, id, spec, owner }, lasting, journal);
        if let Some(s) = self.dispatch.sessions.get_mut(&session).filter(|_| owner.is_some()) {
            s.owned.push(id);
        }
        (Answer::Queue { name, messages: 0, consumers: 0 }, after)
    }

    /// A name that no queue of the virtual host has.
    fn fresh_name(&mut self, vhost: VhostId) -> Name {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        loop {
            let mut name = String::from("amq.gen-");
            for _ in 0..2 {
                let bits = self.dice.roll();
                let letter = |n: u32| LETTERS[(bits >> (6 * n)) as usize % 64] as char;
                name.extend((0..10).map(letter));
            }
            if self.ledger.queue_named(vhost, &name).is_none() {
                return name.into();
            }
        }
    }

    /// A second declaration must say what the first said.
    fn equivalent(&self, session: SessionId, spec: &QueueSpec, q: &Queue) -> Result<(), Refusal> {
        let vhost = self.ledger.vhost_name(q.vhost);
        let exclusive = q.owner.is_some();
        if q.owner.is_some_and(|owner| owner != session) || spec.exclusive != exclusive {
            return Err(Refusal::Locked { name: spec.name.clone(), vhost });
        }
        let flag = |field: &str, received: bool, current: bool| {
            (received != current)
                .then(|| (field.into(), format!("'{received}'"), format!("'{current}'")))
        };
        let unlike = flag("durable", spec.durable, q.spec.durable)
            .or_else(|| flag("auto_delete", spec.auto_delete, q.spec.auto_delete))
            .or_else(|| difference(&spec.arguments, &q.spec.arguments));
        match unlike {
            None => Ok(()),
            Some((field, received, current)) => Err(Refusal::Inequivalent {
                object: Object::Queue,
                name: spec.name.clone(),
                vhost,
                field,
                received,
                current,
            }),
        }
    }

    fn describe(&self, q: &Queue) -> Answer {
        Answer::Queue {
            name: q.spec.name.clone(),
            messages: self.waiting_messages(q.id),
            consumers: self.dispatch.desks.get(&q.id).map_or(0, |d| d.subscribers.len() as u32),
        }
    }

    /// Asking for a queue is using it: RabbitMQ keeps one that expires for who asks.
    pub(super) fn find_queue(&mut self, session: SessionId, name: &Name) -> Answered {
        let q = self.accessible(session, name)?;
        let (id, answer) = (q.id, self.describe(q));
        self.touch(id);
        Ok((answer, 0))
    }

    pub(super) fn delete_queue(
        &mut self,
        session: SessionId,
        name: &Name,
        if_unused: bool,
        if_empty: bool,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Answered {
        let queue = match self.accessible(session, name) {
            // What is not there need not be deleted.
            Err(Refusal::Missing { .. }) => return Ok((Answer::Removed(0), 0)),
            other => other?,
        };
        let (id, vhost) = (queue.id, self.ledger.vhost_name(queue.vhost));
        let used = self.dispatch.desks.get(&id).is_some_and(|d| !d.subscribers.is_empty());
        if if_unused && used {
            return Err(Refusal::InUse { object: Object::Queue, name: name.clone(), vhost });
        }
        let messages = self.waiting_messages(id);
        if if_empty && messages > 0 {
            return Err(Refusal::NotEmpty { name: name.clone(), vhost });
        }
        let after = self.drop_under_berths(id, journal, out);
        Ok((Answer::Removed(messages), after))
    }

    /// Deletes a queue with all that is in it, and exchanges that go with it.
    pub(super) fn drop_queue(
        &mut self,
        id: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> u64 {
        let Some(q) = self.ledger.queues.get(&id) else { return 0 };
        let (lasting, owner) = (q.is_logged(), q.owner);
        let mut sources: Vec<ExchangeId> = q.inbound.iter().map(|(source, _)| *source).collect();
        sources.sort_unstable();
        sources.dedup();
        let after = self.change(&Change::QueueDeleted { id }, lasting, journal);
        self.close_stream(id, after, out);
        if let Some(s) = owner.and_then(|o| self.dispatch.sessions.get_mut(&o)) {
            s.owned.retain(|q| *q != id);
        }
        if let Some(desk) = self.dispatch.desks.remove(&id) {
            if let Some(ms) = desk.armed {
                self.timers.remove(&(ms, id));
            }
            for w in &desk.waiting {
                let asker = super::Asker { session: w.session, lane: w.lane, ticket: w.ticket };
                self.answer(asker, Ok((Answer::Got(None), 0)), out);
            }
            self.cancel_all(desk.subscribers, after);
        }
        after.max(self.prune(&sources, journal))
    }

    /// Removes everything that nobody holds.
    pub(super) fn purge(
        &mut self,
        session: SessionId,
        name: &Name,
        journal: &mut impl Journal,
    ) -> Answered {
        let q = self.accessible(session, name)?;
        self.not_of_streams(q, Deed::Purge)?;
        let id = q.id;
        let Some(desk) = self.dispatch.desks.get_mut(&id) else {
            return Ok((Answer::Removed(0), 0));
        };
        let mut ready = Vec::new();
        let Some(q) = self.ledger.queues.get(&id) else { return Ok((Answer::Removed(0), 0)) };
        for n in 0..q.line.ranks().len() {
            ready.extend(desk.withdraw(&q.line, base_of(n), q.line.next(n)));
            desk.cursor.set(q.line.next(n));
        }
        let mut went = 0;
        for (from, to) in ready {
            went += self.settle_range(id, from, to, journal);
        }
        Ok((Answer::Removed(went), 0))
    }
}
