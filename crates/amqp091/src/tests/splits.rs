//! However the bytes of a client are cut into reads, the engine is asked for the same
//! and the client is answered the same.

use crate::tongue::Amqp;
use crate::{Amqp091, Settings};
use bytes::{Bytes, BytesMut};
use lockgate_front::script::{self, Tongue};
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Command, Consumer, Delivery, Event, Lane, LeaseId, Request, Run, Stamp, Time,
};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What a conversation came to. Settlements may be told later than publishes that
/// came behind them in the same read, so each kind is in a list of its own.
#[derive(Debug, Default, PartialEq)]
struct Transcript {
    asked: Vec<String>,
    settled: Vec<String>,
    said: Vec<u8>,
}

struct Driver {
    session: Box<dyn Session>,
    out: Output,
    got: Transcript,
}

impl Driver {
    fn new() -> Driver {
        let settings = Settings { body_bytes_max: 100_000, ..Settings::default() };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let session = Amqp091::new(settings).open(&Peer { address, seed: 1, now: Time(0) });
        Driver { session, out: Output::default(), got: Transcript::default() }
    }

    fn read(&mut self, unread: &mut BytesMut) {
        loop {
            if !self.session.wants_input() {
                // Nobody reads on: what is left is never looked at.
                unread.clear();
                return;
            }
            let input = Bytes::copy_from_slice(unread);
            let received = self.session.receive(&input, Time(0), &mut self.out);
            assert!(received.used <= input.len());
            let _ = unread.split_to(received.used);
            let asked = self.answer();
            if !asked && (received.used == 0 || unread.is_empty() || received.need > 0) {
                return;
            }
        }
    }

    /// Plays the engine: every request is granted, every consumer gets fifty messages.
    fn answer(&mut self) -> bool {
        let commands = std::mem::take(&mut self.out.commands);
        let mut answered = self.out.login.is_some();
        if let Some(login) = self.out.login.take() {
            self.session.admitted(Verdict::Admitted(login.user), Time(0), &mut self.out);
        }
        for command in commands {
            match &command {
                Command::Settle { lease, from, count, outcome } => {
                    for n in *from..from + count {
                        self.got.settled.push(format!("{} {n} {outcome:?}", lease.0));
                    }
                }
                other => self.got.asked.extend(script::lines(other)),
            }
            if let Command::Ask { lane, ticket, request } = command {
                answered = true;
                let result = Ok(match &request {
                    Request::DeclareQueue(q) => {
                        Answer::Queue { name: q.name.clone(), messages: 0, consumers: 0 }
                    }
                    Request::FindQueue(q) => {
                        Answer::Queue { name: q.clone(), messages: 1, consumers: 0 }
                    }
                    Request::Purge(_) | Request::DeleteQueue { .. } => Answer::Removed(3),
                    Request::Get { .. } => Answer::Got(None),
                    _ => Answer::Done,
                });
                let mut events = vec![Event::Answer { lane, ticket, result }];
                if let Request::Subscribe(s) = request {
                    events.push(fifty(lane, s.consumer));
                }
                self.session.events(&mut events, Time(0), &mut self.out);
            }
        }
        self.got.said.extend(self.out.bytes.take());
        answered
    }
}

fn fifty(lane: Lane, consumer: Consumer) -> Event {
    let mut run = lockgate_model::RunBuilder::default();
    for n in 0..50u8 {
        run.push(b"x", b"k", false, &[0, 0], &[n], false, 0);
    }
    let run: Arc<Run> = Arc::new(run.finish());
    let lease = Some(LeaseId(consumer.0));
    let (first, step, count, cost) = (0, 1, 50, 50);
    let redelivered = false;
    Event::Deliver(Delivery {
        lane,
        consumer,
        run,
        first,
        step,
        count,
        number: 0,
        lease,
        redelivered,
        stamp: Stamp::None,
        cost,
    })
}

/// The bytes of a whole conversation.
fn conversation(lines: &[String]) -> Vec<u8> {
    let mut tongue = Amqp::default();
    let mut all = Vec::from(*b"AMQP\x00\x00\x09\x01");
    let hello = [
        "login PLAIN guest secret",
        "0 connection.tune_ok channel_max=2047 frame_max=65536",
        "0 connection.open virtual_host=/",
        "1 channel.open",
        "2 channel.open",
        "2 confirm.select",
        "1 basic.consume queue=q consumer_tag=t",
    ];
    for line in hello.iter().copied().chain(lines.iter().map(String::as_str)) {
        all.extend(tongue.say(line).expect(line));
    }
    all
}

/// `cuts`: how many bytes each read brings, over and over.
fn played(bytes: &[u8], cuts: &[usize]) -> Transcript {
    let mut driver = Driver::new();
    let mut unread = BytesMut::new();
    let (mut at, mut cuts) = (0, cuts.iter().cycle());
    while at < bytes.len() {
        let n = cuts.next().map_or(1, |n| (*n).max(1)).min(bytes.len() - at);
        unread.extend_from_slice(&bytes[at..at + n]);
        at += n;
        driver.read(&mut unread);
    }
    driver.got
}

fn line() -> impl Strategy<Value = String> {
    let channel = 1..3u16;
    let size = prop_oneof![Just(0usize), 1..40usize, 4000..9000usize, 30_000..90_000usize];
    let publish = (channel.clone(), 0..3u8, size, prop_oneof![Just(0usize), 500..70_000usize])
        .prop_map(|(c, key, size, split)| {
            let split = if split == 0 { 60_000 } else { split.min(65_528) };
            format!("{c} publish x k{key} *{size} split={split} mode={}", key % 3)
        });
    let small = (channel.clone(), 0..2u8, 0..40usize)
        .prop_map(|(c, key, size)| format!("{c} publish x k{key} *{size}"));
    let asked = prop_oneof![
        Just("queue.declare queue=q"),
        Just("queue.declare queue=q no_wait"),
        Just("queue.purge queue=q"),
        Just("basic.get queue=q"),
        Just("basic.qos prefetch_count=5"),
        Just("basic.qos prefetch_count=5 global"),
        Just("exchange.declare exchange=x kind=topic"),
    ];
    let asked = (channel, asked).prop_map(|(c, what)| format!("{c} {what}"));
    let ack = (1..60u64, any::<bool>(), 0..3u8).prop_map(|(tag, multiple, how)| {
        let multiple = if multiple { " multiple" } else { "" };
        match how {
            0 => format!("1 basic.ack delivery_tag={tag}{multiple}"),
            1 => format!("1 basic.nack delivery_tag={tag}{multiple} requeue"),
            _ => format!("1 basic.reject delivery_tag={tag}"),
        }
    });
    let rare = prop_oneof![
        Just("heartbeat".to_owned()),
        Just("1 channel.close_ok".to_owned()),
        Just("1 channel.open".to_owned()),
        Just("2 publish x k *100001".to_owned()),
        Just("2 publish x k a user=nobody".to_owned()),
        Just("2 channel.close reply_code=200".to_owned()),
    ];
    prop_oneof![6 => small, 3 => publish, 2 => asked, 4 => ack, 1 => rare]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_of_the_bytes_says_the_same(
        lines in prop::collection::vec(line(), 1..40),
        cuts in prop::collection::vec(prop_oneof![1..30usize, 1..5000usize, 1..80_000usize], 1..8),
    ) {
        let bytes = conversation(&lines);
        let whole = played(&bytes, &[bytes.len()]);
        prop_assert_eq!(&played(&bytes, &cuts), &whole);
    }
}

#[test]
fn byte_by_byte_says_the_same() {
    let lines: Vec<String> = [
        "1 publish x k hello mode=2",
        "1 publish x k hello",
        "1 basic.ack delivery_tag=1",
        "1 publish x other *300 split=100",
        "2 publish x k mandatory mandatory",
        "1 queue.declare queue=q",
        "1 basic.nack delivery_tag=9 multiple requeue",
        "0 connection.close reply_code=200",
    ]
    .map(str::to_owned)
    .to_vec();
    let bytes = conversation(&lines);
    let whole = played(&bytes, &[bytes.len()]);
    assert!(whole.asked.iter().any(|l| l.contains("mandatory confirm")), "{whole:?}");
    assert_eq!(whole.settled.len(), 9);
    assert_eq!(played(&bytes, &[1]), whole);
}
