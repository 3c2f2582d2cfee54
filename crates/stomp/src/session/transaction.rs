//! Transactions: what is sent and settled in one waits until COMMIT, and goes to the engine
//! as one request that is done whole or not at all. What is open at the end is void.

use super::ask::Then;
use super::send::To;
use super::{Connection, Span};
use crate::error::{Fault, shown};
use crate::map::Sent;
use crate::packet::Frame;
use lockgate_front::Output;
use lockgate_model::{Outcome, Request, RunBuilder, Step, Time};
use std::sync::Arc;

/// What waits for the commit.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    steps: Vec<Step>,
    /// What the steps settle, to be in flight again after ABORT.
    settled: Vec<Span>,
    /// Those of its SENDs.
    receipts: Vec<Box<[u8]>>,
    actions: usize,
    /// Bytes that the steps hold in memory.
    bytes: u64,
}

impl Connection {
    pub(super) fn begin(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        let name = named(frame, "BEGIN")?;
        let max = self.settings.transactions_max;
        if !self.transactions.contains_key(name) && self.transactions.len() >= max {
            let text = format!("A connection may have {max} open transactions\n");
            return Err(Fault::new("Too many transactions", text));
        }
        // As RabbitMQ does it: the same name again begins anew.
        if let Some(old) = self.transactions.insert(name.into(), Transaction::default()) {
            old.settled.into_iter().for_each(|span| self.inflight.put_back(span));
        }
        self.say_owed(frame, out);
        Ok(())
    }

    pub(super) fn commit(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        let name = named(frame, "COMMIT")?;
        let Some(done) = self.transactions.remove(name) else { return Err(bad(name)) };
        let mut receipts = done.receipts;
        receipts.extend(frame.get("receipt").map(Box::from));
        self.publishes = true;
        self.ask(Request::Commit(done.steps), Then::Committed(receipts), out);
        Ok(())
    }

    pub(super) fn abort(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        let name = named(frame, "ABORT")?;
        let Some(undone) = self.transactions.remove(name) else { return Err(bad(name)) };
        undone.settled.into_iter().for_each(|span| self.inflight.put_back(span));
        self.say_owed(frame, out);
        Ok(())
    }

    /// The name of an open transaction that has room for one more frame.
    pub(super) fn transaction_key(&self, name: &[u8]) -> Result<Box<[u8]>, Fault> {
        let open = self.transactions.get(name).ok_or_else(|| bad(name))?;
        let max = self.settings.transaction_actions_max;
        if open.actions >= max {
            let text = format!("A transaction may have {max} frames\n");
            return Err(Fault::new("Transaction too large", text));
        }
        Ok(name.into())
    }

    /// A SEND that waits for the commit. It is copied, so that it does not pin what it was
    /// read with.
    pub(super) fn send_later(
        &mut self,
        frame: &Frame<'_>,
        name: &[u8],
        to: &To<'_>,
        now: Time,
    ) -> Result<(), Fault> {
        let name = self.transaction_key(name)?;
        let mut head = Vec::new();
        let sent = self.write_head(frame, &to.reply, now, &mut head)?;
        let mut run = RunBuilder::default();
        for target in std::iter::once(&to.first).chain(&to.more) {
            let (exchange, key) = target.names();
            let (exchange, key) = (exchange.as_bytes(), key.as_bytes());
            let Sent { persistent, priority } = sent;
            run.push(exchange, key, false, &head, frame.body, persistent, priority);
        }
        let run = run.finish();
        let bytes_max = self.settings.transaction_bytes_max;
        let Some(open) = self.transactions.get_mut(&name) else { return Err(bad(&name)) };
        let bytes = open.bytes + run.bytes.len() as u64;
        if bytes > bytes_max {
            let text = format!("A transaction may have {bytes_max} bytes\n");
            return Err(Fault::new("Transaction too large", text));
        }
        open.bytes = bytes;
        open.actions += 1;
        open.steps.push(Step::Publish(Arc::new(run)));
        open.receipts.extend(frame.get("receipt").map(Box::from));
        Ok(())
    }

    /// Steps beside what a NACK settles.
    pub(super) fn steps_later(&mut self, name: &[u8], steps: Vec<Step>) {
        if let Some(open) = self.transactions.get_mut(name) {
            open.steps.extend(steps);
        }
    }

    /// What an ACK or NACK settles when the commit comes.
    pub(super) fn settle_later(&mut self, name: &[u8], taken: &mut Vec<Span>, outcome: Outcome) {
        let Some(open) = self.transactions.get_mut(name) else { return };
        open.actions += 1;
        for span in taken.drain(..) {
            open.settled.push(span);
            open.steps.push(span.step(outcome));
        }
    }

    /// The receipt of a frame that is done.
    fn say_owed(&mut self, frame: &Frame<'_>, out: &mut Output) {
        if let Some(receipt) = frame.get("receipt") {
            self.say_receipt(receipt, out);
        }
    }
}

fn named<'a>(frame: &Frame<'a>, command: &str) -> Result<&'a [u8], Fault> {
    frame.get("transaction").ok_or_else(|| {
        let text = format!("\"{command}\" must include a 'transaction' header\n");
        Fault::new("Missing transaction", text)
    })
}

fn bad(name: &[u8]) -> Fault {
    let text = format!("Invalid transaction identifier: \"{}\"\n", shown(name));
    Fault::new("Bad transaction", text)
}
