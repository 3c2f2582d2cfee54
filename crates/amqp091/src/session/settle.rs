//! Consumers settle: ack, nack, reject and recover, by delivery tags.

use super::slots::Mode;
use super::{Connection, Reply};
use crate::error::{Code, Fault};
use lockgate_front::Output;
use lockgate_model::Outcome;

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
        // 1.8.3.13: 0 with `multiple` is all there are.
        if tag == 0 && multiple {
            taken.extend(channel.inflight.take_all());
        } else if !channel.inflight.take(tag, multiple, &mut taken) {
            let text = format!("unknown delivery tag {tag}");
            return Err(Fault::new(Code::PreconditionFailed, text));
        }
        if let Mode::Tx(tx) = &mut channel.mode {
            taken.drain(..).for_each(|span| tx.settle(span, outcome));
        } else {
            for span in taken.drain(..) {
                if let Some((before, outcome)) = self.settling.add(span, outcome) {
                    out.commands.push(before.settle(outcome));
                }
            }
        }
        self.taken = taken;
        Ok(())
    }

    /// Hands over what was settled and held back to be joined.
    pub(super) fn flush_settled(&mut self, out: &mut Output) {
        if let Some((span, outcome)) = self.settling.take() {
            out.commands.push(span.settle(outcome));
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
        out.commands.extend(spans.map(|span| span.settle(Outcome::Requeue)));
        Ok(())
    }
}
