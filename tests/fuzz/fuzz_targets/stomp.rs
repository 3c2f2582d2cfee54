//! Any bytes into a STOMP session, cut anywhere, with an engine that grants or refuses
//! everything: no panic, no standing still, and all that is said is frames.
//!
//! The first byte says whether CONNECT is done already, whether the engine refuses, and how
//! the rest is cut.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, CancelCause, Command, Delivery, Event, LeaseId, Name, Refusal, Request, Run, Stamp,
    Time,
};
use lockgate_stomp::frame::{Cut, Limits, Scan, idle};
use lockgate_stomp::{Settings, Stomp};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const HELLO: &[u8] =
    b"CONNECT\naccept-version:1.2\nlogin:g\npasscode:g\nheart-beat:2000,2000\n\n\0";

struct Peers {
    session: Box<dyn Session>,
    out: Output,
    now: Time,
    refuse: bool,
    leases: u32,
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
                assert!(received.need <= 2 * (input.len() - received.used) + 1);
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
                        Ok(match &request {
                            Request::DeclareQueue(q) => {
                                let (name, messages) = (q.name.clone(), 1);
                                Answer::Queue { name, messages, consumers: 1 }
                            }
                            _ => Answer::Done,
                        })
                    };
                    events.push(Event::Answer { lane, ticket, result });
                    if let Request::Subscribe(s) = request {
                        self.leases += 1;
                        events.push(Event::Deliver(Delivery {
                            lane,
                            consumer: s.consumer,
                            run: message(),
                            first: 0,
                            step: 1,
                            count: 1,
                            number: 0,
                            lease: (!s.settled).then_some(LeaseId(self.leases)),
                            redelivered: false,
                            stamp: Stamp::Attempts(self.leases),
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
                        let _ = (run.exchange(item), run.key(item), run.body(item));
                        lockgate_model::Properties::decode(run.head(item)).expect("a good list");
                    }
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

    fn check_said(&mut self) {
        let said = self.out.bytes.take();
        let limits = Limits { lines_max: 1 << 20, headers_max: 1 << 10, body_max: 1 << 20 };
        let mut at = idle(&said);
        while at < said.len() {
            match Scan::default().cut(&said[at..], &limits) {
                Ok(Cut::Whole(bounds)) => at += bounds.end,
                other => panic!("said what is no frame: {other:?}"),
            }
            at += idle(&said[at..]);
        }
    }
}

fn message() -> Arc<Run> {
    Arc::new(Run::single("x", b"a/b", &[0x10, 0, 2], &[0; 5000], false))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let settings = Settings { transaction_bytes_max: 50_000, ..Settings::default() };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let now = Time(1_000_000);
    let session = Stomp::new(settings).open(&Peer { address, seed: 1, now });
    let mut p = Peers { session, out: Output::default(), now, refuse: how & 2 != 0, leases: 0 };
    let mut unread = BytesMut::new();
    if how & 1 != 0 {
        unread.extend_from_slice(HELLO);
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
        p.check_said();
    }
});
