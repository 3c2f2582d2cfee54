//! Publishing: messages are routed, handed straight to who can take them, and kept
//! where they must wait. What must last is in the log before it is confirmed.

use super::Broker;
use super::copies::{Copies, copies, suspected};
use super::reach::Reach;
use super::sure::Unsure;
use crate::dispatch::Lot;
use crate::id::{QueueId, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::{Kind, Known, Logged, Slice};
use crate::record;
use lockgate_model::{Event, Item, Lane, Refusal, Retain, Run, SessionId, Stamp, Ticket, Time};
use smallvec::SmallVec;
use std::sync::Arc;

/// Confirmations of one publish, merged as far as they wait for the same.
struct Confirms {
    first: Ticket,
    from: u32,
    count: u32,
    after: u64,
}

/// What became of messages given to queues.
pub(super) struct Placed {
    /// So many of the first were taken by all of them.
    pub taken: usize,
    /// What their confirmation must wait for.
    pub after: u64,
}

/// Where messages go.
pub(super) struct Steered {
    pub reach: Reach,
    /// The end of those that go there.
    pub end: usize,
    /// What to give to the queues in place of the one message.
    stripped: Option<Arc<Run>>,
}

impl Broker {
    /// Publishes a run, up to the first message that is refused. False if any was not taken.
    #[allow(clippy::too_many_arguments)] // the command's fields, and the turn's
    pub(super) fn publish(
        &mut self,
        session: SessionId,
        lane: Lane,
        run: &Arc<Run>,
        confirm: Option<Ticket>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> bool {
        let Some(state) = self.dispatch.sessions.get_mut(&session) else { return false };
        let Some(vhost) = state.vhost else { return false };
        let berth = state.berth;
        if state.lane(lane).broken {
            return false;
        }
        self.published += run.items.len() as u64;
        let mut all = true;
        let mut confirms = confirm.map(|first| Confirms { first, from: 0, count: 0, after: 0 });
        let mut at = 0;
        while at < run.items.len() {
            let Steered { mut reach, end, stripped } = match self.steer(vhost, run, at) {
                Ok(steered) => steered,
                Err(why) => {
                    flush(&mut confirms, session, lane, out);
                    if let Some(l) = self.dispatch.lane(session, lane) {
                        l.broken = true;
                    }
                    out.now(session, Event::Broken { lane, why });
                    return false;
                }
            };
            if let Some(berth) = berth {
                self.spare(berth, run, &run.items[at], &mut reach);
            }
            let end = self.equals(&reach.queues, run, at, end);
            self.uncrossed += if reach.uncrossed { (end - at) as u64 } else { 0 };
            let cleared = self.retain(vhost, run, at, &mut reach, journal);
            if reach.nowhere {
                self.unrouted(session, lane, run, (at, end), confirm, out);
            }
            let placed = self.send(&reach, run, stripped.as_ref(), (at, end), journal, out);
            let after = placed.after.max(cleared);
            confirmed(&mut confirms, placed.taken as u32, after, session, lane, out);
            if placed.taken < end - at {
                flush(&mut confirms, session, lane, out);
                let count = (end - at - placed.taken) as u32;
                all = false;
                self.rejected += u64::from(count);
                rejected(&mut confirms, count, session, lane, out);
            }
            at = end;
        }
        flush(&mut confirms, session, lane, out);
        all
    }

    /// Sends on what was steered and nobody waits for.
    pub(super) fn send_on(
        &mut self,
        vhost: VhostId,
        steered: Steered,
        run: &Arc<Run>,
        at: usize,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Steered { mut reach, end, stripped } = steered;
        self.unroutable += if reach.nowhere { (end - at) as u64 } else { 0 };
        self.retain(vhost, run, at, &mut reach, journal);
        self.send(&reach, run, stripped.as_ref(), (at, end), journal, out);
    }

    /// Whether all of a run could be published.
    pub(super) fn check_routes(
        &mut self,
        session: SessionId,
        run: &Arc<Run>,
    ) -> Result<(), Refusal> {
        let vhost = self.dispatch.sessions.get(&session).and_then(|s| s.vhost);
        let Some(vhost) = vhost else { return Ok(()) };
        let mut at = 0;
        while at < run.items.len() {
            at = self.steer(vhost, run, at)?.end;
        }
        Ok(())
    }

    /// Where the items from `at` on go, as many as go alike.
    pub(super) fn steer(
        &mut self,
        vhost: VhostId,
        run: &Arc<Run>,
        at: usize,
    ) -> Result<Steered, Refusal> {
        let reach = self.route(vhost, run, at)?;
        if suspected(run.head(&run.items[at])) {
            let Copies { keys, stripped } = copies(run, at)?;
            let reach = self.route_copies(vhost, run, at, &keys);
            return Ok(Steered { reach, end: at + 1, stripped: stripped.map(Arc::new) });
        }
        let end = if reach.lasting { alike(run, at) } else { at + 1 };
        Ok(Steered { reach, end, stripped: None })
    }

    /// The end of those items from `at` on that have one rank wherever they go.
    fn equals(&self, queues: &[QueueId], run: &Run, at: usize, end: usize) -> usize {
        let ranked =
            |q: &QueueId| self.ledger.queues.get(q).is_some_and(|q| q.rules.priority_max > 0);
        if end - at < 2 || !queues.iter().any(ranked) {
            return end;
        }
        let first = run.items[at].priority;
        at + run.items[at..end].iter().take_while(|i| i.priority == first).count()
    }

    fn unrouted(
        &mut self,
        session: SessionId,
        lane: Lane,
        run: &Arc<Run>,
        (from, to): (usize, usize),
        confirm: Option<Ticket>,
        out: &mut Effects,
    ) {
        self.unroutable += (to - from) as u64;
        if run.origin(&run.items[from]).mandatory {
            for item in from as u32..to as u32 {
                let ticket = confirm.map(|first| Ticket(first.0 + u64::from(item)));
                out.now(session, Event::Returned { lane, run: Arc::clone(run), item, ticket });
            }
        }
    }

    /// Gives items `from..to` to queues.
    #[allow(clippy::too_many_arguments)] // the command's fields, and the turn's
    pub(super) fn place(
        &mut self,
        queues: &[QueueId],
        run: &Arc<Run>,
        from: usize,
        to: usize,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Placed {
        let persistent = run.items[from].persistent;
        let mut placed = Placed { taken: to - from, after: 0 };
        // Queues that must log, each with the first item it still has to keep.
        let mut logging: SmallVec<[(usize, QueueId); 4]> = SmallVec::new();
        for &queue in queues {
            let kept = from + self.hand_over(queue, run, from, to, out);
            if kept == to {
                continue;
            }
            let Some(q) = self.ledger.queues.get(&queue) else { continue };
            let logs = q.logs(persistent);
            if q.rules.rejects() {
                let (end, wait) = self.store_within(queue, run, kept, to, logs, now, journal, out);
                self.refuse(queue, run, end, to, journal, out);
                placed.taken = placed.taken.min(end - from);
                placed.after = placed.after.max(wait);
            } else if logs {
                logging.push((kept, queue));
            } else {
                self.store(queue, run, kept, to, None, journal, out);
            }
        }
        logging.sort_unstable();
        for group in logging.chunk_by(|a, b| a.0 == b.0) {
            placed.after = placed.after.max(self.log(group, run, to, now, journal, out));
        }
        placed
    }

    /// Straight through: an empty queue whose subscribers take without settling keeps nothing.
    /// Returns how many items went.
    fn hand_over(
        &mut self,
        queue: QueueId,
        run: &Arc<Run>,
        from: usize,
        to: usize,
        out: &mut Effects,
    ) -> usize {
        let Some(q) = self.ledger.queues.get(&queue) else { return to - from };
        let next = q.line.next(q.rules.rank(run.items[from].priority));
        let through = self.dispatch.desks.get(&queue).is_some_and(|d| {
            q.rules.kind == Kind::Classic
                && !matches!(q.known.as_deref(), Some(Known::Window(_)))
                && d.groups.is_none()
                && d.is_idle(&q.line, next)
                && !d.ring.is_empty()
                && d.subscribers.iter().all(|s| self.dispatch.subscribers[*s].settled)
        });
        if !through {
            return 0;
        }
        let slice = Slice {
            run: Arc::clone(run),
            item: from as u32,
            first: next,
            count: (to - from) as u32,
        };
        if self.names_groups(&slice) {
            self.begin_groups(queue);
            return 0;
        }
        let lot = Lot { slice, redelivered: false, stamp: Stamp::None };
        self.dispatch.serve(queue, &lot, out).taken as usize
    }

    /// One record for all queues that keep the same items; the bodies are written once.
    pub(super) fn log(
        &mut self,
        group: &[(usize, QueueId)],
        run: &Arc<Run>,
        to: usize,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> u64 {
        let from = group[0].0;
        let priority = run.items[from].priority;
        let next = |q: &QueueId| {
            self.ledger.queues.get(q).map_or(0, |q| q.line.next(q.rules.rank(priority)))
        };
        let targets: SmallVec<[(QueueId, u64); 4]> =
            group.iter().map(|(_, q)| (*q, next(q))).collect();
        let place = journal.append(record::kind::ENQUEUED, |body| {
            record::write_enqueued(&targets, now, run, from, to, body);
        });
        let weight = record::weight(place, (to - from) * group.len());
        journal.weigh(place, weight as i64 * ((to - from) * group.len()) as i64);
        for (_, queue) in group {
            self.store(*queue, run, from, to, Some(Logged { place, weight }), journal, out);
        }
        place.end()
    }

    /// Appends items to a queue's line, and serves them while they are at hand.
    #[allow(clippy::too_many_arguments)] // what, where, and the turn's
    pub(super) fn store(
        &mut self,
        queue: QueueId,
        run: &Arc<Run>,
        from: usize,
        to: usize,
        logged: Option<Logged>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let before = q.line.resident();
        let rank = q.rules.rank(run.items[from].priority);
        let first = q.line.append(rank, run, from, to, logged);
        self.resident += q.line.resident() - before;
        let to_number = first + (to - from) as u64;
        if q.retained.is_some() {
            self.note_retained(queue, first, run, (from, to), logged.is_some(), journal);
            return self.shrink(queue, out);
        }
        if q.stream.is_some() {
            let slice =
                Slice { run: Arc::clone(run), item: from as u32, first, count: (to - from) as u32 };
            return self.store_in_stream(queue, &slice, logged, out);
        }
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.came(&q.line, first, to_number);
        }
        if let Some(l) = logged.filter(|_| q.is_careful(&run.items[from])) {
            let after = l.place.end();
            self.wait_for_commit(Unsure { after, queue, from: first, to: to_number });
        }
        let held = logged.map(|l| l.place.end());
        self.note_labels(queue, first, run, (from, to), held);
        self.note_expiry(queue, first, run, from, to);
        self.shrink(queue, out);
        self.offer(queue, run, from, to, first, journal, out);
        self.push_out(queue, (to - from) as u64, journal);
        self.trim_to_bound(queue, journal);
    }

    /// Serves items that have just been stored, the entries from `first` on, while they are at hand.
    #[allow(clippy::too_many_arguments)] // what, where, and the turn's
    fn offer(
        &mut self,
        queue: QueueId,
        run: &Arc<Run>,
        from: usize,
        to: usize,
        first: u64,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        if desk.ring.is_empty() {
            return;
        }
        if !desk.is_idle(&q.line, first) || !desk.unsure.is_empty() || desk.groups.is_some() {
            self.dispatch.wake(queue);
            return;
        }
        let slice =
            Slice { run: Arc::clone(run), item: from as u32, first, count: (to - from) as u32 };
        if self.names_groups(&slice) {
            self.begin_groups(queue);
            return self.dispatch.wake(queue);
        }
        let lot = Lot { slice, redelivered: false, stamp: Stamp::None };
        let served = self.dispatch.serve(queue, &lot, out);
        let Some(q) = self.ledger.queues.get(&queue) else { return };
        if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
            desk.took(&q.line, first, served.taken);
        }
        for (part, step, count) in served.settled {
            self.settle_strided(queue, first + u64::from(part), step, count, journal);
        }
    }
}

/// The end of the items from `at` on that go the same way and last alike.
fn alike(run: &Run, at: usize) -> usize {
    let first = &run.items[at];
    // Each takes the place of the one before it.
    if first.retain == Retain::Wished {
        return at + 1;
    }
    let same = |i: &&Item| {
        i.origin == first.origin
            && (i.persistent, i.exact, i.retain) == (first.persistent, first.exact, first.retain)
            && !suspected(run.head(i))
    };
    at + run.items[at..].iter().take_while(same).count()
}

fn confirmed(
    confirms: &mut Option<Confirms>,
    count: u32,
    after: u64,
    session: SessionId,
    lane: Lane,
    out: &mut Effects,
) {
    if let Some(c) = confirms
        && c.count > 0
        && (c.after == 0) != (after == 0)
    {
        flush(confirms, session, lane, out);
    }
    if let Some(c) = confirms {
        c.count += count;
        c.after = c.after.max(after);
    }
}

fn flush(confirms: &mut Option<Confirms>, session: SessionId, lane: Lane, out: &mut Effects) {
    let Some(c) = confirms.as_mut().filter(|c| c.count > 0) else { return };
    let first = Ticket(c.first.0 + u64::from(c.from));
    out.after(c.after, session, Event::Confirmed { lane, first, count: c.count });
    c.from += c.count;
    c.count = 0;
    c.after = 0;
}

fn rejected(
    confirms: &mut Option<Confirms>,
    count: u32,
    session: SessionId,
    lane: Lane,
    out: &mut Effects,
) {
    if let Some(c) = confirms {
        let first = Ticket(c.first.0 + u64::from(c.from));
        out.now(session, Event::Rejected { lane, first, count });
        c.from += count;
    }
}
