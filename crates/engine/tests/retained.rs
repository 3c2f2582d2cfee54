//! What topics retain, and power cuts at any moment: what was confirmed is retained, or what
//! came later; what was cleared stays so; and it is told whole, from the disk. A planted bug
//! must be found by the same test.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::Engine;
use lockgate_model::*;
use lockgate_wal::Disk;
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Plan {
    /// Topic, bytes of the body, level.
    steps: Vec<(u8, usize, u8)>,
    /// After so many steps the power goes; what survives.
    cuts: Vec<(usize, u64)>,
    /// Time passes: checkpoints are written, segments are emptied.
    ticks: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let size = prop_oneof![1 => Just(0), 5 => 8..6_000usize];
    let steps = prop::collection::vec((0..20u8, size, 0..3u8), 1..200);
    let cuts = prop::collection::vec((0..80usize, any::<u64>()), 1..4);
    (steps, cuts, any::<bool>()).prop_map(|(steps, cuts, ticks)| Plan { steps, cuts, ticks })
}

fn open(disk: &SimDisk, planted: bool) -> Engine<SimDisk> {
    let (log, pages) = (Arc::new(disk.clone()), Arc::new(SimDisk::new()));
    Engine::open_on(log, pages, settings(planted)).unwrap().0
}

fn attach(engine: &Engine<SimDisk>, name: &str) -> Client {
    let mut client = Client::new(engine);
    client.ask(Request::Attach(Box::new(Attachment {
        client: name.into(),
        exchange: "amq.topic".into(),
        passing: format!("{name} passing").into(),
        settling: format!("{name} settling").into(),
        fresh: true,
        lasting: Lasting::Not,
        will: None,
        in_flight_max: 10,
        caps: Caps { messages_max: 1000, bytes_max: 1 << 20, passing_bytes_max: 1 << 20 },
    })));
    client
}

fn publish(client: &Client, n: u64, (topic, size, level): (u8, usize, u8)) {
    let (topic, key) = (format!("t/{topic}"), format!("t.{topic}"));
    let mut body = vec![n as u8; size];
    if size > 0 {
        body[..8].copy_from_slice(&n.to_be_bytes());
    }
    let item =
        Item { persistent: level > 0, exact: level > 1, retain: Retain::Wished, ..Item::default() };
    let names = Names {
        exchange: b"amq.topic",
        key: key.as_bytes(),
        topic: topic.as_bytes(),
        mandatory: false,
    };
    let parts = Parts { head: &[0x10, 0, 2], body: &body, native: b"" };
    let mut run = RunBuilder::default();
    run.push_like(item, names, parts);
    let run = Arc::new(run.finish());
    client.submit(Command::Publish { lane: Lane(0), run, confirm: Some(Ticket(n)) });
}

/// What topics retain, as who comes now is told: by topic, the step that it came by.
fn told(engine: &Engine<SimDisk>) -> BTreeMap<u8, u64> {
    let mut client = attach(engine, "reader");
    client.ask(Request::Follow(vec![Interest {
        key: "t.#".into(),
        filter: "t/#".into(),
        pattern_at: 0,
        group: None,
        level: 0,
        not_own: false,
        as_published: false,
        replay: Replay::Always,
        label: 0,
    }]));
    let (count, mut all) = (engine.counts().retained, BTreeMap::new());
    while (all.len() as u64) < count {
        client.until(|e| matches!(e, Event::Deliver(_)));
        let mut cost = 0;
        for event in client.take_events() {
            let Event::Deliver(d) = event else { continue };
            cost += d.cost;
            for item in d.indices().map(|at| &d.run.items[at]) {
                let topic = std::str::from_utf8(d.run.topic(item).unwrap()).unwrap();
                let body = d.run.body(item);
                let n = u64::from_be_bytes(body[..8].try_into().unwrap());
                assert!(
                    body[8..].iter().all(|b| *b == n as u8),
                    "a body that is not what was sent"
                );
                let before = all.insert(topic[2..].parse().unwrap(), n);
                assert_eq!(before, None, "told once");
            }
        }
        client.submit(Command::Window(cost));
    }
    all
}

/// Runs a plan, and looks after each cut. Says what was lost or wrong.
fn run(plan: &Plan, planted: bool) -> Result<(), String> {
    let mut disk = SimDisk::new();
    let mut retained: BTreeMap<u8, u64> = BTreeMap::new();
    let (mut at, mut now) = (0, NOW.0);
    for (steps, seed) in &plan.cuts {
        let engine = open(&disk, planted);
        let mut client = attach(&engine, "publisher");
        let end = (at + steps).min(plan.steps.len());
        for n in at..end {
            publish(&client, n as u64, plan.steps[n]);
            if plan.ticks && n % 8 == 0 {
                now += 20_000_000;
                engine.tick(Time(now));
            }
        }
        let mut confirmed: BTreeSet<u64> = BTreeSet::new();
        for event in client.take_events() {
            if let Event::Confirmed { first, count, .. } = event {
                confirmed.extend(first.0..first.0 + u64::from(count));
            }
        }
        disk = disk.reboot(*seed);
        drop(client);
        drop(engine);

        let engine = open(&disk, false);
        let found = told(&engine);
        for topic in 0..20 {
            let steps = (at..end).filter(|n| plan.steps[*n].0 == topic);
            let sure = steps.clone().rfind(|n| confirmed.contains(&(*n as u64)));
            let can_be = |n: usize| (plan.steps[n].1 > 0).then_some(n as u64);
            let mut good: Vec<Option<u64>> =
                steps.filter(|n| sure.is_none_or(|sure| *n >= sure)).map(can_be).collect();
            if sure.is_none() {
                good.push(retained.get(&topic).copied());
            }
            let is = found.get(&topic).copied();
            if !good.contains(&is) {
                return Err(format!("topic {topic} retains {is:?}, and it should {good:?}"));
            }
        }
        retained = found;
        at = end;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_confirmed_is_retained_whenever_the_power_goes(plan in plan()) {
        prop_assert_eq!(run(&plan, false), Ok(()));
    }
}

#[test]
fn a_planted_bug_is_found() {
    let steps = (0..100).map(|n| (n % 20, 1_000, 1)).collect();
    let plan = |seed| Plan { steps: Vec::clone(&steps), cuts: vec![(100, seed)], ticks: false };
    assert!((0..50).any(|seed| run(&plan(seed), true).is_err()));
}

/// Replaced again and again, with segments that die or are emptied all the time.
#[test]
fn what_is_replaced_for_ever_takes_no_more_room() {
    let disk = SimDisk::new();
    let engine = open(&disk, false);
    let mut client = attach(&engine, "publisher");
    let mut now = NOW.0;
    for n in 0..20_000u64 {
        // One that stays, and a hundred that come and go.
        let topic = if n == 0 { 200 } else { (n % 100) as u8 };
        publish(&client, n, (topic, 500, 0));
        if n % 500 == 0 {
            client.settle_down();
            now += 10_000_000;
            engine.tick(Time(now));
        }
    }
    for _ in 0..50 {
        now += 10_000_000;
        engine.tick(Time(now));
        client.settle_down();
    }
    assert_eq!(engine.counts().retained, 101);
    let files = disk.list().unwrap();
    let bytes: usize = files.iter().filter_map(|name| disk.get(name)).map(|file| file.len()).sum();
    assert!(bytes < 3 << 20, "{bytes} bytes of what was 10 MB");
    let disk = disk.reboot(1);
    drop(client);
    drop(engine);
    let found = told(&open(&disk, false));
    assert_eq!((found.len(), found[&200]), (101, 0));
    assert!((0..100).all(|t| found[&t] >= 19_900));
}
