//! The broker: what is declared, what waits, and who gets it next.
//!
//! Pure and deterministic. It has no clock, no IO, no randomness but its seed, and knows
//! no protocol: commands and times come in, records go to a `Journal`, events come out.
//!
//! ```text
//!  command --> decide --> record --> Journal::append --> apply --> ledger (durable half)
//!                                                          |
//!                                    dispatch (volatile half) --> deliver --> events
//! ```

mod broker;
mod change;
mod dice;
mod dispatch;
mod few;
mod id;
mod journal;
mod ledger;
mod pattern;
mod ranges;
pub mod record;
mod route;
mod way;

pub use broker::{Broker, Counts, Settings};
pub use id::{BerthId, PageId, Place, QueueId, Target};
pub use journal::{BlockKey, Chunk, Effect, Effects, Io, Journal, NoJournal, Part};
pub use ledger::Slice;
