//! Exactly once, and power cuts at any moment: a publisher and a subscriber that keep their
//! own side of the bargain, as clients do, process every message once, however often the
//! broker loses what it had not synced.

mod kit;

use kit::{Client, settings};
use lockgate_engine::Engine;
use lockgate_model::*;
use lockgate_wal::sim::SimDisk;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// More than any run takes to its end: what never comes is told as lost.
const STEPS_MAX: u32 = 2_000_000;

#[derive(Clone, Debug)]
struct Plan {
    messages: u16,
    /// How many marks the publisher has: few are used again soon.
    marks: u16,
    /// Steps until each power cut, and what survives it.
    cuts: Vec<(u16, u64)>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let cuts = prop::collection::vec((0..4u16, any::<u64>()), 0..12);
    (1..60u16, 1..6u16, cuts).prop_map(|(messages, marks, cuts)| Plan { messages, marks, cuts })
}

fn open(disk: &SimDisk) -> Engine<SimDisk> {
    let (log, pages) = (Arc::new(disk.clone()), Arc::new(SimDisk::new()));
    Engine::open_on(log, pages, settings(false)).unwrap().0
}

fn attach(engine: &Engine<SimDisk>, name: &str) -> (Client, Attached) {
    let mut client = Client::new(engine);
    let attachment = Attachment {
        client: name.into(),
        exchange: "amq.topic".into(),
        passing: format!("{name} passing").into(),
        settling: format!("{name} settling").into(),
        fresh: false,
        lasting: Lasting::Always,
        will: None,
        // Fewer than are published together: what is sent again comes under others' numbers.
        in_flight_max: 2,
        caps: Caps { messages_max: 1000, bytes_max: 1 << 20, passing_bytes_max: 1 << 20 },
    };
    match client.ask(Request::Attach(Box::new(attachment))) {
        Answer::Attached(attached) => (client, *attached),
        other => panic!("{other:?}"),
    }
}

fn follow(client: &mut Client) {
    let filter = Name::from("t");
    client.ask(Request::Follow(vec![Interest {
        key: "t".into(),
        filter,
        pattern_at: 0,
        group: None,
        level: 2,
        not_own: false,
        as_published: false,
        replay: Replay::Never,
        label: 0,
    }]));
}

/// What a publisher knows of a message under a mark.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Sent(u16),
    Releasing,
}

/// A publisher's own memory, which no power cut touches.
#[derive(Default)]
struct Publisher {
    next: u16,
    open: BTreeMap<Mark, Stage>,
}

impl Publisher {
    fn send(&self, client: &mut Client, mark: Mark) {
        let (lane, confirm) = (Lane(0), Ticket(u64::from(mark.0)));
        let command = match self.open[&mark] {
            Stage::Sent(n) => {
                let item = Item { persistent: true, exact: true, ..Item::default() };
                let names =
                    Names { exchange: b"amq.topic", key: b"t", topic: b"t", mandatory: false };
                let body = n.to_be_bytes();
                let parts = Parts { head: &[0x10, 0, 2], body: &body, native: b"" };
                let mut run = RunBuilder::default();
                run.push_like(item, names, parts);
                let run = Arc::new(run.finish());
                Command::PublishOnce { lane, run, marks: vec![mark], confirm }
            }
            Stage::Releasing => Command::Release { lane, marks: vec![mark], confirm },
        };
        client.submit(command);
    }

    fn step(&mut self, client: &mut Client, plan: &Plan) {
        for event in client.take_events() {
            let Event::Confirmed { first, count: 1, .. } = event else { panic!("{event:?}") };
            let mark = Mark(first.0 as u16);
            match self.open[&mark] {
                Stage::Sent(_) => {
                    self.open.insert(mark, Stage::Releasing);
                    self.send(client, mark);
                }
                Stage::Releasing => drop(self.open.remove(&mark)),
            }
        }
        for mark in (1..=plan.marks).map(Mark) {
            if self.next < plan.messages && !self.open.contains_key(&mark) {
                self.open.insert(mark, Stage::Sent(self.next));
                self.next += 1;
                self.send(client, mark);
            }
        }
    }

    fn come_back(&mut self, engine: &Engine<SimDisk>) -> Client {
        let (mut client, _) = attach(engine, "publisher");
        // What is sent again need not come in the order of the first time.
        let open: Vec<Mark> = self.open.keys().copied().collect();
        open.into_iter().rev().for_each(|mark| self.send(&mut client, mark));
        client
    }

    fn is_done(&self, plan: &Plan) -> bool {
        self.next == plan.messages && self.open.is_empty()
    }
}

/// A subscriber's own memory.
#[derive(Default)]
struct Subscriber {
    processed: Vec<u16>,
    /// Received and not released.
    held: BTreeSet<Mark>,
}

impl Subscriber {
    fn step(&mut self, client: &mut Client) {
        for event in client.take_events() {
            match event {
                Event::Deliver(d) => {
                    for (n, at) in (0u32..).zip(d.indices()) {
                        let mark = Mark::of_entry(d.number + u64::from(n) * u64::from(d.step));
                        let body = d.run.body(&d.run.items[at]);
                        if self.held.insert(mark) {
                            self.processed.push(u16::from_be_bytes(body.try_into().unwrap()));
                        }
                        let (lane, lease) = (Lane(0), d.lease.unwrap());
                        let confirm = Ticket(u64::from(mark.0));
                        let marks = vec![mark];
                        client.submit(Command::Received { lane, lease, from: n, marks, confirm });
                    }
                    client.submit(Command::Window(d.cost));
                }
                Event::Confirmed { first, count: 1, .. } => {
                    self.complete(client, Mark(first.0 as u16));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn complete(&mut self, client: &mut Client, mark: Mark) {
        self.held.remove(&mark);
        client.submit(Command::Completed(vec![mark]));
    }

    fn come_back(&mut self, engine: &Engine<SimDisk>) -> Client {
        let (mut client, attached) = attach(engine, "subscriber");
        assert!(attached.present, "it was confirmed");
        attached.received.into_iter().for_each(|mark| self.complete(&mut client, mark));
        client
    }
}

fn run(plan: &Plan) -> Vec<u16> {
    let mut disk = SimDisk::new();
    let mut engine = open(&disk);
    follow(&mut attach(&engine, "subscriber").0);
    let (mut ours, mut theirs) = (Publisher::default(), Subscriber::default());
    let cuts = plan.cuts.iter().map(|(steps, seed)| (u32::from(*steps), Some(*seed)));
    for (steps, cut) in cuts.chain([(STEPS_MAX, None)]) {
        let (mut a, mut b) = (ours.come_back(&engine), theirs.come_back(&engine));
        for _ in 0..steps {
            ours.step(&mut a, plan);
            theirs.step(&mut b);
            if ours.is_done(plan) && theirs.processed.len() >= plan.messages.into() {
                break;
            }
            std::thread::yield_now();
        }
        let Some(seed) = cut else { break };
        disk = disk.reboot(seed);
        drop((a, b, engine));
        engine = open(&disk);
    }
    theirs.processed.sort_unstable();
    theirs.processed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_is_processed_once_whenever_the_power_goes(plan in plan()) {
        prop_assert_eq!(run(&plan), (0..plan.messages).collect::<Vec<u16>>());
    }
}
