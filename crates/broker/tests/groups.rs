//! Message groups: one group to one consumer at a time, in order, side by side with others.

mod kit;

use kit::{World, table};
use lockgate_model::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Messages, each with its group (0: none) and its number as body.
fn run(messages: &[(u8, u8)]) -> Arc<Run> {
    let mut run = RunBuilder::default();
    for (group, number) in messages {
        let name = format!("group-{group}");
        let headers = (*group > 0).then(|| table(&[("JMSXGroupID", Value::text(&name))]));
        let mut head = Vec::new();
        Properties { headers, ..Properties::default() }.encode(&mut head);
        run.push(b"", b"q", false, &head, &[*group, *number], false, 0);
    }
    Arc::new(run.finish())
}

fn publish(messages: &[(u8, u8)]) -> Command {
    Command::Publish { lane: Lane(1), run: run(messages), confirm: None }
}

fn subscribe(consumer: u32, limit: Option<u32>) -> Command {
    let (queue, tag) = ("q".into(), "t".into());
    let (settled, exclusive, arguments) = (limit.is_none(), false, Table::default());
    let consumer = Consumer(consumer);
    let wish = Subscription { queue, consumer, tag, settled, exclusive, limit, arguments };
    Command::Ask { lane: Lane(1), ticket: Ticket(900), request: Request::Subscribe(wish) }
}

fn cancel(consumer: u32) -> Command {
    let request = Request::Cancel(Consumer(consumer));
    Command::Ask { lane: Lane(1), ticket: Ticket(901), request }
}

/// Consumer, lease and place in it, group and number, flag of each delivered message.
type Given = (u32, Option<(LeaseId, u32)>, (u8, u8), bool);

fn given(events: &[Event]) -> Vec<Given> {
    let mut all = Vec::new();
    for event in events {
        if let Event::Deliver(d) = event {
            for (n, i) in (0..).zip(d.indices()) {
                let body = d.run.body(&d.run.items[i]);
                let lease = d.lease.map(|lease| (lease, n));
                all.push((d.consumer.0, lease, (body[0], body[1]), d.redelivered));
            }
        }
    }
    all
}

fn bodies(given: &[Given], consumer: u32) -> Vec<(u8, u8)> {
    given.iter().filter(|g| g.0 == consumer).map(|g| g.2).collect()
}

fn settle((lease, from): (LeaseId, u32), outcome: Outcome) -> Command {
    Command::Settle { lease, from, count: 1, outcome }
}

#[test]
fn a_busy_groups_messages_wait_for_its_consumer_and_others_pass_them() {
    let mut w = World::with(&["q"]);
    w.run(subscribe(1, Some(1)));
    w.run(subscribe(2, Some(1)));
    let first = given(&w.run(publish(&[(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)])));
    assert_eq!(bodies(&first, 1), [(1, 0)]);
    assert_eq!(bodies(&first, 2), [(2, 0)]);
    let lease = |given: &[Given], consumer: u32| {
        given.iter().find(|g| g.0 == consumer).and_then(|g| g.1).unwrap()
    };
    let second = given(&w.run(settle(lease(&first, 2), Outcome::Accept)));
    assert_eq!(second.iter().map(|g| (g.0, g.2)).collect::<Vec<_>>(), [(2, (2, 1))]);
    let third = given(&w.run(settle(lease(&second, 2), Outcome::Accept)));
    assert_eq!(third, [], "the other group is not for it");
    let fourth = given(&w.run(settle(lease(&first, 1), Outcome::Accept)));
    assert_eq!(bodies(&fourth, 1), [(1, 1)]);
    assert!(!fourth[0].3, "it was never delivered before");
}

#[test]
fn a_group_is_handed_on_when_its_consumer_has_gone_and_given_all_back() {
    let mut w = World::with(&["q"]);
    w.run(subscribe(1, Some(1)));
    let first = given(&w.run(publish(&[(1, 0), (1, 1)])));
    assert_eq!(bodies(&first, 1), [(1, 0)]);
    let told = given(&w.run(subscribe(2, Some(5))));
    assert_eq!(told, []);
    assert_eq!(given(&w.run(cancel(1))), [], "it still holds one");
    let told = given(&w.run(settle(first[0].1.unwrap(), Outcome::Accept)));
    assert_eq!(bodies(&told, 2), [(1, 1)]);
    let more = given(&w.run(publish(&[(1, 2)])));
    assert_eq!(bodies(&more, 2), [(1, 2)]);
}

#[test]
fn what_comes_back_goes_to_the_same_consumer_before_what_follows() {
    let mut w = World::with(&["q"]);
    w.run(subscribe(1, Some(2)));
    w.run(subscribe(2, Some(2)));
    let first = given(&w.run(publish(&[(1, 0), (1, 1), (1, 2)])));
    assert_eq!(bodies(&first, 1), [(1, 0), (1, 1)]);
    let back = given(&w.run(settle(first[0].1.unwrap(), Outcome::Requeue)));
    assert_eq!(back.iter().map(|g| (g.0, g.2, g.3)).collect::<Vec<_>>(), [(1, (1, 0), true)]);
}

#[test]
fn what_is_passed_over_can_be_got_purged_and_counted() {
    let mut w = World::with(&["q"]);
    w.run(subscribe(1, Some(1)));
    w.run(publish(&[(1, 0), (1, 1), (1, 2)]));
    let Ok(Answer::Queue { messages, .. }) = w.ask(Request::FindQueue("q".into())) else {
        panic!("it is there")
    };
    assert_eq!(messages, 2);
    assert_eq!(w.drain("q"), [vec![1, 1], vec![1, 2]]);
    w.run(publish(&[(1, 3), (1, 4)]));
    let Ok(Answer::Removed(went)) = w.ask(Request::Purge("q".into())) else { panic!("purged") };
    assert_eq!(went, 2);
    assert_eq!(w.0.counts().messages, 1);
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<u8>),
    Subscribe(u32),
    Cancel(usize),
    Settle(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(0..5u8, 1..8).prop_map(Step::Publish),
        2 => (0..4u32).prop_map(Step::Subscribe),
        1 => any::<usize>().prop_map(Step::Cancel),
        8 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(n, back)| Step::Settle(n, back)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes and goes: no group is ever in two consumers' hands, each is handed out in
    /// order but for what comes back, and nothing is lost or stuck.
    #[test]
    fn no_group_is_in_two_hands(steps in prop::collection::vec(step(), 1..80)) {
        let mut w = World::with(&["q"]);
        let mut consumers: Vec<u32> = Vec::new();
        let mut held: Vec<Given> = Vec::new();
        let (mut next, mut numbers) = (0u32, HashMap::<u8, u8>::new());
        let (mut newest, mut published, mut settled) = (HashMap::<u8, u8>::new(), 0, 0);
        let mut seen: HashSet<(u8, u8)> = HashSet::new();
        for step in steps {
            let events = match step {
                Step::Publish(groups) => {
                    published += groups.len();
                    let numbered: Vec<(u8, u8)> = groups.into_iter().map(|group| {
                        let n = numbers.entry(group).or_default();
                        *n += 1;
                        (group, *n)
                    }).collect();
                    w.run(publish(&numbered))
                }
                Step::Subscribe(limit) => {
                    next += 1;
                    consumers.push(next);
                    w.run(subscribe(next, Some(limit + 1)))
                }
                Step::Cancel(at) if !consumers.is_empty() => {
                    let consumer = consumers.remove(at % consumers.len());
                    w.run(cancel(consumer))
                }
                Step::Settle(at, back) if !held.is_empty() => {
                    let h = held.remove(at % held.len());
                    settled += usize::from(!back);
                    let outcome = if back { Outcome::Requeue } else { Outcome::Accept };
                    w.run(settle(h.1.unwrap(), outcome))
                }
                _ => continue,
            };
            for g in given(&events) {
                let (group, number) = g.2;
                let fresh = seen.insert(g.2);
                prop_assert_eq!(g.3, !fresh, "flag of {:?}", g.2);
                if group > 0 && fresh {
                    let newest = newest.entry(group).or_default();
                    prop_assert!(*newest < number, "{:?} came after {}", g.2, newest);
                    *newest = number;
                }
                held.push(g);
            }
            let mut holders: BTreeMap<u8, HashSet<u32>> = BTreeMap::new();
            for h in held.iter().filter(|h| h.2.0 > 0) {
                holders.entry(h.2.0).or_default().insert(h.0);
            }
            prop_assert!(holders.values().all(|h| h.len() == 1), "{:?}", holders);
        }
        // One strong consumer takes what is left when all others have given theirs back.
        for c in consumers {
            held.extend(given(&w.run(cancel(c))));
        }
        while let Some(h) = held.pop() {
            settled += 1;
            held.extend(given(&w.run(settle(h.1.unwrap(), Outcome::Accept))));
        }
        let rest = given(&w.run(subscribe(next + 1, None)));
        prop_assert_eq!(rest.len() + settled, published);
        prop_assert_eq!(w.0.counts().messages, 0);
    }
}
