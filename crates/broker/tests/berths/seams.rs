//! Where berths meet what else there is: snapshots, queues that others declare or delete,
//! exchanges that come and go, and very many of everything.

use crate::kit::house::spec;
use crate::quay::{Quay, attachment, interest, will};
use lockgate_broker::Effects;
use lockgate_model::*;

/// When the broker wants to be looked at next.
fn due(quay: &mut Quay) -> Option<Time> {
    let now = quay.house.now();
    quay.house.broker.tick(now, &mut quay.house.paper, &mut Effects::default())
}

#[test]
fn nothing_of_a_berth_is_due_while_its_client_is_there() {
    let mut quay = Quay::new();
    for fresh in [false, true] {
        for _ in 0..3 {
            let wish =
                Attachment { will: will("w", "gone", 9), ..attachment("a", Lasting::Seconds(100)) };
            let (a, _) = quay.attach(Attachment { fresh, ..wish });
            assert_eq!(due(&mut quay), None);
            quay.lose(a);
            assert!(due(&mut quay).is_some());
            quay.pass(10);
        }
    }
}

#[test]
fn what_waits_for_who_wants_nothing_any_more_is_delivered_after_any_restart() {
    for restart in [None, Some(false), Some(true)] {
        let mut quay = Quay::new();
        let a = quay.lasting("a");
        quay.follow(a, interest("x", 2));
        quay.publish(a, "x", "begun", 2);
        assert_eq!(quay.bodies(a), ["begun"]);
        assert!(quay.unfollow(a, "x"));
        quay.lose(a);
        if let Some(from_snapshot) = restart {
            quay.restart(from_snapshot);
        }
        let (a, attached) = quay.attach(attachment("a", Lasting::Seconds(1)));
        assert!(attached.present && attached.interests.is_empty());
        assert_eq!(quay.bodies(a), ["begun"], "{restart:?}");
        // And its queue ends with it.
        quay.lose(a);
        quay.pass(2_000);
        assert_eq!(quay.house.waiting("a settling"), None, "{restart:?}");
    }
}

#[test]
fn who_has_lost_its_queue_to_others_is_not_told_that_all_is_there() {
    for filter in ["x", "$share/g/x"] {
        for away in [false, true] {
            for restart in [None, Some(false), Some(true)] {
                let mut quay = Quay::new();
                let wish =
                    Attachment { will: will("w", "gone", 9), ..attachment("a", Lasting::Always) };
                let (a, _) = quay.attach(wish);
                quay.follow(a, interest(filter, 1));
                quay.follow(a, interest("y", 1));
                let b = quay.brief("b");
                quay.follow(b, interest("w", 1));
                if away {
                    quay.lose(a);
                }
                let name = interest(filter, 1).group.unwrap_or("a settling".into());
                let delete = Request::DeleteQueue { name, if_unused: false, if_empty: false };
                quay.ask(b, delete).unwrap();
                quay.pass(1);
                if !away {
                    let told = quay.told(a);
                    assert!(matches!(told[..], [Event::Cancelled { .. }]), "{filter} {told:?}");
                    quay.lose(a);
                }
                assert_eq!(quay.bodies(b), ["gone"]);
                if let Some(from_snapshot) = restart {
                    quay.restart(from_snapshot);
                }
                let (_, attached) = quay.attach(attachment("a", Lasting::Always));
                assert!(!attached.present, "{filter} {away} {restart:?}");
            }
        }
    }
}

#[test]
fn a_queue_that_expires_unused_ends_the_berth_that_it_was_for() {
    let mut quay = Quay::new();
    quay.house.policy("p", "settling$", 0, &[("expires", Value::I64(5_000))]);
    let a = quay.lasting("a");
    quay.follow(a, interest("x", 1));
    quay.pass(20_000);
    quay.lose(a);
    quay.pass(6_000);
    quay.pass(1);
    let (_, attached) = quay.attach(attachment("a", Lasting::Seconds(100)));
    assert!(!attached.present);
}

#[test]
fn queues_of_its_names_that_definitions_brought_are_in_no_clients_way() {
    for fresh in [false, true] {
        let mut quay = Quay::new();
        for name in ["a passing", "a settling"] {
            let spec = spec(name, &[]);
            quay.house.order(Order::DeclareQueue { vhost: "/".into(), spec });
            quay.house.publish("", name, 1);
        }
        let (a, attached) =
            quay.attach(Attachment { fresh, ..attachment("a", Lasting::Seconds(9)) });
        assert!(!attached.present);
        assert_eq!(quay.follow(a, interest("x", 0)).consumer, PASSING);
        assert_eq!(quay.follow(a, interest("y", 1)).consumer, SETTLING);
        quay.publish(a, "x", "new", 1);
        // What waited is the client's, unless it begins anew.
        let waited: &[&str] = if fresh { &["new"] } else { &["body", "new"] };
        assert_eq!(quay.bodies(a), waited);
    }
}

#[test]
fn an_exchange_of_the_same_name_is_not_the_one_that_was_followed() {
    let mut quay = Quay::new();
    let exchange = || ExchangeSpec {
        name: "sensors".into(),
        kind: ExchangeKind::Topic,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: Table::default(),
    };
    let wish = || Attachment { exchange: "sensors".into(), ..attachment("a", Lasting::Always) };
    quay.house.ask(Request::DeclareExchange(exchange())).unwrap();
    let (a, _) = quay.attach(wish());
    quay.follow(a, interest("x", 1));
    quay.lose(a);
    assert!(quay.attach(wish()).1.present);
    let gone = Request::DeleteExchange { name: "sensors".into(), if_unused: false };
    quay.house.ask(gone).unwrap();
    quay.house.ask(Request::DeclareExchange(exchange())).unwrap();
    let (_, attached) = quay.attach(wish());
    assert!(!attached.present && attached.interests.is_empty());
}

#[test]
fn who_makes_a_lasting_berth_end_is_told_when_that_is_safe() {
    let mut quay = Quay::new();
    let a = quay.lasting("a");
    quay.lose(a);
    let session = quay.connect();
    let wish = Box::new(Attachment { fresh: true, ..attachment("a", Lasting::Not) });
    let command = Command::Ask { lane: Lane(0), ticket: Ticket(9), request: Request::Attach(wish) };
    let (mut out, now) = (Effects::default(), quay.house.now());
    quay.house.broker.handle(session, command, now, &mut quay.house.paper, &mut out);
    let answer = out.events.iter().find(|e| matches!(e.event, Event::Answer { .. })).unwrap();
    assert!(answer.after > 0, "a crash could bring the old one back");
}

#[test]
fn an_interest_that_is_refused_is_none() {
    let mut quay = Quay::new();
    let declared = spec("a settling", &[]);
    quay.house.order(Order::DeclareQueue { vhost: "/".into(), spec: declared });
    let other = quay.connect();
    let alone = Request::Subscribe(Subscription {
        queue: "a settling".into(),
        consumer: Consumer(7),
        tag: "t".into(),
        settled: false,
        exclusive: true,
        limit: None,
        arguments: Table::default(),
    });
    quay.ask(other, alone).unwrap();
    let a = quay.lasting("a");
    match quay.ask(a, Request::Follow(vec![interest("x", 1), interest("y", 0)])) {
        Ok(Answer::Followed(all)) => {
            assert!(matches!(all[..], [Err(Refusal::ExclusiveUse { .. }), Ok(_)]), "{all:?}");
        }
        other => panic!("{other:?}"),
    }
    quay.publish(a, "x", "1", 1);
    assert_eq!(quay.bodies(other), [""; 0]);
    quay.lose(a);
    let (_, attached) = quay.attach(attachment("a", Lasting::Seconds(9)));
    assert_eq!(attached.interests.len(), 1);
}

#[test]
fn interests_that_are_looked_at_twice_come_again_and_go() {
    let mut quay = Quay::new();
    let (a, b) = (quay.lasting("a"), quay.brief("b"));
    quay.follow(a, interest("x/+", 1));
    let odd = || (0..100).map(|n| Interest { not_own: true, ..interest(&format!("{n}.x/+"), 1) });
    for _ in 0..2 {
        quay.ask(a, Request::Follow(odd().collect())).unwrap();
    }
    quay.publish(b, "7.x/1", "1", 1);
    quay.publish(b, "7/x.1", "not it", 1);
    quay.publish(a, "7.x/1", "own", 1);
    quay.publish(a, "x/1", "2", 1);
    assert_eq!(quay.bodies(a), ["1", "2"]);
    quay.ask(a, Request::Unfollow(odd().map(|i| i.filter).collect())).unwrap();
    quay.publish(b, "7.x/1", "not any more", 1);
    quay.publish(a, "x/1", "3", 1);
    assert_eq!(quay.bodies(a), ["3"]);
    assert_eq!(quay.house.broker.counts().interests, 1);
}

#[test]
fn very_many_berths_that_end_together_do_so_turn_by_turn() {
    let mut quay = Quay::new();
    for n in 0..1_500 {
        let a = quay.lasting(&format!("a{n}"));
        quay.lose(a);
    }
    quay.pass(200_000);
    assert_eq!(quay.house.broker.counts().berths, 500);
    assert!(due(&mut quay).is_none_or(|at| at <= quay.house.now()));
    quay.pass(1);
    assert_eq!(quay.house.broker.counts().berths, 0);
}
