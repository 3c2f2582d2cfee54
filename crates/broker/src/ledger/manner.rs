//! What an exchange does with messages beside sending them on, read once when it is declared.

use crate::id::{ExchangeId, QueueId};
use lockgate_model::{ExchangeKind, ExchangeSpec, Value};

/// How many messages an exchange keeps that does not say.
const KEEPS: u64 = 20;

/// The manner of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// How it chooses, once it sends on.
    pub chooses: ExchangeKind,
    /// It holds back what asks for it.
    pub delays: bool,
    /// It keeps so many of the last for who binds later.
    pub keeps: Option<u64>,
}

/// What a queue is for that nobody declared and nobody sees: an exchange's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Messages that are not due yet.
    Delayed(ExchangeId),
    /// The last messages.
    Kept(ExchangeId),
    /// The last message of each topic.
    Retained(ExchangeId, QueueId),
}

impl Store {
    /// Its id. Exchanges and queues share one sequence of numbers, so an exchange's number is
    /// free for a queue; and it takes the next one too. What came to be later has its own.
    pub fn id(self) -> QueueId {
        match self {
            Store::Delayed(x) => QueueId(x.0),
            Store::Kept(x) => QueueId(x.0.saturating_add(1)),
            Store::Retained(_, id) => id,
        }
    }
}

impl Manner {
    /// Reads a declaration that has been checked.
    pub fn of(spec: &ExchangeSpec) -> Manner {
        let delays = spec.kind == ExchangeKind::Delayed;
        let behind = || spec.arguments.get("x-delayed-type").and_then(Value::as_str);
        let chooses = match behind().and_then(ExchangeKind::named) {
            Some(kind) if delays && kind != ExchangeKind::Delayed => kind,
            _ if delays => ExchangeKind::Fanout,
            _ => spec.kind,
        };
        let length = spec.arguments.get("x-recent-history-length").and_then(Value::as_int);
        let length = length.and_then(|n| u64::try_from(n).ok()).unwrap_or(KEEPS);
        let keeps = (chooses == ExchangeKind::RecentHistory).then_some(length);
        Manner { chooses, delays, keeps }
    }

    /// True if messages of one key may fare differently here.
    pub fn looks(&self) -> bool {
        self.delays || self.keeps.is_some()
    }

    /// How many entries a store of such an exchange keeps; none if all.
    pub fn keeps_in(&self, store: Store) -> Option<u64> {
        self.keeps.filter(|_| matches!(store, Store::Kept(_)))
    }

    /// The queues that such an exchange owns from the beginning.
    pub fn stores(&self, exchange: ExchangeId) -> impl Iterator<Item = Store> + use<> {
        let delayed = self.delays.then_some(Store::Delayed(exchange));
        let kept = self.keeps.map(|_| Store::Kept(exchange));
        delayed.into_iter().chain(kept)
    }
}
