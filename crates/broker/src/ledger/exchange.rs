//! An exchange: its declaration and the ways that lead out of it.

use super::{ExchangeId, QueueId, VhostId};
use crate::route::Table as RouteTable;
use bytes::Bytes;
use hashbrown::HashSet;
use lockgate_model::{ExchangeSpec, Table};

/// What a way leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A queue.
    Queue(QueueId),
    /// Another exchange.
    Exchange(ExchangeId),
}

/// One way out of an exchange. Two that differ in any field are two.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The exchange it leaves from.
    pub source: ExchangeId,
    /// Where it leads.
    pub target: Target,
    /// The routing key or pattern.
    pub key: Bytes,
    /// What a headers exchange matches.
    pub arguments: Table,
}

impl Way {
    /// What tells it from others of its source.
    pub fn identity(&self) -> WayKey {
        let mut sorted = self.arguments.clone();
        sorted.0.sort_by(|a, b| a.0.cmp(&b.0));
        let mut arguments = Vec::new();
        sorted.encode(&mut arguments);
        WayKey { target: self.target, key: self.key.clone(), arguments: arguments.into() }
    }
}

/// A way's identity among those of one exchange.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WayKey {
    /// Where it leads.
    pub target: Target,
    /// The routing key or pattern.
    pub key: Bytes,
    /// Its arguments, encoded in the order of their names.
    pub arguments: Bytes,
}

/// An exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Its id.
    pub id: ExchangeId,
    /// Where it is.
    pub vhost: VhostId,
    /// As declared.
    pub spec: ExchangeSpec,
    /// All ways out.
    pub ways: HashSet<WayKey>,
    /// The same, arranged for matching.
    pub table: RouteTable,
    /// Ways that lead here from other exchanges.
    pub inbound: HashSet<(ExchangeId, WayKey)>,
}
