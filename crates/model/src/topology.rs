//! What clients declare: exchanges, queues and the bindings between them.

use crate::{Name, Table};
use bytes::Bytes;

/// How an exchange chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // named as its users name them
pub enum ExchangeKind {
    Direct,
    Fanout,
    Topic,
    Headers,
    ConsistentHash,
    ModulusHash,
    Random,
    RecentHistory,
    Delayed,
    Deduplicating,
}

impl ExchangeKind {
    /// The kind by the name that a declaration gives.
    pub fn named(name: &str) -> Option<ExchangeKind> {
        Some(match name {
            "direct" => ExchangeKind::Direct,
            "fanout" => ExchangeKind::Fanout,
            "topic" => ExchangeKind::Topic,
            "headers" => ExchangeKind::Headers,
            "x-consistent-hash" => ExchangeKind::ConsistentHash,
            "x-modulus-hash" => ExchangeKind::ModulusHash,
            "x-random" => ExchangeKind::Random,
            "x-recent-history" => ExchangeKind::RecentHistory,
            "x-delayed-message" => ExchangeKind::Delayed,
            "x-message-deduplication" => ExchangeKind::Deduplicating,
            _ => return None,
        })
    }

    /// Its name in declarations.
    pub fn name(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Topic => "topic",
            ExchangeKind::Headers => "headers",
            ExchangeKind::ConsistentHash => "x-consistent-hash",
            ExchangeKind::ModulusHash => "x-modulus-hash",
            ExchangeKind::Random => "x-random",
            ExchangeKind::RecentHistory => "x-recent-history",
            ExchangeKind::Delayed => "x-delayed-message",
            ExchangeKind::Deduplicating => "x-message-deduplication",
        }
    }
}

/// An exchange as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeSpec {
    /// Its name in its virtual host.
    pub name: Name,
    /// How it chooses.
    pub kind: ExchangeKind,
    /// Survives a restart.
    pub durable: bool,
    /// Goes when its last binding goes.
    pub auto_delete: bool,
    /// Takes messages from other exchanges only.
    pub internal: bool,
    /// Arguments, kept and compared as given.
    pub arguments: Table,
}

/// A queue as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSpec {
    /// Its name in its virtual host; empty asks the broker for one.
    pub name: Name,
    /// Survives a restart.
    pub durable: bool,
    /// Belongs to the session that declared it and goes with it.
    pub exclusive: bool,
    /// Goes when its last consumer goes.
    pub auto_delete: bool,
    /// Arguments, kept and compared as given.
    pub arguments: Table,
}

impl QueueSpec {
    /// A queue without a name and without anything else.
    pub fn nameless(durable: bool) -> QueueSpec {
        QueueSpec {
            name: Name::default(),
            durable,
            exclusive: false,
            auto_delete: false,
            arguments: Table::default(),
        }
    }
}

/// What a binding leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Destination {
    Queue(Name),
    Exchange(Name),
}

/// A way from an exchange to a queue or to another exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The exchange it leaves from.
    pub source: Name,
    /// Where it leads.
    pub destination: Destination,
    /// The routing key or pattern.
    pub key: Bytes,
    /// Arguments: what a headers exchange matches.
    pub arguments: Table,
}
