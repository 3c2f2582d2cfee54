//! One connection: what may come when, the turns, and how things end. The
//! conversations themselves are in the modules below; nothing here reads a clock.

mod ask;
mod channel;
mod close;
mod confirm;
mod connect;
mod content;
mod deliver;
mod get;
mod heart;
mod mailbox;
mod publish;
mod settle;
mod slots;
mod subscribe;
mod topology;
mod tx;

use crate::error::{Code, DecodeError, Fault, octets};
use crate::frame::{self, AROUND, Cut, Kind};
use crate::packet::Method;
use crate::{Shared, decode, map};
use ask::{Ask, Asked, Reply, short_count};
use bytes::Bytes;
use deliver::Layout;
use heart::Heart;
use lockgate_front::inflight::{Settling, Span};
use lockgate_front::{Output, Peer, Received, Session, Verdict};
use lockgate_model::{Event, Name, Time};
use publish::Building;
use slots::Slots;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest payload before both sides have agreed on one: RabbitMQ takes 8 KiB, some
/// tokens used as passwords need more. Well under what an unknown peer may cost.
const FIRST_PAYLOAD_MAX: usize = 16 * 1024;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The protocol header is awaited.
    Header,
    /// Ours was right; `start-ok` is awaited.
    StartOk,
    /// The driver is asked whether to let the peer in.
    Login,
    /// `tune-ok` is awaited.
    TuneOk,
    /// `open` is awaited.
    Open,
    /// The engine is asked for the virtual host.
    Entering,
    /// Everything may come.
    Running,
    /// We sent `close`; only `close-ok` counts. `deaf` when the bytes that
    /// come can no longer be told into frames.
    Closing { deaf: bool },
    /// Nothing more.
    Over,
}

/// Who is at the other end.
#[derive(Debug, Default)]
struct Client {
    user: Name,
    vhost: Name,
    mechanism: &'static str,
    /// It wants `basic.cancel` when a queue goes.
    cancel_notify: bool,
    /// It wants `connection.blocked`.
    blocked: bool,
    /// It wants to be told that its login failed.
    denial: bool,
}

/// A consumer of this connection.
#[derive(Debug)]
struct Subscribed {
    channel: u16,
    tag: Name,
}

/// A body frame of which only a part has come.
#[derive(Clone, Copy, Debug)]
struct Partial {
    channel: u16,
    /// Payload bytes still to come, without the end octet.
    left: usize,
}

/// What one step of `receive` came to.
enum Step {
    Took(usize),
    Need(usize),
    /// `used` bytes are done with; the channel, or all of it, is to be closed.
    Failed {
        used: usize,
        channel: u16,
        fault: Fault,
    },
    /// Nothing that follows can be told into frames.
    Lost(Fault),
}

/// One connection's protocol state.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    phase: Phase,
    /// When the handshake, or the wait for `close-ok`, has taken too long.
    deadline: Option<Time>,
    /// Why it is closing, for the log.
    cause: Option<lockgate_front::Cause>,
    client: Client,
    /// Largest frame agreed upon.
    frame_max: usize,
    channel_max: u16,
    heart: Heart,
    slots: Slots,
    /// By handle. Each is also in its channel's tags.
    consumers: BTreeMap<u32, Subscribed>,
    /// A login that the driver has not judged yet.
    judging: bool,
    /// The engine counts this user's channels: each is asked for.
    counted: bool,
    /// At most one: replies leave in the order of their requests.
    asked: Option<Asked>,
    asks: u32,
    handles: u32,
    incarnations: u16,
    /// Set while a body frame is taken in pieces.
    partial: Option<Partial>,
    settling: Settling,
    /// Channels with confirmations to be told at the end of the turn.
    confirming: Vec<u16>,
    /// Scratch, empty between calls.
    taken: Vec<Span>,
    /// The last delivery's frames.
    layout: Layout,
    /// Bits of `map::alarm_bit`.
    alarms: u8,
    /// `connection.blocked` has been said and not taken back.
    blocked: bool,
    /// It has published: alarms are its business.
    publishes: bool,
    seed: u64,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, peer: &Peer) -> Connection {
        let deadline = Some(peer.now + shared.settings.handshake_max);
        Connection {
            phase: Phase::Header,
            deadline,
            cause: None,
            client: Client::default(),
            frame_max: FIRST_PAYLOAD_MAX,
            channel_max: shared.settings.channel_max,
            heart: Heart::new(peer.now),
            slots: Slots::default(),
            consumers: BTreeMap::new(),
            judging: false,
            counted: false,
            asked: None,
            asks: 0,
            handles: 0,
            incarnations: 0,
            partial: None,
            settling: Settling::default(),
            confirming: Vec::new(),
            taken: Vec::new(),
            layout: Layout::default(),
            alarms: 0,
            blocked: false,
            publishes: false,
            seed: peer.seed,
            shared,
        }
    }

    /// One step: the protocol header, a piece of a body, a frame, or many
    /// publishes at once.
    fn step(
        &mut self,
        input: &Bytes,
        at: usize,
        run: &mut Building,
        now: Time,
        out: &mut Output,
    ) -> Step {
        let bytes = &input[at..];
        match self.phase {
            Phase::Header => return self.protocol_header(bytes, out),
            Phase::Closing { deaf: true } => return self.listen_for_the_end(bytes, out),
            _ => {}
        }
        if let Some(partial) = self.partial {
            return self.body_piece(bytes, partial, out);
        }
        let head = match frame::cut(bytes, self.frame_max) {
            Ok(Cut::Whole(head)) => head,
            Ok(Cut::Part(head)) => {
                if head.kind == Kind::Body && self.assembles(head.channel) {
                    self.flush_run(run, input, out);
                    self.partial = Some(Partial { channel: head.channel, left: head.size });
                    return Step::Took(frame::HEADER);
                }
                return Step::Need(AROUND + head.size);
            }
            Ok(Cut::Nothing) => return Step::Need(frame::HEADER),
            Err(bad) => return Step::Lost(connect::bad_frame(bad)),
        };
        if head.kind == Kind::Method && self.phase == Phase::Running && head.channel != 0 {
            match self.publish_many(input, at, head, run, out) {
                publish::Fast::Took(n) => return Step::Took(n),
                publish::Fast::Need(n) => return Step::Need(n),
                publish::Fast::Slow => {}
            }
        }
        let used = AROUND + head.size;
        let payload = &bytes[frame::HEADER..frame::HEADER + head.size];
        let result = match head.kind {
            Kind::Heartbeat | Kind::Unknown(_) => self.no_content(head, payload),
            Kind::Method => self.method(head.channel, payload, input, run, now, out),
            Kind::Header | Kind::Body => {
                self.flush_run(run, input, out);
                self.content(head, payload, out)
            }
        };
        match result {
            Ok(()) => Step::Took(used),
            Err(fault) => Step::Failed { used, channel: head.channel, fault },
        }
    }

    /// A heartbeat, or what is no frame of the protocol.
    fn no_content(&self, head: frame::Head, payload: &[u8]) -> Result<(), Fault> {
        if matches!(self.phase, Phase::Closing { .. }) {
            return Ok(());
        }
        match head {
            frame::Head { kind: Kind::Heartbeat, channel: 0, size: 0 } => Ok(()),
            // 4.2.7: heartbeats belong to no channel.
            frame::Head { kind: Kind::Heartbeat, size: 0, .. } => Err(Fault::nowhere(
                Code::UnexpectedFrame,
                format!("type 8, all octets = {}", octets(payload)),
            )),
            other => Err(unknown_frame(other.kind, payload)),
        }
    }

    fn method(
        &mut self,
        channel: u16,
        payload: &[u8],
        input: &Bytes,
        run: &mut Building,
        now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let Some(id) = decode::id(payload) else {
            return Err(unknown_frame(Kind::Method, payload));
        };
        if matches!(self.phase, Phase::Closing { .. }) {
            self.while_closing(channel, id, out);
            return Ok(());
        }
        if channel != 0 && self.is_ignored(channel, id) {
            return Ok(());
        }
        if channel != 0 && self.phase != Phase::Running {
            return Err(Fault::nowhere(
                Code::UnexpectedFrame,
                format!("type 1, all octets = {}", octets(payload)),
            ));
        }
        let method = decode::method(payload).map_err(|e| bad_method(e, id, payload))?;
        match method {
            Method::BasicAck { .. } | Method::BasicNack { .. } | Method::BasicReject { .. } => {}
            _ => {
                self.flush_run(run, input, out);
                self.flush_settled(out);
            }
        }
        if channel == 0 {
            self.connection_method(method, now, out)
        } else {
            self.channel_method(channel, method, out)
        }
        .map_err(|fault| fault.at(id))
    }

    fn event(&mut self, event: Event, now: Time, out: &mut Output) {
        match event {
            Event::Deliver(delivery) => self.deliver(&delivery, out),
            Event::Answer { lane, ticket, result } => {
                self.answered(lane, ticket, result, now, out);
            }
            Event::Confirmed { lane, first, count } => self.confirmed(lane, first, count, true),
            Event::Rejected { lane, first, count } => self.confirmed(lane, first, count, false),
            Event::Returned { lane, run, item, .. } => self.returned(lane.0, &run, item, out),
            Event::Broken { lane, why } => {
                if self.slots.open(lane.0).is_some() {
                    self.fail(lane.0, map::fault(&why, publish::PUBLISH), now, out);
                }
            }
            Event::Cancelled { consumer, cause, .. } => self.cancelled(consumer, cause, now, out),
            Event::Alarm { alarm, raised } => {
                let bit = map::alarm_bit(alarm);
                self.alarms = if raised { self.alarms | bit } else { self.alarms & !bit };
                if self.alarms == 0 {
                    self.heart.resume(now);
                }
                self.tell_alarms(out);
            }
            Event::Expelled { why } => self.expelled(why, now, out),
            // Only who has taken a berth can lose it.
            Event::Displaced => {}
            Event::Pause => self.heart.suspend(),
            Event::Resume => self.heart.resume(now),
        }
    }

    fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Over)
    }

    fn send(&self, channel: u16, method: &Method<'_>, out: &mut Output) {
        crate::encode::method(out.bytes.small(), channel, method);
    }
}

impl Session for Connection {
    fn receive(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received {
        let written = out.bytes.len();
        self.heart.heard(now);
        let mut run = Building::default();
        let mut received = Received::default();
        while self.wants_input() {
            match self.step(input, received.used, &mut run, now, out) {
                Step::Took(n) => received.used += n,
                Step::Need(n) => {
                    received.need = n;
                    break;
                }
                Step::Failed { used, channel, fault } => {
                    received.used += used;
                    self.flush_run(&mut run, input, out);
                    self.blame(channel, fault, now, out);
                }
                Step::Lost(fault) => {
                    self.flush_run(&mut run, input, out);
                    self.close_with(fault, true, now, out);
                }
            }
        }
        self.flush_run(&mut run, input, out);
        self.flush_settled(out);
        self.heart.wrote(written, now, out);
        received
    }

    fn events(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output) {
        let written = out.bytes.len();
        for event in events.drain(..) {
            match self.phase {
                Phase::Entering | Phase::Running => self.event(event, now, out),
                // Alarms are news to whoever is still shaking hands, too.
                Phase::Closing { .. } | Phase::Over => {
                    if let Event::Deliver(d) = event {
                        out.delivered += d.cost;
                    }
                }
                _ => {
                    if let Event::Alarm { .. } = event {
                        self.event(event, now, out);
                    }
                }
            }
        }
        self.flush_confirms(out);
        self.heart.wrote(written, now, out);
    }

    fn admitted(&mut self, verdict: Verdict, now: Time, out: &mut Output) {
        let written = out.bytes.len();
        self.judged(verdict, now, out);
        self.heart.wrote(written, now, out);
    }

    fn tick(&mut self, now: Time, out: &mut Output) {
        let written = out.bytes.len();
        self.ticked(now, out);
        self.heart.wrote(written, now, out);
    }

    fn wake_at(&self) -> Option<Time> {
        match self.phase {
            Phase::Over => None,
            Phase::Running => self.heart.wake_at(self.wants_input()),
            Phase::Closing { .. } => self.deadline,
            _ => match (self.deadline, self.heart.wake_at(false)) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
        }
    }

    fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Over => false,
            Phase::Closing { .. } => true,
            _ => self.asked.is_none() && !self.judging,
        }
    }

    fn stop(&mut self, now: Time, out: &mut Output) {
        self.stopped(now, out);
    }
}

fn unknown_frame(kind: Kind, payload: &[u8]) -> Fault {
    let text = format!("type {}, all octets = {}: unknown_frame", kind.octet(), octets(payload));
    Fault::nowhere(Code::FrameError, text)
}

fn bad_method(error: DecodeError, id: (u16, u16), payload: &[u8]) -> Fault {
    match error {
        DecodeError::Unknown { .. } => Fault::new(Code::CommandInvalid, "unimplemented method"),
        DecodeError::NotText => Fault::nowhere(Code::FrameError, error.to_string()),
        DecodeError::Table(why) => Fault::new(Code::SyntaxError, why.to_string()),
        // The bytes of the connection class may be a password.
        DecodeError::Short | DecodeError::Trailing if id.0 == 10 => {
            Fault::new(Code::FrameError, "cannot decode")
        }
        DecodeError::Short | DecodeError::Trailing => {
            let fields = payload.get(4..).unwrap_or_default();
            Fault::new(Code::FrameError, format!("cannot decode {}", octets(fields)))
        }
    }
    .at(id)
}
