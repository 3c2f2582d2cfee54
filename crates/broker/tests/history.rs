//! Exchanges that remember: who is bound later gets the last messages first.

mod kit;

use bytes::Bytes;
use kit::{NOW, World, is_returned, table, texts, to};
use lockgate_broker::{BlockKey, Effects, Io, NoJournal};
use lockgate_model::*;
use std::sync::Arc;

/// An exchange `x` that remembers so many, or as many as it does by itself.
fn world(length: Option<i64>) -> World {
    let mut w = World::with(&["q"]);
    let length = length.map(|n| ("x-recent-history-length", Value::I64(n)));
    let arguments = length.map(|length| table(&[length])).unwrap_or_default();
    w.exchange("x", ExchangeKind::RecentHistory, arguments).unwrap();
    w
}

fn publish(w: &mut World, exchange: &str, bodies: std::ops::Range<u8>, properties: Properties) {
    let mut head = Vec::new();
    properties.encode(&mut head);
    for n in bodies {
        let run = Arc::new(Run::single(exchange, b"key", &head, &[n], false));
        w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    }
}

fn unbind(w: &mut World, queue: &str, key: &'static [u8]) {
    let (source, key) = ("x".into(), Bytes::from_static(key));
    let arguments = Table::default();
    w.ask(Request::Unbind(Binding { source, destination: to(queue), key, arguments })).unwrap();
}

#[test]
fn a_queue_bound_later_gets_the_last_ones_in_order_and_then_what_follows() {
    let mut w = world(Some(3));
    publish(&mut w, "x", 0..5, Properties::default());
    w.bind("x", to("q"), "");
    publish(&mut w, "x", 5..7, Properties::default());
    assert_eq!(w.drain("q").concat(), [2, 3, 4, 5, 6]);
    w.bind("x", to("q"), "");
    assert_eq!(w.drain("q").len(), 0, "it is bound already");
    w.bind("x", to("q"), "another way");
    assert_eq!(w.drain("q").concat(), [4, 5, 6]);
    publish(&mut w, "x", 7..8, Properties::default());
    assert_eq!(w.drain("q").concat(), [7], "two ways, one message");
    unbind(&mut w, "q", b"");
    w.bind("x", to("q"), "");
    assert_eq!(w.drain("q").concat(), [5, 6, 7]);
    let counts = w.0.counts();
    assert_eq!((counts.queues, counts.messages, counts.dropped), (1, 0, 0));
}

#[test]
fn twenty_are_remembered_if_nothing_else_is_said() {
    let mut w = world(None);
    publish(&mut w, "x", 0..30, Properties::default());
    w.bind("x", to("q"), "");
    assert_eq!(w.drain("q").concat(), (10..30).collect::<Vec<u8>>());
}

#[test]
fn remembered_is_not_delivered_and_what_does_not_want_it_is_not_remembered() {
    let mut w = world(Some(5));
    assert!(is_returned(&w.publish("x", "key", None)), "nobody took it");
    for (name, value) in
        [("none", Value::Bool(true)), ("x-recent-history-no-store", Value::Bool(false))]
    {
        let headers = Some(table(&[(name, value)]));
        publish(&mut w, "x", 1..2, Properties { headers, ..Properties::default() });
    }
    let headers = Some(table(&[("x-recent-history-no-store", Value::Bool(true))]));
    publish(&mut w, "x", 2..3, Properties { headers, ..Properties::default() });
    w.bind("x", to("q"), "");
    assert_eq!(w.drain("q"), [b"body".to_vec(), vec![1], vec![1]]);
}

#[test]
fn another_exchange_is_told_too_and_blind_copies_stay_blind() {
    let mut w = world(Some(5));
    w.publish("x", "key", Some(table(&[("BCC", texts(&["blind"]))])));
    w.exchange("behind", ExchangeKind::Direct, Table::default()).unwrap();
    w.bind("behind", to("q"), "key");
    w.bind("x", Destination::Exchange("behind".into()), "");
    let (count, headers) = w.got("q");
    assert_eq!((count, headers.unwrap_or_default().get("BCC")), (1, None));
}

#[test]
fn what_is_told_lives_as_long_as_it_wished_from_then_on() {
    let mut w = world(Some(5));
    let expiration = Some(Bytes::from_static(b"100"));
    publish(&mut w, "x", 0..1, Properties { expiration, ..Properties::default() });
    let later = |w: &mut World, ms: u64| {
        let mut out = Effects::default();
        w.0.tick(Time(NOW.0 + ms * 1000), &mut NoJournal, &mut out);
        w.0.deliver(&mut NoJournal, &mut out);
    };
    later(&mut w, 1_000);
    w.bind("x", to("q"), "");
    later(&mut w, 1_090);
    let Ok(Answer::Queue { messages, .. }) = w.ask(Request::FindQueue("q".into())) else {
        panic!("q")
    };
    assert_eq!(messages, 1);
    later(&mut w, 1_200);
    assert_eq!((w.got("q").0, w.0.counts().expired), (0, 1));
}

#[test]
fn a_cycle_of_exchanges_that_remember_comes_to_an_end() {
    let mut w = world(Some(5));
    w.exchange("y", ExchangeKind::RecentHistory, Table::default()).unwrap();
    w.bind("y", Destination::Exchange("x".into()), "");
    publish(&mut w, "x", 0..3, Properties::default());
    w.bind("x", Destination::Exchange("y".into()), "");
    publish(&mut w, "x", 3..4, Properties::default());
    w.bind("y", to("q"), "");
    assert_eq!(w.drain("q").concat(), [0, 1, 2, 3]);
}

/// Much is remembered and little is in memory: the binding waits for the disk, and what is
/// published meanwhile comes behind.
#[test]
fn what_is_on_the_disk_comes_first_all_the_same() {
    let settings = lockgate_broker::Settings {
        queue_resident: 1 << 16,
        resident_max: 1 << 16,
        seed: 1,
        ..Default::default()
    };
    let mut w = World::made(settings, &["q"]);
    let arguments = table(&[("x-recent-history-length", Value::I64(1_000))]);
    w.exchange("x", ExchangeKind::RecentHistory, arguments).unwrap();
    let mut pages = std::collections::HashMap::new();
    let mut loads: Vec<(BlockKey, _)> = Vec::new();
    let body = |n: u32| [&n.to_be_bytes()[..], &[0; 2_000]].concat();
    let single = |n: u32| Arc::new(Run::single("x", b"", &[0, 0], &body(n), false));
    let keep = |io: Vec<Io>, pages: &mut std::collections::HashMap<_, _>, loads: &mut Vec<_>| {
        for io in io {
            match io {
                Io::Store { page, run } => drop(pages.insert(page, run)),
                Io::LoadPage { key, page } => loads.push((key, page)),
                Io::Free(page) => drop(pages.remove(&page)),
                other => panic!("nothing is in the log, and there is no stream: {other:?}"),
            }
        }
    };
    for n in 0..1_000 {
        let (_, io) = w.both(Command::Publish { lane: Lane(1), run: single(n), confirm: None });
        keep(io, &mut pages, &mut loads);
    }
    assert!(pages.len() > 20 && w.0.resident() < 1 << 20);
    let (key, arguments) = (Bytes::new(), Table::default());
    let bind = Request::Bind(Binding { source: "x".into(), destination: to("q"), key, arguments });
    let (told, io) = w.both(Command::Ask { lane: Lane(1), ticket: Ticket(7), request: bind });
    keep(io, &mut pages, &mut loads);
    assert!(told.is_empty() && !loads.is_empty(), "it waits");
    let (mut answered, mut next) = (false, 1_000);
    while !answered {
        let (key, page) = loads.remove(0);
        let run: Arc<Run> = Arc::clone(&pages[&page]);
        w.0.loaded(key, run);
        let run = single(next);
        next += 1;
        let (told, io) = w.both(Command::Publish { lane: Lane(1), run, confirm: None });
        keep(io, &mut pages, &mut loads);
        answered = told.iter().any(|e| matches!(e, Event::Answer { ticket: Ticket(7), .. }));
        assert!(answered || !loads.is_empty(), "it waits for something");
    }
    let mut told = Vec::new();
    let mut tries = 0;
    while told.len() < 1_000 && tries < 10_000 {
        tries += 1;
        let get = Request::Get { queue: "q".into(), settled: true };
        let ask = Command::Ask { lane: Lane(1), ticket: Ticket(8), request: get };
        let (events, io) = w.both(ask);
        keep(io, &mut pages, &mut loads);
        let mut events = events;
        while events.is_empty() {
            let (key, page) = loads.remove(0);
            w.0.loaded(key, Arc::clone(&pages[&page]));
            let (more, io) = w.both(Command::Window(0));
            keep(io, &mut pages, &mut loads);
            events = more;
        }
        for event in events {
            if let Event::Answer { result: Ok(Answer::Got(Some(got))), .. } = event {
                let body = got.run.body(&got.run.items[got.item as usize]);
                told.push(u32::from_be_bytes(body[..4].try_into().unwrap()));
            }
        }
    }
    let first = told[0];
    assert!(told.iter().copied().eq(first..first + told.len() as u32), "in order, none twice");
    assert!(first < 100, "from the oldest that was still remembered on");
}

#[test]
fn a_length_is_a_positive_number() {
    let mut w = World::with(&[]);
    let cases = [
        (Value::I32(0), "0"),
        (Value::I32(-1), "-1"),
        (Value::text("5"), "<<\"5\">>"),
        (Value::Bool(true), "true"),
        (Value::F64(2.5), "2.5"),
        (Value::Void, "undefined"),
    ];
    for (value, said) in cases {
        let arguments = table(&[("x-recent-history-length", value)]);
        let declared = w.exchange("x", ExchangeKind::RecentHistory, arguments);
        let text = format!(
            "Invalid argument {said}, 'x-recent-history-length' must be a positive integer"
        );
        assert_eq!(declared.unwrap_err(), Refusal::Limit(text));
    }
}
