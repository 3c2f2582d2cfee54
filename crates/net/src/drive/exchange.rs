//! Between session and engine: a batch down, what the engine tells up.

use super::closing::Phase;
use super::scratch::Scratch;
use super::{Driver, Engine};
use crate::engine::Port;
use lockgate_model::Time;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// How often session and engine answer each other in one round.
const TALKS: usize = 8;

impl<S, E> Driver<S, E>
where
    S: AsyncRead + AsyncWrite + Unpin,
    E: Engine,
{
    /// Hands commands to the engine and takes what it tells, which it mostly does at once.
    pub(super) fn exchange(&mut self, cx: &mut Context<'_>, now: Time, s: &mut Scratch) -> bool {
        let mut moved = false;
        for n in 0..=TALKS {
            if self.phase != Phase::Open {
                break;
            }
            if !s.out.commands.is_empty() {
                self.submit(now, s);
                moved = true;
            }
            if n == TALKS {
                break;
            }
            // Events that are left where they are bound themselves: the engine's window is spent.
            let Some(port) = &self.port else { break };
            if s.quiet || self.outlet.waiting(s) >= self.house.settings.output_max {
                break;
            }
            match port.poll_events(cx, &mut s.events) {
                Poll::Pending => s.quiet = true,
                Poll::Ready(()) => {
                    self.flow.hear(&s.events);
                    self.session.events(&mut s.events, now, &mut s.out);
                    debug_assert!(s.events.is_empty(), "a session takes all events");
                    s.events.clear();
                    self.heed_output(now, s);
                    moved = true;
                }
            }
        }
        moved
    }

    /// Submits what the session asks, and what is to be given back along with it.
    pub(super) fn submit(&mut self, now: Time, s: &mut Scratch) {
        self.outlet.window.join(&mut s.out.commands);
        self.flow.say(&s.out.commands);
        let port = self.port.get_or_insert_with(|| self.house.engine.connect());
        port.submit(&mut s.out.commands, now);
        s.out.commands.clear();
        s.quiet = false;
    }
}
