//! Which queues a message goes to, remembered until what is declared changes.

use super::Broker;
use crate::dice::Dice;
use crate::id::{ExchangeId, QueueId, Target, VhostId};
use crate::ledger::{Exchange, Ledger};
use crate::route::Heading;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use lockgate_model::{Object, Refusal, Run};
use std::sync::Arc;

/// Most routes remembered: beyond this the whole memory starts anew.
const ROUTES_MAX: usize = 65_536;

/// Routes found since the last change.
#[derive(Debug, Default)]
pub struct Routes {
    /// Virtual host, exchange and key, one behind the other -> queues.
    known: HashMap<Box<[u8]>, Arc<[QueueId]>, RandomState>,
    /// Of which state of the ledger they speak.
    epoch: u64,
    scratch: Vec<u8>,
}

/// Where a message goes.
#[derive(Debug)]
pub enum Routed {
    /// All messages of this origin go here.
    All(Arc<[QueueId]>),
    /// This one goes here; the next may go elsewhere.
    One(Arc<[QueueId]>),
}

impl Broker {
    /// Where item `i` of a run goes.
    pub(super) fn route(&mut self, vhost: VhostId, run: &Run, i: usize) -> Result<Routed, Refusal> {
        let item = &run.items[i];
        let origin = run.origin(item);
        let (exchange, key) = (origin.exchange.of(&run.bytes), origin.key.of(&run.bytes));
        let routes = &mut self.routes;
        if routes.epoch != self.ledger.epoch || routes.known.len() >= ROUTES_MAX {
            routes.known.clear();
            routes.epoch = self.ledger.epoch;
        }
        routes.scratch.clear();
        routes.scratch.extend_from_slice(&vhost.0.to_le_bytes());
        routes.scratch.push(exchange.len() as u8);
        routes.scratch.extend_from_slice(exchange);
        routes.scratch.extend_from_slice(key);
        if let Some(queues) = routes.known.get(&routes.scratch[..]) {
            return Ok(Routed::All(Arc::clone(queues)));
        }
        let (queues, lasting) = self.find_route(vhost, run, i)?;
        if !lasting {
            return Ok(Routed::One(queues));
        }
        let known = self.routes.scratch.clone().into_boxed_slice();
        self.routes.known.insert(known, Arc::clone(&queues));
        Ok(Routed::All(queues))
    }

    /// The queues, and whether every message of the same origin goes there.
    fn find_route(
        &mut self,
        vhost: VhostId,
        run: &Run,
        i: usize,
    ) -> Result<(Arc<[QueueId]>, bool), Refusal> {
        let item = &run.items[i];
        let (name, key) = (run.exchange(item), run.key(item));
        if name.is_empty() {
            let queue =
                std::str::from_utf8(key).ok().and_then(|k| self.ledger.queue_named(vhost, k));
            return Ok((queue.iter().map(|q| q.id).collect(), true));
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
        let message = Heading::new(std::slice::from_ref(&key), run.head(item));
        Ok(walk(&self.ledger, &mut self.dice, exchange, &message))
    }

    /// Where item `i` goes by these keys beside its own.
    pub(super) fn route_copies(
        &mut self,
        vhost: VhostId,
        run: &Run,
        i: usize,
        copies: &[Vec<u8>],
    ) -> Arc<[QueueId]> {
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
    ) -> Arc<[QueueId]> {
        if exchange.is_empty() {
            let named = |k: &&[u8]| self.ledger.queue_named(vhost, std::str::from_utf8(k).ok()?);
            let mut queues: Vec<QueueId> = keys.iter().filter_map(named).map(|q| q.id).collect();
            queues.sort_unstable();
            queues.dedup();
            return queues.into();
        }
        let Some(exchange) = self.ledger.exchange_named(vhost, exchange) else {
            return Arc::default();
        };
        walk(&self.ledger, &mut self.dice, exchange, &Heading::new(keys, head)).0
    }
}

/// Follows the ways out of an exchange, through other exchanges, each once. Says the queues,
/// and whether every message with the same keys goes there.
fn walk(
    ledger: &Ledger,
    dice: &mut Dice,
    exchange: &Exchange,
    message: &Heading<'_>,
) -> (Arc<[QueueId]>, bool) {
    let (mut queues, mut found, mut lasting) = (Vec::new(), Vec::new(), true);
    let mut seen: Vec<ExchangeId> = vec![exchange.id];
    let mut at = 0;
    while let Some(x) = seen.get(at).and_then(|id| ledger.exchanges.get(id)) {
        lasting &= !x.table.is_moody();
        x.table.find(message, dice, &mut found);
        if found.is_empty() {
            found.extend(alternate(ledger, x));
        }
        for target in found.drain(..) {
            match target {
                Target::Queue(q) => queues.push(q),
                Target::Exchange(x) if !seen.contains(&x) => seen.push(x),
                Target::Exchange(_) => {}
            }
        }
        at += 1;
    }
    // A map has no order; a route must always be walked alike.
    queues.sort_unstable();
    queues.dedup();
    (queues.into(), lasting)
}

/// Where an exchange sends what takes none of its ways.
fn alternate(ledger: &Ledger, exchange: &Exchange) -> Option<Target> {
    let there = ledger.exchange_named(exchange.vhost, exchange.alternate.as_ref()?)?;
    Some(Target::Exchange(there.id))
}
