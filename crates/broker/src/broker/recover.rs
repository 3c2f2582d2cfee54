//! Coming back: the log is replayed into an empty broker, and a snapshot is the same
//! records again, so that the log need not be replayed from its beginning.

use super::Broker;
use super::retained::hold_topics;
use crate::change::Change;
use crate::dispatch::{Desk, Reason};
use crate::id::{Place, QueueId, Target, VhostId};
use crate::journal::Journal;
use crate::ledger::{Cursors, Extent, Known, NUMBER_MAX, Queue, Rank, Store, base_of};
use crate::ranges::Ranges;
use crate::record::{self, Record, kind};
use crate::way::Way;
use bytes::Bytes;
use lockgate_model::{Malformed, Time};

/// No entries of ours are due together that are more than this.
const DUE_MAX: u64 = 1 << 40;

/// Milliseconds that rounding keeps apart.
const MOMENTS_APART: usize = 8;

/// A record that waits for the end of its group.
#[derive(Debug)]
pub struct Kept {
    kind: u8,
    body: Vec<u8>,
    place: Place,
}

impl Broker {
    /// Applies one record of the log.
    pub fn replay(
        &mut self,
        kind: u8,
        body: &[u8],
        place: Place,
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        match (kind, self.group.as_mut()) {
            (kind::STARTED, _) => self.group = None,
            (kind::BEGIN, _) => self.group = Some(Vec::new()),
            (kind::END, Some(_)) => {
                for kept in self.group.take().unwrap_or_default() {
                    self.restore(kept.kind, &kept.body, kept.place, journal)?;
                }
            }
            (_, Some(group)) => group.push(Kept { kind, body: body.to_vec(), place }),
            (_, None) => self.restore(kind, body, place, journal)?,
        }
        Ok(())
    }

    fn restore(
        &mut self,
        kind: u8,
        body: &[u8],
        place: Place,
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        match record::read(kind, body)? {
            Record::Made(change) => {
                self.change(&change, false, journal);
            }
            Record::Enqueued { targets, at, sizes, lifetimes, delays } => {
                self.restore_entries(&targets, at, &sizes, place, journal)?;
                self.restore_expiry(&targets, at, sizes.len() as u64, &lifetimes);
                self.restore_delays(&targets, at, sizes.len() as u64, &delays);
                self.restore_labels(&targets, at, body)?;
                self.restore_retained(&targets, at, &lifetimes, body, journal)?;
            }
            Record::Marked { holder, marks } => self.restore_marks(holder, &marks),
            Record::Rolled { queue, ids } => {
                let known = self.ledger.queues.get_mut(&queue).and_then(|q| q.known.as_deref_mut());
                if let Some(Known::Roll(_, roll)) = known {
                    ids.iter().for_each(|(digest, number)| roll.note(*digest, *number));
                }
            }
            Record::Due { queue, due } => {
                let can_be = |(_, from, to): &(u64, u64, u64)| {
                    to.checked_sub(*from).is_some_and(|n| n <= DUE_MAX) && *to <= NUMBER_MAX
                };
                if !due.iter().all(can_be) {
                    return Err(Malformed("moments that cannot be"));
                }
                let q = self.ledger.queues.get_mut(&queue);
                if let Some(q) = q.filter(|q| q.stream.is_none()) {
                    due.into_iter().for_each(|(ms, from, to)| q.expiry.note(ms, from, to));
                }
            }
            Record::Counted { queue, counts } => {
                if let Some(q) = self.ledger.queues.get_mut(&queue) {
                    for (from, to, count) in counts {
                        for (from, to) in q.line.live_ranges(from, to).iter() {
                            q.attempts.set(from, to, count);
                        }
                    }
                }
            }
            Record::Sizes { queue, sizes } => {
                if let Some(q) = self.ledger.queues.get_mut(&queue) {
                    sizes.iter().for_each(|(first, sizes)| q.line.set_sizes(*first, sizes));
                }
            }
            Record::Settled { queue, ranges } => {
                if let Some(q) = self.ledger.queues.get_mut(&queue) {
                    for (from, to) in ranges {
                        q.settle(from, to, journal, &mut self.freed);
                    }
                }
            }
            Record::Moved { from, targets, count } => {
                let new = |first| Extent { first, count, skip: 0, place, weight: 0 };
                if targets.iter().any(|(_, first)| !new(*first).is_possible(0)) {
                    return Err(Malformed("entries that cannot be"));
                }
                self.moved(from, place, &targets, count, journal)
            }
            Record::Held { queue, next, extents, gone } => {
                let Some(q) = self.ledger.queues.get_mut(&queue) else { return Ok(()) };
                for (extent, bytes) in extents {
                    q.line.restore(extent, bytes)?;
                    journal.weigh(extent.place, i64::from(extent.weight) * i64::from(extent.count));
                }
                for (from, to) in gone {
                    q.settle(from, to, journal, &mut self.freed);
                }
                if next > NUMBER_MAX {
                    return Err(Malformed("a number that cannot be"));
                }
                q.line.skip_to(next);
            }
            Record::Seen { queue, below } => {
                if let Some(q) = self.ledger.queues.get_mut(&queue) {
                    q.seen.set(below);
                }
            }
            Record::Retained { queue, kept } => self.restore_topics(queue, kept)?,
            Record::Kept { stream, segment, latest } => {
                self.apply_kept(stream, segment, latest, journal)?;
            }
            Record::Cut { stream, below } => self.apply_cut(stream, below),
            Record::Shelved { stream, latest, segments, arrivals } => {
                let q = self.ledger.queues.get_mut(&stream);
                if let Some(s) = q.and_then(|q| q.stream.as_mut()) {
                    s.restore(latest, segments, &arrivals)?;
                }
            }
            Record::Marks { berth, deed, marks } => self.apply_marks(berth, deed, &marks),
            Record::Begin | Record::End | Record::Started => {}
        }
        Ok(())
    }

    fn restore_entries(
        &mut self,
        targets: &[(QueueId, u64)],
        at: Time,
        sizes: &[(u32, u32)],
        place: Place,
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        let weight = record::weight(place, sizes.len() * targets.len());
        let bytes = sizes.iter().map(|(head, body)| u64::from(*head) + u64::from(*body)).sum();
        for (queue, first) in targets {
            let Some(q) = self.ledger.queues.get_mut(queue) else { continue };
            let count = sizes.len() as u32;
            q.line.restore(Extent { first: *first, count, skip: 0, place, weight }, bytes)?;
            if q.rules.bytes_max.is_some() {
                let bodies: Vec<u32> = sizes.iter().map(|(_, body)| *body).collect();
                q.line.set_sizes(*first, &bodies);
            }
            journal.weigh(place, i64::from(weight) * i64::from(count));
            if let Some(stream) = &mut q.stream {
                stream.note(*first, at);
            }
        }
        Ok(())
    }

    fn restore_expiry(
        &mut self,
        targets: &[(QueueId, u64)],
        at: Time,
        count: u64,
        own: &[(u32, u64)],
    ) {
        for (queue, first) in targets {
            let Some(q) = self.ledger.queues.get_mut(queue) else { continue };
            // What an exchange or a stream has does not expire.
            if q.store.is_some() || q.stream.is_some() {
                continue;
            }
            let limit = q.rules.lifetime;
            if let Some(ms) = limit {
                q.expiry.note(at.millis().saturating_add(ms), *first, first + count);
            }
            for (n, ms) in own.iter().filter(|(_, ms)| limit.is_none_or(|limit| *ms < limit)) {
                let entry = first + u64::from(*n);
                q.expiry.note(at.millis().saturating_add(*ms), entry, entry + 1);
            }
        }
    }

    /// What an exchange holds back is due as long after the record as it asked for.
    fn restore_delays(
        &mut self,
        targets: &[(QueueId, u64)],
        at: Time,
        count: u64,
        own: &[(u32, u64)],
    ) {
        for (queue, first) in targets {
            let Some(q) = self.ledger.queues.get_mut(queue) else { continue };
            if !matches!(q.store, Some(Store::Delayed(_))) {
                continue;
            }
            let mut own = own.iter().peekable();
            for n in 0..count {
                let asked = own.next_if(|(asks, _)| u64::from(*asks) == n);
                let ms = asked.map_or(0, |(_, ms)| *ms);
                q.expiry.note(at.millis().saturating_add(ms), first + n, first + n + 1);
            }
        }
    }

    /// Messages of a record have a new place: they are found there from now on.
    fn moved(
        &mut self,
        from: Place,
        to: Place,
        targets: &[(QueueId, u64)],
        count: u32,
        journal: &mut impl Journal,
    ) {
        let weight = record::weight(to, count as usize * targets.len());
        for (queue, first) in targets {
            if let Some(q) = self.ledger.queues.get_mut(queue) {
                let new = Extent { first: *first, count, skip: 0, place: to, weight };
                q.line.moved(new, from, journal);
            }
        }
    }

    /// Copies what still lives of a record to the end of the log, so that its segment can go.
    pub fn relocate(
        &mut self,
        kind: u8,
        body: &Bytes,
        from: Place,
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        let (targets, at, run) = record::movable(kind, body)?;
        let count = run.items.len() as u32;
        // Items that live in any of the queues.
        let mut live = Ranges::default();
        for (queue, first) in &targets {
            let Some(q) = self.ledger.queues.get(queue) else { continue };
            for (s, e) in q.line.live_at(*first, count, from).iter() {
                live.insert(s - first, e - first);
            }
        }
        for (s, e) in live.iter() {
            let targets: Vec<_> = targets.iter().map(|(q, first)| (*q, first + s)).collect();
            let to = journal.append(kind::MOVED, |out| {
                record::write_moved(from, &targets, at, &run, s as usize, e as usize, out);
            });
            self.moved(from, to, &targets, (e - s) as u32, journal);
        }
        Ok(())
    }

    /// The records between two positions that still hold a live entry.
    pub fn live_places(&self, from: u64, to: u64) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for q in self.ledger.queues.values() {
            places.extend(q.line.live_places().filter(|p| (from..to).contains(&p.pos)));
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The log is replayed. After an orderly stop it says what may have been delivered
    /// before; after any other, everything may have been.
    pub fn recovered(&mut self, clean: bool, now: Time, journal: &mut impl Journal) {
        self.pass_time(now);
        self.group = None;
        self.ledger.moved.clear();
        // What the log tells of queues that are gone by now has left nothing else.
        self.dispatch.desks.clear();
        self.dispatch.chunks.clear();
        self.timers.clear();
        journal.append(kind::STARTED, |_| {});
        for q in self.ledger.queues.values_mut() {
            let (mut cursor, mut seen) = (Cursors::default(), std::mem::take(&mut q.seen));
            for rank in q.line.ranks() {
                cursor.set(rank.head());
                if !clean {
                    seen.set(rank.next());
                }
            }
            let single = q.rules.single;
            let mut desk = Desk { cursor, seen, single, used: now, ..Desk::default() };
            desk.recount(&q.line);
            self.dispatch.desks.insert(q.id, Box::new(desk));
        }
        let mut queues: Vec<QueueId> = self.ledger.queues.keys().copied().collect();
        queues.sort_unstable();
        for id in queues {
            self.open_stream(id);
            self.arm(id);
            // What was due meanwhile goes on at once.
            self.expire(id, journal);
            // What somebody held when the process ended waits again.
            self.trim_to_bound(id, journal);
        }
        self.recover_berths(journal);
    }

    /// The last words before an orderly stop: what may have been delivered.
    pub fn rest(&mut self, journal: &mut impl Journal) {
        for q in self.ledger.queues.values().filter(|q| q.is_logged() && q.line.live() > 0) {
            let Some(desk) = self.dispatch.desks.get(&q.id) else { continue };
            for n in 0..q.line.ranks().len() {
                let below = desk.cursor.at(n).max(desk.seen.at(n));
                if q.line.next_in_rank(base_of(n)).is_some_and(|first| first < below) {
                    journal.append(kind::SEEN, |out| record::write_seen(q.id, below, out));
                }
            }
        }
    }

    /// Everything that lasts, as records: kind, length, body.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut made = |change: &Change| {
            entry(&mut out, kind::MADE, |body| record::write_change(change, body));
        };
        let mut vhosts: Vec<_> = self.ledger.vhosts.iter().collect();
        vhosts.sort_unstable_by_key(|(id, _)| **id);
        for (id, v) in vhosts {
            made(&Change::VhostMade { id: *id, name: v.name.clone() });
            if !v.metadata.is_empty() {
                made(&Change::VhostNoted { id: *id, metadata: v.metadata.clone() });
            }
            // Before the queues, whose rules they are part of.
            for (tier, policy) in v.policies.iter() {
                let policy = policy.clone();
                made(&Change::PolicySet { vhost: *id, tier, policy, at: 0 });
            }
        }
        let register = &self.ledger.register;
        register.users.values().for_each(|u| made(&Change::UserSet(u.clone())));
        register.permissions.values().for_each(|p| made(&Change::PermissionSet(p.clone())));
        let topics = register.topic_permissions.values();
        topics.for_each(|p| made(&Change::TopicPermissionSet(p.clone())));
        register.parameters().for_each(|p| made(&Change::ParameterSet(p)));
        let mut exchanges: Vec<_> =
            self.ledger.exchanges.values().filter(|x| x.spec.durable).collect();
        exchanges.sort_unstable_by_key(|x| x.id);
        for x in &exchanges {
            let (vhost, id, spec) = (x.vhost, x.id, x.spec.clone());
            made(&Change::ExchangeDeclared { vhost, id, spec });
            if let Some(store) = x.retained {
                made(&Change::StoreMade { exchange: id, id: store });
            }
        }
        let mut queues: Vec<_> = self.ledger.queues.values().filter(|q| q.is_logged()).collect();
        queues.sort_unstable_by_key(|q| q.id);
        for q in queues.iter().filter(|q| q.store.is_none()) {
            let (vhost, id, spec) = (q.vhost, q.id, q.spec.clone());
            made(&Change::QueueDeclared { vhost, id, spec, owner: None });
        }
        for x in &exchanges {
            let mut ways: Vec<_> = x.ways.iter().filter(|key| self.lasts(key.target)).collect();
            // A map has no order; the same ledger always reads alike.
            ways.sort_unstable_by(|a, b| {
                (a.target, &a.key, &a.arguments).cmp(&(b.target, &b.key, &b.arguments))
            });
            for key in ways {
                let arguments = lockgate_model::Table::decode(&key.arguments).unwrap_or_default();
                let (source, target, key) = (x.id, key.target, key.key.clone());
                made(&Change::Bound(Way { source, target, key, arguments }));
            }
        }
        self.hold_berths(&mut out);
        for q in queues {
            hold(q, self.overdue(q.id), &mut out);
        }
        self.hold_marks(&mut out);
        out
    }

    /// What of a queue was due already and is still there: nothing else says so any more. The
    /// moments keep its order, and are long past.
    fn overdue(&self, queue: QueueId) -> Vec<(u64, u64, u64)> {
        let releasing = self.dispatch.releasing.get(&queue).into_iter();
        let going = releasing.flat_map(|r| r.due.iter().copied());
        let desk = self.dispatch.desks.get(&queue).into_iter();
        let expired = desk.flat_map(|desk| {
            let dying = desk.dying.iter().filter(|death| death.reason == Reason::Expired);
            desk.late.iter().chain(dying.map(|death| (death.from, death.to)))
        });
        let moments = (0..).step_by(MOMENTS_APART);
        moments.zip(going.chain(expired)).map(|(ms, (from, to))| (ms, from, to)).collect()
    }

    fn lasts(&self, target: Target) -> bool {
        match target {
            Target::Queue(q) => self.ledger.queues.get(&q).is_some_and(|q| q.is_logged()),
            Target::Exchange(x) => self.ledger.exchanges.get(&x).is_some_and(|x| x.spec.durable),
        }
    }

    /// Applies a snapshot to an empty broker.
    pub fn apply_snapshot(
        &mut self,
        snapshot: &[u8],
        journal: &mut impl Journal,
    ) -> Result<(), Malformed> {
        for entry in record::entries(snapshot) {
            let (kind, body) = entry?;
            self.restore(kind, body, Place::default(), journal)?;
        }
        Ok(())
    }

    /// The virtual hosts, for tests and tools.
    pub fn vhosts(&self) -> impl Iterator<Item = (VhostId, &str)> {
        self.ledger.vhosts.iter().map(|(id, v)| (*id, v.name.as_str()))
    }
}

pub(super) fn entry(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

/// A queue's entries that the log holds, by where it holds them.
fn hold(q: &Queue, overdue: Vec<(u64, u64, u64)>, out: &mut Vec<u8>) {
    for (n, rank) in q.line.ranks().iter().enumerate() {
        if rank.next() > base_of(n) || n == 0 {
            hold_rank(q.id, rank, out);
        }
        if rank.is_measured() && rank.live() > 0 {
            let sizes: Vec<(u64, &[u32])> = rank.sizes().collect();
            entry(out, kind::SIZES, |body| record::write_sizes(q.id, &sizes, body));
        }
    }
    if !q.attempts.is_empty() {
        let counts: Vec<(u64, u64, u32)> = q.attempts.iter().collect();
        entry(out, kind::COUNTED, |body| record::write_counted(q.id, &counts, body));
    }
    hold_topics(q, out);
    if let Some(stream) = &q.stream {
        entry(out, kind::SHELVED, |body| record::write_shelved(q.id, stream, body));
    }
    let mut due = overdue;
    due.extend(q.expiry.iter());
    if !due.is_empty() {
        entry(out, kind::DUE, |body| record::write_due(q.id, &due, body));
    }
}

fn hold_rank(queue: QueueId, rank: &Rank, out: &mut Vec<u8>) {
    let mut extents = Vec::new();
    for block in rank.blocks().filter(|b| b.live > 0) {
        let count = u64::from(block.count.max(1));
        // Bytes of an extent are not kept: its share of the block's is near enough, since
        // they only tell when a block is full.
        extents
            .extend(block.extents.iter().map(|e| (*e, block.bytes * u64::from(e.count) / count)));
    }
    let gone: Vec<(u64, u64)> = rank.gone().iter().collect();
    entry(out, kind::HELD, |body| record::write_held(queue, rank.next(), &extents, &gone, body));
}
