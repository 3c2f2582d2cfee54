//! The second look: a key may lead to more than a pattern matches, and a client hears a
//! message once, however many of its interests match.

use super::super::Broker;
use super::super::reach::Reach;
use crate::id::{BerthId, QueueId};
use crate::ledger::{Hearing, Ledger};
use hashbrown::HashSet;
use lockgate_model::{Item, Run, limits::NAME_BYTES_MAX, topic};

/// Takes out of these queues those of berths whose interests do not match the topic, or where
/// another of the same berth takes it.
pub fn sift(ledger: &Ledger, queues: &mut Vec<QueueId>, name: Option<&[u8]>) {
    let hearing = |id: &QueueId| ledger.queues.get(id).and_then(|q| q.hearing.as_ref());
    if !queues.iter().any(|id| hearing(id).is_some()) {
        return;
    }
    if let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) {
        let plain = topic::is_plain(name);
        queues.retain(|id| hearing(id).is_none_or(|h| wants(ledger, h, name, plain)));
    }
    let settling = |id: &QueueId| match hearing(id) {
        Some(Hearing::Settling(berth)) => Some(*berth),
        _ => None,
    };
    let settled: HashSet<BerthId> = queues.iter().filter_map(settling).collect();
    if !settled.is_empty() {
        let twice =
            |id: &QueueId| matches!(hearing(id), Some(Hearing::Passing(b)) if settled.contains(b));
        queues.retain(|id| !twice(id));
    }
}

fn wants(ledger: &Ledger, hearing: &Hearing, name: &str, plain: bool) -> bool {
    match hearing {
        Hearing::Passing(id) | Hearing::Settling(id) => {
            let settling = matches!(hearing, Hearing::Settling(_));
            let berth = ledger.berths.get(id);
            berth.is_some_and(|b| (plain && b.odd == 0) || b.wants(name, settling, false))
        }
        Hearing::Group { pattern, .. } => {
            (plain && topic::is_plain(pattern)) || topic::matches(pattern, name)
        }
    }
}

/// A key that is longer than others can be told reaches nobody but berths. True if that kept
/// it from anybody.
pub fn keep_short(ledger: &Ledger, queues: &mut Vec<QueueId>, key: &[u8]) -> bool {
    if key.len() <= NAME_BYTES_MAX {
        return false;
    }
    let before = queues.len();
    queues.retain(|id| ledger.queues.get(id).is_some_and(|q| q.hearing.is_some()));
    queues.len() < before
}

impl Broker {
    /// A client that does not want to hear itself is left out of what it publishes.
    pub(in super::super) fn spare(&self, id: BerthId, run: &Run, item: &Item, reach: &mut Reach) {
        let Some(b) = self.ledger.berths.get(&id).filter(|b| b.deaf > 0) else { return };
        let Some(name) = run.topic(item).and_then(|name| std::str::from_utf8(name).ok()) else {
            return;
        };
        let hearing = |id: &QueueId| self.ledger.queues.get(id).and_then(|q| q.hearing.as_ref());
        let own = |q: &QueueId| match hearing(q) {
            Some(Hearing::Passing(owner) | Hearing::Settling(owner)) => *owner == id,
            _ => false,
        };
        if !reach.queues.iter().any(own) {
            return;
        }
        let named = |name| self.ledger.queue_named(b.vhost, name).map(|q| q.id);
        let heard = if b.wants(name, true, true) {
            named(&b.settling)
        } else if b.wants(name, false, true) {
            named(&b.passing)
        } else {
            None
        };
        let others = reach.queues.iter().copied().filter(|q| !own(q));
        let mut queues: Vec<QueueId> = others.chain(heard).collect();
        queues.sort_unstable();
        reach.queues = queues.into();
        reach.nowhere = reach.queues.is_empty() && reach.delays.is_empty() && !reach.repeats;
    }
}
