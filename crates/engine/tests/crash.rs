//! Power cuts at any moment: what was confirmed before is there after, in order, and
//! nothing is there that was never published. A planted bug must be found by the same test.

use lockgate_engine::{Engine, Level, Port, Settings};
use lockgate_model::*;
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

const NOW: Time = Time(1_000_000);

fn settings(planted: bool) -> Settings {
    Settings {
        level: Level::Fsync,
        // Small segments and little memory: what waits crosses many of them and is on the disk.
        segment_bytes: 256 * 1024,
        os_flush: std::time::Duration::from_millis(10),
        disk_reserve: 0,
        memory_max: 64 * 1024 * 1024,
        queue_resident: 128 * 1024,
        vhosts: vec!["/".into()],
        seed: 1,
        now: NOW,
        planted,
        fault: Arc::new(|_| {}),
    }
}

/// A session that can be waited for.
struct Client {
    port: Port<SimDisk>,
    bell: Arc<Bell>,
    next: u64,
    events: Vec<Event>,
}

#[derive(Default)]
struct Bell(Mutex<bool>, Condvar);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}

impl Client {
    fn new(engine: &Engine<SimDisk>) -> Client {
        let mut c = Client {
            port: engine.connect(),
            bell: Arc::default(),
            next: 1 << 40,
            events: Vec::new(),
        };
        c.ask(Request::Open { vhost: "/".into(), user: "guest".into() });
        c
    }

    fn poll(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut fresh = Vec::new();
        let ready = self.port.poll_events(&mut Context::from_waker(&waker), &mut fresh);
        self.events.append(&mut fresh);
        matches!(ready, Poll::Ready(()))
    }

    fn wait(&mut self) {
        while !self.poll() {
            let mut rung = self.bell.0.lock().unwrap();
            while !*rung {
                rung = self.bell.1.wait(rung).unwrap();
            }
            *rung = false;
        }
    }

    fn ask(&mut self, request: Request) -> Answer {
        self.next += 1;
        let want = Ticket(self.next);
        let ask = Command::Ask { lane: Lane(1), ticket: want, request };
        self.port.submit(&mut vec![ask], NOW);
        loop {
            let found = self
                .events
                .iter()
                .position(|e| matches!(e, Event::Answer { ticket, .. } if *ticket == want));
            if let Some(i) = found {
                let Event::Answer { result, .. } = self.events.remove(i) else { unreachable!() };
                return result.expect("asked for nothing odd");
            }
            self.wait();
        }
    }

    fn declare(&mut self, name: &str) {
        let spec = QueueSpec {
            name: name.into(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: Table::default(),
        };
        self.ask(Request::DeclareQueue(spec));
    }

    fn publish(&mut self, queue: &str, first: u64, count: u64, size: usize) {
        let mut run = RunBuilder::default();
        for n in first..first + count {
            let mut body = vec![n as u8; size];
            body[..8].copy_from_slice(&n.to_be_bytes());
            run.push(b"", queue.as_bytes(), false, &[0x10, 0, 2], &body, true, 0);
        }
        let run = Arc::new(run.finish());
        let confirm = Some(Ticket(first));
        self.port.submit(&mut vec![Command::Publish { lane: Lane(1), run, confirm }], NOW);
    }

    /// The highest number below which all have been confirmed so far.
    fn confirmed(&mut self) -> u64 {
        self.poll();
        let mut below = 0;
        for e in &self.events {
            if let Event::Confirmed { first, count, .. } = e {
                assert_eq!(first.0, below, "confirmed in order");
                below += u64::from(*count);
            }
        }
        below
    }

    fn get(&mut self, queue: &str) -> Option<(u64, bool)> {
        let Answer::Got(got) = self.ask(Request::Get { queue: queue.into(), settled: true }) else {
            panic!("a get is answered with what was got")
        };
        let got = got?;
        let body = got.run.body(&got.run.items[got.item as usize]);
        let n = u64::from_be_bytes(body[..8].try_into().unwrap());
        assert!(body[8..].iter().all(|b| *b == n as u8), "a body that is not what was sent");
        Some((n, got.redelivered))
    }
}

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
    let open = |planted| {
        let disk = Arc::new(disk.clone());
        Engine::open_on(disk, Arc::new(SimDisk::new()), settings(planted))
            .map_err(|e| e.to_string())
    };
    let (engine, _) = open(planted)?;
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
    disk.crash(plan.seed);
    drop(client);
    drop(engine);

    let (engine, _) = open(false)?;
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
