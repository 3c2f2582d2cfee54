//! How far a message gets: the ways out of an exchange are followed, through other exchanges,
//! and end at queues; among them those that exchanges own, to hold back or to remember.

use super::Broker;
use super::berths::{keep_short, sift};
use super::publish::Placed;
use super::repeats::Mark;
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
    /// Exchanges that are to know it from now on.
    pub marks: Vec<Mark>,
    /// An exchange or a queue that it came to has had it before.
    pub repeats: bool,
    /// Nobody takes it: who only remembers it does not count, who has it does.
    pub nowhere: bool,
    /// Every message with the same keys goes there.
    pub lasting: bool,
    /// Some were left out who cannot be told so long a key.
    pub uncrossed: bool,
}

impl Reach {
    /// These queues and no more, for all messages with the same keys.
    pub fn plain(queues: Arc<[QueueId]>) -> Reach {
        // Every message comes by here: nothing is made that is not needed.
        Reach {
            nowhere: queues.is_empty(),
            queues,
            delays: SmallVec::new(),
            marks: Vec::new(),
            repeats: false,
            lasting: true,
            uncrossed: false,
        }
    }

    /// Only those queues of which that is true.
    pub fn retain(&mut self, keep: impl Fn(&QueueId) -> bool) {
        if !self.queues.iter().all(&keep) {
            self.queues = self.queues.iter().filter(|q| keep(q)).copied().collect();
            self.nowhere = self.queues.is_empty() && self.delays.is_empty() && !self.repeats;
        }
    }
}

impl Broker {
    /// Gives items `from..to` of a run to all that they reach. `stripped` is the first of them
    /// as consumers are to see it, if that is not as it was published.
    pub(super) fn send(
        &mut self,
        reach: &Reach,
        run: &Arc<Run>,
        stripped: Option<&Arc<Run>>,
        (from, to): (usize, usize),
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Placed {
        let persistent = run.items[from].persistent;
        let marks_last = persistent && reach.marks.iter().any(|mark| mark.lasts);
        let grouped = marks_last && self.begin_group(journal);
        let now = self.now;
        let (shown, first, end) = stripped.map_or((run, from, to), |own| (own, 0, 1));
        let mut placed = self.place(&reach.queues, shown, first, end, now, journal, out);
        if !reach.delays.is_empty() {
            let held = self.place(&reach.delays, run, from, to, now, journal, out);
            placed.after = placed.after.max(held.after);
        }
        if !reach.nowhere && placed.taken == to - from {
            self.mark(&reach.marks, persistent, journal);
        }
        if grouped {
            placed.after = placed.after.max(self.end_group(journal));
        }
        if reach.repeats {
            self.repeats += 1;
            placed.after = placed.after.max(self.marked);
        }
        placed
    }

    /// Where a message gets from an exchange.
    pub(super) fn reach(&mut self, exchange: ExchangeId, message: &Heading<'_>) -> Reach {
        let now = self.now.millis();
        Walk { ledger: &self.ledger, dice: &mut self.dice, now, past: None }.from(exchange, message)
    }

    /// Where a message gets that an exchange has held back: it knows it already.
    pub(super) fn reach_from_delay(
        &mut self,
        exchange: ExchangeId,
        message: &Heading<'_>,
    ) -> Reach {
        let (now, past) = (self.now.millis(), Some(exchange));
        Walk { ledger: &self.ledger, dice: &mut self.dice, now, past }.from(exchange, message)
    }

    /// Where a message gets that is for these queues.
    pub(super) fn reach_queues(&mut self, queues: Vec<QueueId>, message: &Heading<'_>) -> Reach {
        let now = self.now.millis();
        let walk = Walk { ledger: &self.ledger, dice: &mut self.dice, now, past: None };
        let mut reach = Reach { lasting: true, ..Reach::default() };
        walk.arrive(queues, Vec::new(), message, &mut reach);
        reach
    }
}

/// A way through exchanges.
struct Walk<'a> {
    ledger: &'a Ledger,
    dice: &'a mut Dice,
    now: u64,
    /// This exchange has let it in before.
    past: Option<ExchangeId>,
}

impl Walk<'_> {
    /// Follows the ways out of an exchange, through other exchanges, each once.
    fn from(self, exchange: ExchangeId, message: &Heading<'_>) -> Reach {
        let mut reach = Reach { lasting: true, ..Reach::default() };
        let (mut queues, mut kept, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen: Vec<ExchangeId> = vec![exchange];
        let mut at = 0;
        while let Some(x) = seen.get(at).and_then(|id| self.ledger.exchanges.get(id)) {
            at += 1;
            reach.lasting &= !x.table.is_moody() && !x.manner.looks() && x.window.is_none();
            if !self.lets_in(x, message, &mut reach) {
                continue;
            }
            if x.manner.delays && delay(message.head).is_some() {
                reach.delays.push(Store::Delayed(x.id).id());
                continue;
            }
            if x.manner.keeps.is_some() && keeps(message) {
                kept.push(Store::Kept(x.id).id());
            }
            x.table.find(message, self.dice, &mut found);
            if found.is_empty() {
                found.extend(alternate(self.ledger, x));
            }
            let from = seen.len();
            for target in found.drain(..) {
                match target {
                    Target::Queue(q) => queues.push(q),
                    Target::Exchange(x) if !seen.contains(&x) => seen.push(x),
                    Target::Exchange(_) => {}
                }
            }
            // A map has no order; dice are rolled and marks are made in this one.
            seen[from..].sort_unstable();
        }
        self.arrive(queues, kept, message, &mut reach);
        reach
    }

    /// False if the exchange has seen the message before.
    fn lets_in(&self, x: &Exchange, message: &Heading<'_>, reach: &mut Reach) -> bool {
        let Some(window) = x.window.as_ref().filter(|_| self.past != Some(x.id)) else {
            return true;
        };
        let Some(label) = window.rules.label(message.head) else { return true };
        if window.knows(label.digest, self.now) {
            reach.repeats = true;
            return false;
        }
        let (exchange, digest, lasts) = (x.id, label.digest, window.rules.lasts);
        let until = window.until(label, self.now);
        reach.marks.push(Mark { exchange, digest, until, lasts });
        true
    }

    /// The message comes to these queues, and to what remembers it.
    fn arrive(
        self,
        mut queues: Vec<QueueId>,
        mut kept: Vec<QueueId>,
        message: &Heading<'_>,
        reach: &mut Reach,
    ) {
        queues.retain(|id| {
            let known = self.ledger.queues.get(id).and_then(|q| q.known.as_deref());
            let Some(known) = known else { return true };
            reach.lasting = false;
            let label = known.rules().label(message.head);
            let had = label.is_some_and(|label| known.knows(label, self.now));
            reach.repeats |= had;
            !had
        });
        sift(self.ledger, &mut queues, message.topic);
        reach.uncrossed = keep_short(self.ledger, &mut queues, message.key());
        reach.lasting &= !reach.uncrossed;
        reach.nowhere = queues.is_empty() && reach.delays.is_empty() && !reach.repeats;
        // A map has no order; a route must always be walked alike.
        queues.append(&mut kept);
        queues.sort_unstable();
        queues.dedup();
        reach.queues = queues.into();
    }
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
