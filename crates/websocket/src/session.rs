//! One connection: the handshake, then frames around an inner session, which gets what is
//! its own and gives what it gives, unchanged but for the frames around its bytes.

mod handshake;
mod inward;
mod outward;

use crate::Shared;
use crate::frame::{self, Broken, Kind};
use crate::plain::Plain;
use bytes::Bytes;
use inward::Reader;
use lockgate_front::{Cause, Close, Output, Peer, Received, Session, Verdict};
use lockgate_model::limits::{BODY_BYTES_MAX, UNAUTHENTICATED_BYTES_MAX};
use lockgate_model::{Event, Time};
use std::sync::Arc;
use std::time::Duration;
use tungstenite::protocol::frame::coding::CloseCode;

/// What the inner session may wait for: the longest body and what stands around it.
const PACKET_BYTES_MAX: usize = BODY_BYTES_MAX as usize + 1024 * 1024;

/// How long the socket is kept for the peer's own close frame (7.1.1), and for an answer in
/// HTTP to be read.
const LINGER: Duration = Duration::from_secs(2);

/// How far a connection is.
enum State {
    /// The request is awaited; so many of its bytes have been looked at.
    Request { seen: usize },
    /// Frames come, and whom they are for is not known yet.
    Choosing,
    /// The session of the inner front of this number.
    Inner(Box<dyn Session>, usize),
    /// Nothing more.
    Over,
}

/// One connection's state.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    peer: Peer,
    state: State,
    reader: Reader,
    plain: Plain,
    /// The kind of messages that the peer sent last, in which it is answered.
    kind: Option<Kind>,
    /// Bytes at the front of the next input that are done with, though they were not said to be.
    done: usize,
    let_in: bool,
    /// Bytes of the last message's head: the next one's likely takes as many.
    room: u8,
    /// Payload has come that the inner session has not seen yet.
    heard: bool,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, peer: &Peer) -> Connection {
        Connection {
            shared,
            peer: peer.clone(),
            state: State::Request { seen: 0 },
            reader: Reader::default(),
            plain: Plain::default(),
            kind: None,
            done: 0,
            let_in: false,
            room: 2,
            heard: false,
        }
    }

    /// Most bytes that may be held of a packet whose rest has not come.
    fn held_max(&self) -> usize {
        if self.let_in { PACKET_BYTES_MAX } else { UNAUTHENTICATED_BYTES_MAX }
    }

    /// Ends it with a close frame.
    fn end(&mut self, code: CloseCode, text: &str, cause: Cause, out: &mut Output) {
        frame::close(out.bytes.small(), code, text);
        self.over(LINGER, cause, out);
    }

    /// Ends it: the peer broke a rule of WebSocket's.
    fn fail(&mut self, broken: Broken, out: &mut Output) {
        let Broken { code, text } = broken;
        self.end(code, text, Cause::Fault(format!("WebSocket: {text}")), out);
    }

    fn over(&mut self, linger: Duration, cause: Cause, out: &mut Output) {
        self.state = State::Over;
        self.plain.clear();
        out.close = Some(Close { linger, cause });
    }

    /// Has the inner session do something, and puts frames around what it says.
    fn inside(&mut self, out: &mut Output, act: impl FnOnce(&mut dyn Session, &mut Output)) {
        let opened = self.open(out);
        if let State::Inner(session, _) = &mut self.state {
            act(session.as_mut(), out);
        }
        self.wrap(opened, out);
    }
}

impl Session for Connection {
    fn receive(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received {
        let received = match &mut self.state {
            State::Over => Received { used: input.len(), need: 0 },
            State::Request { .. } => self.request(input, now, out),
            _ => self.frames(input, 0, now, out),
        };
        self.plain.park();
        received
    }

    fn events(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output) {
        if matches!(self.state, State::Inner(..)) {
            self.hand_on(events, now, out);
        }
        events.clear();
    }

    fn admitted(&mut self, verdict: Verdict, now: Time, out: &mut Output) {
        self.let_in |= matches!(verdict, Verdict::Admitted(_) | Verdict::Proven { .. });
        self.inside(out, |session, out| session.admitted(verdict, now, out));
    }

    fn tick(&mut self, now: Time, out: &mut Output) {
        if std::mem::take(&mut self.heard) {
            // A packet that is long on its way is no silence.
            self.inside(out, |session, out| {
                if session.wants_input() {
                    session.receive(&Bytes::new(), now, out);
                }
            });
        }
        self.inside(out, |session, out| session.tick(now, out));
    }

    fn wake_at(&self) -> Option<Time> {
        match &self.state {
            State::Inner(session, _) => session.wake_at(),
            _ => None,
        }
    }

    fn wants_input(&self) -> bool {
        match &self.state {
            State::Inner(session, _) => session.wants_input(),
            State::Over => false,
            _ => true,
        }
    }

    fn stop(&mut self, now: Time, out: &mut Output) {
        match self.state {
            State::Request { .. } => self.over(Duration::ZERO, Cause::Stopped, out),
            State::Choosing => {
                self.end(CloseCode::Away, "the broker stops", Cause::Stopped, out);
            }
            State::Inner(..) => self.inside(out, |session, out| session.stop(now, out)),
            State::Over => {}
        }
    }
}
