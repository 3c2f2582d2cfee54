//! Who may come in: asked of someone else, answered in their own time.

use lockgate_front::{Login, Peer, Verdict};
use std::future::Future;
use std::pin::Pin;

/// An answer that may take a while.
pub type Admission = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// Judges logins. Slow work belongs on threads of its own: the future is polled
/// where sessions are driven.
pub trait Doorkeeper: Send + Sync {
    /// Judges one login.
    fn admit(&self, login: Login, peer: &Peer) -> Admission;
}

/// A doorkeeper that judges at once.
impl<F> Doorkeeper for F
where
    F: Fn(Login, &Peer) -> Verdict + Send + Sync,
{
    fn admit(&self, login: Login, peer: &Peer) -> Admission {
        Box::pin(std::future::ready(self(login, peer)))
    }
}
