//! Marks: what is published under one that is open is not published again, and what was
//! received is known until it is completed. Both are in the log if the berth lasts, in one
//! group with what they speak of.

use super::super::Broker;
use crate::id::BerthId;
use crate::journal::{Effects, Journal};
use crate::ledger::Marks;
use crate::record::{self, MarkDeed};
use lockgate_model::{Event, Lane, LeaseId, Mark, Outcome, Run, RunBuilder, SessionId, Ticket};
use std::sync::Arc;

/// Marks of one message after the other, published together.
struct Stretch<'a> {
    run: Arc<Run>,
    marks: &'a [Mark],
    first: Ticket,
}

impl Broker {
    #[allow(clippy::too_many_arguments)] // the command's fields, and the turn's
    pub(in super::super) fn publish_once(
        &mut self,
        session: SessionId,
        lane: Lane,
        run: &Arc<Run>,
        marks: &[Mark],
        confirm: Ticket,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(id) = self.berth_of(session) else { return };
        let count = run.items.len().min(marks.len());
        let mut at = 0;
        while at < count {
            let open = self.ledger.berths.get(&id).and_then(|b| b.marks.as_ref());
            let is_open = |mark: &Mark| open.is_some_and(|m| m.open.contains(mark));
            let known = is_open(&marks[at]);
            let alike = marks[at..count].iter().take_while(|mark| is_open(mark) == known).count();
            // A mark that stands twice in one batch is known when it comes again.
            let fresh = distinct(&marks[at..at + alike]);
            let end = at + if known { alike } else { fresh };
            let first = Ticket(confirm.0 + at as u64);
            if known {
                let (count, after) = ((end - at) as u32, self.marked);
                out.after(after, session, Event::Confirmed { lane, first, count });
            } else {
                let run = stretch(run, at, end);
                let stretch = Stretch { run, marks: &marks[at..end], first };
                self.publish_stretch(session, lane, id, &stretch, journal, out);
            }
            at = end;
        }
    }

    fn publish_stretch(
        &mut self,
        session: SessionId,
        lane: Lane,
        id: BerthId,
        stretch: &Stretch<'_>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let logged = self.is_berth_lasting(id);
        let grouped = logged && self.begin_group(journal);
        let told = out.events.len();
        let Stretch { run, marks, first } = stretch;
        self.publish(session, lane, run, Some(*first), journal, out);
        let mut taken: Vec<Mark> = Vec::with_capacity(marks.len());
        for effect in out.events.get(told..).unwrap_or_default() {
            if effect.session == session
                && let Event::Confirmed { first: from, count, .. } = effect.event
            {
                let from = from.0.saturating_sub(first.0) as usize;
                taken.extend(marks.iter().skip(from).take(count as usize));
            }
        }
        self.do_marks(id, MarkDeed::Opened, &taken, logged, journal);
        if !grouped {
            return;
        }
        let end = self.end_group(journal);
        for effect in out.events.get_mut(told..).unwrap_or_default() {
            if effect.session == session && matches!(effect.event, Event::Confirmed { .. }) {
                effect.after = effect.after.max(end);
            }
        }
    }

    pub(in super::super) fn release_marks(
        &mut self,
        session: SessionId,
        lane: Lane,
        marks: &[Mark],
        first: Ticket,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(id) = self.berth_of(session) else { return };
        let logged = self.is_berth_lasting(id);
        let after = self.do_marks(id, MarkDeed::Released, marks, logged, journal);
        let count = marks.len() as u32;
        out.after(after, session, Event::Confirmed { lane, first, count });
    }

    #[allow(clippy::too_many_arguments)] // the command's fields, and the turn's
    pub(in super::super) fn received(
        &mut self,
        session: SessionId,
        lane: Lane,
        lease: LeaseId,
        from: u32,
        marks: &[Mark],
        first: Ticket,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let Some(id) = self.berth_of(session) else { return };
        let (logged, count) = (self.is_berth_lasting(id), marks.len() as u32);
        let grouped = logged && self.begin_group(journal);
        self.settle(session, lease, from, count, Outcome::Accept, journal);
        let mut after = self.do_marks(id, MarkDeed::Received, marks, logged, journal);
        if grouped {
            after = self.end_group(journal);
        }
        out.after(after, session, Event::Confirmed { lane, first, count });
    }

    pub(in super::super) fn completed(
        &mut self,
        session: SessionId,
        marks: &[Mark],
        journal: &mut impl Journal,
    ) {
        let Some(id) = self.berth_of(session) else { return };
        let logged = self.is_berth_lasting(id);
        self.do_marks(id, MarkDeed::Completed, marks, logged, journal);
    }

    fn is_berth_lasting(&self, id: BerthId) -> bool {
        self.ledger.berths.get(&id).is_some_and(|b| b.lasting.lasts())
    }

    /// Does what it says to these marks, in the log too if they last. Says what must be
    /// committed before anybody may count on it.
    fn do_marks(
        &mut self,
        id: BerthId,
        deed: MarkDeed,
        marks: &[Mark],
        logged: bool,
        journal: &mut impl Journal,
    ) -> u64 {
        self.apply_marks(id, deed, marks);
        if marks.is_empty() || !logged {
            return 0;
        }
        let write = |out: &mut Vec<u8>| record::write_mark_deed(id, deed, marks, out);
        let end = journal.append(record::kind::MARKS, write).end();
        if deed == MarkDeed::Opened {
            self.marked = self.marked.max(end);
        }
        end
    }

    /// What a record of marks says.
    pub(in super::super) fn apply_marks(&mut self, id: BerthId, deed: MarkDeed, marks: &[Mark]) {
        let Some(b) = self.ledger.berths.get_mut(&id) else { return };
        let Marks { open, received } = b.marks();
        match deed {
            MarkDeed::Opened => open.extend(marks),
            MarkDeed::Released => marks.iter().for_each(|mark| {
                open.remove(mark);
            }),
            MarkDeed::Received => received.extend(marks),
            MarkDeed::Completed => marks.iter().for_each(|mark| {
                received.remove(mark);
            }),
        }
        if open.is_empty() && received.is_empty() {
            b.marks = None;
        }
    }
}

/// How many of the first differ from each other.
fn distinct(marks: &[Mark]) -> usize {
    let mut seen = std::collections::HashSet::with_capacity(marks.len());
    marks.iter().take_while(|mark| seen.insert(**mark)).count()
}

/// Items `from..to` of a run as a run of their own.
fn stretch(run: &Arc<Run>, from: usize, to: usize) -> Arc<Run> {
    if from == 0 && to == run.items.len() {
        return Arc::clone(run);
    }
    let mut part = RunBuilder::default();
    part.copy(run, from, to);
    Arc::new(part.finish())
}
