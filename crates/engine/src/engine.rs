//! The gate: whoever brings a batch while the engine is free drives it, with what others
//! have left; whoever finds it busy leaves the batch and goes.

use crate::librarian::{Brought, Librarian};
use crate::open::Fault;
use crate::outbox::Outbox;
use crate::state::{Item, State};
use lockgate_broker::Counts;
use lockgate_model::{Command, Event, SessionId, Time};
use lockgate_wal::{Disk, OsDisk, Progress};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Most batches of one turn: then everybody gets what is theirs before the next.
const TURN_MAX: usize = 64;

/// How soon time may want something again: at the least, while there is work, and while
/// there is none. What expires is due to 50 ms.
const TICK_LEAST: Duration = Duration::from_millis(2);
const TICK_BUSY: Duration = Duration::from_millis(25);
const TICK_IDLE: Duration = Duration::from_millis(250);

pub(crate) struct Shared<D: Disk> {
    state: Mutex<State<D>>,
    inbox: Mutex<Vec<Item>>,
    next_session: AtomicU32,
    fault: Fault,
}

/// The engine. Cloning shares it.
pub struct Engine<D: Disk = OsDisk>(Arc<Shared<D>>);

impl<D: Disk> Clone for Engine<D> {
    fn clone(&self) -> Self {
        Engine(Arc::clone(&self.0))
    }
}

impl<D: Disk> Engine<D> {
    pub(crate) fn new(state: State<D>, fault: Fault) -> Engine<D> {
        Engine(Arc::new(Shared {
            state: Mutex::new(state),
            inbox: Mutex::new(Vec::new()),
            next_session: AtomicU32::new(1),
            fault,
        }))
    }

    /// Registers a session.
    pub fn connect(&self) -> Port<D> {
        let session = SessionId(self.0.next_session.fetch_add(1, Relaxed));
        let outbox = Arc::new(Outbox::default());
        self.0.leave(Item::Connect(session, Arc::clone(&outbox)));
        Port { engine: self.clone(), session, outbox }
    }

    /// Does what time demands; says when it wants to be called next.
    pub fn tick(&self, now: Time) -> Option<Time> {
        let (due, busy) = self.0.state().tick(now);
        self.0.leave(Item::Look);
        let wait = match due {
            Some(due) => due.since(now).clamp(TICK_LEAST, TICK_BUSY),
            None if busy => TICK_BUSY,
            None => TICK_IDLE,
        };
        Some(now + wait)
    }

    /// What is there, in numbers.
    pub fn counts(&self) -> Counts {
        self.0.state().broker.counts()
    }

    /// Stops for good: what is in the log is synced, and the stop is marked as orderly.
    pub fn stop(&self) -> std::io::Result<()> {
        let mut state = self.0.state();
        loop {
            let items = std::mem::take(&mut *self.0.inbox());
            if items.is_empty() {
                break;
            }
            items
                .into_iter()
                .try_for_each(|item| state.take(item))
                .map_err(std::io::Error::other)?;
        }
        state.stop()
    }

    /// Starts the log's threads and the librarian. They hold the engine loosely: it ends
    /// when its last owner lets it go.
    pub(crate) fn start(&self, librarian: Librarian<D>) -> std::io::Result<()> {
        let weak = Arc::downgrade(&self.0);
        let hear = move |progress| {
            if let Some(shared) = weak.upgrade() {
                Engine(shared).heard(progress);
            }
        };
        if let Some(log) = &mut self.0.state().log {
            log.start(hear)?;
        }
        let weak = Arc::downgrade(&self.0);
        let back = move |brought| {
            if let Some(shared) = weak.upgrade() {
                Engine(shared).brought(brought);
            }
        };
        std::thread::Builder::new().name("librarian".into()).spawn(move || librarian.run(back))?;
        Ok(())
    }

    /// What the log's threads have to say.
    pub(crate) fn heard(&self, progress: Progress) {
        match progress {
            Progress::Committed(_) => self.0.leave(Item::Look),
            Progress::Checkpoint(Ok(covers)) => tracing::debug!(%covers, "checkpoint"),
            Progress::Checkpoint(Err(e)) => tracing::warn!("no checkpoint could be written: {e}"),
            Progress::Failed(e) => (self.0.fault)(&format!("the log failed: {e}")),
        }
    }

    /// What the librarian brings.
    pub(crate) fn brought(&self, brought: Brought) {
        self.0.leave(Item::Brought(brought));
    }
}

impl<D: Disk> Shared<D> {
    fn state(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            (self.fault)("the engine broke down");
            poisoned.into_inner()
        })
    }

    fn inbox(&self) -> MutexGuard<'_, Vec<Item>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if nobody has it.
    fn try_state(&self) -> Option<MutexGuard<'_, State<D>>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => {
                (self.fault)("the engine broke down");
                Some(poisoned.into_inner())
            }
        }
    }

    /// Leaves an item, and drives if nobody does.
    fn leave(&self, item: Item) {
        self.inbox().push(item);
        self.drive();
    }

    /// Drives as long as there is something to do and nobody else does it. An item left
    /// while the gate was shut is seen: its bringer pushed it before finding the gate shut,
    /// and whoever shut it looks again after opening it.
    fn drive(&self) {
        let mut wake = Vec::new();
        while !self.inbox().is_empty() {
            let Some(mut state) = self.try_state() else { return };
            self.turn(&mut state, None, &mut wake);
            drop(state);
            wake.drain(..).for_each(Waker::wake);
        }
    }

    /// One turn: what lies in the inbox, then what comes of it.
    fn turn(&self, state: &mut State<D>, current: Option<SessionId>, wake: &mut Vec<Waker>) {
        let mut items = {
            let mut inbox = self.inbox();
            let n = inbox.len().min(TURN_MAX);
            if n == inbox.len() { std::mem::take(&mut *inbox) } else { inbox.drain(..n).collect() }
        };
        for item in items.drain(..) {
            if let Err(why) = state.take(item) {
                (self.fault)(&why);
            }
        }
        state.finish(current, wake);
    }
}

/// One session's place at the engine. Dropping it ends the session.
pub struct Port<D: Disk = OsDisk> {
    engine: Engine<D>,
    session: SessionId,
    outbox: Arc<Outbox>,
}

impl<D: Disk> Port<D> {
    /// Hands over a batch; `commands` is empty afterwards and keeps its memory.
    pub fn submit(&self, commands: &mut Vec<Command>, now: Time) {
        let shared = &self.engine.0;
        let Some(mut state) = shared.try_state() else {
            // Taken with its memory: the next batch finds it worth allocating anew, since this is rare.
            let batch = std::mem::take(commands);
            return shared.leave(Item::Batch(self.session, batch, now));
        };
        let mut wake = Vec::new();
        // What this session left earlier must come before what it brings now.
        loop {
            let items: Vec<Item> = std::mem::take(&mut *shared.inbox());
            if items.is_empty() {
                break;
            }
            for item in items {
                if let Err(why) = state.take(item) {
                    (shared.fault)(&why);
                }
            }
        }
        state.batch(self.session, commands, now);
        state.finish(Some(self.session), &mut wake);
        drop(state);
        wake.drain(..).for_each(Waker::wake);
        shared.drive();
    }

    /// Ready: at least one event has been moved into `into`. Pending: the task is woken
    /// when there is one.
    pub fn poll_events(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()> {
        self.outbox.poll(cx, into)
    }
}

impl<D: Disk> Drop for Port<D> {
    fn drop(&mut self) {
        self.engine.0.leave(Item::Gone(self.session));
    }
}
