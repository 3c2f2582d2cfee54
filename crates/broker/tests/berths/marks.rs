//! What is published and received once.

use crate::quay::{Quay, attachment, interest, message};
use lockgate_model::*;
use std::sync::Arc;

fn once(quay: &mut Quay, session: SessionId, marks: &[u16], first: u64) -> Vec<Event> {
    let mut run = RunBuilder::default();
    for mark in marks {
        run.copy(&message("x", &mark.to_string(), 2), 0, 1);
    }
    let (run, lane) = (Arc::new(run.finish()), Lane(0));
    let marks = marks.iter().map(|n| Mark(*n)).collect();
    quay.send(session, Command::PublishOnce { lane, run, marks, confirm: Ticket(first) });
    quay.told(session)
}

fn confirmed(events: &[Event]) -> Vec<u64> {
    let mut all: Vec<u64> = Vec::new();
    for event in events {
        let Event::Confirmed { first, count, .. } = event else { panic!("{event:?}") };
        all.extend(first.0..first.0 + u64::from(*count));
    }
    all.sort_unstable();
    all
}

fn release(quay: &mut Quay, session: SessionId, marks: &[u16]) -> Vec<Event> {
    let marks = marks.iter().map(|n| Mark(*n)).collect();
    quay.send(session, Command::Release { lane: Lane(0), marks, confirm: Ticket(50) });
    quay.told(session)
}

#[test]
fn what_is_published_again_under_an_open_mark_is_confirmed_and_not_routed() {
    for restart in [None, Some(false), Some(true)] {
        let mut quay = Quay::new();
        let ear = quay.lasting("ear");
        quay.follow(ear, interest("x", 2));
        let a = quay.lasting("a");
        assert_eq!(confirmed(&once(&mut quay, a, &[1, 2, 3], 10)), [10, 11, 12]);
        assert_eq!(confirmed(&release(&mut quay, a, &[2])), [50]);
        assert_eq!(quay.bodies(ear), ["1", "2", "3"]);
        quay.lose(a);
        if let Some(from_snapshot) = restart {
            quay.restart(from_snapshot);
        }
        let (a, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
        assert_eq!(attached.open, [Mark(1), Mark(3)], "{restart:?}");
        let ear = quay.lasting("ear");
        quay.heard(ear);
        assert_eq!(confirmed(&once(&mut quay, a, &[1, 2, 3, 4, 4], 20)), [20, 21, 22, 23, 24]);
        assert_eq!(quay.bodies(ear), ["2", "4"], "{restart:?}");
    }
}

#[test]
fn marks_of_a_berth_that_does_not_last_are_known_as_long_as_it_is_there() {
    let mut quay = Quay::new();
    let (ear, a) = (quay.brief("ear"), quay.brief("a"));
    quay.follow(ear, interest("x", 0));
    let before = quay.house.paper.0.len();
    once(&mut quay, a, &[9], 1);
    once(&mut quay, a, &[9], 2);
    assert_eq!(quay.bodies(ear), ["9"]);
    release(&mut quay, a, &[9]);
    once(&mut quay, a, &[9], 3);
    assert_eq!(quay.bodies(ear), ["9"]);
    assert_eq!(quay.house.paper.0.len(), before, "nothing of it need be in the log");
}

#[test]
fn what_was_received_is_given_to_nobody_again_and_known_until_it_is_completed() {
    for restart in [None, Some(false), Some(true)] {
        let mut quay = Quay::new();
        let a = quay.lasting("a");
        quay.follow(a, interest("x", 2));
        for n in 0..3 {
            quay.publish(a, "x", &n.to_string(), 2);
        }
        let heard = quay.heard(a);
        quay.told(a);
        let lease = heard[1].lease.unwrap();
        let marks = vec![heard[1].mark];
        let (lane, confirm, from) = (Lane(0), Ticket(8), 0);
        quay.send(a, Command::Received { lane, lease, from, marks: marks.clone(), confirm });
        assert_eq!(confirmed(&quay.told(a)), [8]);
        quay.lose(a);
        if let Some(from_snapshot) = restart {
            quay.restart(from_snapshot);
        }
        let (a, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
        assert_eq!(attached.received, marks);
        let again = quay.heard(a);
        let said = |h: &[crate::quay::Heard]| -> Vec<(String, Mark)> {
            h.iter().map(|h| (h.body.clone(), h.mark)).collect()
        };
        let left: Vec<_> = heard.iter().filter(|h| h.body != "1").cloned().collect();
        assert_eq!(said(&again), said(&left), "{restart:?}");
        assert!(again.iter().all(|h| h.again));
        quay.send(a, Command::Completed(marks));
        let (_, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
        assert_eq!(attached.received, []);
    }
}

#[test]
fn a_mark_of_what_a_full_queue_refused_is_not_open() {
    let mut quay = Quay::new();
    let bounds = [("x-max-length", Value::I64(1)), ("x-overflow", Value::text("reject-publish"))];
    quay.house.lane = Lane(0);
    quay.house.queue("q", &bounds);
    let (source, destination) = ("amq.topic".into(), Destination::Queue("q".into()));
    let key = "x".into();
    let binding = Binding { source, destination, key, arguments: Table::default() };
    quay.house.ask(Request::Bind(binding)).unwrap();
    let a = quay.lasting("a");
    let told = once(&mut quay, a, &[1, 2], 1);
    assert!(told.iter().any(|e| matches!(e, Event::Rejected { first: Ticket(2), .. })));
    quay.lose(a);
    let (_, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
    assert_eq!(attached.open, [Mark(1)]);
}
