//! One connection: what may come when, the turns, and what becomes of a frame. The
//! conversations themselves are in the modules below; nothing here reads a clock.

mod active;
mod arguments;
mod ask;
mod close;
mod connect;
mod deliver;
mod heart;
mod receipt;
mod send;
mod settle;
mod subscribe;
mod transaction;

use crate::error::Fault;
use crate::frame::{self, Cut, Limits, Scan};
use crate::header::Escapes;
use crate::packet::{Command, Frame, Headers, Version};
use crate::settings::{Dialect, Settings};
use crate::{decode, map};
use ask::Asked;
use bytes::Bytes;
use deliver::Layout;
use heart::Heart;
use lockgate_front::inflight::{self, Inflight, Settling};
use lockgate_front::{Output, Peer, Received, Session, Verdict};
use lockgate_model::{Event, Name, Time};
use receipt::Receipts;
use send::Building;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use subscribe::Subscriptions;
use transaction::Transaction;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// CONNECT is awaited.
    Greeting,
    /// The driver is asked whether to let the peer in.
    Login,
    /// The engine is asked for the virtual host.
    Entering,
    /// Everything may come.
    Running,
    /// DISCONNECT came; what was promised before is still to be told.
    Leaving,
    /// Nothing more.
    Over,
}

/// What became of a frame.
enum Done {
    /// It is dealt with.
    Taken,
    /// Something must be answered first; it is to be read again then.
    Later,
}

/// What one step of `receive` came to.
enum Step {
    Took(usize),
    Need(usize),
    /// Nothing more is to be read for now.
    Wait,
}

/// What is noted of deliveries in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    /// The subscription they were delivered to.
    holder: u32,
    /// Settling one of them settles all before it.
    cumulative: bool,
}

/// Deliveries in flight.
type Span = inflight::Span<Noted>;

/// One connection's protocol state.
pub(crate) struct Connection {
    settings: Arc<Settings>,
    phase: Phase,
    /// When the peer has taken too long to be connected.
    deadline: Option<Time>,
    heart: Heart,
    version: Version,
    limits: Limits,
    user: Name,
    vhost: Name,
    /// What is spoken in this virtual host.
    dialect: Dialect,
    /// What ActiveMQ's dialect needs.
    active: active::Active,
    /// In message ids, so that no other connection's can be taken for ours.
    session: String,
    /// It never said CONNECT, and is told nothing of it.
    implicit: bool,
    seed: u64,
    /// Names drawn from the seed so far.
    draws: u32,
    /// How far the frame at hand was searched.
    scan: Scan,
    /// Scratch, kept for its memory.
    headers: Headers,
    /// A login that the driver has not judged yet.
    judging: bool,
    /// At most one: nothing is read until it is answered.
    asked: Option<Asked>,
    asks: u64,
    subscriptions: Subscriptions,
    inflight: Inflight<Noted>,
    settling: Settling<Noted>,
    /// Scratch, empty between calls.
    taken: Vec<Span>,
    receipts: Receipts,
    transactions: BTreeMap<Box<[u8]>, Transaction>,
    /// Queues that this connection has made sure of.
    declared: BTreeSet<Name>,
    /// Reply queues, by what the peer calls them.
    replies: BTreeMap<Box<str>, Name>,
    /// The last delivery's headers.
    layout: Layout,
    /// Bits of `map::alarm_bit`.
    alarms: u8,
    /// It has published: alarms are its business.
    publishes: bool,
    /// What DISCONNECT wants to be told before the end.
    farewell: Option<Box<[u8]>>,
}

impl Connection {
    pub(crate) fn new(settings: Arc<Settings>, peer: &Peer) -> Connection {
        Connection {
            phase: Phase::Greeting,
            deadline: Some(peer.now + settings.handshake_max),
            heart: Heart::new(peer.now),
            version: Version::V10,
            limits: settings.first_limits(),
            user: Name::default(),
            vhost: Name::default(),
            dialect: settings.dialect,
            active: active::Active::default(),
            session: String::new(),
            implicit: false,
            seed: peer.seed,
            draws: 0,
            scan: Scan::default(),
            headers: Headers::default(),
            judging: false,
            asked: None,
            asks: 0,
            subscriptions: Subscriptions::default(),
            inflight: Inflight::default(),
            settling: Settling::default(),
            taken: Vec::new(),
            receipts: Receipts::default(),
            transactions: BTreeMap::new(),
            declared: BTreeSet::new(),
            replies: BTreeMap::new(),
            layout: Layout::default(),
            alarms: 0,
            publishes: false,
            farewell: None,
            settings,
        }
    }

    /// How headers are written to this peer.
    fn escapes(&self) -> Escapes {
        Escapes::Of(self.version)
    }

    /// What stands behind the NUL of each frame.
    fn behind(&self) -> &'static [u8] {
        if self.settings.trailing_lf { b"\n" } else { b"" }
    }

    /// One step: what stands between frames, many SENDs at once, or a frame.
    fn step(
        &mut self,
        input: &Bytes,
        at: usize,
        run: &mut Building,
        now: Time,
        out: &mut Output,
    ) -> Step {
        let bytes = input.get(at..).unwrap_or_default();
        if self.scan.is_fresh() {
            let idle = frame::idle(bytes);
            if idle > 0 {
                self.scan = Scan::default();
                return Step::Took(idle);
            }
            if self.phase == Phase::Greeting && self.foreign(bytes, out) {
                return Step::Took(bytes.len());
            }
        }
        if bytes.is_empty() {
            return Step::Need(0);
        }
        if let Some(took) = run.repeat(input, at, &self.limits) {
            self.scan = Scan::default();
            return Step::Took(took);
        }
        let bounds = match self.scan.cut(bytes, &self.limits) {
            Ok(Cut::Whole(bounds)) => bounds,
            Ok(Cut::Part(need)) => return Step::Need(need),
            Err(why) => {
                self.flush_run(run, input, out);
                self.fail(why.into(), None, out);
                return Step::Took(bytes.len());
            }
        };
        let mut headers = std::mem::take(&mut self.headers);
        let lines = bytes.get(..bounds.lines).unwrap_or_default();
        let body = bytes.get(bounds.body..bounds.body + bounds.size).unwrap_or_default();
        let step = match decode::frame(lines, body, self.version, &mut headers) {
            Ok(frame) => {
                let place = send::Place { at, bounds };
                match self.frame(&frame, place, run, input, now, out) {
                    Ok(Done::Taken) => Step::Took(bounds.end),
                    Ok(Done::Later) => Step::Wait,
                    Err(fault) => {
                        self.flush_run(run, input, out);
                        self.flush_settled(out);
                        self.fail(fault, frame.get("receipt"), out);
                        Step::Took(bounds.end)
                    }
                }
            }
            Err(why) => {
                self.flush_run(run, input, out);
                self.fail(why.into(), None, out);
                Step::Took(bytes.len())
            }
        };
        headers.rest();
        self.headers = headers;
        step
    }

    /// A whole frame.
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        place: send::Place,
        run: &mut Building,
        input: &Bytes,
        now: Time,
        out: &mut Output,
    ) -> Result<Done, Fault> {
        match (self.phase, frame.command) {
            (Phase::Running, Command::Send) => {
                return self.send(frame, place, run, input, now, out);
            }
            (Phase::Running, _) => self.flush_run(run, input, out),
            (_, Command::Connect) => return self.connect(frame, now, out).map(|()| Done::Taken),
            _ if self.settings.implicit_connect => {
                return self.connect_implicitly(out).map(|()| Done::Later);
            }
            _ => return Err(connect::illegal()),
        }
        if !matches!(frame.command, Command::Ack | Command::Nack) {
            self.flush_settled(out);
        }
        match frame.command {
            Command::Ack | Command::Nack => self.acknowledge(frame, out)?,
            Command::Subscribe => return self.subscribe(frame, out),
            Command::Unsubscribe => self.unsubscribe(frame, out)?,
            Command::Begin => self.begin(frame, out)?,
            Command::Commit => self.commit(frame, out)?,
            Command::Abort => self.abort(frame, out)?,
            Command::Disconnect => self.disconnect(frame, out),
            Command::Connect => return Err(connect::again()),
            Command::Send | Command::Unknown => return Err(connect::unknown(frame.word)),
        }
        Ok(Done::Taken)
    }

    fn event(&mut self, event: Event, now: Time, out: &mut Output) {
        match event {
            Event::Deliver(delivery) => self.deliver(&delivery, out),
            Event::Answer { ticket, result, .. } => self.answered(ticket, result, now, out),
            Event::Confirmed { first, count, .. } => self.confirmed(first, count, out),
            Event::Rejected { first, count, .. } => self.rejected(first, count, out),
            // Nothing of ours is mandatory, and no berth is ours.
            Event::Returned { .. } | Event::Displaced => {}
            Event::Broken { why, .. } => self.fail(map::fault(&why), None, out),
            Event::Cancelled { consumer, .. } => self.cancelled(consumer, out),
            Event::Alarm { alarm, raised } => {
                let bit = map::alarm_bit(alarm);
                self.alarms = if raised { self.alarms | bit } else { self.alarms & !bit };
                self.heed_alarms(now);
            }
            Event::Expelled { why } => self.expelled(&why, out),
            Event::Pause => self.heart.suspend(),
            Event::Resume => self.heart.resume(now),
        }
    }

    /// What is not read cannot be heard, so a publisher's silence does not count while
    /// something runs short.
    fn heed_alarms(&mut self, now: Time) {
        if self.alarms != 0 && self.publishes {
            self.heart.suspend();
        } else if self.alarms == 0 {
            self.heart.resume(now);
        }
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
                Step::Wait => break,
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
                Phase::Entering | Phase::Running | Phase::Leaving => self.event(event, now, out),
                Phase::Over => {
                    if let Event::Deliver(d) = event {
                        out.delivered += d.cost;
                    }
                }
                // Alarms are news to whoever is still shaking hands, too.
                Phase::Greeting | Phase::Login => {
                    if let Event::Alarm { .. } = event {
                        self.event(event, now, out);
                    }
                }
            }
        }
        self.leave_if_told(out);
        self.heart.wrote(written, now, out);
    }

    fn admitted(&mut self, verdict: Verdict, now: Time, out: &mut Output) {
        let written = out.bytes.len();
        self.judged(verdict, out);
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
            Phase::Running | Phase::Leaving => self.heart.wake_at(self.wants_input()),
            Phase::Greeting | Phase::Login | Phase::Entering => self.deadline,
        }
    }

    fn wants_input(&self) -> bool {
        match self.phase {
            Phase::Greeting | Phase::Running => self.asked.is_none() && !self.judging,
            Phase::Login | Phase::Entering | Phase::Leaving | Phase::Over => false,
        }
    }

    fn stop(&mut self, _: Time, out: &mut Output) {
        self.stopped(out);
    }
}
