//! Quorum queues deliver only what is committed, and keep all they are given.

mod kit;

use kit::{NOW, table};
use lockgate_broker::{Broker, Effects, Journal, Place, Settings};
use lockgate_model::*;
use std::sync::Arc;

/// A log that only counts.
#[derive(Default)]
struct Log(u64);

impl Journal for Log {
    fn append(&mut self, _: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let mut body = Vec::new();
        write(&mut body);
        let place = Place { pos: self.0, len: body.len() as u32 + 1 };
        self.0 = place.end();
        place
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

struct World(Broker, Log);

const ME: SessionId = SessionId(1);

impl World {
    fn run(&mut self, command: Command) -> Vec<Event> {
        let mut out = Effects::default();
        self.0.handle(ME, command, NOW, &mut self.1, &mut out);
        self.0.deliver(&mut self.1, &mut out);
        out.events.into_iter().map(|e| e.event).collect()
    }

    fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        let ask = Command::Ask { lane: Lane(1), ticket: Ticket(1), request };
        self.run(ask)
            .into_iter()
            .find_map(|e| match e {
                Event::Answer { result, .. } => Some(result),
                _ => None,
            })
            .expect("an answer")
    }

    fn declare(
        &mut self,
        durable: bool,
        exclusive: bool,
        auto_delete: bool,
    ) -> Result<Answer, Refusal> {
        let (name, arguments) = ("q".into(), table(&[("x-queue-type", Value::text("quorum"))]));
        self.ask(Request::DeclareQueue(QueueSpec {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments,
        }))
    }

    /// The log is synced up to here: what is delivered of it.
    fn commit(&mut self, position: u64) -> Vec<Vec<u8>> {
        let mut out = Effects::default();
        self.0.committed(position, &mut self.1);
        self.0.deliver(&mut self.1, &mut out);
        delivered(&out.events.into_iter().map(|e| e.event).collect::<Vec<_>>())
    }
}

fn delivered(events: &[Event]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for event in events {
        if let Event::Deliver(d) = event {
            all.extend(d.indices().map(|i| d.run.body(&d.run.items[i]).to_vec()));
        }
    }
    all
}

fn world() -> World {
    let settings =
        Settings { queue_resident: 1 << 20, resident_max: 1 << 30, seed: 1, ..Settings::default() };
    let mut w = World(Broker::new(settings), Log::default());
    w.0.make_vhost("/", &mut w.1);
    w.0.connect(ME);
    w.ask(Request::Open { vhost: "/".into(), user: "guest".into() }).unwrap();
    w
}

fn message(body: &[u8]) -> Command {
    let run = Arc::new(Run::single("", b"q", &[0, 0], body, false));
    Command::Publish { lane: Lane(1), run, confirm: None }
}

fn subscribed(settled: bool) -> World {
    let mut w = world();
    w.declare(true, false, false).unwrap();
    w.commit(w.1.0);
    w.ask(Request::Subscribe(Subscription {
        queue: "q".into(),
        consumer: Consumer(1),
        tag: "t".into(),
        settled,
        exclusive: false,
        limit: None,
        arguments: Table::default(),
    }))
    .unwrap();
    w
}

#[test]
fn nobody_sees_what_is_not_committed() {
    for settled in [false, true] {
        let mut w = subscribed(settled);
        assert_eq!(delivered(&w.run(message(b"one"))), Vec::<Vec<u8>>::new());
        let first = w.1.0;
        w.run(message(b"two"));
        let get = w.ask(Request::Get { queue: "q".into(), settled: true });
        assert!(matches!(get, Ok(Answer::Got(None))), "{get:?}");
        assert_eq!(w.commit(first - 1), Vec::<Vec<u8>>::new());
        assert_eq!(w.commit(first), [b"one"], "transient or not, it is in the log");
        let all = w.1.0;
        assert_eq!(w.commit(all), [b"two"]);
        assert_eq!(delivered(&w.run(message(b"three"))), Vec::<Vec<u8>>::new());
    }
}

#[test]
fn a_transaction_is_committed_as_a_whole() {
    let mut w = subscribed(false);
    let run = |body: &[u8]| Arc::new(Run::single("", b"q", &[0, 0], body, false));
    let before = w.1.0;
    w.ask(Request::Commit(vec![Step::Publish(run(b"one")), Step::Publish(run(b"two"))])).unwrap();
    let end = w.1.0;
    for position in before..end {
        assert_eq!(w.commit(position), Vec::<Vec<u8>>::new());
    }
    assert_eq!(w.commit(end), [b"one", b"two"]);
}

#[test]
fn a_quorum_queue_is_made_to_last() {
    let mut w = world();
    for (declared, property) in [
        (w.declare(false, false, false), "non-durable"),
        (w.declare(true, true, false), "exclusive-owner"),
        (w.declare(true, false, true), "auto-delete"),
    ] {
        let text = format!("invalid property '{property}' for queue 'q' in vhost '/'");
        assert_eq!(declared.err(), Some(Refusal::Limit(text)));
    }
}
