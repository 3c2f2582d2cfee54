//! A client takes its berth: whoever has it is displaced, what is left of it goes on, or is
//! forgotten if the client wants it so.

use super::super::{Answered, Asker, Broker};
use super::{FIRST_SHARED, Mooring};
use crate::change::{BerthSpec, Change};
use crate::id::{BerthId, ExchangeId, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::Queue;
use hashbrown::HashMap;
use lockgate_model::{
    Answer, Attached, Attachment, Event, Interest, Object, PASSING, Refusal, SETTLING, SessionId,
};

impl Broker {
    pub(in super::super) fn attach(
        &mut self,
        asker: Asker,
        wish: Attachment,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Answered {
        let session = asker.session;
        let vhost = self.vhost_of(session)?;
        if self.dispatch.sessions.get(&session).is_some_and(|s| s.berth.is_some()) {
            return Err(Refusal::Invalid("a berth is taken already".into()));
        }
        let exchange = self.ledger.exchange_named(vhost, &wish.exchange).map(|x| x.id);
        let exchange = exchange.ok_or_else(|| Refusal::Missing {
            object: Object::Exchange,
            name: wish.exchange.clone(),
            vhost: self.ledger.vhost_name(vhost),
        })?;
        let before = self.ledger.berth_named(vhost, &wish.client).is_some_and(|b| b.logged);
        let known = self.come_back(vhost, &wish, exchange, journal, out);
        self.clear_names(vhost, &wish, known.is_none(), journal, out);
        let id = known.unwrap_or_else(|| BerthId(self.ledger.fresh_id()));
        // What must not be forgotten: what waits, a will, a share in what others wait for.
        let logged = self.ledger.berths.get(&id).is_some_and(|b| b.logged)
            || wish.lasting.lasts()
            || wish.will.is_some();
        let spec = BerthSpec {
            id,
            vhost,
            client: wish.client,
            exchange,
            passing: wish.passing,
            settling: wish.settling,
            lasting: wish.lasting,
            caps: wish.caps,
            will: wish.will,
            logged,
        };
        let after = self.change(&Change::BerthTaken(Box::new(spec)), logged, journal);
        if let Some(s) = self.dispatch.sessions.get_mut(&session) {
            s.berth = Some(id);
        }
        let in_flight_max = wish.in_flight_max.max(1);
        let (shared, next_handle) = (HashMap::new(), FIRST_SHARED);
        let mooring = Mooring { session, in_flight_max, shared, next_handle };
        self.dispatch.moorings.insert(id, mooring);
        let attached = self.resume(session, id, known.is_some(), journal)?;
        // Nobody need wait for what need not last, but for the end of what did.
        let ended = before && known.is_none();
        let after = if wish.lasting.lasts() || ended { after.max(self.marked) } else { 0 };
        Ok((Answer::Attached(Box::new(attached)), after))
    }

    /// The berth that the client has already, if that is to go on.
    fn come_back(
        &mut self,
        vhost: VhostId,
        wish: &Attachment,
        exchange: ExchangeId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Option<BerthId> {
        let known = self.ledger.berth_named(vhost, &wish.client)?;
        // What it followed elsewhere it would never hear of again.
        let (id, lasts) = (known.id, known.lasting.lasts() && known.exchange == exchange);
        self.disarm_berth(id);
        let displaced = self.displace(id, journal, out);
        if wish.fresh || !lasts {
            self.end_berth(id, journal, out);
            return None;
        }
        let at_once = |b: &crate::ledger::Berth| b.will.as_ref().is_some_and(|w| w.delay == 0);
        // Who comes back in time is not lost; without a delay there is no time.
        if displaced && self.ledger.berths.get(&id).is_some_and(|b| at_once(b)) {
            self.send_will(id, journal, out);
        }
        Some(id)
    }

    /// Queues of its names that are no berth's, as definitions of another broker bring them,
    /// must not be in its way: none of what is done when delivered, and for who begins
    /// anew none at all.
    fn clear_names(
        &mut self,
        vhost: VhostId,
        wish: &Attachment,
        new: bool,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let settling = Some(&wish.settling).filter(|_| new && wish.fresh);
        for name in [Some(&wish.passing), settling].into_iter().flatten() {
            let nobodys = |q: &&Queue| q.owner.is_none() && q.hearing.is_none();
            let found = self.ledger.queue_named(vhost, name).filter(nobodys).map(|q| q.id);
            if let Some(queue) = found {
                self.drop_queue(queue, journal, out);
            }
        }
    }

    /// Whoever has the berth has it no longer. True if anybody had.
    fn displace(&mut self, id: BerthId, journal: &mut impl Journal, out: &mut Effects) -> bool {
        let Some(mooring) = self.dispatch.moorings.remove(&id) else { return false };
        let session = mooring.session;
        self.end_subscriptions(session, None, journal, out);
        self.give_back(session, None, journal);
        if let Some(s) = self.dispatch.sessions.get_mut(&session) {
            s.berth = None;
            for queue in std::mem::take(&mut s.owned) {
                self.drop_queue(queue, journal, out);
            }
        }
        out.events.append(&mut self.farewells);
        out.now(session, Event::Displaced);
        true
    }

    /// What the client was interested in is delivered again.
    fn resume(
        &mut self,
        session: SessionId,
        id: BerthId,
        present: bool,
        journal: &mut impl Journal,
    ) -> Result<Attached, Refusal> {
        let Some(b) = self.ledger.berths.get(&id).filter(|_| present) else {
            return Ok(Attached::default());
        };
        let (open, received) = b.marks_listed();
        let (all, passing, settling) = (b.interests.clone(), b.passing.clone(), b.settling.clone());
        let has = |class: fn(&Interest) -> bool| all.iter().any(class);
        if has(|i| i.group.is_none() && i.level == 0) {
            self.open_passing(session, id, journal)?;
            self.ledger.tie_all(id, &passing);
            self.listen(session, id, &passing, PASSING)?;
        }
        let vhost = self.vhost_of(session)?;
        // What came for it may wait there even if it wants nothing any more.
        if self.ledger.queue_named(vhost, &settling).is_some_and(|q| q.hearing.is_some()) {
            self.listen(session, id, &settling, SETTLING)?;
        }
        let mut interests = Vec::with_capacity(all.len());
        for interest in all {
            let handle = match &interest.group {
                Some(group) => self.share(session, id, &interest, group)?,
                None if interest.level > 0 => SETTLING,
                None => PASSING,
            };
            interests.push((interest, handle));
        }
        Ok(Attached { present, interests, open, received })
    }
}
