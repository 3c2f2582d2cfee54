//! A broker to try things on: one session, no log, no disk.
#![allow(dead_code)] // each test uses what it needs

pub mod house;

use bytes::Bytes;
use lockgate_broker::{Broker, Effects, Io, NoJournal, Settings};
use lockgate_model::*;
use std::sync::Arc;

pub const NOW: Time = Time(1_000_000);
pub const ME: SessionId = SessionId(1);

/// A broker with one session, and a counter of its tickets.
pub struct World(pub Broker, u64);

impl World {
    /// A broker with these queues.
    pub fn with(queues: &[&str]) -> World {
        World::made(
            Settings {
                queue_resident: 1 << 20,
                resident_max: 1 << 30,
                seed: 1,
                ..Settings::default()
            },
            queues,
        )
    }

    /// The same, with settings of one's own.
    pub fn made(settings: Settings, queues: &[&str]) -> World {
        let mut world = World(Broker::new(settings), 0);
        world.0.make_vhost("/", &mut NoJournal);
        world.0.connect(ME);
        world.ask(Request::Open { vhost: "/".into(), user: "guest".into() }).unwrap();
        for name in queues {
            world.queue(name, Table::default()).unwrap();
        }
        world
    }

    pub fn run(&mut self, command: Command) -> Vec<Event> {
        self.both(command).0
    }

    /// What a command tells, and what it asks of the disk.
    pub fn both(&mut self, command: Command) -> (Vec<Event>, Vec<Io>) {
        let mut out = Effects::default();
        self.0.handle(ME, command, NOW, &mut NoJournal, &mut out);
        self.0.deliver(&mut NoJournal, &mut out);
        (out.events.into_iter().map(|e| e.event).collect(), out.io)
    }

    pub fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.1 += 1;
        let ask = Command::Ask { lane: Lane(1), ticket: Ticket(self.1), request };
        match self.run(ask).into_iter().next() {
            Some(Event::Answer { result, .. }) => result,
            other => panic!("{other:?}"),
        }
    }

    pub fn queue(&mut self, name: &str, arguments: Table) -> Result<Answer, Refusal> {
        let (durable, exclusive, auto_delete) = (false, false, false);
        let name = name.into();
        self.ask(Request::DeclareQueue(QueueSpec {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments,
        }))
    }

    pub fn exchange(
        &mut self,
        name: &str,
        kind: ExchangeKind,
        arguments: Table,
    ) -> Result<Answer, Refusal> {
        let (durable, auto_delete, internal) = (false, false, false);
        let name = name.into();
        let spec = ExchangeSpec { name, kind, durable, auto_delete, internal, arguments };
        self.ask(Request::DeclareExchange(spec))
    }

    pub fn bind(&mut self, source: &str, destination: Destination, key: &'static str) {
        let (key, arguments) = (Bytes::from_static(key.as_bytes()), Table::default());
        let binding = Binding { source: source.into(), destination, key, arguments };
        self.ask(Request::Bind(binding)).unwrap();
    }

    pub fn publish(&mut self, exchange: &str, key: &str, headers: Option<Table>) -> Vec<Event> {
        let mut head = Vec::new();
        Properties { headers, ..Properties::default() }.encode(&mut head);
        let run = Arc::new(Run::single(exchange, key.as_bytes(), &head, b"body", true));
        self.run(Command::Publish { lane: Lane(1), run, confirm: None })
    }

    /// How many messages a queue has; its first one's headers.
    pub fn got(&mut self, queue: &str) -> (u64, Option<Table>) {
        let get = Request::Get { queue: queue.into(), settled: true };
        let Ok(Answer::Got(got)) = self.ask(get) else { panic!("a get gets") };
        got.map_or((0, None), |g| {
            let head = g.run.head(&g.run.items[g.item as usize]);
            (g.waiting + 1, Properties::decode(head).unwrap().headers)
        })
    }
}

pub fn to(queue: &str) -> Destination {
    Destination::Queue(queue.into())
}

pub fn table(pairs: &[(&str, Value)]) -> Table {
    Table(pairs.iter().map(|(n, v)| ((*n).into(), v.clone())).collect())
}

pub fn texts(keys: &[&str]) -> Value {
    Value::Array(keys.iter().map(|k| Value::text(k)).collect())
}

pub fn is_returned(events: &[Event]) -> bool {
    events.iter().any(|e| matches!(e, Event::Returned { .. }))
}

impl World {
    /// Publishes one message to a queue, to be confirmed under this ticket.
    pub fn send(&mut self, queue: &str, body: &[u8], ticket: u64) -> Vec<Event> {
        let run = Arc::new(Run::single("", queue.as_bytes(), &[0, 0], body, false));
        self.run(Command::Publish { lane: Lane(1), run, confirm: Some(Ticket(ticket)) })
    }

    /// Everything that waits in a queue, taken out.
    pub fn drain(&mut self, queue: &str) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let get = Request::Get { queue: queue.into(), settled: true };
            let Ok(Answer::Got(got)) = self.ask(get) else { panic!("a get gets") };
            let Some(g) = got else { return all };
            all.push(g.run.body(&g.run.items[g.item as usize]).to_vec());
        }
    }
}

impl World {
    /// Time passes: what is told by itself.
    pub fn later(&mut self, millis: u64) -> Vec<Event> {
        let mut out = Effects::default();
        self.0.tick(Time(NOW.0 + millis * 1000), &mut NoJournal, &mut out);
        self.0.deliver(&mut NoJournal, &mut out);
        out.events.into_iter().map(|e| e.event).collect()
    }

    /// The first message of a queue, to be settled.
    pub fn hold(&mut self, queue: &str) -> Option<Got> {
        let get = Request::Get { queue: queue.into(), settled: false };
        let Ok(Answer::Got(got)) = self.ask(get) else { panic!("a get gets") };
        got
    }

    /// Settles what was held.
    pub fn settle(&mut self, got: &Got, outcome: Outcome) {
        let lease = got.lease.expect("it was held");
        self.run(Command::Settle { lease, from: 0, count: 1, outcome });
    }
}
