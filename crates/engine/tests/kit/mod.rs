//! A client of the engine that needs no front: it submits, waits and looks.
#![allow(dead_code)] // each test uses what it needs

use lockgate_engine::{Engine, Keeps, Level, Port, Settings};
use lockgate_model::*;
use lockgate_wal::sim::SimDisk;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};

pub const NOW: Time = Time(1_000_000);

pub fn settings(planted: bool) -> Settings {
    Settings {
        level: Level::Fsync,
        // Small segments and little memory: what waits crosses many of them and is on the disk.
        segment_bytes: 256 * 1024,
        os_flush: std::time::Duration::from_millis(10),
        disk_reserve: 0,
        memory_max: 64 * 1024 * 1024,
        queue_resident: 128 * 1024,
        group_header: "JMSXGroupID".into(),
        keeps: Keeps::default(),
        vhosts: vec!["/".into()],
        seed: 1,
        now: NOW,
        planted,
        fault: Arc::new(|_| {}),
    }
}

/// A session that can be waited for.
pub struct Client {
    port: Port<SimDisk>,
    bell: Arc<Bell>,
    next: u64,
    /// Told and not yet looked at.
    pub events: Vec<Event>,
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
    pub fn new(engine: &Engine<SimDisk>) -> Client {
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

    /// Submits one command.
    pub fn submit(&self, command: Command) {
        self.port.submit(&mut vec![command], NOW);
    }

    /// What it has been told since it was last asked.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.poll();
        std::mem::take(&mut self.events)
    }

    /// Waits until it has been told something like this.
    pub fn until(&mut self, told: impl Fn(&Event) -> bool) {
        while !self.events.iter().any(&told) {
            self.wait();
        }
    }

    pub fn wait(&mut self) {
        while !self.poll() {
            let mut rung = self.bell.0.lock().unwrap();
            while !*rung {
                rung = self.bell.1.wait(rung).unwrap();
            }
            *rung = false;
        }
    }

    pub fn ask(&mut self, request: Request) -> Answer {
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

    pub fn declare(&mut self, name: &str) {
        let spec = QueueSpec {
            name: name.into(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            arguments: Table::default(),
        };
        self.ask(Request::DeclareQueue(spec));
    }

    pub fn publish(&mut self, queue: &str, first: u64, count: u64, size: usize) {
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
    pub fn confirmed(&mut self) -> u64 {
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

    pub fn get(&mut self, queue: &str) -> Option<(u64, bool)> {
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

impl Client {
    /// Takes what there is to be told, without waiting.
    pub fn look(&mut self) {
        self.poll();
    }

    /// Waits until everything published before is confirmed: the answer to a durable
    /// declaration comes no sooner.
    pub fn settle_down(&mut self) {
        self.declare(&format!("settled-{}", self.next));
    }

    /// A queue that does not last.
    pub fn declare_fleeting(&mut self, name: &str) {
        let spec = QueueSpec {
            name: name.into(),
            durable: false,
            exclusive: false,
            auto_delete: false,
            arguments: Table::default(),
        };
        self.ask(Request::DeclareQueue(spec));
    }
}

impl Client {
    /// Subscribes without a limit, to settle or not.
    pub fn subscribe(&mut self, queue: &str) {
        self.ask(Request::Subscribe(Subscription {
            queue: queue.into(),
            consumer: Consumer(1),
            tag: "t".into(),
            settled: false,
            exclusive: false,
            limit: None,
            arguments: Table::default(),
        }));
    }

    /// Takes what has been delivered, as a driver does: the window is given back.
    pub fn take_deliveries(&mut self) -> u32 {
        let mut taken = 0;
        loop {
            self.poll();
            let (mut count, mut cost) = (0, 0);
            self.events.retain(|e| match e {
                Event::Deliver(d) => {
                    count += d.count;
                    cost += d.cost;
                    false
                }
                _ => true,
            });
            if count == 0 {
                return taken;
            }
            taken += count;
            self.port.submit(&mut vec![Command::Window(cost)], NOW);
        }
    }
}

impl Client {
    /// A durable queue whose dead letters go to another by the default exchange.
    pub fn declare_dying(&mut self, name: &str, dead: &str) {
        let mut arguments = Table::default();
        arguments.set("x-dead-letter-exchange", Value::text(""));
        arguments.set("x-dead-letter-routing-key", Value::text(dead));
        let (durable, exclusive, auto_delete) = (true, false, false);
        let name = name.into();
        self.ask(Request::DeclareQueue(QueueSpec {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments,
        }));
    }

    /// Takes a message and refuses it.
    pub fn refuse(&mut self, queue: &str) {
        let Answer::Got(Some(got)) = self.ask(Request::Get { queue: queue.into(), settled: false })
        else {
            panic!("there is one")
        };
        let Some(lease) = got.lease else { panic!("it is leased") };
        let settle = Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Discard };
        self.port.submit(&mut vec![settle], NOW);
    }
}

impl Client {
    /// A durable exchange.
    pub fn declare_exchange(&mut self, name: &str, kind: ExchangeKind, arguments: Table) {
        let (durable, auto_delete, internal) = (true, false, false);
        let name = name.into();
        let spec = ExchangeSpec { name, kind, durable, auto_delete, internal, arguments };
        self.ask(Request::DeclareExchange(spec));
    }

    pub fn bind(&mut self, exchange: &str, queue: &str) {
        let (source, destination) = (exchange.into(), Destination::Queue(queue.into()));
        let (key, arguments) = (Default::default(), Table::default());
        self.ask(Request::Bind(Binding { source, destination, key, arguments }));
    }

    /// Publishes message `n` with these headers to an exchange, persistent, to be confirmed
    /// under the ticket.
    pub fn publish_to(&mut self, exchange: &str, n: u64, size: usize, headers: Table, ticket: u64) {
        let mut head = Vec::new();
        let headers = Some(headers);
        Properties { headers, delivery_mode: Some(2), ..Properties::default() }.encode(&mut head);
        let mut body = vec![n as u8; size.max(8)];
        body[..8].copy_from_slice(&n.to_be_bytes());
        let run = Arc::new(Run::single(exchange, b"", &head, &body, false));
        let confirm = Some(Ticket(ticket));
        self.port.submit(&mut vec![Command::Publish { lane: Lane(1), run, confirm }], NOW);
    }

    /// All that is in a queue, taken out.
    pub fn drain(&mut self, queue: &str) -> Vec<u64> {
        std::iter::from_fn(|| self.get(queue)).map(|(n, _)| n).collect()
    }

    /// A stream; returns how many messages it has.
    pub fn declare_stream(&mut self, name: &str, more: &[(&str, Value)]) -> u64 {
        let mut arguments = Table::default();
        arguments.set("x-queue-type", Value::text("stream"));
        more.iter().for_each(|(n, v)| arguments.set(n, v.clone()));
        let (durable, exclusive, auto_delete) = (true, false, false);
        let name = name.into();
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        self.ask(Request::DeclareQueue(spec.clone()));
        match self.ask(Request::DeclareQueue(spec)) {
            Answer::Queue { messages, .. } => messages,
            other => panic!("{other:?}"),
        }
    }

    /// As `publish`, transient, with tickets that count from `base`.
    pub fn publish_from(&mut self, queue: &str, first: u64, count: u64, size: usize, base: u64) {
        let mut run = RunBuilder::default();
        for n in first..first + count {
            let mut body = vec![n as u8; size];
            body[..8].copy_from_slice(&n.to_be_bytes());
            run.push(b"", queue.as_bytes(), false, &[0, 0], &body, false, 0);
        }
        let run = Arc::new(run.finish());
        let confirm = Some(Ticket(first - base));
        self.port.submit(&mut vec![Command::Publish { lane: Lane(1), run, confirm }], NOW);
    }

    /// Reads a stream from an offset up to the message of this number: offset and number.
    pub fn read_stream(&mut self, queue: &str, offset: u64, last: u64) -> Vec<(u64, u64)> {
        let mut arguments = Table::default();
        arguments.set("x-stream-offset", Value::I64(offset as i64));
        let (consumer, lane) = (Consumer(9), Lane(1));
        self.ask(Request::Subscribe(Subscription {
            queue: queue.into(),
            consumer,
            tag: "t".into(),
            settled: false,
            exclusive: false,
            limit: Some(17),
            arguments,
        }));
        let mut came: Vec<(u64, u64)> = Vec::new();
        let done = |came: &[(u64, u64)]| came.last().is_some_and(|(_, n)| *n == last);
        while !done(&came) {
            let (mut back, mut cost) = (Vec::new(), 0);
            for e in self.events.extract_if(.., |e| matches!(e, Event::Deliver(_))) {
                let Event::Deliver(d) = e else { unreachable!() };
                for (n, at) in (0..).zip(d.indices()) {
                    let Stamp::Offset(offset) = d.stamp.of(n, d.step) else { panic!("no offset") };
                    let body = d.run.body(&d.run.items[at]);
                    let n = u64::from_be_bytes(body[..8].try_into().unwrap());
                    assert!(body[8..].iter().all(|b| *b == n as u8), "not what was sent");
                    came.push((offset, n));
                }
                let (lease, count) = (d.lease.unwrap(), d.count);
                back.push(Command::Settle { lease, from: 0, count, outcome: Outcome::Accept });
                cost += d.cost;
            }
            back.push(Command::Window(cost));
            self.port.submit(&mut back, NOW);
            if !done(&came) {
                self.wait();
            }
        }
        self.ask(Request::Cancel(consumer));
        self.port.submit(&mut vec![Command::Leave(lane)], NOW);
        came
    }

    /// Lets time pass until something is so.
    pub fn wait_until(&mut self, engine: &Engine<SimDisk>, now: &mut u64, is: impl Fn() -> bool) {
        while !is() {
            *now += 60_000_000;
            engine.tick(Time(*now));
            self.settle_down();
        }
    }
}
