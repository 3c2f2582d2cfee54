//! A login on its way: judged elsewhere, and only when it is granted is the engine told
//! of the peer at all. After a denial the connection is kept open for a while, and the
//! next attempt on it waits as long: who guesses holds a seat and gains no time.

use super::scratch::Scratch;
use super::{Driver, Engine};
use lockgate_front::{Login, Verdict};
use lockgate_model::Time;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

impl<S, E> Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    /// Looks whether a login has been judged.
    pub(super) fn admit(&mut self, cx: &mut Context<'_>, now: Time, s: &mut Scratch) -> bool {
        let Some(admission) = &mut self.admission else { return false };
        let Poll::Ready(verdict) = admission.as_mut().poll(cx) else { return false };
        self.admission = None;
        match verdict {
            // The peer has said nothing yet that costs more than a stranger may.
            Verdict::Challenge { .. } => {}
            Verdict::Admitted(_) | Verdict::Proven { .. } => {
                self.seat.let_in();
                self.port.get_or_insert_with(|| self.house.engine.connect());
            }
            Verdict::Denied(_) => {
                self.house.stats.logins_denied.fetch_add(1, Relaxed);
                self.held_until = Some(now + self.house.settings.denied_delay);
            }
        }
        self.session.admitted(verdict, now, &mut s.out);
        self.heed_output(now, s);
        true
    }

    pub(super) fn ask(&mut self, login: Login, now: Time) {
        let verdict = self.house.door.admit(login, &self.peer);
        let Some(until) = self.held_until.filter(|until| *until > now) else {
            self.admission = Some(verdict);
            return;
        };
        let until = self.house.clock.instant(until);
        self.admission = Some(Box::pin(async move {
            tokio::time::sleep_until(until).await;
            verdict.await
        }));
    }
}
