//! Delayed messages: held back, and sent on when their time has come.

mod kit;

use bytes::Bytes;
use kit::{NOW, World, is_returned, table, texts, to};
use lockgate_broker::{Effects, NoJournal};
use lockgate_model::*;
use std::sync::Arc;

fn behind(kind: &str) -> Table {
    table(&[("x-delayed-type", Value::text(kind))])
}

/// A delayed exchange `x` that sends on as that kind, with a queue `q` bound by `key`.
fn world(kind: &str) -> World {
    let mut w = World::with(&["q"]);
    w.exchange("x", ExchangeKind::Delayed, behind(kind)).unwrap();
    w.bind("x", to("q"), "key");
    w
}

fn delay(ms: i64) -> Option<Table> {
    Some(table(&[("x-delay", Value::I64(ms))]))
}

/// Time passes, to so many milliseconds after the start.
fn at(w: &mut World, millis: u64) -> Option<Time> {
    let mut out = Effects::default();
    let next = w.0.tick(Time(NOW.0 + millis * 1000), &mut NoJournal, &mut out);
    w.0.deliver(&mut NoJournal, &mut out);
    next
}

fn delete(w: &mut World, exchange: &str) {
    w.ask(Request::DeleteExchange { name: exchange.into(), if_unused: false }).unwrap();
}

#[test]
fn a_message_waits_as_long_as_it_asks_and_shows_that_it_did() {
    let mut w = world("direct");
    assert!(!is_returned(&w.publish("x", "key", delay(1_000))), "nobody knows yet");
    at(&mut w, 999);
    assert_eq!((w.got("q").0, w.0.counts().delayed), (0, 1));
    at(&mut w, 1_010);
    let (count, headers) = w.got("q");
    assert_eq!(count, 1);
    assert_eq!(headers.unwrap().get("x-delay"), Some(&Value::I64(-1_000)));
    assert_eq!(w.0.counts().delayed, 0);
}

#[test]
fn what_asks_for_nothing_goes_on_at_once() {
    let mut w = world("direct");
    for asked in [None, delay(0), delay(-5), delay(1 << 32)] {
        w.publish("x", "key", asked.clone());
        assert_eq!(w.got("q").0, 1, "{asked:?}");
    }
    assert!(is_returned(&w.publish("x", "other", None)), "it is an exchange like any other");
}

#[test]
fn the_shorter_delay_comes_first_and_equal_ones_in_order() {
    let mut w = world("fanout");
    for (n, ms) in [(0, 300), (1, 100), (2, 200), (3, 100), (4, 200)] {
        let headers = delay(ms);
        let mut head = Vec::new();
        Properties { headers, ..Properties::default() }.encode(&mut head);
        let run = Arc::new(Run::single("x", b"", &head, &[n], false));
        w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    }
    at(&mut w, 1_000);
    assert_eq!(w.drain("q").concat(), [1, 3, 2, 4, 0]);
}

#[test]
fn how_it_goes_on_is_decided_when_it_does() {
    let mut w = world("topic");
    w.bind("x", to("q"), "a.*");
    w.publish("x", "a.b", delay(100));
    w.publish("x", "b.b", delay(100));
    w.queue("late", Table::default()).unwrap();
    w.bind("x", to("late"), "#");
    at(&mut w, 200);
    assert_eq!((w.got("q").0, w.got("late").0), (1, 2));
    let mut w = world("direct");
    w.publish("x", "nowhere", delay(100));
    at(&mut w, 200);
    assert_eq!((w.0.counts().unroutable, w.0.counts().delayed), (1, 0));
}

#[test]
fn copies_blind_ones_too_wait_with_it() {
    let mut w = world("direct");
    w.queue("blind", Table::default()).unwrap();
    w.bind("x", to("blind"), "b");
    let mut headers = delay(100).unwrap();
    headers.set("CC", texts(&["key"]));
    headers.set("BCC", texts(&["b"]));
    w.publish("x", "none", Some(headers));
    assert_eq!((w.got("q").0, w.got("blind").0), (0, 0));
    at(&mut w, 200);
    for queue in ["q", "blind"] {
        let (count, headers) = w.got(queue);
        assert_eq!((count, headers.unwrap().get("BCC")), (1, None), "{queue}");
    }
}

#[test]
fn it_may_wait_behind_other_exchanges_and_be_a_dead_letter() {
    let mut w = world("fanout");
    w.exchange("first", ExchangeKind::Fanout, Table::default()).unwrap();
    w.bind("first", Destination::Exchange("x".into()), "");
    w.bind("first", to("q"), "");
    w.publish("first", "k", delay(100));
    assert_eq!(w.drain("q").len(), 1, "the other way is not held back");
    at(&mut w, 200);
    assert_eq!(w.drain("q").len(), 1);
    let alternate = table(&[("alternate-exchange", Value::text("x"))]);
    w.exchange("direct", ExchangeKind::Direct, alternate).unwrap();
    assert!(!is_returned(&w.publish("direct", "none", delay(100))));
    at(&mut w, 400);
    assert_eq!(w.drain("q").len(), 1);
    let letters = [("x-dead-letter-exchange", Value::text("x")), ("x-max-length", Value::I32(0))];
    w.queue("dying", table(&letters)).unwrap();
    w.publish("", "dying", delay(100));
    at(&mut w, 499);
    assert_eq!(w.drain("q").len(), 0);
    at(&mut w, 600);
    assert_eq!(w.drain("q").len(), 1);
}

/// Its life in a queue begins when it gets there.
#[test]
fn it_does_not_expire_while_it_waits() {
    let mut w = world("fanout");
    let expiration = Some(Bytes::from_static(b"50"));
    let mut head = Vec::new();
    Properties { headers: delay(1_000), expiration, ..Properties::default() }.encode(&mut head);
    let run = Arc::new(Run::single("x", b"", &head, b"body", false));
    w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    at(&mut w, 1_010);
    at(&mut w, 1_050);
    let Ok(Answer::Queue { messages, .. }) = w.ask(Request::FindQueue("q".into())) else {
        panic!("q")
    };
    assert_eq!((messages, w.0.counts().expired), (1, 0));
    at(&mut w, 1_100);
    assert_eq!((w.got("q").0, w.0.counts().expired), (0, 1));
}

#[test]
fn a_transaction_delays_when_it_is_committed() {
    let mut w = world("fanout");
    let mut head = Vec::new();
    Properties { headers: delay(100), ..Properties::default() }.encode(&mut head);
    let step = Step::Publish(Arc::new(Run::single("x", b"", &head, b"body", false)));
    w.ask(Request::Commit(vec![step.clone(), step])).unwrap();
    assert_eq!(w.0.counts().delayed, 2);
    at(&mut w, 200);
    assert_eq!(w.drain("q").len(), 2);
}

#[test]
fn deleting_the_exchange_loses_what_it_held_and_says_how_much() {
    let mut w = world("fanout");
    (0..3).for_each(|_| drop(w.publish("x", "", delay(100))));
    delete(&mut w, "x");
    let counts = w.0.counts();
    assert_eq!((counts.delayed, counts.delayed_lost, counts.resident), (0, 3, 0));
    w.exchange("x", ExchangeKind::Delayed, behind("fanout")).unwrap();
    w.bind("x", to("q"), "");
    at(&mut w, 200);
    assert_eq!(w.got("q").0, 0);
}

/// What an exchange owns is nobody's to see or use.
#[test]
fn its_queue_is_not_there_for_anybody() {
    let mut w = world("fanout");
    let queues = w.0.counts().queues;
    w.publish("x", "", delay(100));
    let counts = w.0.counts();
    assert_eq!((counts.queues, counts.messages, queues), (1, 0, 1));
    assert!(is_returned(&w.publish("", "", None)));
    let find = w.ask(Request::FindQueue(Name::default()));
    assert!(matches!(find, Err(Refusal::Missing { .. })));
}

#[test]
fn more_than_one_turn_takes_goes_on_turn_by_turn() {
    let mut w = world("fanout");
    let mut run = RunBuilder::default();
    let mut head = Vec::new();
    Properties { headers: delay(100), ..Properties::default() }.encode(&mut head);
    (0..5_000u32).for_each(|n| run.push(b"x", b"", false, &head, &n.to_be_bytes(), false, 0));
    let run = Arc::new(run.finish());
    w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    let mut ms = 110;
    while let Some(next) = at(&mut w, ms) {
        assert_eq!(next.millis(), NOW.millis() + ms + 1);
        ms += 1;
    }
    assert!(ms < 120, "{ms}");
    let all: Vec<u32> =
        w.drain("q").iter().map(|b| u32::from_be_bytes(b[..].try_into().unwrap())).collect();
    assert!(all.into_iter().eq(0..5_000), "in order and all of them");
}

#[test]
fn how_it_is_to_go_on_must_be_said_and_stands() {
    let mut w = World::with(&["q"]);
    let refused = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    let odd = [Table::default(), behind("nonsense"), behind("x-delayed-message")];
    for arguments in odd.into_iter().chain([table(&[("x-delayed-type", Value::I32(1))])]) {
        let declared = w.exchange("x", ExchangeKind::Delayed, arguments);
        assert_eq!(declared.unwrap_err(), Refusal::Limit(refused.into()));
    }
    let mut both = behind("x-consistent-hash");
    both.set("hash-property", Value::text("bogus"));
    let declared = w.exchange("x", ExchangeKind::Delayed, both);
    assert_eq!(declared.unwrap_err(), Refusal::Limit("Unsupported property: bogus".into()));
    w.exchange("x", ExchangeKind::Delayed, behind("x-consistent-hash")).unwrap();
    w.exchange("x", ExchangeKind::Delayed, behind("x-consistent-hash")).unwrap();
    let other = w.exchange("x", ExchangeKind::Delayed, behind("topic"));
    assert!(matches!(other, Err(Refusal::Inequivalent { field, .. }) if field == "x-delayed-type"));
    let binding = Binding {
        source: "x".into(),
        destination: to("q"),
        key: Bytes::from_static(b"no weight"),
        arguments: Table::default(),
    };
    assert!(w.ask(Request::Bind(binding)).is_err(), "its bindings are those of that type");
}
