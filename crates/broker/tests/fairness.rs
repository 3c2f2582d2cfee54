//! Who gets what: subscribers in turn, each as far as its credit reaches.

use lockgate_broker::{Broker, Effects, NoJournal, Settings};
use lockgate_model::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: Time = Time(1_000_000);
const ME: SessionId = SessionId(1);

struct World(Broker);

impl World {
    /// A queue with these subscribers: how many each may hold, none = without limit.
    fn with(limits: &[Option<u32>]) -> World {
        let mut world = World::of(Table::default());
        limits.iter().enumerate().for_each(|(n, limit)| world.subscribe(n as u32, *limit, None));
        world
    }

    /// A queue with these arguments.
    fn of(arguments: Table) -> World {
        let settings = Settings {
            queue_resident: 1 << 20,
            resident_max: 1 << 30,
            seed: 1,
            ..Settings::default()
        };
        let mut world = World(Broker::new(settings));
        world.0.make_vhost("/", &mut NoJournal);
        world.0.connect(ME);
        world.ask(Request::Open { vhost: "/".into(), user: "guest".into() });
        let (durable, exclusive, auto_delete) = (false, false, false);
        let name = "q".into();
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        world.ask(Request::DeclareQueue(spec));
        world
    }

    fn subscribe(&mut self, consumer: u32, limit: Option<u32>, priority: Option<i32>) {
        let mut arguments = Table::default();
        if let Some(n) = priority {
            arguments.set("x-priority", Value::I32(n));
        }
        self.ask(Request::Subscribe(Subscription {
            queue: "q".into(),
            consumer: Consumer(consumer),
            tag: "t".into(),
            settled: false,
            exclusive: false,
            limit,
            arguments,
        }));
    }

    fn ask(&mut self, request: Request) {
        self.run(Command::Ask { lane: Lane(1), ticket: Ticket(0), request });
    }

    /// Does a command; says which messages (by their bodies' first byte) each subscriber got.
    fn run(&mut self, command: Command) -> BTreeMap<u32, Vec<u8>> {
        let mut out = Effects::default();
        self.0.handle(ME, command, NOW, &mut NoJournal, &mut out);
        self.0.deliver(&mut NoJournal, &mut out);
        let mut got: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for effect in out.events {
            if let Event::Deliver(d) = effect.event {
                let body = |i: usize| d.run.body(&d.run.items[i])[0];
                got.entry(d.consumer.0).or_default().extend(d.indices().map(body));
            }
        }
        got
    }

    /// Publishes messages `from..to`, as one run.
    fn publish(&mut self, from: u8, to: u8) -> BTreeMap<u32, Vec<u8>> {
        let mut run = RunBuilder::default();
        (from..to).for_each(|n| run.push(b"", b"q", false, &[0, 0], &[n], false, 0));
        let run = Arc::new(run.finish());
        self.run(Command::Publish { lane: Lane(1), run, confirm: None })
    }
}

#[test]
fn subscribers_take_turns_whether_messages_come_singly_or_together() {
    let mut together = World::with(&[None, None, None]);
    let expected = [(0, vec![0, 3, 6]), (1, vec![1, 4, 7]), (2, vec![2, 5, 8])];
    assert_eq!(together.publish(0, 9), BTreeMap::from(expected.clone()));

    let mut singly = World::with(&[None, None, None]);
    let mut got: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for n in 0..9 {
        for (who, what) in singly.publish(n, n + 1) {
            got.entry(who).or_default().extend(what);
        }
    }
    assert_eq!(got, BTreeMap::from(expected));
}

#[test]
fn a_turn_goes_on_where_the_last_one_ended() {
    let mut w = World::with(&[None, None, None]);
    assert_eq!(w.publish(0, 4), BTreeMap::from([(0, vec![0, 3]), (1, vec![1]), (2, vec![2])]));
    assert_eq!(w.publish(4, 6), BTreeMap::from([(1, vec![4]), (2, vec![5])]));
}

#[test]
fn who_has_no_credit_left_is_passed_over_and_the_rest_waits() {
    let mut w = World::with(&[Some(1), Some(3)]);
    assert_eq!(w.publish(0, 9), BTreeMap::from([(0, vec![0]), (1, vec![1, 2, 3])]));
    // Who settles first gets the next one.
    let settle =
        |id| Command::Settle { lease: LeaseId(id), from: 0, count: 1, outcome: Outcome::Accept };
    assert_eq!(w.run(settle(0)), BTreeMap::from([(0, vec![4])]));
}

#[test]
fn a_limit_of_the_lane_is_shared_by_its_subscribers() {
    let mut w = World::with(&[None, None]);
    w.ask(Request::ShareLimit(Some(3)));
    let got = w.publish(0, 9);
    assert_eq!(got, BTreeMap::from([(0, vec![0, 2]), (1, vec![1])]));
}

#[test]
fn a_full_window_stops_one_session_until_it_is_given_back() {
    let mut w = World::with(&[None]);
    let mut run = RunBuilder::default();
    (0..100).for_each(|n| run.push(b"", b"q", false, &[0, 0], &[n; 50_000], false, 0));
    let run = Arc::new(run.finish());
    let first = w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    let taken = first[&0].len();
    // One mebibyte, and the message that fills it.
    assert_eq!(taken, (1024 * 1024usize).div_ceil(50_000 + 2 + 64));
    let more = w.run(Command::Window(200_000));
    assert!((1..=5).contains(&more[&0].len()), "{more:?}");
    assert_eq!(more[&0][0] as usize, taken);
}

fn got(pairs: &[(u32, &[u8])]) -> BTreeMap<u32, Vec<u8>> {
    pairs.iter().map(|(who, what)| (*who, what.to_vec())).collect()
}

#[test]
fn who_has_more_priority_is_served_first_as_long_as_it_can_take_something() {
    let mut w = World::of(Table::default());
    w.subscribe(1, None, None);
    w.subscribe(2, Some(2), Some(10));
    w.subscribe(3, Some(2), Some(10));
    w.subscribe(4, Some(1), Some(-1));
    assert_eq!(w.publish(0, 6), got(&[(2, &[0, 2]), (3, &[1, 3]), (1, &[4, 5])]));
    // What comes back to it is its own again at once.
    let settle =
        |id| Command::Settle { lease: LeaseId(id), from: 0, count: 1, outcome: Outcome::Accept };
    assert_eq!(w.run(settle(0)), got(&[]));
    let next = w.publish(6, 8);
    assert_eq!(next.len(), 2);
    assert!(next.contains_key(&1) && (next.contains_key(&2) || next.contains_key(&3)), "{next:?}");
}

#[test]
fn of_single_active_subscribers_the_first_is_served_and_then_the_next() {
    let mut arguments = Table::default();
    arguments.set("x-single-active-consumer", Value::Bool(true));
    let mut w = World::of(arguments);
    w.subscribe(1, Some(2), None);
    w.subscribe(2, None, None);
    assert_eq!(
        w.publish(0, 3),
        got(&[(1, &[0, 1])]),
        "the second waits, whatever the first can take"
    );
    let cancel =
        Command::Ask { lane: Lane(1), ticket: Ticket(9), request: Request::Cancel(Consumer(1)) };
    assert_eq!(w.run(cancel), got(&[(2, &[2])]), "what the first one holds it keeps");
    assert_eq!(w.publish(3, 4), got(&[(2, &[3])]));
}

#[test]
fn nobody_is_exclusive_where_one_is_active_at_a_time() {
    for single in [false, true] {
        let mut arguments = Table::default();
        arguments.set("x-single-active-consumer", Value::Bool(single));
        let mut w = World::of(arguments);
        let subscription = Subscription {
            queue: "q".into(),
            consumer: Consumer(0),
            tag: "t".into(),
            settled: false,
            exclusive: true,
            limit: None,
            arguments: Table::default(),
        };
        let request = Request::Subscribe(subscription);
        let mut out = Effects::default();
        let ask = Command::Ask { lane: Lane(1), ticket: Ticket(0), request };
        w.0.handle(ME, ask, NOW, &mut NoJournal, &mut out);
        let Some(Event::Answer { result, .. }) = out.events.pop().map(|e| e.event) else {
            panic!("no answer")
        };
        assert_eq!(matches!(result, Err(Refusal::ExclusiveUse { .. })), single);
    }
}
