//! Who is connected: counts against the limits, and a way to reach every
//! connection when the broker stops, without a lock on anybody's normal path.

use slab::Slab;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tokio::sync::Notify;

/// How far the stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// All is well.
    Serving = 0,
    /// Sessions say goodbye.
    Stopping = 1,
    /// Time is up.
    Cut = 2,
}

/// Everyone who is connected.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    stage: AtomicU8,
    /// A waker per connection, once its task has run.
    seats: Mutex<Slab<Option<Waker>>>,
    unauthenticated: AtomicUsize,
    /// Told when the last one leaves.
    left: Notify,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Connections,
    Unauthenticated,
}

impl Roll {
    /// A seat for a new connection.
    pub(crate) fn enter(
        self: &Arc<Roll>,
        connections_max: usize,
        unauthenticated_max: usize,
    ) -> Result<Seat, Full> {
        let mut seats = self.seats();
        if seats.len() >= connections_max {
            return Err(Full::Connections);
        }
        if self.unauthenticated.load(Ordering::Relaxed) >= unauthenticated_max {
            return Err(Full::Unauthenticated);
        }
        self.unauthenticated.fetch_add(1, Ordering::Relaxed);
        Ok(Seat { key: seats.insert(None), roll: self.clone(), let_in: false })
    }

    /// How far the stop has come.
    #[inline]
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Stopping,
            _ => Stage::Cut,
        }
    }

    /// Goes on to `stage` and lets everyone know.
    pub(crate) fn announce(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        // Woken outside the lock: a waker may run whatever it likes.
        let wakers: Vec<Waker> = self.seats().iter().filter_map(|(_, w)| w.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many are connected.
    pub(crate) fn len(&self) -> usize {
        self.seats().len()
    }

    /// Waits until nobody is connected.
    pub(crate) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.len() == 0 {
                return;
            }
            left.await;
        }
    }

    fn seats(&self) -> MutexGuard<'_, Slab<Option<Waker>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place on the roll, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    roll: Arc<Roll>,
    key: usize,
    let_in: bool,
}

impl Seat {
    /// Says how the connection's task is woken. It is to be a task of its own, since
    /// the waker is taken only once.
    pub(crate) fn enroll(&self, waker: &Waker) {
        if let Some(seat) = self.roll.seats().get_mut(self.key) {
            *seat = Some(waker.clone());
        }
    }

    /// True once the peer has logged in.
    #[inline]
    pub(crate) fn is_let_in(&self) -> bool {
        self.let_in
    }

    /// The peer has logged in.
    pub(crate) fn let_in(&mut self) {
        if !std::mem::replace(&mut self.let_in, true) {
            self.roll.unauthenticated.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.let_in();
        let mut seats = self.roll.seats();
        seats.try_remove(self.key);
        if seats.is_empty() {
            seats.shrink_to_fit();
            self.roll.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_limits_hold_and_seats_come_back() {
        let roll = Arc::new(Roll::default());
        let mut a = roll.enter(2, 1).expect("first");
        assert_eq!(roll.enter(2, 1).err(), Some(Full::Unauthenticated));
        a.let_in();
        a.let_in();
        let b = roll.enter(2, 1).expect("second");
        assert_eq!(roll.enter(2, 1).err(), Some(Full::Connections));
        drop(b);
        assert_eq!(roll.len(), 1);
        drop(roll.enter(2, 1).expect("third"));
        drop(a);
        assert_eq!((roll.len(), roll.unauthenticated.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn the_last_one_to_leave_is_noticed() {
        let roll = Arc::new(Roll::default());
        let seat = roll.enter(9, 9).expect("seat");
        let waiting = tokio::spawn({
            let roll = roll.clone();
            async move { roll.empty().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(seat);
        waiting.await.expect("empty");
    }
}
