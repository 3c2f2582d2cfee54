//! The harness: the real binary on free ports and a directory of its own, a raw
//! client of each protocol that can also misbehave, a load that counts, and the checker that
//! holds what was seen against what was promised.
//!
//! Nothing here sleeps: it waits for the event, and for no longer than `PATIENCE`.

pub mod binary;
pub mod broker;
pub mod history;
pub mod load;
pub mod packets;
pub mod scram;
pub mod stomp;
pub mod wire;

pub use broker::{Broker, Options};
pub use history::{History, Seen, Violation};
pub use packets::Packets;
pub use wire::Wire;

use std::time::Duration;

/// How long any one event is waited for. Only a failing test waits so long, so it
/// is chosen for a machine under full load.
pub const PATIENCE: Duration = Duration::from_secs(30);
