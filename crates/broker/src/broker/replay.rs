//! Replaying: who is newly interested in topics is sent what they retain, as copies in the
//! queue of its interest. They are given in portions: the next one when the last one is taken,
//! so that much that is retained costs little memory however slow its reader is.
//!
//! A replay is volatile: what has not been given when the process ends is not given later. It
//! ends with its queue, and when its interest does.

use super::Broker;
use super::backlog::{AHEAD, ask, read};
use crate::id::{ExchangeId, QueueId};
use crate::journal::{Effects, Journal};
use crate::ledger::{ById, Found, Line, Queue, Read, Retained, Slice};
use lockgate_model::{Interest, Item, Names, Replay, Retain, Run, RunBuilder, topic};
use smallvec::SmallVec;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Most copies, and bytes of them, that a queue is given at a time: about a block.
const PORTION_MAX: usize = 2048;
const PORTION_BYTES: usize = 64 * 1024;

/// Most entries that are remembered of one replay. Where more match, or are to be looked at to
/// know, all that is retained is gone through, in order.
const FOUND_MAX: usize = 1024;
const LOOKS_MAX: usize = 65_536;

/// So much is looked at for one queue in a turn: then others get theirs.
const TURN_LOOKS: usize = 65_536;

/// Most blocks that one portion is taken from.
const BLOCKS_MAX: usize = 2 * AHEAD;

/// Replays that are under way.
#[derive(Debug, Default)]
pub struct Replays {
    /// By the queue that copies go to: one after the other.
    under_way: ById<QueueId, VecDeque<Replaying>>,
    /// Those that wait for the log: up to where, and for which queue.
    early: BTreeSet<(u64, QueueId)>,
    /// Those that wait for the disk: the store, and for which queue.
    starved: BTreeSet<(QueueId, QueueId)>,
}

/// One replay.
#[derive(Debug)]
struct Replaying {
    store: QueueId,
    pattern: Box<str>,
    /// It begins when the log is committed up to here.
    after: u64,
    /// Entries below were given, or passed.
    at: u64,
    /// From here on they came later than the interest, and came to its queue by themselves.
    below: u64,
    found: Sought,
    /// The queue's entries below this are what was given last.
    given: u64,
}

/// Which entries match.
#[derive(Debug)]
enum Sought {
    /// Nobody has looked yet: only one in a queue's turn is to take memory.
    NotYet,
    /// These, the first one last.
    Few(Vec<u64>),
    /// Each is to be asked.
    Any,
}

/// What was gathered of a replay.
enum Portion {
    /// Copies.
    Some(Run),
    /// Nothing, before the disk brings it.
    Starved,
    /// Nothing in so long a time that others get theirs now.
    Tired,
    /// Nothing any more.
    Over,
}

impl Broker {
    /// An interest was declared: whatever its topics retain is copied to `target`, the queue
    /// where it comes for this client, if the interest wants that. Nothing is given before the
    /// log is committed up to `after`, and nothing at once.
    pub(super) fn replay_retained(
        &mut self,
        exchange: ExchangeId,
        target: QueueId,
        interest: &Interest,
        new: bool,
        after: u64,
    ) {
        let wanted = match interest.replay {
            Replay::Always => true,
            Replay::IfNew => new,
            Replay::Never => false,
        };
        // What is shared is everybody's and nobody's.
        if !wanted || interest.is_shared() {
            return;
        }
        let pattern = interest.pattern();
        self.stop_replay(target, pattern);
        let store = self.ledger.exchanges.get(&exchange).and_then(|x| x.retained);
        let q = store.and_then(|store| self.ledger.queues.get(&store).map(Box::as_ref));
        let Some(Queue { id: store, line, retained: Some(retained), .. }) = q else { return };
        if retained.count() == 0 {
            return;
        }
        let (store, below, found) = (*store, line.next(0), Sought::NotYet);
        let replaying =
            Replaying { store, pattern: pattern.into(), after, at: 0, below, found, given: 0 };
        self.replays.under_way.entry(target).or_default().push_back(replaying);
        if after > self.committed {
            self.replays.early.insert((after, target));
        } else {
            self.dispatch.wake(target);
        }
    }

    /// An interest has ended: what is not given yet is not given any more.
    pub(super) fn stop_replay(&mut self, target: QueueId, pattern: &str) {
        if let Some(line) = self.replays.under_way.get_mut(&target) {
            line.retain(|r| *r.pattern != *pattern);
            if line.is_empty() {
                self.replays.under_way.remove(&target);
            }
        }
    }

    /// A queue is being deleted: nothing goes there any more.
    pub(super) fn stop_replays(&mut self, target: QueueId) {
        self.replays.under_way.remove(&target);
    }

    /// The log is committed: what waited for that begins.
    pub(super) fn begin_replays(&mut self) {
        while let Some((after, target)) = self.replays.early.first().copied()
            && after <= self.committed
        {
            self.replays.early.pop_first();
            self.dispatch.wake(target);
        }
    }

    /// A store has what was asked of the disk: those that wait for it go on.
    pub(super) fn feed_replays(&mut self, store: QueueId) {
        let waiting = (store, QueueId(0))..=(store, QueueId(u32::MAX));
        let waiting: Vec<_> = self.replays.starved.range(waiting).copied().collect();
        for (store, target) in waiting {
            self.replays.starved.remove(&(store, target));
            self.dispatch.wake(target);
        }
    }

    /// The queue is due to be looked at: so is what is replayed to it.
    pub(super) fn wake_replays(&mut self, target: QueueId) {
        if self.replays.under_way.contains_key(&target) {
            self.dispatch.wake(target);
        }
    }

    /// Gives a queue of what is replayed to it as much as is taken, and one portion more.
    pub(super) fn go_on_replaying(
        &mut self,
        target: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        if self.replays.under_way.is_empty() {
            return;
        }
        let Some(mut line) = self.replays.under_way.remove(&target) else { return };
        let mut left = TURN_LOOKS;
        while let Some(replaying) = line.front_mut() {
            if !self.give_all(target, replaying, &mut left, journal, out) {
                break;
            }
            line.pop_front();
        }
        if !line.is_empty() {
            self.replays.under_way.insert(target, line);
        }
    }

    /// Goes on with one replay. True if it is over.
    fn give_all(
        &mut self,
        target: QueueId,
        replaying: &mut Replaying,
        left: &mut usize,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> bool {
        self.expire_retained(replaying.store, journal);
        loop {
            if replaying.after > self.committed {
                return false;
            }
            let Some(room) = self.room_for_replay(target, replaying.given) else { return false };
            match self.gather(replaying, room, left, out) {
                Portion::Some(run) => replaying.given = self.give_copies(target, run, journal, out),
                Portion::Starved => {
                    self.replays.starved.insert((replaying.store, target));
                    return false;
                }
                Portion::Tired => {
                    self.rouse(target, self.now.millis() + 1);
                    return false;
                }
                Portion::Over => return true,
            }
        }
    }

    /// How many copies a queue can be given, and bytes of them, if what it was given before is
    /// taken.
    fn room_for_replay(&mut self, target: QueueId, given: u64) -> Option<(usize, usize)> {
        let q = self.ledger.queues.get(&target)?;
        let desk = self.dispatch.desks.get_mut(&target)?;
        let upcoming = desk.upcoming(&q.line);
        // What is not committed yet is not handed out, and waits like the rest.
        if upcoming.is_some_and(|(from, ..)| from < given) || !desk.unsure.is_empty() {
            return None;
        }
        // Nothing that waits may be pushed out by what was there before it.
        let bytes = q.rules.bytes_max.unwrap_or(u64::MAX).saturating_sub(desk.ready_bytes);
        let most = q.rules.length_max.unwrap_or(u64::MAX);
        let room = most.saturating_sub(self.waiting_messages(target));
        let within = |n: u64, most: usize| usize::try_from(n).unwrap_or(usize::MAX).min(most);
        match (within(room, PORTION_MAX), within(bytes, PORTION_BYTES)) {
            (0, _) | (_, 0) if upcoming.is_some() => None,
            (room, bytes) => Some((room.max(1), bytes)),
        }
    }

    /// The next copies of a replay, at most so many.
    fn gather(
        &mut self,
        r: &mut Replaying,
        (room, bytes): (usize, usize),
        left: &mut usize,
        out: &mut Effects,
    ) -> Portion {
        let Some(q) = self.ledger.queues.get_mut(&r.store) else { return Portion::Over };
        let Queue { line, retained: Some(retained), .. } = q.as_mut() else { return Portion::Over };
        if !r.seek(retained, left) {
            return Portion::Tired;
        }
        let mut copies = RunBuilder::default();
        let (mut slice, mut name): (Option<Slice>, _) = (None, String::new());
        let mut visited: SmallVec<[u64; BLOCKS_MAX]> = SmallVec::new();
        let stopped = loop {
            if copies.len() >= room || (copies.bytes() >= bytes && !copies.is_empty()) {
                break Portion::Over;
            }
            let Some(number) = r.next(retained) else { break Portion::Over };
            let inside = slice.as_ref().and_then(|s| within(s, number));
            if !r.wants(number, inside, retained, &mut name) {
                if *left == 0 {
                    break Portion::Tired;
                }
                *left -= 1;
                r.at = number + 1;
                continue;
            }
            if inside.is_none() {
                if visited.len() == BLOCKS_MAX {
                    break Portion::Over;
                }
                let Some(fresh) = r.read(number, line, &mut self.resident, out) else {
                    break Portion::Starved;
                };
                visited.push(number);
                slice = Some(fresh);
            }
            if let Some((run, item)) = slice.as_ref().and_then(|s| within(s, number)) {
                let names = Names { mandatory: false, ..run.names(item) };
                if !copies.is_empty() && copies.bytes() + item.size() > bytes {
                    break Portion::Over;
                }
                let copy = Item { retain: Retain::Replayed, ..*item };
                copies.push_like(copy, names, run.parts(item));
            }
            r.at = number + 1;
        };
        visited.into_iter().for_each(|number| self.shed(r.store, number, out));
        if copies.is_empty() { stopped } else { Portion::Some(copies.finish()) }
    }

    /// Gives copies to a queue. Returns the number after the last one's.
    fn give_copies(
        &mut self,
        target: QueueId,
        run: Run,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> u64 {
        let (run, now, mut at) = (Arc::new(run), self.now, 0);
        while let Some(first) = run.items.get(at) {
            let alike =
                |i: &&Item| i.persistent == first.persistent && i.priority == first.priority;
            let end = at + run.items[at..].iter().take_while(alike).count();
            self.place(&[target], &run, at, end, now, journal, out);
            at = end;
        }
        self.ledger.queues.get(&target).map_or(0, |q| q.line.next(0))
    }
}

impl Replaying {
    /// Looks which entries match, once. False if too much was looked at already.
    fn seek(&mut self, retained: &Retained, left: &mut usize) -> bool {
        if !matches!(self.found, Sought::NotYet) {
            return true;
        }
        if *left == 0 {
            return false;
        }
        let mut looks = LOOKS_MAX;
        self.found = match retained.find(&self.pattern, FOUND_MAX, &mut looks) {
            Found::All(mut found) => {
                found.retain(|number| *number < self.below);
                found.reverse();
                Sought::Few(found)
            }
            Found::TooMany => Sought::Any,
        };
        *left = left.saturating_sub(LOOKS_MAX - looks);
        true
    }

    /// The next entry that may be given.
    fn next(&mut self, retained: &Retained) -> Option<u64> {
        let Sought::Few(found) = &mut self.found else { return retained.next(self.at, self.below) };
        while let Some(number) = found.last().copied() {
            if number >= self.at && retained.holds(number) {
                return Some(number);
            }
            found.pop();
        }
        None
    }

    /// Does the topic of an entry match? `inside` is its message if that is at hand.
    fn wants(
        &self,
        number: u64,
        inside: Option<(&Run, &Item)>,
        retained: &Retained,
        name: &mut String,
    ) -> bool {
        if matches!(self.found, Sought::Few(_)) {
            return true;
        }
        if let Some((run, item)) = inside {
            let name = run.topic(item).and_then(|t| std::str::from_utf8(t).ok());
            return name.is_some_and(|name| topic::matches(&self.pattern, name));
        }
        retained.spell_entry(number, name);
        topic::matches(&self.pattern, name)
    }

    /// Reads an entry and those behind it that are at hand; asks for it if it is not.
    fn read(
        &self,
        number: u64,
        line: &mut Line,
        resident: &mut u64,
        out: &mut Effects,
    ) -> Option<Slice> {
        let Sought::Few(found) = &self.found else {
            return read(self.store, line, resident, number, self.below, out);
        };
        let before = line.resident();
        let read = line.read(number, self.below);
        *resident = *resident + line.resident() - before;
        if let Some(Read::Slice(slice)) = read {
            return Some(slice);
        }
        // Few of many: what lies between them is not wanted.
        for number in found.iter().rev().take(AHEAD) {
            ask(self.store, line, (*number, number + 1), 1, out);
        }
        None
    }
}

/// An entry of a slice.
fn within(slice: &Slice, number: u64) -> Option<(&Run, &Item)> {
    let at = number.checked_sub(slice.first).filter(|at| *at < u64::from(slice.count))?;
    slice.run.items.get(slice.item as usize + at as usize).map(|item| (&*slice.run, item))
}
