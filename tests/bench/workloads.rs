//! The workloads: what is declared, who publishes and who consumes, and what is told of it.

use crate::load::{
    Acks, Block, Ear, Flow, Limits, connect, connect_confirmed, pace, publication, receive, send,
};
use crate::report::{Row, Sample, percentile};
use crate::{Bench, Peer, mqtt, queues, waiting};
use lockgate_tests::Wire;
use lockgate_tests::wire::{NO_TABLE, PERSISTENT, long, method, short};
use std::io::{self, Error};
use std::net::SocketAddr;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

pub const TRANSIENT: &[u8] = &[0, 0];
pub const QUEUE: &str = "bench";
const EXCHANGE: &str = "bench-x";
/// Published and not yet delivered: enough for long reads, too few for a backlog.
const WINDOW: u64 = 10_000;
pub const FREE: Limits =
    Limits { undelivered: WINDOW, unconfirmed: u64::MAX, copies: 1, total: u64::MAX };
const WARM: Duration = Duration::from_secs(1);
const STREAM: u64 = 1_000_000;
const RATE: u64 = 5_000;
const IDLE: usize = 1_000;

/// All of them: by what name they are asked for, and what measures them.
#[allow(clippy::type_complexity)] // a name, and a function that makes rows
pub const ALL: &[(&str, fn(&Bench) -> io::Result<Vec<Row>>)] = &[
    ("transient", transient),
    ("window", window),
    ("acks", acks),
    ("durable", durable),
    ("fanout", fanout),
    ("topic", topic),
    ("backlog", waiting::backlog),
    ("stream", stream),
    ("latency", latency),
    ("startup", startup),
    ("connections", connections),
    ("queues", queues::queues),
    ("lifetimes", waiting::lifetimes),
    ("priorities", waiting::priorities),
    ("groups", queues::groups),
    ("quorum", queues::quorum),
    ("letters", queues::letters),
    ("mqtt", mqtt::levels),
];

/// A queue that is empty and new; the one before is gone with its bindings.
pub fn declare(wire: &mut Wire, queue: &str, durable: bool) -> io::Result<()> {
    declare_with(wire, queue, durable, &[])
}

/// The same with arguments: each a name and a value as tables hold them.
pub fn declare_with(
    wire: &mut Wire,
    queue: &str,
    durable: bool,
    arguments: &[(&str, Vec<u8>)],
) -> io::Result<()> {
    wire.call(method(1, 50, 40, &[&[0, 0], &short(queue), &[0]]), (50, 41))?;
    let bits = [u8::from(durable) << 1];
    let table: Vec<u8> =
        arguments.iter().flat_map(|(name, value)| [short(name), value.clone()].concat()).collect();
    wire.call(method(1, 50, 10, &[&[0, 0], &short(queue), &bits, &long(&table)]), (50, 11))
        .map(drop)
}

/// A text, as tables hold it.
pub fn text(value: &str) -> Vec<u8> {
    [b"S".to_vec(), long(value.as_bytes())].concat()
}

fn declare_exchange(wire: &mut Wire, kind: &str) -> io::Result<()> {
    wire.call(method(1, 40, 20, &[&[0, 0], &short(EXCHANGE), &[0]]), (40, 21))?;
    let pieces: [&[u8]; 5] = [&[0, 0], &short(EXCHANGE), &short(kind), &[0], NO_TABLE];
    wire.call(method(1, 40, 10, &pieces), (40, 11)).map(drop)
}

fn bind(wire: &mut Wire, queue: &str, key: &str) -> io::Result<()> {
    let pieces: [&[u8]; 6] =
        [&[0, 0], &short(queue), &short(EXCHANGE), &short(key), &[0], NO_TABLE];
    wire.call(method(1, 50, 20, &pieces), (50, 21)).map(drop)
}

pub fn joined(thread: ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(Error::other("a thread of the load panicked")))
}

/// One run: a publisher and those who listen.
pub struct Run {
    pub title: String,
    pub block: Block,
    pub limits: Limits,
    pub confirmed: bool,
    pub ears: Vec<Ear>,
}

impl Run {
    /// Lets it run warm and measures it.
    pub fn measure(mut self, peer: &Peer, bench: &Bench) -> io::Result<Row> {
        let connect = if self.confirmed { connect_confirmed } else { connect };
        let publisher = connect(peer.address)?;
        self.ears.push(Ear::publisher(&publisher)?);
        let flow = Flow::default();
        thread::scope(|scope| {
            let receiver = scope.spawn(|| receive(&mut self.ears, &flow, |_| {}));
            let sender = scope.spawn(|| send(publisher, &self.block, self.limits, &flow));
            thread::sleep(WARM);
            let from = Sample::now(flow.delivered(), peer.books);
            thread::sleep(bench.seconds);
            let to = Sample::now(flow.delivered(), peer.books);
            flow.end();
            joined(sender)?;
            joined(receiver)?;
            Ok(Row::new(self.title, peer.books.resident()).between(from, to))
        })
    }
}

fn one_to_one(
    bench: &Bench,
    size: usize,
    limits: Limits,
    acks: Acks,
    what: &str,
) -> io::Result<Row> {
    let peer = bench.peer()?;
    declare(&mut Wire::channel(peer.address)?, QUEUE, false)?;
    let run = Run {
        title: format!("transient, {what}, {size} B"),
        block: Block::of(&[publication("", QUEUE, TRANSIENT, &vec![b'x'; size])]),
        limits,
        confirmed: false,
        ears: vec![Ear::consumer(peer.address, QUEUE, acks)?],
    };
    run.measure(&peer, bench)
}

fn transient(bench: &Bench) -> io::Result<Vec<Row>> {
    let sizes = [16, 1024].into_iter();
    sizes.map(|size| one_to_one(bench, size, FREE, Acks::Auto, "automatic acks")).collect()
}

/// So few on the way that no read holds many.
fn window(bench: &Bench) -> io::Result<Vec<Row>> {
    let limits = Limits { undelivered: 16, ..FREE };
    let sizes = [16, 1024].into_iter();
    sizes.map(|size| one_to_one(bench, size, limits, Acks::Auto, "window of 16")).collect()
}

fn acks(bench: &Bench) -> io::Result<Vec<Row>> {
    let acks = Acks::Every { count: 100, prefetch: 200 };
    let sizes = [16, 1024].into_iter();
    sizes.map(|size| one_to_one(bench, size, FREE, acks, "manual acks, prefetch 200")).collect()
}

fn durable(bench: &Bench) -> io::Result<Vec<Row>> {
    confirmed(bench, "durable", &[])
}

/// What is published to a durable queue is confirmed, what is delivered acknowledged.
pub fn confirmed(bench: &Bench, what: &str, arguments: &[(&str, Vec<u8>)]) -> io::Result<Vec<Row>> {
    let peer = bench.peer()?;
    declare_with(&mut Wire::channel(peer.address)?, QUEUE, true, arguments)?;
    let acks = Acks::Every { count: 100, prefetch: 200 };
    let run = Run {
        title: format!("{what}, persistent, confirmed (1,000 on the way), manual acks, 1024 B"),
        block: Block::of(&[publication("", QUEUE, PERSISTENT, &[b'x'; 1024])]),
        limits: Limits { unconfirmed: 1_000, ..FREE },
        confirmed: true,
        ears: vec![Ear::consumer(peer.address, QUEUE, acks)?],
    };
    Ok(vec![run.measure(&peer, bench)?])
}

/// Ten queues, each with a consumer on a connection of its own.
fn ten(wire: &mut Wire, to: SocketAddr) -> io::Result<(Vec<String>, Vec<Ear>)> {
    let names: Vec<String> = (0..10).map(|n| format!("{QUEUE}-{n}")).collect();
    names.iter().try_for_each(|name| declare(wire, name, false))?;
    let ears = names.iter().map(|name| Ear::consumer(to, name, Acks::Auto));
    let ears = ears.collect::<io::Result<_>>()?;
    Ok((names, ears))
}

fn fanout(bench: &Bench) -> io::Result<Vec<Row>> {
    let peer = bench.peer()?;
    let mut wire = Wire::channel(peer.address)?;
    declare_exchange(&mut wire, "fanout")?;
    let (queues, ears) = ten(&mut wire, peer.address)?;
    queues.iter().try_for_each(|queue| bind(&mut wire, queue, ""))?;
    let run = Run {
        title: "fan-out to 10, automatic acks, 16 B".into(),
        block: Block::of(&[publication(EXCHANGE, "", TRANSIENT, &[b'x'; 16])]),
        limits: Limits { copies: 10, ..FREE },
        confirmed: false,
        ears,
    };
    Ok(vec![run.measure(&peer, bench)?])
}

/// Each message's key is matched by one of the bindings.
fn topic(bench: &Bench) -> io::Result<Vec<Row>> {
    let peer = bench.peer()?;
    let mut wire = Wire::channel(peer.address)?;
    declare_exchange(&mut wire, "topic")?;
    let (queues, ears) = ten(&mut wire, peer.address)?;
    for (n, queue) in (0..1_000).zip(queues.iter().cycle()) {
        bind(&mut wire, queue, &format!("plant.{n}.*.#"))?;
    }
    let key = |n: usize| format!("plant.{n}.line.temperature");
    // In an order that jumps among the keys, as that of many publishers would.
    let keys = (0..1_000).map(|n| key(n * 617 % 1_000));
    let messages = keys.map(|key| publication(EXCHANGE, &key, TRANSIENT, &[b'x'; 16]));
    let messages: Vec<_> = messages.collect();
    let run = Run {
        title: "topic exchange, 1,000 bindings, 16 B".into(),
        block: Block::of(&messages),
        limits: FREE,
        confirmed: false,
        ears,
    };
    Ok(vec![run.measure(&peer, bench)?])
}

/// Published to a stream, and then read by ten from its first message on.
fn stream(bench: &Bench) -> io::Result<Vec<Row>> {
    let peer = bench.peer()?;
    let mut wire = Wire::channel(peer.address)?;
    wire.call(method(1, 50, 40, &[&[0, 0], &short(QUEUE), &[0]]), (50, 41))?;
    wire.declare_with(QUEUE, &[("x-queue-type", "stream")])?;
    let block = Block::of(&[publication("", QUEUE, PERSISTENT, &[b'x'; 100])]);
    let limits = Limits { undelivered: u64::MAX, total: STREAM, ..FREE };
    let from = Sample::now(0, peer.books);
    send(connect(peer.address)?, &block, limits, &Flow::default())?;
    while wire.waiting(QUEUE)? < STREAM {
        thread::sleep(Duration::from_millis(5));
    }
    let full = Row::new("stream of 1,000,000 x 100 B: published", peer.books.resident())
        .between(from, Sample::now(STREAM, peer.books));
    let mut first = short("x-stream-offset");
    first.push(b'S');
    first.extend_from_slice(&long(b"first"));
    let acks = Acks::Every { count: 500, prefetch: 2_000 };
    let flow = Flow::default();
    let from = Sample::now(0, peer.books);
    let ears = (0..10).map(|_| Ear::reader(peer.address, QUEUE, acks, &long(&first)));
    let mut ears: Vec<Ear> = ears.collect::<io::Result<_>>()?;
    let mut left = 10 * STREAM;
    let last = |_: &[u8]| {
        left -= 1;
        if left == 0 {
            flow.end();
        }
    };
    receive(&mut ears, &flow, last)?;
    let read = Row::new("... read by 10 from the first", peer.books.resident())
        .between(from, Sample::now(10 * STREAM, peer.books));
    Ok(vec![full, read])
}

fn latency(bench: &Bench) -> io::Result<Vec<Row>> {
    let peer = bench.peer()?;
    declare(&mut Wire::channel(peer.address)?, QUEUE, false)?;
    let publisher = connect(peer.address)?;
    let mut ears = [Ear::consumer(peer.address, QUEUE, Acks::Auto)?, Ear::publisher(&publisher)?];
    let (flow, start) = (Flow::default(), Instant::now());
    let mut late = Vec::new();
    let row = thread::scope(|scope| {
        let (flow, late) = (&flow, &mut late);
        let receiver = scope.spawn(move || {
            receive(&mut ears, flow, |body| {
                let due = body.first_chunk().map_or(0, |due| u64::from_be_bytes(*due));
                let due = Duration::from_nanos(due);
                if due > WARM {
                    late.push(start.elapsed().saturating_sub(due));
                }
            })
        });
        let sender = scope.spawn(move || pace(publisher, QUEUE, 64, RATE, start, flow));
        thread::sleep(WARM);
        let from = Sample::now(flow.delivered(), peer.books);
        thread::sleep(bench.seconds);
        let to = Sample::now(flow.delivered(), peer.books);
        flow.end();
        joined(sender)?;
        joined(receiver)?;
        Ok::<Row, Error>(Row::new("5,000 a second, 64 B", peer.books.resident()).between(from, to))
    })?;
    late.sort_unstable();
    let (p50, p99) = (percentile(&late, 0.5), percentile(&late, 0.99));
    Ok(vec![row.remark(format!("p50 {p50}, p99 {p99}"))])
}

/// From the start of the process on an empty store to a client that has logged in.
fn startup(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut took = Vec::new();
    // A broker that somebody else started cannot be started.
    for _ in 0..if bench.theirs.is_none() { 5 } else { 0 } {
        let start = Instant::now();
        let peer = bench.peer()?;
        Wire::login(peer.address)?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    let peer = bench.peer()?;
    let row = Row::new("start-up, and idle", peer.books.resident());
    let Some(median) = took.get(took.len() / 2) else { return Ok(vec![row]) };
    let remark = format!("first connection after {:.1} ms", median.as_secs_f64() * 1e3);
    Ok(vec![row.remark(remark)])
}

fn connections(bench: &Bench) -> io::Result<Vec<Row>> {
    let peer = bench.peer()?;
    // The first one warms up what all share.
    let first = connect(peer.address)?;
    let before = peer.books.resident();
    let all: Vec<_> = (0..IDLE).map(|_| connect(peer.address)).collect::<io::Result<_>>()?;
    let after = peer.books.resident();
    let row = Row::new("1,000 idle connections, a channel each", after);
    drop((first, all));
    let each = before.zip(after).map(|(before, after)| after.saturating_sub(before) / IDLE as u64);
    let remark = each.map(|each| format!("{:.1} KiB each", each as f64 / 1024.0));
    Ok(vec![row.remark(remark.unwrap_or_default())])
}
