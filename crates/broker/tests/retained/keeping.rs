//! What is kept, what takes its place, and what ends it.

use super::*;
use crate::quay::{attachment, interest};
use lockgate_broker::record::kind;
use lockgate_broker::{QueueId, record};

#[test]
fn a_topic_retains_its_last_message_until_an_empty_one_clears_it() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    retain(&mut quay, a, "x/y", "1", 0);
    retain(&mut quay, a, "x/y", "2", 1);
    retain(&mut quay, a, "x/z", "3", 2);
    quay.publish(a, "x/y", "not retained", 1);
    quay.publish(a, "x", "not retained", 1);
    assert_eq!(told(&mut quay, "#"), pairs(&[("x/y", "2"), ("x/z", "3")]));
    let counts = quay.house.broker.counts();
    assert_eq!((counts.retained, counts.retained_bytes), (2, 2 * (2 + 1)));
    retain(&mut quay, a, "x/y", "", 1);
    retain(&mut quay, a, "never", "", 1);
    assert_eq!(told(&mut quay, "#"), pairs(&[("x/z", "3")]));
    // Nobody sees the queue that it is in.
    let counts = quay.house.broker.counts();
    assert_eq!((counts.queues, counts.messages, counts.retained), (0, 0, 1));
}

#[test]
fn what_is_retained_is_there_after_a_restart() {
    for from_snapshot in [false, true] {
        let mut quay = Quay::new();
        let a = quay.brief("a");
        for n in 0..300 {
            let body = format!("{n:>1000}");
            retain(&mut quay, a, &format!("x/{}", n % 100), &body, (n % 3) as u8);
        }
        for n in 0..50 {
            retain(&mut quay, a, &format!("x/{n}"), "", (n % 2) as u8);
        }
        for round in 0..3 {
            quay.restart(from_snapshot);
            let all = told(&mut quay, "x/+");
            let expected = (50..100).map(|n| (format!("x/{n}"), format!("{:>1000}", n + 200)));
            assert!(all.into_iter().eq(expected), "round {round}, {from_snapshot}");
            assert_eq!(quay.house.broker.counts().retained, 50);
        }
        let a = quay.brief("a");
        retain(&mut quay, a, "x/50", "new", 0);
        quay.restart(!from_snapshot);
        assert_eq!(told(&mut quay, "x/50"), pairs(&[("x/50", "new")]));
    }
}

#[test]
fn a_message_is_retained_no_longer_than_it_lives() {
    for restart in [None, Some(false), Some(true)] {
        let mut quay = Quay::new();
        let a = quay.brief("a");
        publish(&mut quay, a, wished("short", "1", 1, Some(1_000)));
        publish(&mut quay, a, wished("long", "2", 0, Some(5_000)));
        publish(&mut quay, a, wished("replaced", "3", 1, Some(1_000)));
        retain(&mut quay, a, "replaced", "4", 1);
        quay.pass(900);
        let all = pairs(&[("long", "2"), ("replaced", "4"), ("short", "1")]);
        assert_eq!(told(&mut quay, "+"), all);
        if let Some(from_snapshot) = restart {
            quay.restart(from_snapshot);
        }
        assert_eq!(quay.house.broker.counts().retained, 3, "{restart:?}");
        quay.pass(200);
        let (counts, expired) = (quay.house.broker.counts(), u64::from(restart.is_none()));
        assert_eq!(told(&mut quay, "+"), pairs(&[("long", "2"), ("replaced", "4")]));
        assert!(counts.expired >= expired && counts.retained == 2, "{counts:?}");
        quay.restart(false);
        quay.pass(5_000);
        assert_eq!(told(&mut quay, "+"), pairs(&[("replaced", "4")]));
    }
}

#[test]
fn what_reaches_nobody_is_retained_all_the_same() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    let mut run = wished("x", "1", 1, None);
    run.origins[0].mandatory = true;
    publish(&mut quay, a, run);
    let events = quay.told(a);
    let heard: Vec<&str> = events
        .iter()
        .map(|e| match e {
            Event::Returned { .. } => "returned",
            Event::Confirmed { .. } => "confirmed",
            _ => "else",
        })
        .collect();
    assert_eq!(heard, ["returned", "confirmed"]);
    assert_eq!(told(&mut quay, "x"), pairs(&[("x", "1")]));
}

#[test]
fn a_will_is_retained_if_it_wishes() {
    let mut quay = Quay::new();
    let will = Some(Will { run: Arc::new(wished("gone", "a", 1, None)), delay: 0 });
    let (a, _) = quay.attach(Attachment { will, ..attachment("a", Lasting::Not) });
    quay.lose(a);
    assert_eq!(told(&mut quay, "gone"), pairs(&[("gone", "a")]));
}

#[test]
fn what_is_published_once_is_retained_and_nothing_else_of_a_run() {
    let mut quay = Quay::new();
    let a = quay.lasting("a");
    let mut run = RunBuilder::default();
    let published = [("x", "1", true), ("x", "2", true), ("x", "3", false), ("y", "4", true)];
    for (topic, body, wish) in published.into_iter().chain([("z", "5", true), ("z", "", true)]) {
        let one = if wish { wished(topic, body, 2, None) } else { message(topic, body, 2) };
        run.copy(&one, 0, 1);
    }
    let (run, marks) = (Arc::new(run.finish()), (1..7).map(Mark).collect());
    quay.send(a, Command::PublishOnce { lane: Lane(0), run, marks, confirm: Ticket(1) });
    let confirmed = |e: &Event| if let Event::Confirmed { count, .. } = e { *count } else { 0 };
    assert_eq!(quay.told(a).iter().map(confirmed).sum::<u32>(), 6);
    quay.restart(false);
    assert_eq!(told(&mut quay, "#"), pairs(&[("x", "2"), ("y", "4")]));
}

#[test]
fn each_exchange_retains_its_own_and_forgets_it_when_it_goes() {
    let mut quay = Quay::new();
    let a = quay.connect();
    let (name, kind, arguments) = ("own".into(), ExchangeKind::Topic, Table::default());
    let (durable, auto_delete, internal) = (true, false, false);
    let spec = ExchangeSpec { name, kind, durable, auto_delete, internal, arguments };
    quay.ask(a, Request::DeclareExchange(spec)).unwrap();
    let exchange = Name::from("own");
    let like = wished("x", "1", 1, None);
    let mut run = RunBuilder::default();
    let names = Names { exchange: exchange.as_bytes(), ..like.names(&like.items[0]) };
    run.push_like(like.items[0], names, like.parts(&like.items[0]));
    publish(&mut quay, a, run.finish());
    assert_eq!(told(&mut quay, "x"), []);
    assert_eq!(quay.house.broker.counts().retained, 1);
    let (b, _) =
        quay.attach(Attachment { exchange: exchange.clone(), ..attachment("b", Lasting::Not) });
    quay.follow(b, interest("x", 0));
    assert_eq!(replayed(quay.taken(b)), pairs(&[("x", "1")]));
    quay.ask(a, Request::DeleteExchange { name: exchange, if_unused: false }).unwrap();
    assert_eq!(quay.house.broker.counts().retained, 0);
    quay.restart(true);
    assert_eq!(quay.house.broker.counts().retained, 0);
}

#[test]
fn a_message_without_a_topic_is_not_retained() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    let mut run = Run::single("amq.topic", b"x", &[0, 0], b"1", false);
    run.items[0].retain = Retain::Wished;
    publish(&mut quay, a, run);
    assert_eq!(quay.house.broker.counts().retained, 0);
    assert_eq!(told(&mut quay, "#"), []);
}

/// Segments die only when what lives of them was copied on.
#[test]
fn what_is_retained_moves_on_in_the_log() {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    for n in 0..200 {
        retain(&mut quay, a, &format!("x/{}", n % 40), &format!("{n:>100}"), 0);
    }
    let house = &mut quay.house;
    let old = house.paper.0.len();
    house.move_on();
    let moved = house.paper.0[old..].iter().filter(|(kind, _)| *kind == kind::MOVED).count();
    assert_eq!(moved, 40, "what lives, and nothing else");
    quay.restart(true);
    for (kind, body) in &mut quay.house.paper.0[..old] {
        if *kind == kind::ENQUEUED {
            body.clear();
            record::write_settled(QueueId(0), &[], body);
        }
    }
    let all = told(&mut quay, "x/+");
    assert_eq!(all.len(), 40);
    assert!(all.iter().all(|(_, body)| body.trim().parse::<u32>().unwrap() >= 160));
}
