//! A record of the log in words, on one line. It says what stands there, and judges nothing.

use crate::{log_berths, log_register};
use lockgate_broker::record::{self, Change, Record};
use lockgate_broker::{QueueId, Target};
use lockgate_model::Table;
use std::fmt::Display;

/// Of a long list no more than this is written out.
const SHOWN_MAX: usize = 8;

/// The record's kind by name, and what it says.
pub fn record(kind: u8, body: &[u8]) -> String {
    match record::read(kind, body) {
        Ok(record) => said(&record),
        Err(why) => format!("unreadable record of kind {kind}, {} bytes: {why}", body.len()),
    }
}

fn said(record: &Record) -> String {
    match record {
        Record::Made(change) => made(change),
        Record::Enqueued { targets, at: _, sizes, lifetimes, delays } => {
            let count = messages(sizes.len());
            let bytes = sizes.iter().map(|(head, body)| u64::from(*head) + u64::from(*body)).sum();
            let expiring = match lifetimes.len() {
                0 => String::new(),
                n => format!(", {n} with a lifetime"),
            };
            let delayed = match delays.len() {
                0 => String::new(),
                n => format!(", {n} with a delay"),
            };
            format!("enqueued {count}, {}{expiring}{delayed} -> {}", size(bytes), places(targets))
        }
        Record::Settled { queue, ranges } => {
            format!("settled queue {}: {}", queue.0, spans(ranges))
        }
        Record::Moved { from, targets, count } => {
            let count = messages(*count as usize);
            format!("moved {count} of {:#x} here: {}", from.pos, places(targets))
        }
        Record::Begin => "begin".into(),
        Record::End => "end".into(),
        Record::Started => "started".into(),
        Record::Marks { berth, deed, marks } => log_berths::marks(*berth, *deed, marks),
        Record::Seen { queue, below } => format!("seen queue {}: all below {below}", queue.0),
        Record::Held { queue, next, extents, gone } => {
            let held: u64 = extents.iter().map(|(e, _)| u64::from(e.count)).sum();
            let of = format!("{} in {} records", messages(held as usize), extents.len());
            let gone = match gone.len() {
                0 => String::new(),
                _ => format!(", settled of them {}", spans(gone)),
            };
            format!("held queue {}: {of}, next {next}{gone}", queue.0)
        }
        Record::Kept { stream, segment, .. } => format!(
            "kept stream {}: {} to {} in segment {:016x}, {} bytes of it",
            stream.0, segment.base, segment.end, segment.base, segment.bytes
        ),
        Record::Cut { stream, below } => format!("cut stream {}: all below {below}", stream.0),
        Record::Shelved { stream, segments, .. } => {
            format!("shelved stream {}: {} segments", stream.0, segments.len())
        }
        Record::Retained { queue, kept } => {
            let kept =
                kept.iter().map(|(topic, kept)| format!("{} {}", kept.number, quoted(topic)));
            format!("retained in queue {}: {}", queue.0, list(kept))
        }
        Record::Due { queue, due } => {
            let due = due.iter().map(|(ms, from, to)| format!("{from}..{to} at {ms} ms"));
            format!("due queue {}: {}", queue.0, list(due))
        }
        Record::Counted { queue, counts } => {
            let counts = counts.iter().map(|(from, to, n)| format!("{from}..{to} {n} times"));
            format!("counted queue {}: {}", queue.0, list(counts))
        }
        Record::Marked { holder, marks } => {
            let marks = marks.iter().map(|(id, until)| match *until {
                u64::MAX => format!("{:032x}", id.0),
                until => format!("{:032x} up to {until} ms", id.0),
            });
            format!("seen by exchange or queue {holder}: {}", list(marks))
        }
        Record::Rolled { queue, ids } => {
            let ids = ids.iter().map(|(id, number)| format!("{number} {:032x}", id.0));
            format!("ids in queue {}: {}", queue.0, list(ids))
        }
        Record::Sizes { queue, sizes } => {
            let of = sizes.iter().map(|(from, sizes)| {
                let bytes = sizes.iter().map(|n| u64::from(*n)).sum();
                format!("{}..{} {}", from, from.saturating_add(sizes.len() as u64), size(bytes))
            });
            format!("sizes queue {}: {}", queue.0, list(of))
        }
    }
}

fn made(change: &Change) -> String {
    match change {
        Change::VhostMade { id, name } => format!("made vhost {} {}", id.0, quoted(name)),
        Change::ExchangeDeclared { vhost, id, spec } => {
            let flags = [
                (spec.durable, " durable"),
                (spec.auto_delete, " auto-delete"),
                (spec.internal, " internal"),
            ];
            let (name, kind) = (quoted(&spec.name), spec.kind.name());
            let more = flagged(&flags) + &arguments(&spec.arguments);
            format!("made exchange {} {name} {kind}{more} in vhost {}", id.0, vhost.0)
        }
        Change::ExchangeDeleted { id } => format!("deleted exchange {}", id.0),
        Change::StoreMade { exchange, id } => {
            format!("made queue {} for what is retained of exchange {}", id.0, exchange.0)
        }
        Change::QueueDeclared { vhost, id, spec, owner: _ } => {
            let flags = [
                (spec.durable, " durable"),
                (spec.exclusive, " exclusive"),
                (spec.auto_delete, " auto-delete"),
            ];
            let more = flagged(&flags) + &arguments(&spec.arguments);
            format!("made queue {} {}{more} in vhost {}", id.0, quoted(&spec.name), vhost.0)
        }
        Change::QueueDeleted { id } => format!("deleted queue {}", id.0),
        Change::Bound(way) | Change::Unbound(way) => {
            let verb = if matches!(change, Change::Bound(_)) { "bound" } else { "unbound" };
            let target = match way.target {
                Target::Queue(queue) => format!("queue {}", queue.0),
                Target::Exchange(exchange) => format!("exchange {}", exchange.0),
            };
            let key = way.key.escape_ascii();
            let more = arguments(&way.arguments);
            format!("{verb} exchange {} -> {target} by '{key}'{more}", way.source.0)
        }
        other => log_berths::made(other).unwrap_or_else(|| log_register::made(other)),
    }
}

/// Names are a peer's choice: what would move a terminal's cursor is spelt out.
pub(crate) fn quoted(name: &str) -> String {
    format!("'{}'", name.escape_debug())
}

fn flagged(flags: &[(bool, &'static str)]) -> String {
    flags.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect()
}

pub(crate) fn arguments(table: &Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!(" with {}", list(table.0.iter().map(|(name, _)| name.escape_debug())))
}

fn messages(count: usize) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}

fn places(targets: &[(QueueId, u64)]) -> String {
    list(targets.iter().map(|(queue, first)| format!("queue {} from {first}", queue.0)))
}

fn spans(ranges: &[(u64, u64)]) -> String {
    list(ranges.iter().map(|(from, to)| format!("{from}..{to}")))
}

pub(crate) fn list<T: Display>(all: impl ExactSizeIterator<Item = T>) -> String {
    let more = all.len().saturating_sub(SHOWN_MAX);
    let shown: Vec<String> = all.take(SHOWN_MAX).map(|one| one.to_string()).collect();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown}, and {more} more") } else { shown }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_broker::record::{kind, write_enqueued, write_seen, write_settled};
    use lockgate_model::{Run, Time};

    #[test]
    fn a_record_is_told_in_words() {
        let mut body = Vec::new();
        let run = Run::single("x", b"k", &[0, 0], &[0; 2_000], true);
        write_enqueued(&[(QueueId(5), 100), (QueueId(6), 3)], Time(9), &run, 0, 1, &mut body);
        let told = "enqueued 1 message, 1 KiB -> queue 5 from 100, queue 6 from 3";
        assert_eq!(record(kind::ENQUEUED, &body), told);

        let ranges: Vec<(u64, u64)> = (0..10).map(|n| (n * 10, n * 10 + 2)).collect();
        let mut body = Vec::new();
        write_settled(QueueId(5), &ranges, &mut body);
        let told = record(kind::SETTLED, &body);
        assert!(told.starts_with("settled queue 5: 0..2, 10..12, "), "{told}");
        assert!(told.ends_with("70..72, and 2 more"), "{told}");

        let mut body = Vec::new();
        write_seen(QueueId(5), 7, &mut body);
        assert_eq!(record(kind::SEEN, &body), "seen queue 5: all below 7");
        body.pop();
        let told = "unreadable record of kind 9, 11 bytes: record cut short";
        assert_eq!(record(kind::SEEN, &body), told);
    }

    #[test]
    fn a_name_cannot_reach_the_terminal() {
        assert_eq!(quoted("a\x1b[2J\n'"), "'a\\u{1b}[2J\\n\\''");
    }
}
