//! The gate: one state, many who bring work. Whoever finds it open does the work at
//! once, with what others have left; whoever finds it shut leaves the work and goes.
//!
//! Nothing that is left stays undone: its bringer left it *before* finding the gate shut,
//! and whoever had shut it looks *after* opening it. Checked exhaustively for three at a
//! time (`RUSTFLAGS="--cfg loom" cargo test -p lockgate-engine --lib gate`).

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};
use std::sync::{PoisonError, TryLockError};
use std::task::Waker;

/// Most items of one turn: then everybody gets what is theirs before the next.
const TURN_MAX: usize = 64;

/// What stands behind a gate.
pub trait Gated {
    /// What can be left for it.
    type Item;

    /// Does one item.
    fn take(&mut self, item: Self::Item);

    /// Ends a turn; who is to be woken for it goes into `wake`.
    fn finish(&mut self, wake: &mut Vec<Waker>);

    /// Somebody broke down within: nothing can be promised any more.
    fn broken(&self);
}

/// A state behind a gate.
#[derive(Debug)]
pub struct Gate<S: Gated> {
    state: Mutex<S>,
    inbox: Mutex<Vec<S::Item>>,
}

impl<S: Gated> Gate<S> {
    /// An open gate.
    pub fn new(state: S) -> Gate<S> {
        Gate { state: Mutex::new(state), inbox: Mutex::new(Vec::new()) }
    }

    /// Waits until the gate is open and looks inside. What is left meanwhile is done by
    /// the next who comes, so somebody must: `look` and then `drive`.
    pub fn look(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let state = poisoned.into_inner();
            state.broken();
            state
        })
    }

    fn inbox(&self) -> MutexGuard<'_, Vec<S::Item>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Option<MutexGuard<'_, S>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => {
                let state = poisoned.into_inner();
                state.broken();
                Some(state)
            }
        }
    }

    /// Leaves an item, and does it if the gate is open.
    pub fn leave(&self, item: S::Item) {
        self.inbox().push(item);
        self.drive();
    }

    /// Does `work` as the last thing of a turn of its own, if the gate is open; what was left
    /// before comes first. False, and nothing done, if it is shut.
    pub fn try_turn(&self, work: impl FnOnce(&mut S, &mut Vec<Waker>)) -> bool {
        let Some(mut state) = self.enter() else { return false };
        self.clear(&mut state);
        let mut wake = Vec::new();
        work(&mut state, &mut wake);
        drop(state);
        wake.into_iter().for_each(Waker::wake);
        self.drive();
        true
    }

    /// Does everything that was left.
    pub fn clear(&self, state: &mut S) {
        loop {
            let items = std::mem::take(&mut *self.inbox());
            if items.is_empty() {
                return;
            }
            items.into_iter().for_each(|item| state.take(item));
        }
    }

    /// Works as long as something is left and nobody else does.
    pub fn drive(&self) {
        let mut wake = Vec::new();
        while !self.inbox().is_empty() {
            let Some(mut state) = self.enter() else { return };
            let items = {
                let mut inbox = self.inbox();
                let n = inbox.len().min(TURN_MAX);
                if n == inbox.len() {
                    std::mem::take(&mut *inbox)
                } else {
                    inbox.drain(..n).collect()
                }
            };
            items.into_iter().for_each(|item| state.take(item));
            state.finish(&mut wake);
            drop(state);
            wake.drain(..).for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
mod tests {
    use super::*;
    use loom::sync::Arc;

    struct Seen(Vec<u32>);

    impl Gated for Seen {
        type Item = u32;

        fn take(&mut self, item: u32) {
            self.0.push(item);
        }

        fn finish(&mut self, _: &mut Vec<Waker>) {
            // The others must get a chance while the gate is shut and the inbox taken.
            loom::thread::yield_now();
        }

        fn broken(&self) {}
    }

    #[test]
    fn nothing_that_is_left_stays_undone() {
        // A lost item needs two switches at the wrong moments; three are allowed.
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let gate = Arc::new(Gate::new(Seen(Vec::new())));
            let threads: Vec<_> = (0..2)
                .map(|n| {
                    let gate = Arc::clone(&gate);
                    loom::thread::spawn(move || gate.leave(n))
                })
                .collect();
            // As a session does: at once if it can, left if it cannot.
            let at_once = gate.try_turn(|state, wake| {
                state.take(2);
                state.finish(wake);
            });
            if !at_once {
                gate.leave(2);
            }
            threads.into_iter().for_each(|t| assert!(t.join().is_ok()));
            let mut seen = gate.look().0.clone();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2]);
        });
    }
}
