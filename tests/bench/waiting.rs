//! What waits: backlogs that are published while nobody consumes, with lifetimes, with
//! priorities or plain, what they cost while they stand, and how fast they are drained.

use crate::load::{Acks, Block, Ear, Flow, Limits, answer, connect, publication, receive, send};
use crate::report::{Row, Sample, percentile};
use crate::workloads::{FREE, QUEUE, TRANSIENT, declare, declare_with, joined, text};
use crate::{Bench, Peer};
use lockgate_tests::Wire;
use lockgate_tests::wire::{NO_TABLE, method, short};
use std::io::{self, Error, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

const BACKLOG: u64 = 2_000_000;
const WAITING: u64 = 1_000_000;
const BODY: usize = 100;
/// Different messages of a backlog; then they repeat.
const MIXED: usize = 20_000;
/// Messages whose end is waited for.
const SAMPLES: u64 = 1_000;
/// Where goes what has expired.
const LATE: &str = "bench-late";

/// Numbers by chance, the same ones in each run.
pub struct Dice(pub u64);

impl Dice {
    /// Something below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % sides
    }
}

/// Publishes so many; returns when the broker has taken the last.
pub fn fill(stream: &mut TcpStream, block: &Block, total: u64) -> io::Result<()> {
    let limits = Limits { undelivered: u64::MAX, total, ..FREE };
    send(stream.try_clone()?, block, limits, &Flow::default())?;
    // A question on the same channel is answered when all before it is done.
    stream.write_all(&method(1, 50, 10, &[&[0, 0], &short(QUEUE), &[1], NO_TABLE]))?;
    answer(stream)
}

/// Consumes so many. `body` sees each.
fn drain(peer: &Peer, total: u64, mut body: impl FnMut(&[u8])) -> io::Result<()> {
    let flow = Flow::default();
    let mut ears = [Ear::consumer(peer.address, QUEUE, Acks::Auto)?];
    let mut left = total;
    receive(&mut ears, &flow, |bytes| {
        body(bytes);
        left -= 1;
        if left == 0 {
            flow.end();
        }
    })
}

/// Published while nobody consumes, and then drained.
pub fn backlog(bench: &Bench) -> io::Result<Vec<Row>> {
    let block = Block::of(&[publication("", QUEUE, TRANSIENT, &[b'x'; BODY])]);
    let title = "backlog of 2,000,000 x 100 B";
    let rows = stands(bench, title, &[], (&block, BACKLOG), |_| {})?;
    Ok(rows.into())
}

/// A queue empty, full and drained.
fn stands(
    bench: &Bench,
    title: &str,
    arguments: &[(&str, Vec<u8>)],
    (block, total): (&Block, u64),
    body: impl FnMut(&[u8]),
) -> io::Result<[Row; 3]> {
    let peer = bench.peer()?;
    declare_with(&mut Wire::channel(peer.address)?, QUEUE, false, arguments)?;
    let empty = Row::new(format!("{title}: empty"), peer.books.resident());
    let from = Sample::now(0, peer.books);
    fill(&mut connect(peer.address)?, block, total)?;
    let to = Sample::now(total, peer.books);
    let full = Row::new("... published", peer.books.resident()).between(from, to);
    let from = Sample::now(0, peer.books);
    drain(&peer, total, body)?;
    let to = Sample::now(total, peer.books);
    let drained = Row::new("... drained", peer.books.resident()).between(from, to);
    Ok([empty, full, drained])
}

/// Ten priorities by chance, and beside them the same messages in a queue that has none.
pub fn priorities(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut dice = Dice(1);
    let mut message = || {
        let priority = dice.roll(10) as u8;
        publication("", QUEUE, &[0x08, 0, priority], &[priority; BODY])
    };
    let messages: Vec<_> = (0..MIXED).map(|_| message()).collect();
    let load = (&Block::long(&messages), WAITING);
    let ten = [("x-max-priority", vec![b'I', 0, 0, 0, 10])];
    let (mut last, mut wrong) = (u8::MAX, 0);
    let ranked = stands(bench, "priorities: 1,000,000 x 100 B of 10", &ten, load, |body| {
        let priority = body.first().copied().unwrap_or(u8::MAX);
        wrong += u64::from(priority > last);
        last = priority;
    })?;
    if wrong > 0 {
        return Err(Error::other(format!("{wrong} came after one of less priority")));
    }
    let plain = stands(bench, "the same in a plain queue", &[], load, |_| {})?;
    Ok(ranked.into_iter().chain(plain).collect())
}

/// Half have lifetimes of a second to an hour and stand between others that last; and beside
/// them as many that all last.
pub fn lifetimes(bench: &Bench) -> io::Result<Vec<Row>> {
    let mut dice = Dice(1);
    let mut message = |n: usize| {
        let lifetime = 1_000 + dice.roll(3_599_000);
        // As long a text, but a content type.
        let flags: [u8; 2] = if n.is_multiple_of(2) { [0x80, 0] } else { [0x01, 0] };
        (flags, short(&lifetime.to_string()))
    };
    let lives: Vec<_> = (0..MIXED).map(&mut message).collect();
    let publish =
        |flags: &[u8], text: &[u8]| publication("", QUEUE, &[flags, text].concat(), &[0; BODY]);
    let plain: Vec<_> = lives.iter().map(|(_, text)| publish(&[0x80, 0], text)).collect();
    let mixed: Vec<_> = lives.iter().map(|(flags, text)| publish(flags, text)).collect();
    let (without, _) = live(bench, "lifetimes: none of 1,000,000 x 100 B has one", &plain)?;
    let title = "lifetimes: half of 1,000,000 x 100 B, of 1 s to 1 h, behind others that last";
    let (with, waited) = live(bench, title, &mixed)?;
    let more = with.resident.zip(without.resident);
    let more = more.map(|(with, without)| with.saturating_sub(without) * 2 / WAITING);
    let more = more.map(|more| format!("{more} B more for each that has one"));
    Ok(vec![without, with.remark(more.unwrap_or_default()), waited])
}

/// Publishes them and waits; among them are some whose end is waited for.
fn live(bench: &Bench, title: &str, messages: &[Vec<u8>]) -> io::Result<(Row, Row)> {
    let peer = bench.peer()?;
    let mut wire = Wire::channel(peer.address)?;
    declare(&mut wire, LATE, false)?;
    let letters = [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text(LATE))];
    declare_with(&mut wire, QUEUE, false, &letters)?;
    let mut ears = [Ear::consumer(peer.address, LATE, Acks::Auto)?];
    let (block, flow, start) = (Block::long(messages), Flow::default(), Instant::now());
    let mut late = Vec::new();
    let (full, share) = thread::scope(|scope| {
        let (flow, late) = (&flow, &mut late);
        let receiver = scope.spawn(move || {
            receive(&mut ears, flow, |body| {
                let due = body.first_chunk().map_or(0, |due| u64::from_be_bytes(*due));
                if due > 0 {
                    late.push(start.elapsed().saturating_sub(Duration::from_nanos(due)));
                }
            })
        });
        let mut stream = connect(peer.address)?;
        let from = Sample::now(0, peer.books);
        fill(&mut stream, &block, WAITING / 2)?;
        samples(&mut stream, start)?;
        fill(&mut stream, &block, WAITING / 2)?;
        let to = Sample::now(WAITING, peer.books);
        let full = Row::new(title, peer.books.resident()).between(from, to);
        thread::sleep(bench.seconds);
        let share = to.share(peer.books);
        flow.end();
        joined(receiver)?;
        Ok::<_, Error>((full, share))
    })?;
    late.sort_unstable();
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|of| percentile(&late, of));
    let waited = Row::new("... waiting", peer.books.resident()).remark(format!(
        "{share}; {} expired, of {} known: late p50 {p50}, p99 {p99}, at most {most}",
        flow.delivered(),
        late.len(),
    ));
    Ok((full, waited))
}

/// Messages that say when they are due, from half a second to four on.
fn samples(stream: &mut TcpStream, start: Instant) -> io::Result<()> {
    for n in 0..SAMPLES {
        let lifetime = 500 + 3_500 * n / SAMPLES;
        let due = start.elapsed() + Duration::from_millis(lifetime);
        let mut body = [0; BODY];
        body[..8].copy_from_slice(&(due.as_nanos() as u64).to_be_bytes());
        let properties = [vec![0x01, 0], short(&lifetime.to_string())].concat();
        stream.write_all(&publication("", QUEUE, &properties, &body))?;
    }
    Ok(())
}
