//! Where one thing meets another: what is under way in memory when the state is written down,
//! when it is purged, when its time runs out, when others hold something longer.

mod kit;

use kit::house::{House, int};
use kit::{NOW, World, table};
use lockgate_broker::{Broker, Effects, Io, NoJournal, Settings};
use lockgate_model::*;
use std::sync::Arc;

/// The property list of a message that lasts.
fn head(headers: Option<Table>, expiration: Option<&'static str>) -> Vec<u8> {
    let expiration = expiration.map(|ms| bytes::Bytes::from_static(ms.as_bytes()));
    let mut head = Vec::new();
    let lasting = Properties { delivery_mode: Some(2), ..Properties::default() };
    Properties { headers, expiration, ..lasting }.encode(&mut head);
    head
}

fn publish(h: &mut House, exchange: &str, key: &str, head: &[u8]) {
    let run = Arc::new(Run::single(exchange, key.as_bytes(), head, b"body", false));
    h.command(kit::ME, Command::Publish { lane: Lane(1), run, confirm: None });
}

/// More is due than one turn lets go on.
#[test]
fn what_is_due_and_has_not_gone_on_yet_is_in_a_snapshot() {
    let mut h = House::new();
    h.queue("q", &[]);
    let spec = ExchangeSpec {
        name: "x".into(),
        kind: ExchangeKind::Delayed,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: table(&[("x-delayed-type", Value::text("fanout"))]),
    };
    h.ask(Request::DeclareExchange(spec)).unwrap();
    let (key, arguments) = (bytes::Bytes::new(), Table::default());
    let bind = Binding { source: "x".into(), destination: kit::to("q"), key, arguments };
    h.ask(Request::Bind(bind)).unwrap();
    let head = head(Some(table(&[("x-delay", Value::I32(100))])), None);
    (0..1500).for_each(|_| publish(&mut h, "x", "", &head));
    h.pass(200);
    let went = h.waiting("q").unwrap();
    assert!(went < 1500, "{went} went on in one turn");
    h.restart_from_snapshot();
    (0..9).for_each(|_| h.pass(100));
    assert_eq!(h.waiting("q"), Some(1500));
}

#[test]
fn what_was_due_in_somebodys_hands_is_due_after_a_restart() {
    let mut h = House::new();
    h.queue("q", &[]);
    publish(&mut h, "", "q", &head(None, Some("100")));
    let got = h.ask(Request::Get { queue: "q".into(), settled: false });
    assert!(matches!(got, Ok(Answer::Got(Some(_)))));
    h.pass(200);
    h.restart_from_snapshot();
    h.pass(100);
    assert_eq!(h.waiting("q"), Some(0));
}

#[test]
fn what_has_a_lifetime_stays_in_a_stream_across_a_restart() {
    let mut h = House::new();
    h.queue("s", &[("x-queue-type", Value::text("stream"))]);
    let head = head(None, Some("100"));
    (0..3).for_each(|_| publish(&mut h, "", "s", &head));
    h.restart();
    h.pass(1_000);
    assert_eq!(h.waiting("s"), Some(3));
    h.restart_from_snapshot();
    h.pass(1_000);
    assert_eq!(h.waiting("s"), Some(3));
}

#[test]
fn a_message_that_is_lost_with_the_process_can_come_again() {
    let mut h = House::new();
    h.queue("q", &[("x-message-deduplication", Value::Bool(true))]);
    let id = |id| head(Some(table(&[("x-deduplication-header", Value::text(id))])), None);
    publish(&mut h, "", "q", &id("a"));
    let mut passing = Vec::new();
    let headers = Some(table(&[("x-deduplication-header", Value::text("b"))]));
    Properties { headers, ..Properties::default() }.encode(&mut passing);
    publish(&mut h, "", "q", &passing);
    h.restart_from_snapshot();
    for id in [id("a"), id("b")] {
        publish(&mut h, "", "q", &id);
    }
    assert_eq!(h.waiting("q"), Some(2));
}

/// What a get waits for is gone when the disk brings it.
#[test]
fn who_waits_for_what_is_purged_is_told_that_there_is_nothing() {
    let settings =
        Settings { queue_resident: 64 * 1024, resident_max: 1 << 30, ..Settings::default() };
    let mut w = World::made(settings, &["q"]);
    let mut pages = std::collections::HashMap::new();
    for _ in 0..64 {
        let run = Run::single("", b"q", &[0, 0], &[7; 16 * 1024], false);
        let publish = Command::Publish { lane: Lane(1), run: Arc::new(run), confirm: None };
        for io in w.both(publish).1 {
            if let Io::Store { page, run } = io {
                pages.insert(page, run);
            }
        }
    }
    // What is in memory is given at once, and asks for what comes next.
    let mut loads = Vec::new();
    for _ in 0..64 {
        let request = Request::Get { queue: "q".into(), settled: true };
        let (told, io) = w.both(Command::Ask { lane: Lane(1), ticket: Ticket(500), request });
        loads.extend(io.into_iter().filter(|io| matches!(io, Io::LoadPage { .. })));
        if told.is_empty() {
            break;
        }
    }
    assert!(!loads.is_empty());
    let purge = Request::Purge("q".into());
    w.run(Command::Ask { lane: Lane(2), ticket: Ticket(501), request: purge });
    for io in loads {
        let Io::LoadPage { key, page } = io else { panic!("{io:?}") };
        w.0.loaded(key, Arc::clone(&pages[&page]));
    }
    let mut out = Effects::default();
    w.0.deliver(&mut NoJournal, &mut out);
    let told: Vec<_> = out.events.into_iter().map(|e| e.event).collect();
    let nothing = |e: &Event| {
        matches!(e, Event::Answer { ticket: Ticket(500), result: Ok(Answer::Got(None)), .. })
    };
    assert!(told.iter().any(nothing), "{told:?}");
}

#[test]
fn who_may_hold_long_does_not_let_others_hold_longer() {
    let mut w = World::with(&["q"]);
    for (n, ms) in [(1, 3_600_000), (2, 1_000)] {
        let arguments = table(&[("x-consumer-timeout", Value::I32(ms))]);
        let wish = Subscription {
            queue: "q".into(),
            consumer: Consumer(n),
            tag: "t".into(),
            settled: false,
            exclusive: false,
            limit: Some(1),
            arguments,
        };
        let request = Request::Subscribe(wish);
        w.run(Command::Ask { lane: Lane(1), ticket: Ticket(900), request });
    }
    w.send("q", b"one", 1);
    w.send("q", b"two", 2);
    let told = w.later(1_500);
    let second = |e: &Event| {
        matches!(e, Event::Cancelled { consumer: Consumer(2), cause: CancelCause::TimedOut, .. })
    };
    assert!(told.iter().any(second), "{told:?}");
}

fn resting(more: (&str, Value)) -> World {
    let mut w = World::with(&[]);
    let rest = [("x-delayed-retry-type", Value::text("all")), ("x-delayed-retry-min", int(1_000))];
    let mut arguments = table(&rest);
    arguments.set(more.0, more.1);
    w.queue("q", arguments).unwrap();
    w
}

#[test]
fn what_gets_too_old_at_rest_is_not_handed_out_again() {
    let mut w = resting(("x-message-ttl", int(100)));
    w.send("q", b"old", 1);
    let got = w.hold("q").unwrap();
    w.settle(&got, Outcome::Failed);
    w.later(500);
    w.later(1_100);
    assert!(w.hold("q").is_none());
    assert_eq!((w.0.counts().messages, w.0.counts().expired), (0, 1));
}

#[test]
fn what_has_rested_keeps_to_the_bound() {
    let mut w = resting(("x-max-length", int(1)));
    w.send("q", b"old", 1);
    let got = w.hold("q").unwrap();
    w.settle(&got, Outcome::Failed);
    w.send("q", b"new", 2);
    w.later(1_100);
    assert_eq!(w.drain("q"), [b"new"]);
}

/// One of the queues that a letter is for is full for long.
#[test]
fn a_letter_that_waits_for_room_in_one_queue_is_not_sent_to_the_others_meanwhile() {
    let mut w = World::with(&["free"]);
    let full = table(&[("x-max-length", int(1)), ("x-overflow", Value::text("reject-publish"))]);
    w.queue("full", full).unwrap();
    w.send("full", b"there", 1);
    w.exchange("dlx", ExchangeKind::Fanout, Table::default()).unwrap();
    w.bind("dlx", kit::to("free"), "");
    w.bind("dlx", kit::to("full"), "");
    let arguments = table(&[
        ("x-dead-letter-exchange", Value::text("dlx")),
        ("x-dead-letter-strategy", Value::text("at-least-once")),
        ("x-overflow", Value::text("reject-publish")),
    ]);
    w.queue("q", arguments).unwrap();
    w.send("q", b"one", 2);
    let got = w.hold("q").unwrap();
    w.settle(&got, Outcome::Discard);
    (1..9).for_each(|n| drop(w.later(n * 2_000)));
    assert_eq!(w.drain("full"), [b"there"]);
    w.later(20_000);
    assert_eq!((w.drain("full"), w.drain("free")), (vec![b"one".to_vec()], vec![b"one".to_vec()]));
}

#[test]
fn a_queue_that_is_gone_leaves_no_moment_to_wait_for() {
    let mut w = World::with(&[]);
    for (argument, ms) in [("x-expires", 3_600_000), ("x-expires", 60_000)] {
        w.queue("q", table(&[(argument, int(ms))])).unwrap();
        w.ask(Request::DeleteQueue { name: "q".into(), if_unused: false, if_empty: false })
            .unwrap();
    }
    assert_eq!(w.0.tick(NOW, &mut NoJournal, &mut Effects::default()), None);
    let mut h = House::new();
    h.queue("q", &[("x-expires", int(60_000))]);
    h.ask(Request::DeleteQueue { name: "q".into(), if_unused: false, if_empty: false }).unwrap();
    h.restart();
    let now = h.now();
    assert_eq!(h.broker.tick(now, &mut h.paper, &mut Effects::default()), None);
}

#[test]
fn a_snapshot_reads_alike_whatever_the_order_of_maps() {
    let snapshot = || {
        let mut h = House::new();
        h.queue("q", &[]);
        for n in 0..20 {
            let (key, arguments) = (bytes::Bytes::from(format!("k{n}")), Table::default());
            let source = "amq.direct".into();
            let bind = Binding { source, destination: kit::to("q"), key, arguments };
            h.ask(Request::Bind(bind)).unwrap();
        }
        h.broker.snapshot()
    };
    assert_eq!(snapshot(), snapshot());
}

/// A range that no log of ours holds must not be counted through.
#[test]
fn moments_of_entries_that_cannot_be_are_refused() {
    use lockgate_broker::record::{kind, write_due};
    let mut h = House::new();
    h.queue("q", &[]);
    let queue = lockgate_broker::QueueId(14);
    for (from, to) in [(0, u64::MAX), (u64::MAX - 1, u64::MAX), (9, 3), (0, 1 << 61)] {
        let mut body = Vec::new();
        write_due(queue, &[(1_000, from, to)], &mut body);
        let mut broker = Broker::new(Settings::default());
        broker.apply_snapshot(&h.broker.snapshot(), &mut NoJournal).unwrap();
        let place = lockgate_broker::Place { pos: 9, len: 9 };
        let read = broker.replay(kind::DUE, &body, place, &mut NoJournal);
        assert!(read.is_err(), "{from}..{to}");
    }
}

/// Two messages of a group, whose consumer takes one at a time.
#[test]
fn what_was_passed_over_may_have_been_delivered_before_the_start_too() {
    let mut h = House::new();
    h.queue("q", &[]);
    let head = head(Some(table(&[("JMSXGroupID", Value::text("g"))])), None);
    (0..2).for_each(|_| publish(&mut h, "", "q", &head));
    h.restart();
    let wish = Subscription {
        queue: "q".into(),
        consumer: Consumer(1),
        tag: "t".into(),
        settled: false,
        exclusive: false,
        limit: Some(1),
        arguments: Table::default(),
    };
    let other = Subscription { consumer: Consumer(2), ..wish.clone() };
    h.ask(Request::Subscribe(wish)).unwrap();
    let given = |told: &[(SessionId, Event)]| {
        let delivery = |(_, e): &(SessionId, Event)| match e {
            Event::Deliver(d) => Some((d.lease.unwrap(), d.redelivered)),
            _ => None,
        };
        told.iter().find_map(delivery).expect("a delivery")
    };
    let (lease, redelivered) = given(&h.told);
    assert!(redelivered);
    // It has room, and nothing of its group: the second is passed over.
    h.ask(Request::Subscribe(other)).unwrap();
    h.command(kit::ME, Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Accept });
    assert!(given(&h.told).1, "nobody knows whether it was delivered");
}
