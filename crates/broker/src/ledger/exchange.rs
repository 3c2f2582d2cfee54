//! An exchange: its declaration and the ways that lead out of it.

use super::manner::{Manner, Store};
use super::policies::Applied;
use super::window::Window;
use crate::id::{ExchangeId, QueueId, VhostId};
use crate::route::Table as RouteTable;
use crate::way::WayKey;
use hashbrown::HashSet;
use lockgate_model::{ExchangeSpec, Name};

/// An exchange.
#[derive(Debug)]
pub struct Exchange {
    /// Its id.
    pub id: ExchangeId,
    /// Where it is.
    pub vhost: VhostId,
    /// As declared.
    pub spec: ExchangeSpec,
    /// What it does beside sending on.
    pub manner: Manner,
    /// What it has seen, if it lets nothing pass twice.
    pub window: Option<Window>,
    /// The queue of what its topics retain, once one has.
    pub retained: Option<QueueId>,
    /// All ways out.
    pub ways: HashSet<WayKey>,
    /// The same, arranged for matching.
    pub table: RouteTable,
    /// Where what takes none of its ways goes, by its arguments and the policies.
    pub alternate: Option<Name>,
    /// Those policies.
    pub policies: Applied,
    /// Ways that lead here from other exchanges.
    pub inbound: HashSet<(ExchangeId, WayKey)>,
}

impl Exchange {
    /// The queues that it owns.
    pub fn stores(&self) -> impl Iterator<Item = Store> + use<> {
        let retained = self.retained.map(|id| Store::Retained(self.id, id));
        self.manner.stores(self.id).chain(retained)
    }
}
