//! A login on its way: judged elsewhere, told late if it is denied, and only then
//! is the engine told of the peer at all.

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
            Verdict::Admitted(_) => {
                self.seat.let_in();
                self.port.get_or_insert_with(|| self.house.engine.connect());
            }
            Verdict::Denied(_) => {
                self.house.stats.logins_denied.fetch_add(1, Relaxed);
            }
        }
        self.session.admitted(verdict, now, &mut s.out);
        self.heed_output(now, s);
        true
    }

    pub(super) fn ask(&mut self, login: Login) {
        let verdict = self.house.door.admit(login, &self.peer);
        let delay = self.house.settings.denied_delay;
        self.admission = Some(Box::pin(async move {
            let verdict = verdict.await;
            if matches!(verdict, Verdict::Denied(_)) && !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            verdict
        }));
    }
}
