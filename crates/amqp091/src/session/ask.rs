//! Requests to the engine and what is said when they are answered. At most one reply
//! is awaited at a time, and nothing is read meanwhile: so replies keep the order of
//! their requests without a queue of them.

use super::{Connection, map};
use crate::error::{Code, Fault};
use crate::packet::Method;
use lockgate_front::Output;
use lockgate_model::{Answer, Command, Consumer, Lane, Name, Refusal, Request, Ticket, Time};

/// A request for its answer alone, which comes behind all that was said before: no
/// subscription has this handle.
pub(super) const BOUNDARY: Request = Request::Cancel(Consumer(0));

/// A request that is to be answered before more is read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) lane: Lane,
    pub(super) ticket: Ticket,
    pub(super) reply: Reply,
}

/// What is to be said when the answer comes.
#[derive(Debug)]
pub(super) enum Reply {
    Enter,
    OpenChannel,
    CloseChannel,
    ExchangeDeclared,
    ExchangeDeleted,
    ExchangeBound,
    ExchangeUnbound,
    QueueDeclared {
        /// Nobody waits for it, but its name must be known before going on.
        silent: bool,
    },
    /// A mailbox, which is as good as empty and read by one.
    MailboxFound {
        name: Name,
        silent: bool,
    },
    QueueBound,
    QueueUnbound,
    QueuePurged,
    QueueDeleted,
    Subscribed(Name),
    Unsubscribed {
        consumer: u32,
        tag: Name,
        silent: bool,
    },
    Got,
    Limited,
    ConfirmsSelected,
    TxSelected,
    Committed,
    RolledBack,
    Recovered,
    Flowed {
        active: bool,
    },
    Granted,
    /// The channel closes for a fault of the peer.
    Failed(Fault),
}

/// What a ticket of a request says: enough to tell an answer to a channel that is no
/// more, and which method an answer that nobody waited for is about.
///
/// ```text
///  63         48 47    40 39     32 31        0
///  | incarnation | class  | method  | number  |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) incarnation: u16,
    id: (u16, u16),
    number: u32,
}

impl Ask {
    pub(super) fn ticket(self) -> Ticket {
        let (class, method) = self.id;
        Ticket(
            u64::from(self.incarnation) << 48
                | u64::from(class & 0xff) << 40
                | u64::from(method & 0xff) << 32
                | u64::from(self.number),
        )
    }

    pub(super) fn of(ticket: Ticket) -> Ask {
        let part = |shift: u32| (ticket.0 >> shift & 0xff) as u16;
        Ask {
            incarnation: (ticket.0 >> 48) as u16,
            id: (part(40), part(32)),
            number: ticket.0 as u32,
        }
    }
}

impl Connection {
    /// Asks the engine. With a reply to give, nothing more is read until it answers.
    pub(super) fn ask(
        &mut self,
        channel: u16,
        id: (u16, u16),
        request: Request,
        reply: Option<Reply>,
        out: &mut Output,
    ) {
        let lane = Lane(channel);
        self.asks = self.asks.wrapping_add(1);
        let incarnation = self.slots.incarnation(channel);
        let ticket = Ask { incarnation, id, number: self.asks }.ticket();
        if let Some(reply) = reply {
            debug_assert!(self.asked.is_none(), "one request at a time");
            self.asked = Some(Asked { lane, ticket, reply });
        } else {
            self.slots.open(channel).into_iter().for_each(|c| c.unsure = true);
        }
        out.commands.push(Command::Ask { lane, ticket, request });
    }

    /// Answers what needs nothing of the engine. On a channel where something that was
    /// said before may still be refused, the answer waits until it no longer can.
    pub(super) fn answer(
        &mut self,
        channel: u16,
        id: (u16, u16),
        reply: Reply,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if self.channel(channel)?.unsure {
            self.ask(channel, id, BOUNDARY, Some(reply), out);
            return Ok(());
        }
        self.reply(channel, reply, Answer::Done, out)
    }

    pub(super) fn answered(
        &mut self,
        lane: Lane,
        ticket: Ticket,
        result: Result<Answer, Refusal>,
        now: Time,
        out: &mut Output,
    ) {
        let awaited = self.asked.take_if(|a| a.ticket == ticket);
        let ask = Ask::of(ticket);
        let done = match (awaited, result) {
            (Some(asked), Ok(answer)) => {
                self.heart.heard(now);
                self.slots.open(lane.0).into_iter().for_each(|c| c.unsure = false);
                self.reply(lane.0, asked.reply, answer, out)
            }
            // What others may not touch is there, and that is all that was asked.
            (
                Some(Asked { reply: reply @ Reply::MailboxFound { .. }, .. }),
                Err(Refusal::Locked { .. }),
            ) => {
                self.heart.heard(now);
                self.reply(lane.0, reply, Answer::Done, out)
            }
            (Some(_), Err(why)) => {
                self.heart.heard(now);
                Err(map::fault(&why, ask.id))
            }
            (None, Err(why)) if self.slots.is_open_as(lane.0, ask.incarnation) => {
                Err(map::fault(&why, ask.id))
            }
            (None, _) => Ok(()),
        };
        if let Err(fault) = done {
            self.fail(lane.0, fault.at(ask.id), now, out);
        }
    }

    /// Says what a good answer means.
    fn reply(
        &mut self,
        channel: u16,
        reply: Reply,
        answer: Answer,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let method = match (reply, answer) {
            (Reply::Enter, answer) => {
                self.counted = matches!(answer, Answer::Counted);
                return self.entered(out);
            }
            (Reply::OpenChannel, _) => return self.channel_opened(channel, out),
            (Reply::CloseChannel, _) => return self.channel_closed(channel, out),
            (Reply::Got, Answer::Got(got)) => return self.got(channel, got, out),
            (Reply::QueueDeclared { silent }, Answer::Queue { name, messages, consumers }) => {
                return self.queue_declared(channel, silent, name, messages, consumers, out);
            }
            (Reply::MailboxFound { name, silent }, _) => {
                return self.queue_declared(channel, silent, name, 0, 1, out);
            }
            (Reply::Unsubscribed { consumer, tag, silent }, _) => {
                return self.unsubscribed(channel, consumer, tag, silent, out);
            }
            (Reply::Subscribed(tag), _) => {
                self.send(channel, &Method::BasicConsumeOk { consumer_tag: &tag }, out);
                return Ok(());
            }
            (Reply::ExchangeDeclared, _) => Method::ExchangeDeclareOk {},
            (Reply::ExchangeDeleted, _) => Method::ExchangeDeleteOk {},
            (Reply::ExchangeBound, _) => Method::ExchangeBindOk {},
            (Reply::ExchangeUnbound, _) => Method::ExchangeUnbindOk {},
            (Reply::QueueBound, _) => Method::QueueBindOk {},
            (Reply::QueueUnbound, _) => Method::QueueUnbindOk {},
            (Reply::QueuePurged, Answer::Removed(n)) => {
                Method::QueuePurgeOk { message_count: short_count(n) }
            }
            (Reply::QueueDeleted, Answer::Removed(n)) => {
                Method::QueueDeleteOk { message_count: short_count(n) }
            }
            (Reply::Limited, _) => Method::BasicQosOk {},
            (Reply::ConfirmsSelected, _) => Method::ConfirmSelectOk {},
            (Reply::TxSelected, _) => Method::TxSelectOk {},
            (Reply::Committed, _) => Method::TxCommitOk {},
            (Reply::RolledBack, _) => Method::TxRollbackOk {},
            (Reply::Recovered, _) => Method::BasicRecoverOk {},
            (Reply::Flowed { active }, _) => Method::ChannelFlowOk { active },
            (Reply::Granted, _) => Method::AccessRequestOk { ticket: 1 },
            (Reply::Failed(fault), _) => return Err(fault),
            (Reply::Got | Reply::QueueDeclared { .. }, _)
            | (Reply::QueuePurged | Reply::QueueDeleted, _) => {
                debug_assert!(false, "an answer that was not asked for");
                return Err(Fault::new(Code::InternalError, "unexpected answer"));
            }
        };
        self.send(channel, &method, out);
        Ok(())
    }
}

/// A count as the wire has room for it.
pub(super) fn short_count(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
