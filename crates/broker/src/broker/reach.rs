//! How far a message gets: the ways out of an exchange are followed, through other exchanges,
//! and end at queues; among them those that exchanges own, to hold back or to remember.

use super::Broker;
use super::publish::Placed;
use crate::dice::Dice;
use crate::id::{ExchangeId, QueueId, Target};
use crate::journal::{Effects, Journal};
use crate::ledger::{Exchange, Ledger, Store, delay};
use crate::route::Heading;
use lockgate_model::{Run, Value};
use smallvec::SmallVec;
use std::sync::Arc;

/// Where a message goes.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The queues that take it, and those of exchanges that remember it.
    pub queues: Arc<[QueueId]>,
    /// Those of exchanges that hold it back, as it was published.
    pub delays: SmallVec<[QueueId; 1]>,
    /// Nobody takes it: who only remembers it does not count.
    pub nowhere: bool,
    /// Every message with the same keys goes there.
    pub lasting: bool,
}

impl Reach {
    /// These queues and no more, for all messages with the same keys.
    pub fn plain(queues: Arc<[QueueId]>) -> Reach {
        Reach { nowhere: queues.is_empty(), queues, lasting: true, ..Reach::default() }
    }
}

impl Broker {
    /// Gives items `from..to` of a run to all that they reach. `stripped` is the first of them
    /// as consumers are to see it, if that is not as it was published.
    #[allow(clippy::too_many_arguments)] // what, where, and the turn's
    pub(super) fn send(
        &mut self,
        reach: &Reach,
        run: &Arc<Run>,
        stripped: Option<&Arc<Run>>,
        (from, to): (usize, usize),
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Placed {
        let now = self.now;
        let (shown, first, end) = stripped.map_or((run, from, to), |own| (own, 0, 1));
        let mut placed = self.place(&reach.queues, shown, first, end, now, journal, out);
        if !reach.delays.is_empty() {
            let held = self.place(&reach.delays, run, from, to, now, journal, out);
            placed.after = placed.after.max(held.after);
        }
        placed
    }

    /// Where a message gets from an exchange.
    pub(super) fn reach(&mut self, exchange: ExchangeId, message: &Heading<'_>) -> Reach {
        walk(&self.ledger, &mut self.dice, exchange, message)
    }
}

/// Follows the ways out of an exchange, through other exchanges, each once.
pub(super) fn walk(
    ledger: &Ledger,
    dice: &mut Dice,
    exchange: ExchangeId,
    message: &Heading<'_>,
) -> Reach {
    let (mut queues, mut kept, mut delays) = (Vec::new(), Vec::new(), SmallVec::new());
    let (mut found, mut lasting) = (Vec::new(), true);
    let mut seen: Vec<ExchangeId> = vec![exchange];
    let mut at = 0;
    while let Some(x) = seen.get(at).and_then(|id| ledger.exchanges.get(id)) {
        at += 1;
        lasting &= !x.table.is_moody() && !x.manner.looks();
        if x.manner.delays && delay(message.head).is_some() {
            delays.push(Store::Delayed(x.id).id());
            continue;
        }
        if x.manner.keeps.is_some() && keeps(message) {
            kept.push(Store::Kept(x.id).id());
        }
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
    }
    let nowhere = queues.is_empty() && delays.is_empty();
    // A map has no order; a route must always be walked alike.
    queues.append(&mut kept);
    queues.sort_unstable();
    queues.dedup();
    Reach { queues: queues.into(), delays, nowhere, lasting }
}

/// Whether an exchange that remembers may remember this one.
fn keeps(message: &Heading<'_>) -> bool {
    message.headers().get("x-recent-history-no-store") != Some(&Value::Bool(true))
}

/// Where an exchange sends what takes none of its ways.
fn alternate(ledger: &Ledger, exchange: &Exchange) -> Option<Target> {
    let there = ledger.exchange_named(exchange.vhost, exchange.alternate.as_ref()?)?;
    Some(Target::Exchange(there.id))
}
