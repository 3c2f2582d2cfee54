//! Messages in records and pages: many of one origin share what they have in common.

use super::kind;
use super::put::{flags, put16, put32};
use super::read::{Reader, SHORT};
use crate::id::QueueId;
use bytes::Bytes;
use lockgate_model::{Item, Malformed, Origin, Range, Retain, Run, Time};

/// Writes items `from..to` of a run: origins as they change, then each message.
///
/// ```text
///  count | n x ( flags: 1 new origin, 2 persistent, 4 mandatory, 8 exact, 16 wished to be
///                retained, 32 replayed, 64 native, 128 topic | priority | head len | body len )
///        | n x ( [exchange len u8, key len u16, exchange, key, [len u16, topic] if topic]
///                if new origin, head, body, [len u32, native] if native )
/// ```
pub fn write_run(run: &Run, from: usize, to: usize, out: &mut Vec<u8>) {
    let items = &run.items[from..to];
    out.reserve(items.iter().map(|i| i.size() + 10).sum::<usize>() + 64);
    put32(out, items.len() as u32);
    let mut last = None;
    for item in items {
        let fresh = last.replace(item.origin) != Some(item.origin);
        let origin = run.origin(item);
        let mut head = [0; 10];
        head[0] = flags(&[
            fresh,
            item.persistent,
            origin.mandatory,
            item.exact,
            item.retain == Retain::Wished,
            item.retain == Retain::Replayed,
            !item.native.is_empty(),
            !origin.topic.is_empty(),
        ]);
        head[1] = item.priority;
        head[2..6].copy_from_slice(&item.head.len.to_le_bytes());
        head[6..10].copy_from_slice(&item.body.len.to_le_bytes());
        out.extend_from_slice(&head);
    }
    last = None;
    for item in items {
        if last.replace(item.origin) != Some(item.origin) {
            let origin = run.origin(item);
            debug_assert!(origin.exchange.len < 1 << 8 && origin.key.len < 1 << 16);
            out.push(origin.exchange.len as u8);
            put16(out, origin.key.len as u16);
            out.extend_from_slice(run.slice(origin.exchange));
            out.extend_from_slice(run.slice(origin.key));
            if let Some(topic) = run.topic(item) {
                put16(out, topic.len() as u16);
                out.extend_from_slice(topic);
            }
        }
        out.extend_from_slice(run.head(item));
        out.extend_from_slice(run.body(item));
        if !item.native.is_empty() {
            put32(out, item.native.len);
            out.extend_from_slice(run.native(item));
        }
    }
}

/// Reads a run back; its ranges point into `bytes`, which is not copied.
pub fn read_run(bytes: &Bytes) -> Result<Run, Malformed> {
    let mut r = Reader(bytes);
    let count = r.u32()? as usize;
    let heads = r.take(count.checked_mul(10).ok_or(SHORT)?)?;
    let mut run = Run { bytes: bytes.clone(), ..Run::default() };
    run.items.reserve(count);
    let mut at = bytes.len() - r.0.len();
    let take = |at: &mut usize, n: usize| -> Result<Range, Malformed> {
        let end = at.checked_add(n).filter(|end| *end <= bytes.len()).ok_or(SHORT)?;
        let range = Range::new(*at, n);
        *at = end;
        Ok(range)
    };
    for h in heads.chunks_exact(10) {
        let said = |bit: u8| h[0] & bit != 0;
        if said(1) {
            let lengths = take(&mut at, 3)?.of(bytes);
            let key = u16::from_le_bytes([lengths[1], lengths[2]]);
            let exchange = take(&mut at, lengths[0].into())?;
            let key = take(&mut at, key.into())?;
            let mut topic = Range::new(at, 0);
            if said(128) {
                let length = take(&mut at, 2)?.of(bytes);
                topic = take(&mut at, u16::from_le_bytes([length[0], length[1]]).into())?;
            }
            run.origins.push(Origin { exchange, key, topic, mandatory: said(4) });
        }
        let origin = run.origins.len().checked_sub(1).ok_or(Malformed("message without origin"))?;
        let head = take(&mut at, u32::from_le_bytes([h[2], h[3], h[4], h[5]]) as usize)?;
        let body = take(&mut at, u32::from_le_bytes([h[6], h[7], h[8], h[9]]) as usize)?;
        let mut native = Range::new(at, 0);
        if said(64) {
            let n = take(&mut at, 4)?.of(bytes);
            native = take(&mut at, u32::from_le_bytes([n[0], n[1], n[2], n[3]]) as usize)?;
        }
        let retain = match (said(16), said(32)) {
            (_, true) => Retain::Replayed,
            (true, false) => Retain::Wished,
            (false, false) => Retain::Not,
        };
        run.items.push(Item {
            origin: origin as u32,
            head,
            body,
            native,
            persistent: said(2),
            exact: said(8),
            retain,
            priority: h[1],
        });
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
