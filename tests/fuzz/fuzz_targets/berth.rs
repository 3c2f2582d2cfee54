//! Two MQTT clients of one broker that grants everything, any bytes into both, cut anywhere:
//! no panic, no standing still, all that is said is packets, every entry is settled at most
//! once, and nothing is confirmed that was not published.
//!
//! The first byte says which versions are spoken, whether the clients are let in already,
//! whether messages are rejected, and how the rest is cut. A byte 0xff changes the side.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Attached, Command, Consumer, Delivery, Event, Followed, Interest, LeaseId, Mark, Name,
    PASSING, Refusal, Replay, Request, Run, SETTLING, Stamp, Ticket, Time,
};
use lockgate_mqtt::frame::{self, Cut};
use lockgate_mqtt::packet::{Connect, Packet, Side, Version};
use lockgate_mqtt::property::{Property, PropertyList};
use lockgate_mqtt::{Mqtt, Settings, decode, encode};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

struct Client {
    session: Box<dyn Session>,
    out: Output,
    unread: BytesMut,
    version: Version,
    /// What came first says which version it speaks, if any.
    guessed: bool,
    wants: Vec<(Interest, Consumer)>,
    /// Entries that it holds.
    held: BTreeSet<(u32, u32)>,
    number: u64,
    over: bool,
}

struct Broker {
    clients: [Client; 2],
    now: Time,
    /// Every so many-th run is rejected.
    reject: bool,
    runs: u32,
    leases: u32,
}

fn client(version: Version, now: Time) -> Client {
    let settings = Settings { packet_max: 100_000, interests_max: 20, ..Settings::default() };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let session = Mqtt::new(settings).open(&Peer { address, seed: 1, now });
    Client {
        session,
        out: Output::default(),
        unread: BytesMut::new(),
        version,
        guessed: false,
        wants: Vec::new(),
        held: BTreeSet::new(),
        number: 0,
        over: false,
    }
}

fn hello(version: Version) -> Vec<u8> {
    let mut list = PropertyList::default();
    if version == Version::V5 {
        list.push(&Property::TopicAliasMaximum(2)).expect("a number");
        list.push(&Property::ReceiveMaximum(NonZeroU16::new(3).expect("3"))).expect("a number");
    }
    let connect = Connect {
        version,
        clean: false,
        keep_alive: 5,
        client_id: "c",
        will: None,
        user: None,
        password: None,
        properties: list.properties(),
    };
    let mut bytes = Vec::new();
    encode::packet(&mut bytes, version, usize::MAX, &Packet::Connect(connect)).expect("short");
    bytes
}

/// An interest in everything, so that a client hears something from the beginning.
fn everything() -> Interest {
    Interest {
        filter: Name::from("#"),
        pattern_at: 0,
        group: None,
        key: Bytes::from_static(b"#"),
        level: 2,
        not_own: false,
        as_published: true,
        replay: Replay::Always,
        label: 7,
    }
}

impl Broker {
    fn read(&mut self, who: usize, bytes: &[u8]) {
        self.clients[who].unread.extend_from_slice(bytes);
        loop {
            let c = &mut self.clients[who];
            if c.over {
                c.unread.clear();
                return;
            }
            if c.session.wants_input() {
                let input = Bytes::copy_from_slice(&c.unread);
                let received = c.session.receive(&input, self.now, &mut c.out);
                assert!(received.used <= input.len());
                let _ = c.unread.split_to(received.used);
                let asked = self.turn();
                let c = &self.clients[who];
                if !asked && (received.need > 0 || c.unread.is_empty() || received.used == 0) {
                    return;
                }
            } else if !self.turn() {
                return;
            }
        }
    }

    /// Answers whatever both have asked, until neither asks any more.
    fn turn(&mut self) -> bool {
        let mut any = false;
        loop {
            let asked = (0..2).any(|who| self.answer(who));
            any |= asked;
            if !asked {
                return any;
            }
        }
    }

    fn answer(&mut self, who: usize) -> bool {
        let c = &mut self.clients[who];
        let mut asked = false;
        if let Some(login) = c.out.login.take() {
            asked = true;
            c.session.admitted(Verdict::Admitted(login.user), self.now, &mut c.out);
        }
        let commands = std::mem::take(&mut c.out.commands);
        asked |= !commands.is_empty();
        let mut events = Vec::new();
        let mut heard = Vec::new();
        for command in commands {
            self.command(who, command, &mut events, &mut heard);
        }
        self.tell(who, events);
        for run in heard {
            (0..2).for_each(|to| self.deliver(to, &run));
        }
        asked
    }

    fn tell(&mut self, who: usize, mut events: Vec<Event>) {
        let c = &mut self.clients[who];
        c.session.events(&mut events, self.now, &mut c.out);
        assert!(events.is_empty());
        c.check_said();
    }

    fn command(
        &mut self,
        who: usize,
        command: Command,
        events: &mut Vec<Event>,
        heard: &mut Vec<Arc<Run>>,
    ) {
        let done =
            |lane, first: Ticket, n: usize| Event::Confirmed { lane, first, count: n as u32 };
        match command {
            Command::Ask { lane, ticket, request } => {
                let result = Ok(self.grant(who, &request));
                events.push(Event::Answer { lane, ticket, result });
            }
            Command::Publish { lane, run, confirm } => {
                self.runs += 1;
                check(&run);
                let count = run.items.len();
                match confirm {
                    Some(first) if self.reject && self.runs % 3 == 0 => {
                        events.push(Event::Rejected { lane, first, count: count as u32 });
                    }
                    Some(first) => {
                        let (item, ticket) = (0, Some(first));
                        events.push(Event::Returned { lane, run: run.clone(), item, ticket });
                        events.push(done(lane, first, count));
                        heard.push(run);
                    }
                    None => heard.push(run),
                }
            }
            Command::PublishOnce { lane, run, marks, confirm } => {
                check(&run);
                assert_eq!(run.items.len(), marks.len());
                events.push(done(lane, confirm, marks.len()));
                heard.push(run);
            }
            Command::Release { lane, marks, confirm } => {
                events.push(done(lane, confirm, marks.len()));
            }
            Command::Received { lane, lease, from, marks, confirm } => {
                self.clients[who].settled(lease, from, marks.len() as u32);
                events.push(done(lane, confirm, marks.len()));
            }
            Command::Settle { lease, from, count, .. } => {
                self.clients[who].settled(lease, from, count);
            }
            Command::Completed(marks) => assert!(!marks.contains(&Mark(0))),
            _ => {}
        }
    }

    fn grant(&mut self, who: usize, request: &Request) -> Answer {
        let c = &mut self.clients[who];
        match request {
            Request::Attach(_) => {
                c.wants.push((everything(), SETTLING));
                Answer::Attached(Box::new(Attached {
                    present: true,
                    interests: c.wants.clone(),
                    open: vec![Mark(1), Mark(2)],
                    received: vec![Mark(3), Mark(40_000)],
                }))
            }
            Request::Follow(all) => Answer::Followed(
                all.iter()
                    .map(|interest| {
                        if interest.label == 1 {
                            return Err(Refusal::Limit("enough".into()));
                        }
                        let consumer = match interest.level {
                            _ if interest.is_shared() => Consumer(2 + c.wants.len() as u32),
                            0 => PASSING,
                            _ => SETTLING,
                        };
                        c.wants.retain(|(i, _)| i.filter != interest.filter);
                        c.wants.push((interest.clone(), consumer));
                        Ok(Followed { new: true, consumer })
                    })
                    .collect(),
            ),
            Request::Unfollow(all) => Answer::Unfollowed(
                all.iter()
                    .map(|filter| {
                        let before = c.wants.len();
                        c.wants.retain(|(i, _)| i.filter != *filter);
                        c.wants.len() < before
                    })
                    .collect(),
            ),
            _ => Answer::Done,
        }
    }

    /// Under every handle that a client has; what it holds is bounded.
    fn deliver(&mut self, who: usize, run: &Arc<Run>) {
        let c = &mut self.clients[who];
        if c.over || c.held.len() > 200 {
            return;
        }
        let handles: BTreeSet<Consumer> = c.wants.iter().map(|(_, handle)| *handle).collect();
        let mut events = Vec::new();
        for consumer in handles {
            let lease = (consumer != PASSING).then(|| {
                self.leases += 1;
                LeaseId(self.leases)
            });
            let count = run.items.len() as u32;
            if let Some(lease) = lease {
                c.held.extend((0..count).map(|n| (lease.0, n)));
            }
            let number = c.number;
            c.number += u64::from(count);
            events.push(Event::Deliver(Delivery {
                lane: Default::default(),
                consumer,
                run: run.clone(),
                first: 0,
                step: 1,
                count,
                number,
                lease,
                redelivered: number % 5 == 0,
                stamp: Stamp::None,
                cost: 1,
            }));
        }
        self.tell(who, events);
    }

    fn tick(&mut self) {
        for c in &mut self.clients {
            if !c.over && c.session.wake_at().is_some_and(|at| at <= self.now) {
                c.session.tick(self.now, &mut c.out);
                c.check_said();
            }
        }
        self.turn();
    }
}

/// All that a run speaks of is there.
fn check(run: &Run) {
    assert!(!run.items.is_empty());
    for item in &run.items {
        let (names, parts) = (run.names(item), run.parts(item));
        assert!(!names.topic.is_empty() && names.exchange == b"amq.topic");
        assert!(parts.head.len() >= 2);
        assert!(std::str::from_utf8(names.topic).is_ok());
    }
}

impl Client {
    fn settled(&mut self, lease: LeaseId, from: u32, count: u32) {
        assert!(count > 0);
        for n in from..from + count {
            assert!(self.held.remove(&(lease.0, n)), "{lease:?} {n} is settled twice");
        }
    }

    fn check_said(&mut self) {
        let said = self.out.bytes.take();
        let mut at = 0;
        while at < said.len() {
            match frame::cut(&said[at..], usize::MAX) {
                Ok(Cut::Whole(head, body)) => {
                    let versions = [self.version, Version::V31, Version::V311, Version::V5];
                    let of = |v| decode::packet(Side::Server, v, head, body);
                    let known = if self.guessed { 4 } else { 1 };
                    let said = versions[..known].iter().any(|v| of(*v).is_ok());
                    assert!(said, "{:?}", of(self.version));
                    at += head.total();
                }
                other => panic!("said what is no packet: {other:?}"),
            }
        }
        self.over |= self.out.close.is_some();
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let version = [Version::V31, Version::V311, Version::V5, Version::V5][usize::from(how & 3)];
    let now = Time(1_000_000);
    let let_in = how & 4 != 0;
    let mut clients = [client(version, now), client(version, now)];
    clients[0].guessed = !let_in;
    let mut b = Broker { clients, now, reject: how & 8 != 0, runs: 0, leases: 0 };
    b.read(1, &hello(version));
    if let_in {
        b.read(0, &hello(version));
    }
    let step = [usize::MAX, 1, 7, 100][usize::from(how >> 4) & 3];
    for (n, part) in bytes.split(|octet| *octet == 0xff).enumerate() {
        for piece in part.chunks(step.min(part.len()).max(1)) {
            b.read(if let_in { n & 1 } else { 0 }, piece);
        }
        b.now = b.now + Duration::from_millis(100);
        b.tick();
    }
    if how & 64 != 0 {
        for c in &mut b.clients {
            c.session.stop(b.now, &mut c.out);
            c.check_said();
        }
    }
    b.now = b.now + Duration::from_secs(20);
    b.tick();
});
