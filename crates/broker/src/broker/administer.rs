//! An administrator's orders: each is judged, recorded and applied like what sessions ask,
//! and takes effect at once. What is there already is left as it is and writes nothing.

use super::{Answered, Broker, orders};
use crate::change::Change;
use crate::dispatch::SessionState;
use crate::id::{BerthId, ExchangeId, QueueId, VhostId};
use crate::journal::{Effects, Journal};
use crate::record;
use lockgate_model::{
    Event, Name, Object, Order, Permission, Refusal, SessionId, Tier, Time, TopicPermission, User,
    VhostSpec,
};

/// Whoever gives orders: stands in for the session of a declaration. No session of the
/// engine has this number.
pub(super) const ADMINISTRATOR: SessionId = SessionId(0);

type Done = Result<u64, Refusal>;

impl Broker {
    /// Does one order. Says what must be committed before it is done.
    pub fn administer(
        &mut self,
        order: Order,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Result<u64, Refusal> {
        self.pass_time(now);
        orders::check(&order)?;
        let after = self.obey(order, journal, out)?;
        for queue in std::mem::take(&mut self.ledger.moved) {
            self.reconsider(queue, journal);
            self.tend(queue, journal, out);
        }
        out.events.append(&mut self.farewells);
        Ok(after)
    }

    fn obey(&mut self, order: Order, journal: &mut impl Journal, out: &mut Effects) -> Done {
        match order {
            Order::MakeVhost(spec) => self.set_vhost(spec, journal),
            Order::DeleteVhost(name) => self.delete_vhost(&name, journal, out),
            Order::SetUser(user) => self.set_user(user, journal),
            Order::DeleteUser(name) => self.delete_user(name, journal, out),
            Order::SetPermission(p) => self.set_permission(p, journal),
            Order::ClearPermission { user, vhost } => {
                self.known(&user, &vhost)?;
                let there = self.ledger.register.permissions.contains_key(&both(&vhost, &user));
                self.record(there, Change::PermissionCleared { user, vhost }, journal)
            }
            Order::SetTopicPermission(p) => self.set_topic_permission(p, journal),
            Order::ClearTopicPermission { user, vhost, exchange } => {
                self.known(&user, &vhost)?;
                let change = Change::TopicPermissionCleared { user, vhost, exchange };
                self.record(true, change, journal)
            }
            Order::SetPolicy { vhost, tier, policy } => {
                let id = self.vhost_named(&vhost)?;
                let there = self.ledger.vhosts.get(&id).and_then(|v| {
                    let standing = v.policies.get(tier, &policy.name)?;
                    Some(*standing == policy)
                });
                let at = self.now.millis();
                let change = Change::PolicySet { vhost: id, tier, policy, at };
                self.record(there != Some(true), change, journal)
            }
            Order::ClearPolicy { vhost, tier, name } => {
                self.clear_policy(&vhost, tier, name, journal)
            }
            Order::SetParameter(p) => {
                p.vhost.as_ref().map(|vhost| self.vhost_named(vhost)).transpose()?;
                let key = (p.vhost.clone(), p.component.clone(), p.name.clone());
                let fresh = self.ledger.register.parameters.get(&key) != Some(&p.value);
                self.record(fresh, Change::ParameterSet(p), journal)
            }
            Order::ClearParameter { vhost, component, name } => {
                let key = (vhost.clone(), component.clone(), name.clone());
                if !self.ledger.register.parameters.contains_key(&key) {
                    return Err(Refusal::Invalid("Parameter does not exist".into()));
                }
                let change = Change::ParameterCleared { vhost, component, name };
                self.record(true, change, journal)
            }
            Order::DeclareExchange { vhost, spec } => {
                self.within(&vhost, |broker| broker.declare_exchange(ADMINISTRATOR, spec, journal))
            }
            Order::DeclareQueue { vhost, mut spec } => {
                spec.exclusive = false;
                self.within(&vhost, |broker| broker.declare_queue(ADMINISTRATOR, spec, journal))
            }
            Order::Bind { vhost, binding } => {
                self.within(&vhost, |broker| broker.bind(ADMINISTRATOR, &binding, true, journal))
            }
        }
    }

    /// Records and applies a change, if it changes anything.
    fn record(&mut self, fresh: bool, change: Change, journal: &mut impl Journal) -> Done {
        Ok(if fresh { self.change(&change, true, journal) } else { 0 })
    }

    /// Does what a session could ask in this virtual host.
    fn within(&mut self, vhost: &Name, ask: impl FnOnce(&mut Broker) -> Answered) -> Done {
        let mut state = SessionState::new();
        state.vhost = Some(self.vhost_named(vhost)?);
        self.dispatch.sessions.insert(ADMINISTRATOR, Box::new(state));
        let answered = ask(self);
        self.dispatch.sessions.remove(&ADMINISTRATOR);
        answered.map(|(_, after)| after)
    }

    fn vhost_named(&self, name: &Name) -> Result<VhostId, Refusal> {
        self.ledger.vhost(name).ok_or_else(|| Refusal::NoVhost(name.clone()))
    }

    fn known(&self, user: &Name, vhost: &Name) -> Result<(), Refusal> {
        if !self.ledger.register.users.contains_key(user) {
            return Err(Refusal::NoUser(user.clone()));
        }
        self.vhost_named(vhost).map(|_| ())
    }

    fn set_vhost(&mut self, spec: VhostSpec, journal: &mut impl Journal) -> Done {
        let made = self.make_vhost(&spec.name, journal);
        let id = self.vhost_named(&spec.name)?;
        let noted = self.ledger.vhosts.get(&id).map(|v| &v.metadata);
        let fresh = noted != Some(&spec.metadata);
        let noted =
            self.record(fresh, Change::VhostNoted { id, metadata: spec.metadata }, journal)?;
        Ok(made.max(noted))
    }

    /// All of it goes, or after a crash none of it.
    fn delete_vhost(&mut self, name: &Name, journal: &mut impl Journal, out: &mut Effects) -> Done {
        let id = self.vhost_named(name)?;
        self.log_settled(journal);
        journal.append(record::kind::BEGIN, |_| {});
        // Before the queues: then no queue need look for those who listen to it.
        let v = self.ledger.vhosts.get(&id);
        let mut berths: Vec<BerthId> = v.iter().flat_map(|v| v.berths.values().copied()).collect();
        berths.sort_unstable();
        for id in berths {
            self.disarm_berth(id);
            let logged = self.ledger.berths.get(&id).is_some_and(|b| b.logged);
            self.change(&Change::BerthEnded { id }, logged, journal);
        }
        let v = self.ledger.vhosts.get(&id);
        let mut queues: Vec<QueueId> = v.iter().flat_map(|v| v.queues.values().copied()).collect();
        queues.sort_unstable();
        for queue in queues {
            self.drop_queue(queue, journal, out);
        }
        let v = self.ledger.vhosts.get(&id);
        let mut exchanges: Vec<ExchangeId> =
            v.iter().flat_map(|v| v.exchanges.values().copied()).collect();
        exchanges.sort_unstable();
        for exchange in exchanges {
            self.drop_exchange(exchange, journal);
        }
        self.change(&Change::VhostDeleted { id }, true, journal);
        let berths = &self.ledger.berths;
        self.dispatch.moorings.retain(|id, _| berths.contains_key(id));
        self.log_settled(journal);
        let after = journal.append(record::kind::END, |_| {}).end();
        self.expel(&format!("vhost '{name}' is deleted"), after, out, |s| s.vhost == Some(id));
        Ok(after)
    }

    /// Shows out all sessions of which this holds.
    fn expel(
        &mut self,
        why: &str,
        after: u64,
        out: &mut Effects,
        holds: impl Fn(&SessionState) -> bool,
    ) {
        let mut gone: Vec<SessionId> = Vec::new();
        for (id, state) in &mut self.dispatch.sessions {
            if holds(state) {
                state.vhost = None;
                gone.push(*id);
            }
        }
        gone.sort_unstable();
        // What they were told before comes before.
        out.events.append(&mut self.farewells);
        for session in gone {
            out.after(after, session, Event::Expelled { why: why.into() });
        }
    }

    fn set_user(&mut self, user: User, journal: &mut impl Journal) -> Done {
        let fresh = self.ledger.register.users.get(&user.name) != Some(&user);
        self.record(fresh, Change::UserSet(user), journal)
    }

    fn delete_user(&mut self, name: Name, journal: &mut impl Journal, out: &mut Effects) -> Done {
        if !self.ledger.register.users.contains_key(&name) {
            return Err(Refusal::NoUser(name));
        }
        let after = self.change(&Change::UserDeleted(name.clone()), true, journal);
        self.expel(&format!("user '{name}' is deleted"), after, out, |s| s.user == name);
        Ok(after)
    }

    fn set_permission(&mut self, p: Permission, journal: &mut impl Journal) -> Done {
        self.known(&p.user, &p.vhost)?;
        let there = self.ledger.register.permissions.get(&both(&p.vhost, &p.user));
        self.record(there != Some(&p), Change::PermissionSet(p), journal)
    }

    fn set_topic_permission(&mut self, p: TopicPermission, journal: &mut impl Journal) -> Done {
        self.known(&p.user, &p.vhost)?;
        let key = (p.vhost.clone(), p.user.clone(), p.exchange.clone());
        let there = self.ledger.register.topic_permissions.get(&key);
        self.record(there != Some(&p), Change::TopicPermissionSet(p), journal)
    }

    fn clear_policy(
        &mut self,
        vhost: &Name,
        tier: Tier,
        name: Name,
        journal: &mut impl Journal,
    ) -> Done {
        let id = self.vhost_named(vhost)?;
        let there = self.ledger.vhosts.get(&id).and_then(|v| v.policies.get(tier, &name));
        if there.is_none() {
            return Err(Refusal::Invalid("Parameter does not exist".into()));
        }
        let at = self.now.millis();
        self.record(true, Change::PolicyCleared { vhost: id, tier, name, at }, journal)
    }

    /// A queue's rules are others than they were: whatever they ask is done now.
    fn reconsider(&mut self, queue: QueueId, journal: &mut impl Journal) {
        // A time without use counts from now.
        self.touch(queue);
        if let Some(q) = self.ledger.queues.get(&queue)
            && let Some(desk) = self.dispatch.desks.get_mut(&queue)
        {
            desk.recount(&q.line);
            for id in &desk.subscribers {
                if let Some(s) = self.dispatch.subscribers.get_mut(*id)
                    && s.holds_by_rule
                {
                    s.hold_max = q.rules.hold_max.filter(|_| !s.settled);
                }
            }
        }
        self.trim_to_bound(queue, journal);
        self.dispatch.wake(queue);
    }

    /// The users there are, by name.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.ledger.register.users.values()
    }

    /// Changes whenever they do, and is never 0 where there are any.
    pub fn users_revision(&self) -> u64 {
        self.ledger.register.revision
    }

    /// The names of the policies that count for a queue or exchange: the users' and the
    /// operators'.
    pub fn policies_of(
        &self,
        vhost: &str,
        object: Object,
        name: &str,
    ) -> (Option<Name>, Option<Name>) {
        let Some(vhost) = self.ledger.vhost(vhost) else { return (None, None) };
        let applied = match object {
            Object::Queue => self.ledger.queue_named(vhost, name).map(|q| &q.policies),
            Object::Exchange => self.ledger.exchange_named(vhost, name).map(|x| &x.policies),
        };
        applied.map(|a| (a.user.clone(), a.operator.clone())).unwrap_or_default()
    }
}

fn both(a: &Name, b: &Name) -> (Name, Name) {
    (a.clone(), b.clone())
}
