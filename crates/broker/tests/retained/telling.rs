//! Who is told what is retained, when, and how.

use super::*;
use crate::kit::house::Paper;
use crate::quay::interest;
use lockgate_broker::{Broker, Effects, Io, Place, Settings};

#[test]
fn a_pattern_is_told_what_matches_it() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    for topic in ["a", "a/b", "a/b/c", "a//c", "/a", "$a/b", "b.c/d"] {
        retain(&mut quay, a, topic, topic, 0);
    }
    let cases: [(&str, &[&str]); 10] = [
        ("#", &["/a", "a", "a//c", "a/b", "a/b/c", "b.c/d"]),
        ("+", &["a"]),
        ("a/#", &["a", "a//c", "a/b", "a/b/c"]),
        ("a/+/c", &["a//c", "a/b/c"]),
        ("+/a", &["/a"]),
        ("+/b", &["a/b"]),
        ("$a/#", &["$a/b"]),
        ("$a/+", &["$a/b"]),
        ("b.c/+", &["b.c/d"]),
        ("b/c/d", &[]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|t| (*t, *t)).collect();
        assert_eq!(told(&mut quay, filter), pairs(&expected), "{filter}");
    }
}

#[test]
fn it_comes_behind_the_answer_as_it_was_published() {
    for level in [0, 1] {
        let mut quay = Quay::new();
        let (a, b) = (quay.brief("a"), quay.lasting("b"));
        retain(&mut quay, a, "x", "0", 0);
        retain(&mut quay, a, "y", "1", 1);
        retain(&mut quay, a, "z", "2", 2);
        let wish = Request::Follow(vec![interest("#", level)]);
        let ask = Command::Ask { lane: Lane(0), ticket: Ticket(5), request: wish };
        quay.house.command(b, ask);
        let told: Vec<&Event> =
            quay.house.told.iter().filter(|(s, _)| *s == b).map(|(_, e)| e).collect();
        assert!(matches!(told[0], Event::Answer { .. }), "{told:?}");
        let mut kinds = Vec::new();
        for event in &told[1..] {
            let Event::Deliver(d) = event else { panic!("{event:?}") };
            assert_eq!(d.lease.is_some(), level > 0);
            assert!(!d.redelivered);
            for item in d.indices().map(|at| &d.run.items[at]) {
                kinds.push((item.persistent, item.exact, item.retain == Retain::Replayed));
            }
        }
        assert_eq!(kinds, [(false, false, true), (true, false, true), (true, true, true)]);
    }
}

#[test]
fn it_is_told_as_often_as_an_interest_wants() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    retain(&mut quay, a, "x", "1", 1);
    let mut follow = |filter: &str, replay| {
        quay.follow(b, Interest { replay, ..interest(filter, 0) });
        replayed(quay.taken(b)).len()
    };
    assert_eq!(follow("x", Replay::Never), 0);
    assert_eq!(follow("x", Replay::IfNew), 0, "it is not new");
    assert_eq!(follow("x", Replay::Always), 1);
    assert_eq!(follow("x", Replay::Always), 1);
    assert_eq!(follow("+", Replay::IfNew), 1, "it is new");
    assert_eq!(follow("$share/g/x", Replay::Always), 0, "it is everybody's");
}

#[test]
fn who_is_there_hears_it_once_and_as_it_was_published() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    quay.follow(b, interest("#", 1));
    retain(&mut quay, a, "x", "1", 1);
    retain(&mut quay, a, "x", "", 1);
    let heard: Vec<_> = quay.taken(b).into_iter().map(|h| (h.body, h.retain)).collect();
    assert_eq!(heard, [("1".to_string(), Retain::Wished), (String::new(), Retain::Wished)]);
}

/// A broker started from the log, which is not committed any further.
fn uncommitted(quay: Quay) -> (Broker, Paper) {
    let mut paper = quay.house.paper;
    let mut broker = Broker::new(Settings::default());
    for (n, (kind, body)) in paper.0.iter().enumerate() {
        let place = Place { pos: (n as u64 + 1) * 1_000_000, len: body.len() as u32 };
        broker.replay(*kind, body, place, &mut Paper::default()).unwrap();
    }
    broker.recovered(true, Time(1_000), &mut paper);
    (broker, paper)
}

/// Somebody follows everything below `x`, or `x` alone; what the answer waits for.
fn follow(broker: &mut Broker, paper: &mut Paper) -> (Effects, u64) {
    let (mut out, session) = (Effects::default(), SessionId(99));
    broker.connect(session);
    let attach = quay::attachment("b", Lasting::Seconds(100));
    for request in [
        Request::Open { vhost: "/".into(), user: "guest".into() },
        Request::Attach(Box::new(attach)),
        Request::Follow(vec![interest("x/#", 2)]),
    ] {
        out.events.clear();
        let ask = Command::Ask { lane: Lane(0), ticket: Ticket(1), request };
        broker.handle(session, ask, Time(1_000), paper, &mut out);
    }
    let after = out.events.last().unwrap().after;
    (out, after)
}

/// How many messages are told in a turn, with what the disk brings meanwhile.
fn turn(broker: &mut Broker, paper: &mut Paper) -> u32 {
    let mut told = 0;
    for _ in 0..3 {
        let mut out = Effects::default();
        broker.deliver(paper, &mut out);
        for io in out.io {
            if let Io::Load { key, parts } = io {
                broker.loaded(key, Arc::new(paper.bring(&parts)));
            }
        }
        let count = |e: &Event| if let Event::Deliver(d) = e { d.count } else { 0 };
        told += out.events.iter().map(|e| count(&e.event)).sum::<u32>();
    }
    told
}

#[test]
fn it_waits_for_the_log_with_the_answer() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    retain(&mut quay, a, "x", "1", 1);
    let (mut broker, mut paper) = uncommitted(quay);
    let (_, after) = follow(&mut broker, &mut paper);
    assert!(after > 0, "the answer waits");
    for committed in [after - 1, after] {
        broker.committed(committed, &mut paper);
        assert_eq!(turn(&mut broker, &mut paper), u32::from(committed == after));
    }
}

#[test]
fn it_ends_with_the_interest() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    let body = "b".repeat(100_000);
    for n in 0..100 {
        retain(&mut quay, a, &format!("x/{n}"), &body, 0);
        retain(&mut quay, a, &format!("y/{n}"), &body, 0);
    }
    for end in [true, false] {
        quay.follow(b, interest("x/#", 0));
        quay.follow(b, interest("y/#", 0));
        let first = quay.heard(b).len();
        assert!((5..20).contains(&first), "a window full: {first}");
        if end {
            assert!(quay.unfollow(b, "x/#"));
        }
        quay.send(b, Command::Window(1 << 20));
        let heard = quay.taken(b);
        quay.send(b, Command::Window(1 << 20));
        let heard = heard.into_iter().chain(quay.taken(b));
        let (of_x, of_y): (Vec<_>, Vec<_>) = heard.partition(|h| h.topic.starts_with("x/"));
        let of_x = of_x.len();
        assert_eq!(of_y.len(), 100);
        // What was under way comes, and one portion.
        assert!(if end { of_x < 15 } else { of_x > 80 }, "{of_x}");
    }
}

#[test]
fn who_is_away_is_told_the_rest_when_it_comes_back() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.lasting("b"));
    for n in 0..5_000 {
        retain(&mut quay, a, &format!("x/{n}"), "body", 1);
    }
    quay.follow(b, interest("x/+", 1));
    let first: Vec<Heard> = quay.heard(b);
    assert_eq!(first.len(), 100, "as many as it may hold");
    quay.lose(b);
    let waiting = quay.house.waiting("b settling").unwrap();
    assert!(waiting <= 2_200, "{waiting}");
    let b = quay.lasting("b");
    let mut topics: Vec<String> = Vec::new();
    loop {
        let heard = quay.taken(b);
        if heard.is_empty() {
            break;
        }
        for h in heard {
            quay.send(
                b,
                Command::Settle {
                    lease: h.lease.unwrap(),
                    from: 0,
                    count: 1,
                    outcome: Outcome::Accept,
                },
            );
            topics.push(h.topic);
        }
    }
    topics.sort();
    topics.dedup();
    assert_eq!(topics.len(), 5_000);
}

/// What is to be delivered exactly once is handed out when the log has it: until then a portion
/// of it waits, and no more.
#[test]
fn no_more_is_copied_than_the_log_keeps_up_with() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    for n in 0..5_000 {
        retain(&mut quay, a, &format!("x/{n}"), "body", 2);
    }
    let (mut broker, mut paper) = uncommitted(quay);
    let (out, after) = follow(&mut broker, &mut paper);
    assert!(!out.events.is_empty());
    broker.committed(after, &mut paper);
    for _ in 0..5 {
        let told = turn(&mut broker, &mut paper);
        let counts = broker.counts();
        assert_eq!((told, counts.messages, counts.dropped), (0, 1_000, 0), "its queue is full");
    }
    let end = (paper.0.len() as u64 + 1) * 1_000_000;
    broker.committed(end, &mut paper);
    assert_eq!(turn(&mut broker, &mut paper), 100, "as many as it may hold");
}
