//! The one drive loop: carries bytes between a stream and a session, commands and
//! events between the session and the engine, and tells the session the time. It
//! knows no protocol by name and judges nothing that a peer says.
//!
//! ```text
//!          +--------------------- one round ----------------------+
//!  wake -> | admitted? | read, receive | submit, events | write    | -> again while anything moved
//!          +-------------------------------------------------------+    (a few rounds, then others' turn)
//! ```
//!
//! One task per connection. Between polls it holds its state and what is truly its
//! own: unused input, unwritten output. Buffers belong to the thread (`Scratch`).

mod closing;
mod exchange;
mod flow;
mod login;
mod losses;
mod outlet;
mod reading;
mod scratch;
#[cfg(test)]
mod tests;
mod timer;

use crate::door::{Admission, Doorkeeper};
use crate::engine::Engine;
use crate::intake::Intake;
use crate::roll::{Roll, Seat, Stage};
use crate::{Clock, Settings, Stats};
use closing::{End, Phase};
use flow::Flow;
use lockgate_front::{Front, Peer, Session};
use lockgate_model::Time;
use losses::Losses;
use outlet::Outlet;
use scratch::Scratch;
use std::future::Future;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use timer::Timer;
use tokio::io::{AsyncRead, AsyncWrite};

/// What all connections of a server share.
pub(crate) struct House<E> {
    pub(crate) engine: E,
    pub(crate) door: Arc<dyn Doorkeeper>,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) stats: Arc<Stats>,
    pub(crate) roll: Arc<Roll>,
}

/// Rounds of one poll before others get their turn: four full reads.
const ROUNDS: usize = 4;

/// One connection.
pub(crate) struct Driver<S, E: Engine> {
    stream: S,
    session: Box<dyn Session>,
    /// None before the peer is let in (it costs the engine nothing till then) and after the end.
    port: Option<E::Port>,
    house: Arc<House<E>>,
    seat: Seat,
    peer: Peer,
    /// The listener's kind, for the log.
    kind: Arc<str>,
    intake: Intake,
    outlet: Outlet,
    flow: Flow,
    /// A login that is being judged.
    admission: Option<Admission>,
    /// A login was denied: the connection stays, and tries no other, till then.
    held_until: Option<Time>,
    timer: Timer,
    phase: Phase,
    /// Why it ends, once that is known.
    end: Option<End>,
    /// The stage that the session has been told.
    stage: Stage,
    enrolled: bool,
    /// The peer has sent something that the session has not seen yet.
    heard: bool,
    bytes_read: u64,
    bytes_written: u64,
    losses: Losses,
}

impl<S, E> Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    /// Drives a new connection. The future is to be spawned as a task of its own.
    pub(crate) fn new(
        stream: S,
        front: &dyn Front,
        kind: Arc<str>,
        peer: Peer,
        house: Arc<House<E>>,
        seat: Seat,
    ) -> Self {
        let session = front.open(&peer);
        house.stats.accepted.fetch_add(1, Relaxed);
        Driver {
            stream,
            session,
            port: None,
            house,
            seat,
            peer,
            kind,
            intake: Intake::default(),
            outlet: Outlet::default(),
            flow: Flow::default(),
            admission: None,
            held_until: None,
            timer: Timer::default(),
            phase: Phase::Open,
            end: None,
            stage: Stage::Serving,
            enrolled: false,
            heard: false,
            bytes_read: 0,
            bytes_written: 0,
            losses: Losses::default(),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, s: &mut Scratch) -> ControlFlow<End> {
        let now = self.house.clock.now();
        self.heed(cx, now, s)?;
        self.look_at_time(now, s)?;
        for _ in 0..ROUNDS {
            let moved = match self.phase {
                Phase::Open => self.serve(cx, now, s)?,
                _ => self.wind_up(cx, now, s)?,
            };
            if !moved {
                self.arm(cx);
                return Continue(());
            }
        }
        cx.waker().wake_by_ref();
        Continue(())
    }

    /// Heeds the server's stop.
    fn heed(&mut self, cx: &mut Context<'_>, now: Time, s: &mut Scratch) -> ControlFlow<End> {
        if !self.enrolled {
            self.enrolled = true;
            self.seat.enroll(cx.waker());
        }
        let stage = self.house.roll.stage();
        if stage != self.stage {
            self.stage = stage;
            if stage == Stage::Cut {
                return Break(End::Cut);
            }
            if self.phase == Phase::Open {
                self.session.stop(now, &mut s.out);
                self.heed_output(now, s);
            }
        }
        Continue(())
    }

    /// One round of a connection that is open. True if anything moved.
    fn serve(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        s: &mut Scratch,
    ) -> ControlFlow<End, bool> {
        s.refill();
        let mut moved = self.admit(cx, now, s);
        moved |= self.read(cx, now, s)?;
        moved |= self.exchange(cx, now, s);
        moved |= self.write(cx, now, s)?;
        Continue(moved)
    }

    /// Writes what the peer takes, and gives its costs back.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        now: Time,
        s: &mut Scratch,
    ) -> ControlFlow<End, bool> {
        let n = match self.outlet.write(&mut self.stream, cx, s) {
            Ok(n) => n,
            Err(e) => return Break(End::Failed(e)),
        };
        self.bytes_written += n as u64;
        s.written += n as u64;
        let drained = self.outlet.waiting(s) == 0;
        let mut moved = n > 0;
        if self.phase == Phase::Open && self.outlet.window.is_due(drained) {
            self.submit(now, s);
            moved = true;
        }
        Continue(moved)
    }

    /// Does what a session's output asks for beside bytes and commands.
    fn heed_output(&mut self, now: Time, s: &mut Scratch) {
        self.outlet.window.encoded(std::mem::take(&mut s.out.delivered));
        self.losses.heed(&mut s.out, &self.house.stats, self.peer.address, &self.kind);
        if let Some(close) = s.out.close.take() {
            self.close(End::Told(close.cause), Some(close.linger), now, s);
        } else if let Some(login) = s.out.login.take() {
            self.ask(login, now);
        }
    }
}

impl<S, E> Future for Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let mut scratch = Scratch::take();
        this.outlet.unpack(&mut scratch);
        // A session that panics takes down its own connection and nothing else; what
        // it leaves is dropped with it.
        let turn = std::panic::AssertUnwindSafe(|| this.turn(cx, &mut scratch));
        let end = match std::panic::catch_unwind(turn) {
            Ok(Continue(())) => None,
            Ok(Break(end)) => Some(end),
            Err(_) => {
                scratch = Scratch::take();
                Some(End::Panicked)
            }
        };
        this.house.stats.moved(scratch.read, scratch.written);
        match end {
            None => {
                this.intake.park();
                this.outlet.pack(&mut scratch);
                scratch.give_back();
                Poll::Pending
            }
            Some(end) => {
                this.finish(end, &mut scratch);
                scratch.give_back();
                Poll::Ready(())
            }
        }
    }
}
