//! Berths: clients take them, say what they want to hear, and leave or are lost; what came for
//! them waits. Wills and ends come by themselves.

mod attach;
mod follow;
mod leave;
mod load;
mod marks;
mod sift;

pub use sift::{keep_short, sift};

use super::Broker;
use super::recover::entry;
use crate::change::Change;
use crate::id::BerthId;
use crate::journal::Journal;
use crate::ledger::{Berth, Hearing};
use crate::record::{self, MarkDeed, kind};
use hashbrown::HashMap;
use lockgate_model::{Consumer, Interest, Lasting, Name, Refusal, Replay, SessionId, Will};

/// A berth with its client there.
#[derive(Debug)]
pub struct Mooring {
    /// Who has it.
    pub session: SessionId,
    /// Most entries that the client holds.
    in_flight_max: u32,
    /// The handles of shared interests, by filter.
    shared: HashMap<Name, Consumer>,
    next_handle: u32,
}

impl Mooring {
    /// The handle of a shared interest, new if it has none.
    fn handle(&mut self, filter: &Name) -> Consumer {
        if let Some(handle) = self.shared.get(filter) {
            return *handle;
        }
        let handle = Consumer(self.next_handle);
        self.next_handle = self.next_handle.wrapping_add(1).max(FIRST_SHARED);
        self.shared.insert(filter.clone(), handle);
        handle
    }
}

/// The first handle behind those that every berth has.
const FIRST_SHARED: u32 = 2;

/// Most berths that are seen to in one turn: a great many may have lost their clients at once,
/// and others are to be served meanwhile.
const TIDES_MAX: usize = 1000;

impl Broker {
    /// The berth that a session has taken and not lost.
    fn berth_of(&self, session: SessionId) -> Option<BerthId> {
        let id = self.dispatch.sessions.get(&session)?.berth?;
        let mooring = self.dispatch.moorings.get(&id)?;
        (mooring.session == session).then_some(id)
    }

    fn taken(&self, session: SessionId) -> Result<BerthId, Refusal> {
        self.berth_of(session).ok_or_else(|| Refusal::Invalid("no berth is taken".into()))
    }

    /// Looks at a berth when something of it is due.
    fn arm_berth(&mut self, id: BerthId) {
        if let Some(ms) = self.ledger.berths.get(&id).and_then(|b| due(b)) {
            self.tides.insert((ms, id));
        }
    }

    /// Nothing of a berth is due any more: its client is back, or it ends.
    pub(super) fn disarm_berth(&mut self, id: BerthId) {
        if let Some(ms) = self.ledger.berths.get(&id).and_then(|b| due(b)) {
            self.tides.remove(&(ms, id));
        }
    }

    /// Does what is due of berths whose clients are away.
    pub(super) fn turn_tides(
        &mut self,
        journal: &mut impl Journal,
        out: &mut crate::journal::Effects,
    ) {
        let now = self.now.millis();
        for _ in 0..TIDES_MAX {
            let Some((_, id)) = self.tides.first().copied().filter(|(ms, _)| *ms <= now) else {
                return;
            };
            self.tides.pop_first();
            // One that was taken again, or has ended, is not looked for here.
            let Some(b) = self.ledger.berths.get(&id) else { continue };
            if end(b).is_some_and(|at| at <= now) {
                self.end_berth(id, journal, out);
            } else if will_due(b).is_some_and(|at| at <= now) {
                self.send_will(id, journal, out);
                self.arm_berth(id);
            }
        }
    }
}

impl Broker {
    /// The berths that are in the log, for a snapshot.
    pub(super) fn hold_berths(&self, out: &mut Vec<u8>) {
        let mut all: Vec<_> = self.ledger.berths.values().filter(|b| b.logged).collect();
        all.sort_unstable_by_key(|b| b.id);
        for b in all {
            let mut made = |change: &Change| {
                entry(out, kind::MADE, |body| record::write_change(change, body));
            };
            let (id, at, lasting) = (b.id, b.away, b.lasting);
            made(&Change::BerthTaken(Box::new(b.spec())));
            for interest in &b.interests {
                made(&Change::Followed { id, interest: interest.clone() });
            }
            if self.settles_idly(b) {
                let interest = nothing();
                let filter = interest.filter.clone();
                made(&Change::Followed { id, interest });
                made(&Change::Unfollowed { id, filter });
            }
            if at.is_some() {
                made(&Change::BerthLeft { id, at, lasting, will: b.will.is_some() });
            }
            let (open, received) = b.marks_listed();
            for (deed, marks) in [(MarkDeed::Opened, open), (MarkDeed::Received, received)] {
                if !marks.is_empty() {
                    let write =
                        |body: &mut Vec<u8>| record::write_mark_deed(id, deed, &marks, body);
                    entry(out, kind::MARKS, write);
                }
            }
        }
    }

    /// Is a queue its settling one because of what it wanted before? Interests alone tell
    /// which queue is what, also of those that have ended.
    fn settles_idly(&self, b: &Berth) -> bool {
        let q = self.ledger.queue_named(b.vhost, &b.settling);
        q.is_some_and(|q| q.hearing == Some(Hearing::Settling(b.id)))
            && !b.interests.iter().any(|i| b.queue_of(i) == &b.settling)
    }
}

/// An interest that comes to the settling queue and matches no topic.
fn nothing() -> Interest {
    Interest {
        filter: Name::default(),
        pattern_at: 0,
        group: None,
        key: Default::default(),
        level: 1,
        not_own: false,
        as_published: false,
        replay: Replay::Never,
        label: 0,
    }
}

/// When a berth whose client is away ends.
fn end(b: &Berth) -> Option<u64> {
    match b.lasting {
        Lasting::Not => b.away,
        Lasting::Seconds(s) => b.away.map(|at| at.saturating_add(u64::from(s) * 1000)),
        Lasting::Always => None,
    }
}

/// When the will of a client that is away is published.
fn will_due(b: &Berth) -> Option<u64> {
    let Will { delay, .. } = b.will.as_deref()?;
    let wish = b.away?.saturating_add(u64::from(*delay) * 1000);
    Some(end(b).map_or(wish, |end| end.min(wish)))
}

/// When something of it is due.
fn due(b: &Berth) -> Option<u64> {
    end(b).into_iter().chain(will_due(b)).min()
}
