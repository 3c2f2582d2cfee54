//! The engine's handles: what sessions, timers and the log's threads see of it. Each
//! brings its item to the gate; nobody holds the state longer than its turn.

use crate::accounts::{Accounts, Board};
use crate::gate::Gate;
use crate::librarian::{Brought, Librarian};
use crate::outbox::Outbox;
use crate::shelver::Shelver;
use crate::state::{Item, State};
use lockgate_broker::Counts;
use lockgate_model::{Command, Event, Holdings, Name, Order, Refusal, Run, SessionId, Time};
use lockgate_wal::{Disk, OsDisk, Progress};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::task::{Context, Poll};
use std::time::Duration;

/// How soon time may want something again: at the least, while anybody is there, and while
/// nobody is. What expires is due to 50 ms.
const TICK_LEAST: Duration = Duration::from_millis(2);
const TICK_BUSY: Duration = Duration::from_millis(25);
const TICK_IDLE: Duration = Duration::from_millis(250);

pub(crate) struct Shared<D: Disk> {
    gate: Gate<State<D>>,
    next_session: AtomicU32,
    board: Arc<Board>,
}

/// The engine. Cloning shares it.
pub struct Engine<D: Disk = OsDisk>(Arc<Shared<D>>);

impl<D: Disk> Clone for Engine<D> {
    fn clone(&self) -> Self {
        Engine(Arc::clone(&self.0))
    }
}

impl<D: Disk> Engine<D> {
    pub(crate) fn new(state: State<D>) -> Engine<D> {
        let (board, next_session) = (Arc::clone(&state.board), AtomicU32::new(1));
        Engine(Arc::new(Shared { gate: Gate::new(state), next_session, board }))
    }

    /// Registers a session.
    pub fn connect(&self) -> Port<D> {
        let session = SessionId(self.0.next_session.fetch_add(1, Relaxed));
        let outbox = Arc::new(Outbox::default());
        self.0.gate.leave(Item::Connect(session, Arc::clone(&outbox)));
        Port { engine: self.clone(), session, outbox }
    }

    /// Does what time demands; says when it wants to be called next.
    pub fn tick(&self, now: Time) -> Option<Time> {
        let (due, busy) = self.0.gate.look().tick(now);
        self.0.gate.leave(Item::Look);
        let wait = match due {
            Some(due) => due.since(now).clamp(TICK_LEAST, TICK_BUSY),
            None if busy => TICK_BUSY,
            None => TICK_IDLE,
        };
        Some(now + wait)
    }

    /// Does an administrator's orders, one after the other, and waits until what they changed
    /// is committed. Not for where sessions are driven.
    pub fn administer(&self, orders: Vec<Order>, now: Time) -> Vec<Result<(), Refusal>> {
        let (count, (told, answer)) = (orders.len(), sync_channel(1));
        self.0.gate.leave(Item::Orders(orders, now, told));
        answer.recv().unwrap_or_else(|_| vec![Err(Refusal::Stopping); count])
    }

    /// Everything that is declared and ordered, for an export.
    pub fn holdings(&self) -> Holdings {
        let holdings = self.0.gate.look().broker.holdings();
        self.0.gate.drive();
        holdings
    }

    /// Announces the messages of a run in a virtual host, each to its topic: to clients with
    /// berths who want to hear it, and to no queue else. They are retained until the next ones
    /// come or the process ends.
    pub fn announce(&self, vhost: &Name, run: Arc<Run>, now: Time) {
        self.0.gate.leave(Item::Announce(vhost.clone(), run, now));
    }

    /// The virtual hosts that clients have berths in.
    pub fn vhosts_with_berths(&self) -> Vec<Name> {
        self.0.gate.look().broker.vhosts_with_berths()
    }

    /// The users as they stand.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.0.board.latest()
    }

    /// What is there, in numbers.
    pub fn counts(&self) -> Counts {
        self.0.gate.look().broker.counts()
    }

    /// Stops for good: what is in the log is synced, and the stop is marked as orderly.
    pub fn stop(&self) -> std::io::Result<()> {
        let mut state = self.0.gate.look();
        self.0.gate.clear(&mut state);
        state.stop()
    }

    /// Starts the log's threads, the librarian and the shelver. They hold the engine loosely: it ends
    /// when its last owner lets it go.
    pub(crate) fn start(
        &self,
        librarian: Librarian<D>,
        shelver: Shelver<D>,
    ) -> std::io::Result<()> {
        let weak = Arc::downgrade(&self.0);
        let hear = move |progress| {
            if let Some(shared) = weak.upgrade() {
                Engine(shared).heard(progress);
            }
        };
        if let Some(log) = &mut self.0.gate.look().log {
            log.start(hear)?;
        }
        let back = self.back();
        std::thread::Builder::new().name("librarian".into()).spawn(move || librarian.run(back))?;
        let back = self.back();
        std::thread::Builder::new().name("shelver".into()).spawn(move || shelver.run(back))?;
        Ok(())
    }

    /// Where a thread leaves what it brings.
    fn back(&self) -> impl Fn(Brought) + Send + use<D> {
        let weak = Arc::downgrade(&self.0);
        move |brought| {
            if let Some(shared) = weak.upgrade() {
                Engine(shared).brought(brought);
            }
        }
    }

    /// What the log's threads have to say.
    pub(crate) fn heard(&self, progress: Progress) {
        match progress {
            Progress::Committed(_) => self.0.gate.leave(Item::Look),
            Progress::Checkpoint(Ok(covers)) => tracing::debug!(%covers, "checkpoint"),
            Progress::Checkpoint(Err(e)) => tracing::warn!("no checkpoint could be written: {e}"),
            Progress::Failed(e) => self.0.gate.leave(Item::Fault(format!("the log failed: {e}"))),
        }
    }

    /// What the librarian brings.
    pub(crate) fn brought(&self, brought: Brought) {
        self.0.gate.leave(Item::Brought(brought));
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
        let gate = &self.engine.0.gate;
        let session = self.session;
        let done = gate.try_turn(|state, wake| {
            state.batch(session, commands, now);
            state.finish_for(Some(session), wake);
        });
        if !done {
            gate.leave(Item::Batch(session, std::mem::take(commands), now));
        }
    }

    /// Ready: at least one event has been moved into `into`. Pending: the task is woken
    /// when there is one.
    pub fn poll_events(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()> {
        self.outbox.poll(cx, into)
    }
}

impl<D: Disk> Drop for Port<D> {
    fn drop(&mut self) {
        self.engine.0.gate.leave(Item::Gone(self.session));
    }
}
