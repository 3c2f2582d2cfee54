//! What the targets of the log and its records have in common: a journal in memory, a broker
//! that has something to lose, and what is asked of one that has come back from anything.

use bytes::Bytes;
use lockgate_broker::record::{self, kind};
use lockgate_broker::{Broker, Effects, Journal, Place, Settings};
use lockgate_model::*;
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
    Broker::new(Settings {
        queue_resident: 100_000,
        resident_max: 1_000_000,
        seed: 7,
        ..Settings::default()
    })
}

/// Records of every kind, made as a running broker makes them. `turn` sees the journal and the
/// broker after each step.
pub fn life<J: Journal>(journal: &mut J, mut turn: impl FnMut(&mut J, &Broker)) {
    let mut broker = empty();
    broker.recovered(true, NOW, journal);
    broker.make_vhost("/", journal);
    broker.connect(SESSION);
    let exchange = |name: &str, kind, arguments| ExchangeSpec {
        name: name.into(),
        kind,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments,
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
    let settle = |from, count, outcome| Step::Settle { lease: LeaseId(0), from, count, outcome };
    // A message that goes on later, and only once.
    let odd = |to: &str| {
        let mut head = Vec::new();
        let headers = [("x-delay", Value::I64(50)), ("x-deduplication-header", Value::text("id"))];
        let headers = Some(table(&headers));
        Properties { headers, delivery_mode: Some(2), ..Properties::default() }.encode(&mut head);
        let mut run = RunBuilder::default();
        run.push(to.as_bytes(), b"k.a", false, &head, b"odd", true, 2);
        Step::Publish(Arc::new(run.finish()))
    };
    // What a topic retains, for nine seconds.
    let kept = |topic: &str, body: &[u8]| {
        let names =
            Names { exchange: b"x", key: b"k.a", topic: topic.as_bytes(), mandatory: false };
        let head = &[0x01, 0, 4, b'9', b'0', b'0', b'0'];
        let item = Item { retain: Retain::Wished, ..Item::default() };
        let mut run = RunBuilder::default();
        run.push_like(item, names, Parts { head, body, native: b"M" });
        Step::Publish(Arc::new(run.finish()))
    };
    let later = table(&[("x-delayed-type", Value::text("topic"))]);
    let rich = [
        ("x-max-priority", Value::I64(3)),
        ("x-delivery-limit", Value::I64(5)),
        ("x-max-length-bytes", Value::I64(1 << 20)),
    ];
    let requests = [
        Request::Open { vhost: "/".into(), user: "guest".into() },
        Request::DeclareExchange(exchange("x", ExchangeKind::Topic, Table::default())),
        Request::DeclareExchange(exchange("later", ExchangeKind::Delayed, later)),
        Request::DeclareExchange(exchange("once", ExchangeKind::Deduplicating, Table::default())),
        Request::DeclareQueue(queue("q", &rich)),
        Request::DeclareQueue(queue("short", &[("x-message-ttl", Value::I64(5_000))])),
        Request::DeclareQueue(queue("brief", &[("x-queue-type", Value::text("quorum"))])),
        Request::Commit(vec![odd("later"), odd("once"), odd("once")]),
        Request::Commit(vec![kept("k/a", b"1"), kept("k/a", b"2"), kept("k/b", b"3")]),
        Request::Commit(vec![kept("k/b", b""), kept("$k", b"4")]),
        Request::Bind(binding(Destination::Queue("q".into()))),
        Request::Bind(binding(Destination::Queue("short".into()))),
        Request::Commit(vec![Step::Publish(batch(3, 10))]),
        Request::Commit(vec![Step::Publish(batch(40, 3_000))]),
        Request::Subscribe(subscription("q".into(), 1, false)),
        Request::Commit(vec![settle(0, 2, Outcome::Accept), Step::Publish(batch(1, 0))]),
        Request::Commit(vec![settle(2, 1, Outcome::Failed)]),
        Request::Unbind(binding(Destination::Queue("short".into()))),
        Request::DeleteQueue { name: "brief".into(), if_unused: false, if_empty: false },
        Request::Purge("short".into()),
        Request::Commit(vec![Step::Publish(batch(5, 100))]),
    ];
    for request in requests {
        ask(&mut broker, request, journal, &mut Effects::default());
        turn(journal, &broker);
    }
    let policy = Policy {
        name: "p".into(),
        pattern: "^q".into(),
        apply_to: ApplyTo::Queues,
        definition: table(&[("max-length", Value::I64(9))]),
        priority: 0,
    };
    let user = User { name: "u".into(), ..User::default() };
    for order in [
        Order::SetUser(user),
        Order::SetPolicy { vhost: "/".into(), tier: Tier::User, policy },
        Order::MakeVhost(VhostSpec { name: "b".into(), ..VhostSpec::default() }),
    ] {
        broker.administer(order, NOW, journal, &mut Effects::default()).expect("a good order");
        turn(journal, &broker);
    }
    broker.tick(Time(NOW.0 + 60_000), journal, &mut Effects::default());
    broker.deliver(journal, &mut Effects::default());
    broker.rest(journal);
    turn(journal, &broker);
}

fn table(pairs: &[(&str, Value)]) -> Table {
    Table(pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
}

fn queue(name: &str, arguments: &[(&str, Value)]) -> QueueSpec {
    let (name, durable, arguments) = (name.into(), true, table(arguments));
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

/// A client comes and is told what is retained, as far as it is in memory.
fn hear<J: Journal>(broker: &mut Broker, journal: &mut J, out: &mut Effects) {
    let attachment = Attachment {
        client: "c".into(),
        exchange: "x".into(),
        passing: "passing".into(),
        settling: "settling".into(),
        fresh: true,
        lasting: Lasting::Not,
        will: None,
        in_flight_max: 10,
        caps: Caps { messages_max: 100, bytes_max: 1 << 20, passing_bytes_max: 1 << 20 },
    };
    ask(broker, Request::Attach(Box::new(attachment)), journal, out);
    for (filter, level) in [("#", 1), ("k/+", 0)] {
        let interest = Interest {
            filter: filter.into(),
            pattern_at: 0,
            group: None,
            key: Bytes::from_static(b"#"),
            level,
            not_own: false,
            as_published: false,
            replay: Replay::Always,
            label: 0,
        };
        ask(broker, Request::Follow(vec![interest]), journal, out);
    }
    broker.committed(u64::MAX, journal);
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
    // An extent's share of its block's bytes is rounded, and where blocks end otherwise, less may
    // have to be said of what is settled: all else is the same.
    assert!(again.snapshot().len() <= snapshot.len());
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
        hear(&mut broker, &mut journal, &mut out);
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
