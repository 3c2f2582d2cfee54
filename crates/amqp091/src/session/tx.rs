//! Transactions: what is published and settled on the channel waits until commit, and
//! goes to the engine as one request that is done whole or not at all.

use super::publish::PUBLISH;
use super::slots::Mode;
use super::{Connection, Reply};
use crate::error::{Code, Fault};
use lockgate_front::Output;
use lockgate_front::inflight::Span;
use lockgate_model::{Name, Outcome, Request, Run, Step};
use std::sync::Arc;

const TX_SELECT: (u16, u16) = (90, 10);
const TX_COMMIT: (u16, u16) = (90, 20);
const TX_ROLLBACK: (u16, u16) = (90, 30);

/// What waits for the commit.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    steps: Vec<Step>,
    /// What the steps settle, to be in flight again after a rollback.
    settled: Vec<Span>,
    /// Bytes that the steps hold in memory.
    bytes: u64,
    /// More was published than may wait; it can only be rolled back.
    overflown: bool,
    /// The exchange last looked for.
    exchange: Option<Name>,
}

impl Transaction {
    pub(super) fn settle(&mut self, span: Span, outcome: Outcome) {
        self.steps.push(span.step(outcome));
        self.settled.push(span);
    }

    fn publish(&mut self, run: Run, bytes_max: u64) {
        let items = run.items.len() * size_of::<lockgate_model::Item>();
        self.bytes += (run.bytes.len() + items) as u64;
        if self.bytes > bytes_max {
            self.overflown = true;
            self.steps.retain(|step| !matches!(step, Step::Publish(_)));
        } else {
            self.steps.push(Step::Publish(Arc::new(run)));
        }
    }
}

impl Connection {
    pub(super) fn select_tx(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        let channel = self.channel(n)?;
        match channel.mode {
            Mode::Plain => channel.mode = Mode::Tx(Transaction::default()),
            Mode::Tx(_) => {}
            Mode::Confirm(_) => {
                let text = "cannot switch from confirm to tx mode";
                return Err(Fault::new(Code::PreconditionFailed, text));
            }
        }
        self.answer(n, TX_SELECT, Reply::TxSelected, out)
    }

    fn transaction(&mut self, n: u16) -> Result<&mut Transaction, Fault> {
        match &mut self.channel(n)?.mode {
            Mode::Tx(tx) => Ok(tx),
            Mode::Plain | Mode::Confirm(_) => {
                Err(Fault::new(Code::PreconditionFailed, "channel is not transactional"))
            }
        }
    }

    pub(super) fn publish_in_tx(&mut self, n: u16, run: Run, out: &mut Output) {
        let bytes_max = self.shared.settings.transaction_bytes_max;
        let Ok(tx) = self.transaction(n) else {
            return;
        };
        // A missing exchange is said when it is published to, not at the commit.
        let mut sought = Vec::new();
        for origin in &run.origins {
            let name = std::str::from_utf8(run.slice(origin.exchange)).unwrap_or_default();
            if !name.is_empty() && tx.exchange.as_deref() != Some(name) {
                tx.exchange = Some(Name::from(name));
                sought.extend(tx.exchange.clone());
            }
        }
        tx.publish(run, bytes_max);
        for name in sought {
            self.ask(n, PUBLISH, Request::FindExchange(name), None, out);
        }
        self.has_published(out);
    }

    pub(super) fn commit(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        let bytes_max = self.shared.settings.transaction_bytes_max;
        let done = std::mem::take(self.transaction(n)?);
        if done.overflown {
            let text = format!("transaction is larger than configured max size {bytes_max}");
            return Err(Fault::new(Code::PreconditionFailed, text));
        }
        if done.steps.is_empty() {
            return self.answer(n, TX_COMMIT, Reply::Committed, out);
        }
        self.ask(n, TX_COMMIT, Request::Commit(done.steps), Some(Reply::Committed), out);
        Ok(())
    }

    pub(super) fn rollback(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        let undone = std::mem::take(self.transaction(n)?);
        let channel = self.channel(n)?;
        for span in undone.settled {
            channel.inflight.put_back(span);
        }
        self.answer(n, TX_ROLLBACK, Reply::RolledBack, out)
    }
}
