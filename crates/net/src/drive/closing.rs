//! The end of a connection: what is written leaves, the peer gets time to read it,
//! the cause is counted and said once.

use super::scratch::Scratch;
use super::{Driver, Engine};
use crate::block::READ_MAX;
use crate::intake::poll_into;
use crate::stats::Ending;
use lockgate_front::Cause;
use lockgate_model::Time;
use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{info, warn};

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The session lives.
    Open,
    /// The last bytes leave; both directions are given up at `until`.
    Flushing { until: Time, linger: Duration },
    /// All is said. What still comes is read and dropped, since closing upon unread
    /// input would make the peer's system throw away what we said last.
    Lingering { until: Time },
}

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The session said so.
    Told(Cause),
    /// The peer closed its side.
    Gone,
    /// The stream broke.
    Failed(io::Error),
    /// Not let in in time.
    Handshake,
    /// Asks us to hold more than it may.
    TooMuch,
    /// The broker's time to stop is up.
    Cut,
    /// The session panicked.
    Panicked,
}

impl End {
    fn ending(&self) -> Ending {
        match self {
            End::Told(Cause::Agreed) => Ending::Agreed,
            End::Told(Cause::Fault(_)) | End::TooMuch => Ending::Fault,
            End::Told(Cause::Denied(_)) => Ending::Denied,
            End::Told(Cause::Silent) => Ending::Silent,
            End::Told(Cause::Displaced) => Ending::Displaced,
            End::Told(Cause::Stopped) | End::Cut => Ending::Stopped,
            End::Told(Cause::Gone) | End::Gone | End::Failed(_) => Ending::Gone,
            End::Handshake => Ending::Handshake,
            End::Panicked => Ending::Panicked,
        }
    }

    fn cause(&self) -> String {
        match self {
            End::Told(Cause::Fault(text) | Cause::Denied(text)) => text.clone(),
            End::Told(Cause::Agreed) => "closed as agreed".into(),
            End::Told(Cause::Silent) => "silent for too long".into(),
            End::Told(Cause::Displaced) => "another connection has taken its place".into(),
            End::Told(Cause::Stopped) => "the broker stops".into(),
            End::Told(Cause::Gone) | End::Gone => "the peer went without closing".into(),
            End::Failed(e) => e.to_string(),
            End::Handshake => "did not log in in time".into(),
            End::TooMuch => "a frame larger than may be held for it".into(),
            End::Cut => "did not end in time when the broker stopped".into(),
            End::Panicked => "the session panicked".into(),
        }
    }
}

impl<S, E> Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    /// Begins the end: the engine gets what the session asked last and then learns
    /// that it is over, before the peer can.
    pub(super) fn close(&mut self, end: End, linger: Option<Duration>, now: Time, s: &mut Scratch) {
        if self.phase != Phase::Open {
            return;
        }
        if !s.out.commands.is_empty() {
            self.submit(now, s);
        }
        self.port = None;
        self.admission = None;
        self.intake = Default::default();
        self.end = Some(end);
        let until = now + self.house.settings.flush;
        self.phase = Phase::Flushing { until, linger: linger.unwrap_or_default() };
    }

    /// One round of a connection that ends. True if anything moved.
    pub(super) fn wind_up(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        s: &mut Scratch,
    ) -> ControlFlow<End, bool> {
        // A closed session has nothing more to ask.
        s.out.commands.clear();
        let moved = self.write(cx, now, s)?;
        if let Phase::Flushing { linger, .. } = self.phase
            && self.outlet.is_done(s)
        {
            // Not even that it is over is told to whoever guesses, unless the session said so.
            if let Some(until) = self.held_until.filter(|until| *until > now) {
                self.phase = Phase::Lingering { until: until.max(now + linger) };
                return Continue(true);
            }
            match Pin::new(&mut self.stream).poll_shutdown(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) if !linger.is_zero() => {
                    self.phase = Phase::Lingering { until: now + linger };
                    return Continue(true);
                }
                Poll::Ready(_) => return Break(self.reason()),
            }
        }
        // The peer may be stuck in writing to us before it can read our last words.
        match poll_into(&mut self.stream, cx, s.blocks.room(READ_MAX), READ_MAX) {
            Poll::Pending => Continue(moved),
            Poll::Ready(Ok(0)) if matches!(self.phase, Phase::Flushing { .. }) => Continue(moved),
            Poll::Ready(Ok(n)) if n > 0 => {
                self.bytes_read += n as u64;
                s.read += n as u64;
                Continue(true)
            }
            Poll::Ready(_) => Break(self.reason()),
        }
    }

    fn reason(&mut self) -> End {
        self.end.take().unwrap_or(End::Gone)
    }

    /// Counts and says why it ended.
    pub(super) fn finish(&mut self, end: End, s: &mut Scratch) {
        // A stream that breaks while the last words leave does not change why.
        let end = match (end, self.end.take()) {
            (End::Failed(_), Some(known)) => known,
            (end, _) => end,
        };
        s.out.bytes = Default::default();
        s.out.commands.clear();
        let ending = end.ending();
        self.house.stats.close(ending);
        let (peer, kind, cause) = (self.peer.address, &*self.kind, end.cause());
        let (read, written) = (self.bytes_read, self.bytes_written);
        let ending_name = ending.name();
        match ending {
            Ending::Fault | Ending::Handshake | Ending::Panicked => {
                warn!(%peer, kind, ending = ending_name, cause, read, written, "connection closed");
            }
            _ => {
                info!(%peer, kind, ending = ending_name, cause, read, written, "connection closed");
            }
        }
    }
}
