//! Consumers settle: ack, nack, reject and recover, by delivery tags.

use super::slots::Mode;
use super::{Connection, Reply};
use crate::error::{Code, Fault};
use crate::inflight::{Span, UnknownTag};
use lockgate_front::Output;
use lockgate_model::{Command, Outcome};

const RECOVER: (u16, u16) = (60, 110);

impl Connection {
    pub(super) fn settle(
        &mut self,
        n: u16,
        tag: u64,
        multiple: bool,
        outcome: Outcome,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let mut taken = std::mem::take(&mut self.taken);
        let channel = self.channel(n)?;
        channel.inflight.take(tag, multiple, &mut taken).map_err(|UnknownTag(tag)| {
            Fault::new(Code::PreconditionFailed, format!("unknown delivery tag {tag}"))
        })?;
        if let Mode::Tx(tx) = &mut channel.mode {
            taken.drain(..).for_each(|span| tx.settle(span, outcome));
        } else {
            for span in taken.drain(..) {
                if let Some((before, outcome)) = self.settling.add(span, outcome) {
                    out.commands.push(command(before, outcome));
                }
            }
        }
        self.taken = taken;
        Ok(())
    }

    /// Hands over what was settled and held back to be joined.
    pub(super) fn flush_settled(&mut self, out: &mut Output) {
        if let Some((span, outcome)) = self.settling.take() {
            out.commands.push(command(span, outcome));
        }
    }

    /// Everything in flight goes back to its queues.
    pub(super) fn recover(
        &mut self,
        n: u16,
        requeue: bool,
        answer: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if !requeue {
            return Err(Fault::new(Code::NotImplemented, "requeue=false"));
        }
        if answer {
            // Before what is delivered again, as RabbitMQ does it.
            self.answer(n, RECOVER, Reply::Recovered, out)?;
        }
        let spans = self.channel(n)?.inflight.take_all();
        out.commands.extend(spans.map(|span| command(span, Outcome::Requeue)));
        Ok(())
    }
}

fn command(span: Span, outcome: Outcome) -> Command {
    Command::Settle { lease: span.lease, from: span.from, count: span.count, outcome }
}
