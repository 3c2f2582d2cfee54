//! Writing records.

use super::messages::write_run;
use super::put::{flags, put_bytes, put32, put64};
use super::{Change, tag};
use crate::id::{Place, QueueId, Target};
use crate::ledger::{Digest, Extent};
use crate::way::Way;
use lockgate_model::{Run, Time};

/// Writes the body of a `Made`.
pub fn write_change(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::VhostMade { id, name } => {
            out.push(tag::VHOST);
            put32(out, id.0);
            put_bytes(out, name.as_bytes());
        }
        Change::ExchangeDeclared { vhost, id, spec } => {
            out.push(tag::EXCHANGE);
            put32(out, vhost.0);
            put32(out, id.0);
            put_bytes(out, spec.name.as_bytes());
            put_bytes(out, spec.kind.name().as_bytes());
            out.push(flags(&[spec.durable, spec.auto_delete, spec.internal]));
            spec.arguments.encode(out);
        }
        Change::ExchangeDeleted { id } => {
            out.push(tag::NO_EXCHANGE);
            put32(out, id.0);
        }
        Change::StoreMade { exchange, id } => {
            out.push(tag::STORE);
            put32(out, exchange.0);
            put32(out, id.0);
        }
        Change::QueueDeclared { vhost, id, spec, owner: _ } => {
            out.push(tag::QUEUE);
            put32(out, vhost.0);
            put32(out, id.0);
            put_bytes(out, spec.name.as_bytes());
            out.push(flags(&[spec.durable, spec.exclusive, spec.auto_delete]));
            spec.arguments.encode(out);
        }
        Change::QueueDeleted { id } => {
            out.push(tag::NO_QUEUE);
            put32(out, id.0);
        }
        Change::Bound(way) => write_way(tag::WAY, way, out),
        Change::Unbound(way) => write_way(tag::NO_WAY, way, out),
        Change::BerthTaken(_)
        | Change::BerthLeft { .. }
        | Change::BerthEnded { .. }
        | Change::Followed { .. }
        | Change::Unfollowed { .. } => super::berths::write(change, out),
        registered => super::register::write(registered, out),
    }
}

fn write_way(kind: u8, way: &Way, out: &mut Vec<u8>) {
    out.push(kind);
    put32(out, way.source.0);
    let (target, id) = match way.target {
        Target::Queue(q) => (0, q.0),
        Target::Exchange(x) => (1, x.0),
    };
    out.push(target);
    put32(out, id);
    put_bytes(out, &way.key);
    way.arguments.encode(out);
}

/// Writes the body of an `Enqueued`: items `from..to` of a run for these queues.
pub fn write_enqueued(
    targets: &[(QueueId, u64)],
    at: Time,
    run: &Run,
    from: usize,
    to: usize,
    out: &mut Vec<u8>,
) {
    write_targets(targets, out);
    put64(out, at.0);
    write_run(run, from, to, out);
}

fn write_targets(targets: &[(QueueId, u64)], out: &mut Vec<u8>) {
    put32(out, targets.len() as u32);
    for (queue, first) in targets {
        put32(out, queue.0);
        put64(out, *first);
    }
}

/// Writes the body of a `Moved`: items `from..to` of the run of the record at `old`.
pub fn write_moved(
    old: Place,
    targets: &[(QueueId, u64)],
    at: Time,
    run: &Run,
    from: usize,
    to: usize,
    out: &mut Vec<u8>,
) {
    put64(out, old.pos);
    put32(out, old.len);
    write_enqueued(targets, at, run, from, to, out);
}

/// Writes the body of a `Settled`.
pub fn write_settled(queue: QueueId, ranges: &[(u64, u64)], out: &mut Vec<u8>) {
    put32(out, queue.0);
    put32(out, ranges.len() as u32);
    for (from, to) in ranges {
        put64(out, *from);
        put64(out, *to);
    }
}

/// Writes the body of a `Seen`.
pub fn write_seen(queue: QueueId, below: u64, out: &mut Vec<u8>) {
    put32(out, queue.0);
    put64(out, below);
}

/// Writes the body of a `Due`.
pub fn write_due(queue: QueueId, due: &[(u64, u64, u64)], out: &mut Vec<u8>) {
    put32(out, queue.0);
    put32(out, due.len() as u32);
    for (ms, from, to) in due {
        put64(out, *ms);
        put64(out, *from);
        put64(out, *to);
    }
}

/// Writes the body of a `Counted`.
pub fn write_counted(queue: QueueId, counts: &[(u64, u64, u32)], out: &mut Vec<u8>) {
    put32(out, queue.0);
    put32(out, counts.len() as u32);
    for (from, to, count) in counts {
        put64(out, *from);
        put64(out, *to);
        put32(out, *count);
    }
}

/// Writes the body of a `Sizes`.
pub fn write_sizes(queue: QueueId, sizes: &[(u64, &[u32])], out: &mut Vec<u8>) {
    put32(out, queue.0);
    put32(out, sizes.len() as u32);
    for (first, sizes) in sizes {
        put64(out, *first);
        put32(out, sizes.len() as u32);
        sizes.iter().for_each(|n| put32(out, *n));
    }
}

/// Writes the body of a `Marked` or a `Rolled`: of which exchange or queue, and the digests of
/// ids with what is said of each.
pub fn write_digests(
    holder: u32,
    digests: impl ExactSizeIterator<Item = (Digest, u64)>,
    out: &mut Vec<u8>,
) {
    put32(out, holder);
    put32(out, digests.len() as u32);
    for (digest, said) in digests {
        out.extend_from_slice(&digest.0.to_le_bytes());
        put64(out, said);
    }
}

/// Writes the body of a `Held`.
pub fn write_held(
    queue: QueueId,
    next: u64,
    extents: &[(Extent, u64)],
    gone: &[(u64, u64)],
    out: &mut Vec<u8>,
) {
    put32(out, queue.0);
    put64(out, next);
    put32(out, extents.len() as u32);
    for (e, bytes) in extents {
        put64(out, e.first);
        put32(out, e.count);
        put32(out, e.skip);
        put64(out, e.place.pos);
        put32(out, e.place.len);
        put32(out, e.weight);
        put64(out, *bytes);
    }
    put32(out, gone.len() as u32);
    for (from, to) in gone {
        put64(out, *from);
        put64(out, *to);
    }
}
