//! How things go wrong and how they end: ERROR, which most often leaves the connection open,
//! DISCONNECT, silence, and our own stop.

use super::ask::{BOUNDARY, Then};
use super::{Connection, Phase, heart::Due};
use crate::encode;
use crate::error::Fault;
use crate::map;
use crate::packet::Frame;
use lockgate_front::{Cause, Close, Output, Session};
use lockgate_model::Time;
use std::time::Duration;

/// How long a peer may take to read our last words and to close the socket. What it sent
/// behind is dropped meanwhile: closing upon unread input would take back what we said last.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(3);

/// The versions that an ERROR names.
const VERSIONS: &[u8] = b"1.0,1.1,1.2";

impl Connection {
    /// Tells a fault, and ends the connection if it is of that kind.
    pub(super) fn fail(&mut self, fault: Fault, receipt: Option<&[u8]>, out: &mut Output) {
        if self.phase == Phase::Over {
            return;
        }
        self.say_error(&fault, receipt.map(|id| ("receipt-id", id)), out);
        if fault.closes {
            let cause = match self.phase {
                Phase::Login | Phase::Entering => Cause::Denied(fault.cause()),
                _ => Cause::Fault(fault.cause()),
            };
            self.end(LAST_WORDS_WAIT, cause, out);
        }
    }

    /// An ERROR frame.
    pub(super) fn say_error(
        &self,
        fault: &Fault,
        about: Option<(&'static str, &[u8])>,
        out: &mut Output,
    ) {
        let headers = [
            ("message", fault.message.as_bytes()),
            ("content-type", b"text/plain"),
            ("version", VERSIONS),
        ];
        let (escapes, behind) = (self.escapes(), self.behind());
        let headers = headers.into_iter().chain(about);
        encode::frame(out.bytes.small(), "ERROR", headers, fault.text.as_bytes(), escapes, behind);
    }

    /// The end of the connection itself. All that it holds goes with it.
    pub(super) fn end(&mut self, linger: Duration, cause: Cause, out: &mut Output) {
        self.phase = Phase::Over;
        self.deadline = None;
        self.asked = None;
        self.judging = false;
        out.close = Some(Close { linger, cause });
    }

    /// DISCONNECT. Its receipt says that all before it is done with, so it waits for that.
    pub(super) fn disconnect(&mut self, frame: &Frame<'_>, out: &mut Output) {
        match frame.get("receipt") {
            Some(receipt) => {
                self.farewell = Some(receipt.into());
                self.ask(BOUNDARY, Then::Farewell, out);
            }
            None => self.end(LAST_WORDS_WAIT, Cause::Agreed, out),
        }
    }

    /// Leaves when nothing that was promised is left to be told.
    pub(super) fn leave_if_told(&mut self, out: &mut Output) {
        if self.phase == Phase::Leaving && self.receipts.is_empty() {
            if let Some(receipt) = self.farewell.take() {
                self.say_receipt(&receipt, out);
            }
            self.end(LAST_WORDS_WAIT, Cause::Agreed, out);
        }
    }

    /// The broker goes down.
    pub(super) fn stopped(&mut self, out: &mut Output) {
        match self.phase {
            Phase::Greeting | Phase::Login => self.end(Duration::ZERO, Cause::Stopped, out),
            Phase::Over => {}
            Phase::Entering | Phase::Running | Phase::Leaving => self.expelled(map::STOPPING, out),
        }
    }

    /// What the session stood on is gone, and an operator wanted it so.
    pub(super) fn expelled(&mut self, why: &str, out: &mut Output) {
        self.say_error(&map::amqp("connection_forced", why), None, out);
        self.end(LAST_WORDS_WAIT, Cause::Stopped, out);
    }

    /// Time has passed.
    pub(super) fn ticked(&mut self, now: Time, out: &mut Output) {
        if self.deadline.is_some_and(|at| now >= at) {
            return self.end(Duration::ZERO, Cause::Silent, out);
        }
        if !matches!(self.phase, Phase::Running | Phase::Leaving) {
            return;
        }
        match self.heart.due(now, self.wants_input()) {
            Due::Nothing => {}
            Due::Beat => out.bytes.small().push(b'\n'),
            Due::Silence => self.end(Duration::ZERO, Cause::Silent, out),
        }
    }
}
