//! Messages in records and pages: many of one origin share what they have in common.

use super::kind;
use super::put::{flags, put32};
use super::read::{Reader, SHORT};
use crate::id::QueueId;
use bytes::Bytes;
use lockgate_model::{Item, Malformed, Origin, Range, Run, Time};

/// Writes items `from..to` of a run: origins as they change, then each message.
///
/// ```text
///  count | n x ( flags: 1 new origin, 2 persistent, 4 mandatory | priority | head len | body len )
///        | n x ( [exchange len u8, key len u16, exchange, key] if new origin, head, body )
/// ```
pub fn write_run(run: &Run, from: usize, to: usize, out: &mut Vec<u8>) {
    let items = &run.items[from..to];
    out.reserve(items.iter().map(|i| i.size() + 10).sum::<usize>() + 64);
    put32(out, items.len() as u32);
    let mut last = None;
    for item in items {
        let fresh = last.replace(item.origin) != Some(item.origin);
        let mandatory = run.origin(item).mandatory;
        let mut head = [0; 10];
        head[0] = flags(&[fresh, item.persistent, mandatory]);
        head[1] = item.priority;
        head[2..6].copy_from_slice(&item.head.len.to_le_bytes());
        head[6..10].copy_from_slice(&item.body.len.to_le_bytes());
        out.extend_from_slice(&head);
    }
    last = None;
    for item in items {
        if last.replace(item.origin) != Some(item.origin) {
            let origin = run.origin(item);
            out.push(origin.exchange.len as u8);
            out.extend_from_slice(&(origin.key.len as u16).to_le_bytes());
            out.extend_from_slice(origin.exchange.of(&run.bytes));
            out.extend_from_slice(origin.key.of(&run.bytes));
        }
        out.extend_from_slice(run.head(item));
        out.extend_from_slice(run.body(item));
    }
}

/// Reads a run back; its ranges point into `bytes`, which is not copied.
pub fn read_run(bytes: &Bytes) -> Result<Run, Malformed> {
    let mut r = Reader(bytes);
    let count = r.u32()? as usize;
    let heads = r.take(count.checked_mul(10).ok_or(SHORT)?)?;
    let mut run =
        Run { bytes: bytes.clone(), origins: Vec::new(), items: Vec::with_capacity(count) };
    let mut at = bytes.len() - r.0.len();
    let take = |at: &mut usize, n: usize| -> Result<Range, Malformed> {
        let end = at.checked_add(n).filter(|end| *end <= bytes.len()).ok_or(SHORT)?;
        let range = Range::new(*at, n);
        *at = end;
        Ok(range)
    };
    for h in heads.chunks_exact(10) {
        let mandatory = h[0] & 4 != 0;
        if h[0] & 1 != 0 {
            let lengths = take(&mut at, 3)?.of(bytes);
            let key = u16::from_le_bytes([lengths[1], lengths[2]]);
            let exchange = take(&mut at, lengths[0].into())?;
            run.origins.push(Origin { exchange, key: take(&mut at, key.into())?, mandatory });
        }
        let origin = run.origins.len().checked_sub(1).ok_or(Malformed("message without origin"))?;
        let head = take(&mut at, u32::from_le_bytes([h[2], h[3], h[4], h[5]]) as usize)?;
        let body = take(&mut at, u32::from_le_bytes([h[6], h[7], h[8], h[9]]) as usize)?;
        let persistent = h[0] & 2 != 0;
        run.items.push(Item { origin: origin as u32, head, body, persistent, priority: h[1] });
    }
    Ok(run)
}

/// The run that an `Enqueued` (or `Moved`) body carries.
pub fn run_of(kind: u8, body: &Bytes) -> Result<Run, Malformed> {
    movable(kind, body).map(|(_, _, run)| run)
}

/// All that an `Enqueued` (or `Moved`) body says of its messages.
#[allow(clippy::type_complexity)] // targets, time, messages
pub fn movable(kind: u8, body: &Bytes) -> Result<(Vec<(QueueId, u64)>, Time, Run), Malformed> {
    let mut r = Reader(body);
    if kind == kind::MOVED {
        r.take(12)?;
    }
    let (targets, time) = (r.targets()?, Time(r.u64()?));
    let at = body.len() - r.0.len();
    Ok((targets, time, read_run(&body.slice(at..))?))
}
