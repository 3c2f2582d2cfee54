//! A client leaves, or is lost; its will is published when it is due, and its berth ends.

use super::super::Broker;
use crate::change::Change;
use crate::id::{BerthId, QueueId, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::{Berth, Hearing};
use lockgate_model::{Lasting, Name, Run, SessionId};
use std::sync::Arc;

impl Broker {
    /// The client says how it leaves.
    pub(in super::super) fn depart(
        &mut self,
        session: SessionId,
        will: bool,
        lasting: Option<Lasting>,
        journal: &mut impl Journal,
    ) {
        let Some(id) = self.berth_of(session) else { return };
        let Some(b) = self.ledger.berths.get(&id) else { return };
        let (logged, lasting) = (b.logged, lasting.unwrap_or(b.lasting));
        if lasting != b.lasting || (b.will.is_some() && !will) {
            self.change(&Change::BerthLeft { id, at: None, lasting, will }, logged, journal);
        }
    }

    /// The session is over, and with it its hold on its berth.
    pub(in super::super) fn leave_berth(
        &mut self,
        session: SessionId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(id) = self.berth_of(session) else { return };
        self.dispatch.moorings.remove(&id);
        self.set_adrift(id, journal, out);
    }

    /// The berth's client is away from now on.
    fn set_adrift(&mut self, id: BerthId, journal: &mut impl Journal, out: &mut Effects) {
        let Some(b) = self.ledger.berths.get(&id) else { return };
        let (lasting, logged, at) = (b.lasting, b.logged, self.now.millis());
        if !lasting.lasts() {
            return self.end_berth(id, journal, out);
        }
        let at_once = b.will.as_ref().is_some_and(|will| will.delay == 0);
        let change = Change::BerthLeft { id, at: Some(at), lasting, will: b.will.is_some() };
        self.change(&change, logged, journal);
        if at_once {
            self.send_will(id, journal, out);
        }
        self.arm_berth(id);
    }

    /// Publishes a client's will, once: that it is gone stands in one group with it.
    pub(super) fn send_will(&mut self, id: BerthId, journal: &mut impl Journal, out: &mut Effects) {
        let Some(b) = self.ledger.berths.get(&id) else { return };
        let (vhost, at, lasting, logged) = (b.vhost, b.away, b.lasting, b.logged);
        let Some(will) = b.will.as_ref().map(|will| Arc::clone(&will.run)) else { return };
        let grouped = logged && self.begin_group(journal);
        self.put_forth(vhost, &will, journal, out);
        self.change(&Change::BerthLeft { id, at, lasting, will: false }, logged, journal);
        if grouped {
            self.end_group(journal);
        }
    }

    /// Publishes what no session does.
    fn put_forth(
        &mut self,
        vhost: VhostId,
        run: &Arc<Run>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let mut at = 0;
        while at < run.items.len() {
            let Ok(steered) = self.steer(vhost, run, at) else {
                self.unroutable += (run.items.len() - at) as u64;
                return;
            };
            let end = steered.end;
            self.send_on(vhost, steered, run, at, journal, out);
            at = end;
        }
    }

    /// A berth ends, with all that waits in it; a will that is still to be published is.
    pub(super) fn end_berth(&mut self, id: BerthId, journal: &mut impl Journal, out: &mut Effects) {
        let Some(b) = self.ledger.berths.get(&id) else { return };
        let (vhost, logged) = (b.vhost, b.logged);
        let grouped = logged && self.begin_group(journal);
        self.send_will(id, journal, out);
        let Some(b) = self.ledger.berths.get(&id) else { return };
        let own = [&b.passing, &b.settling].map(|name| self.ledger.queue_named(vhost, name));
        let heard = own.into_iter().flatten().filter(|q| q.hearing.is_some());
        let queues: Vec<QueueId> = heard.map(|q| q.id).collect();
        let groups: Vec<Name> = b.interests.iter().filter_map(|i| i.group.clone()).collect();
        self.change(&Change::BerthEnded { id }, logged, journal);
        for queue in queues {
            self.drop_queue(queue, journal, out);
        }
        for group in groups {
            self.drop_forsaken_group(vhost, &group, journal, out);
        }
        if grouped {
            self.end_group(journal);
        }
    }

    /// Deletes a queue that is not its berth's business to delete. A berth whose queue it was
    /// has lost what its client relies on, and ends: who comes back must not believe that all
    /// is as it was. One whose client is there ends with the connection.
    pub(in super::super) fn drop_under_berths(
        &mut self,
        queue: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> u64 {
        let q = self.ledger.queues.get(&queue);
        let whose = q.and_then(|q| Some((q.hearing.clone()?, q.vhost, q.spec.name.clone())));
        let mut ids: Vec<BerthId> = match whose {
            None | Some((Hearing::Passing(_) | Hearing::Group { members: 0, .. }, ..)) => {
                Vec::new()
            }
            Some((Hearing::Settling(id), ..)) => vec![id],
            Some((Hearing::Group { .. }, vhost, name)) => {
                let shares = |b: &Berth| {
                    b.vhost == vhost && b.interests.iter().any(|i| i.group.as_ref() == Some(&name))
                };
                self.ledger.berths.values().filter(|b| shares(b)).map(|b| b.id).collect()
            }
        };
        ids.sort_unstable();
        let after = self.drop_queue(queue, journal, out);
        for id in ids {
            let Some(b) = self.ledger.berths.get(&id).filter(|b| b.lasting.lasts()) else {
                continue;
            };
            if self.dispatch.moorings.contains_key(&id) {
                let (lasting, will, logged) = (Lasting::Not, b.will.is_some(), b.logged);
                let change = Change::BerthLeft { id, at: None, lasting, will };
                self.change(&change, logged, journal);
            } else {
                self.disarm_berth(id);
                self.end_berth(id, journal, out);
            }
        }
        after
    }

    /// The log is replayed: nobody is there. Who was when the process ended is lost now, and
    /// what that brings comes with the next tick.
    pub(in super::super) fn recover_berths(&mut self, journal: &mut impl Journal) {
        self.tides.clear();
        let mut ids: Vec<BerthId> = self.ledger.berths.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(b) = self.ledger.berths.get(&id) else { continue };
            if b.away.is_none() {
                let (at, lasting) = (Some(self.now.millis()), b.lasting);
                let change = Change::BerthLeft { id, at, lasting, will: b.will.is_some() };
                self.change(&change, true, journal);
            }
            self.arm_berth(id);
        }
        // Those who had no lasting berth shared them, and are gone.
        let forsaken = self.ledger.queues.values().filter(|q| q.is_forsaken_group());
        let mut forsaken: Vec<QueueId> = forsaken.map(|q| q.id).collect();
        forsaken.sort_unstable();
        for queue in forsaken {
            self.drop_queue(queue, journal, &mut Effects::default());
        }
    }
}
