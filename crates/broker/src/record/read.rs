//! Reading records: never past their end, whatever they say.

use super::{Change, Record, kind, tag};
use crate::id::{ExchangeId, Place, QueueId, Target, VhostId};
use crate::ledger::{Digest, Extent, delay, lifetime};
use crate::way::Way;
use bytes::Bytes;
use lockgate_model::{ExchangeKind, ExchangeSpec, Malformed, Name, QueueSpec, Table, Time};

pub(super) const SHORT: Malformed = Malformed("record cut short");

/// Reads one record.
pub fn read(kind: u8, body: &[u8]) -> Result<Record, Malformed> {
    let mut r = Reader(body);
    Ok(match kind {
        kind::MADE => Record::Made(r.change()?),
        kind::ENQUEUED => {
            let (targets, at) = (r.targets()?, Time(r.u64()?));
            let Messages { sizes, lifetimes, delays } = r.messages()?;
            Record::Enqueued { targets, at, sizes, lifetimes, delays }
        }
        kind::SETTLED => Record::Settled { queue: QueueId(r.u32()?), ranges: r.ranges()? },
        kind::MOVED => {
            let from = Place { pos: r.u64()?, len: r.u32()? };
            let targets = r.targets()?;
            r.u64()?;
            Record::Moved { from, targets, count: r.u32()? }
        }
        kind::BEGIN => Record::Begin,
        kind::END => Record::End,
        kind::STARTED => Record::Started,
        kind::DUE => {
            let queue = QueueId(r.u32()?);
            let n = r.count(24)?;
            let due = (0..n).map(|_| Ok((r.u64()?, r.u64()?, r.u64()?)));
            Record::Due { queue, due: due.collect::<Result<_, Malformed>>()? }
        }
        kind::COUNTED => {
            let queue = QueueId(r.u32()?);
            let n = r.count(20)?;
            let counts = (0..n).map(|_| Ok((r.u64()?, r.u64()?, r.u32()?)));
            Record::Counted { queue, counts: counts.collect::<Result<_, Malformed>>()? }
        }
        kind::SIZES => Record::Sizes { queue: QueueId(r.u32()?), sizes: r.sizes()? },
        kind::MARKED => Record::Marked { holder: r.u32()?, marks: r.digests()? },
        kind::ROLLED => Record::Rolled { queue: QueueId(r.u32()?), ids: r.digests()? },
        kind::SEEN => Record::Seen { queue: QueueId(r.u32()?), below: r.u64()? },
        kind::HELD => r.held()?,
        kind::MARKS => r.mark_deed()?,
        kind::RETAINED => r.retained()?,
        kind::KEPT | kind::CUT | kind::SHELVED => r.of_stream(kind)?,
        _ => return Err(Malformed("unknown kind of record")),
    })
}

/// The records of a snapshot, kind and body, as far as they are whole.
pub fn entries(snapshot: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Malformed>> {
    let mut r = Reader(snapshot);
    std::iter::from_fn(move || {
        if r.0.is_empty() {
            return None;
        }
        let mut next = || Ok((r.u8()?, r.bytes()?));
        let found = next();
        if found.is_err() {
            r.0 = &[];
        }
        Some(found)
    })
}

/// The property lists of the messages of an `Enqueued`.
pub fn heads(body: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut r = Reader(body);
    r.targets()?;
    r.u64()?;
    let count = r.count(10)?;
    let lengths = r.take(count * 10)?;
    let mut all = Vec::with_capacity(count);
    for h in lengths.chunks_exact(10) {
        all.push(r.message(h)?.head);
    }
    Ok(all)
}

/// What a record says of its messages: their sizes, and which of them (by place) ask for a
/// lifetime or a delay.
#[derive(Default)]
struct Messages {
    sizes: Vec<(u32, u32)>,
    lifetimes: Vec<(u32, u64)>,
    delays: Vec<(u32, u64)>,
}

/// A message that was passed over.
pub(super) struct Passed<'a> {
    /// The topic of the origin that begins with it, if one does.
    pub origin: Option<&'a [u8]>,
    head: &'a [u8],
    body: u32,
    native: u32,
}

impl Passed<'_> {
    /// Bytes of head, body and native properties.
    pub fn size(&self) -> u64 {
        self.head.len() as u64 + u64::from(self.body) + u64::from(self.native)
    }
}

/// A cursor over a record's body that never reads past it.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let n = self.u32()?;
        self.take(n as usize)
    }

    pub fn name(&mut self) -> Result<Name, Malformed> {
        let text =
            std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("name is not UTF-8"))?;
        Ok(Name::from(text))
    }

    pub fn table(&mut self) -> Result<Table, Malformed> {
        let n = u32::from_be_bytes(*self.0.first_chunk().ok_or(SHORT)?) as usize;
        Table::decode(self.take(n.saturating_add(4))?)
    }

    /// A count of things that are at least `each` bytes long.
    pub fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let n = self.u32()? as usize;
        if n.checked_mul(each).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(SHORT);
        }
        Ok(n)
    }

    pub fn targets(&mut self) -> Result<Vec<(QueueId, u64)>, Malformed> {
        let n = self.count(12)?;
        (0..n).map(|_| Ok((QueueId(self.u32()?), self.u64()?))).collect()
    }

    fn digests(&mut self) -> Result<Vec<(Digest, u64)>, Malformed> {
        let n = self.count(24)?;
        (0..n).map(|_| Ok((Digest(u128::from_le_bytes(self.array()?)), self.u64()?))).collect()
    }

    fn messages(&mut self) -> Result<Messages, Malformed> {
        let count = self.count(10)?;
        let heads = self.take(count * 10)?;
        let mut all = Messages { sizes: Vec::with_capacity(count), ..Messages::default() };
        for (n, h) in (0u32..).zip(heads.chunks_exact(10)) {
            let Passed { head, body, .. } = self.message(h)?;
            all.lifetimes.extend(lifetime(head).map(|ms| (n, ms)));
            all.delays.extend(delay(head).map(|ms| (n, ms)));
            all.sizes.push((head.len() as u32, body));
        }
        Ok(all)
    }

    /// Passes over a message of which `h` tells.
    pub fn message(&mut self, h: &[u8]) -> Result<Passed<'a>, Malformed> {
        let said = |bit: u8| h[0] & bit != 0;
        let mut origin = None;
        if said(1) {
            let [exchange, a, b] = self.array()?;
            self.take(usize::from(exchange) + usize::from(u16::from_le_bytes([a, b])))?;
            let topic = if said(128) { u16::from_le_bytes(self.array()?) } else { 0 };
            origin = Some(self.take(topic.into())?);
        }
        let head = self.take(u32::from_le_bytes([h[2], h[3], h[4], h[5]]) as usize)?;
        let body = u32::from_le_bytes([h[6], h[7], h[8], h[9]]);
        self.take(body as usize)?;
        let native = if said(64) { self.bytes()?.len() as u32 } else { 0 };
        Ok(Passed { origin, head, body, native })
    }

    fn sizes(&mut self) -> Result<Vec<(u64, Vec<u32>)>, Malformed> {
        let n = self.count(12)?;
        let mut all = Vec::with_capacity(n);
        for _ in 0..n {
            let (first, count) = (self.u64()?, self.count(4)?);
            all.push((first, (0..count).map(|_| self.u32()).collect::<Result<_, _>>()?));
        }
        Ok(all)
    }

    fn ranges(&mut self) -> Result<Vec<(u64, u64)>, Malformed> {
        let n = self.count(16)?;
        (0..n).map(|_| Ok((self.u64()?, self.u64()?))).collect()
    }

    fn held(&mut self) -> Result<Record, Malformed> {
        let (queue, next) = (QueueId(self.u32()?), self.u64()?);
        let n = self.count(40)?;
        let extents = (0..n).map(|_| {
            let (first, count, skip) = (self.u64()?, self.u32()?, self.u32()?);
            let place = Place { pos: self.u64()?, len: self.u32()? };
            let weight = self.u32()?;
            Ok((Extent { first, count, skip, place, weight }, self.u64()?))
        });
        let extents = extents.collect::<Result<_, Malformed>>()?;
        Ok(Record::Held { queue, next, extents, gone: self.ranges()? })
    }

    fn way(&mut self) -> Result<Way, Malformed> {
        let source = ExchangeId(self.u32()?);
        let target = match (self.u8()?, self.u32()?) {
            (0, id) => Target::Queue(QueueId(id)),
            (1, id) => Target::Exchange(ExchangeId(id)),
            _ => return Err(Malformed("unknown kind of target")),
        };
        let key = Bytes::copy_from_slice(self.bytes()?);
        Ok(Way { source, target, key, arguments: self.table()? })
    }

    fn change(&mut self) -> Result<Change, Malformed> {
        Ok(match self.u8()? {
            tag::VHOST => Change::VhostMade { id: VhostId(self.u32()?), name: self.name()? },
            tag::EXCHANGE => {
                let (vhost, id) = (VhostId(self.u32()?), ExchangeId(self.u32()?));
                let name = self.name()?;
                let kind =
                    ExchangeKind::named(&self.name()?).ok_or(Malformed("unknown exchange kind"))?;
                let f = self.u8()?;
                let (durable, auto_delete, internal) = (f & 1 != 0, f & 2 != 0, f & 4 != 0);
                let arguments = self.table()?;
                let spec = ExchangeSpec { name, kind, durable, auto_delete, internal, arguments };
                Change::ExchangeDeclared { vhost, id, spec }
            }
            tag::NO_EXCHANGE => Change::ExchangeDeleted { id: ExchangeId(self.u32()?) },
            tag::STORE => {
                let (exchange, id) = (ExchangeId(self.u32()?), QueueId(self.u32()?));
                Change::StoreMade { exchange, id }
            }
            tag::QUEUE => {
                let (vhost, id) = (VhostId(self.u32()?), QueueId(self.u32()?));
                let name = self.name()?;
                let f = self.u8()?;
                let (durable, exclusive, auto_delete) = (f & 1 != 0, f & 2 != 0, f & 4 != 0);
                let arguments = self.table()?;
                let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
                Change::QueueDeclared { vhost, id, spec, owner: None }
            }
            tag::NO_QUEUE => Change::QueueDeleted { id: QueueId(self.u32()?) },
            tag::WAY => Change::Bound(self.way()?),
            tag::NO_WAY => Change::Unbound(self.way()?),
            other @ tag::BERTH..=tag::BERTH_LEFT => self.moored(other)?,
            other => self.registered(other)?,
        })
    }
}
