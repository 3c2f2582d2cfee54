//! Plays driver and engine for a session: every request is granted, every message confirmed,
//! whoever subscribes gets some messages.

use crate::{Mqtt, Settings, tongue};
use bytes::{Bytes, BytesMut};
use lockgate_front::script::{self, Tongue};
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Command, Consumer, Delivery, Event, Followed, Interest, Item, LeaseId, Names, PASSING,
    Parts, Request, RunBuilder, SETTLING, Stamp, Ticket, Time,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What a conversation came to. What is gathered over a read may be told in another order
/// than it came in, so each kind is a list of its own.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Transcript {
    /// Commands by their first word, each of many as one.
    pub(super) asked: BTreeMap<String, Vec<String>>,
    /// Packets by their names.
    pub(super) said: BTreeMap<String, Vec<String>>,
    /// How it ended.
    pub(super) closed: Option<String>,
}

pub(super) struct Engine {
    pub(super) session: Box<dyn Session>,
    pub(super) out: Output,
    pub(super) got: Transcript,
    tongue: tongue::Mqtt,
    unread: BytesMut,
    /// Messages delivered so far.
    numbers: u64,
    leases: u32,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new(Settings::default())
    }
}

impl Engine {
    pub(super) fn new(settings: Settings) -> Engine {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let session = Mqtt::new(settings).open(&Peer { address, seed: 1, now: Time(0) });
        Engine {
            session,
            out: Output::default(),
            got: Transcript::default(),
            tongue: tongue::Mqtt::default(),
            unread: BytesMut::new(),
            numbers: 0,
            leases: 0,
        }
    }

    /// A client that speaks this version is at the other end.
    pub(super) fn speaks(&mut self, version: &str) {
        let spoken = self.tongue.say(&format!("connect {version}"));
        assert!(spoken.is_ok(), "{version}");
    }

    /// These bytes came.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        loop {
            if !self.session.wants_input() {
                self.unread.clear();
                return;
            }
            let input = Bytes::copy_from_slice(&self.unread);
            let received = self.session.receive(&input, Time(0), &mut self.out);
            assert!(received.used <= input.len());
            let _ = self.unread.split_to(received.used);
            let asked = self.answer();
            if !asked && (received.used == 0 || self.unread.is_empty() || received.need > 0) {
                return;
            }
        }
    }

    /// Answers whatever was asked; true if something was.
    fn answer(&mut self) -> bool {
        let mut any = false;
        loop {
            self.hear();
            let commands = std::mem::take(&mut self.out.commands);
            let login = self.out.login.take();
            if commands.is_empty() && login.is_none() {
                return any;
            }
            any = true;
            if let Some(login) = login {
                self.session.admitted(Verdict::Admitted(login.user), Time(0), &mut self.out);
            }
            let mut events = Vec::new();
            for command in commands {
                self.note(&command);
                self.reply(command, &mut events);
            }
            self.session.events(&mut events, Time(0), &mut self.out);
            assert!(events.is_empty());
        }
    }

    fn hear(&mut self) {
        let bytes = self.out.bytes.take();
        // What was said in CONNECT says how to read what is answered.
        for line in self.tongue.hear(&bytes) {
            let kind = line.split(' ').next().unwrap_or_default().to_owned();
            self.got.said.entry(kind).or_default().push(line);
        }
        if let Some(close) = self.out.close.take() {
            assert_eq!(self.got.closed, None, "closed twice");
            self.got.closed = Some(format!("{:?}", close.cause));
        }
    }

    fn note(&mut self, command: &Command) {
        let mut lines = Vec::new();
        match command {
            Command::Settle { lease, from, count, outcome } => {
                let one = |n: u32| format!("settle {} {n} {outcome:?}", lease.0);
                lines.extend((*from..from + count).map(one));
            }
            Command::Received { lease, from, marks, .. } => {
                let one = |(n, mark): (usize, &lockgate_model::Mark)| {
                    format!("received {} {} {}", lease.0, *from as usize + n, mark.0)
                };
                lines.extend(marks.iter().enumerate().map(one));
            }
            Command::Release { marks, .. } => {
                lines.extend(marks.iter().map(|mark| format!("release {}", mark.0)));
            }
            Command::Completed(marks) => {
                lines.extend(marks.iter().map(|mark| format!("completed {}", mark.0)));
            }
            // That a message with QoS 0 is confirmed has to do with those beside it.
            other => lines.extend(
                script::lines(other)
                    .into_iter()
                    .map(|line| line.strip_suffix(" confirm").map(str::to_owned).unwrap_or(line)),
            ),
        }
        for line in lines {
            let kind = line.split(' ').next().unwrap_or_default().to_owned();
            self.got.asked.entry(kind).or_default().push(line);
        }
    }

    fn reply(&mut self, command: Command, events: &mut Vec<Event>) {
        let confirmed = |lane, first: Ticket, count: usize| Event::Confirmed {
            lane,
            first,
            count: count as u32,
        };
        match command {
            Command::Publish { lane, run, confirm: Some(first) }
            | Command::PublishOnce { lane, run, confirm: first, .. } => {
                events.push(confirmed(lane, first, run.items.len()));
            }
            Command::Release { lane, marks, confirm }
            | Command::Received { lane, marks, confirm, .. } => {
                events.push(confirmed(lane, confirm, marks.len()));
            }
            Command::Ask { lane, ticket, request } => {
                let mut deliveries = Vec::new();
                let answer = match request {
                    Request::Attach(_) => Answer::Attached(Box::default()),
                    Request::Follow(all) => {
                        deliveries.extend(all.iter().map(|interest| self.some(interest)));
                        Answer::Followed(all.iter().map(|i| Ok(followed(i))).collect())
                    }
                    Request::Unfollow(all) => Answer::Unfollowed(vec![true; all.len()]),
                    _ => Answer::Done,
                };
                events.push(Event::Answer { lane, ticket, result: Ok(answer) });
                events.extend(deliveries);
            }
            _ => {}
        }
    }

    /// Some messages for who is interested.
    fn some(&mut self, interest: &Interest) -> Event {
        let topic = interest.pattern().replace('#', "x").into_bytes();
        let key = topic.iter().map(|b| if *b == b'/' { b'.' } else { *b }).collect::<Vec<u8>>();
        let mut run = RunBuilder::default();
        for n in 0..20u8 {
            let item = Item { persistent: n % 4 > 0, exact: n % 4 == 3, ..Item::default() };
            let names =
                Names { exchange: b"amq.topic", key: &key, topic: &topic, mandatory: false };
            run.push_like(item, names, Parts { head: &[0, 0], body: &[n], native: b"" });
        }
        let settling = interest.level > 0;
        self.leases += 1;
        let number = self.numbers;
        self.numbers += 20;
        Event::Deliver(Delivery {
            lane: Default::default(),
            consumer: followed(interest).consumer,
            run: Arc::new(run.finish()),
            first: 0,
            step: 1,
            count: 20,
            number,
            lease: settling.then_some(LeaseId(self.leases)),
            redelivered: false,
            stamp: Stamp::None,
            cost: 20,
        })
    }
}

fn followed(interest: &Interest) -> Followed {
    let consumer: Consumer = if interest.level > 0 { SETTLING } else { PASSING };
    Followed { new: true, consumer }
}
