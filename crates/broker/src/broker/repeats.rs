//! Repeats: what an exchange or a queue has had before goes no further there. It is confirmed,
//! when the log is committed as far as the first one needs, and counted.
//!
//! An exchange's mark and the message that it speaks of stand in one group of the log; what a
//! queue has had is read from the messages themselves. So no crash leaves one without the other.

use super::Broker;
use super::recover::entry;
use crate::id::{ExchangeId, QueueId};
use crate::journal::Journal;
use crate::ledger::{Digest, Known};
use crate::record::{self, kind};
use lockgate_model::{Malformed, Run, Time};

/// An id that an exchange is to know.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The exchange.
    pub exchange: ExchangeId,
    /// The id.
    pub digest: Digest,
    /// Known up to this moment.
    pub until: u64,
    /// The exchange knows it after a restart, if the message is to last too.
    pub lasts: bool,
}

impl Broker {
    /// Exchanges have seen a message that was taken.
    pub(super) fn mark(&mut self, marks: &[Mark], persistent: bool, journal: &mut impl Journal) {
        for mark in marks {
            let lasts = mark.lasts && persistent;
            if lasts {
                let what = [(mark.digest, mark.until)];
                journal.append(kind::MARKED, |body| {
                    record::write_digests(mark.exchange.0, what.into_iter(), body);
                });
            }
            let x = self.ledger.exchanges.get_mut(&mark.exchange);
            if let Some(window) = x.and_then(|x| x.window.as_mut()) {
                window.mark(mark.digest, mark.until, lasts);
            }
        }
    }

    /// A queue has got items `from..to` of a run, its entries from `first` on, which the log
    /// holds up to `logged` if it does.
    pub(super) fn note_labels(
        &mut self,
        queue: QueueId,
        first: u64,
        run: &Run,
        (from, to): (usize, usize),
        logged: Option<u64>,
    ) {
        let now = self.now.millis();
        let known = self.ledger.queues.get_mut(&queue).and_then(|q| q.known.as_deref_mut());
        let Some(known) = known else { return };
        for (number, item) in (first..).zip(&run.items[from..to]) {
            if let Some(label) = known.rules().label(run.head(item)) {
                known.note(label, number, now, logged.is_some());
            }
        }
        self.marked = self.marked.max(logged.unwrap_or(0));
    }

    /// Replay: what queues have had of a record's messages.
    pub(super) fn restore_labels(
        &mut self,
        targets: &[(QueueId, u64)],
        at: Time,
        body: &[u8],
    ) -> Result<(), Malformed> {
        for (queue, first) in targets {
            let known = self.ledger.queues.get_mut(queue).and_then(|q| q.known.as_deref_mut());
            let Some(known) = known else { continue };
            for (number, head) in (*first..).zip(record::heads(body)?) {
                if let Some(label) = known.rules().label(head) {
                    known.note(label, number, at.millis(), true);
                }
            }
        }
        Ok(())
    }

    /// Replay: what an exchange, or a queue, has seen.
    pub(super) fn restore_marks(&mut self, holder: u32, marks: &[(Digest, u64)]) {
        let x = self.ledger.exchanges.get_mut(&ExchangeId(holder)).and_then(|x| x.window.as_mut());
        let q = self.ledger.queues.get_mut(&QueueId(holder)).and_then(|q| q.known.as_deref_mut());
        let of_queue = q.and_then(|k| if let Known::Window(w) = k { Some(w) } else { None });
        let Some(window) = x.or(of_queue) else { return };
        marks.iter().for_each(|(digest, until)| window.mark(*digest, *until, true));
    }

    /// What lasts of all that was seen, for a snapshot.
    pub(super) fn hold_marks(&self, out: &mut Vec<u8>) {
        let exchanges = self.ledger.exchanges.values().filter(|x| x.spec.durable);
        let of_exchanges = exchanges.filter_map(|x| Some((x.id.0, x.window.as_ref()?)));
        let of_queues = self.ledger.queues.values().filter(|q| q.is_logged());
        let of_queues = of_queues.filter_map(|q| match q.known.as_deref()? {
            Known::Window(window) => Some((q.id.0, window)),
            Known::Roll(..) => None,
        });
        let mut windows: Vec<_> = of_exchanges.chain(of_queues).collect();
        windows.sort_unstable_by_key(|(id, _)| *id);
        for (id, window) in windows {
            let marks: Vec<_> = window.lasting().collect();
            if !marks.is_empty() {
                let write = |body: &mut _| record::write_digests(id, marks.into_iter(), body);
                entry(out, kind::MARKED, write);
            }
        }
        let rolls = self.ledger.queues.values().filter(|q| q.is_logged());
        let mut rolls: Vec<_> = rolls
            .filter_map(|q| match q.known.as_deref()? {
                Known::Roll(_, roll) => Some((q, roll)),
                Known::Window(_) => None,
            })
            .collect();
        rolls.sort_unstable_by_key(|(q, _)| q.id);
        for (q, roll) in rolls {
            let logged = |(_, number): &(Digest, u64)| q.line.is_logged(*number);
            let ids: Vec<_> = roll.iter().filter(logged).collect();
            if !ids.is_empty() {
                let write = |body: &mut _| record::write_digests(q.id.0, ids.into_iter(), body);
                entry(out, kind::ROLLED, write);
            }
        }
    }
}
