//! What queues cost and do by their kind and arguments: a hundred thousand of them, groups of
//! messages, quorum queues, dead letters.

use crate::Bench;
use crate::load::{Acks, Block, Ear, Flow, connect, publication, receive};
use crate::report::{Books, Row, Sample};
use crate::waiting::{Dice, fill};
use crate::workloads::{
    FREE, QUEUE, Run, TRANSIENT, confirmed, declare, declare_with, joined, text,
};
use lockgate_tests::Wire;
use lockgate_tests::wire::{NO_TABLE, PERSISTENT, long, method, short};
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const QUEUES: usize = 100_000;
/// Each waits for its answers one by one; they share what the disk takes for a sync.
const DECLARERS: usize = 50;
const LETTERS: u64 = 200_000;
/// Where they go.
const DEAD: &str = "bench-dead";

/// Says something of each queue, over all connections, and waits for all answers.
fn each(
    to: SocketAddr,
    say: impl Fn(&str) -> Vec<u8> + Sync,
    answer: (u16, u16),
) -> io::Result<()> {
    thread::scope(|scope| {
        let say = &say;
        let declarer = |first: usize| {
            scope.spawn(move || {
                let mut wire = Wire::channel(to)?;
                (first..QUEUES)
                    .step_by(DECLARERS)
                    .try_for_each(|n| wire.call(say(&format!("{QUEUE}-{n}")), answer).map(drop))
            })
        };
        let all: Vec<_> = (0..DECLARERS).map(declarer).collect();
        all.into_iter().try_for_each(joined)
    })
}

/// Declared, and found again by a broker that was killed.
pub fn queues(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut peer = bench.peer()?;
    // The first ones warm up what all share.
    declare(&mut Wire::channel(peer.address)?, QUEUE, true)?;
    let before = peer.books.resident();
    let from = Sample::now(0, peer.books);
    let make = |name: &str| method(1, 50, 10, &[&[0, 0], &short(name), &[0b10], NO_TABLE]);
    each(peer.address, make, (50, 11))?;
    let to = Sample::now(QUEUES as u64, peer.books);
    let after = peer.books.resident();
    let bytes = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    let kib = bytes.map(|bytes| format!("{:.2} KiB each", bytes as f64 / QUEUES as f64 / 1024.0));
    let row = Row::new("100,000 durable queues declared by 50 connections", after);
    let mut rows = vec![row.between(from, to).remark(kib.unwrap_or_default())];
    let Some((broker, home)) = peer.broker.take() else {
        // Somebody else's keeps none of them, and cannot be killed.
        let remove = |name: &str| method(1, 50, 40, &[&[0, 0], &short(name), &[0]]);
        each(peer.address, remove, (50, 41))?;
        return Ok(rows);
    };
    broker.kill();
    let start = Instant::now();
    let again = broker.again();
    let took = start.elapsed();
    let books = Books(Some(again.process.id()));
    let row = Row::new("... killed and started again", books.resident());
    rows.push(row.remark(format!("ready after {:.0} ms", took.as_secs_f64() * 1e3)));
    let from = Sample::now(0, books);
    thread::sleep(bench.seconds);
    rows.push(Row::new("... idle", books.resident()).remark(from.share(books)));
    drop((again, home));
    Ok(rows)
}

/// Eight consumers, and a thousand groups that they share or none.
pub fn groups(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut dice = Dice(1);
    let mut grouped = || {
        let group = text(&format!("group-{}", dice.roll(1_000)));
        let table = long(&[short("JMSXGroupID"), group].concat());
        publication("", QUEUE, &[vec![0x20, 0], table].concat(), &[b'x'; 16])
    };
    let grouped: Vec<_> = (0..20_000).map(|_| grouped()).collect();
    let plain = publication("", QUEUE, TRANSIENT, &[b'x'; 16]);
    let run = |what: &str, block: Block| {
        let peer = bench.peer()?;
        declare(&mut Wire::channel(peer.address)?, QUEUE, false)?;
        let acks = Acks::Every { count: 10, prefetch: 20 };
        let ears = (0..8).map(|_| Ear::consumer(peer.address, QUEUE, acks));
        let ears = ears.collect::<io::Result<_>>()?;
        let title = format!("{what}, 8 consumers, prefetch 20, 16 B");
        Run { title, block, limits: FREE, confirmed: false, ears }.measure(&peer, bench)
    };
    Ok(vec![run("no groups", Block::of(&[plain]))?, run("1,000 groups", Block::long(&grouped))?])
}

/// The same as `durable`.
pub fn quorum(bench: &Bench) -> io::Result<Vec<Row>> {
    confirmed(bench, "quorum", &[("x-queue-type", text("quorum"))])
}

/// All that waits is refused, and dies into another queue.
pub fn letters(bench: &Bench) -> io::Result<Vec<Row>> {
    let kinds = [("transient", false, TRANSIENT), ("durable, persistent", true, PERSISTENT)];
    let run = |(what, durable, properties): (&str, bool, &[u8])| {
        let peer = bench.peer()?;
        let mut wire = Wire::channel(peer.address)?;
        declare(&mut wire, DEAD, durable)?;
        let dies =
            [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(DEAD))];
        declare_with(&mut wire, QUEUE, durable, &dies)?;
        let block = Block::of(&[publication("", QUEUE, properties, &[b'x'; 100])]);
        fill(&mut connect(peer.address)?, &block, LETTERS)?;
        let mut ears = [Ear::consumer(peer.address, QUEUE, Acks::Refused { prefetch: 1_000 })?];
        let flow = Flow::default();
        let from = Sample::now(0, peer.books);
        let to = thread::scope(|scope| {
            let receiver = scope.spawn(|| receive(&mut ears, &flow, |_| {}));
            while wire.waiting(DEAD)? < LETTERS && !flow.stopped() {
                thread::sleep(Duration::from_millis(5));
            }
            let to = Sample::now(LETTERS, peer.books);
            flow.end();
            joined(receiver).map(|()| to)
        })?;
        let title = format!("200,000 x 100 B refused and dead-lettered, {what}");
        Ok(Row::new(title, peer.books.resident()).between(from, to))
    };
    kinds.into_iter().map(run).collect()
}
