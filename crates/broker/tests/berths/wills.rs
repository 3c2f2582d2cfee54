//! Wills: published once, when they are due, and only then.

use crate::quay::{Quay, attachment, interest, will};
use lockgate_model::*;

/// A listener to all wills, and a client with one.
fn scene(lasting: Lasting, delay: u32) -> (Quay, SessionId, SessionId) {
    let mut quay = Quay::new();
    let ear = quay.lasting("ear");
    quay.follow(ear, interest("wills", 1));
    let wish = Attachment { will: will("wills", "gone", delay), ..attachment("a", lasting) };
    let a = quay.attach(wish).0;
    (quay, ear, a)
}

#[test]
fn a_lost_client_has_its_will_and_one_that_leaves_has_not() {
    for lasting in [Lasting::Not, Lasting::Seconds(100)] {
        let (mut quay, ear, a) = scene(lasting, 0);
        quay.lose(a);
        assert_eq!(quay.bodies(ear), ["gone"], "{lasting:?}");
        quay.pass(1_000_000);
        assert_eq!(quay.bodies(ear), [""; 0]);
        let (mut quay, ear, a) = scene(lasting, 0);
        quay.send(a, Command::Depart { will: false, lasting: None });
        quay.lose(a);
        quay.pass(1_000_000);
        assert_eq!(quay.bodies(ear), [""; 0], "{lasting:?}");
        let (mut quay, ear, a) = scene(lasting, 0);
        quay.send(a, Command::Depart { will: true, lasting: None });
        quay.lose(a);
        assert_eq!(quay.bodies(ear), ["gone"], "{lasting:?}");
    }
}

#[test]
fn a_will_waits_as_long_as_it_says_but_not_beyond_the_berths_end() {
    let (mut quay, ear, a) = scene(Lasting::Seconds(100), 10);
    quay.lose(a);
    quay.pass(9_900);
    assert_eq!(quay.bodies(ear), [""; 0]);
    quay.pass(200);
    assert_eq!(quay.bodies(ear), ["gone"]);
    let (mut quay, ear, a) = scene(Lasting::Seconds(5), 10);
    quay.lose(a);
    quay.pass(5_100);
    assert_eq!(quay.bodies(ear), ["gone"]);
    quay.pass(50_000);
    assert_eq!(quay.bodies(ear), [""; 0]);
}

#[test]
fn who_comes_back_in_time_is_not_lost() {
    let (mut quay, ear, a) = scene(Lasting::Seconds(100), 10);
    quay.lose(a);
    quay.pass(5_000);
    let again = quay.attach(attachment("a", Lasting::Seconds(100))).0;
    quay.pass(50_000);
    quay.lose(again);
    quay.pass(50_000);
    assert_eq!(quay.bodies(ear), [""; 0]);
}

#[test]
fn a_takeover_brings_the_will_that_the_specification_says() {
    // Without a delay at once; with one not, unless the session ends with it.
    let cases = [(0, false, 1), (10, false, 0), (10, true, 1), (0, true, 1)];
    for (delay, fresh, wills) in cases {
        let (mut quay, ear, old) = scene(Lasting::Seconds(100), delay);
        let wish = Attachment { fresh, ..attachment("a", Lasting::Seconds(100)) };
        quay.attach(wish);
        quay.lose(old);
        quay.pass(90_000);
        assert_eq!(quay.bodies(ear).len(), wills, "{delay} {fresh}");
    }
}

#[test]
fn wills_and_their_times_outlive_the_process() {
    for from_snapshot in [false, true] {
        // Away already: as long as was left.
        let (mut quay, _, a) = scene(Lasting::Seconds(100), 10);
        quay.lose(a);
        quay.pass(6_000);
        quay.restart(from_snapshot);
        let ear = quay.lasting("ear");
        quay.pass(3_000);
        assert_eq!(quay.bodies(ear), [""; 0]);
        quay.pass(1_100);
        assert_eq!(quay.bodies(ear), ["gone"]);
        quay.restart(from_snapshot);
        let ear = quay.lasting("ear");
        quay.pass(100_000);
        assert_eq!(quay.bodies(ear), ["gone"], "the unsettled one, and no other");
        // There when the process ended: lost with it, whether its berth lasts or not.
        for lasting in [Lasting::Not, Lasting::Seconds(100)] {
            let (mut quay, _, _) = scene(lasting, 0);
            quay.restart(from_snapshot);
            let ear = quay.lasting("ear");
            assert_eq!(quay.bodies(ear), ["gone"]);
            quay.restart(from_snapshot);
            let ear = quay.lasting("ear");
            assert_eq!(quay.bodies(ear).len(), 1);
        }
    }
}
