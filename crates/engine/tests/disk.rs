//! What the engine asks of the disk: little more than what lives, and back from it whatever
//! does not fit in memory.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::{Engine, Settings};
use lockgate_model::{Alarm, Event, Time};
use lockgate_wal::Disk;
use lockgate_wal::sim::SimDisk;
use std::sync::Arc;

struct Machine {
    log: Arc<SimDisk>,
    pages: Arc<SimDisk>,
    engine: Engine<SimDisk>,
    now: Time,
}

impl Machine {
    fn new(settings: Settings) -> Machine {
        let (log, pages) = (Arc::new(SimDisk::new()), Arc::new(SimDisk::new()));
        let (engine, _) = Engine::open_on(Arc::clone(&log), Arc::clone(&pages), settings).unwrap();
        Machine { log, pages, engine, now: NOW }
    }

    fn log_bytes(&self) -> u64 {
        let sizes = self.log.list().unwrap().into_iter().filter(|f| f.ends_with(".segment"));
        sizes.map(|f| self.log.get(&f).map_or(0, |b| b.len() as u64)).sum()
    }

    /// Time passes, a second a turn, until something holds.
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Machine) -> bool) {
        for _ in 0..100_000 {
            if holds(self) {
                return;
            }
            self.now = Time(self.now.0 + 1_000_000);
            self.engine.tick(self.now);
            std::thread::yield_now();
        }
        panic!("{what}: it never came to that");
    }
}

/// One message of every hundred stays: each pins its segment until it is copied on.
#[test]
fn the_log_stays_under_twice_what_lives_and_a_constant() {
    let mut m = Machine::new(settings(false));
    let mut client = Client::new(&m.engine);
    client.declare("goes");
    client.declare("stays");
    let (mut n, size) = (0, 2_000);
    for _ in 0..60 {
        client.publish("goes", n, 99, size);
        client.publish("stays", n + 99, 1, size);
        n += 100;
        while client.get("goes").is_some() {}
    }
    let written = n * size as u64;
    let live = 60 * size as u64;
    // What is being filled, what is prepared, and what the last checkpoints still cover.
    let constant = 4 * 256 * 1024;
    assert!(written > 8 * (2 * live + constant), "the test writes much more than may stay");
    m.until("the log shrinks", |m| m.log_bytes() <= 2 * live + constant);
    for round in 0..60 {
        assert_eq!(client.get("stays").map(|(n, _)| n), Some(round * 100 + 99));
    }
}

/// The same after a crash: what was copied on is found at its new place.
#[test]
fn what_was_copied_on_outlives_a_power_cut() {
    let mut m = Machine::new(settings(false));
    let mut client = Client::new(&m.engine);
    client.declare("goes");
    client.declare("stays");
    for round in 0..40 {
        client.publish("stays", round * 100, 1, 3_000);
        client.publish("goes", round * 100 + 1, 99, 3_000);
        while client.get("goes").is_some() {}
    }
    m.until("the log shrinks", |m| m.log_bytes() <= 6 * 256 * 1024);
    let log = Arc::new(m.log.reboot(7));
    let Machine { pages, engine, .. } = m;
    drop(client);
    drop(engine);
    let (engine, _) = Engine::open_on(log, pages, settings(false)).unwrap();
    let mut client = Client::new(&engine);
    for round in 0..40 {
        assert_eq!(client.get("stays"), Some((round * 100, true)));
    }
    assert_eq!(client.get("stays"), None);
}

#[test]
fn a_long_backlog_is_not_in_memory_and_comes_back_in_order() {
    for queue in ["lasting", "fleeting"] {
        let m = Machine::new(settings(false));
        let mut client = Client::new(&m.engine);
        client.declare("lasting");
        client.declare_fleeting("fleeting");
        for batch in 0..100 {
            client.publish(queue, batch * 50, 50, 1_000);
        }
        let resident = m.engine.counts().resident;
        assert!(resident <= 3 * 128 * 1024, "{resident} bytes of five millions are in memory");
        for n in 0..5_000 {
            assert_eq!(client.get(queue), Some((n, false)), "{queue}");
        }
        assert_eq!(client.get(queue), None);
        assert_eq!(m.engine.counts().resident, 0);
    }
}

/// A consumer that takes everything and settles nothing holds entries, not memory.
#[test]
fn what_is_handed_out_and_not_settled_is_not_in_memory_either() {
    let m = Machine::new(settings(false));
    let mut client = Client::new(&m.engine);
    client.declare_fleeting("q");
    client.subscribe("q");
    let mut taken = 0;
    for batch in 0..100 {
        client.publish("q", batch * 50, 50, 1_000);
        taken += client.take_deliveries();
    }
    // What was left at the gate while another was in comes a little later.
    while taken < 5_000 {
        client.wait();
        taken += client.take_deliveries();
    }
    let resident = m.engine.counts().resident;
    assert!(resident <= 3 * 128 * 1024, "{resident} bytes of five millions are in memory");
    drop(client);
    let mut client = Client::new(&m.engine);
    for n in 0..5_000 {
        assert_eq!(client.get("q"), Some((n, true)));
    }
}

/// What a session publishes after a long silence may be due at once.
#[test]
fn while_anybody_is_there_time_is_asked_for_often_enough() {
    let m = Machine::new(settings(false));
    let client = Client::new(&m.engine);
    let mut now = Time(NOW.0 + 1);
    for _ in 0..10 {
        let next = m.engine.tick(now).unwrap();
        assert!(next.since(now).as_millis() <= 25, "{:?}", next.since(now));
        now = next;
    }
    drop(client);
}

#[test]
fn an_idle_engine_asks_for_little_time() {
    let m = Machine::new(settings(false));
    let first = m.engine.tick(Time(NOW.0 + 1)).unwrap();
    let second = m.engine.tick(first).unwrap();
    assert!(second.since(first).as_millis() >= 200, "{:?}", second.since(first));
}

#[test]
fn a_disk_that_fills_stops_publishers_before_it_is_full_and_lets_them_go_on() {
    let mut m = Machine::new(Settings { disk_reserve: 1024 * 1024, ..settings(false) });
    let mut client = Client::new(&m.engine);
    client.declare("q");
    m.log.set_space(Some(8 * 1024 * 1024));
    let mut n = 0;
    let alarm = |client: &mut Client, raised: bool| {
        client.look();
        let is =
            |e: &Event| matches!(e, Event::Alarm { alarm: Alarm::Disk, raised: r } if *r == raised);
        client.events.iter().any(is)
    };
    while !alarm(&mut client, true) {
        client.publish("q", n, 20, 4_000);
        client.settle_down();
        n += 20;
        assert!(n < 4_000, "the disk is full and nobody was told");
    }
    // Consumers are never stopped, and what they settle makes room.
    for i in 0..n {
        assert_eq!(client.get("q").map(|(n, _)| n), Some(i));
    }
    m.until("the alarm is lifted", |_| alarm(&mut client, false));
}
