//! What the engine is told once.

use lockgate_model::{Name, Time};
use lockgate_wal::Level;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Called once when something happened after which nothing can be promised any more: it
/// should say why and end the process.
pub type Fault = Arc<dyn Fn(&str) + Send + Sync>;

/// What topics and berths may keep.
#[derive(Clone, Debug)]
pub struct Keeps {
    /// Most topics of an exchange that retain a message.
    pub retained_max: u64,
    /// Most bytes of those.
    pub retained_bytes_max: u64,
    /// Most messages that wait in all berths together.
    pub berths_messages_max: u64,
    /// Most bytes of their bodies.
    pub berths_bytes_max: u64,
}

impl Default for Keeps {
    fn default() -> Self {
        let d = lockgate_broker::Settings::default();
        Keeps {
            retained_max: d.retained_max,
            retained_bytes_max: d.retained_bytes_max,
            berths_messages_max: d.berths_messages_max,
            berths_bytes_max: d.berths_bytes_max,
        }
    }
}

/// What the engine is told once.
#[derive(Clone)]
pub struct Settings {
    /// When the log counts as committed.
    pub level: Level,
    /// The size of a segment of the log.
    pub segment_bytes: u64,
    /// How long level `Os` may leave what is written unsynced.
    pub os_flush: Duration,
    /// Free space below which publishers are stopped.
    pub disk_reserve: u64,
    /// What messages in memory may take before publishers are stopped.
    pub memory_max: u64,
    /// How much of one queue's backlog stays in memory.
    pub queue_resident: u64,
    /// The header by which messages name their group; empty for none.
    pub group_header: Name,
    /// What topics and berths may keep.
    pub keeps: Keeps,
    /// The virtual hosts that are made if they are not there.
    pub vhosts: Vec<Name>,
    /// Seeds the names that the broker chooses.
    pub seed: u64,
    /// The time of the start.
    pub now: Time,
    /// Confirm early and write late: a planted bug, for testing the tests.
    pub planted: bool,
    /// What to do when nothing can be promised any more.
    pub fault: Fault,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("level", &self.level).finish_non_exhaustive()
    }
}
