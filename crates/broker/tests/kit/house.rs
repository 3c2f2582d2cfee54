//! A broker with a clock and a log that it can be started from again, for what operators do.

use super::table;
use lockgate_broker::{Broker, Effects, Io, Journal, Part, Place, Settings, record};
use lockgate_model::*;
use std::sync::Arc;

/// A log in memory.
#[derive(Default)]
pub struct Paper(pub Vec<(u8, Vec<u8>)>);

impl Journal for Paper {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let mut body = Vec::new();
        write(&mut body);
        let len = body.len() as u32;
        self.0.push((kind, body));
        // Far enough apart that no record reaches into the next.
        Place { pos: self.0.len() as u64 * 1_000_000, len }
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

impl Paper {
    /// The messages that stand in these parts of records.
    pub fn bring(&self, parts: &[Part]) -> Run {
        let mut all = RunBuilder::default();
        for part in parts {
            let Some(place) = part.place else {
                all.hole(part.count);
                continue;
            };
            let (kind, body) = &self.0[place.pos as usize / 1_000_000 - 1];
            let run = record::run_of(*kind, &body.clone().into()).unwrap();
            all.copy(&run, part.skip as usize, (part.skip + part.count) as usize);
        }
        all.finish()
    }
}

/// A broker with two virtual hosts, a session in the first, a clock and a log.
pub struct House {
    pub broker: Broker,
    pub paper: Paper,
    pub millis: u64,
    settings: Settings,
    /// What was told to all sessions in the last step.
    pub told: Vec<(SessionId, Event)>,
    /// The strand that asks.
    pub lane: Lane,
    tickets: u64,
}

pub const ME: SessionId = SessionId(1);

pub fn settings() -> Settings {
    Settings { queue_resident: 1 << 20, resident_max: 1 << 30, seed: 1, ..Settings::default() }
}

impl House {
    pub fn new() -> House {
        House::made(settings())
    }

    /// The same, with settings of one's own.
    pub fn made(settings: Settings) -> House {
        let (broker, paper) = (Broker::new(settings.clone()), Paper::default());
        let (told, lane) = (Vec::new(), Lane(1));
        let mut house = House { broker, paper, millis: 1_000, settings, told, lane, tickets: 0 };
        for name in ["/", "b"] {
            house.order(Order::MakeVhost(VhostSpec { name: name.into(), ..Default::default() }));
        }
        house.enter(ME, "/", "guest").unwrap();
        house
    }

    pub fn now(&self) -> Time {
        Time(self.millis * 1000)
    }

    fn finish(&mut self, mut out: Effects) {
        self.told.clear();
        self.broker.committed(u64::MAX, &mut self.paper);
        loop {
            self.broker.deliver(&mut self.paper, &mut out);
            self.told.extend(out.events.drain(..).map(|e| (e.session, e.event)));
            let wanted = std::mem::take(&mut out.io);
            if wanted.is_empty() {
                return;
            }
            for io in wanted {
                if let Io::Load { key, parts } = io {
                    let run = Arc::new(self.paper.bring(&parts));
                    self.broker.loaded(key, run);
                }
            }
        }
    }

    pub fn try_order(&mut self, order: Order) -> Result<u64, Refusal> {
        let (mut out, now) = (Effects::default(), self.now());
        let done = self.broker.administer(order, now, &mut self.paper, &mut out);
        self.finish(out);
        done
    }

    pub fn order(&mut self, order: Order) {
        self.try_order(order).unwrap();
    }

    pub fn refused(&mut self, order: Order) -> String {
        self.try_order(order).unwrap_err().to_string()
    }

    pub fn enter(&mut self, session: SessionId, vhost: &str, user: &str) -> Result<(), Refusal> {
        self.broker.connect(session);
        let open = Request::Open { vhost: vhost.into(), user: user.into() };
        let entered = self.ask_as(session, open).map(|_| ());
        if entered.is_err() {
            self.command(session, Command::Gone);
        }
        entered
    }

    pub fn command(&mut self, session: SessionId, command: Command) {
        let (mut out, now) = (Effects::default(), self.now());
        self.broker.handle(session, command, now, &mut self.paper, &mut out);
        self.finish(out);
    }

    pub fn ask_as(&mut self, session: SessionId, request: Request) -> Result<Answer, Refusal> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.command(session, Command::Ask { lane: self.lane, ticket, request });
        let answer = self.told.iter().find_map(|(_, event)| match event {
            Event::Answer { ticket: t, result, .. } if *t == ticket => Some(result.clone()),
            _ => None,
        });
        answer.expect("an answer")
    }

    pub fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.ask_as(ME, request)
    }

    pub fn try_queue(&mut self, name: &str, pairs: &[(&str, Value)]) -> Result<Answer, Refusal> {
        self.ask(Request::DeclareQueue(spec(name, pairs)))
    }

    pub fn queue(&mut self, name: &str, pairs: &[(&str, Value)]) {
        self.try_queue(name, pairs).unwrap();
    }

    /// Publishes that many messages that last.
    pub fn publish(&mut self, exchange: &str, key: &str, count: usize) {
        for _ in 0..count {
            let run = Run::single(exchange, key.as_bytes(), &[0x10, 0, 2], b"body", true);
            let run = Arc::new(run);
            self.command(ME, Command::Publish { lane: Lane(1), run, confirm: Some(Ticket(0)) });
        }
    }

    /// How many messages wait; none if there is no such queue.
    pub fn waiting(&mut self, queue: &str) -> Option<u64> {
        match self.ask(Request::FindQueue(queue.into())) {
            Ok(Answer::Queue { messages, .. }) => Some(messages),
            _ => None,
        }
    }

    pub fn pass(&mut self, millis: u64) {
        self.millis += millis;
        let (mut out, now) = (Effects::default(), self.now());
        self.broker.tick(now, &mut self.paper, &mut out);
        self.finish(out);
    }

    pub fn policy(&mut self, name: &str, pattern: &str, priority: i64, pairs: &[(&str, Value)]) {
        self.order(set_policy(Tier::User, name, pattern, priority, pairs));
    }

    pub fn clear(&mut self, name: &str) {
        let (vhost, tier) = ("/".into(), Tier::User);
        self.order(Order::ClearPolicy { vhost, tier, name: name.into() });
    }

    /// Starts again from the log.
    pub fn restart(&mut self) {
        let mut again = Broker::new(self.settings.clone());
        let paper = std::mem::take(&mut self.paper);
        for (n, (kind, body)) in paper.0.iter().enumerate() {
            let place = Place { pos: (n as u64 + 1) * 1_000_000, len: body.len() as u32 };
            again.replay(*kind, body, place, &mut Paper::default()).unwrap();
        }
        self.paper = paper;
        self.begin(again);
    }

    /// Starts again from a snapshot.
    pub fn restart_from_snapshot(&mut self) {
        let mut again = Broker::new(self.settings.clone());
        again.apply_snapshot(&self.broker.snapshot(), &mut Paper::default()).unwrap();
        self.begin(again);
    }

    /// Starts again with other settings.
    pub fn settle_in(&mut self, settings: Settings) {
        self.settings = settings;
        self.restart();
    }

    /// Copies on whatever still lives of the log, as if all of its segments were to go.
    pub fn move_on(&mut self) {
        for n in 0..self.paper.0.len() {
            let (kind, body) = self.paper.0[n].clone();
            let place = Place { pos: (n as u64 + 1) * 1_000_000, len: body.len() as u32 };
            if matches!(kind, record::kind::ENQUEUED | record::kind::MOVED) {
                self.broker.relocate(kind, &body.into(), place, &mut self.paper).unwrap();
            }
        }
    }

    fn begin(&mut self, mut again: Broker) {
        again.recovered(false, self.now(), &mut self.paper);
        self.broker = again;
        self.enter(ME, "/", "guest").unwrap();
    }
}

pub fn spec(name: &str, pairs: &[(&str, Value)]) -> QueueSpec {
    let (durable, exclusive, auto_delete) = (true, false, false);
    QueueSpec { name: name.into(), durable, exclusive, auto_delete, arguments: table(pairs) }
}

pub fn set_policy(
    tier: Tier,
    name: &str,
    pattern: &str,
    priority: i64,
    pairs: &[(&str, Value)],
) -> Order {
    let (definition, pattern, apply_to) = (table(pairs), pattern.into(), ApplyTo::All);
    let policy = Policy { name: name.into(), pattern, apply_to, definition, priority };
    Order::SetPolicy { vhost: "/".into(), tier, policy }
}

pub fn int(n: i64) -> Value {
    Value::I64(n)
}
