//! Policies at work: which count for each queue and exchange, and what follows from it.
//! Part of applying a change, so replay comes to the same rules as live operation.

use super::policies::{Applied, Subject, effective, merged};
use super::{Ledger, Queue, Rules};
use crate::change::Change;
use crate::id::{ExchangeId, QueueId, VhostId};
use lockgate_model::{Policy, Value};

impl Ledger {
    /// Makes a change of policies.
    pub(super) fn govern(&mut self, change: &Change) {
        let (vhost, at) = match change {
            Change::PolicySet { vhost, tier, policy, at } => {
                let Some(v) = self.vhosts.get_mut(vhost) else { return };
                v.policies.set(*tier, policy);
                (*vhost, *at)
            }
            Change::PolicyCleared { vhost, tier, name, at } => {
                let Some(v) = self.vhosts.get_mut(vhost) else { return };
                v.policies.clear(*tier, name);
                (*vhost, *at)
            }
            _ => return,
        };
        let Some(v) = self.vhosts.get(&vhost) else { return };
        let mut queues: Vec<QueueId> = v.queues.values().copied().collect();
        let exchanges: Vec<ExchangeId> = v.exchanges.values().copied().collect();
        queues.sort_unstable();
        for id in queues {
            if self.govern_queue(id, at) {
                self.moved.push(id);
            }
        }
        exchanges.into_iter().for_each(|id| self.govern_exchange(id));
    }

    fn policies(&self, vhost: VhostId, subject: Subject, name: &str) -> [Option<&Policy>; 2] {
        let found = self.vhosts.get(&vhost).map(|v| v.policies.of(subject, name));
        found.map(|(user, operator)| [user, operator]).unwrap_or_default()
    }

    /// Finds the rules of a queue anew; what waits already lives from `at` on no longer than
    /// they allow. True if they have changed.
    pub(super) fn govern_queue(&mut self, id: QueueId, at: u64) -> bool {
        let Some(q) = self.queues.get(&id) else { return false };
        let subject = Subject::Queue(q.rules.kind);
        let [user, operator] = self.policies(q.vhost, subject, &q.spec.name);
        let arguments = effective(&q.spec.arguments, q.rules.kind, user, operator);
        let rules = Rules::of(&arguments);
        let policies = applied(user, operator);
        let Some(q) = self.queues.get_mut(&id) else { return false };
        q.policies = policies;
        if q.rules == rules {
            return false;
        }
        let sooner = rules.lifetime.filter(|ms| q.rules.lifetime.is_none_or(|was| *ms < was));
        q.obey(rules);
        q.bound_lifetimes(sooner, at);
        true
    }

    pub(super) fn govern_exchange(&mut self, id: ExchangeId) {
        let Some(x) = self.exchanges.get(&id) else { return };
        let [user, operator] = self.policies(x.vhost, Subject::Exchange, &x.spec.name);
        let (own, other) = (&x.spec.arguments, merged(user, operator));
        let alternate = own.get("alternate-exchange").or(other.get("alternate-exchange"));
        let alternate = alternate.and_then(Value::as_str).map(Into::into);
        let policies = applied(user, operator);
        if let Some(x) = self.exchanges.get_mut(&id) {
            x.alternate = alternate;
            x.policies = policies;
        }
    }
}

impl Queue {
    fn bound_lifetimes(&mut self, sooner: Option<u64>, at: u64) {
        let Some(ms) = sooner else { return };
        for rank in self.line.ranks().iter().filter(|rank| rank.head() < rank.next()) {
            // Those that are due before are gone when this moment comes.
            self.expiry.note(at.saturating_add(ms), rank.head(), rank.next());
        }
    }
}

fn applied(user: Option<&Policy>, operator: Option<&Policy>) -> Applied {
    let name = |p: &Policy| p.name.clone();
    Applied { user: user.map(name), operator: operator.map(name) }
}
