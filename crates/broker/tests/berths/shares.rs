//! Groups: those who share a filter are served in turn, whoever of them is there.

use crate::quay::{Quay, attachment, interest};
use lockgate_model::*;

const SHARED: &str = "$share/g/x/+";

#[test]
fn each_message_goes_to_one_of_the_group_and_to_everybody_else() {
    let mut quay = Quay::new();
    let (a, b, other) = (quay.brief("a"), quay.lasting("b"), quay.brief("other"));
    let first = quay.follow(a, interest(SHARED, 1)).consumer;
    quay.follow(b, interest(SHARED, 0));
    quay.follow(other, interest("x/#", 1));
    quay.follow(a, interest("x/1", 0));
    for n in 0..10 {
        quay.publish(other, "x/1", &n.to_string(), 1);
    }
    let (ours, theirs) = (quay.heard(a), quay.heard(b));
    let shared = ours.iter().filter(|h| h.consumer == first).count();
    assert_eq!((shared, theirs.len()), (5, 5));
    assert_eq!(ours.iter().filter(|h| h.consumer == PASSING).count(), 10);
    assert_eq!(quay.bodies(other).len(), 10);
}

#[test]
fn who_is_away_is_passed_over_and_what_it_held_goes_to_others() {
    let mut quay = Quay::new();
    let (a, b) = (quay.lasting("a"), quay.lasting("b"));
    quay.follow(a, interest(SHARED, 1));
    quay.follow(b, interest(SHARED, 1));
    for n in 0..4 {
        quay.publish(b, "x/1", &n.to_string(), 1);
    }
    quay.heard(b);
    quay.lose(a);
    let again = quay.heard(b);
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|h| h.again));
    quay.publish(b, "x/2", "late", 1);
    assert_eq!(quay.bodies(b), ["late"]);
}

#[test]
fn what_comes_while_nobody_is_there_waits_also_over_a_restart() {
    for from_snapshot in [false, true] {
        let mut quay = Quay::new();
        let a = quay.lasting("a");
        quay.follow(a, interest(SHARED, 1));
        quay.lose(a);
        let b = quay.brief("b");
        quay.publish(b, "x/1", "kept", 1);
        quay.restart(from_snapshot);
        let (a, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
        assert_eq!(attached.interests[0].1, Consumer(2));
        assert_eq!(quay.bodies(a), ["kept"]);
    }
}

#[test]
fn a_group_ends_with_its_last_member_and_not_before() {
    let group = format!("group {SHARED}");
    let mut quay = Quay::new();
    let (a, b) = (quay.lasting("a"), quay.brief("b"));
    quay.follow(a, interest(SHARED, 1));
    quay.follow(b, interest(SHARED, 1));
    quay.lose(b);
    assert_eq!(quay.house.waiting(&group), Some(0));
    assert!(quay.unfollow(a, SHARED));
    assert_eq!(quay.house.waiting(&group), None);
    // Also where all were there for a while only, and the process ended.
    for from_snapshot in [false, true] {
        let b = quay.brief("b");
        quay.follow(b, interest(SHARED, 1));
        assert_eq!(quay.house.waiting(&group), Some(0));
        quay.restart(from_snapshot);
        assert_eq!(quay.house.waiting(&group), None);
    }
}

#[test]
fn two_groups_of_one_pattern_each_hear_all() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    quay.follow(a, interest("$share/g/x", 0));
    quay.follow(b, interest("$share/h/x", 1));
    quay.publish(a, "x", "1", 0);
    assert_eq!((quay.bodies(a), quay.bodies(b)), (vec!["1".into()], vec!["1".to_string()]));
}
