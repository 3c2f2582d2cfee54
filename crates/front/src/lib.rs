//! The contract of a protocol front: a session takes bytes and events, and gives
//! bytes and commands. It has no socket, no clock and no thread, so the same
//! session runs under a socket, a WebSocket, a script or a simulation.
//!
//! ```text
//!            bytes                    commands
//!   peer --> receive() --+--> Output.commands --> engine
//!        <-- Output.bytes <--+-- events() <------ engine
//!                         tick()  (time)
//! ```

pub mod first;
pub mod inflight;
mod login;
mod output;
#[cfg(feature = "script")]
pub mod script;

pub use login::{Login, Mechanism, Memo, Naming, Proof, Verdict};
pub use output::{Insert, Output, Skipped, Spot, WriteBuffer};

use bytes::Bytes;
use lockgate_model::{Event, Time};
use std::net::SocketAddr;
use std::time::Duration;

/// What a front needs to know of a new connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// Bytes nobody else could have guessed; different for each connection.
    pub seed: u64,
    /// When it connected.
    pub now: Time,
}

/// A protocol: makes a session for each connection.
pub trait Front: Send + Sync {
    /// The protocol's name in logs and metrics.
    fn name(&self) -> &'static str;

    /// A session for a new connection.
    fn open(&self, peer: &Peer) -> Box<dyn Session>;
}

/// How far `receive` came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes done with; the rest is handed over again with what follows it.
    pub used: usize,
    /// How many bytes, from the first unused one, the next step needs at least;
    /// 0 where that is not known yet. Never above the session's own limits.
    pub need: usize,
}

/// One connection's protocol state machine.
pub trait Session: Send {
    /// Takes bytes from the peer. Stops early, with bytes unused, when it no
    /// longer `wants_input`.
    fn receive(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received;

    /// Takes what the engine tells, in order, and leaves `events` empty.
    fn events(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output);

    /// Takes the answer to `Output::login`.
    fn admitted(&mut self, verdict: Verdict, now: Time, out: &mut Output);

    /// Time has come to (or past) what `wake_at` said.
    fn tick(&mut self, now: Time, out: &mut Output);

    /// When `tick` is wanted next.
    fn wake_at(&self) -> Option<Time>;

    /// False while an answer is awaited that must come before anything more is
    /// read, and after the end.
    fn wants_input(&self) -> bool;

    /// The broker is going down: say so as the protocol does, and close.
    fn stop(&mut self, now: Time, out: &mut Output);
}

/// How a connection is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Keep the socket this long after the last bytes are written, reading and
    /// dropping what comes, so that the peer can read why.
    pub linger: Duration,
    /// For the log and its counter.
    pub cause: Cause,
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// As agreed between both sides.
    Agreed,
    /// The peer broke its protocol's rules.
    Fault(String),
    /// The peer was not let in.
    Denied(String),
    /// Nothing came for too long.
    Silent,
    /// The peer went without ending what it had begun.
    Gone,
    /// Another connection has taken its place.
    Displaced,
    /// The broker goes down or was told to end it.
    Stopped,
}
