//! Power cuts at any moment: what was confirmed before is there after, in order, and
//! nothing is there that was never published. A planted bug must be found by the same test.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::Engine;
use lockgate_model::Time;
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Plan {
    batches: Vec<(u64, usize)>,
    /// How many of the first are fetched and settled before the cut.
    fetch: u64,
    tick: bool,
    seed: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let batches = prop::collection::vec((1..40u64, 8..4000usize), 1..30);
    (batches, 0..60u64, any::<bool>(), any::<u64>()).prop_map(|(batches, fetch, tick, seed)| Plan {
        batches,
        fetch,
        tick,
        seed,
    })
}

/// Runs a plan up to the power cut and looks what is left. Says what was lost or wrong.
fn run(plan: &Plan, planted: bool) -> Result<(), String> {
    let disk = SimDisk::new();
    let open = |disk: &SimDisk, planted| {
        let disk = Arc::new(disk.clone());
        Engine::open_on(disk, Arc::new(SimDisk::new()), settings(planted))
            .map_err(|e| e.to_string())
    };
    let (engine, _) = open(&disk, planted)?;
    let mut client = Client::new(&engine);
    client.declare("q");
    let mut sent = 0;
    for (count, size) in &plan.batches {
        client.publish("q", sent, *count, *size);
        sent += count;
        if plan.tick {
            engine.tick(Time(NOW.0 + sent * 1_000_000));
        }
    }
    let fetched = (0..plan.fetch).map_while(|_| client.get("q")).count() as u64;
    let confirmed = client.confirmed();
    let disk = disk.reboot(plan.seed);
    drop(client);
    drop(engine);

    let (engine, _) = open(&disk, false)?;
    let mut client = Client::new(&engine);
    client.declare("q");
    let mut last = None;
    let mut came = Vec::new();
    while let Some((n, redelivered)) = client.get("q") {
        if last.is_some_and(|l| l >= n) || n >= sent || !redelivered {
            return Err(format!("{n} after {last:?} of {sent}, redelivered {redelivered}"));
        }
        last = Some(n);
        came.push(n);
    }
    // What was fetched may come again; what was not must come if it was confirmed.
    let lost: Vec<u64> = (fetched..confirmed).filter(|n| came.binary_search(n).is_err()).collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("confirmed and lost: {lost:?}")) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_confirmed_outlives_a_power_cut(plan in plan()) {
        prop_assert_eq!(run(&plan, false), Ok(()));
    }
}

#[test]
fn confirming_before_the_sync_is_found() {
    let plan = |seed| Plan { batches: vec![(30, 500); 10], fetch: 0, tick: false, seed };
    assert!((0..10).any(|seed| run(&plan(seed), true).is_err()), "the planted bug was not found");
}

/// A message is in the queue that it dies in, or in the one its letter goes to, or in both: never
/// in none, whenever the power goes.
#[test]
fn a_dying_message_is_never_in_no_queue() {
    for seed in 0..40 {
        let disk = SimDisk::new();
        let open = |disk: &SimDisk| {
            let (log, pages) = (Arc::new(disk.clone()), Arc::new(SimDisk::new()));
            Engine::open_on(log, pages, settings(false)).unwrap().0
        };
        let engine = open(&disk);
        let mut client = Client::new(&engine);
        client.declare("dead");
        client.declare_dying("q", "dead");
        client.publish("q", 0, 60, 3_000);
        client.settle_down();
        (0..seed).for_each(|_| client.refuse("q"));
        let disk = disk.reboot(seed);
        drop(client);
        drop(engine);

        let engine = open(&disk);
        let mut client = Client::new(&engine);
        let mut there: Vec<u64> = ["q", "dead"]
            .iter()
            .flat_map(|queue| std::iter::from_fn(|| client.get(queue)).collect::<Vec<_>>())
            .map(|(n, _)| n)
            .collect();
        there.sort_unstable();
        there.dedup();
        assert_eq!(there, (0..60).collect::<Vec<u64>>(), "seed {seed}");
    }
}
