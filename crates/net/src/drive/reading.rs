//! Whether a peer is to be read, and handing the session what was.

use super::closing::{End, Phase};
use super::scratch::Scratch;
use super::{Driver, Engine};
use crate::intake::Read;
use bytes::Bytes;
use lockgate_model::Time;
use lockgate_model::limits::{BODY_BYTES_MAX, UNAUTHENTICATED_BYTES_MAX};
use std::ops::ControlFlow::{self, Break, Continue};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that may wait for a peer that has not logged in.
const UNAUTHENTICATED_OUTPUT_MAX: usize = 16 * 1024;

/// No frame is longer than the longest body and what stands around it.
const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX as usize + 1024 * 1024;

impl<S, E> Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    /// Reads once and lets the session have it.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        s: &mut Scratch,
    ) -> ControlFlow<End, bool> {
        if self.phase != Phase::Open || self.held_back(s) || !self.session.wants_input() {
            return Continue(false);
        }
        if let Some(input) = self.intake.again() {
            self.receive(input, now, s);
            return Continue(true);
        }
        let most = self.readable();
        if most == 0 {
            self.close(End::TooMuch, None, now, s);
            return Continue(true);
        }
        let read = self.intake.poll_read(&mut self.stream, cx, &mut s.blocks, most);
        let (n, input) = match read {
            Poll::Pending => return Continue(false),
            Poll::Ready(Err(e)) => return Break(End::Failed(e)),
            Poll::Ready(Ok(Read::End)) => {
                self.close(End::Gone, None, now, s);
                return Continue(true);
            }
            Poll::Ready(Ok(Read::Some(n))) => (n, None),
            Poll::Ready(Ok(Read::Enough(n, input))) => (n, Some(input)),
        };
        self.bytes_read += n as u64;
        s.read += n as u64;
        match input {
            Some(input) => self.receive(input, now, s),
            None => self.heard = true,
        }
        Continue(true)
    }

    /// How much may be read: before a peer is let in, so much in all.
    fn readable(&self) -> usize {
        match self.seat.is_let_in() {
            true => usize::MAX,
            false => UNAUTHENTICATED_BYTES_MAX.saturating_sub(self.bytes_read as usize),
        }
    }

    fn receive(&mut self, input: Bytes, now: Time, s: &mut Scratch) {
        let received = self.session.receive(&input, now, &mut s.out);
        self.heard = false;
        self.heed_output(now, s);
        if self.phase != Phase::Open {
            return;
        }
        let let_in = self.seat.is_let_in();
        let most = if let_in { FRAME_BYTES_MAX } else { UNAUTHENTICATED_BYTES_MAX };
        if self.intake.left(input, received, self.session.wants_input(), most).is_err() {
            self.close(End::TooMuch, None, now, s);
        }
    }

    /// True while the peer is not to be read, whatever the session wants.
    pub(super) fn held_back(&self, s: &Scratch) -> bool {
        self.flow.holds() || self.is_full(s)
    }

    /// True while too much waits for the peer to read it.
    pub(super) fn is_full(&self, s: &Scratch) -> bool {
        let most = match self.seat.is_let_in() {
            true => self.house.settings.output_max,
            false => self.house.settings.output_max.min(UNAUTHENTICATED_OUTPUT_MAX),
        };
        self.outlet.waiting(s) >= most
    }
}
