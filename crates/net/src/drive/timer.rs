//! One timer per connection, set anew only when it must fire earlier than it is
//! set to: a busy session moves its deadline with every message, and nobody pays.

use super::closing::{End, Phase};
use super::scratch::Scratch;
use super::{Driver, Engine};
use crate::Clock;
use bytes::Bytes;
use lockgate_model::Time;
use std::future::Future;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::task::Context;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

/// A timer that is looked at only when it may be due.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When `sleep` fires; none if it has.
    armed: Option<Time>,
}

impl Timer {
    /// True once when the time it was set to has come.
    #[inline]
    fn fired(&mut self, now: Time) -> bool {
        let fired = self.armed.is_some_and(|at| at <= now);
        if fired {
            self.armed = None;
        }
        fired
    }

    /// Sees to it that the task is woken at `at` or before.
    fn arm(&mut self, at: Time, clock: &Clock, cx: &mut Context<'_>) {
        let live = self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed());
        if live && self.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        let deadline = clock.instant(at);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(deadline);
                sleep
            }
            none => none.insert(Box::pin(sleep_until(deadline))),
        };
        self.armed = Some(at);
        // Outside the task's budget: a poll that the budget cuts off would wake the
        // task once and never again.
        let poll = std::pin::pin!(tokio::task::unconstrained(sleep)).poll(cx);
        if poll.is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl<S, E> Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    /// Does what is due.
    pub(super) fn look_at_time(&mut self, now: Time, s: &mut Scratch) -> ControlFlow<End> {
        if !self.timer.fired(now) {
            return Continue(());
        }
        match self.phase {
            Phase::Open if self.handshake_until().is_some_and(|at| at <= now) => {
                Break(End::Handshake)
            }
            Phase::Open => {
                if self.session.wake_at().is_some_and(|at| at <= now) {
                    self.vouch(now, s);
                    self.session.tick(now, &mut s.out);
                    self.heed_output(now, s);
                }
                Continue(())
            }
            Phase::Flushing { until, .. } | Phase::Lingering { until } if until <= now => {
                Break(self.end.take().unwrap_or(End::Gone))
            }
            _ => Continue(()),
        }
    }

    /// A peer that is not read, or whose frame is long on its way, is not silent: an
    /// empty input tells the session so before it looks at the time.
    fn vouch(&mut self, now: Time, s: &mut Scratch) {
        if (self.heard || self.held_back(s)) && self.session.wants_input() {
            self.session.receive(&Bytes::new(), now, &mut s.out);
            self.heard = false;
            self.heed_output(now, s);
        }
    }

    /// Sets the timer to whatever comes first.
    pub(super) fn arm(&mut self, cx: &mut Context<'_>) {
        let at = match self.phase {
            Phase::Open => match (self.session.wake_at(), self.handshake_until()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            Phase::Flushing { until, .. } | Phase::Lingering { until } => Some(until),
        };
        if let Some(at) = at {
            self.timer.arm(at, &self.house.clock, cx);
        }
    }

    fn handshake_until(&self) -> Option<Time> {
        (!self.seat.is_let_in()).then(|| self.peer.now + self.house.settings.handshake)
    }
}
