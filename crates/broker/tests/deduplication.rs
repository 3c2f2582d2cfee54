//! Nothing twice: exchanges and queues that know a message by an id in its headers.

mod kit;

use kit::{NOW, World, is_returned, table, texts, to};
use lockgate_broker::{Effects, NoJournal};
use lockgate_model::*;
use std::sync::Arc;

const TYPE: ExchangeKind = ExchangeKind::Deduplicating;

fn sized(n: i64) -> Table {
    table(&[("x-cache-size", Value::I64(n))])
}

fn id(id: &str) -> Option<Table> {
    Some(table(&[("x-deduplication-header", Value::text(id))]))
}

/// Publishes to an exchange and asks for a confirmation: how many came, and what else was told.
fn send(w: &mut World, exchange: &str, key: &str, headers: Option<Table>) -> Vec<Event> {
    let mut head = Vec::new();
    Properties { headers, ..Properties::default() }.encode(&mut head);
    let run = Arc::new(Run::single(exchange, key.as_bytes(), &head, b"body", true));
    w.run(Command::Publish { lane: Lane(1), run, confirm: Some(Ticket(1)) })
}

fn is_confirmed(events: &[Event]) -> bool {
    matches!(events, [Event::Confirmed { count: 1, .. }])
}

fn later(w: &mut World, millis: u64) {
    let mut out = Effects::default();
    w.0.tick(Time(NOW.0 + millis * 1000), &mut NoJournal, &mut out);
    w.0.deliver(&mut NoJournal, &mut out);
}

fn take(w: &mut World, queue: &str) -> LeaseId {
    let get = Request::Get { queue: queue.into(), settled: false };
    let Ok(Answer::Got(Some(got))) = w.ask(get) else { panic!("there is one") };
    got.lease.unwrap()
}

#[test]
fn what_was_seen_is_confirmed_counted_and_goes_no_further() {
    let mut w = World::with(&["q", "p"]);
    w.exchange("x", TYPE, sized(10)).unwrap();
    w.bind("x", to("q"), "whatever");
    w.bind("x", to("p"), "");
    for message in ["a", "b", "a", "a", "c", "b"] {
        assert!(is_confirmed(&send(&mut w, "x", "key", id(message))), "{message}");
    }
    (0..2).for_each(|_| drop(send(&mut w, "x", "key", None)));
    assert_eq!((w.drain("q").len(), w.drain("p").len()), (5, 5));
    assert_eq!((w.0.counts().repeats, w.0.counts().unroutable), (3, 0));
}

#[test]
fn a_window_has_a_size_and_ids_have_their_time() {
    let mut w = World::with(&["q"]);
    let mut arguments = sized(3);
    arguments.set("x-cache-ttl", Value::text("1000"));
    w.exchange("x", TYPE, arguments).unwrap();
    w.bind("x", to("q"), "");
    for message in ["a", "b", "c", "d", "a", "d"] {
        send(&mut w, "x", "", id(message));
    }
    assert_eq!(w.drain("q").len(), 5, "a was forgotten for d");
    let mut short = id("e").unwrap();
    short.set("x-cache-ttl", Value::I32(100));
    send(&mut w, "x", "", Some(short.clone()));
    later(&mut w, 99);
    send(&mut w, "x", "", Some(short.clone()));
    assert_eq!(w.drain("q").len(), 1);
    later(&mut w, 100);
    send(&mut w, "x", "", Some(short));
    send(&mut w, "x", "", id("d"));
    assert_eq!(w.drain("q").len(), 1);
    later(&mut w, 1_000);
    send(&mut w, "x", "", id("d"));
    assert_eq!(w.drain("q").len(), 1);
}

/// Who is told that a message went nowhere may send it again.
#[test]
fn what_nobody_took_was_not_seen() {
    let mut w = World::with(&["q"]);
    w.exchange("x", TYPE, sized(10)).unwrap();
    assert!(is_returned(&send(&mut w, "x", "", id("a"))));
    w.bind("x", to("q"), "");
    assert!(is_confirmed(&send(&mut w, "x", "", id("a"))));
    assert!(is_confirmed(&send(&mut w, "x", "", id("a"))), "it is there, so not returned");
    assert_eq!(w.drain("q").len(), 1);
    let full = [("x-max-length", Value::I32(0)), ("x-overflow", Value::text("reject-publish"))];
    w.queue("full", table(&full)).unwrap();
    w.exchange("y", TYPE, sized(10)).unwrap();
    w.bind("y", to("full"), "");
    for _ in 0..2 {
        assert!(matches!(send(&mut w, "y", "", id("a"))[..], [Event::Rejected { .. }]));
    }
}

#[test]
fn any_exchange_can_let_nothing_pass_twice_by_a_header_of_its_own() {
    let mut w = World::with(&["q", "p"]);
    let arguments = table(&[
        ("x-message-deduplication", Value::Bool(true)),
        ("x-deduplication-header", Value::text("order")),
    ]);
    w.exchange("x", ExchangeKind::Topic, arguments).unwrap();
    w.bind("x", to("q"), "a.*");
    w.bind("x", to("p"), "#");
    let order = |n: i32| Some(table(&[("order", Value::I32(n))]));
    send(&mut w, "x", "a.b", order(1));
    send(&mut w, "x", "b.b", order(1));
    send(&mut w, "x", "b.b", order(2));
    send(&mut w, "x", "b.b", id("a"));
    send(&mut w, "x", "b.b", id("a"));
    assert_eq!((w.drain("q").len(), w.drain("p").len()), (1, 4));
    // It says nothing of its size: 128.
    (10..139).for_each(|n| drop(send(&mut w, "x", "b", order(n))));
    w.drain("p");
    send(&mut w, "x", "b", order(11));
    send(&mut w, "x", "b", order(10));
    assert_eq!(w.drain("p").len(), 1);
}

#[test]
fn a_queue_takes_nothing_that_it_has() {
    let mut w = World::with(&["p"]);
    w.queue("q", table(&[("x-message-deduplication", Value::text("true"))])).unwrap();
    w.exchange("x", ExchangeKind::Fanout, Table::default()).unwrap();
    w.bind("x", to("q"), "");
    w.bind("x", to("p"), "");
    for message in ["a", "a", "b"] {
        assert!(is_confirmed(&send(&mut w, "x", "", id(message))));
    }
    assert!(is_confirmed(&send(&mut w, "", "q", id("a"))), "by the default exchange too");
    assert_eq!(w.drain("p").len(), 3, "the other queue takes it");
    assert_eq!(w.0.counts().repeats, 2);
    let lease = take(&mut w, "q");
    send(&mut w, "", "q", id("a"));
    w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Requeue });
    assert_eq!(w.drain("q").len(), 2, "in somebody's hands it is still there");
    send(&mut w, "", "q", id("a"));
    assert_eq!(w.drain("q").len(), 1, "and gone it may come again");
    w.ask(Request::Purge("q".into())).unwrap();
    send(&mut w, "", "q", id("b"));
    assert_eq!(w.drain("q").len(), 1);
}

#[test]
fn a_queue_with_a_window_remembers_what_is_gone() {
    let mut w = World::with(&[]);
    let mut arguments = sized(2);
    arguments.set("x-message-deduplication", Value::Bool(true));
    w.queue("q", arguments).unwrap();
    for message in ["a", "b"] {
        send(&mut w, "", "q", id(message));
        assert_eq!(w.drain("q").len(), 1);
        send(&mut w, "", "q", id(message));
        assert_eq!(w.drain("q").len(), 0, "{message}");
    }
    send(&mut w, "", "q", id("c"));
    send(&mut w, "", "q", id("a"));
    assert_eq!(w.drain("q").len(), 2);
    // Also what goes straight through to who takes without settling.
    w.ask(Request::Subscribe(Subscription {
        queue: "q".into(),
        consumer: Consumer(1),
        tag: "t".into(),
        settled: true,
        exclusive: false,
        limit: None,
        arguments: Table::default(),
    }))
    .unwrap();
    let is_delivered = |e: &Event| matches!(e, Event::Deliver(_));
    assert!(send(&mut w, "", "q", id("d")).iter().any(is_delivered));
    assert!(!send(&mut w, "", "q", id("d")).iter().any(is_delivered));
}

#[test]
fn what_waits_behind_it_is_not_asked_again() {
    let mut w = World::with(&["q"]);
    w.exchange("x", TYPE, sized(10)).unwrap();
    w.bind("x", to("q"), "");
    // Behind another exchange only this branch ends.
    w.exchange("first", ExchangeKind::Fanout, Table::default()).unwrap();
    w.bind("first", Destination::Exchange("x".into()), "");
    w.queue("beside", Table::default()).unwrap();
    w.bind("first", to("beside"), "");
    (0..2).for_each(|_| drop(send(&mut w, "first", "", id("a"))));
    assert_eq!((w.drain("q").len(), w.drain("beside").len()), (1, 2));
    // As a dead letter, and as one in a transaction.
    w.queue("dying", table(&[("x-dead-letter-exchange", Value::text("x"))])).unwrap();
    for message in ["a", "b"] {
        send(&mut w, "", "dying", id(message));
        let lease = take(&mut w, "dying");
        w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Discard });
    }
    assert_eq!((w.drain("q").len(), w.0.counts().letters_lost), (1, 0));
    let mut head = Vec::new();
    Properties { headers: id("c"), ..Properties::default() }.encode(&mut head);
    let step = Step::Publish(Arc::new(Run::single("x", b"", &head, b"body", false)));
    w.ask(Request::Commit(vec![step.clone(), step])).unwrap();
    assert_eq!(w.drain("q").len(), 1);
    // Copies are one message.
    let mut copies = id("d").unwrap();
    copies.set("CC", texts(&["q", "other"]));
    (0..2).for_each(|_| drop(send(&mut w, "x", "", Some(copies.clone()))));
    assert_eq!(w.drain("q").len(), 1);
}

#[test]
fn what_is_held_back_is_known_from_when_it_came() {
    let mut w = World::with(&["q"]);
    let arguments = table(&[
        ("x-delayed-type", Value::text("x-message-deduplication")),
        ("x-cache-size", Value::I32(10)),
    ]);
    w.exchange("x", ExchangeKind::Delayed, arguments).unwrap();
    w.bind("x", to("q"), "");
    let mut headers = id("a").unwrap();
    headers.set("x-delay", Value::I32(100));
    (0..2).for_each(|_| drop(send(&mut w, "x", "", Some(headers.clone()))));
    send(&mut w, "x", "", id("a"));
    assert_eq!(w.drain("q").len(), 0);
    later(&mut w, 200);
    assert_eq!((w.drain("q").len(), w.0.counts().repeats), (1, 2));
}

#[test]
fn what_a_window_cannot_be_is_refused() {
    let mut w = World::with(&[]);
    let size = "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0";
    let ttl = "Invalid argument, 'x-cache-ttl' must be an integer greater than 0";
    let kept = "Invalid argument, 'x-cache-persistence' must be either 'memory' or 'disk'";
    let with = |name: &str, value: Value| {
        let mut arguments = sized(10);
        arguments.set(name, value);
        arguments
    };
    let cases = [
        (Table::default(), size),
        (sized(0), size),
        (with("x-cache-size", Value::text("many")), size),
        (with("x-cache-ttl", Value::I32(-1)), ttl),
        (with("x-cache-persistence", Value::text("paper")), kept),
    ];
    for (arguments, text) in cases {
        let declared = w.exchange("x", TYPE, arguments.clone());
        assert_eq!(declared.unwrap_err(), Refusal::Limit(text.into()), "{arguments:?}");
    }
    w.exchange("x", TYPE, with("x-cache-size", Value::text("5"))).unwrap();
    let other = w.exchange("x", TYPE, with("x-cache-ttl", Value::I32(5)));
    assert!(matches!(other, Err(Refusal::Inequivalent { field, .. }) if field == "x-cache-size"));
    let queue = w.queue("q", table(&[("x-message-deduplication", Value::I32(1))]));
    assert!(
        matches!(queue, Err(Refusal::BadArgument { argument, .. }) if argument == "x-message-deduplication")
    );
    let mut odd = table(&[("x-message-deduplication", Value::Bool(true))]);
    odd.set("x-cache-size", Value::I32(0));
    let queue = w.queue("q", odd);
    assert!(
        matches!(queue, Err(Refusal::BadArgument { argument, .. }) if argument == "x-cache-size")
    );
    w.queue("q", sized(0)).unwrap();
}
