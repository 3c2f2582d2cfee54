//! What exchanges hold back or remember, and power cuts at any moment: nothing confirmed is
//! lost, nothing comes early, and what went on does not go on again.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::{Engine, Settings};
use lockgate_model::{ExchangeKind, Request, Table, Time, Value};
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::sync::Arc;

fn table(name: &str, value: Value) -> Table {
    Table(vec![(name.into(), value)])
}

fn open(disk: &SimDisk, now: Time) -> Engine<SimDisk> {
    let (log, pages) = (Arc::new(disk.clone()), Arc::new(SimDisk::new()));
    // Threads of an engine whose machine is gone find no disk: that is no fault of its own.
    let fault = |why: &str| assert!(why.contains("entity not found"), "{why}");
    let settings = Settings { now, fault: Arc::new(fault), ..settings(false) };
    Engine::open_on(log, pages, settings).unwrap().0
}

fn at(ms: u64) -> Time {
    Time(NOW.0 + ms * 1_000)
}

/// How much later than said it is in the end.
const SLACK_MS: u64 = 100;

/// Lets time pass up to a moment, and what is due go on, even if the disk must bring it.
fn pass(engine: &Engine<SimDisk>, ms: u64, goes_on: impl Fn(u64) -> bool) {
    for n in 0..3_000_000 {
        // What cannot go on in one turn, or is not in memory, is looked at a little later.
        engine.tick(at(ms + n * SLACK_MS / 3_000_000));
        if goes_on(engine.counts().delayed) {
            return;
        }
        std::thread::yield_now();
    }
    panic!("at {ms} ms {} are still held back", engine.counts().delayed);
}

#[derive(Clone, Debug)]
struct Plan {
    delays: Vec<(u64, usize)>,
    /// When the power goes.
    cut: u64,
    /// A checkpoint is written on the way.
    checkpoint: bool,
    seed: u64,
}

fn plan() -> impl Strategy<Value = Plan> {
    let delays = prop::collection::vec((1..2_000u64, 8..3_000usize), 1..60);
    (delays, 0..2_500u64, any::<bool>(), any::<u64>())
        .prop_map(|(delays, cut, checkpoint, seed)| Plan { delays, cut, checkpoint, seed })
}

fn declare(client: &mut Client) {
    client.declare("q");
    let arguments = table("x-delayed-type", Value::text("fanout"));
    client.declare_exchange("x", ExchangeKind::Delayed, arguments);
    client.bind("x", "q");
}

/// How many of a plan are not due at a moment.
fn later(plan: &Plan, ms: u64) -> u64 {
    plan.delays.iter().filter(|(delay, _)| *delay > ms).count() as u64
}

fn run(plan: &Plan) -> Result<(), String> {
    let disk = SimDisk::new();
    let engine = open(&disk, NOW);
    let mut client = Client::new(&engine);
    declare(&mut client);
    for (n, (delay, size)) in (0..).zip(&plan.delays) {
        let headers = table("x-delay", Value::I64(*delay as i64));
        client.publish_to("x", n, *size, headers, n);
    }
    // What was left at the gate is published, too, before time passes: delays count from there.
    client.ask(Request::FindQueue("q".into()));
    pass(&engine, plan.cut, |held| held <= later(plan, plan.cut.saturating_sub(8)));
    if plan.checkpoint {
        // Long after, so that one is due; nothing else is.
        client.settle_down();
    }
    let confirmed = client.confirmed();
    let disk = disk.reboot(plan.seed);
    drop(client);
    drop(engine);

    let engine = open(&disk, at(plan.cut));
    let mut client = Client::new(&engine);
    declare(&mut client);
    let mut came = Vec::new();
    for ms in [plan.cut, plan.cut.max(1_000), 10_000] {
        pass(&engine, ms, |held| held <= later(plan, ms.saturating_sub(8)));
        for n in client.drain("q") {
            let (delay, _) = plan.delays[n as usize];
            if delay > ms + SLACK_MS {
                return Err(format!("{n} came at {ms} ms and is due at {delay}"));
            }
            came.push(n);
        }
    }
    came.sort_unstable();
    let twice: Vec<_> = came.windows(2).filter(|w| w[0] == w[1]).collect();
    let lost: Vec<u64> = (0..confirmed).filter(|n| came.binary_search(n).is_err()).collect();
    if twice.is_empty() && lost.is_empty() {
        return Ok(());
    }
    Err(format!("came twice: {twice:?}, confirmed and lost: {lost:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_delayed_message_comes_once_in_its_time_whenever_the_power_goes(plan in plan()) {
        prop_assert_eq!(run(&plan), Ok(()));
    }
}

/// Most of it is on the disk, much of it behind a checkpoint, and some of the log's segments
/// are gone or were emptied by the time that it is due.
#[test]
fn a_long_backlog_goes_on_from_the_disk_in_the_order_of_its_moments() {
    const COUNT: u64 = 3_000;
    let disk = SimDisk::new();
    let engine = open(&disk, NOW);
    let mut client = Client::new(&engine);
    declare(&mut client);
    // Every moment far from its neighbours' place.
    let delay = |n: u64| 10_000 + n * 7_919 % COUNT * 16;
    for n in 0..COUNT {
        client.publish_to("x", n, 1_000, table("x-delay", Value::I64(delay(n) as i64)), n);
    }
    client.settle_down();
    assert!(engine.counts().resident < 400_000, "{}", engine.counts().resident);
    let half = 10_000 + COUNT / 2 * 16;
    pass(&engine, half, |held| held < COUNT / 2);
    let first = client.drain("q");
    let mut expected: Vec<u64> = (0..COUNT).collect();
    expected.sort_unstable_by_key(|n| delay(*n));
    assert!(first == expected[..first.len()], "the first half by their moments");
    for _ in 0..200 {
        engine.tick(at(half));
    }
    client.settle_down();
    let disk = disk.reboot(5);
    drop(client);
    drop(engine);

    let engine = open(&disk, at(half));
    assert_eq!(engine.counts().delayed, COUNT - first.len() as u64);
    let mut client = Client::new(&engine);
    pass(&engine, 100_000, |held| held == 0);
    let resident = engine.counts().resident;
    assert!(resident < 400_000, "{resident} bytes of what went on are in memory");
    assert!(client.drain("q") == expected[first.len()..], "the second half by their moments");
}

#[test]
fn what_was_remembered_is_told_after_a_power_cut() {
    let disk = SimDisk::new();
    let engine = open(&disk, NOW);
    let mut client = Client::new(&engine);
    let arguments = table("x-recent-history-length", Value::I32(300));
    client.declare_exchange("x", ExchangeKind::RecentHistory, arguments);
    (0..1_000).for_each(|n| client.publish_to("x", n, 2_000, Table::default(), n));
    client.settle_down();
    let disk = disk.reboot(3);
    drop(client);
    drop(engine);

    let engine = open(&disk, NOW);
    let mut client = Client::new(&engine);
    client.declare("q");
    client.bind("x", "q");
    assert!(client.drain("q").into_iter().eq(700..1_000), "the last ones, in order");
}
