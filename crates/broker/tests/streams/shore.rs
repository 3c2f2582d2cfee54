//! A broker with a log and segment files that can be seen through, and readers who note what
//! they are given. The disk answers when it is told to; the power can go at any moment.

use bytes::Bytes;
use lockgate_broker::{Broker, Effects, Io, Journal, Place, QueueId, Settings, record};
use lockgate_model::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub const PUBLISHER: SessionId = SessionId(1);

/// A log in memory.
#[derive(Default)]
pub struct Log {
    pub records: Vec<(u8, Bytes, Place)>,
    pub committed: u64,
    pub weights: BTreeMap<u64, i64>,
    /// Where the last record ends.
    last: u64,
}

impl Log {
    pub fn end(&self) -> u64 {
        self.last.max(1)
    }
}

impl Journal for Log {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let mut body = Vec::new();
        write(&mut body);
        let place = Place { pos: self.end(), len: body.len() as u32 + 29 };
        self.records.push((kind, body.into(), place));
        self.last = place.end();
        place
    }

    fn weigh(&mut self, place: Place, delta: i64) {
        *self.weights.entry(place.pos).or_default() += delta;
    }
}

/// A segment file: chunks, each with where it ends.
type Segment = Vec<(u64, (Time, Time), Arc<Run>, u64)>;

/// One reader and what it has been given.
#[derive(Debug, Default)]
pub struct Reader {
    /// Offset and body's number, in order.
    pub seen: Vec<(u64, u64)>,
    pub leases: Vec<(LeaseId, u32)>,
    pub cost: u64,
    pub held: u32,
}

pub struct Shore {
    pub broker: Broker,
    pub log: Log,
    pub files: BTreeMap<(QueueId, u64), Segment>,
    pub jobs: VecDeque<Io>,
    pub readers: BTreeMap<SessionId, Reader>,
    held: VecDeque<(u64, SessionId, Event)>,
    pub now: Time,
    checkpoint: Option<(u64, Vec<u8>)>,
    ticket: u64,
    pub answers: Vec<Result<Answer, Refusal>>,
}

fn settings() -> Settings {
    Settings {
        queue_resident: 48 * 1024,
        resident_max: 1 << 30,
        seed: 1,
        group_header: "g".into(),
        ..Settings::default()
    }
}

impl Shore {
    pub fn new() -> Shore {
        let mut s = Shore {
            broker: Broker::new(settings()),
            log: Log::default(),
            files: BTreeMap::new(),
            jobs: VecDeque::new(),
            readers: BTreeMap::new(),
            held: VecDeque::new(),
            now: Time(1_000_000_000),
            checkpoint: None,
            ticket: 0,
            answers: Vec::new(),
        };
        s.broker.make_vhost("/", &mut s.log);
        s.enter(PUBLISHER);
        s
    }

    pub fn enter(&mut self, session: SessionId) {
        self.broker.connect(session);
        self.ask(session, Request::Open { vhost: "/".into(), user: "guest".into() }).unwrap();
    }

    fn turn(&mut self, act: impl FnOnce(&mut Broker, &mut Log, &mut Effects)) {
        let mut out = Effects::default();
        act(&mut self.broker, &mut self.log, &mut out);
        self.broker.deliver(&mut self.log, &mut out);
        self.jobs.extend(out.io);
        for e in out.events {
            self.held.push_back((e.after, e.session, e.event));
        }
        self.release();
    }

    fn release(&mut self) {
        while let Some((_, session, event)) =
            self.held.pop_front_if(|(after, _, _)| *after <= self.log.committed)
        {
            match event {
                // Who has gone meanwhile hears nothing.
                Event::Deliver(d) => {
                    if let Some(reader) = self.readers.get_mut(&session) {
                        reader.take(&d);
                    }
                }
                Event::Answer { result, .. } => self.answers.push(result),
                _ => {}
            }
        }
    }

    pub fn run(&mut self, session: SessionId, command: Command) {
        let now = self.now;
        self.turn(|b, log, out| b.handle(session, command, now, log, out));
    }

    /// Asks, and waits for the log if need be.
    pub fn ask(&mut self, session: SessionId, request: Request) -> Result<Answer, Refusal> {
        self.ticket += 1;
        let before = self.answers.len();
        let ask = Command::Ask { lane: Lane(1), ticket: Ticket(self.ticket), request };
        self.run(session, ask);
        if self.answers.len() == before {
            self.commit();
        }
        self.answers.pop().expect("an answer")
    }

    pub fn commit(&mut self) {
        self.log.committed = self.log.end();
        self.turn(|b, log, _| b.committed(log.committed, log));
    }

    pub fn declare(&mut self, name: &str, more: &[(&str, Value)]) -> Result<Answer, Refusal> {
        let mut arguments = Table::default();
        arguments.set("x-queue-type", Value::text("stream"));
        more.iter().for_each(|(n, v)| arguments.set(n, v.clone()));
        let (durable, exclusive, auto_delete) = (true, false, false);
        let name = name.into();
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        self.ask(PUBLISHER, Request::DeclareQueue(spec))
    }

    /// Publishes messages numbered from `first` on, none of them persistent.
    pub fn publish(&mut self, queue: &str, first: u64, count: u64, size: usize) {
        let mut run = RunBuilder::default();
        for n in first..first + count {
            let mut body = vec![n as u8; size.max(8)];
            body[..8].copy_from_slice(&n.to_be_bytes());
            run.push(b"", queue.as_bytes(), false, &head(n), &body, false, 0);
        }
        let run = Arc::new(run.finish());
        self.run(PUBLISHER, Command::Publish { lane: Lane(1), run, confirm: None });
    }

    pub fn subscribe(
        &mut self,
        session: SessionId,
        queue: &str,
        offset: Value,
        limit: u32,
        more: &[(&str, Value)],
    ) -> Result<Answer, Refusal> {
        if !self.readers.contains_key(&session) {
            self.enter(session);
            self.readers.insert(session, Reader::default());
        }
        let mut arguments = Table::default();
        arguments.set("x-stream-offset", offset);
        more.iter().for_each(|(n, v)| arguments.set(n, v.clone()));
        let (settled, exclusive, limit) = (false, false, Some(limit));
        let (tag, consumer, queue) = ("t".into(), Consumer(1), queue.into());
        let wish = Subscription { queue, consumer, tag, settled, exclusive, limit, arguments };
        self.ask(session, Request::Subscribe(wish))
    }

    /// A reader is done with everything it was given.
    pub fn settle(&mut self, session: SessionId, outcome: Outcome) {
        let Some(r) = self.readers.get_mut(&session) else { return };
        let (leases, cost) = (std::mem::take(&mut r.leases), std::mem::take(&mut r.cost));
        r.held = 0;
        for (lease, count) in leases {
            self.run(session, Command::Settle { lease, from: 0, count, outcome });
        }
        self.run(session, Command::Window(cost));
    }

    /// How many messages a declaration says there are.
    pub fn count(&mut self, queue: &str) -> u64 {
        match self.ask(PUBLISHER, Request::FindQueue(queue.into())) {
            Ok(Answer::Queue { messages, .. }) => messages,
            other => panic!("{other:?}"),
        }
    }

    pub fn tick(&mut self, later: std::time::Duration) {
        self.now = self.now + later;
        let now = self.now;
        self.turn(|b, log, out| _ = b.tick(now, log, out));
    }

    /// The disk does its next job.
    pub fn work(&mut self) -> bool {
        let Some(job) = self.jobs.pop_front() else { return false };
        match job {
            Io::Keep { stream, segment, bytes, chunks } => {
                self.keep(stream, segment, bytes, chunks)
            }
            Io::Fetch { stream, segment, from, bytes_max } => {
                let file = self.files.get(&(stream, segment)).cloned().unwrap_or_default();
                let at = file.partition_point(|c| c.0 <= from).saturating_sub(1);
                let mut bytes = 0;
                let mut enough = |c: &&(u64, (Time, Time), Arc<Run>, u64)| {
                    let more = bytes < bytes_max;
                    bytes += c.2.bytes.len();
                    more
                };
                let found = file[at.min(file.len())..].iter().take_while(&mut enough);
                let found = found.map(|c| (c.0, Arc::clone(&c.2))).collect();
                self.turn(|b, _, _| {
                    assert!(b.chunks_came(stream, from, found), "{from} is not there")
                });
            }
            Io::Seek { stream, segment, time } => {
                let file = self.files.get(&(stream, segment)).cloned().unwrap_or_default();
                let found = file.iter().find(|c| c.1.1 >= time).map(|c| c.0);
                self.turn(|b, _, _| b.sought(stream, segment, time, found));
            }
            Io::Discard { stream, below, after } if after <= self.log.committed => {
                self.files.retain(|(q, base), _| *q != stream || *base >= below);
            }
            Io::Discard { .. } => self.jobs.push_back(job),
            Io::Load { key, parts } => {
                let mut all = RunBuilder::default();
                for part in parts {
                    let Some(place) = part.place else {
                        all.hole(part.count);
                        continue;
                    };
                    let found = self.log.records.iter().find(|r| r.2 == place);
                    let Some((kind, body, _)) = found else {
                        // It has moved since this was asked.
                        self.turn(|b, _, _| assert!(b.missed(key, place)));
                        return true;
                    };
                    let run = record::run_of(*kind, body).expect("messages");
                    all.copy(&run, part.skip as usize, (part.skip + part.count) as usize);
                }
                self.turn(|b, _, _| b.loaded(key, Arc::new(all.finish())));
            }
            Io::LoadPage { .. } | Io::Store { .. } | Io::Free(_) => {
                panic!("a stream needs no page")
            }
        }
        true
    }

    fn keep(
        &mut self,
        stream: QueueId,
        segment: u64,
        bytes: u64,
        chunks: Vec<lockgate_broker::Chunk>,
    ) {
        let file = self.files.entry((stream, segment)).or_default();
        // What is behind what the log says was torn.
        file.retain(|c| c.3 <= bytes);
        let mut end = 0;
        for chunk in chunks {
            let mut all = RunBuilder::default();
            for s in &chunk.slices {
                all.copy(&s.run, s.item as usize, (s.item + s.count) as usize);
            }
            let run = all.finish();
            let at = file.last().map_or(32, |c| c.3) + 48 + run.bytes.len() as u64;
            end = chunk.first + run.items.len() as u64;
            file.push((chunk.first, chunk.times, Arc::new(run), at));
        }
        let bytes = file.last().map_or(0, |c| c.3);
        self.turn(|b, log, out| b.kept(stream, segment, end, bytes, log, out));
    }

    /// A checkpoint of what is there now.
    pub fn checkpoint(&mut self) {
        self.commit();
        self.checkpoint = Some((self.log.end(), self.broker.snapshot()));
    }

    /// Copies every record that lives to the end of the log and forgets the old ones, as
    /// emptying segments does.
    pub fn compact(&mut self) {
        let end = self.log.end();
        for place in self.broker.live_places(0, end) {
            let (kind, body, _) =
                self.log.records.iter().find(|r| r.2 == place).expect("a record").clone();
            self.turn(|b, log, _| b.relocate(kind, &body, place, log).expect("relocated"));
        }
        self.checkpoint();
        for (pos, weight) in &self.log.weights {
            assert!(*weight == 0 || *pos >= end, "what lived at {pos} has moved");
        }
        self.log.records.retain(|r| r.2.pos >= end);
    }

    /// The power goes: what is not committed is lost, and so is all that files have beyond
    /// what the log says. Sessions are gone.
    pub fn crash(&mut self) {
        let committed = self.log.committed;
        self.log.records.retain(|r| r.2.end() <= committed);
        self.log.last = committed;
        self.log.weights.clear();
        self.held.clear();
        self.jobs.clear();
        self.readers.clear();
        self.broker = Broker::new(settings());
        let mut from = 0;
        if let Some((covers, snapshot)) = &self.checkpoint {
            self.broker.apply_snapshot(snapshot, &mut self.log).expect("a snapshot");
            from = *covers;
        }
        for (kind, body, place) in self.log.records.clone() {
            if place.pos >= from {
                self.broker.replay(kind, &body, place, &mut self.log).expect("a record");
            }
        }
        let kept = self.broker.kept_segments();
        self.files.retain(|id, _| kept.iter().any(|(q, base, _)| (*q, *base) == *id));
        for (q, base, bytes) in kept {
            let file = self.files.get_mut(&(q, base)).expect("what is kept is there");
            file.retain(|c| c.3 <= bytes);
            assert_eq!(file.last().map(|c| c.3), Some(bytes), "all that is kept is there");
        }
        let now = self.now;
        self.broker.recovered(false, now, &mut self.log);
        self.broker.committed(committed, &mut self.log);
        self.enter(PUBLISHER);
    }

    /// Everything that can happen by itself happens: readers settle, the disk works.
    pub fn calm_down(&mut self) {
        for _ in 0..10_000 {
            let before: usize = self.readers.values().map(|r| r.seen.len()).sum();
            self.commit();
            while self.jobs.iter().any(|j| !matches!(j, Io::Discard { .. })) {
                self.work();
            }
            let sessions: Vec<SessionId> = self.readers.keys().copied().collect();
            sessions.into_iter().for_each(|s| self.settle(s, Outcome::Accept));
            let after: usize = self.readers.values().map(|r| r.seen.len()).sum();
            if before == after && self.jobs.is_empty() {
                return;
            }
            for _ in 0..self.jobs.len() {
                self.work();
            }
        }
        panic!("it does not calm down: {:?}", self.jobs);
    }
}

impl Reader {
    fn take(&mut self, d: &Delivery) {
        let Stamp::Offset(_) = d.stamp else { panic!("without an offset") };
        assert!(!d.redelivered);
        for (n, at) in (0..).zip(d.indices()) {
            let Stamp::Offset(offset) = d.stamp.of(n, d.step) else { unreachable!() };
            let body = d.run.body(&d.run.items[at]);
            let number = u64::from_be_bytes(body[..8].try_into().unwrap());
            assert!(body[8..].iter().all(|b| *b == number as u8));
            self.seen.push((offset, number));
        }
        self.leases.push((d.lease.expect("leased"), d.count));
        self.cost += d.cost;
        self.held += d.count;
    }
}

/// The filter value of a message: `0`, `1` or none.
pub fn value(n: u64) -> Option<String> {
    (n % 3 < 2).then(|| (n % 3).to_string())
}

fn head(n: u64) -> Vec<u8> {
    let mut headers = Table::default();
    headers.set("n", Value::I64(n as i64));
    if let Some(value) = value(n) {
        headers.set("x-stream-filter-value", Value::text(&value));
    }
    let mut out = Vec::new();
    Properties { headers: Some(headers), ..Properties::default() }.encode(&mut out);
    out
}
