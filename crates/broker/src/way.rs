//! A way: a binding, seen from the exchange that it leaves.

use crate::id::{ExchangeId, Target};
use bytes::Bytes;
use lockgate_model::Table;

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
