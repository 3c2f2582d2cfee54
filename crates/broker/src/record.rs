//! What the log says. A record states an effect with its ids, never a wish, so that
//! replaying it needs no judgement. All integers are little-endian; names and keys
//! carry their length in front.
//!
//! ```text
//!  kind 1  Made       one change of what is declared (a tag, then its fields)
//!  kind 2  Enqueued   n x (queue, first number) | time | messages
//!  kind 3  Settled    queue | n x (from, to)
//!  kind 4  Moved      old place | as Enqueued: those that still live, kept here from now on
//!  kind 5  Begin      what follows up to End happens whole or not at all
//!  kind 6  End
//!  kind 7  Started    a broker began to write here: a Begin without End before it is void
//!  kind 8  Held       (in snapshots only) queue | next number | extents | settled ranges
//!  kind 9  Seen       queue | number: entries below it may have been delivered; last words
//!                     of an orderly stop
//!  kind 10 Due        (in snapshots only) queue | n x (milliseconds, from, to)
//! ```

use crate::journal::Place;
use crate::ledger::{ExchangeId, Extent, QueueId, Target, VhostId, Way, lifetime};
use bytes::Bytes;
use lockgate_model::{
    ExchangeKind, ExchangeSpec, Item, Malformed, Name, Origin, QueueSpec, Range, Run, SessionId,
    Table, Time,
};

/// Record kinds.
pub mod kind {
    #![allow(missing_docs)] // the table above says it
    pub const MADE: u8 = 1;
    pub const ENQUEUED: u8 = 2;
    pub const SETTLED: u8 = 3;
    pub const MOVED: u8 = 4;
    pub const BEGIN: u8 = 5;
    pub const END: u8 = 6;
    pub const STARTED: u8 = 7;
    pub const HELD: u8 = 8;
    pub const SEEN: u8 = 9;
    pub const DUE: u8 = 10;
}

/// A change of what is declared.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields say it
pub enum Change {
    VhostMade {
        id: VhostId,
        name: Name,
    },
    ExchangeDeclared {
        vhost: VhostId,
        id: ExchangeId,
        spec: ExchangeSpec,
    },
    ExchangeDeleted {
        id: ExchangeId,
    },
    /// The owner of an exclusive queue is a live session: such a queue is never in the log.
    QueueDeclared {
        vhost: VhostId,
        id: QueueId,
        spec: QueueSpec,
        owner: Option<SessionId>,
    },
    QueueDeleted {
        id: QueueId,
    },
    Bound(Way),
    Unbound(Way),
}

/// A record read back.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Record {
    Made(Change),
    Enqueued {
        targets: Vec<(QueueId, u64)>,
        at: Time,
        sizes: Vec<u32>,
        /// Items that say themselves how long they live, in milliseconds.
        lifetimes: Vec<(u32, u64)>,
    },
    Settled {
        queue: QueueId,
        ranges: Vec<(u64, u64)>,
    },
    Moved {
        from: Place,
        targets: Vec<(QueueId, u64)>,
        count: u32,
    },
    Begin,
    End,
    Started,
    Seen {
        queue: QueueId,
        below: u64,
    },
    Due {
        queue: QueueId,
        due: Vec<(u64, u64, u64)>,
    },
    Held {
        queue: QueueId,
        next: u64,
        extents: Vec<(Extent, u64)>,
        gone: Vec<(u64, u64)>,
    },
}

const VHOST: u8 = 1;
const EXCHANGE: u8 = 2;
const NO_EXCHANGE: u8 = 3;
const QUEUE: u8 = 4;
const NO_QUEUE: u8 = 5;
const WAY: u8 = 6;
const NO_WAY: u8 = 7;

/// Writes the body of a `Made`.
pub fn write_change(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::VhostMade { id, name } => {
            out.push(VHOST);
            put32(out, id.0);
            put_bytes(out, name.as_bytes());
        }
        Change::ExchangeDeclared { vhost, id, spec } => {
            out.push(EXCHANGE);
            put32(out, vhost.0);
            put32(out, id.0);
            put_bytes(out, spec.name.as_bytes());
            put_bytes(out, spec.kind.name().as_bytes());
            out.push(flags(&[spec.durable, spec.auto_delete, spec.internal]));
            spec.arguments.encode(out);
        }
        Change::ExchangeDeleted { id } => {
            out.push(NO_EXCHANGE);
            put32(out, id.0);
        }
        Change::QueueDeclared { vhost, id, spec, owner: _ } => {
            out.push(QUEUE);
            put32(out, vhost.0);
            put32(out, id.0);
            put_bytes(out, spec.name.as_bytes());
            out.push(flags(&[spec.durable, spec.exclusive, spec.auto_delete]));
            spec.arguments.encode(out);
        }
        Change::QueueDeleted { id } => {
            out.push(NO_QUEUE);
            put32(out, id.0);
        }
        Change::Bound(way) => write_way(WAY, way, out),
        Change::Unbound(way) => write_way(NO_WAY, way, out),
    }
}

fn write_way(tag: u8, way: &Way, out: &mut Vec<u8>) {
    out.push(tag);
    put32(out, way.source.0);
    let (kind, id) = match way.target {
        Target::Queue(q) => (0, q.0),
        Target::Exchange(x) => (1, x.0),
    };
    out.push(kind);
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

/// What each of `entries` entries counts of a record's weight: never nothing, or a
/// segment could die with an entry in it.
pub fn weight(place: Place, entries: usize) -> u32 {
    (place.len / entries.clamp(1, u32::MAX as usize) as u32).max(1)
}

const SHORT: Malformed = Malformed("record cut short");

/// Reads one record.
pub fn read(kind: u8, body: &[u8]) -> Result<Record, Malformed> {
    let mut r = Reader(body);
    Ok(match kind {
        kind::MADE => Record::Made(r.change()?),
        kind::ENQUEUED => {
            let (targets, at) = (r.targets()?, Time(r.u64()?));
            let (sizes, lifetimes) = r.messages()?;
            Record::Enqueued { targets, at, sizes, lifetimes }
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
        kind::SEEN => Record::Seen { queue: QueueId(r.u32()?), below: r.u64()? },
        kind::HELD => r.held()?,
        _ => return Err(Malformed("unknown kind of record")),
    })
}

fn flags(bits: &[bool]) -> u8 {
    bits.iter().enumerate().fold(0, |all, (i, bit)| all | u8::from(*bit) << i)
}

fn put32(out: &mut Vec<u8>, n: u32) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// A cursor over a record's body that never reads past it.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let n = self.u32()?;
        self.take(n as usize)
    }

    fn name(&mut self) -> Result<Name, Malformed> {
        let text =
            std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("name is not UTF-8"))?;
        Ok(Name::from(text))
    }

    fn table(&mut self) -> Result<Table, Malformed> {
        let n = u32::from_be_bytes(*self.0.first_chunk().ok_or(SHORT)?) as usize;
        Table::decode(self.take(n.saturating_add(4))?)
    }

    /// A count of things that are at least `each` bytes long.
    fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let n = self.u32()? as usize;
        if n.checked_mul(each).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(SHORT);
        }
        Ok(n)
    }

    fn targets(&mut self) -> Result<Vec<(QueueId, u64)>, Malformed> {
        let n = self.count(12)?;
        (0..n).map(|_| Ok((QueueId(self.u32()?), self.u64()?))).collect()
    }

    /// The messages' sizes, and the lifetimes of those that have one of their own.
    #[allow(clippy::type_complexity)] // two lists, named above
    fn messages(&mut self) -> Result<(Vec<u32>, Vec<(u32, u64)>), Malformed> {
        let count = self.count(10)?;
        let heads = self.take(count * 10)?;
        let (mut sizes, mut lifetimes) = (Vec::with_capacity(count), Vec::new());
        for (n, h) in heads.chunks_exact(10).enumerate() {
            let head = u32::from_le_bytes([h[2], h[3], h[4], h[5]]);
            let body = u32::from_le_bytes([h[6], h[7], h[8], h[9]]);
            if h[0] & 1 != 0 {
                let [exchange, a, b] = self.array()?;
                self.take(usize::from(exchange) + usize::from(u16::from_le_bytes([a, b])))?;
            }
            if let Some(ms) = lifetime(self.take(head as usize)?) {
                lifetimes.push((n as u32, ms));
            }
            self.take(body as usize)?;
            sizes.push(head.saturating_add(body));
        }
        Ok((sizes, lifetimes))
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
            VHOST => Change::VhostMade { id: VhostId(self.u32()?), name: self.name()? },
            EXCHANGE => {
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
            NO_EXCHANGE => Change::ExchangeDeleted { id: ExchangeId(self.u32()?) },
            QUEUE => {
                let (vhost, id) = (VhostId(self.u32()?), QueueId(self.u32()?));
                let name = self.name()?;
                let f = self.u8()?;
                let (durable, exclusive, auto_delete) = (f & 1 != 0, f & 2 != 0, f & 4 != 0);
                let arguments = self.table()?;
                let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
                Change::QueueDeclared { vhost, id, spec, owner: None }
            }
            NO_QUEUE => Change::QueueDeleted { id: QueueId(self.u32()?) },
            WAY => Change::Bound(self.way()?),
            NO_WAY => Change::Unbound(self.way()?),
            _ => return Err(Malformed("unknown change")),
        })
    }
}
