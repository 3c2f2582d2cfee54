//! What retaining costs: 100,000 topics that are retained, replaced, and told to one client that
//! wants everything, in time and in memory; with what waits in memory, and with it on the disk.
//!
//! `cargo bench -p lockgate-broker --bench retained`

#![allow(clippy::print_stdout)] // figures are what it is for

use bytes::Bytes;
use lockgate_broker::{Broker, Effects, Io, Journal, Place, Settings, record};
use lockgate_model::*;
use std::sync::Arc;
use std::time::Instant;

const COUNT: u64 = 100_000;
const NOW: Time = Time(1_000_000_000);
const LANE: Lane = Lane(0);

/// A log in memory, or one that says where records would be and keeps none.
#[derive(Default)]
struct Memory {
    records: Vec<(u8, Bytes)>,
    forgetful: bool,
    scratch: Vec<u8>,
    written: u64,
}

impl Journal for Memory {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        if self.forgetful {
            self.scratch.clear();
            write(&mut self.scratch);
            self.written += 1;
            let len = self.scratch.len() as u32;
            return Place { pos: self.written * 1_000_000, len };
        }
        let mut body = Vec::new();
        write(&mut body);
        let place = Place { pos: self.records.len() as u64 * 1_000_000, len: body.len() as u32 };
        self.records.push((kind, body.into()));
        place
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

struct Bench {
    broker: Broker,
    log: Memory,
}

/// What one turn brought.
struct Turn {
    delivered: u64,
    cost: u64,
    io: Vec<Io>,
}

impl Bench {
    fn new(queue_resident: u64) -> Bench {
        let settings =
            Settings { queue_resident, resident_max: 1 << 30, seed: 1, ..Settings::default() };
        let mut bench = Bench { broker: Broker::new(settings), log: Memory::default() };
        bench.broker.make_vhost("/", &mut bench.log);
        bench
    }

    fn enter(&mut self, session: SessionId, client: &str) {
        self.broker.connect(session);
        let attachment = Attachment {
            client: client.into(),
            exchange: "amq.topic".into(),
            passing: format!("{client} passing").into(),
            settling: format!("{client} settling").into(),
            fresh: true,
            lasting: Lasting::Not,
            will: None,
            in_flight_max: 100,
            caps: Caps { messages_max: 1_000, bytes_max: 1 << 20, passing_bytes_max: 1 << 20 },
        };
        let open = Request::Open { vhost: "/".into(), user: "guest".into() };
        for request in [open, Request::Attach(Box::new(attachment))] {
            self.turn(session, Command::Ask { lane: LANE, ticket: Ticket(0), request });
        }
    }

    fn turn(&mut self, session: SessionId, command: Command) -> Turn {
        let mut out = Effects::default();
        self.broker.handle(session, command, NOW, &mut self.log, &mut out);
        self.broker.deliver(&mut self.log, &mut out);
        let (mut delivered, mut cost) = (0, 0);
        for effect in out.events {
            match effect.event {
                Event::Deliver(d) => {
                    delivered += u64::from(d.count);
                    cost += d.cost;
                }
                Event::Broken { why, .. } | Event::Answer { result: Err(why), .. } => {
                    panic!("{why}")
                }
                _ => {}
            }
        }
        Turn { delivered, cost, io: out.io }
    }

    /// Nanoseconds a message, each to a topic of its own.
    fn retain(&mut self, session: SessionId, runs: &[Arc<Run>]) -> u64 {
        let begin = on_cpu();
        for run in runs {
            let run = Arc::clone(run);
            self.turn(session, Command::Publish { lane: LANE, run, confirm: None });
        }
        (on_cpu() - begin) / runs.len() as u64
    }

    /// What it takes to tell everything: nanoseconds, messages, turns, and most memory meanwhile.
    fn tell(&mut self, session: SessionId, filter: &str) -> (u64, u64, u64, u64) {
        let interest = Interest {
            filter: filter.into(),
            pattern_at: 0,
            group: None,
            key: Bytes::from(filter.replace('/', ".").replace('+', "*")),
            level: 0,
            not_own: false,
            as_published: false,
            replay: Replay::Always,
            label: 0,
        };
        let request = Request::Follow(vec![interest]);
        let (mut spent, mut told, mut turns, mut most) = (0, 0, 0, 0);
        let mut command = Command::Ask { lane: LANE, ticket: Ticket(0), request };
        loop {
            let begin = Instant::now();
            let turn = self.turn(session, command);
            spent += begin.elapsed().as_nanos() as u64;
            told += turn.delivered;
            turns += 1;
            most = most.max(self.broker.resident());
            if turn.cost == 0 && turn.io.is_empty() {
                return (spent, told, turns, most);
            }
            // The librarian's work is not counted.
            for io in turn.io {
                if let Io::Load { key, parts } = io {
                    let mut run = RunBuilder::default();
                    for part in parts {
                        match part.place {
                            None => run.hole(part.count),
                            Some(place) => {
                                let (kind, body) =
                                    &self.log.records[place.pos as usize / 1_000_000];
                                let of = record::run_of(*kind, body).unwrap();
                                let (from, count) = (part.skip as usize, part.count as usize);
                                run.copy(&of, from, from + count);
                            }
                        }
                    }
                    self.broker.loaded(key, Arc::new(run.finish()));
                }
            }
            command = Command::Window(turn.cost);
        }
    }
}

fn messages() -> Vec<Arc<Run>> {
    (0..COUNT).map(|n| Arc::new(message(n))).collect()
}

fn message(n: u64) -> Run {
    let (topic, key) = (format!("b/{}/d{}/s", n / 1_000, n), format!("b.{}.d{}.s", n / 1_000, n));
    let (exchange, head) = (&b"amq.topic"[..], &[0x10, 0, 1][..]);
    let (key, topic) = (key.as_bytes(), topic.as_bytes());
    let mut run = RunBuilder::default();
    let item = Item { retain: Retain::Wished, ..Item::default() };
    let names = Names { exchange, key, topic, mandatory: false };
    run.push_like(item, names, Parts { head, body: &[7; 16], native: b"" });
    run.finish()
}

/// Nanoseconds that this process has had a processor: others may want it too.
fn on_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// What the process has in memory, as the system counts it.
fn resident_set() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.map_or(0, |n| n * 4096)
}

/// What it takes to be retained.
fn keep() {
    let mut b = Bench::new(64 << 20);
    b.log.forgetful = true;
    let publisher = SessionId(1);
    b.enter(publisher, "publisher");
    let (runs, before) = (messages(), resident_set());
    let first = b.retain(publisher, &runs);
    let held = (resident_set() - before - b.broker.resident()) / COUNT;
    let again = b.retain(publisher, &runs);
    assert_eq!(b.broker.counts().retained, COUNT);
    println!(
        "a new topic {first} ns, and {held} bytes beside its message; a replaced one {again} ns"
    );
}

fn tell(place: &str, queue_resident: u64) {
    let mut b = Bench::new(queue_resident);
    let (publisher, reader) = (SessionId(1), SessionId(2));
    b.enter(publisher, "publisher");
    b.enter(reader, "reader");
    b.retain(publisher, &messages());
    for filter in ["#", "b/+/+/s", "b/7/#", "+/+/d7777/s", "b/7/d7777/s"] {
        let (spent, told, turns, most) = b.tell(reader, filter);
        println!(
            "{place}: {filter}: {told} told in {} us and {turns} turns, {} KiB in memory at most",
            spent / 1_000,
            most / 1024
        );
    }
}

fn main() {
    keep();
    tell("in memory", 64 << 20);
    tell("on the disk", 64 << 10);
}
