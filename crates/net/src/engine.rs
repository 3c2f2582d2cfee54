//! What the drive loop asks of an engine. Kept as a trait so that the loop can be
//! tested against an engine that does as told.

use lockgate_engine::Disk;
use lockgate_model::{Command, Event, Time};
use std::task::{Context, Poll};

/// Whatever sessions are connected to.
pub trait Engine: Send + Sync + 'static {
    /// One session's end of it.
    type Port: Port;

    /// Registers a session.
    fn connect(&self) -> Self::Port;

    /// Does what time demands; says when it wants to be called next.
    fn tick(&self, now: Time) -> Option<Time>;
}

/// One session's place at an engine. Dropping it says that the session is over.
pub trait Port: Send + Unpin + 'static {
    /// Hands over a batch; `commands` is empty afterwards and keeps its memory.
    fn submit(&self, commands: &mut Vec<Command>, now: Time);

    /// Ready: at least one event has been moved into `into`. Pending: the task is
    /// woken when there is one.
    fn poll_events(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()>;
}

impl<D: Disk> Engine for lockgate_engine::Engine<D> {
    type Port = lockgate_engine::Port<D>;

    fn connect(&self) -> Self::Port {
        lockgate_engine::Engine::connect(self)
    }

    fn tick(&self, now: Time) -> Option<Time> {
        lockgate_engine::Engine::tick(self, now)
    }
}

impl<D: Disk> Port for lockgate_engine::Port<D> {
    #[inline]
    fn submit(&self, commands: &mut Vec<Command>, now: Time) {
        lockgate_engine::Port::submit(self, commands, now);
    }

    #[inline]
    fn poll_events(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()> {
        lockgate_engine::Port::poll_events(self, cx, into)
    }
}
