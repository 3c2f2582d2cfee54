//! Ports that several protocols share: a connection's first bytes tell whose session it
//! gets, which from then on is all there is. Few bytes make nobody guess: they are kept,
//! within what a stranger may cost, until they are enough.

use crate::inner::Inner;
use bytes::Bytes;
use lockgate_front::first::{self, First, Recognise};
use lockgate_front::{Cause, Close, Front, Output, Peer, Received, Session, Verdict};
use lockgate_model::{Event, Time};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A front that is any of several, as the first bytes say.
#[derive(Clone)]
pub struct Auto {
    fronts: Arc<[(Recognise, Arc<dyn Front>)]>,
}

impl Auto {
    /// These protocols, and WebSocket where the first bytes are HTTP.
    pub fn new(inners: &[Inner], websocket: Arc<dyn Front>) -> Auto {
        let plain = inners.iter().map(|inner| (inner.first, inner.front.clone()));
        let http: (Recognise, Arc<dyn Front>) = (first::http, websocket);
        Auto { fronts: plain.chain([http]).collect() }
    }
}

impl fmt::Debug for Auto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fronts.iter().map(|(_, front)| front.name())).finish()
    }
}

impl Front for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn open(&self, peer: &Peer) -> Box<dyn Session> {
        Box::new(Connection { fronts: self.fronts.clone(), peer: peer.clone(), state: State::Open })
    }
}

enum State {
    /// Nobody's yet.
    Open,
    /// This one's.
    Told(Box<dyn Session>),
    Over,
}

struct Connection {
    fronts: Arc<[(Recognise, Arc<dyn Front>)]>,
    peer: Peer,
    state: State,
}

impl Connection {
    /// Whose conversation begins like this?
    fn look(&mut self, input: &[u8], out: &mut Output) -> Received {
        let mut need: Option<usize> = None;
        for (is, front) in self.fronts.iter() {
            match is(input) {
                First::Yes => {
                    self.state = State::Told(front.open(&self.peer));
                    return Received::default();
                }
                First::More(n) => need = Some(need.map_or(n, |least| least.min(n))),
                First::No => {}
            }
        }
        let tls = first::tls(input);
        if let First::More(n) = tls {
            need = Some(need.map_or(n, |least| least.min(n)));
        }
        if let Some(need) = need {
            return Received { used: 0, need };
        }
        let spoken: Vec<&str> = self.fronts.iter().map(|(_, front)| front.name()).collect();
        let spoken = spoken.join(", ");
        let cause = match tls {
            First::Yes => format!("a TLS hello on a port without TLS, which speaks {spoken}"),
            _ => {
                let begun = input.get(..input.len().min(16)).unwrap_or_default().escape_ascii();
                format!("it begins with `{begun}`, which is none of {spoken}")
            }
        };
        self.state = State::Over;
        out.close = Some(Close { linger: Duration::ZERO, cause: Cause::Fault(cause) });
        Received { used: input.len(), need: 0 }
    }
}

impl Session for Connection {
    fn receive(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received {
        if let (State::Open, false) = (&self.state, input.is_empty()) {
            let received = self.look(input, out);
            if !matches!(self.state, State::Told(_)) {
                return received;
            }
        }
        match &mut self.state {
            State::Told(session) => session.receive(input, now, out),
            _ => Received { used: input.len(), need: 0 },
        }
    }

    fn events(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output) {
        match &mut self.state {
            State::Told(session) => session.events(events, now, out),
            _ => events.clear(),
        }
    }

    fn admitted(&mut self, verdict: Verdict, now: Time, out: &mut Output) {
        if let State::Told(session) = &mut self.state {
            session.admitted(verdict, now, out);
        }
    }

    fn tick(&mut self, now: Time, out: &mut Output) {
        if let State::Told(session) = &mut self.state {
            session.tick(now, out);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        match &self.state {
            State::Told(session) => session.wake_at(),
            _ => None,
        }
    }

    fn wants_input(&self) -> bool {
        match &self.state {
            State::Told(session) => session.wants_input(),
            State::Open => true,
            State::Over => false,
        }
    }

    fn stop(&mut self, now: Time, out: &mut Output) {
        match &mut self.state {
            State::Told(session) => session.stop(now, out),
            State::Over => {}
            State::Open => {
                self.state = State::Over;
                out.close = Some(Close { linger: Duration::ZERO, cause: Cause::Stopped });
            }
        }
    }
}
