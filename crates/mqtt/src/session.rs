//! One connection: what may come when, the turns, and how things end. The
//! conversations themselves are in the modules below; nothing here reads a clock.

mod auth;
mod close;
mod confirm;
mod connect;
mod keep_alive;
mod outbound;
mod publish;
mod subscribe;
mod topics;

use crate::dialect::Dialect;
use crate::error::Fault;
use crate::frame::{self, BEFORE_LOGIN_MAX, Cut, Head};
use crate::packet::{Kind, Packet, Side, Version};
use crate::reason::Reason;
use crate::{Shared, decode, error};
use auth::Proving;
use bytes::Bytes;
use confirm::Answers;
use connect::Entering;
use keep_alive::KeepAlive;
use lockgate_front::{Output, Peer, Received, Session, Verdict};
use lockgate_model::{Answer, CancelCause, Delivery, Event, Refusal, Ticket, Time};
use outbound::Outbound;
use publish::Building;
use std::sync::Arc;
use subscribe::{Subscribing, Unsubscribing};
use topics::{Aliases, Beside};

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// CONNECT is awaited.
    Greeting,
    /// The driver is asked whether to let the client in, or the client what proves it.
    Login,
    /// The engine is asked for the virtual host and the berth.
    Entering,
    /// Everything may come.
    Running,
    /// Nothing more.
    Over,
}

/// What is to be said when the engine answers. At most one answer is awaited at a time, and
/// nothing is read meanwhile: so replies keep the order of their requests.
#[derive(Debug)]
enum Asked {
    Enter,
    Follow(Box<Subscribing>),
    Unfollow(Box<Unsubscribing>),
}

/// What one step of `receive` came to.
enum Step {
    Took(usize),
    Need(usize),
    Failed(Fault),
}

/// One connection's protocol state.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    phase: Phase,
    /// What CONNECT has said.
    version: Version,
    /// It is known which version the client speaks.
    greeted: bool,
    /// The client wants to read what went wrong.
    problems: bool,
    /// Its berth outlives the connection.
    lasts: bool,
    /// A login that the driver has not judged yet.
    judging: bool,
    /// How a client that named a method of its own proves who it is.
    proving: Option<Box<Proving>>,
    /// The largest packet that the client takes.
    packet_max: usize,
    /// Whose rules make keys of topics.
    dialect: Dialect,
    /// When the handshake has taken too long.
    deadline: Option<Time>,
    keep_alive: KeepAlive,
    asked: Option<(Ticket, Asked)>,
    asks: u32,
    /// What comes before the answer that says what it is for.
    early: Vec<Delivery>,
    entering: Option<Box<Entering>>,
    answers: Answers,
    aliases: Aliases,
    beside: Beside,
    outbound: Outbound,
    /// Bytes of the filters of all its interests.
    filter_bytes: u32,
    seed: u64,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, peer: &Peer) -> Connection {
        let deadline = Some(peer.now + shared.settings.handshake_max);
        Connection {
            shared,
            phase: Phase::Greeting,
            version: Version::V311,
            greeted: false,
            problems: true,
            lasts: false,
            judging: false,
            proving: None,
            packet_max: usize::MAX,
            dialect: Dialect::default(),
            deadline,
            keep_alive: KeepAlive::new(peer.now),
            asked: None,
            asks: 0,
            early: Vec::new(),
            entering: None,
            answers: Answers::default(),
            aliases: Aliases::default(),
            beside: Beside::default(),
            outbound: Outbound::new(),
            filter_bytes: 0,
            seed: peer.seed,
        }
    }

    /// One packet.
    fn step(
        &mut self,
        input: &Bytes,
        at: usize,
        run: &mut Building,
        now: Time,
        out: &mut Output,
    ) -> Step {
        let bytes = input.get(at..).unwrap_or_default();
        if self.phase == Phase::Greeting
            && let Some(step) = strangers(bytes)
        {
            return step;
        }
        let max = match self.phase {
            Phase::Running => self.shared.settings.packet_max,
            _ => BEFORE_LOGIN_MAX,
        };
        let (head, body) = match frame::cut(bytes, max) {
            Ok(Cut::Whole(head, body)) => (head, body),
            Ok(Cut::Part(head)) => match self.expects(head) {
                Ok(()) => return Step::Need(head.total()),
                Err(fault) => return Step::Failed(fault),
            },
            Ok(Cut::Nothing) => return Step::Need(bytes.len() + 1),
            Err(bad) => return Step::Failed(bad.into()),
        };
        if head.kind == Kind::Publish
            && let Some(done) = self.publish_alike(head, at, input, run)
        {
            return match done {
                Ok(()) => Step::Took(head.total()),
                Err(fault) => Step::Failed(fault),
            };
        }
        let done = self.expects(head).and_then(|()| {
            match decode::packet(Side::Client, self.version, head, body) {
                Ok(Packet::Publish(p)) => self.publish(&p, input, run, now, out),
                Ok(packet) => self.packet(&packet, input, run, now, out),
                Err(e) if head.kind == Kind::Connect && self.phase == Phase::Greeting => {
                    Err(self.bad_connect(body, e))
                }
                Err(e) => Err(e.into()),
            }
        });
        match done {
            Ok(()) => Step::Took(head.total()),
            Err(fault) => Step::Failed(fault),
        }
    }

    /// May such a packet come now? Asked before the packet is there.
    #[inline]
    fn expects(&self, head: Head) -> Result<(), Fault> {
        let (text, clause) = match (self.phase, head.kind) {
            (Phase::Running, Kind::Connect) => {
                return Err(Fault::new(Reason::Protocol, "a second CONNECT", "MQTT-3.1.0-2"));
            }
            (Phase::Running, _)
            | (Phase::Greeting, Kind::Connect)
            | (Phase::Login, Kind::Auth | Kind::Disconnect) => return Ok(()),
            (Phase::Greeting, _) => ("the first packet is not CONNECT", "MQTT-3.1.0-1"),
            _ => ("a packet while the client is not let in", "3.1.4"),
        };
        Err(Fault::new(Reason::Protocol, format!("{}: {text}", head.kind.name()), clause))
    }

    fn packet(
        &mut self,
        packet: &Packet<'_>,
        input: &Bytes,
        run: &mut Building,
        now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        match packet {
            Packet::Pubrel(ack) => {
                self.pubrel(ack, input, run, out);
                return Ok(());
            }
            Packet::Puback(a) => return self.outbound.puback(a.id, a.reason, out),
            Packet::Pubrec(a) => return self.outbound.pubrec(a.id, a.reason, out),
            Packet::Pubcomp(a) => return self.outbound.pubcomp(a.id, a.reason, out),
            Packet::Pingreq => {
                out.bytes.small().extend_from_slice(&[Kind::Pingresp.number() << 4, 0]);
                return Ok(());
            }
            _ => {}
        }
        self.flush_inbound(run, input, out);
        self.outbound.flush(now, out);
        match packet {
            Packet::Connect(c) => self.connect(c, out),
            Packet::Subscribe(s) => self.subscribe(s, out),
            Packet::Unsubscribe(u) => self.unsubscribe(u, out),
            Packet::Disconnect(end) => self.disconnect(end, out),
            Packet::Auth(auth) => self.auth(auth, now, out),
            // The decoder knows what a client does not send.
            other => Err(Fault::new(Reason::Protocol, other.kind().name(), "2.1.2")),
        }
    }

    fn event(&mut self, event: Event, now: Time, out: &mut Output) -> Result<(), Fault> {
        match event {
            // Answers wait for the log, and deliveries do not.
            Event::Deliver(delivery) if self.awaits_interests() => self.early.push(delivery),
            Event::Deliver(delivery) => self.outbound.deliver(&delivery, now, out),
            Event::Answer { ticket, result, .. } => {
                self.answered(ticket, result, now, out)?;
                if self.phase == Phase::Running && !self.awaits_interests() {
                    for delivery in std::mem::take(&mut self.early) {
                        self.outbound.deliver(&delivery, now, out);
                    }
                }
            }
            Event::Confirmed { first, count, .. } => self.confirmed(first, count, out),
            Event::Rejected { first, count, .. } => return self.rejected(first, count),
            Event::Returned { ticket, .. } => self.returned(ticket),
            Event::Broken { why, .. } => return Err(error::refused(&why)),
            Event::Cancelled { cause: CancelCause::QueueDeleted, .. } => {
                self.expelled("a queue that its subscriptions stand on was deleted", out);
            }
            Event::Cancelled { cause: CancelCause::TimedOut, .. } => {
                self.expelled("a message was not acknowledged for too long", out);
            }
            Event::Expelled { why } => self.expelled(&why, out),
            Event::Displaced => self.displaced(out),
            // Whoever is not read is not silent: the driver says so.
            Event::Alarm { .. } | Event::Pause | Event::Resume => {}
        }
        Ok(())
    }

    /// Is it not known yet what deliveries are for?
    fn awaits_interests(&self) -> bool {
        matches!(self.asked, Some((_, Asked::Enter | Asked::Follow(_))))
    }

    fn answered(
        &mut self,
        ticket: Ticket,
        result: Result<Answer, Refusal>,
        now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let awaited = self.asked.take_if(|(asked, _)| *asked == ticket);
        match (awaited, result) {
            // The virtual host; the berth is asked for in the same batch.
            (None, Ok(_)) => {}
            (None | Some((_, Asked::Enter)), Err(why)) if self.phase == Phase::Entering => {
                self.shut_out(&why, out);
            }
            (Some((_, Asked::Enter)), Ok(Answer::Attached(attached))) => {
                self.entered(&attached, now, out);
            }
            (Some((_, Asked::Follow(asking))), Ok(Answer::Followed(results))) => {
                self.keep_alive.heard(now);
                return self.subscribed(&asking, &results, out);
            }
            (Some((_, Asked::Unfollow(asking))), Ok(Answer::Unfollowed(there))) => {
                self.keep_alive.heard(now);
                return self.unsubscribed(&asking, &there, out);
            }
            (_, Err(why)) => return Err(error::refused(&why)),
            (Some(_), Ok(_)) => {
                debug_assert!(false, "an answer that was not asked for");
                let text = "an answer that was not asked for";
                return Err(Fault::new(Reason::Unspecified, text, ""));
            }
        }
        Ok(())
    }

    /// When the client has been silent for too long; it is not while nothing is read from it.
    fn wake_for_silence(&self) -> Option<Time> {
        self.keep_alive.ends_at().filter(|_| self.wants_input())
    }
}

impl Session for Connection {
    fn receive(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received {
        self.keep_alive.heard(now);
        if input.is_empty() {
            self.excuse_proof(now);
        }
        self.answers.next_read();
        let mut run = Building::default();
        let mut received = Received::default();
        while self.wants_input() {
            match self.step(input, received.used, &mut run, now, out) {
                Step::Took(n) => received.used += n,
                Step::Need(n) => {
                    received.need = n;
                    break;
                }
                Step::Failed(fault) => {
                    received.used = input.len();
                    self.flush_inbound(&mut run, input, out);
                    self.outbound.flush(now, out);
                    self.fail(&fault, out);
                }
            }
        }
        self.flush_inbound(&mut run, input, out);
        self.outbound.flush(now, out);
        received
    }

    fn events(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output) {
        for event in events.drain(..) {
            match self.phase {
                Phase::Entering | Phase::Running => {
                    if let Err(fault) = self.event(event, now, out) {
                        self.outbound.flush(now, out);
                        self.fail(&fault, out);
                    }
                }
                _ => {
                    if let Event::Deliver(d) = event {
                        out.delivered += d.cost;
                    }
                }
            }
        }
        if self.phase == Phase::Running {
            self.answers.say(out);
            self.outbound.flush(now, out);
        }
    }

    fn admitted(&mut self, verdict: Verdict, _now: Time, out: &mut Output) {
        self.judged(verdict, out);
    }

    fn tick(&mut self, now: Time, out: &mut Output) {
        self.ticked(now, out);
    }

    fn wake_at(&self) -> Option<Time> {
        match self.phase {
            Phase::Over => None,
            Phase::Running => self.wake_for_silence().into_iter().chain(self.proof_ends_at()).min(),
            _ => self.deadline,
        }
    }

    fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Over => false,
            _ => self.asked.is_none() && !self.judging,
        }
    }

    fn stop(&mut self, _now: Time, out: &mut Output) {
        self.stopped(out);
    }
}

/// What the first bytes of a connection say before they are taken for a packet; none if they
/// can be one.
fn strangers(bytes: &[u8]) -> Option<Step> {
    if let Some(why) = connect::stranger(bytes) {
        return Some(Step::Failed(Fault::new(Reason::Protocol, why, "")));
    }
    // Letters may be the beginning of a word, and no CONNECT begins with one.
    let word = bytes.first().is_some_and(|b| b.is_ascii_uppercase() || *b == b'\r');
    (word && bytes.len() < 4).then_some(Step::Need(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        // Beside it: the engine's part, the driver's, and a task.
        assert!(size_of::<Connection>() <= 640, "{} bytes", size_of::<Connection>());
    }
}
