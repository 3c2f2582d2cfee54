//! A house by the water: clients by number, each with what it was told since it was last asked.
#![allow(dead_code)] // each test uses what it needs

use crate::kit::house::{self, House};
use bytes::Bytes;
use lockgate_broker::Settings;
use lockgate_model::*;
use std::sync::Arc;

/// A house with clients.
pub struct Quay {
    pub house: House,
    next_session: u32,
    told: Vec<(SessionId, Event)>,
}

/// A message as a client is given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub body: String,
    pub consumer: Consumer,
    pub mark: Mark,
    pub again: bool,
    pub lease: Option<LeaseId>,
    pub topic: String,
    pub retain: Retain,
}

pub fn interest(filter: &str, level: u8) -> Interest {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    let pattern = shared.map_or(filter, |(_, pattern)| pattern);
    Interest {
        filter: filter.into(),
        pattern_at: (filter.len() - pattern.len()) as u16,
        group: shared.map(|_| format!("group {filter}").into()),
        key: Bytes::from(pattern.replace('/', ".").replace('+', "*")),
        level,
        not_own: false,
        as_published: false,
        replay: Replay::Always,
        label: 0,
    }
}

pub fn attachment(client: &str, lasting: Lasting) -> Attachment {
    Attachment {
        client: client.into(),
        exchange: "amq.topic".into(),
        passing: format!("{client} passing").into(),
        settling: format!("{client} settling").into(),
        fresh: false,
        lasting,
        will: None,
        in_flight_max: 100,
        caps: Caps { messages_max: 1000, bytes_max: 1 << 20, passing_bytes_max: 1 << 20 },
    }
}

/// A message to a topic: level 0, 1 or 2.
pub fn message(topic: &str, body: &str, level: u8) -> Run {
    let key = topic.replace('/', ".");
    let head = [0x10, 0, if level > 0 { 2 } else { 1 }];
    let item = Item { persistent: level > 0, exact: level > 1, ..Item::default() };
    let mut run = RunBuilder::default();
    run.push_like(
        item,
        Names {
            exchange: b"amq.topic",
            key: key.as_bytes(),
            topic: topic.as_bytes(),
            mandatory: false,
        },
        Parts { head: &head, body: body.as_bytes(), native: b"" },
    );
    run.finish()
}

pub fn will(topic: &str, body: &str, delay: u32) -> Option<Will> {
    Some(Will { run: Arc::new(message(topic, body, 1)), delay })
}

impl Quay {
    pub fn new() -> Quay {
        let mut house = House::new();
        house.lane = Lane(0);
        Quay { house, next_session: 10, told: Vec::new() }
    }

    /// A quay where so many messages may wait in all.
    pub fn crowded(berths_messages_max: u64) -> Quay {
        let mut quay = Quay::new();
        quay.house = House::made(Settings { berths_messages_max, ..house::settings() });
        quay.house.lane = Lane(0);
        quay
    }

    fn command(&mut self, session: SessionId, command: Command) {
        self.house.command(session, command);
        self.told.append(&mut self.house.told);
    }

    pub fn ask(&mut self, session: SessionId, request: Request) -> Result<Answer, Refusal> {
        let answer = self.house.ask_as(session, request);
        self.told.append(&mut self.house.told);
        answer
    }

    pub fn connect(&mut self) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        self.house.enter(session, "/", "guest").unwrap();
        session
    }

    pub fn attach(&mut self, wish: Attachment) -> (SessionId, Attached) {
        let session = self.connect();
        match self.ask(session, Request::Attach(Box::new(wish))) {
            Ok(Answer::Attached(attached)) => (session, *attached),
            other => panic!("{other:?}"),
        }
    }

    /// A client that comes back as often as it likes.
    pub fn lasting(&mut self, client: &str) -> SessionId {
        self.attach(attachment(client, Lasting::Seconds(100))).0
    }

    pub fn brief(&mut self, client: &str) -> SessionId {
        self.attach(attachment(client, Lasting::Not)).0
    }

    pub fn follow(&mut self, session: SessionId, interest: Interest) -> Followed {
        match self.ask(session, Request::Follow(vec![interest])) {
            Ok(Answer::Followed(all)) => all.into_iter().next().unwrap().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub fn unfollow(&mut self, session: SessionId, filter: &str) -> bool {
        match self.ask(session, Request::Unfollow(vec![filter.into()])) {
            Ok(Answer::Unfollowed(all)) => all[0],
            other => panic!("{other:?}"),
        }
    }

    pub fn publish(&mut self, session: SessionId, topic: &str, body: &str, level: u8) {
        let run = Arc::new(message(topic, body, level));
        let confirm = (level > 0).then_some(Ticket(77));
        self.command(session, Command::Publish { lane: Lane(0), run, confirm });
    }

    pub fn send(&mut self, session: SessionId, command: Command) {
        self.command(session, command);
    }

    /// The connection breaks.
    pub fn lose(&mut self, session: SessionId) {
        self.command(session, Command::Gone);
    }

    pub fn pass(&mut self, millis: u64) {
        self.house.pass(millis);
        self.told.append(&mut self.house.told);
    }

    pub fn restart(&mut self, from_snapshot: bool) {
        self.told.clear();
        if from_snapshot {
            self.house.restart_from_snapshot();
        } else {
            self.house.restart();
        }
        self.pass(1);
    }

    /// What a session was told, but for deliveries.
    pub fn told(&mut self, session: SessionId) -> Vec<Event> {
        let own = |(s, e): &mut (SessionId, Event)| {
            *s == session && !matches!(e, Event::Deliver(_) | Event::Answer { .. })
        };
        self.told.extract_if(.., own).map(|(_, event)| event).collect()
    }

    /// What a session is given as long as it takes it: its window is given back.
    pub fn taken(&mut self, session: SessionId) -> Vec<Heard> {
        let mut all = Vec::new();
        loop {
            let cost = |(s, e): &(SessionId, Event)| match e {
                Event::Deliver(d) if *s == session => d.cost,
                _ => 0,
            };
            let cost = self.told.iter().map(cost).sum();
            if cost == 0 {
                return all;
            }
            all.append(&mut self.heard(session));
            self.command(session, Command::Window(cost));
        }
    }

    /// What a session was given.
    pub fn heard(&mut self, session: SessionId) -> Vec<Heard> {
        let own = |(s, e): &mut (SessionId, Event)| *s == session && matches!(e, Event::Deliver(_));
        let mut all = Vec::new();
        for (_, event) in self.told.extract_if(.., own) {
            let Event::Deliver(d) = event else { continue };
            for (n, at) in d.indices().enumerate() {
                let body = String::from_utf8(d.run.body(&d.run.items[at]).to_vec()).unwrap();
                let mark = Mark::of_entry(d.number + n as u64 * u64::from(d.step));
                let (consumer, again) = (d.consumer, d.redelivered);
                let item = &d.run.items[at];
                let topic = d.run.topic(item).map(|t| String::from_utf8(t.to_vec()).unwrap());
                let (topic, retain) = (topic.unwrap_or_default(), item.retain);
                all.push(Heard { body, consumer, mark, again, lease: d.lease, topic, retain });
            }
        }
        all
    }

    pub fn bodies(&mut self, session: SessionId) -> Vec<String> {
        self.heard(session).into_iter().map(|h| h.body).collect()
    }

    /// Everything that it holds one by one is settled.
    pub fn settle(&mut self, session: SessionId, heard: &Heard, outcome: Outcome) {
        let lease = heard.lease.expect("to be settled");
        self.command(session, Command::Settle { lease, from: 0, count: 1, outcome });
    }
}
