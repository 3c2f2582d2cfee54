//! Opening and closing channels, flow, access.request, and which conversation each
//! method belongs to.

use super::ask::BOUNDARY;
use super::slots::{Channel, State};
use super::{Connection, Reply};
use crate::error::{Code, Fault};
use crate::packet::Method;
use lockgate_front::Output;
use lockgate_model::{Command, Lane, Name, Outcome, Request};

const CHANNEL_OPEN: (u16, u16) = (20, 10);
pub(super) const CHANNEL_CLOSE: (u16, u16) = (20, 40);
const CHANNEL_CLOSE_OK: (u16, u16) = (20, 41);

impl Connection {
    /// A method on a channel.
    pub(super) fn channel_method(
        &mut self,
        n: u16,
        method: Method<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        match self.slots.state(n) {
            Some(State::Open(_)) => self.open_channel_method(n, method, out),
            Some(State::Closing) => self.closing_channel_method(n, &method, out),
            None | Some(State::Free { .. } | State::Opening { .. }) => match method {
                Method::ChannelOpen { .. } => self.open_channel(n, out),
                _ => Err(Fault::new(Code::ChannelError, "expected 'channel.open'")),
            },
        }
    }

    fn open_channel(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        // The count is limited, not the number: so RabbitMQ reads channel_max.
        if self.slots.live().count() >= usize::from(self.channel_max) {
            return Err(Fault::nowhere(
                Code::NotAllowed,
                format!(
                    "number of channels opened ({}) has reached the negotiated channel_max ({})",
                    self.channel_max, self.channel_max
                ),
            ));
        }
        self.incarnations = self.incarnations.wrapping_add(1).max(1);
        let incarnation = self.incarnations;
        if self.counted {
            self.slots.set(n, State::Opening { incarnation });
            self.ask(n, CHANNEL_OPEN, Request::OpenLane, Some(Reply::OpenChannel), out);
            return Ok(());
        }
        if matches!(self.slots.state(n), None | Some(State::Free { clear: true })) {
            self.slots.set(n, State::Open(Box::new(Channel::new(incarnation))));
            self.send(n, &Method::ChannelOpenOk { channel_id: b"" }, out);
            return Ok(());
        }
        // We closed it: events of its last life may still be on their way.
        self.slots.set(n, State::Opening { incarnation });
        self.ask(n, CHANNEL_OPEN, BOUNDARY, Some(Reply::OpenChannel), out);
        Ok(())
    }

    pub(super) fn channel_opened(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        let incarnation = self.slots.incarnation(n);
        self.slots.set(n, State::Open(Box::new(Channel::new(incarnation))));
        self.send(n, &Method::ChannelOpenOk { channel_id: b"" }, out);
        Ok(())
    }

    fn closing_channel_method(
        &mut self,
        n: u16,
        method: &Method<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        match method {
            Method::ChannelCloseOk {} => self.slots.set(n, State::Free { clear: false }),
            // Crossed with ours: theirs is answered, ours is still awaited.
            Method::ChannelClose { .. } => self.send(n, &Method::ChannelCloseOk {}, out),
            Method::ChannelOpen { .. } => {
                return Err(Fault::new(Code::ChannelError, "second 'channel.open' seen"));
            }
            _ => {}
        }
        Ok(())
    }

    /// True for what may be dropped without a look: what still comes on a channel
    /// that we have closed and whose close-ok is awaited (section 1.5.2.5).
    pub(super) fn is_ignored(&self, n: u16, id: (u16, u16)) -> bool {
        matches!(self.slots.state(n), Some(State::Closing))
            && !matches!(id, CHANNEL_OPEN | CHANNEL_CLOSE | CHANNEL_CLOSE_OK)
    }

    /// `channel.close`. What was published just before may still be refused, and a
    /// client that only publishes and goes must hear of it, as it does from RabbitMQ.
    fn close_by_peer(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        self.answer(n, CHANNEL_CLOSE, Reply::CloseChannel, out)
    }

    pub(super) fn channel_closed(&mut self, n: u16, out: &mut Output) -> Result<(), Fault> {
        self.flush_confirms(out);
        self.leave(n, State::Free { clear: true }, out);
        self.send(n, &Method::ChannelCloseOk {}, out);
        Ok(())
    }

    fn open_channel_method(
        &mut self,
        n: u16,
        method: Method<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        self.expects_method(n)?;
        let id = method.id();
        match method {
            Method::BasicPublish { exchange, routing_key, mandatory, immediate, .. } => {
                self.publish(n, exchange, routing_key, mandatory, immediate)
            }
            Method::BasicAck { delivery_tag, multiple } => {
                self.settle(n, delivery_tag, multiple, Outcome::Accept, out)
            }
            Method::BasicNack { delivery_tag, multiple, requeue } => {
                let outcome = back_or_away(requeue, Outcome::Requeue);
                self.settle(n, delivery_tag, multiple, outcome, out)
            }
            Method::BasicReject { delivery_tag, requeue } => {
                // As RabbitMQ 4.3 tells them apart: a rejection speaks of the message.
                let outcome = back_or_away(requeue, Outcome::Failed);
                self.settle(n, delivery_tag, false, outcome, out)
            }
            Method::BasicRecover { requeue } => self.recover(n, requeue, true, out),
            Method::BasicRecoverAsync { requeue } => self.recover(n, requeue, false, out),
            Method::BasicGet { queue, no_ack, .. } => self.get(n, queue, no_ack, out),
            Method::BasicQos { .. } | Method::BasicConsume { .. } | Method::BasicCancel { .. } => {
                self.subscription_method(n, method, out)
            }
            Method::ExchangeDeclare { .. }
            | Method::ExchangeDelete { .. }
            | Method::ExchangeBind { .. }
            | Method::ExchangeUnbind { .. } => self.exchange_method(n, method, out),
            Method::QueueDeclare { .. }
            | Method::QueueDelete { .. }
            | Method::QueuePurge { .. }
            | Method::QueueBind { .. }
            | Method::QueueUnbind { .. } => self.queue_method(n, method, out),
            Method::ConfirmSelect { no_wait } => self.select_confirms(n, no_wait, out),
            Method::TxSelect {} => self.select_tx(n, out),
            Method::TxCommit {} => self.commit(n, out),
            Method::TxRollback {} => self.rollback(n, out),
            Method::ChannelFlow { active } => {
                out.commands.push(Command::Flow { lane: Lane(n), active });
                self.answer(n, id, Reply::Flowed { active }, out)
            }
            Method::ChannelClose { .. } => self.close_by_peer(n, out),
            Method::AccessRequest { .. } => self.answer(n, id, Reply::Granted, out),
            Method::ChannelOpen { .. } => {
                Err(Fault::new(Code::ChannelError, "second 'channel.open' seen"))
            }
            _ => Err(Fault::new(Code::CommandInvalid, "unimplemented method")),
        }
    }

    /// The open channel that a conversation is on.
    pub(super) fn channel(&mut self, n: u16) -> Result<&mut Channel, Fault> {
        self.slots.open(n).ok_or_else(|| Fault::new(Code::ChannelError, "expected 'channel.open'"))
    }

    /// The queue of that name; the empty one means the one last declared here.
    pub(super) fn queue_named(&mut self, n: u16, given: &str) -> Result<Name, Fault> {
        let last = |c: &mut Channel| c.last_queue.clone();
        let name = match given.is_empty() {
            true => last(self.channel(n)?)
                .ok_or_else(|| Fault::new(Code::NotFound, "no previously declared queue"))?,
            false => clean(given),
        };
        self.not_a_mailbox(&name)?;
        Ok(name)
    }
}

fn back_or_away(requeue: bool, back: Outcome) -> Outcome {
    if requeue { back } else { Outcome::Discard }
}

/// A name without line ends, which RabbitMQ strips from what is declared.
pub(super) fn clean(name: &str) -> Name {
    if name.contains(['\r', '\n']) {
        Name::from(name.replace(['\r', '\n'], ""))
    } else {
        Name::from(name)
    }
}
