//! What exchanges cost: a publish by the number of bindings, every key a new one, so that no
//! remembered route helps; and a million delayed messages that wait, in memory and in time.
//!
//! `cargo bench -p lockgate-broker --bench exchanges`

#![allow(clippy::print_stdout)] // figures are what it is for

use bytes::Bytes;
use lockgate_broker::{Broker, Effects, Journal, NoJournal, Place, Settings};
use lockgate_model::*;
use std::sync::Arc;

const ME: SessionId = SessionId(1);
const NOW: Time = Time(1_000_000_000);
const LANE: Lane = Lane(1);

struct Bench<J>(Broker, J, u64);

impl<J: Journal> Bench<J> {
    fn new(mut journal: J) -> Bench<J> {
        let (queue_resident, resident_max) = (8 << 20, 1 << 30);
        let settings = Settings { queue_resident, resident_max, seed: 1, ..Settings::default() };
        let mut broker = Broker::new(settings);
        broker.make_vhost("/", &mut journal);
        broker.connect(ME);
        let mut bench = Bench(broker, journal, 0);
        bench.ask(Request::Open { vhost: "/".into(), user: "guest".into() });
        bench
    }

    fn run(&mut self, command: Command) {
        let mut out = Effects::default();
        self.0.handle(ME, command, NOW, &mut self.1, &mut out);
        self.0.deliver(&mut self.1, &mut out);
        let refused =
            |e: &Event| matches!(e, Event::Broken { .. } | Event::Answer { result: Err(_), .. });
        assert!(!out.events.iter().any(|e| refused(&e.event)), "{:?}", out.events);
    }

    fn ask(&mut self, request: Request) {
        self.run(Command::Ask { lane: LANE, ticket: Ticket(0), request });
    }

    fn exchange(&mut self, kind: ExchangeKind, arguments: Table) {
        let (name, durable, auto_delete, internal) = ("x".into(), true, false, false);
        let spec = ExchangeSpec { name, kind, durable, auto_delete, internal, arguments };
        self.ask(Request::DeclareExchange(spec));
    }

    /// A queue that keeps nothing: what is measured is the way to it.
    fn queue(&mut self, name: String) {
        let arguments = Table(vec![("x-max-length".into(), Value::I32(0))]);
        let spec = QueueSpec { name: name.into(), arguments, ..QueueSpec::nameless(false) };
        self.ask(Request::DeclareQueue(spec));
    }

    fn bind(&mut self, queue: String, key: String) {
        let (source, destination) = ("x".into(), Destination::Queue(queue.into()));
        let (key, arguments) = (Bytes::from(key), Table::default());
        self.ask(Request::Bind(Binding { source, destination, key, arguments }));
    }

    /// Nanoseconds a publish, each with a key of its own.
    fn publish(&mut self, count: u64, key: impl Fn(u64) -> String) -> u64 {
        let keys: Vec<Arc<Run>> = (0..count)
            .map(|n| Arc::new(Run::single("x", key(self.2 + n).as_bytes(), &[0, 0], b"", false)))
            .collect();
        self.2 += count;
        let begin = on_cpu();
        for run in keys {
            self.run(Command::Publish { lane: LANE, run, confirm: None });
        }
        (on_cpu() - begin) / count
    }
}

fn topic(bindings: u64) -> u64 {
    let mut b = Bench::new(NoJournal);
    b.exchange(ExchangeKind::Topic, Table::default());
    (0..100).for_each(|n| b.queue(format!("q{n}")));
    // Of all shapes, most with their own first word.
    for n in 0..bindings {
        let key = match n % 4 {
            0 => format!("s{n}.*.state"),
            1 => format!("s{n}.#"),
            2 => format!("s{n}.room.*"),
            _ => format!("s{n}.room.state"),
        };
        b.bind(format!("q{}", n % 100), key);
    }
    b.publish(50_000, |n| format!("s{}.room.state{n}", n * 7_919 % bindings))
}

fn hash(bindings: u64) -> u64 {
    let mut b = Bench::new(NoJournal);
    b.exchange(ExchangeKind::ConsistentHash, Table::default());
    for n in 0..bindings {
        b.queue(format!("q{n}"));
        b.bind(format!("q{n}"), "1".into());
    }
    b.publish(50_000, |n| format!("customer {n}"))
}

/// As many queues and no choice between them: what it costs to come to a queue that was not
/// used for long.
fn direct(queues: u64) -> u64 {
    let mut b = Bench::new(NoJournal);
    b.exchange(ExchangeKind::Direct, Table::default());
    for n in 0..queues {
        b.queue(format!("q{n}"));
        b.bind(format!("q{n}"), format!("k{n}"));
    }
    b.publish(50_000, |n| format!("k{}", n * 7_919 % queues))
}

/// Says where records would be, and keeps none.
#[derive(Default)]
struct Places(u64);

impl Journal for Places {
    fn append(&mut self, _: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let mut body = Vec::new();
        write(&mut body);
        let place = Place { pos: self.0, len: body.len() as u32 + 29 };
        self.0 = place.end();
        place
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

/// A million messages that wait, each in a record of its own. Bytes a message, and nanoseconds
/// a look at the clock.
fn delayed(moments: impl Fn(u64) -> u64) -> (u64, u64) {
    const COUNT: u64 = 1_000_000;
    let mut b = Bench::new(Places::default());
    b.exchange(
        ExchangeKind::Delayed,
        Table(vec![("x-delayed-type".into(), Value::text("fanout"))]),
    );
    let before = resident_set();
    for n in 0..COUNT {
        let headers = Some(Table(vec![("x-delay".into(), Value::I64(moments(n) as i64))]));
        let mut head = Vec::new();
        Properties { headers, delivery_mode: Some(2), ..Properties::default() }.encode(&mut head);
        let run = Arc::new(Run::single("x", b"", &head, &[0; 100], false));
        b.run(Command::Publish { lane: LANE, run, confirm: None });
    }
    assert_eq!(b.0.counts().delayed, COUNT);
    let held = resident_set() - before - b.0.resident();
    let begin = on_cpu();
    for n in 1..=1_000 {
        let mut out = Effects::default();
        b.0.tick(Time(NOW.0 + n * 25_000), &mut b.1, &mut out);
    }
    (held / COUNT, (on_cpu() - begin) / 1_000)
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

type Moments = fn(u64) -> u64;

const MOMENTS: [(&str, Moments); 2] = [
    ("one moment", |_| 86_400_000),
    ("a million moments", |n| 3_600_000 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 82_800_000),
];

fn main() {
    // Memory is measured in a process of its own.
    let asked = std::env::args().nth(1);
    if let Some((what, moments)) = MOMENTS.iter().find(|(what, _)| Some(*what) == asked.as_deref())
    {
        let (bytes, tick) = delayed(moments);
        println!(
            "a million delayed messages of {what}: {bytes} bytes each, a look at the clock {tick} ns"
        );
        return;
    }
    for bindings in [1_000, 100_000] {
        println!("topic, {bindings} bindings: {} ns a publish", topic(bindings));
        println!("direct, {bindings} queues: {} ns a publish", direct(bindings));
        println!("consistent hash, {bindings} bindings: {} ns a publish", hash(bindings));
    }
    for (what, _) in MOMENTS {
        let mut own = std::process::Command::new(std::env::current_exe().unwrap_or_default());
        assert!(own.arg(what).status().is_ok_and(|status| status.success()));
    }
}
