//! Streams across power cuts at any moment: while entries are appended, kept, rolled into new
//! segments and cut away. What was confirmed is read again at its offset, none of it twice, and
//! none is missing above what retention has cut.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::Engine;
use lockgate_model::{Answer, ApplyTo, Order, Policy, Request, Table, Tier, Time, Value};
use lockgate_wal::Disk;
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Plan {
    /// Messages, their size, and whether to wait for them.
    batches: Vec<(u64, usize, bool)>,
    bounded: bool,
    seed: u64,
    /// How many more writes and syncs there are before the power goes; none: at the end.
    cuts: u8,
}

fn plan() -> impl Strategy<Value = Plan> {
    let batches = prop::collection::vec((1..40u64, 8..4000usize, any::<bool>()), 1..40);
    (batches, any::<bool>(), any::<u64>(), 1..4u8).prop_map(|(batches, bounded, seed, cuts)| Plan {
        batches,
        bounded,
        seed,
        cuts,
    })
}

fn open(disk: &SimDisk) -> Result<Engine<SimDisk>, String> {
    let disk = Arc::new(disk.clone());
    let opened = Engine::open_on(disk, Arc::new(SimDisk::new()), settings(false));
    opened.map(|(engine, _)| engine).map_err(|e| e.to_string())
}

fn arguments(bounded: bool) -> Vec<(&'static str, Value)> {
    let mut arguments = vec![("x-stream-max-segment-size-bytes", Value::I64(40_000))];
    if bounded {
        arguments.push(("x-max-length-bytes", Value::I64(300_000)));
    }
    arguments
}

/// Publishes, lets the power go, looks; and again, with what is left.
fn run(plan: &Plan) -> Result<(), String> {
    let mut disk = SimDisk::new();
    // The message that stands at each offset, as far as it is known to be safe.
    let mut safe: Vec<u64> = Vec::new();
    let mut next = 0;
    for cut in 0..plan.cuts {
        let engine = open(&disk)?;
        let mut client = Client::new(&engine);
        client.declare_stream("s", &arguments(plan.bounded));
        let first = next;
        for (n, (count, size, wait)) in (1..).zip(&plan.batches) {
            client.publish_from("s", next, *count, *size, first);
            next += count;
            if *wait {
                client.settle_down();
                engine.tick(Time(NOW.0 + n * 1_000_000));
            }
        }
        let confirmed = first + client.confirmed();
        let before = disk;
        disk = before.reboot(plan.seed.wrapping_add(cut.into()));
        drop(client);
        drop(engine);

        let engine = open(&disk)?;
        let mut client = Client::new(&engine);
        client.declare_stream("s", &arguments(plan.bounded));
        // One more, to know where to stop: retention goes on meanwhile.
        client.publish_from("s", next, 1, 8, next);
        let mut came = client.read_stream("s", 0, next);
        if plan.bounded
            && let Some(gap) = came.windows(2).rposition(|w| w[0].0 + 1 < w[1].0)
        {
            // What was cut under the reader's eyes is as if it had been cut before.
            came.drain(..=gap);
        }
        next += 1;
        let start = came.first().map_or(0, |(offset, _)| *offset);
        for (n, (offset, _)) in (start..).zip(&came) {
            if n != *offset {
                return Err(format!("offset {offset} where {n} should be"));
            }
        }
        let all: Vec<u64> = came.iter().map(|(_, number)| *number).collect();
        if let Some(w) = all.windows(2).find(|w| w[0] >= w[1]) {
            return Err(format!("{} after {}", w[1], w[0]));
        }
        // What was there before is where it was; what was confirmed since is behind it.
        let expected: Vec<u64> = safe.iter().copied().chain(first..confirmed).collect();
        let from = (start as usize).min(expected.len());
        if !all.starts_with(&expected[from..]) {
            return Err(format!(
                "not what was confirmed, from {start}: {} {}",
                all.len(),
                expected.len()
            ));
        }
        if !plan.bounded && start != 0 {
            return Err(format!("nothing was to be cut, but all below {start} is gone"));
        }
        // Numbers below the first that is left do not matter any more.
        safe.truncate(start as usize);
        safe.extend(std::iter::repeat_n(u64::MAX, (start as usize).saturating_sub(safe.len())));
        safe.extend(all);
        let middle = start + came.len() as u64 / 2;
        let tail = client.read_stream("s", middle, next - 1);
        let same = tail.iter().all(|t| came.contains(t));
        if !same || tail.len() < came.len() / 2 && !plan.bounded {
            return Err(format!("read from {middle} it is something else"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_confirmed_is_read_again_at_its_offset(plan in plan()) {
        prop_assert_eq!(run(&plan), Ok(()));
    }
}

#[test]
fn the_log_stays_short_while_a_stream_grows() {
    let disk = SimDisk::new();
    let engine = open(&disk).unwrap();
    let mut client = Client::new(&engine);
    client.declare_stream("s", &[]);
    let mut now = NOW.0;
    for n in 0..400 {
        client.publish_from("s", n * 10, 10, 3_000, 0);
        client.settle_down();
        now += 60_000_000;
        engine.tick(Time(now));
    }
    client.wait_until(&engine, &mut now, || {
        let names = disk.list().unwrap();
        names.iter().filter(|n| n.ends_with(".segment")).count() < 8
    });
    let names = disk.list().unwrap();
    let stream: Vec<_> = names.iter().filter(|n| n.ends_with(".stream")).collect();
    assert_eq!(stream.len(), 1, "{names:?}");
    assert_eq!(client.read_stream("s", 3_990, 3_999).len(), 10);
}

#[test]
fn a_full_disk_leaves_a_stream_in_the_log_until_there_is_room() {
    let disk = SimDisk::new();
    let engine = open(&disk).unwrap();
    let mut client = Client::new(&engine);
    client.declare_stream("s", &arguments(false));
    client.settle_down();
    let used: u64 = disk.list().unwrap().iter().map(|n| disk.get(n).unwrap().len() as u64).sum();
    disk.set_space(Some(used));
    client.publish_from("s", 0, 30, 3_000, 0);
    client.settle_down();
    disk.set_space(None);
    let mut now = NOW.0;
    client.wait_until(&engine, &mut now, || {
        disk.list().unwrap().iter().any(|n| n.ends_with(".stream"))
    });
    assert_eq!(client.read_stream("s", 0, 29).len(), 30);
}

#[test]
fn a_policy_shortens_a_stream_at_once() {
    let engine = open(&SimDisk::new()).unwrap();
    let mut client = Client::new(&engine);
    client.declare_stream("s", &arguments(false));
    for n in 0..200 {
        client.publish("s", n, 1, 3_000);
        client.settle_down();
        engine.tick(Time(NOW.0 + n * 1_000_000));
    }
    let mut waiting = || match client.ask(Request::FindQueue("s".into())) {
        Answer::Queue { messages, .. } => messages,
        other => panic!("{other:?}"),
    };
    assert_eq!(waiting(), 200);
    let mut definition = Table::default();
    definition.set("max-length-bytes", Value::I64(100_000));
    let (pattern, apply_to) = ("^s$".into(), ApplyTo::Streams);
    let policy = Policy { name: "p".into(), pattern, apply_to, definition, priority: 0 };
    let order = Order::SetPolicy { vhost: "/".into(), tier: Tier::User, policy };
    let now = Time(NOW.0 + 200 * 1_000_000);
    assert_eq!(engine.administer(vec![order], now), [Ok(())]);
    let left = waiting();
    assert!((1..100).contains(&left), "{left} of 200");
}
