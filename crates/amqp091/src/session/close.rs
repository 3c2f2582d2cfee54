//! How things end: a channel by a soft fault, the connection by a hard one, by the
//! peer, by silence or by our own stop. After our own close only close-ok counts.

use super::ask::BOUNDARY;
use super::channel::CHANNEL_CLOSE;
use super::slots::State;
use super::{Connection, Phase, Reply, Step, heart::Due};
use crate::encode;
use crate::error::{Code, Fault};
use crate::packet::Method;
use lockgate_front::{Cause, Close, Output, Session};
use lockgate_model::{Command, Lane, Time};
use std::time::Duration;

/// How long a peer may take to answer our close: as long as RabbitMQ waits.
const CLOSE_WAIT: Duration = Duration::from_secs(3);

/// How long a peer may take to read our close-ok and to close the socket. What it sent
/// behind its close is dropped meanwhile: closing upon unread input would take back
/// what we said last.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(3);

/// `connection.close-ok` as a whole frame.
const CLOSE_OK: [u8; 12] = [1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 51, 0xCE];

const CONNECTION_CLOSE: (u16, u16) = (10, 50);
const CONNECTION_CLOSE_OK: (u16, u16) = (10, 51);

impl Connection {
    /// What the peer just said is a fault. What it said before on the channel may still
    /// be refused: then it is that refusal which closes the channel, not this fault.
    pub(super) fn blame(&mut self, channel: u16, fault: Fault, now: Time, out: &mut Output) {
        if fault.code.is_hard() || self.slots.open(channel).is_none_or(|c| !c.unsure) {
            return self.fail(channel, fault, now, out);
        }
        self.flush_settled(out);
        self.ask(channel, CHANNEL_CLOSE, BOUNDARY, Some(Reply::Failed(fault)), out);
    }

    /// Closes what a fault is about: a channel, or the connection.
    pub(super) fn fail(&mut self, channel: u16, fault: Fault, now: Time, out: &mut Output) {
        if fault.code.is_hard() || channel == 0 {
            self.close_with(fault, false, now, out);
        } else {
            self.close_channel(channel, &fault, out);
        }
    }

    fn close_channel(&mut self, channel: u16, fault: &Fault, out: &mut Output) {
        self.flush_settled(out);
        self.flush_confirms(out);
        let text = fault.reply_text();
        self.send(
            channel,
            &Method::ChannelClose {
                reply_code: fault.code.number(),
                reply_text: text.as_bytes(),
                class_id: fault.place().0,
                method_id: fault.place().1,
            },
            out,
        );
        if matches!(&self.asked, Some(a) if matches!(a.reply, Reply::CloseChannel)) {
            // Crossed with theirs, which is answered too.
            self.send(channel, &Method::ChannelCloseOk {}, out);
        }
        self.leave(channel, State::Closing, out);
    }

    /// A channel is over: nothing that comes for it counts any more.
    pub(super) fn leave(&mut self, channel: u16, state: State, out: &mut Output) {
        self.slots.set(channel, state);
        self.consumers.retain(|_, s| s.channel != channel);
        self.asked.take_if(|a| a.lane == Lane(channel));
        out.commands.push(Command::Leave(Lane(channel)));
    }

    /// Closes the connection for a fault. A peer that has not logged in is told
    /// nothing, as RabbitMQ does it. `deaf` if its bytes can no longer be read.
    pub(super) fn close_with(&mut self, fault: Fault, deaf: bool, now: Time, out: &mut Output) {
        let cause = Cause::Fault(fault.reply_text());
        match self.phase {
            Phase::Header | Phase::StartOk | Phase::Login => self.end(Duration::ZERO, cause, out),
            Phase::Closing { .. } => self.phase = Phase::Closing { deaf: true },
            Phase::Over => {}
            Phase::TuneOk | Phase::Open | Phase::Entering | Phase::Running => {
                self.say_close(&fault, deaf, cause, now, out);
            }
        }
    }

    fn say_close(&mut self, fault: &Fault, deaf: bool, cause: Cause, now: Time, out: &mut Output) {
        self.flush_settled(out);
        self.flush_confirms(out);
        let text = fault.reply_text();
        self.send(
            0,
            &Method::ConnectionClose {
                reply_code: fault.code.number(),
                reply_text: text.as_bytes(),
                class_id: fault.place().0,
                method_id: fault.place().1,
            },
            out,
        );
        self.abandon(out);
        self.phase = Phase::Closing { deaf };
        self.cause = Some(cause);
        self.deadline = Some(now + CLOSE_WAIT);
    }

    /// Leaves every channel.
    fn abandon(&mut self, out: &mut Output) {
        out.commands.extend(self.slots.live().map(|n| Command::Leave(Lane(n))));
        self.slots.clear();
        self.consumers.clear();
        self.asked = None;
        self.confirming.clear();
    }

    /// The end of the connection itself.
    pub(super) fn end(&mut self, linger: Duration, cause: Cause, out: &mut Output) {
        self.phase = Phase::Over;
        self.deadline = None;
        out.close = Some(Close { linger, cause });
    }

    /// The peer said `connection.close`.
    pub(super) fn closed_by_peer(&mut self, out: &mut Output) {
        self.flush_confirms(out);
        self.abandon(out);
        self.send(0, &Method::ConnectionCloseOk {}, out);
        self.end(LAST_WORDS_WAIT, Cause::Agreed, out);
    }

    /// Our close was answered, or will never be.
    pub(super) fn closing_done(&mut self, out: &mut Output) {
        let cause = self.cause.take().unwrap_or(Cause::Agreed);
        self.end(Duration::ZERO, cause, out);
    }

    /// A method that comes after our close.
    pub(super) fn while_closing(&mut self, channel: u16, id: (u16, u16), out: &mut Output) {
        match (channel, id) {
            (0, CONNECTION_CLOSE_OK) => self.closing_done(out),
            (0, CONNECTION_CLOSE) => {
                encode::method(out.bytes.small(), 0, &Method::ConnectionCloseOk {});
                let cause = self.cause.take().unwrap_or(Cause::Agreed);
                self.end(LAST_WORDS_WAIT, cause, out);
            }
            _ => {}
        }
    }

    /// Bytes that follow what was no frame: only a close-ok at their end can be told.
    pub(super) fn listen_for_the_end(&mut self, bytes: &[u8], out: &mut Output) -> Step {
        if bytes.is_empty() {
            return Step::Need(1);
        }
        if bytes.ends_with(&CLOSE_OK) {
            self.closing_done(out);
        }
        Step::Took(bytes.len())
    }

    /// The broker goes down.
    pub(super) fn stopped(&mut self, now: Time, out: &mut Output) {
        let text = "broker forced connection closure with reason 'shutdown'";
        let fault = Fault::new(Code::ConnectionForced, text);
        match self.phase {
            Phase::Header | Phase::StartOk | Phase::Login => {
                self.end(Duration::ZERO, Cause::Stopped, out);
            }
            Phase::Closing { .. } | Phase::Over => {}
            _ => self.say_close(&fault, false, Cause::Stopped, now, out),
        }
    }

    /// What the session stood on is gone, and an operator wanted it so.
    pub(super) fn expelled(&mut self, why: String, now: Time, out: &mut Output) {
        let fault = Fault::nowhere(Code::ConnectionForced, why);
        self.say_close(&fault, false, Cause::Stopped, now, out);
    }

    /// Time has passed.
    pub(super) fn ticked(&mut self, now: Time, out: &mut Output) {
        if self.deadline.is_some_and(|at| now >= at) {
            match self.phase {
                Phase::Closing { .. } => self.closing_done(out),
                _ => self.end(Duration::ZERO, Cause::Silent, out),
            }
            return;
        }
        if matches!(self.phase, Phase::Closing { .. } | Phase::Over) {
            return;
        }
        match self.heart.due(now, self.wants_input()) {
            Due::Nothing => {}
            Due::Beat => encode::heartbeat(out.bytes.small()),
            Due::Silence => {
                self.abandon(out);
                self.end(Duration::ZERO, Cause::Silent, out);
            }
        }
    }
}
