//! Dead letters: what is refused, expires or finds its queue full goes to the queue's
//! dead-letter exchange, with the story of its deaths in its headers.
//!
//! Dying takes two steps, since a message may be on the disk: its entry is noted as dying, and
//! when its body is at hand it is published anew and then settled. The log says it in that
//! order, so a crash between the two repeats the letter and never loses it.

use super::Broker;
use super::backlog::{AHEAD, ask};
use super::story::Story;
use crate::dispatch::{Death, Reason};
use crate::id::{QueueId, VhostId};
use crate::journal::{Effects, Journal};
use crate::ledger::{DeadLetter, Read, Slice};
use crate::ranges::Ranges;
use lockgate_model::Name;
use std::sync::Arc;

/// Letters that no queue takes are tried again after this: what makes room elsewhere, or a
/// way to it, tells nobody.
const LETTERS_AGAIN_MS: u64 = 1000;

/// Of so many that die, wherever they are, the blocks are fetched at a time: enough to keep the
/// disk busy, a megabyte at most.
const DEATHS_AHEAD: usize = 16;

impl Broker {
    /// Entries `from..to` die, in nobody's hands any more. Returns how many there were.
    pub(super) fn die(
        &mut self,
        queue: QueueId,
        from: u64,
        to: u64,
        reason: Reason,
        journal: &mut impl Journal,
    ) -> u64 {
        let Some(q) = self.ledger.queues.get(&queue) else { return 0 };
        if q.rules.dead_letter.is_none() {
            return self.settle_range(queue, from, to, journal);
        }
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return 0 };
        // What is dying already dies once.
        let mut fresh = Ranges::default();
        fresh.insert(from, to);
        for (from, to) in desk.doomed.within(from, to) {
            fresh.remove(from, to);
        }
        let mut died = 0;
        for (from, to) in fresh.iter() {
            let count = q.line.live_within(from, to);
            if count > 0 {
                desk.dying.push_back(Death { from, to, reason });
                desk.doomed.insert(from, to);
                desk.dying_count += count;
                died += count;
            }
        }
        self.dispatch.wake(queue);
        died
    }

    /// Publishes and settles what is dying, as far as it is in memory.
    pub(super) fn bury(&mut self, queue: QueueId, journal: &mut impl Journal, out: &mut Effects) {
        loop {
            let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            if desk.stuck_until.is_some() {
                return;
            }
            let Some(death) = desk.dying.front_mut() else { return };
            let next = q.line.next_live(death.from).filter(|n| *n < death.to);
            let Some(from) = next else {
                desk.doomed.remove(death.from, death.to);
                desk.dying.pop_front();
                continue;
            };
            desk.doomed.remove(death.from, from);
            death.from = from;
            let (to, reason) = (death.to, death.reason);
            let before = q.line.resident();
            let read = q.line.read(from, to);
            self.resident = self.resident + q.line.resident() - before;
            let Some(Read::Slice(slice)) = read else {
                return self.ask_for_dying(queue, out);
            };
            if slice.item == 0 {
                ask(queue, &mut q.line, (from, to), AHEAD, out);
            }
            let (vhost, name) = (q.vhost, q.spec.name.clone());
            let letter = q.rules.dead_letter.clone();
            let sent = letter.map_or(slice.count, |letter| {
                self.send_letters(vhost, &name, &letter, &slice, reason, journal, out)
            });
            self.settle_range(queue, from, from + u64::from(sent), journal);
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            desk.doomed.remove(from, from + u64::from(sent));
            desk.dying_count -= u64::from(sent);
            match reason {
                // It was read for this alone, and others of its block may wait for long.
                Reason::Expired => self.shed(queue, from, out),
                _ => self.shrink(queue, out),
            }
            let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
            if sent < slice.count {
                desk.stuck_until = Some(self.now.millis() + LETTERS_AGAIN_MS);
                return self.arm(queue);
            }
        }
    }

    /// Asks the disk for what dies next. What dies of age lies scattered about its queue: no
    /// block is read that does not hold any of it.
    fn ask_for_dying(&mut self, queue: QueueId, out: &mut Effects) {
        let Some(q) = self.ledger.queues.get_mut(&queue) else { return };
        let Some(desk) = self.dispatch.desks.get(&queue) else { return };
        for (n, death) in desk.dying.iter().take(DEATHS_AHEAD).enumerate() {
            let blocks = if n == 0 { AHEAD } else { 1 };
            ask(queue, &mut q.line, (death.from, death.to), blocks, out);
        }
    }

    /// Letters that were stuck are tried again, if it is time.
    pub(super) fn try_letters_again(&mut self, queue: QueueId) {
        let Some(desk) = self.dispatch.desks.get_mut(&queue) else { return };
        if desk.stuck_until.take_if(|ms| *ms <= self.now.millis()).is_some() {
            self.dispatch.wake(queue);
        }
    }

    /// Sends a letter for each entry of a slice. Returns for how many of the first: with
    /// at-least-once all whose letters a queue has taken, else all.
    #[allow(clippy::too_many_arguments)] // whose, where to, what and why
    pub(super) fn send_letters(
        &mut self,
        vhost: VhostId,
        queue: &Name,
        letter: &DeadLetter,
        slice: &Slice,
        reason: Reason,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> u32 {
        for item in slice.item..slice.item + slice.count {
            let mut story = Story::of(&slice.run, item as usize);
            story.add(queue, reason, self.now.secs(), letter.key.is_none());
            let (run, keys) = story.letter(&slice.run, item as usize, letter);
            let run = Arc::new(run);
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let head = run.head(&run.items[0]);
            // Nobody is told if its exchange is not there.
            let mut reach = self.route_keys(vhost, &letter.exchange, &keys, head);
            if reach.nowhere && letter.at_least_once {
                return item - slice.item;
            }
            let round = |q: &QueueId| {
                let name = self.ledger.queues.get(q).map(|q| &q.spec.name);
                name.is_none_or(|name| story.goes_round(name))
            };
            reach.retain(|q| !round(q));
            // One of several that is full would have it sent to the others again and again.
            let full = |q: &QueueId| self.is_full(*q, &run.items);
            if letter.at_least_once && reach.queues.len() > 1 && reach.queues.iter().any(full) {
                return item - slice.item;
            }
            let placed = self.send(&reach, &run, None, (0, 1), journal, out);
            if placed.taken == 0 && letter.at_least_once {
                return item - slice.item;
            }
            if reach.nowhere || placed.taken == 0 {
                self.letters_lost += 1;
            }
        }
        slice.count
    }
}
