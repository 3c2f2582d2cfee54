//! What the targets of the log and its records have in common: a journal in memory, a broker
//! that has something to lose, and what is asked of one that has come back from anything.

use bytes::Bytes;
use lockgate_broker::record::{self, kind};
use lockgate_broker::{Broker, Effects, Journal, Place, Settings};
use lockgate_model::{
    Binding, Command, Destination, ExchangeKind, ExchangeSpec, Lane, LeaseId, Name, Outcome,
    QueueSpec, Request, RunBuilder, SessionId, Step, Subscription, Table, Ticket, Time, Value,
};
use std::sync::Arc;

const NOW: Time = Time(1_000_000_000);
const SESSION: SessionId = SessionId(1);

/// Records in memory, each where a log would have it.
#[derive(Default)]
pub struct Memory {
    pub records: Vec<(u8, Bytes, Place)>,
    end: u64,
}

impl Journal for Memory {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let mut body = Vec::new();
        write(&mut body);
        let place = Place { pos: self.end, len: body.len() as u32 + 29 };
        self.records.push((kind, body.into(), place));
        self.end = place.end();
        place
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

pub fn empty() -> Broker {
    Broker::new(Settings { queue_resident: 100_000, resident_max: 1_000_000, seed: 7, ..Settings::default() })
}

/// Records of every kind, made as a running broker makes them. `turn` sees the journal and the
/// broker after each step.
pub fn life<J: Journal>(journal: &mut J, mut turn: impl FnMut(&mut J, &Broker)) {
    let mut broker = empty();
    broker.recovered(true, NOW, journal);
    broker.make_vhost("/", journal);
    broker.connect(SESSION);
    let exchange = ExchangeSpec {
        name: "x".into(),
        kind: ExchangeKind::Topic,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: Table::default(),
    };
    let binding = |destination| Binding {
        source: "x".into(),
        destination,
        key: Bytes::from_static(b"k.#"),
        arguments: Table::default(),
    };
    let batch = |count: usize, body: usize| {
        let mut run = RunBuilder::default();
        for _ in 0..count {
            run.push(b"x", b"k.a", false, &[0x11, 0, 2, 2, b'9', b'9'], &vec![7; body], true, 0);
        }
        Arc::new(run.finish())
    };
    let settle =
        |from, count| Step::Settle { lease: LeaseId(0), from, count, outcome: Outcome::Accept };
    let requests = [
        Request::Open { vhost: "/".into(), user: "guest".into() },
        Request::DeclareExchange(exchange),
        Request::DeclareQueue(queue("q", None)),
        Request::DeclareQueue(queue("short", Some(5_000))),
        Request::DeclareQueue(queue("brief", None)),
        Request::Bind(binding(Destination::Queue("q".into()))),
        Request::Bind(binding(Destination::Queue("short".into()))),
        Request::Commit(vec![Step::Publish(batch(3, 10))]),
        Request::Commit(vec![Step::Publish(batch(40, 3_000))]),
        Request::Subscribe(subscription("q".into(), 1, false)),
        Request::Commit(vec![settle(0, 2), Step::Publish(batch(1, 0))]),
        Request::Unbind(binding(Destination::Queue("short".into()))),
        Request::DeleteQueue { name: "brief".into(), if_unused: false, if_empty: false },
        Request::Purge("short".into()),
        Request::Commit(vec![Step::Publish(batch(5, 100))]),
    ];
    for request in requests {
        ask(&mut broker, request, journal, &mut Effects::default());
        turn(journal, &broker);
    }
    broker.rest(journal);
    turn(journal, &broker);
}

fn queue(name: &str, ttl: Option<i64>) -> QueueSpec {
    let mut arguments = Table::default();
    if let Some(ttl) = ttl {
        arguments.set("x-message-ttl", Value::I64(ttl));
    }
    let (name, durable) = (name.into(), true);
    QueueSpec { name, durable, exclusive: false, auto_delete: false, arguments }
}

fn subscription(queue: Name, consumer: u32, settled: bool) -> Subscription {
    Subscription {
        queue,
        consumer: lockgate_model::Consumer(consumer),
        tag: "c".into(),
        settled,
        exclusive: false,
        limit: None,
        arguments: Table::default(),
    }
}

fn ask<J: Journal>(broker: &mut Broker, request: Request, journal: &mut J, out: &mut Effects) {
    let command = Command::Ask { lane: Lane(1), ticket: Ticket(1), request };
    broker.handle(SESSION, command, NOW, journal, out);
    broker.deliver(journal, out);
}

/// A broker that has taken in records, whatever they were, serves: its snapshot makes the same
/// broker again, its records can be moved, its queues be read and be deleted.
pub fn serve(mut broker: Broker, clean: bool, records: &[(u8, Bytes, Place)]) {
    let mut journal = Memory { end: 1 << 40, ..Memory::default() };
    broker.recovered(clean, NOW, &mut journal);
    let snapshot = broker.snapshot();
    let mut again = empty();
    again.apply_snapshot(&snapshot, &mut Memory::default()).expect("its own snapshot");
    // An extent's share of its block's bytes is rounded: all else is the same.
    assert_eq!(again.snapshot().len(), snapshot.len());
    for (kind, body, place) in records {
        if matches!(*kind, kind::ENQUEUED | kind::MOVED) && record::run_of(*kind, body).is_ok() {
            let _ = broker.relocate(*kind, body, *place, &mut journal);
        }
    }
    let _ = broker.live_places(0, u64::MAX);
    broker.connect(SESSION);
    let mut out = Effects::default();
    broker.tick(Time(u64::MAX / 2), &mut journal, &mut out);
    for vhost in broker.vhosts().map(|(_, name)| Name::from(name)).collect::<Vec<_>>() {
        let open = Request::Open { vhost, user: "guest".into() };
        ask(&mut broker, open, &mut journal, &mut out);
        for (n, name) in ["q", "short", "brief"].into_iter().enumerate() {
            let subscribe = Request::Subscribe(subscription(name.into(), n as u32, n == 1));
            ask(&mut broker, subscribe, &mut journal, &mut out);
            let get = Request::Get { queue: name.into(), settled: false };
            ask(&mut broker, get, &mut journal, &mut out);
        }
        for name in ["q", "short", "brief"] {
            ask(&mut broker, Request::Purge(name.into()), &mut journal, &mut out);
            let delete =
                Request::DeleteQueue { name: name.into(), if_unused: false, if_empty: false };
            ask(&mut broker, delete, &mut journal, &mut out);
        }
    }
    broker.handle(SESSION, Command::Gone, NOW, &mut journal, &mut out);
    broker.rest(&mut journal);
}
