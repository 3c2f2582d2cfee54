//! A queue: its declaration and its entries.

use super::exchange::WayKey;
use super::expiry::Expiry;
use super::line::Line;
use super::{ExchangeId, QueueId, VhostId};
use hashbrown::HashSet;
use lockgate_model::{QueueSpec, SessionId};

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Where it is.
    pub vhost: VhostId,
    /// As declared.
    pub spec: QueueSpec,
    /// The session it is exclusive to.
    pub owner: Option<SessionId>,
    /// Its entries.
    pub line: Line,
    /// When its entries are due.
    pub expiry: Expiry,
    /// Replay only: what the last stop said may have been delivered.
    pub seen: u64,
    /// Ways that lead here.
    pub inbound: HashSet<(ExchangeId, WayKey)>,
}

impl Queue {
    /// How long its entries live at most, in milliseconds.
    pub fn lifetime(&self) -> Option<u64> {
        self.millis("x-message-ttl")
    }

    /// How long it lives without being used, in milliseconds.
    pub fn idle_limit(&self) -> Option<u64> {
        self.millis("x-expires")
    }

    fn millis(&self, argument: &str) -> Option<u64> {
        let value = self.spec.arguments.get(argument)?;
        value.as_int().and_then(|n| u64::try_from(n).ok())
    }

    /// True if it is in the log: what dies with its session never is.
    pub fn is_logged(&self) -> bool {
        self.spec.durable && self.owner.is_none()
    }
}
