//! Everything that is declared and ordered, in the form in which it can be ordered again.

use super::Broker;
use crate::id::Target;
use lockgate_model::{Binding, Destination, Holdings, Name, Table, VhostSpec};

impl Broker {
    /// What there is, in an order that is always the same. What belongs to one session and
    /// the exchanges that every virtual host has are left out.
    pub fn holdings(&self) -> Holdings {
        let ledger = &self.ledger;
        let mut vhosts: Vec<_> = ledger.vhosts.values().collect();
        vhosts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let register = &ledger.register;
        let mut all = Holdings {
            users: register.users.values().cloned().collect(),
            permissions: register.permissions.values().cloned().collect(),
            topic_permissions: register.topic_permissions.values().cloned().collect(),
            parameters: register.parameters().collect(),
            ..Holdings::default()
        };
        for v in vhosts {
            let metadata = v.metadata.clone();
            all.vhosts.push(VhostSpec { name: v.name.clone(), metadata });
            let policies = v.policies.iter();
            all.policies.extend(policies.map(|(tier, p)| (v.name.clone(), tier, p.clone())));
            let mut exchanges: Vec<_> =
                v.exchanges.values().filter_map(|id| ledger.exchanges.get(id)).collect();
            exchanges.sort_unstable_by(|a, b| a.spec.name.cmp(&b.spec.name));
            for x in &exchanges {
                if !x.spec.name.starts_with("amq.") {
                    all.exchanges.push((v.name.clone(), x.spec.clone()));
                }
                self.list_bindings(&v.name, x, &mut all.bindings);
            }
            let queues = v.queues.values().filter_map(|id| ledger.queues.get(id));
            let mut queues: Vec<_> = queues.filter(|q| q.owner.is_none()).collect();
            queues.sort_unstable_by(|a, b| a.spec.name.cmp(&b.spec.name));
            all.queues.extend(queues.iter().map(|q| (v.name.clone(), q.spec.clone())));
        }
        all
    }

    fn list_bindings(
        &self,
        vhost: &Name,
        x: &crate::ledger::Exchange,
        all: &mut Vec<(Name, Binding)>,
    ) {
        let mut ways = Vec::new();
        for way in &x.ways {
            let destination = match way.target {
                Target::Queue(id) => {
                    let queue = self.ledger.queues.get(&id).filter(|q| q.owner.is_none());
                    queue.map(|q| Destination::Queue(q.spec.name.clone()))
                }
                Target::Exchange(id) => {
                    let exchange = self.ledger.exchanges.get(&id);
                    exchange.map(|x| Destination::Exchange(x.spec.name.clone()))
                }
            };
            ways.extend(destination.map(|destination| (destination, &way.key, &way.arguments)));
        }
        // Not by ids, which tell when each was made.
        ways.sort_unstable_by(|a, b| {
            let order = |d: &Destination| match d {
                Destination::Queue(name) => (0, name.clone()),
                Destination::Exchange(name) => (1, name.clone()),
            };
            (order(&a.0), a.1, a.2).cmp(&(order(&b.0), b.1, b.2))
        });
        for (destination, key, arguments) in ways {
            let arguments = Table::decode(arguments).unwrap_or_default();
            let (source, key) = (x.spec.name.clone(), key.clone());
            all.push((vhost.clone(), Binding { source, destination, key, arguments }));
        }
    }
}
