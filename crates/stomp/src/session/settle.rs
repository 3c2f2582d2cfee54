//! ACK and NACK: settled by the tag in the message id, each alone or with all before it as
//! the subscription wished. A receipt is told when what was settled is safe.

use super::ask::Then;
use super::{Connection, Noted};
use crate::error::{Fault, shown};
use crate::header::number;
use crate::packet::{Command as Word, Frame, Version};
use crate::settings::Dialect;
use lockgate_front::Output;
use lockgate_model::{Outcome, Request};

impl Connection {
    pub(super) fn acknowledge(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        let outcome = match (frame.command, frame.truth("requeue")) {
            (Word::Ack, _) => Outcome::Accept,
            (_, requeue) if requeue.unwrap_or(self.settings.nack_requeue) => Outcome::Requeue,
            _ => Outcome::Discard,
        };
        let tag = self.tag_of(frame)?;
        let transaction = match frame.get("transaction") {
            Some(name) => Some(self.transaction_key(name)?),
            None => None,
        };
        let mut taken = std::mem::take(&mut self.taken);
        let span = self.inflight.look(tag).copied();
        let cumulative = span.is_some_and(|span| span.note.cumulative);
        match (self.dialect, span) {
            (Dialect::ActiveMq, Some(span)) if cumulative && frame.command == Word::Ack => {
                let of = |held: &Noted| held.holder == span.note.holder;
                self.inflight.take_of(tag, of, &mut taken)
            }
            (Dialect::ActiveMq, _) => self.inflight.take(tag, false, &mut taken),
            _ => self.inflight.take(tag, cumulative, &mut taken),
        };
        let receipt: Option<Box<[u8]>> = frame.get("receipt").map(Into::into);
        if self.dialect == Dialect::ActiveMq && frame.command == Word::Nack {
            let done = self.active_nack(tag, &mut taken, transaction.as_deref(), receipt, out);
            taken.drain(..).for_each(|span| self.inflight.put_back(span));
            self.taken = taken;
            return done;
        }
        if let Some(name) = transaction {
            self.settle_later(&name, &mut taken, outcome);
            if let Some(receipt) = receipt {
                self.say_receipt(&receipt, out);
            }
        } else if let Some(receipt) = receipt {
            self.flush_settled(out);
            let steps = taken.drain(..).map(|span| span.step(outcome)).collect();
            self.ask(Request::Commit(steps), Then::Committed(vec![receipt]), out);
        } else {
            for span in taken.drain(..) {
                if let Some((before, outcome)) = self.settling.add(span, outcome) {
                    out.commands.push(before.settle(outcome));
                }
            }
        }
        self.taken = taken;
        self.active.release(self.inflight.oldest());
        Ok(())
    }

    /// The tag in flight that a frame speaks of: 1.2 names it by `id`, the others by
    /// `message-id`. Both are `TAG@@SESSION@@NUMBER`.
    fn tag_of(&self, frame: &Frame<'_>) -> Result<u64, Fault> {
        let word = if frame.command == Word::Ack { "ACK" } else { "NACK" };
        let header = if self.version == Version::V12 { "id" } else { "message-id" };
        let Some(id) = frame.get(header) else {
            let text = format!("\"{word}\" must include the \"{header}\" header\n");
            return Err(Fault::new("Missing header", text));
        };
        let invalid = || {
            let text = format!("\"{word}\" must include a valid \"{header}\" header\n");
            Fault::new("Invalid header", text)
        };
        let id = std::str::from_utf8(id).map_err(|_| invalid())?;
        let (rest, tag) = id.rsplit_once("@@").ok_or_else(invalid)?;
        let (holder, session) = rest.rsplit_once("@@").ok_or_else(invalid)?;
        let tag = number(tag.as_bytes()).ok_or_else(invalid)?;
        if session != self.session {
            return Err(invalid());
        }
        let span = self.inflight.look(tag);
        // A subscription may be over and its messages still in flight.
        let is_its = span.is_some_and(|span| {
            self.subscriptions.get(span.note.holder).is_none_or(|sub| *sub.tag == *holder)
        });
        if !is_its {
            let text = format!("unknown delivery tag {}\n", shown(tag.to_string().as_bytes()));
            return Err(Fault::new("Message not found", text));
        }
        Ok(tag)
    }

    /// Hands over what was settled and held back to be joined.
    pub(super) fn flush_settled(&mut self, out: &mut Output) {
        if let Some((span, outcome)) = self.settling.take() {
            out.commands.push(span.settle(outcome));
        }
    }
}
