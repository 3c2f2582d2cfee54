//! A live session as the broker sees it.

use crate::id::{BerthId, QueueId, VhostId};
use crate::ledger::ById;
use foldhash::fast::FixedState;
use hashbrown::HashSet;
use lockgate_model::{Consumer, Lane, LeaseId, Name};
use smallvec::SmallVec;

/// What a session may have under way to its peer, in bytes (see `Delivery::cost`):
/// enough to keep a fast reader busy, and all that a slow one can pile up.
pub const WINDOW_BYTES: i64 = 1024 * 1024;

/// A live session.
#[derive(Debug)]
pub struct SessionState {
    /// Where it is; none before it has opened one.
    pub vhost: Option<VhostId>,
    /// Whose it is.
    pub user: Name,
    /// Bytes that may still be sent; may fall below zero by one message.
    pub window: i64,
    /// Its strands.
    lanes: SmallVec<[LaneState; 1]>,
    /// Its subscriptions, by the front's handle.
    pub consumers: ById<Consumer, usize>,
    /// What it holds.
    pub leases: HashSet<LeaseId, FixedState>,
    /// Queues exclusive to it.
    pub owned: Vec<QueueId>,
    /// The berth that it has taken.
    pub berth: Option<BerthId>,
}

/// One strand of a session.
#[derive(Debug)]
pub struct LaneState {
    id: Lane,
    /// Something was refused: nothing is taken from it until it leaves.
    pub broken: bool,
    /// False while it wants no deliveries.
    pub active: bool,
    /// Most entries that it may hold over all its subscriptions.
    pub limit: Option<u32>,
    /// Entries that it holds.
    pub in_flight: u32,
}

impl SessionState {
    /// A new session.
    pub fn new() -> SessionState {
        SessionState {
            vhost: None,
            user: Name::default(),
            window: WINDOW_BYTES,
            lanes: SmallVec::new(),
            consumers: ById::default(),
            leases: HashSet::default(),
            owned: Vec::new(),
            berth: None,
        }
    }

    /// A strand, made at its first use.
    pub fn lane(&mut self, id: Lane) -> &mut LaneState {
        let at = match self.lanes.iter().position(|l| l.id == id) {
            Some(at) => at,
            None => {
                let fresh =
                    LaneState { id, broken: false, active: true, limit: None, in_flight: 0 };
                self.lanes.push(fresh);
                self.lanes.len() - 1
            }
        };
        &mut self.lanes[at]
    }

    /// A strand, if it is known.
    pub fn find_lane(&self, id: Lane) -> Option<&LaneState> {
        self.lanes.iter().find(|l| l.id == id)
    }

    /// How many strands there are, beside the session's own.
    pub fn lanes_open(&self) -> usize {
        self.lanes.iter().filter(|l| l.id != Lane(0)).count()
    }

    /// Forgets a strand.
    pub fn drop_lane(&mut self, id: Lane) {
        self.lanes.retain(|l| l.id != id);
    }
}

impl Default for SessionState {
    fn default() -> Self {
        SessionState::new()
    }
}
