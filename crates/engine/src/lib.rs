//! The engine: the one writer. It owns the broker and its log, does the sessions'
//! batches one after the other, and holds every effect until the log has committed
//! what it stands on. It knows no protocol and no socket.
//!
//! Nobody waits for the engine: who brings a batch while it is free drives it at once,
//! with the batches that others have left meanwhile.
//!
//! ```text
//!  Port::submit --try--> State::turn: handle, deliver -> log.flush -> outboxes -> wake
//!        |  busy                ^                            |
//!        +------> inbox --------+                       log writer: Committed
//!                   ^                                        |
//!                   +----------------------------------------+
//!  librarian: fetches blocks from log and pages, stores pages, leaves them in the inbox
//!  shelver: the same for streams and their segments
//! ```

mod accounts;
mod engine;
mod gate;
mod held;
mod journal;
mod librarian;
mod open;
mod outbox;
mod pressure;
mod settings;
mod shelver;
mod state;

pub use accounts::Accounts;
pub use engine::{Engine, Port};
pub use lockgate_broker::Counts;
pub use lockgate_wal::{Cut, Disk, Level, OpenError as LogError, OsDisk};
pub use open::{OpenError, Started};
pub use settings::{Fault, Keeps, Settings};
