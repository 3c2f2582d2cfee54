//! Retaining: an exchange keeps the last message of each topic whose publisher wished it, in a
//! queue of its own that is made for the first one. A newer one takes an older one's place, an
//! empty one leaves the place empty, and a lifetime that is over ends it too.
//!
//! What is retained is in the log before it is confirmed, however little its publisher cared
//! for it: whoever comes later knows nothing else.

use super::Broker;
use super::reach::Reach;
use super::recover::entry;
use crate::change::Change;
use crate::id::{ExchangeId, QueueId, VhostId};
use crate::journal::Journal;
use crate::ledger::{Kept, Queue, Retained, lifetime};
use crate::record::{self, kind};
use lockgate_model::{Malformed, Retain, Run, Time};

/// Most retained messages in one record of a snapshot.
const HELD_MAX: usize = 4096;

impl Broker {
    /// If item `i` of a run is to be retained by its topic, the exchange's store takes it too.
    /// Returns what its confirmation must wait for beside that.
    pub(super) fn retain(
        &mut self,
        vhost: VhostId,
        run: &Run,
        i: usize,
        reach: &mut Reach,
        journal: &mut impl Journal,
    ) -> u64 {
        let item = &run.items[i];
        if item.retain != Retain::Wished {
            return 0;
        }
        let topic = run.topic(item).and_then(|t| std::str::from_utf8(t).ok());
        let x = self.ledger.exchange_named(vhost, run.exchange(item));
        let (Some(topic), Some(x)) = (topic, x) else { return 0 };
        let (exchange, store, lasting) = (x.id, x.retained, x.spec.durable);
        if item.body.is_empty() {
            return store.map_or(0, |store| self.clear_topic(store, topic, journal));
        }
        if !self.may_retain(store, topic, item.size() as u64) {
            self.not_retained += 1;
            // Nobody is told an older one in its place.
            return store.map_or(0, |store| self.clear_topic(store, topic, journal));
        }
        let store = store.unwrap_or_else(|| self.make_store(exchange, lasting, journal));
        reach.queues = reach.queues.iter().copied().chain([store]).collect();
        0
    }

    /// An exchange is to have a store of what its topics retain.
    pub(super) fn make_store(
        &mut self,
        exchange: ExchangeId,
        lasting: bool,
        journal: &mut impl Journal,
    ) -> QueueId {
        let id = QueueId(self.ledger.fresh_id());
        self.change(&Change::StoreMade { exchange, id }, lasting, journal);
        id
    }

    /// Is there room for what a topic is to retain?
    fn may_retain(&self, store: Option<QueueId>, topic: &str, bytes: u64) -> bool {
        let (count_max, bytes_max) = (self.settings.retained_max, self.settings.retained_bytes_max);
        let store = store.and_then(|store| self.ledger.queues.get(&store));
        match store.and_then(|q| q.retained.as_ref()) {
            Some(r) => r.has_room(topic, bytes, count_max, bytes_max),
            None => Retained::default().has_room(topic, bytes, count_max, bytes_max),
        }
    }

    /// A topic is to retain nothing. The log says so at once, for who waits to hear of it; and
    /// who clears a topic again waits for the same.
    fn clear_topic(&mut self, store: QueueId, topic: &str, journal: &mut impl Journal) -> u64 {
        let q = self.ledger.queues.get(&store);
        if let Some(kept) = q.and_then(|q| q.retained.as_ref()?.get(topic)) {
            let gone = [(kept.number, kept.number + 1)];
            if kept.lasting {
                let write = |out: &mut Vec<u8>| record::write_settled(store, &gone, out);
                self.cleared = journal.append(kind::SETTLED, write).end();
            }
            self.unretain(store, kept.number, journal);
        }
        self.cleared
    }

    /// A retained message is done with, and the log need not hear of it.
    fn unretain(&mut self, store: QueueId, number: u64, journal: &mut impl Journal) {
        let Some(q) = self.ledger.queues.get_mut(&store) else { return };
        let before = q.line.resident();
        q.settle(number, number + 1, journal, &mut self.freed);
        self.resident -= before - q.line.resident();
    }

    /// A store has got items `from..to` of a run, its entries from `first` on: they take the
    /// place of what their topics retained.
    pub(super) fn note_retained(
        &mut self,
        store: QueueId,
        first: u64,
        run: &Run,
        (from, to): (usize, usize),
        lasting: bool,
        journal: &mut impl Journal,
    ) {
        for (number, item) in (first..).zip(&run.items[from..to]) {
            let q = self.ledger.queues.get_mut(&store);
            let Some(retained) = q.and_then(|q| q.retained.as_mut()) else { return };
            let topic = run.topic(item).and_then(|t| std::str::from_utf8(t).ok());
            let due = lifetime(run.head(item)).map(|ms| self.now.millis().saturating_add(ms));
            let kept = Kept { number, bytes: item.size() as u64, due, lasting };
            let old = topic.and_then(|topic| retained.put(topic, kept));
            let Some(Kept { number: old, lasting, .. }) = old else { continue };
            if lasting {
                self.settle_range(store, old, old + 1, journal);
            } else {
                self.unretain(store, old, journal);
            }
        }
        self.arm(store);
    }

    /// What a store has had for long enough goes.
    pub(super) fn expire_retained(&mut self, store: QueueId, journal: &mut impl Journal) {
        let now = self.now.millis();
        let due = |broker: &mut Broker| {
            broker.ledger.queues.get_mut(&store)?.retained.as_mut()?.pop_due(now)
        };
        while let Some(number) = due(self) {
            self.expired += self.settle_range(store, number, number + 1, journal);
        }
    }

    /// Replay: what topics retain of a record's messages, instead of what they did.
    pub(super) fn restore_retained(
        &mut self,
        targets: &[(QueueId, u64)],
        at: Time,
        lifetimes: &[(u32, u64)],
        body: &[u8],
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        for (store, first) in targets {
            let q = self.ledger.queues.get_mut(store).filter(|q| q.retained.is_some());
            let Some(q) = q else { continue };
            for (n, topic) in (0u32..).zip(record::topics(body)?) {
                let Some((topic, bytes)) = topic else { continue };
                let own = lifetimes.binary_search_by_key(&n, |(n, _)| *n).ok();
                let own = own.and_then(|at| lifetimes.get(at));
                let due = own.map(|(_, ms)| at.millis().saturating_add(*ms));
                let kept = Kept { number: first + u64::from(n), bytes, due, lasting: true };
                let old = q.retained.as_mut().and_then(|r| r.put(topic, kept));
                if let Some(Kept { number: old, .. }) = old {
                    q.settle(old, old + 1, journal, &mut self.freed);
                }
            }
        }
        Ok(())
    }

    /// Replay: what a snapshot says that topics retain. Each is an entry that is there, or the
    /// snapshot is not one that we wrote.
    pub(super) fn restore_topics(
        &mut self,
        store: QueueId,
        kept: Vec<(lockgate_model::Name, Kept)>,
    ) -> Result<(), Malformed> {
        let q = self.ledger.queues.get_mut(&store).map(Box::as_mut);
        let Some(Queue { line, retained: Some(retained), .. }) = q else { return Ok(()) };
        for (topic, kept) in kept {
            let end = kept.number.checked_add(1);
            if end.is_none_or(|end| line.live_within(kept.number, end) == 0) {
                return Err(Malformed("retained entries that cannot be"));
            }
            retained.put(&topic, kept);
        }
        Ok(())
    }

    /// How much is retained: messages and bytes.
    pub(super) fn count_retained(&self) -> (u64, u64) {
        let stores = self.ledger.queues.values().filter_map(|q| q.retained.as_ref());
        stores.fold((0, 0), |(n, bytes), r| (n + r.count(), bytes + r.bytes()))
    }
}

/// What topics retain, for a snapshot.
pub(super) fn hold_topics(q: &Queue, out: &mut Vec<u8>) {
    let Some(retained) = &q.retained else { return };
    let mut held: Vec<(String, Kept)> = Vec::new();
    let mut flush = |held: &mut Vec<(String, Kept)>| {
        if !held.is_empty() {
            let kept = held.iter().map(|(topic, kept)| (topic.as_str(), *kept));
            entry(out, kind::RETAINED, |body| record::write_retained(q.id, kept, body));
            held.clear();
        }
    };
    retained.each_lasting(|topic, kept| {
        held.push((topic.to_string(), kept));
        if held.len() == HELD_MAX {
            flush(&mut held);
        }
    });
    flush(&mut held);
}
