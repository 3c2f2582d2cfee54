//! Queues that go when nobody has used them for a while, what counts as use, and how long a
//! while may be.

mod kit;

use kit::{NOW, World, table};
use lockgate_broker::{Effects, NoJournal};
use lockgate_model::*;

/// A world with a queue `q` that goes after 100 ms.
fn world() -> World {
    let mut w = World::with(&[]);
    w.queue("q", table(&[("x-expires", Value::I32(100))])).unwrap();
    w
}

/// Lets time pass up to so many milliseconds after the beginning.
fn at(w: &mut World, ms: u64) {
    w.0.tick(Time(NOW.0 + ms * 1000), &mut NoJournal, &mut Effects::default());
}

fn there(w: &World) -> bool {
    w.0.counts().queues == 1
}

#[test]
fn a_queue_goes_when_nobody_asks_for_it() {
    let mut w = world();
    at(&mut w, 99);
    assert!(there(&w));
    at(&mut w, 100);
    assert!(!there(&w));
}

#[test]
fn whoever_asks_for_a_queue_keeps_it() {
    let ways: [fn(&mut World); 3] = [
        |w| drop(w.ask(Request::FindQueue("q".into())).unwrap()),
        |w| drop(w.ask(Request::Get { queue: "q".into(), settled: true }).unwrap()),
        |w| drop(w.queue("q", table(&[("x-expires", Value::I32(100))])).unwrap()),
    ];
    for ask in ways {
        let mut w = world();
        at(&mut w, 60);
        ask(&mut w);
        at(&mut w, 159);
        assert!(there(&w));
        at(&mut w, 160);
        assert!(!there(&w));
    }
}

#[test]
fn ten_years_are_not_too_long() {
    const TEN_YEARS_MS: i64 = 315_360_000_000;
    for argument in ["x-message-ttl", "x-expires"] {
        let mut w = World::with(&[]);
        w.queue("long", table(&[(argument, Value::I64(TEN_YEARS_MS))])).unwrap();
        let refused = w.queue("longer", table(&[(argument, Value::I64(TEN_YEARS_MS + 1))]));
        let Err(Refusal::BadArgument { reason, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(reason, "{value_too_large,315360000001}");
    }
}
