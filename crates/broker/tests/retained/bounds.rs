//! How much is retained, and how little of it is in memory at a time.

use super::*;
use crate::quay::{attachment, interest};
use lockgate_broker::{Broker, Effects, Io, Settings};
use std::collections::BTreeSet;

#[test]
fn beyond_its_bounds_an_exchange_retains_no_new_topic() {
    let mut quay = Quay::new();
    let settings = Settings { retained_max: 3, retained_bytes_max: 100_000, ..Settings::default() };
    quay.house.settle_in(settings);
    let a = quay.brief("a");
    for topic in ["a", "b", "c", "d"] {
        retain(&mut quay, a, topic, "1", 1);
    }
    retain(&mut quay, a, "b", "2", 1);
    let counts = quay.house.broker.counts();
    assert_eq!((counts.retained, counts.not_retained), (3, 1));
    assert_eq!(told(&mut quay, "#"), pairs(&[("a", "1"), ("b", "2"), ("c", "1")]));
    // There is room again.
    retain(&mut quay, a, "a", "", 1);
    retain(&mut quay, a, "d", &"4".repeat(98_000), 1);
    assert_eq!(quay.house.broker.counts().retained, 3);
    retain(&mut quay, a, "c", "", 1);
    retain(&mut quay, a, "e", &"5".repeat(5_000), 1);
    let counts = quay.house.broker.counts();
    assert_eq!((counts.retained, counts.not_retained), (2, 2), "its bytes are bounded, too");
    // What is there may be replaced, as far as there is room; an older one is not told then.
    retain(&mut quay, a, "b", "3", 1);
    assert_eq!(told(&mut quay, "b"), pairs(&[("b", "3")]));
    retain(&mut quay, a, "b", &"2".repeat(5_000), 1);
    let counts = quay.house.broker.counts();
    assert_eq!((counts.retained, counts.not_retained), (1, 3));
    assert_eq!(told(&mut quay, "b"), []);
    retain(&mut quay, a, "b", "4", 1);
    // Bounds are no reason to forget.
    quay.house.settle_in(Settings { retained_max: 1, ..Settings::default() });
    assert_eq!(quay.house.broker.counts().retained, 2);
}

#[test]
fn levels_count_as_they_cost() {
    let mut quay = Quay::new();
    quay.house.settle_in(Settings { retained_bytes_max: 1 << 20, ..Settings::default() });
    let a = quay.brief("a");
    for (levels, topics) in [(50_000, 0), (1_000, 10), (100, 20)] {
        for n in 0..40 {
            let like = message("x", "1", 1);
            let topic = format!("{n}/{}", vec!["a"; levels].join("/"));
            let mut deep = RunBuilder::default();
            let item = Item { retain: Retain::Wished, ..like.items[0] };
            let names = Names { topic: topic.as_bytes(), ..like.names(&like.items[0]) };
            deep.push_like(item, names, like.parts(&like.items[0]));
            publish(&mut quay, a, deep.finish());
        }
        assert!(quay.house.broker.counts().retained >= topics, "{levels}");
    }
    let counts = quay.house.broker.counts();
    assert!((10..60).contains(&counts.retained), "{counts:?}");
    assert_eq!(counts.retained + counts.not_retained, 120);
}

#[test]
fn names_count_as_they_cost() {
    let mut quay = Quay::new();
    quay.house.settle_in(Settings { retained_bytes_max: 1 << 20, ..Settings::default() });
    let a = quay.brief("a");
    for n in 0..100 {
        retain(&mut quay, a, &format!("{}{n}", "n".repeat(60_000)), "1", 1);
    }
    let counts = quay.house.broker.counts();
    assert_eq!((counts.retained, counts.not_retained), (17, 83));
}

/// Far more than memory may hold goes to a slow reader, a window at a time; meanwhile little of
/// it is in memory, and what waits for the reader is a portion.
#[test]
fn much_is_told_with_little_in_memory() {
    const COUNT: usize = 10_000;
    for level in [0, 1] {
        let mut quay = Quay::new();
        let few = Settings { queue_resident: 256 * 1024, ..Settings::default() };
        quay.house.settle_in(few);
        let a = quay.brief("a");
        let body = "b".repeat(500);
        for n in 0..COUNT {
            retain(&mut quay, a, &format!("x/{}/{n}", n % 7), &body, 0);
        }
        assert!(quay.house.broker.resident() < 400 * 1024, "{}", quay.house.broker.resident());
        let wish = Attachment { in_flight_max: u32::MAX, ..attachment("b", Lasting::Not) };
        let (b, _) = quay.attach(wish);
        quay.follow(b, interest("x/#", level));
        let (mut topics, mut turns, mut told) = (BTreeSet::new(), 0, 0);
        loop {
            let waiting = quay.house.broker.counts().messages;
            let handed = quay.heard(b);
            if handed.is_empty() {
                break;
            }
            turns += 1;
            let held = if level == 0 { 0 } else { handed.len() as u64 };
            assert!(waiting <= held + 2_048, "{waiting} wait beside {held}");
            let resident = quay.house.broker.resident();
            assert!(resident < 2 << 20, "{resident} bytes in memory");
            let mut leases: Vec<_> = handed.iter().filter_map(|h| h.lease).collect();
            leases.dedup();
            told += handed.len();
            let mut sizes =
                handed.iter().fold(Vec::new(), |mut all: Vec<(Option<LeaseId>, u32)>, h| {
                    match all.last_mut() {
                        Some((lease, n)) if *lease == h.lease => *n += 1,
                        _ => all.push((h.lease, 1)),
                    }
                    all
                });
            for (lease, count) in sizes.drain(..) {
                if let Some(lease) = lease {
                    let outcome = Outcome::Accept;
                    quay.send(b, Command::Settle { lease, from: 0, count, outcome });
                }
            }
            topics.extend(handed.into_iter().map(|h| h.topic));
            quay.send(b, Command::Window(1 << 20));
        }
        assert_eq!((topics.len(), told), (COUNT, COUNT), "each once");
        assert!(turns > 5, "{turns} windows");
    }
}

/// Bodies are on the disk, which is slow: others are served meanwhile, and what is replaced
/// before it comes is not told any more.
#[test]
fn what_is_replaced_while_the_disk_turns_is_told_as_it_is_then() {
    // Few are found at once, many one after the other.
    replaced_on_the_way(100, 10_000);
    replaced_on_the_way(2_000, 600);
}

fn replaced_on_the_way(count: usize, size: usize) {
    let mut quay = Quay::new();
    let a = quay.brief("a");
    for n in 0..count {
        retain(&mut quay, a, &format!("x/{n}"), &"1".repeat(size), 0);
    }
    quay.restart(true);
    let (a, b) = (quay.brief("a"), quay.brief("b"));
    let (broker, paper) = (&mut quay.house.broker, &mut quay.house.paper);
    let mut out = Effects::default();
    let ask = |request| Command::Ask { lane: Lane(0), ticket: Ticket(1), request };
    let turn = |broker: &mut Broker, paper: &mut _, out: &mut Effects, session, command| {
        broker.handle(session, command, Time(2_000_000), paper, out);
        broker.deliver(paper, out);
    };
    turn(broker, paper, &mut out, b, ask(Request::Follow(vec![interest("#", 0)])));
    let told = |out: &mut Effects| -> Vec<(String, usize, Retain)> {
        let mut all = Vec::new();
        for e in out.events.drain(..).filter(|e| e.session == b) {
            let Event::Deliver(d) = e.event else { continue };
            for item in d.indices().map(|at| &d.run.items[at]) {
                let topic = String::from_utf8(d.run.topic(item).unwrap().to_vec()).unwrap();
                all.push((topic, item.body.len as usize, item.retain));
            }
        }
        all
    };
    assert_eq!(told(&mut out), []);
    let first: Vec<Io> = out.io.drain(..).collect();
    assert!(!first.is_empty() && first.len() <= 8, "a few blocks ahead, no more");
    for (topic, body) in [("x/0", "new"), ("x/1", "new"), ("x/99", ""), ("x/later", "later")] {
        let run = Arc::new(wished(topic, body, 0, None));
        turn(broker, paper, &mut out, a, Command::Publish { lane: Lane(0), run, confirm: None });
    }
    let news = told(&mut out);
    assert!(news.iter().all(|(.., retain)| *retain == Retain::Wished) && news.len() == 4);
    let (mut loads, mut all) = (first, Vec::new());
    while !loads.is_empty() {
        for io in loads {
            if let Io::Load { key, parts } = io {
                broker.loaded(key, Arc::new(paper.bring(&parts)));
            }
        }
        turn(broker, paper, &mut out, b, Command::Window(1 << 20));
        all.extend(told(&mut out));
        loads = out.io.drain(..).collect();
    }
    assert_eq!(all.len(), count - 3, "all but what was replaced, or cleared, or came later");
    let old = |(topic, bytes, retain): &(String, usize, Retain)| {
        let stays = !["x/0", "x/1", "x/99"].contains(&topic.as_str());
        *bytes == size && *retain == Retain::Replayed && stays
    };
    assert!(all.iter().all(old));
}

/// Who asks for much that is hard to find does not hold up others: it is looked for in turns.
#[test]
fn what_is_hard_to_find_is_looked_for_in_turns() {
    const TOPICS: usize = 40_000;
    let mut quay = Quay::new();
    let a = quay.brief("a");
    for n in 0..TOPICS {
        retain(&mut quay, a, &format!("{n}/x"), "1", 0);
    }
    retain(&mut quay, a, "0/y", "found", 0);
    let b = quay.brief("b");
    let wishes = (0..20).map(|n| interest(&format!("+/{n}"), 0)).chain([interest("+/y", 0)]);
    quay.ask(b, Request::Follow(wishes.collect())).unwrap();
    let mut turns = 0;
    while quay.heard(b).is_empty() {
        turns += 1;
        quay.pass(1);
        assert!(turns < 1_000, "it is found");
    }
    assert!(turns > 5, "{turns} turns");
}

/// A queue that may hold little is given so little at a time that nothing of it is dropped.
#[test]
fn what_is_told_does_not_push_itself_out() {
    for level in [0, 1] {
        let mut quay = Quay::new();
        let a = quay.brief("a");
        for n in 0..2_000 {
            retain(&mut quay, a, &format!("x/{n}"), &"1".repeat(1_000), 1);
        }
        let caps = Caps { messages_max: 50, bytes_max: 9_000, passing_bytes_max: 9_000 };
        let (b, _) = quay.attach(Attachment { caps, ..attachment("b", Lasting::Not) });
        quay.follow(b, interest("x/+", level));
        let mut count = 0;
        loop {
            let heard = quay.heard(b);
            if heard.is_empty() {
                break;
            }
            count += heard.len();
            for h in heard.iter().filter(|h| h.lease.is_some()) {
                // One after the other, as acknowledgements come.
                let lease = h.lease.unwrap();
                let from = heard.iter().filter(|o| o.lease == h.lease).position(|o| o == h);
                let (from, outcome) = (from.unwrap() as u32, Outcome::Accept);
                quay.send(b, Command::Settle { lease, from, count: 1, outcome });
            }
            quay.send(b, Command::Window(1 << 20));
        }
        assert_eq!((count, quay.house.broker.counts().dropped), (2_000, 0), "level {level}");
    }
}
