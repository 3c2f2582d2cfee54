//! An outbox: events on their way to one session, and who is to be woken for them.

use lockgate_model::Event;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// An idle session keeps memory for so many events.
const KEEP_MAX: usize = 4;

/// Events for one session.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Event>,
    waker: Option<Waker>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds events, leaving `events` empty. Returns who is to be woken.
    pub fn put(&self, events: &mut Vec<Event>) -> Option<Waker> {
        let mut inner = self.lock();
        if inner.events.is_empty() {
            std::mem::swap(&mut inner.events, events);
        } else {
            inner.events.append(events);
        }
        inner.waker.take()
    }

    /// Moves all events into `into`, or remembers whom to wake.
    pub fn poll(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.events.is_empty() {
            // What a burst took is given back when the session falls idle.
            if inner.events.capacity() > KEEP_MAX {
                inner.events = Vec::new();
            }
            match &inner.waker {
                Some(w) if w.will_wake(cx.waker()) => {}
                _ => inner.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        if into.is_empty() {
            std::mem::swap(&mut inner.events, into);
        } else {
            into.append(&mut inner.events);
        }
        Poll::Ready(())
    }
}
