//! Announcements: what the broker itself has to say of how it stands, to clients with berths
//! who want to hear it. No other queue gets it, whatever it is bound by. Topics retain it, and
//! the log never hears of it: the next one comes soon.

use super::Broker;
use super::publish::Steered;
use crate::id::VhostId;
use crate::journal::{Effects, Journal};
use hashbrown::HashSet;
use lockgate_model::{Name, Run, Time};
use std::sync::Arc;

impl Broker {
    /// Announces the messages of a run in a virtual host; each names its topic.
    pub fn announce(
        &mut self,
        vhost: &str,
        run: &Arc<Run>,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        self.pass_time(now);
        let Some(vhost) = self.ledger.vhost(vhost) else { return };
        for at in 0..run.items.len() {
            self.announce_one(vhost, run, at, journal, out);
        }
        out.events.append(&mut self.farewells);
    }

    fn announce_one(
        &mut self,
        vhost: VhostId,
        run: &Arc<Run>,
        at: usize,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(x) = self.ledger.exchange_named(vhost, run.exchange(&run.items[at])) else {
            return;
        };
        let (exchange, store, lasting) = (x.id, x.retained, x.spec.durable);
        let Ok(Steered { mut reach, .. }) = self.steer(vhost, run, at) else { return };
        reach.retain(|id| self.ledger.queues.get(id).is_some_and(|q| q.hearing.is_some()));
        let now = self.now;
        self.place(&reach.queues, run, at, at + 1, now, journal, out);
        let store = store.unwrap_or_else(|| self.make_store(exchange, lasting, journal));
        self.store(store, run, at, at + 1, None, journal, out);
    }

    /// The virtual hosts that clients have berths in.
    pub fn vhosts_with_berths(&self) -> Vec<Name> {
        let ids: HashSet<VhostId> = self.ledger.berths.values().map(|b| b.vhost).collect();
        let mut names: Vec<Name> = ids.into_iter().map(|id| self.ledger.vhost_name(id)).collect();
        names.sort_unstable();
        names
    }
}
