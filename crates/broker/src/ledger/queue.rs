//! A queue: its declaration and its entries.

use super::expiry::Expiry;
use super::line::{Cursors, Line};
use super::policies::Applied;
use super::rules::Rules;
use crate::id::{ExchangeId, QueueId, VhostId};
use crate::way::WayKey;
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
    /// What its arguments and the policies ask of it.
    pub rules: Rules,
    /// Those policies.
    pub policies: Applied,
    /// The session it is exclusive to.
    pub owner: Option<SessionId>,
    /// Its entries.
    pub line: Line,
    /// When its entries are due.
    pub expiry: Expiry,
    /// Replay only: what the last stop said may have been delivered.
    pub seen: Cursors,
    /// Ways that lead here.
    pub inbound: HashSet<(ExchangeId, WayKey)>,
}

impl Queue {
    /// True if it is in the log: what dies with its session never is.
    pub fn is_logged(&self) -> bool {
        self.spec.durable && self.owner.is_none()
    }
}
