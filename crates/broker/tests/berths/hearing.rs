//! Who hears what, and how often.

use crate::kit::is_returned;
use crate::quay::{Quay, interest, message};
use lockgate_model::*;
use std::sync::Arc;

#[test]
fn a_client_hears_once_however_many_of_its_interests_match() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    for (filter, level) in [("x/#", 0), ("x/y", 1), ("+/y", 2)] {
        quay.follow(a, interest(filter, level));
    }
    quay.follow(b, interest("x/+", 0));
    quay.publish(b, "x/y", "both", 1);
    quay.publish(b, "x/z", "one", 1);
    let heard = quay.heard(a);
    let list: Vec<_> = heard.iter().map(|h| (h.body.as_str(), h.consumer)).collect();
    assert_eq!(list, [("both", SETTLING), ("one", PASSING)]);
    assert_eq!(quay.bodies(b), ["both", "one"]);
}

#[test]
fn topics_that_have_one_key_are_told_apart() {
    let mut quay = Quay::new();
    let (dots, levels, all) = (quay.brief("dots"), quay.brief("levels"), quay.brief("all"));
    quay.follow(dots, interest("a.b/c", 0));
    quay.follow(levels, interest("a/b/c", 0));
    quay.follow(all, interest("#", 0));
    quay.publish(all, "a.b/c", "1", 0);
    quay.publish(all, "a/b/c", "2", 0);
    quay.publish(all, "a.b/c", "3", 0);
    quay.publish(all, "$a/b", "hidden", 0);
    assert_eq!(quay.bodies(dots), ["1", "3"]);
    assert_eq!(quay.bodies(levels), ["2"]);
    assert_eq!(quay.bodies(all), ["1", "2", "3"]);
}

#[test]
fn what_has_no_topic_goes_by_its_key_alone() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    quay.follow(a, interest("a.b/c", 0));
    quay.follow(a, interest("#", 0));
    quay.house.publish("amq.topic", "a.b.c", 1);
    let run = Arc::new(Run::single("amq.topic", b"a.b.c", &[0, 0], b"by key", false));
    quay.send(a, Command::Publish { lane: Lane(0), run, confirm: None });
    assert_eq!(quay.bodies(a), ["by key"]);
}

#[test]
fn who_does_not_want_to_hear_itself_hears_all_others() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    quay.follow(a, Interest { not_own: true, ..interest("x", 1) });
    quay.follow(b, interest("x", 0));
    quay.publish(a, "x", "own", 1);
    quay.publish(b, "x", "other", 1);
    assert_eq!(quay.bodies(a), ["other"]);
    assert_eq!(quay.bodies(b), ["own", "other"]);
    // Another interest wants it after all, at its own level.
    quay.follow(a, interest("#", 0));
    quay.publish(a, "x", "own again", 1);
    let heard = quay.heard(a);
    assert_eq!((heard[0].body.as_str(), heard[0].consumer), ("own again", PASSING));
}

#[test]
fn an_interest_that_ends_or_changes_is_obeyed() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    assert!(quay.follow(a, interest("x", 0)).new);
    let changed = quay.follow(a, interest("x", 1));
    assert_eq!(changed, Followed { new: false, consumer: SETTLING });
    quay.publish(a, "x", "1", 1);
    assert_eq!(quay.heard(a)[0].consumer, SETTLING);
    assert!(quay.unfollow(a, "x"));
    assert!(!quay.unfollow(a, "x"));
    quay.publish(a, "x", "2", 1);
    assert_eq!(quay.bodies(a), [""; 0]);
}

#[test]
fn two_filters_of_one_key_end_one_by_one() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    quay.follow(a, interest("a.b", 0));
    quay.follow(a, interest("a/b", 0));
    quay.unfollow(a, "a.b");
    quay.publish(a, "a/b", "still", 0);
    assert_eq!(quay.bodies(a), ["still"]);
    quay.unfollow(a, "a/b");
    quay.publish(a, "a/b", "no more", 0);
    assert_eq!(quay.bodies(a), [""; 0]);
}

#[test]
fn a_key_too_long_for_others_reaches_clients_with_berths_and_is_counted() {
    let mut quay = Quay::new();
    quay.house.lane = Lane(0);
    quay.house.queue("q", &[]);
    let key = "#".into();
    let destination = Destination::Queue("q".into());
    let binding =
        Binding { source: "amq.topic".into(), destination, key, arguments: Table::default() };
    quay.house.ask(Request::Bind(binding)).unwrap();
    let a = quay.brief("a");
    quay.follow(a, interest("#", 0));
    quay.publish(a, &"long/".repeat(60), "far", 0);
    quay.publish(a, &"long/".repeat(60), "far", 0);
    quay.publish(a, "short", "near", 0);
    assert_eq!(quay.bodies(a), ["far", "far", "near"]);
    assert_eq!(quay.house.waiting("q"), Some(1));
    assert_eq!(quay.house.broker.counts().uncrossed, 2);
}

#[test]
fn a_slow_client_loses_the_oldest_of_what_passes_and_no_one_else_anything() {
    let mut quay = Quay::new();
    let (slow, fast) = (quay.brief("slow"), quay.brief("fast"));
    quay.follow(slow, interest("x", 0));
    quay.follow(fast, interest("x", 0));
    // A window full of what it does not take, and three caps more.
    let body = "b".repeat(64 * 1024);
    for _ in 0..64 {
        quay.publish(fast, "x", &body, 0);
        quay.send(fast, Command::Window(1 << 20));
    }
    assert_eq!(quay.heard(fast).len(), 64);
    let taken = quay.heard(slow).len();
    assert!((16..20).contains(&taken), "{taken}");
    let waits = quay.house.broker.counts().messages;
    assert!((14..=16).contains(&waits), "{waits}");
    assert_eq!(quay.house.broker.counts().dropped, 64 - taken as u64 - waits);
}

#[test]
fn nobody_else_uses_what_is_a_clients_alone() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    quay.follow(a, interest("x", 0));
    let get = Request::Get { queue: "a passing".into(), settled: true };
    assert!(matches!(quay.house.ask(get), Err(Refusal::Locked { .. })));
    // And who needs a queue that is somebody's is told so, with nothing changed.
    let b = quay.connect();
    let mut thief = crate::quay::attachment("b", Lasting::Not);
    thief.passing = "a passing".into();
    quay.ask(b, Request::Attach(Box::new(thief))).unwrap();
    let answer = quay.ask(b, Request::Follow(vec![interest("x", 0), interest("x", 1)]));
    let Ok(Answer::Followed(all)) = answer else { panic!("{answer:?}") };
    assert!(matches!(all[0], Err(Refusal::Locked { .. })));
    assert!(all[1].is_ok());
    let run = Arc::new(message("x", "1", 0));
    quay.send(b, Command::Publish { lane: Lane(0), run, confirm: None });
    assert_eq!((quay.bodies(a).len(), quay.bodies(b).len()), (1, 1));
}

#[test]
fn nobody_there_is_told_to_who_wants_to_know() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    let mut run = message("x", "lost", 1);
    run.origins[0].mandatory = true;
    let publish = Command::Publish { lane: Lane(0), run: Arc::new(run), confirm: Some(Ticket(5)) };
    quay.send(a, publish.clone());
    let told = quay.told(a);
    assert!(is_returned(&told));
    assert!(told.iter().any(|e| matches!(e, Event::Returned { ticket: Some(Ticket(5)), .. })));
    // A client that does not want to hear itself is nobody, too.
    quay.follow(a, Interest { not_own: true, ..interest("x", 1) });
    quay.send(a, publish);
    assert!(is_returned(&quay.told(a)));
}
