//! Receipts. That of a SEND is owed until its message is confirmed, which is when it is safe;
//! those of other frames are told when the frame is done.

use super::Connection;
use crate::encode;
use crate::error::Fault;
use lockgate_front::Output;
use lockgate_model::Ticket;
use std::collections::VecDeque;

/// Receipts of messages that are not confirmed yet, by ticket.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    owed: VecDeque<(u64, Box<[u8]>)>,
    /// The last ticket given.
    last: u64,
}

impl Receipts {
    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// Tickets for `count` messages; the first of them.
    pub(super) fn tickets(&mut self, count: usize) -> Ticket {
        let first = self.last + 1;
        self.last += count as u64;
        Ticket(first)
    }

    /// Owes a receipt. Tickets only grow.
    pub(super) fn owe(&mut self, ticket: u64, receipt: Box<[u8]>) {
        self.owed.push_back((ticket, receipt));
    }

    /// What is owed for `count` messages from `first` on.
    fn due(&mut self, first: Ticket, count: u32) -> impl Iterator<Item = (u64, Box<[u8]>)> + '_ {
        let end = first.0.saturating_add(count.into());
        let from = self.owed.partition_point(|(ticket, _)| *ticket < first.0);
        let to = self.owed.partition_point(|(ticket, _)| *ticket < end);
        self.owed.drain(from..to.max(from))
    }
}

impl Connection {
    /// Messages are safe.
    pub(super) fn confirmed(&mut self, first: Ticket, count: u32, out: &mut Output) {
        let (escapes, behind) = (self.escapes(), self.behind());
        for (_, id) in self.receipts.due(first, count) {
            encode::frame(
                out.bytes.small(),
                "RECEIPT",
                [("receipt-id", &*id)],
                b"",
                escapes,
                behind,
            );
        }
    }

    /// Messages were not taken. Whoever asked is told; RabbitMQ would leave him waiting.
    pub(super) fn rejected(&mut self, first: Ticket, count: u32, out: &mut Output) {
        let refused: Vec<_> = self.receipts.due(first, count).collect();
        let fault = Fault::new("Message rejected", "A queue did not take the message\n");
        for (_, id) in refused {
            self.say_error(&fault, Some(("receipt-id", &id)), out);
        }
    }

    pub(super) fn say_receipt(&self, id: &[u8], out: &mut Output) {
        let (escapes, behind) = (self.escapes(), self.behind());
        encode::frame(out.bytes.small(), "RECEIPT", [("receipt-id", id)], b"", escapes, behind);
    }
}
