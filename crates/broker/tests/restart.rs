//! What a queue knows of its entries is there again after a restart, whether it comes from
//! the log or from a snapshot.

mod kit;

use kit::house::{House, ME, int};
use lockgate_model::*;
use std::sync::Arc;

/// Publishes a message that lasts.
fn send(h: &mut House, queue: &str, body: &[u8], priority: u8) {
    let mut run = RunBuilder::default();
    run.push(b"", queue.as_bytes(), true, &[0x10, 0, 2], body, true, priority);
    let run = Arc::new(run.finish());
    h.command(ME, Command::Publish { lane: Lane(1), run, confirm: Some(Ticket(7)) });
}

fn rejected(h: &House) -> bool {
    h.told.iter().any(|(_, e)| matches!(e, Event::Rejected { .. }))
}

fn get(h: &mut House, queue: &str) -> Option<Got> {
    match h.ask(Request::Get { queue: queue.into(), settled: false }) {
        Ok(Answer::Got(got)) => got,
        other => panic!("{other:?}"),
    }
}

fn body(got: &Got) -> Vec<u8> {
    got.run.body(&got.run.items[got.item as usize]).to_vec()
}

fn settle(h: &mut House, got: &Got, outcome: Outcome) {
    h.command(ME, Command::Settle { lease: got.lease.unwrap(), from: 0, count: 1, outcome });
}

/// Does it once with a restart from the log, once with one from a snapshot.
fn both(test: impl Fn(&mut House, fn(&mut House))) {
    test(&mut House::new(), House::restart);
    test(&mut House::new(), House::restart_from_snapshot);
}

#[test]
fn how_often_something_came_back() {
    both(|h, restart| {
        h.queue("q", &[("x-delivery-limit", int(1))]);
        send(h, "q", b"one", 0);
        send(h, "q", b"two", 0);
        let one = get(h, "q").unwrap();
        settle(h, &one, Outcome::Failed);
        restart(h);
        let one = get(h, "q").unwrap();
        assert_eq!((body(&one), one.stamp), (b"one".to_vec(), Stamp::Attempts(1)));
        settle(h, &one, Outcome::Failed);
        let two = get(h, "q").unwrap();
        assert_eq!((body(&two), two.stamp), (b"two".to_vec(), Stamp::None), "one died");
    });
}

#[test]
fn how_many_bytes_wait() {
    both(|h, restart| {
        let reject = Value::text("reject-publish");
        h.queue("q", &[("x-max-length-bytes", int(10)), ("x-overflow", reject)]);
        send(h, "q", &[1; 4], 0);
        send(h, "q", &[2; 3], 0);
        restart(h);
        send(h, "q", &[3; 4], 0);
        assert!(rejected(h), "7 wait");
        send(h, "q", &[3; 3], 0);
        assert!(!rejected(h));
        let first = get(h, "q").unwrap();
        assert_eq!(body(&first), [1; 4]);
        send(h, "q", &[4; 4], 0);
        assert!(!rejected(h), "4 are in somebody's hands");
    });
}

#[test]
fn what_comes_first() {
    both(|h, restart| {
        h.queue("q", &[("x-max-priority", int(9))]);
        for (n, priority) in [0, 3, 9, 3, 200, 1].into_iter().enumerate() {
            send(h, "q", &[n as u8], priority);
        }
        restart(h);
        send(h, "q", &[6], 3);
        let order: Vec<u8> = std::iter::from_fn(|| get(h, "q")).map(|g| body(&g)[0]).collect();
        assert_eq!(order, [2, 4, 1, 3, 6, 5, 0]);
    });
}

#[test]
fn what_was_held_makes_no_queue_hold_more_than_it_may() {
    both(|h, restart| {
        h.queue("q", &[("x-max-length", int(2))]);
        send(h, "q", &[0], 0);
        get(h, "q").unwrap();
        send(h, "q", &[1], 0);
        send(h, "q", &[2], 0);
        restart(h);
        assert_eq!(h.waiting("q"), Some(2));
        assert_eq!(body(&get(h, "q").unwrap()), [1]);
    });
}

#[test]
fn what_was_dying_dies_once_more_or_lives_on() {
    both(|h, restart| {
        let letters = [
            ("x-dead-letter-exchange", Value::text("")),
            ("x-dead-letter-routing-key", Value::text("dead")),
            ("x-dead-letter-strategy", Value::text("at-least-once")),
            ("x-overflow", Value::text("reject-publish")),
        ];
        h.queue("q", &letters);
        send(h, "q", b"m", 0);
        let got = get(h, "q").unwrap();
        settle(h, &got, Outcome::Discard);
        assert_eq!(h.waiting("q"), Some(0), "nobody takes the letter");
        restart(h);
        assert_eq!(h.waiting("q"), Some(1), "and it was not lost");
        h.queue("dead", &[]);
        let got = get(h, "q").unwrap();
        settle(h, &got, Outcome::Discard);
        assert_eq!((h.waiting("q"), h.waiting("dead")), (Some(0), Some(1)));
        restart(h);
        assert_eq!((h.waiting("q"), h.waiting("dead")), (Some(0), Some(1)));
    });
}
