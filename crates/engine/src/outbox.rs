//! An outbox: events on their way to one session, and who is to be woken for them.

use lockgate_model::Event;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

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
            // An idle session keeps no memory: whoever asks may have use for it.
            if inner.events.capacity() > 0 {
                let room = std::mem::take(&mut inner.events);
                if into.capacity() == 0 {
                    *into = room;
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_heard_all_keeps_no_memory_for_more() {
        let outbox = Outbox::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut told = vec![Event::Pause, Event::Resume];
        assert!(outbox.put(&mut told).is_none());
        assert_eq!(told.capacity(), 0, "what was told went as it was");
        let mut heard = Vec::with_capacity(8);
        assert!(outbox.poll(&mut cx, &mut heard).is_ready());
        assert_eq!(heard.len(), 2);
        heard = Vec::new();
        assert!(outbox.poll(&mut cx, &mut heard).is_pending());
        assert_eq!(heard.capacity(), 8, "whoever asks has use for it");
        assert_eq!(outbox.lock().events.capacity(), 0);
        assert!(outbox.put(&mut vec![Event::Pause]).is_some(), "somebody waits");
    }
}
