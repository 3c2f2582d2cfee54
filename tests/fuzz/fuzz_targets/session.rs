//! Any bytes into a session, cut anywhere, with an engine that grants everything:
//! no panic, no standing still, and all that is said is frames.
//!
//! The first byte says whether the handshake is done already, whether the engine
//! refuses instead, and how the rest is cut.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use lockgate_amqp091::frame::{AROUND, Cut, cut};
use lockgate_amqp091::packet::{Method, RawTable, Secret};
use lockgate_amqp091::{Amqp091, Settings, encode};
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, CancelCause, Command, Delivery, Event, Got, LeaseId, Name, Refusal, Request, Run,
    Stamp, Time,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

struct Peers {
    session: Box<dyn Session>,
    out: Output,
    now: Time,
    refuse: bool,
    leases: u32,
}

fn peers(refuse: bool) -> Peers {
    let settings =
        Settings { body_bytes_max: 100_000, transaction_bytes_max: 50_000, ..Settings::default() };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let now = Time(1_000_000);
    let session = Amqp091::new(settings).open(&Peer { address, seed: 1, now });
    Peers { session, out: Output::default(), now, refuse, leases: 0 }
}

fn handshake() -> Vec<u8> {
    let mut all = Vec::from(*b"AMQP\x00\x00\x09\x01");
    let start = Method::ConnectionStartOk {
        client_properties: RawTable(b""),
        mechanism: "PLAIN",
        response: Secret(b"\0guest\0guest"),
        locale: "en_US",
    };
    encode::method(&mut all, 0, &start);
    let tune = Method::ConnectionTuneOk { channel_max: 10, frame_max: 4096, heartbeat: 2 };
    encode::method(&mut all, 0, &tune);
    let open = Method::ConnectionOpen { virtual_host: "/", capabilities: "", insist: false };
    encode::method(&mut all, 0, &open);
    encode::method(&mut all, 1, &Method::ChannelOpen { out_of_band: "" });
    all
}

impl Peers {
    fn read(&mut self, unread: &mut BytesMut) {
        loop {
            if !self.session.wants_input() {
                if self.out.close.is_some() {
                    unread.clear();
                    return;
                }
            } else {
                let input = Bytes::copy_from_slice(unread);
                let received = self.session.receive(&input, self.now, &mut self.out);
                assert!(received.used <= input.len());
                let _ = unread.split_to(received.used);
                let asked = self.answer();
                if !asked && (received.need > 0 || unread.is_empty() || received.used == 0) {
                    return;
                }
                continue;
            }
            if !self.answer() {
                return;
            }
        }
    }

    fn answer(&mut self) -> bool {
        let mut answered = false;
        if let Some(login) = self.out.login.take() {
            answered = true;
            self.session.admitted(Verdict::Admitted(login.user), self.now, &mut self.out);
        }
        let mut events = Vec::new();
        for command in std::mem::take(&mut self.out.commands) {
            match command {
                Command::Ask { lane, ticket, request } => {
                    answered = true;
                    let refuse = self.refuse && !matches!(request, Request::Open { .. });
                    let result = if refuse {
                        Err(Refusal::NoVhost(Name::from("x")))
                    } else {
                        Ok(self.grant(&request))
                    };
                    events.push(Event::Answer { lane, ticket, result });
                    if let Request::Subscribe(s) = request {
                        self.leases += 1;
                        let run = message();
                        events.push(Event::Deliver(Delivery {
                            lane,
                            consumer: s.consumer,
                            run: run.clone(),
                            first: 0,
                            step: 1,
                            count: 1,
                            number: 0,
                            lease: (!s.settled).then_some(LeaseId(self.leases)),
                            redelivered: false,
                            stamp: Stamp::None,
                            cost: 1,
                        }));
                        let cause = CancelCause::QueueDeleted;
                        if self.leases % 3 == 0 {
                            events.push(Event::Cancelled { lane, consumer: s.consumer, cause });
                        }
                    }
                }
                Command::Publish { lane, run, confirm } => {
                    for item in &run.items {
                        let _ = (run.exchange(item), run.key(item), run.head(item), run.body(item));
                    }
                    events.push(Event::Returned { lane, run: run.clone(), item: 0, ticket: None });
                    if let Some(first) = confirm {
                        let count = run.items.len() as u32;
                        events.push(Event::Confirmed { lane, first, count });
                    }
                }
                Command::Settle { count, .. } => assert!(count > 0),
                _ => {}
            }
        }
        self.session.events(&mut events, self.now, &mut self.out);
        self.check_said();
        answered
    }

    fn grant(&mut self, request: &Request) -> Answer {
        match request {
            Request::DeclareQueue(q) => {
                Answer::Queue { name: q.name.clone(), messages: 1, consumers: 1 }
            }
            Request::FindQueue(name) => {
                Answer::Queue { name: name.clone(), messages: 1, consumers: 1 }
            }
            Request::Purge(_) | Request::DeleteQueue { .. } => Answer::Removed(u64::MAX),
            Request::Get { settled, .. } => {
                self.leases += 1;
                let lease = (!settled).then_some(LeaseId(self.leases));
                let (item, redelivered, waiting) = (0, true, u64::MAX);
                Answer::Got(Some(Got {
                    run: message(),
                    item,
                    lease,
                    redelivered,
                    stamp: Stamp::None,
                    waiting,
                }))
            }
            _ => Answer::Done,
        }
    }

    fn check_said(&mut self) {
        let said = self.out.bytes.take();
        let mut at = if said.starts_with(b"AMQP") { 8 } else { 0 };
        while at < said.len() {
            match cut(&said[at..], 131_072) {
                Ok(Cut::Whole(head)) => at += AROUND + head.size,
                other => panic!("said what is no frame: {other:?}"),
            }
        }
    }
}

fn message() -> Arc<Run> {
    Arc::new(Run::single("x", b"key", &[0x10, 0, 2], &[7; 5000], false))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let mut p = peers(how & 2 != 0);
    let mut unread = BytesMut::new();
    if how & 1 != 0 {
        unread.extend_from_slice(&handshake());
        p.read(&mut unread);
    }
    let step = [usize::MAX, 1, 7, 100][usize::from(how >> 2) & 3];
    for piece in bytes.chunks(step.min(bytes.len()).max(1)) {
        unread.extend_from_slice(piece);
        p.read(&mut unread);
        if how & 64 != 0 {
            p.now = p.now + Duration::from_millis(300);
            p.session.tick(p.now, &mut p.out);
            p.check_said();
        }
    }
    if how & 128 != 0 {
        p.session.stop(p.now, &mut p.out);
    }
    while let Some(at) = p.session.wake_at() {
        p.now = p.now.max(at);
        p.session.tick(p.now, &mut p.out);
        p.check_said();
        if p.now > Time(40_000_000) {
            break;
        }
    }
});
