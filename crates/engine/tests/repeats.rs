//! What is not to come twice, and power cuts at any moment: a confirmed message is there once,
//! also if it was a repeat that was confirmed, and whoever repeats it later is recognised.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::Engine;
use lockgate_model::{ExchangeKind, QueueSpec, Request, Table, Time, Value};
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who lets nothing pass twice.
#[derive(Clone, Copy, Debug)]
enum Guard {
    Exchange,
    Window,
    Roll,
}

#[derive(Clone, Debug)]
struct Plan {
    guard: Guard,
    /// Ids in the order they are sent: some again.
    ids: Vec<u64>,
    /// So many are sent before time passes, and a checkpoint is written.
    before: usize,
    checkpoints: bool,
    seed: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let guard = prop_oneof![Just(Guard::Exchange), Just(Guard::Window), Just(Guard::Roll)];
    let ids = prop::collection::vec(0..30u64, 1..80);
    (guard, ids, 0..80usize, any::<bool>(), any::<u64>()).prop_map(
        |(guard, ids, before, checkpoints, seed)| Plan { guard, ids, before, checkpoints, seed },
    )
}

fn open(disk: &SimDisk) -> Engine<SimDisk> {
    let (log, pages) = (Arc::new(disk.clone()), Arc::new(SimDisk::new()));
    Engine::open_on(log, pages, settings(false)).unwrap().0
}

fn declare(client: &mut Client, guard: Guard) {
    let mut arguments = Table::default();
    if !matches!(guard, Guard::Exchange) {
        arguments.set("x-message-deduplication", Value::Bool(true));
    }
    if matches!(guard, Guard::Window) {
        arguments.set("x-cache-size", Value::I32(1_000));
    }
    let spec = QueueSpec { name: "q".into(), arguments, ..QueueSpec::nameless(true) };
    client.ask(Request::DeclareQueue(spec));
    let (kind, arguments) = match guard {
        Guard::Exchange => {
            let size = ("x-cache-size".into(), Value::I32(1_000));
            (ExchangeKind::Deduplicating, Table(vec![size]))
        }
        _ => (ExchangeKind::Fanout, Table::default()),
    };
    client.declare_exchange("x", kind, arguments);
    client.bind("x", "q");
}

fn send(client: &mut Client, n: u64, ticket: u64) {
    let id = Value::text(&format!("message {n}"));
    let headers = Table(vec![("x-deduplication-header".into(), id)]);
    client.publish_to("x", n, 600, headers, ticket);
}

fn run(plan: &Plan) -> Result<(), String> {
    let disk = SimDisk::new();
    let engine = open(&disk);
    let mut client = Client::new(&engine);
    declare(&mut client, plan.guard);
    for (n, id) in plan.ids.iter().enumerate() {
        if n == plan.before && plan.checkpoints {
            client.settle_down();
            for second in 0..100 {
                engine.tick(Time(NOW.0 + second * 1_000_000));
                std::thread::yield_now();
            }
        }
        send(&mut client, *id, n as u64);
    }
    let confirmed = client.confirmed() as usize;
    let disk = disk.reboot(plan.seed);
    drop(client);
    drop(engine);

    let engine = open(&disk);
    let mut client = Client::new(&engine);
    declare(&mut client, plan.guard);
    let kept: BTreeSet<u64> = plan.ids[..confirmed].iter().copied().collect();
    let waiting = engine.counts().messages;
    for (ticket, id) in kept.iter().enumerate() {
        send(&mut client, *id, ticket as u64);
    }
    client.settle_down();
    if engine.counts().messages != waiting {
        return Err(format!("{} confirmed ones came again", engine.counts().messages - waiting));
    }
    let all: BTreeSet<u64> = plan.ids.iter().copied().collect();
    all.iter().for_each(|id| send(&mut client, *id, 1_000 + id));
    client.settle_down();
    let mut came = client.drain("q");
    came.sort_unstable();
    if came.into_iter().eq(all) { Ok(()) } else { Err("not each of them once".into()) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 90, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_confirmed_is_there_once_whenever_the_power_goes(plan in plan()) {
        prop_assert_eq!(run(&plan), Ok(()));
    }
}

/// What was consumed long ago, and whose segments are gone, is still known to the window, and
/// no more to who asks only what waits.
#[test]
fn a_window_outlives_its_messages_and_a_checkpoint() {
    for guard in [Guard::Exchange, Guard::Window, Guard::Roll] {
        let disk = SimDisk::new();
        let engine = open(&disk);
        let mut client = Client::new(&engine);
        declare(&mut client, guard);
        (0..900).for_each(|n| send(&mut client, n, n));
        assert_eq!(client.drain("q").len(), 900);
        client.settle_down();
        for second in 0..200 {
            engine.tick(Time(NOW.0 + second * 1_000_000));
            client.settle_down();
        }
        send(&mut client, 900, 0);
        client.settle_down();
        let disk = disk.reboot(9);
        drop(client);
        drop(engine);

        let engine = open(&disk);
        let mut client = Client::new(&engine);
        declare(&mut client, guard);
        (0..=900).for_each(|n| send(&mut client, n, n));
        client.settle_down();
        let came = client.drain("q").len();
        assert_eq!(came, if matches!(guard, Guard::Roll) { 901 } else { 1 }, "{guard:?}");
    }
}
