//! What comes back: how often it may, how long it rests, and what becomes of those who
//! never give anything back.

mod kit;

use kit::{World, table};
use lockgate_model::*;

fn subscribe(w: &mut World, queue: &str, consumer: u32, arguments: Table) -> Vec<Event> {
    let (tag, limit) = (Name::from("t"), Some(1));
    let (consumer, queue) = (Consumer(consumer), queue.into());
    let (settled, exclusive) = (false, false);
    let wish = Subscription { queue, consumer, tag, settled, exclusive, limit, arguments };
    let request = Request::Subscribe(wish);
    w.run(Command::Ask { lane: Lane(1), ticket: Ticket(900), request })
}

fn deliveries(events: &[Event]) -> Vec<(Consumer, bool, Stamp)> {
    let delivery = |e: &Event| match e {
        Event::Deliver(d) => Some((d.consumer, d.redelivered, d.stamp)),
        _ => None,
    };
    events.iter().filter_map(delivery).collect()
}

#[test]
fn who_comes_back_too_often_dies_of_it() {
    let mut w = World::with(&["dead"]);
    let limit = table(&[
        ("x-delivery-limit", Value::I32(2)),
        ("x-dead-letter-exchange", Value::text("")),
        ("x-dead-letter-routing-key", Value::text("dead")),
    ]);
    w.queue("q", limit).unwrap();
    w.send("q", b"poison", 1);
    for times in 0..3 {
        let got = w.hold("q").expect("it is there three times");
        let stamp = if times == 0 { Stamp::None } else { Stamp::Attempts(times) };
        assert_eq!((got.stamp, got.redelivered), (stamp, times > 0));
        w.settle(&got, if times == 1 { Outcome::Requeue } else { Outcome::Failed });
    }
    assert!(w.hold("q").is_none());
    let (count, headers) = w.got("dead");
    assert_eq!(count, 1);
    let reason = headers.unwrap().get("x-first-death-reason").cloned();
    assert_eq!(reason, Some(Value::text("delivery_limit")));
    assert_eq!(w.0.counts().worn_out, 1);
}

#[test]
fn who_goes_counts_as_having_failed() {
    let mut w = World::with(&[]);
    w.queue("q", table(&[("x-delivery-limit", Value::I32(1))])).unwrap();
    w.send("q", b"m", 1);
    for times in [0, 1] {
        assert_eq!(w.hold("q").unwrap().stamp, [Stamp::None, Stamp::Attempts(1)][times]);
        w.run(Command::Leave(Lane(1)));
    }
    assert_eq!(w.0.counts().messages, 0);
}

#[test]
fn without_a_limit_nothing_dies_of_coming_back_and_a_quorum_queue_counts() {
    let mut w = World::with(&["plain"]);
    let name = Name::from("quorum");
    let arguments = table(&[("x-queue-type", Value::text("quorum"))]);
    let (durable, exclusive, auto_delete) = (true, false, false);
    let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
    w.ask(Request::DeclareQueue(spec)).unwrap();
    for (queue, last) in [("plain", Stamp::None), ("quorum", Stamp::Attempts(49))] {
        w.send(queue, b"m", 1);
        let mut stamp = Stamp::None;
        for _ in 0..50 {
            let got = w.hold(queue).unwrap();
            stamp = got.stamp;
            w.settle(&got, Outcome::Failed);
        }
        assert_eq!(stamp, last, "{queue}");
    }
}

#[test]
fn what_comes_back_rests_longer_each_time_up_to_a_limit() {
    let mut w = World::with(&[]);
    let rest = table(&[
        ("x-delayed-retry-type", Value::text("failed")),
        ("x-delayed-retry-min", Value::I32(100)),
        ("x-delayed-retry-max", Value::I32(250)),
    ]);
    w.queue("q", rest).unwrap();
    w.send("q", b"m", 1);
    let mut now = 0;
    for wait in [100, 200, 250, 250] {
        let got = w.hold("q").expect("it has rested");
        w.settle(&got, Outcome::Failed);
        w.later(now + wait - 1);
        assert!(w.hold("q").is_none(), "it rests for {wait}");
        now += wait;
        w.later(now);
    }
    let got = w.hold("q").unwrap();
    assert_eq!(got.stamp, Stamp::Attempts(4));
    // Whoever could not take it now says nothing of the message.
    w.settle(&got, Outcome::Requeue);
    assert!(w.hold("q").is_some());
}

#[test]
fn who_rests_keeps_no_one_waiting_and_is_delivered_by_itself() {
    let mut w = World::with(&[]);
    w.queue("q", table(&[("x-delayed-retry-min", Value::I32(100))])).unwrap();
    w.send("q", b"first", 1);
    let first = w.hold("q").unwrap();
    w.settle(&first, Outcome::Requeue);
    w.send("q", b"second", 2);
    assert_eq!(w.drain("q"), [b"second"]);
    subscribe(&mut w, "q", 1, Table::default());
    assert_eq!(deliveries(&w.later(99)), []);
    let told = w.later(100);
    assert_eq!(deliveries(&told), [(Consumer(1), true, Stamp::Attempts(1))]);
}

#[test]
fn who_holds_something_too_long_loses_it_and_its_place() {
    let mut w = World::with(&[]);
    w.queue("q", table(&[("x-consumer-timeout", Value::I32(1000))])).unwrap();
    subscribe(&mut w, "q", 1, Table::default());
    let told = w.send("q", b"m", 1);
    assert_eq!(deliveries(&told).len(), 1);
    let Some(Event::Deliver(d)) = told.into_iter().find(|e| matches!(e, Event::Deliver(_))) else {
        panic!("delivered")
    };
    assert_eq!(w.later(999).len(), 0);
    let told = w.later(1000);
    let cause = CancelCause::TimedOut;
    assert!(
        matches!(told[..], [Event::Cancelled { consumer: Consumer(1), cause: c, .. }] if c == cause),
        "{told:?}"
    );
    // The next subscriber gets it, and what the first one says of it now means nothing.
    let told = subscribe(&mut w, "q", 2, Table::default());
    assert_eq!(deliveries(&told), [(Consumer(2), true, Stamp::None)]);
    let lease = d.lease.unwrap();
    w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Accept });
    assert_eq!(w.0.counts().messages, 1, "the second one has it");
    assert_eq!(w.0.counts().timed_out, 1);
}

#[test]
fn who_settles_in_time_keeps_its_place() {
    let mut w = World::with(&["q"]);
    let own = table(&[("x-consumer-timeout", Value::I32(1000))]);
    subscribe(&mut w, "q", 1, own);
    for n in 0..10 {
        let told = w.send("q", b"m", n);
        let lease = told.iter().find_map(|e| match e {
            Event::Deliver(d) => d.lease,
            _ => None,
        });
        let (from, count, outcome) = (0, 1, Outcome::Accept);
        w.run(Command::Settle { lease: lease.unwrap(), from, count, outcome });
        assert!(w.later(500 * (n + 1)).is_empty());
    }
    let bad = table(&[("x-consumer-timeout", Value::text("soon"))]);
    let refused = subscribe(&mut w, "q", 2, bad);
    assert!(matches!(
        refused[..],
        [Event::Answer { result: Err(Refusal::BadArgument { .. }), .. }]
    ));
}
