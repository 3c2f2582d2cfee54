//! Clients come, go, come back, and are displaced.

use crate::quay::{Quay, attachment, interest};
use lockgate_model::*;

#[test]
fn what_came_while_a_client_was_away_waits_for_it() {
    for restart in [None, Some(false), Some(true)] {
        let mut quay = Quay::new();
        let a = quay.lasting("a");
        quay.follow(a, Interest { label: 7, ..interest("x/#", 1) });
        quay.follow(a, interest("y", 0));
        quay.lose(a);
        let b = quay.brief("b");
        quay.publish(b, "x/1", "kept", 1);
        quay.publish(b, "y", "passed", 1);
        if let Some(from_snapshot) = restart {
            quay.restart(from_snapshot);
        }
        let (a, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
        assert!(attached.present);
        let known: Vec<_> = attached
            .interests
            .iter()
            .map(|(i, c)| (i.filter.as_str(), i.level, i.label, *c))
            .collect();
        assert_eq!(known, [("x/#", 1, 7, SETTLING), ("y", 0, 0, PASSING)]);
        assert_eq!(quay.bodies(a), ["kept"]);
        let b = quay.brief("b2");
        quay.publish(b, "x/2", "new", 1);
        quay.publish(b, "y", "heard", 1);
        assert_eq!(quay.bodies(a), ["new", "heard"], "{restart:?}");
    }
}

#[test]
fn a_fresh_start_forgets_and_so_does_a_berth_that_does_not_last() {
    let mut quay = Quay::new();
    let a = quay.lasting("a");
    quay.follow(a, interest("x", 1));
    quay.publish(a, "x", "old", 1);
    let (a, attached) =
        quay.attach(Attachment { fresh: true, ..attachment("a", Lasting::Seconds(9)) });
    assert!(!attached.present && attached.interests.is_empty());
    quay.publish(a, "x", "new", 1);
    assert_eq!(quay.bodies(a), [""; 0]);
    let b = quay.brief("b");
    quay.follow(b, interest("x", 1));
    quay.lose(b);
    assert_eq!(quay.house.waiting("b settling"), None);
    let (_, attached) = quay.attach(attachment("b", Lasting::Not));
    assert!(!attached.present);
}

#[test]
fn a_berth_ends_in_its_time_also_over_a_restart_and_not_before() {
    for restart in [None, Some(false), Some(true)] {
        let mut quay = Quay::new();
        let a = quay.lasting("a");
        quay.follow(a, interest("x", 1));
        quay.lose(a);
        quay.pass(60_000);
        if let Some(from_snapshot) = restart {
            quay.restart(from_snapshot);
        }
        quay.pass(39_000);
        assert_eq!(quay.house.waiting("a settling"), Some(0), "{restart:?}");
        quay.pass(2_000);
        assert_eq!(quay.house.waiting("a settling"), None, "{restart:?}");
        assert_eq!(quay.house.broker.counts().berths, 0);
        // What is over comes back with no log.
        quay.restart(true);
        assert!(!quay.attach(attachment("a", Lasting::Not)).1.present);
    }
}

#[test]
fn a_client_says_when_it_leaves_how_long_it_will_be_away() {
    let mut quay = Quay::new();
    let a = quay.lasting("a");
    quay.follow(a, interest("x", 1));
    let lasting = Some(Lasting::Seconds(1));
    quay.send(a, Command::Depart { will: false, lasting });
    quay.lose(a);
    quay.pass(1_001);
    assert_eq!(quay.house.waiting("a settling"), None);
    let b = quay.attach(attachment("b", Lasting::Always)).0;
    quay.follow(b, interest("x", 1));
    quay.lose(b);
    quay.pass(u64::from(u32::MAX) * 1000);
    assert_eq!(quay.house.waiting("b settling"), Some(0));
}

#[test]
fn who_comes_under_a_name_displaces_who_has_it() {
    let mut quay = Quay::new();
    let old = quay.lasting("a");
    quay.follow(old, interest("x", 1));
    quay.publish(old, "x", "1", 1);
    let held = quay.heard(old);
    let (new, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
    assert!(attached.present);
    assert!(matches!(quay.told(old)[..], [Event::Confirmed { .. }, Event::Displaced]));
    let heard = quay.heard(new);
    assert_eq!((heard[0].body.as_str(), heard[0].again), ("1", true));
    assert_eq!(heard[0].mark, held[0].mark);
    // Nothing that the old one says counts any more.
    quay.settle(old, &held[0], Outcome::Accept);
    assert!(quay.ask(old, Request::Follow(vec![interest("y", 0)])).is_err());
    quay.lose(old);
    quay.lose(new);
    assert_eq!(quay.house.waiting("a settling"), Some(1));
}

#[test]
fn a_client_without_a_lasting_berth_that_is_displaced_leaves_nothing() {
    let mut quay = Quay::new();
    let old = quay.brief("a");
    quay.follow(old, interest("x", 1));
    quay.follow(old, interest("y", 0));
    let (new, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
    assert!(!attached.present);
    quay.follow(new, interest("x", 1));
    quay.publish(new, "x", "1", 1);
    assert_eq!(quay.bodies(new), ["1"]);
    assert_eq!(quay.bodies(old), [""; 0]);
    assert_eq!(quay.house.waiting("a passing"), None);
}

#[test]
fn a_queue_that_is_deleted_takes_its_interests_along_and_then_the_berth() {
    for restart in [false, true] {
        let mut quay = Quay::new();
        let a = quay.lasting("a");
        quay.follow(a, interest("x", 1));
        quay.follow(a, interest("y", 0));
        let (name, if_unused, if_empty) = ("a settling".into(), false, false);
        quay.house.ask(Request::DeleteQueue { name, if_unused, if_empty }).unwrap();
        assert_eq!(quay.house.broker.counts().interests, 1);
        quay.publish(a, "y", "2", 1);
        assert_eq!(quay.bodies(a), ["2"]);
        if restart {
            quay.restart(false);
        } else {
            quay.lose(a);
        }
        let (a, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
        assert!(!attached.present && attached.interests.is_empty());
        assert!(quay.follow(a, interest("x", 1)).new);
        quay.publish(a, "x", "1", 1);
        assert_eq!(quay.bodies(a), ["1"]);
    }
}

#[test]
fn more_than_may_wait_pushes_out_what_came_first() {
    let mut quay = Quay::new();
    let mut wish = attachment("a", Lasting::Seconds(100));
    wish.caps.messages_max = 3;
    let a = quay.attach(wish.clone()).0;
    quay.follow(a, interest("x", 1));
    quay.lose(a);
    let b = quay.brief("b");
    for n in 0..5 {
        quay.publish(b, "x", &n.to_string(), 1);
    }
    assert_eq!(quay.house.broker.counts().dropped, 2);
    let a = quay.attach(wish).0;
    assert_eq!(quay.bodies(a), ["2", "3", "4"]);
}

#[test]
fn too_much_in_all_berths_pushes_out_the_oldest_of_whoever_gets_more() {
    let mut quay = Quay::crowded(5);
    let (a, b) = (quay.lasting("a"), quay.lasting("b"));
    quay.follow(a, interest("x", 1));
    quay.follow(b, interest("y", 1));
    quay.lose(a);
    quay.lose(b);
    let other = quay.brief("other");
    for n in 0..4 {
        quay.publish(other, "x", &n.to_string(), 1);
        quay.publish(other, "y", &n.to_string(), 1);
    }
    assert_eq!(quay.house.broker.counts().dropped, 0, "it has not been looked at yet");
    quay.pass(1_000);
    quay.publish(other, "x", "4", 1);
    quay.publish(other, "x", "5", 1);
    assert_eq!(quay.house.broker.counts().dropped, 2);
    let a = quay.lasting("a");
    assert_eq!(quay.bodies(a), ["2", "3", "4", "5"]);
    // Once there is room again nothing goes.
    quay.pass(1_000);
    quay.publish(other, "y", "4", 1);
    assert_eq!(quay.house.waiting("b settling"), Some(5));
}

#[test]
fn a_virtual_host_takes_its_berths_along() {
    let mut quay = Quay::new();
    let a = quay.lasting("a");
    quay.follow(a, interest("x", 1));
    quay.house.order(Order::DeleteVhost("/".into()));
    assert_eq!(quay.house.broker.counts().berths, 0);
}
