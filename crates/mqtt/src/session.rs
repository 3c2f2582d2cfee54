//! One connection: what may come when, the turns, and how things end. The
//! conversations themselves are in the modules below; nothing here reads a clock.

mod outbound;

use crate::Shared;
use bytes::Bytes;
use lockgate_front::{Output, Peer, Received, Session, Verdict};
use lockgate_model::{Event, Time};
use outbound::Outbound;
use std::sync::Arc;

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

/// One connection's protocol state.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    phase: Phase,
    outbound: Outbound,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, _peer: &Peer) -> Connection {
        Connection { shared, phase: Phase::Greeting, outbound: Outbound::new() }
    }
}

impl Session for Connection {
    fn receive(&mut self, _input: &Bytes, _now: Time, _out: &mut Output) -> Received {
        Received::default()
    }
    fn events(&mut self, events: &mut Vec<Event>, _now: Time, _out: &mut Output) {
        events.clear();
    }
    fn admitted(&mut self, _verdict: Verdict, _now: Time, _out: &mut Output) {}
    fn tick(&mut self, _now: Time, _out: &mut Output) {}
    fn wake_at(&self) -> Option<Time> {
        None
    }
    fn wants_input(&self) -> bool {
        true
    }
    fn stop(&mut self, _now: Time, _out: &mut Output) {}
}
