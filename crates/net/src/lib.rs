//! Listeners and the one drive loop for every session: here bytes meet the clock,
//! the sockets and the engine.
//!
//! This room knows no protocol by name, no broker and no log. What a peer's bytes
//! mean is a session's to say (`lockgate_front`), what comes of commands an
//! engine's (`Engine`), and who may come in a `Doorkeeper`'s. Here is only how
//! much, how fast and how long: buffers, limits, back-pressure, time-outs.
//!
//! One connection is one task. It holds no buffer while it is idle; all that is
//! written for it or read from it is bounded; a peer that misbehaves costs a
//! counter, a line in the log and nobody else anything.

mod block;
mod clock;
mod door;
mod drive;
mod engine;
mod intake;
mod listen;
mod roll;
mod server;
mod settings;
mod stats;
#[cfg(test)]
mod testkit;

pub use clock::Clock;
pub use door::{Admission, Doorkeeper};
pub use engine::{Engine, Port};
pub use listen::{BindError, Listener};
pub use server::{Server, Stopped};
pub use settings::{Settings, open_files_max, raise_open_files_max};
pub use stats::{Ending, Stats};
