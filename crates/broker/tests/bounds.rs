//! Queues that may hold so much and no more.

mod kit;

use kit::{World, table};
use lockgate_model::*;
use std::sync::Arc;

fn bounded(length: i64, overflow: Option<&str>) -> World {
    let mut w = World::with(&["free"]);
    let mut arguments = table(&[("x-max-length", Value::I64(length))]);
    if let Some(how) = overflow {
        arguments.set("x-overflow", Value::text(how));
    }
    w.queue("q", arguments).unwrap();
    w
}

/// Bodies 0..n, as one run.
fn run(n: u8) -> Arc<Run> {
    let mut run = RunBuilder::default();
    (0..n).for_each(|n| run.push(b"", b"q", false, &[0, 0], &[n], false, 0));
    Arc::new(run.finish())
}

fn bodies(range: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    range.map(|n| vec![n]).collect()
}

#[test]
fn the_oldest_go_where_there_is_no_room() {
    let mut w = bounded(3, None);
    w.run(Command::Publish { lane: Lane(1), run: run(10), confirm: None });
    assert_eq!(w.drain("q"), bodies(7..10));
    assert_eq!(w.0.counts().dropped, 7);
    for n in 0..5u8 {
        w.send("q", &[n], 1);
    }
    assert_eq!(w.drain("q"), bodies(2..5));
}

#[test]
fn what_somebody_holds_does_not_count_and_makes_no_room_when_it_comes_back() {
    let mut w = bounded(2, None);
    w.run(Command::Publish { lane: Lane(1), run: run(2), confirm: None });
    let get = || Request::Get { queue: "q".into(), settled: false };
    let Ok(Answer::Got(Some(first))) = w.ask(get()) else { panic!("there is one") };
    w.send("q", &[2], 1);
    w.send("q", &[3], 2);
    // 0 is held, 1 had to go, 2 and 3 wait; 0 comes back to the head, and goes.
    let lease = first.lease.unwrap();
    w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Requeue });
    assert_eq!(w.drain("q"), bodies(2..4));
}

#[test]
fn a_queue_that_rejects_says_which_it_did_not_take() {
    let mut w = bounded(3, Some("reject-publish"));
    let told = w.run(Command::Publish { lane: Lane(1), run: run(5), confirm: Some(Ticket(1)) });
    let seen: Vec<_> = told
        .iter()
        .map(|e| match e {
            Event::Confirmed { first, count, .. } => (true, first.0, *count),
            Event::Rejected { first, count, .. } => (false, first.0, *count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, [(true, 1, 3), (false, 4, 2)]);
    assert_eq!(w.drain("q"), bodies(0..3));
    assert!(matches!(w.send("q", &[9], 6)[..], [Event::Confirmed { .. }]), "there is room again");
}

#[test]
fn a_rejecting_queue_with_a_reader_takes_all_that_it_can_hand_on() {
    let mut w = bounded(1, Some("reject-publish"));
    w.ask(Request::Subscribe(Subscription {
        queue: "q".into(),
        consumer: Consumer(1),
        tag: "t".into(),
        settled: false,
        exclusive: false,
        limit: Some(4),
        arguments: Table::default(),
    }))
    .unwrap();
    let told = w.run(Command::Publish { lane: Lane(1), run: run(10), confirm: Some(Ticket(1)) });
    let taken: u32 =
        told.iter().map(|e| if let Event::Confirmed { count, .. } = e { *count } else { 0 }).sum();
    assert_eq!(taken, 5, "four in its hands, one waits");
}

#[test]
fn what_is_not_taken_is_counted_and_told_to_a_transaction() {
    let mut w = bounded(3, Some("reject-publish"));
    w.run(Command::Publish { lane: Lane(1), run: run(5), confirm: None });
    assert_eq!(w.0.counts().rejected, 2);
    let refused = w.ask(Request::Commit(vec![Step::Publish(run(1))]));
    assert_eq!(refused.unwrap_err(), Refusal::Limit("partial tx completion".into()));
}

#[test]
fn arguments_that_make_no_sense_are_refused_in_rabbitmqs_words() {
    let mut w = World::with(&[]);
    let mut refused = |name: &str, value: Value| match w.queue("odd", table(&[(name, value)])) {
        Err(Refusal::BadArgument { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("x-max-length", Value::I32(-1)), "{value_negative,-1}");
    assert_eq!(refused("x-max-length", Value::text("5")), "\"expected integer, got longstr\"");
    assert_eq!(refused("x-overflow", Value::text("bogus")), "invalid_overflow");
    assert_eq!(refused("x-overflow", Value::I32(1)), "{unacceptable_type,signedint}");
}

fn heavy(bytes: i64, overflow: &str) -> World {
    let mut w = World::with(&["free"]);
    let arguments =
        [("x-max-length-bytes", Value::I64(bytes)), ("x-overflow", Value::text(overflow))];
    w.queue("q", table(&arguments)).unwrap();
    w
}

#[test]
fn bytes_are_counted_of_bodies_and_the_oldest_make_room() {
    let mut w = heavy(10, "drop-head");
    for (n, size) in [4, 4, 2].into_iter().enumerate() {
        w.send("q", &vec![n as u8; size], 1);
    }
    assert_eq!(w.0.counts().messages, 3, "just full");
    w.send("q", &[3; 3], 1);
    assert_eq!(w.drain("q"), [vec![1; 4], vec![2; 2], vec![3; 3]]);
    w.send("q", &[9; 11], 1);
    assert_eq!(w.drain("q"), Vec::<Vec<u8>>::new(), "it has no room at all");
    w.send("q", &[7; 10], 1);
    assert_eq!(w.drain("q"), [vec![7; 10]]);
}

#[test]
fn bytes_in_somebodys_hands_do_not_count() {
    let mut w = heavy(10, "drop-head");
    w.send("q", &[0; 8], 1);
    let get = || Request::Get { queue: "q".into(), settled: false };
    let Ok(Answer::Got(Some(first))) = w.ask(get()) else { panic!("there is one") };
    w.send("q", &[1; 8], 1);
    assert_eq!(w.0.counts().messages, 2);
    let lease = first.lease.unwrap();
    w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Requeue });
    assert_eq!(w.drain("q"), [vec![1; 8]], "what came back is the oldest");
    w.ask(Request::Purge("q".into())).unwrap();
    w.send("q", &[2; 10], 1);
    assert_eq!(w.drain("q"), [vec![2; 10]]);
}

#[test]
fn a_queue_that_rejects_takes_what_fits() {
    let mut w = heavy(10, "reject-publish");
    let rejected = |told: Vec<Event>| told.iter().any(|e| matches!(e, Event::Rejected { .. }));
    assert!(!rejected(w.send("q", &[0; 6], 1)));
    assert!(rejected(w.send("q", &[1; 5], 2)));
    assert!(!rejected(w.send("q", &[2; 4], 3)));
    assert!(rejected(w.send("q", &[3; 1], 4)));
    assert_eq!(w.drain("q"), [vec![0; 6], vec![2; 4]]);
    assert!(!rejected(w.send("q", &[3; 1], 5)));
}
