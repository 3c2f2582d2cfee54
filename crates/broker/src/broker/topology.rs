//! Declaring, deleting and binding.

use super::arguments::{
    check_exchange, check_headers, check_letters, check_queue, compare, difference, refusal,
};
use super::{Answered, Broker};
use crate::change::Change;
use crate::id::{ExchangeId, QueueId, Target, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::{Exchange, Queue};
use crate::ranges::Ranges;
use crate::way::Way;
use lockgate_model::{
    Answer, Binding, Destination, ExchangeKind, ExchangeSpec, Name, Object, QueueSpec, Refusal,
    SessionId, Table,
};

/// The exchanges that every virtual host has from the start.
const PREDECLARED: &[(&str, ExchangeKind, bool)] = &[
    ("amq.direct", ExchangeKind::Direct, false),
    ("amq.fanout", ExchangeKind::Fanout, false),
    ("amq.headers", ExchangeKind::Headers, false),
    ("amq.match", ExchangeKind::Headers, false),
    ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
    ("amq.topic", ExchangeKind::Topic, false),
];

impl Broker {
    /// Makes a virtual host with its predeclared exchanges, unless it is there.
    pub fn make_vhost(&mut self, name: &str, journal: &mut impl Journal) {
        if self.ledger.vhost(name).is_some() {
            return;
        }
        let vhost = VhostId(self.ledger.fresh_id());
        self.change(&Change::VhostMade { id: vhost, name: name.into() }, true, journal);
        for (name, kind, internal) in PREDECLARED {
            let spec = ExchangeSpec {
                name: (*name).into(),
                kind: *kind,
                durable: true,
                auto_delete: false,
                internal: *internal,
                arguments: Table::default(),
            };
            let id = ExchangeId(self.ledger.fresh_id());
            self.change(&Change::ExchangeDeclared { vhost, id, spec }, true, journal);
        }
    }

    fn vhost_of(&self, session: SessionId) -> Result<VhostId, Refusal> {
        let vhost = self.dispatch.sessions.get(&session).and_then(|s| s.vhost);
        vhost.ok_or_else(|| Refusal::NoVhost(Name::default()))
    }

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

    fn exchange(&self, vhost: VhostId, name: &Name) -> Result<&Exchange, Refusal> {
        self.ledger.exchange_named(vhost, name).ok_or_else(|| Refusal::Missing {
            object: Object::Exchange,
            name: name.clone(),
            vhost: self.ledger.vhost_name(vhost),
        })
    }

    /// Names that clients may neither make nor delete.
    fn unreserved(&self, vhost: VhostId, object: Object, name: &Name) -> Result<(), Refusal> {
        if object == Object::Exchange && name.is_empty() {
            return Err(Refusal::DefaultExchange);
        }
        if name.starts_with("amq.") {
            let vhost = self.ledger.vhost_name(vhost);
            return Err(Refusal::Reserved { object, name: name.clone(), vhost });
        }
        Ok(())
    }

    pub(super) fn declare_exchange(
        &mut self,
        session: SessionId,
        spec: ExchangeSpec,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        if spec.name.is_empty() {
            return Err(Refusal::DefaultExchange);
        }
        if let Some(x) = self.ledger.exchange_named(vhost, &spec.name) {
            return match unlike_exchange(&spec, &x.spec) {
                None => Ok((Answer::Done, 0)),
                Some((field, received, current)) => Err(Refusal::Inequivalent {
                    object: Object::Exchange,
                    name: spec.name,
                    vhost: self.ledger.vhost_name(vhost),
                    field,
                    received,
                    current,
                }),
            };
        }
        self.unreserved(vhost, Object::Exchange, &spec.name)?;
        check_exchange(&spec.arguments).map_err(|why| {
            let vhost = self.ledger.vhost_name(vhost);
            Refusal::Limit(format!("{why} in exchange '{}' in vhost '{vhost}'", spec.name))
        })?;
        let (id, lasting) = (ExchangeId(self.ledger.fresh_id()), spec.durable);
        let after = self.change(&Change::ExchangeDeclared { vhost, id, spec }, lasting, journal);
        Ok((Answer::Done, after))
    }

    pub(super) fn find_exchange(&self, session: SessionId, name: &Name) -> Answered {
        if name.is_empty() {
            return Err(Refusal::DefaultExchange);
        }
        self.exchange(self.vhost_of(session)?, name)?;
        Ok((Answer::Done, 0))
    }

    pub(super) fn delete_exchange(
        &mut self,
        session: SessionId,
        name: &Name,
        if_unused: bool,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        self.unreserved(vhost, Object::Exchange, name)?;
        // What is not there need not be deleted.
        let Some(x) = self.ledger.exchange_named(vhost, name) else { return Ok((Answer::Done, 0)) };
        if if_unused && !x.ways.is_empty() {
            let vhost = self.ledger.vhost_name(vhost);
            return Err(Refusal::InUse { object: Object::Exchange, name: name.clone(), vhost });
        }
        let id = x.id;
        let after = self.drop_exchange(id, journal);
        Ok((Answer::Done, after))
    }

    /// Deletes an exchange, and those that it was the last way out of.
    fn drop_exchange(&mut self, id: ExchangeId, journal: &mut impl Journal) -> u64 {
        let Some(x) = self.ledger.exchanges.get(&id) else { return 0 };
        let lasting = x.spec.durable;
        let mut sources: Vec<ExchangeId> = x.inbound.iter().map(|(source, _)| *source).collect();
        sources.sort_unstable();
        let after = self.change(&Change::ExchangeDeleted { id }, lasting, journal);
        after.max(self.prune(&sources, journal))
    }

    /// Deletes those auto-delete exchanges that no way leads out of any more.
    fn prune(&mut self, sources: &[ExchangeId], journal: &mut impl Journal) -> u64 {
        let mut after = 0;
        for id in sources {
            let idle = |x: &Exchange| x.spec.auto_delete && x.ways.is_empty();
            if self.ledger.exchanges.get(id).is_some_and(idle) {
                after = after.max(self.drop_exchange(*id, journal));
            }
        }
        after
    }

    pub(super) fn declare_queue(
        &mut self,
        session: SessionId,
        mut spec: QueueSpec,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        if spec.name.is_empty() {
            spec.name = self.fresh_name(vhost);
        } else if let Some(q) = self.ledger.queue_named(vhost, &spec.name) {
            self.equivalent(session, &spec, q)?;
            let (id, answer) = (q.id, self.describe(q));
            self.touch(id);
            return Ok((answer, 0));
        } else {
            self.unreserved(vhost, Object::Queue, &spec.name)?;
        }
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

    fn make_queue(
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
                let bits = self.next_random();
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

    pub(super) fn find_queue(&self, session: SessionId, name: &Name) -> Answered {
        let q = self.accessible(session, name)?;
        Ok((self.describe(q), 0))
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
        let after = self.drop_queue(id, journal, out);
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
        if let Some(s) = owner.and_then(|o| self.dispatch.sessions.get_mut(&o)) {
            s.owned.retain(|q| *q != id);
        }
        if let Some(desk) = self.dispatch.desks.remove(&id) {
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
        let (id, next) = (q.id, q.line.next());
        let Some(desk) = self.dispatch.desks.get_mut(&id) else {
            return Ok((Answer::Removed(0), 0));
        };
        let cursor = std::mem::replace(&mut desk.cursor, next);
        let mut ranges: Vec<(u64, u64)> = std::mem::take(&mut desk.returned).iter().collect();
        let mut ready = Ranges::default();
        ready.insert(cursor, next);
        desk.doomed.iter().for_each(|(from, to)| ready.remove(from, to));
        ranges.extend(ready.iter());
        let mut went = 0;
        for (from, to) in ranges {
            went += self.settle_range(id, from, to, journal);
        }
        Ok((Answer::Removed(went), 0))
    }

    /// What a binding leads from, and to, and whether that lasts.
    fn ends(
        &self,
        session: SessionId,
        vhost: VhostId,
        binding: &Binding,
    ) -> Result<(&Exchange, Target, bool), Refusal> {
        let source = self.exchange(vhost, &binding.source)?;
        let (target, lasts) = match &binding.destination {
            Destination::Queue(name) => {
                let q = self.accessible(session, name)?;
                (Target::Queue(q.id), q.is_logged())
            }
            Destination::Exchange(name) => {
                let x = self.exchange(vhost, name)?;
                (Target::Exchange(x.id), x.spec.durable)
            }
        };
        Ok((source, target, lasts))
    }

    /// Adds (or removes) a binding. Adding one that is there and removing one that is not
    /// are both fine.
    pub(super) fn bind(
        &mut self,
        session: SessionId,
        binding: &Binding,
        add: bool,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        let to_default = matches!(&binding.destination, Destination::Exchange(x) if x.is_empty());
        if binding.source.is_empty() || to_default {
            return Err(Refusal::DefaultExchange);
        }
        let ends = self.ends(session, vhost, binding);
        let (source, target, target_lasts) = match ends {
            // What leads from or to nothing is as unbound as can be.
            Err(_) if !add => return Ok((Answer::Done, 0)),
            ends => ends?,
        };
        if add && source.spec.kind == ExchangeKind::Headers {
            check_headers(&binding.arguments).map_err(Refusal::Limit)?;
        }
        let (key, arguments) = (binding.key.clone(), binding.arguments.clone());
        let way = Way { source: source.id, target, key, arguments };
        let there = source.ways.contains(&way.identity());
        if there == add {
            return Ok((Answer::Done, 0));
        }
        let (lasting, source) = (source.spec.durable && target_lasts, source.id);
        let change = if add { Change::Bound(way) } else { Change::Unbound(way) };
        let after = self.change(&change, lasting, journal);
        Ok((Answer::Done, after.max(self.prune(&[source], journal))))
    }
}

/// The first thing in which two declarations of an exchange differ: field, received, current.
fn unlike_exchange(
    received: &ExchangeSpec,
    current: &ExchangeSpec,
) -> Option<(String, String, String)> {
    let quoted = |field: &str, r: &dyn std::fmt::Display, c: &dyn std::fmt::Display| {
        Some((field.to_string(), format!("'{r}'"), format!("'{c}'")))
    };
    if received.kind != current.kind {
        return quoted("type", &received.kind.name(), &current.kind.name());
    }
    let flags = [
        ("durable", received.durable, current.durable),
        ("auto_delete", received.auto_delete, current.auto_delete),
        ("internal", received.internal, current.internal),
    ];
    let alternate = |spec: &ExchangeSpec| spec.arguments.get("alternate-exchange").cloned();
    flags
        .iter()
        .find(|(_, r, c)| r != c)
        .and_then(|(field, r, c)| quoted(field, r, c))
        .or_else(|| compare("alternate-exchange", alternate(received), alternate(current)))
}
