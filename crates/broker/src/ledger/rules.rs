//! What a queue's arguments ask of it, read once when it is declared.

use bytes::Bytes;
use lockgate_model::{Name, Table, Value};

/// What becomes of messages that a full queue has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest go.
    #[default]
    DropHead,
    /// The new ones are not taken.
    Reject,
    /// The new ones are not taken, and die.
    RejectDead,
}

/// Where a queue's dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The exchange; empty for the default one.
    pub exchange: Name,
    /// The routing key; none keeps the message's own.
    pub key: Option<Bytes>,
}

/// What kind of queue it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Delivers at once.
    #[default]
    Classic,
    /// Delivers only what is committed.
    Quorum,
    /// Keeps what it delivers.
    Stream,
}

/// The rules of one queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What kind of queue it is.
    pub kind: Kind,
    /// How long its entries live at most, in milliseconds.
    pub lifetime: Option<u64>,
    /// How long it lives without being used, in milliseconds.
    pub idle: Option<u64>,
    /// Most entries that may wait; those in somebody's hands do not count.
    pub length_max: Option<u64>,
    /// What happens to the rest.
    pub overflow: Overflow,
    /// The highest priority that tells entries apart; without one all are equal.
    pub priority_max: u8,
    /// Only one subscriber at a time is served.
    pub single: bool,
    /// Where what dies goes.
    pub dead_letter: Option<DeadLetter>,
}

impl Rules {
    /// Reads arguments that have been checked.
    pub fn of(arguments: &Table) -> Rules {
        let number = |name: &str| {
            let n = arguments.get(name).and_then(Value::as_int)?;
            u64::try_from(n).ok()
        };
        Rules {
            kind: match arguments.get("x-queue-type").and_then(Value::as_str) {
                Some("quorum") => Kind::Quorum,
                Some("stream") => Kind::Stream,
                _ => Kind::Classic,
            },
            lifetime: number("x-message-ttl"),
            idle: number("x-expires"),
            length_max: number("x-max-length"),
            overflow: match arguments.get("x-overflow").and_then(Value::as_str) {
                Some("reject-publish") => Overflow::Reject,
                Some("reject-publish-dlx") => Overflow::RejectDead,
                _ => Overflow::DropHead,
            },
            priority_max: number("x-max-priority").map_or(0, |n| n.min(255) as u8),
            single: arguments.get("x-single-active-consumer") == Some(&Value::Bool(true)),
            dead_letter: arguments.get("x-dead-letter-exchange").and_then(Value::as_str).map(|x| {
                let key = arguments.get("x-dead-letter-routing-key").and_then(Value::as_str);
                DeadLetter {
                    exchange: x.into(),
                    key: key.map(|k| Bytes::copy_from_slice(k.as_bytes())),
                }
            }),
        }
    }

    /// The rank of entries with this priority: the highest comes first.
    pub fn rank(&self, priority: u8) -> usize {
        usize::from(self.priority_max - priority.min(self.priority_max))
    }

    /// True if it refuses what it has no room for.
    pub fn rejects(&self) -> bool {
        self.length_max.is_some() && self.overflow != Overflow::DropHead
    }
}
