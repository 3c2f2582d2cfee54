//! The engine as the connections see it.

use lockgate_model::{Command, Event, Time};
use std::task::{Context, Poll};

/// The engine, in the shape that `net` asks for.
pub struct Gate(pub lockgate_engine::Engine);

/// One session's place at it.
pub struct Port(lockgate_engine::Port);

impl lockgate_net::Engine for Gate {
    type Port = Port;

    fn connect(&self) -> Port {
        Port(self.0.connect())
    }

    fn tick(&self, now: Time) -> Option<Time> {
        self.0.tick(now)
    }
}

impl lockgate_net::Port for Port {
    fn submit(&self, commands: &mut Vec<Command>, now: Time) {
        self.0.submit(commands, now);
    }

    fn poll_events(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()> {
        self.0.poll_events(cx, into)
    }
}
