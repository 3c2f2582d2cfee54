//! The broker against a naive model: queues as plain lists. Whatever sequence of commands
//! comes, both must agree on what is delivered, in which order, with which flag, and on
//! what a restart brings back.

mod memory;
mod queues;
mod steps;

use bytes::Bytes;
use lockgate_broker::{BlockKey, Broker, Effects, Io, PageId, Place, Settings, record};
use lockgate_model::*;
use memory::Memory;
use proptest::prelude::*;
use queues::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use steps::{Step, step};

const NOW: Time = Time(1_000_000_000);

/// What the model knows of a message.
#[derive(Clone, Debug)]
struct Message {
    persistent: bool,
    seen: bool,
    /// How often it came back, where that is counted.
    attempts: u32,
}

/// Messages in somebody's hands.
#[derive(Debug)]
struct Hands {
    session: SessionId,
    consumer: Option<Consumer>,
    lease: LeaseId,
    queue: usize,
    /// None once settled.
    held: Vec<Option<(Spot, Message)>>,
}

#[derive(Clone, Debug)]
struct Reader {
    session: SessionId,
    queue: usize,
    settled: bool,
    limit: Option<u32>,
    held: u32,
}

struct World {
    broker: Broker,
    log: Memory,
    pages: HashMap<PageId, Bytes>,
    snapshot: Option<(u64, Vec<u8>)>,
    sessions: Vec<SessionId>,
    next_session: u32,
    next_id: u32,
    next_consumer: u32,
    /// Ready messages in the order in which they are to be delivered.
    ready: Vec<BTreeMap<Spot, Message>>,
    hands: Vec<Hands>,
    readers: BTreeMap<Consumer, Reader>,
    /// Gets that wait for the disk.
    asked: HashMap<Ticket, (SessionId, usize, bool)>,
    next_ticket: u64,
    /// Messages that were not taken.
    rejected: usize,
    /// Highest id delivered of each queue: below it everything was ready before.
    weight_floor: i64,
}

fn settings() -> Settings {
    // So little stays in memory that most of a backlog is on the disk.
    Settings { queue_resident: 100_000, resident_max: 1_000_000, seed: 7, ..Settings::default() }
}

impl World {
    fn new() -> World {
        let mut w = World {
            broker: Broker::new(settings()),
            log: Memory::default(),
            pages: HashMap::new(),
            snapshot: None,
            sessions: Vec::new(),
            next_session: 1,
            next_id: 1,
            next_consumer: 1,
            ready: vec![BTreeMap::new(); QUEUES],
            hands: Vec::new(),
            readers: BTreeMap::new(),
            asked: HashMap::new(),
            next_ticket: 1,
            rejected: 0,
            weight_floor: 0,
        };
        w.broker.make_vhost("/", &mut w.log);
        w.broker.recovered(true, NOW, &mut w.log);
        w.begin();
        w.weight_floor = w.log.weight;
        w
    }

    /// New sessions, and the queues.
    fn begin(&mut self) {
        self.sessions = (0..3).map(|_| self.connect()).collect();
        for queue in 0..QUEUES {
            let spec = QueueSpec {
                name: name(queue),
                durable: durable(queue),
                exclusive: false,
                auto_delete: false,
                arguments: arguments(queue),
            };
            self.ask(self.sessions[0], Request::DeclareQueue(spec));
        }
    }

    fn connect(&mut self) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        self.broker.connect(id);
        self.ask(id, Request::Open { vhost: "/".into(), user: "guest".into() });
        id
    }

    fn ask(&mut self, session: SessionId, request: Request) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.run(session, Command::Ask { lane: Lane(1), ticket, request });
    }

    /// One turn, with the disk's answers, until all is quiet.
    fn run(&mut self, session: SessionId, command: Command) {
        let mut out = Effects::default();
        self.broker.handle(session, command, NOW, &mut self.log, &mut out);
        self.settle_down(out);
    }

    fn settle_down(&mut self, mut out: Effects) {
        loop {
            self.broker.deliver(&mut self.log, &mut out);
            let events = std::mem::take(&mut out.events);
            let quiet = events.is_empty();
            for effect in events {
                self.told(effect.session, effect.event);
            }
            let mut came: VecDeque<(BlockKey, Arc<Run>)> = VecDeque::new();
            for io in std::mem::take(&mut out.io) {
                match io {
                    Io::Store { page, run } => {
                        let mut bytes = Vec::new();
                        record::write_run(&run, 0, run.items.len(), &mut bytes);
                        self.pages.insert(page, bytes.into());
                    }
                    Io::Free(page) => assert!(self.pages.remove(&page).is_some(), "freed twice"),
                    Io::LoadPage { key, page } => {
                        let run = record::read_run(&self.pages[&page]).unwrap();
                        came.push_back((key, Arc::new(run)));
                    }
                    Io::Load { key, parts } => {
                        let mut all = RunBuilder::default();
                        for part in parts {
                            let Some(place) = part.place else {
                                all.hole(part.count);
                                continue;
                            };
                            let (kind, body) = &self.log.records[&place.pos];
                            let run = record::run_of(*kind, body).unwrap();
                            all.copy(&run, part.skip as usize, (part.skip + part.count) as usize);
                        }
                        came.push_back((key, Arc::new(all.finish())));
                    }
                    of_a_stream => panic!("there is no stream: {of_a_stream:?}"),
                }
            }
            if quiet && came.is_empty() {
                break;
            }
            came.into_iter().for_each(|(key, run)| self.broker.loaded(key, run));
        }
    }

    /// The one at the front of a queue is handed out: it must be this one.
    fn take_front(&mut self, queue: usize, at: Spot, redelivered: bool) -> Message {
        let (first, _) = self.ready[queue].iter().next().expect("something was ready");
        // Letters come in the order of their deaths, which the model does not know.
        assert!(queue == GRAVE || *first == at, "queue {queue} was not delivered in order");
        let m = self.ready[queue].remove(&at).unwrap();
        assert_eq!(m.seen, redelivered, "flag of {at:?}");
        m
    }

    fn order_of(queue: usize, run: &Run, item: usize) -> Spot {
        let item = &run.items[item];
        let body = run.body(item);
        assert_eq!(body.len(), BODY);
        order(queue, item.priority, u32::from_be_bytes(body[..4].try_into().unwrap()))
    }

    fn told(&mut self, session: SessionId, event: Event) {
        match event {
            Event::Deliver(d) => self.delivered(session, &d),
            Event::Answer { ticket, result: Ok(Answer::Got(got)), .. } => {
                let (session, queue, settled) = self.asked.remove(&ticket).expect("asked");
                let Some(got) = got else {
                    assert!(self.ready[queue].is_empty(), "queue {queue} was not empty");
                    return;
                };
                let at = World::order_of(queue, &got.run, got.item as usize);
                let m = self.take_front(queue, at, got.redelivered);
                assert_eq!(got.stamp, stamp(m.attempts), "stamp of {at:?}");
                assert_eq!(got.waiting, self.ready[queue].len() as u64);
                assert_eq!(got.lease.is_none(), settled);
                if let Some(lease) = got.lease {
                    let held = vec![Some((at, Message { seen: true, ..m }))];
                    self.hands.push(Hands { session, consumer: None, lease, queue, held });
                }
            }
            Event::Answer { result, .. } => assert!(result.is_ok(), "{result:?}"),
            Event::Confirmed { .. } => {}
            Event::Rejected { count, .. } => self.rejected += count as usize,
            other => panic!("{other:?}"),
        }
    }

    fn delivered(&mut self, session: SessionId, d: &Delivery) {
        let reader = self.readers[&d.consumer].clone();
        assert_eq!(reader.session, session);
        let mut held = Vec::new();
        for item in d.indices() {
            let at = World::order_of(reader.queue, &d.run, item);
            // Where subscribers take turns, each event holds every n-th: order is looked at below.
            let m = self.ready[reader.queue].remove(&at).expect("was ready");
            assert_eq!(m.seen, d.redelivered, "flag of {at:?}");
            assert_eq!(d.stamp, stamp(m.attempts), "stamp of {at:?}");
            if let Some((last, _)) = held.last().and_then(Option::as_ref) {
                assert!(reader.queue == GRAVE || *last < at, "not in order");
            }
            held.push(Some((at, Message { seen: true, ..m })));
        }
        assert_eq!(d.lease.is_none(), reader.settled);
        if let Some(lease) = d.lease {
            let r = self.readers.get_mut(&d.consumer).unwrap();
            r.held += d.count;
            assert!(r.limit.is_none_or(|l| r.held <= l), "over the limit");
            let consumer = Some(d.consumer);
            self.hands.push(Hands { session, consumer, lease, queue: reader.queue, held });
        }
        // The window is the driver's business: give it back at once.
        let mut out = Effects::default();
        self.broker.handle(session, Command::Window(d.cost), NOW, &mut self.log, &mut out);
        assert!(out.events.is_empty());
    }

    /// Nothing may wait where somebody could take it.
    fn check_quiet(&self) {
        for (queue, ready) in self.ready.iter().enumerate() {
            let taker = self
                .readers
                .values()
                .any(|r| r.queue == queue && (r.settled || r.limit.is_none_or(|l| r.held < l)));
            assert!(
                !taker || ready.is_empty(),
                "queue {queue} has a taker and {} ready",
                ready.len()
            );
        }
        let live: usize = self.ready.iter().map(BTreeMap::len).sum::<usize>()
            + self.hands.iter().flat_map(|h| &h.held).flatten().count();
        assert_eq!(self.broker.counts().messages, live as u64);
    }

    fn put_back(&mut self, queue: usize, messages: impl IntoIterator<Item = (Spot, Message)>) {
        for (at, mut m) in messages {
            m.attempts += u32::from(queue == LIMITED);
            if m.attempts > ATTEMPTS_MAX {
                self.bury(at, m);
            } else {
                self.ready[queue].insert(at, m);
            }
        }
        self.trim(queue);
    }

    /// A message dies: its letter is new where it goes.
    fn bury(&mut self, (_, id): Spot, m: Message) {
        self.ready[GRAVE].insert((0, id), Message { seen: false, attempts: 0, ..m });
    }

    fn trim(&mut self, queue: usize) {
        while queue == BOUNDED && self.ready[queue].len() > LENGTH_MAX {
            let (at, m) = self.ready[queue].pop_first().unwrap();
            self.bury(at, m);
        }
    }

    fn session_ends(&mut self, session: SessionId) {
        self.readers.retain(|_, r| r.session != session);
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.hands).into_iter().partition(|h| h.session == session);
        self.hands = kept;
        for h in gone {
            self.put_back(h.queue, h.held.into_iter().flatten());
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish { queue, count, persistent } => self.publish(queue, count, persistent),
            // Where something is dropped, who takes what first decides what: only gets there.
            Step::Subscribe { queue: BOUNDED | HEAVY, .. } => {}
            Step::Subscribe { session, queue, settled, limit } => {
                let (consumer, session) = (Consumer(self.next_consumer), self.sessions[session]);
                self.next_consumer += 1;
                let limit = (limit > 0).then_some(limit);
                self.readers.insert(consumer, Reader { session, queue, settled, limit, held: 0 });
                self.ask(
                    session,
                    Request::Subscribe(Subscription {
                        queue: name(queue),
                        consumer,
                        tag: "t".into(),
                        settled,
                        exclusive: false,
                        limit,
                        arguments: Table::default(),
                    }),
                );
            }
            Step::Cancel { pick } => {
                let Some(consumer) =
                    self.readers.keys().nth(pick % self.readers.len().max(1)).copied()
                else {
                    return;
                };
                let reader = self.readers.remove(&consumer).unwrap();
                self.hands
                    .iter_mut()
                    .filter(|h| h.consumer == Some(consumer))
                    .for_each(|h| h.consumer = None);
                self.ask(reader.session, Request::Cancel(consumer));
            }
            Step::Settle { pick, from, count, requeue } => self.settle(pick, from, count, requeue),
            Step::Get { session, queue, settled } => {
                let (ticket, session) = (Ticket(self.next_ticket), self.sessions[session]);
                self.asked.insert(ticket, (session, queue, settled));
                self.ask(session, Request::Get { queue: name(queue), settled });
                assert!(self.asked.is_empty());
            }
            Step::Purge { queue } => {
                self.ready[queue].clear();
                self.ask(self.sessions[0], Request::Purge(name(queue)));
            }
            Step::Gone { session } => {
                let old = self.sessions[session];
                self.session_ends(old);
                self.run(old, Command::Gone);
                self.sessions[session] = self.connect();
            }
            Step::Snapshot => self.snapshot = Some((self.log.end, self.broker.snapshot())),
            Step::Compact => self.compact(),
            Step::Restart => self.restart(),
        }
        self.check_quiet();
    }

    /// Every other record that still holds something is copied on; what nothing needs any
    /// more is then truly gone.
    fn compact(&mut self) {
        let end = self.log.end;
        for place in self.broker.live_places(0, end).into_iter().step_by(2) {
            let (kind, body) = self.log.records[&place.pos].clone();
            self.broker.relocate(kind, &body, place, &mut self.log).unwrap();
        }
        self.snapshot = Some((self.log.end, self.broker.snapshot()));
        let live: BTreeSet<u64> =
            self.broker.live_places(0, u64::MAX).iter().map(|p| p.pos).collect();
        self.log.records.retain(|pos, _| live.contains(pos));
    }

    fn publish(&mut self, queue: usize, count: usize, persistent: bool) {
        let (mut run, mut rejected) = (RunBuilder::default(), 0);
        self.rejected = 0;
        for n in 0..count {
            let id = self.next_id;
            self.next_id += 1;
            let mut body = vec![id as u8; BODY];
            body[..4].copy_from_slice(&id.to_be_bytes());
            let mode = if persistent { 2 } else { 1 };
            let priority = (n * 7 % 4) as u8;
            let key = name(queue);
            run.push(b"", key.as_bytes(), false, &[0x10, 0, mode], &body, persistent, priority);
            if queue == HEAVY && self.ready[queue].len() >= FITS {
                rejected += 1;
                continue;
            }
            let m = Message { persistent, seen: false, attempts: 0 };
            self.ready[queue].insert(order(queue, priority, id), m);
        }
        self.trim(queue);
        let run = Arc::new(run.finish());
        self.run(
            self.sessions[0],
            Command::Publish { lane: Lane(1), run, confirm: Some(Ticket(1)) },
        );
        assert_eq!(self.rejected, rejected);
    }

    fn settle(&mut self, pick: usize, from: u32, count: u32, requeue: bool) {
        if self.hands.is_empty() {
            return;
        }
        let at = pick % self.hands.len();
        let h = &mut self.hands[at];
        let to = (from + count).min(h.held.len() as u32);
        // A front never settles an entry twice: cut to the first stretch that is still held.
        let held: Vec<u32> = (from..to).take_while(|i| h.held[*i as usize].is_some()).collect();
        let (Some(from), count) = (held.first().copied(), held.len() as u32) else { return };
        let (session, lease, queue, consumer) = (h.session, h.lease, h.queue, h.consumer);
        let messages: Vec<_> = held.iter().filter_map(|i| h.held[*i as usize].take()).collect();
        if h.held.iter().all(Option::is_none) {
            self.hands.remove(at);
        }
        if let Some(r) = consumer.and_then(|c| self.readers.get_mut(&c)) {
            r.held -= count;
        }
        if requeue {
            self.put_back(queue, messages);
        }
        let outcome = if requeue { Outcome::Requeue } else { Outcome::Accept };
        self.run(session, Command::Settle { lease, from, count, outcome });
    }

    /// The process dies and comes back from its log.
    fn restart(&mut self) {
        // Nobody says any more that something came back.
        self.sessions.clear();
        self.readers.clear();
        for h in std::mem::take(&mut self.hands) {
            self.ready[h.queue].extend(h.held.into_iter().flatten());
        }
        let old = std::mem::take(&mut self.log);
        let mut broker = Broker::new(settings());
        self.log.end = old.end;
        self.log.records = old.records;
        let from = match &self.snapshot {
            Some((covers, bytes)) => {
                broker.apply_snapshot(bytes, &mut self.log).unwrap();
                *covers
            }
            None => 0,
        };
        let tail: Vec<_> = self.log.records.range(from..).map(|(p, r)| (*p, r.clone())).collect();
        for (pos, (kind, body)) in tail {
            let place = Place { pos, len: body.len() as u32 + 1 };
            broker.replay(kind, &body, place, &mut self.log).unwrap();
        }
        broker.recovered(false, NOW, &mut self.log);
        self.broker = broker;
        self.pages.clear();
        for (queue, ready) in self.ready.iter_mut().enumerate() {
            ready.retain(|_, m| m.persistent && durable(queue));
            ready.values_mut().for_each(|m| m.seen = true);
        }
        self.trim(BOUNDED);
        self.begin();
    }

    /// Everything is drained: it must all come, in order, and leave nothing behind.
    fn drain(mut self) {
        for session in self.sessions.clone() {
            self.session_ends(session);
            self.run(session, Command::Gone);
        }
        self.sessions = vec![self.connect()];
        for queue in 0..QUEUES {
            for _ in 0..self.ready[queue].len() {
                self.step(Step::Get { session: 0, queue, settled: true });
            }
            assert!(self.ready[queue].is_empty());
        }
        assert_eq!(self.broker.counts().messages, 0);
        assert_eq!(self.broker.resident(), 0, "memory that nothing needs");
        assert!(self.pages.is_empty(), "pages that nothing needs");
        assert_eq!(self.log.weight, self.weight_floor, "weight that nothing has");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_broker_does_what_plain_lists_do(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.drain();
    }
}
