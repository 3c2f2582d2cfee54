//! Which queues a message goes to, remembered until what is declared changes.

use super::Broker;
use super::reach::Reach;
use crate::id::{QueueId, VhostId};
use crate::route::Heading;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use lockgate_model::{Object, Refusal, Run};
use std::sync::Arc;

/// Most routes remembered: beyond this the whole memory starts anew.
const ROUTES_MAX: usize = 65_536;

/// Topics may be long: what is longer than this together is looked for each time, so that
/// nobody can fill the memory with names.
const ROUTE_BYTES_MAX: usize = 1024;

/// Routes found since the last change.
#[derive(Debug, Default)]
pub struct Routes {
    /// Virtual host, exchange, key and topic, one behind the other -> queues.
    known: HashMap<Box<[u8]>, Arc<[QueueId]>, RandomState>,
    /// Of which state of the ledger they speak.
    epoch: u64,
    scratch: Vec<u8>,
}

impl Routes {
    /// What was looked for goes to these queues.
    fn remember(&mut self, queues: &Arc<[QueueId]>) {
        if self.scratch.len() <= ROUTE_BYTES_MAX {
            let known = self.scratch.clone().into_boxed_slice();
            self.known.insert(known, Arc::clone(queues));
        } else {
            // Nor is the room for such a one kept.
            self.scratch = Vec::new();
        }
    }
}

impl Broker {
    /// Where item `i` of a run goes.
    pub(super) fn route(&mut self, vhost: VhostId, run: &Run, i: usize) -> Result<Reach, Refusal> {
        let item = &run.items[i];
        let origin = run.origin(item);
        let (exchange, key) = (run.slice(origin.exchange), run.slice(origin.key));
        let routes = &mut self.routes;
        if routes.epoch != self.ledger.epoch || routes.known.len() >= ROUTES_MAX {
            routes.known.clear();
            routes.epoch = self.ledger.epoch;
        }
        routes.scratch.clear();
        routes.scratch.extend_from_slice(&vhost.0.to_le_bytes());
        routes.scratch.push(exchange.len() as u8);
        routes.scratch.extend_from_slice(exchange);
        routes.scratch.extend_from_slice(&(key.len() as u32).to_le_bytes());
        routes.scratch.extend_from_slice(key);
        // One key may stand for several topics, which not all interests match.
        if let Some(topic) = run.topic(item) {
            routes.scratch.extend_from_slice(topic);
        }
        if let Some(queues) = routes.known.get(&routes.scratch[..]) {
            return Ok(Reach::plain(Arc::clone(queues)));
        }
        let reach = self.find_route(vhost, run, i)?;
        if reach.lasting {
            self.routes.remember(&reach.queues);
        }
        Ok(reach)
    }

    /// Where it goes by what is declared now.
    fn find_route(&mut self, vhost: VhostId, run: &Run, i: usize) -> Result<Reach, Refusal> {
        let item = &run.items[i];
        let (name, key) = (run.exchange(item), run.key(item));
        if name.is_empty() {
            return Ok(self.route_keys(vhost, name, &[key], run.head(item)));
        }
        let vhost_name = || self.ledger.vhost_name(vhost);
        let exchange = self.ledger.exchange_named(vhost, name).ok_or_else(|| Refusal::Missing {
            object: Object::Exchange,
            name: name.into(),
            vhost: vhost_name(),
        })?;
        if exchange.spec.internal {
            return Err(Refusal::Internal { name: name.into(), vhost: vhost_name() });
        }
        let exchange = exchange.id;
        Ok(self.reach(exchange, &Heading::new(&[key], run.head(item)).named(run.topic(item))))
    }

    /// Where item `i` goes by these keys beside its own.
    pub(super) fn route_copies(
        &mut self,
        vhost: VhostId,
        run: &Run,
        i: usize,
        copies: &[Vec<u8>],
    ) -> Reach {
        let item = &run.items[i];
        let keys: Vec<&[u8]> =
            std::iter::once(run.key(item)).chain(copies.iter().map(Vec::as_slice)).collect();
        self.route_keys(vhost, run.exchange(item), &keys, run.head(item))
    }

    /// Where a message with these keys goes from an exchange; nowhere if that is not there.
    pub(super) fn route_keys(
        &mut self,
        vhost: VhostId,
        exchange: &str,
        keys: &[&[u8]],
        head: &[u8],
    ) -> Reach {
        if exchange.is_empty() {
            let named = |k: &&[u8]| self.ledger.queue_named(vhost, std::str::from_utf8(k).ok()?);
            let queues: Vec<QueueId> = keys.iter().filter_map(named).map(|q| q.id).collect();
            return self.reach_queues(queues, &Heading::new(keys, head));
        }
        match self.ledger.exchange_named(vhost, exchange).map(|x| x.id) {
            Some(exchange) => self.reach(exchange, &Heading::new(keys, head)),
            None => Reach::plain(Arc::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_is_remembered_under_a_name_that_is_long() {
        let mut routes = Routes::default();
        for (n, size) in [10, ROUTE_BYTES_MAX, ROUTE_BYTES_MAX + 1, 130_000].into_iter().enumerate()
        {
            routes.scratch = vec![n as u8; size];
            routes.remember(&Arc::default());
        }
        assert_eq!(routes.known.len(), 2);
    }
}
