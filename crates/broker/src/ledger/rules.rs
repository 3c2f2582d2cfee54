//! What a queue's arguments ask of it, read once when it is declared.

use super::policies::age_seconds;
use bytes::Bytes;
use lockgate_model::{Name, Table, Value};
use std::time::Duration;

/// A segment of a stream: what it is, what it is at the least by its stream's bound, and what
/// declarations can make of it. RabbitMQ takes up to 3 GB; below 16 KiB a file is mostly its name.
const SEGMENT_BYTES: u64 = 64 << 20;
const SEGMENT_LEAST: u64 = 1 << 20;
const SEGMENT_MIN: u64 = 16 << 10;
const SEGMENT_MAX: u64 = 3_000_000_000;

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
    /// A letter that no queue takes waits until one does.
    pub at_least_once: bool,
}

/// How long what came back rests before it is handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// The first time, in milliseconds; the second time twice that, and so on.
    pub least: u64,
    /// Never longer than this.
    pub most: u64,
    /// What its holder failed over rests.
    pub failed: bool,
    /// What its holder could not take rests.
    pub returned: bool,
}

impl Rest {
    /// How long, after so many times.
    pub fn after(&self, times: u32, failed: bool) -> Option<u64> {
        let rests = if failed { self.failed } else { self.returned };
        rests.then(|| self.least.saturating_mul(times.into()).min(self.most))
    }
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
    /// Most bytes of bodies that may wait.
    pub bytes_max: Option<u64>,
    /// What happens to the rest.
    pub overflow: Overflow,
    /// The highest priority that tells entries apart; without one all are equal.
    pub priority_max: u8,
    /// Only one subscriber at a time is served.
    pub single: bool,
    /// How often an entry may come back; once more and it dies.
    pub attempts_max: Option<u32>,
    /// What comes back rests.
    pub rest: Option<Rest>,
    /// How long an entry may be in somebody's hands, in milliseconds.
    pub hold_max: Option<u64>,
    /// Where what dies goes.
    pub dead_letter: Option<Box<DeadLetter>>,
    /// What only a stream has.
    pub retention: Option<Box<Retention>>,
}

/// What a stream keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// It keeps nothing older, as far as whole segments allow.
    pub age_max: Option<Duration>,
    /// It keeps no more bytes, as far as whole segments allow.
    pub bytes_max: Option<u64>,
    /// How large its segments get.
    pub segment_bytes: Option<u64>,
}

impl Rules {
    /// Reads arguments that have been checked.
    pub fn of(arguments: &Table) -> Rules {
        let number = |name: &str| {
            let n = arguments.get(name).and_then(Value::as_int)?;
            u64::try_from(n).ok()
        };
        let kind = arguments.get("x-queue-type").and_then(Value::as_str);
        let stream = kind == Some("stream");
        let age = arguments.get("x-max-age").and_then(Value::as_str).and_then(age_seconds);
        Rules {
            kind: match kind {
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
            bytes_max: number("x-max-length-bytes").filter(|_| !stream),
            attempts_max: number("x-delivery-limit").map(|n| n.min(u32::MAX.into()) as u32),
            rest: rest(arguments),
            hold_max: number("x-consumer-timeout"),
            dead_letter: dead_letter(arguments).map(Box::new),
            retention: stream.then(|| {
                let age = age.and_then(|secs| u64::try_from(secs).ok());
                Box::new(Retention {
                    age_max: age.map(Duration::from_secs),
                    bytes_max: number("x-max-length-bytes"),
                    segment_bytes: number("x-stream-max-segment-size-bytes"),
                })
            }),
        }
    }

    /// At how many bytes a stream begins a new segment.
    pub fn segment_max(&self) -> u64 {
        // Retention takes whole segments: with a bound on all of them eight are coarse enough.
        let bytes_max = self.retention.as_ref().and_then(|keeps| keeps.bytes_max);
        let fitting = bytes_max.map(|most| (most / 8).clamp(SEGMENT_LEAST, SEGMENT_BYTES));
        let wish = self.retention.as_ref().and_then(|keeps| keeps.segment_bytes);
        let wish = wish.or(fitting).unwrap_or(SEGMENT_BYTES);
        wish.clamp(SEGMENT_MIN, SEGMENT_MAX)
    }

    /// How long a stream fills one segment: a quarter of what it retains.
    pub fn segment_age(&self) -> Option<Duration> {
        self.age_max().map(|age| age / 4)
    }

    /// How old what a stream keeps may be.
    pub fn age_max(&self) -> Option<Duration> {
        self.retention.as_ref()?.age_max
    }

    /// The rank of entries with this priority: the highest comes first.
    pub fn rank(&self, priority: u8) -> usize {
        usize::from(self.priority_max - priority.min(self.priority_max))
    }

    /// True if it refuses what it has no room for.
    pub fn rejects(&self) -> bool {
        self.is_bounded() && self.overflow != Overflow::DropHead
    }

    /// True if it may be full.
    pub fn is_bounded(&self) -> bool {
        self.length_max.is_some() || self.bytes_max.is_some()
    }

    /// True if it counts how often its entries came back.
    pub fn counts(&self) -> bool {
        self.kind == Kind::Quorum || self.attempts_max.is_some() || self.rest.is_some()
    }
}

fn dead_letter(arguments: &Table) -> Option<DeadLetter> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    Some(DeadLetter {
        exchange: text("x-dead-letter-exchange")?.into(),
        key: text("x-dead-letter-routing-key").map(|k| Bytes::copy_from_slice(k.as_bytes())),
        // What makes room by dropping cannot wait for room elsewhere.
        at_least_once: text("x-dead-letter-strategy") == Some("at-least-once")
            && text("x-overflow") == Some("reject-publish"),
    })
}

fn rest(arguments: &Table) -> Option<Rest> {
    let number = |name: &str| u64::try_from(arguments.get(name).and_then(Value::as_int)?).ok();
    let least = number("x-delayed-retry-min")?;
    let kind = arguments.get("x-delayed-retry-type").and_then(Value::as_str).unwrap_or("all");
    let (failed, returned) = (matches!(kind, "all" | "failed"), matches!(kind, "all" | "returned"));
    let most = number("x-delayed-retry-max").unwrap_or(u64::MAX);
    (failed || returned).then_some(Rest { least, most, failed, returned })
}
