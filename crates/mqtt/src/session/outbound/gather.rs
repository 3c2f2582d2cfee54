//! What the client's acknowledgements come to, held back within a turn: entries that touch
//! become one command.

use super::RECEIVED;
use super::flight::Entry;
use lockgate_front::Output;
use lockgate_model::{Command, Lane, LeaseId, Mark, Outcome, Ticket};
use std::collections::VecDeque;

/// Commands that are still growing.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Lease, first entry, how many, what became of them.
    settled: Option<(LeaseId, u32, u32, Outcome)>,
    /// Lease, first entry, the first one's ticket.
    received: Option<(LeaseId, u32, Ticket)>,
    /// Theirs, one each.
    marks: Vec<Mark>,
    completed: Vec<Mark>,
    /// Marks whose reception is not safe yet, by ticket; none where it is.
    unsafe_yet: VecDeque<Option<Mark>>,
    /// The first one's ticket, without `RECEIVED`.
    first: u64,
}

impl Gather {
    /// An entry is done with.
    #[inline]
    pub(super) fn settle(&mut self, entry: Entry, outcome: Outcome, out: &mut Output) {
        if let Some((lease, from, count, same)) = &mut self.settled
            && *lease == entry.lease
            && *same == outcome
            && *from + *count == entry.at
        {
            *count += 1;
            return;
        }
        self.flush_settled(out);
        self.settled = Some((entry.lease, entry.at, 1, outcome));
    }

    /// An entry was received under its mark.
    pub(super) fn receive(&mut self, entry: Entry, mark: Mark, out: &mut Output) {
        let joins = self.received.is_some_and(|(lease, from, _)| {
            lease == entry.lease && from + self.marks.len() as u32 == entry.at
        });
        if !joins {
            self.flush_received(out);
            let ticket = Ticket(RECEIVED | (self.first + self.unsafe_yet.len() as u64));
            self.received = Some((entry.lease, entry.at, ticket));
        }
        self.marks.push(mark);
        self.unsafe_yet.push_back(Some(mark));
    }

    /// The client has forgotten a mark.
    pub(super) fn complete(&mut self, mark: Mark) {
        self.completed.push(mark);
    }

    /// `count` receptions are safe from this ticket on: hands over their marks.
    pub(super) fn confirmed(&mut self, first: Ticket, count: u32, mut safe: impl FnMut(Mark)) {
        let Some(from) = (first.0 & !RECEIVED).checked_sub(self.first) else { return };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        for slot in self.unsafe_yet.iter_mut().skip(from).take(count as usize) {
            slot.take().into_iter().for_each(&mut safe);
        }
        while let Some(None) = self.unsafe_yet.front() {
            self.unsafe_yet.pop_front();
            self.first += 1;
        }
        if self.unsafe_yet.is_empty() {
            // An idle client holds nothing.
            self.unsafe_yet = VecDeque::new();
        }
    }

    fn flush_settled(&mut self, out: &mut Output) {
        if let Some((lease, from, count, outcome)) = self.settled.take() {
            out.commands.push(Command::Settle { lease, from, count, outcome });
        }
    }

    /// A mark is used again only after it was completed, and is told in that order.
    fn flush_received(&mut self, out: &mut Output) {
        if !self.completed.is_empty() {
            out.commands.push(Command::Completed(std::mem::take(&mut self.completed)));
        }
        if let Some((lease, from, confirm)) = self.received.take() {
            let (lane, marks) = (Lane::default(), std::mem::take(&mut self.marks));
            out.commands.push(Command::Received { lane, lease, from, marks, confirm });
        }
    }

    /// Hands over all of it.
    #[inline]
    pub(super) fn flush(&mut self, out: &mut Output) {
        self.flush_settled(out);
        self.flush_received(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lease: u32, at: u32) -> Entry {
        Entry { lease: LeaseId(lease), at }
    }

    fn said(g: &mut Gather, out: &mut Output) -> Vec<String> {
        g.flush(out);
        let told = out.commands.drain(..).map(|c| match c {
            Command::Settle { lease, from, count, outcome } => {
                format!("{outcome:?} {} {from}+{count}", lease.0)
            }
            Command::Received { lease, from, marks, confirm, .. } => {
                let marks: Vec<u16> = marks.iter().map(|m| m.0).collect();
                format!("received {} {from} {marks:?} as {}", lease.0, confirm.0 & !RECEIVED)
            }
            Command::Completed(marks) => format!("completed {}", marks.len()),
            other => format!("{other:?}"),
        });
        told.collect()
    }

    #[test]
    fn entries_that_touch_become_one_command() {
        let (mut g, mut out) = (Gather::default(), Output::default());
        for at in [0, 1, 2, 4] {
            g.settle(entry(1, at), Outcome::Accept, &mut out);
        }
        g.settle(entry(1, 5), Outcome::Discard, &mut out);
        g.settle(entry(2, 6), Outcome::Discard, &mut out);
        let all = ["Accept 1 0+3", "Accept 1 4+1", "Discard 1 5+1", "Discard 2 6+1"];
        assert_eq!(said(&mut g, &mut out), all);
        assert!(said(&mut g, &mut out).is_empty());
    }

    #[test]
    fn receptions_that_touch_become_one_command_and_are_known_by_their_tickets() {
        let (mut g, mut out) = (Gather::default(), Output::default());
        for (at, mark) in [(0, 7), (1, 32_000), (3, 9)] {
            g.receive(entry(1, at), Mark(mark), &mut out);
        }
        g.complete(Mark(5));
        g.receive(entry(2, 4), Mark(10), &mut out);
        let all = [
            "received 1 0 [7, 32000] as 0",
            "completed 1",
            "received 1 3 [9] as 2",
            "received 2 4 [10] as 3",
        ];
        assert_eq!(said(&mut g, &mut out), all);
        let mut safe = Vec::new();
        g.confirmed(Ticket(RECEIVED | 1), 2, |mark| safe.push(mark.0));
        g.confirmed(Ticket(RECEIVED | 1), 2, |mark| safe.push(mark.0));
        g.confirmed(Ticket(RECEIVED), 1, |mark| safe.push(mark.0));
        assert_eq!(safe, [32_000, 9, 7]);
        g.receive(entry(2, 5), Mark(11), &mut out);
        assert_eq!(said(&mut g, &mut out), ["received 2 5 [11] as 4"]);
        g.confirmed(Ticket(RECEIVED | 3), 9, |mark| safe.push(mark.0));
        assert_eq!(safe[3..], [10, 11]);
    }
}
