//! What one message costs in the session alone: publishes in, deliveries out, acks in.
//! Standard library only; prints nanoseconds per message, the best of many rounds,
//! since a shared machine only ever adds to a time.

use bytes::Bytes;
use lockgate_amqp091::packet::{Header, Method, RawTable, Secret};
use lockgate_amqp091::{Amqp091, encode, frame};
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Command, Consumer, Delivery, Event, Lane, LeaseId, Name, Run, Stamp, Time,
};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

const NOW: Time = Time(1);

/// What a read brings: the drive loop reads up to 64 KiB at once.
const READ: usize = 64 * 1024;

fn session() -> (Box<dyn Session>, Output) {
    let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), seed: 1, now: NOW };
    let mut s = Amqp091::default().open(&peer);
    let mut out = Output::default();
    let mut say = Vec::from(*b"AMQP\x00\x00\x09\x01");
    let start = Method::ConnectionStartOk {
        client_properties: RawTable(b""),
        mechanism: "PLAIN",
        response: Secret(b"\0guest\0guest"),
        locale: "en_US",
    };
    encode::method(&mut say, 0, &start);
    s.receive(&Bytes::from(std::mem::take(&mut say)), NOW, &mut out);
    s.admitted(Verdict::Admitted(Name::from("guest")), NOW, &mut out);
    let (channel_max, frame_max, heartbeat) = (2047, 131_072, 0);
    let tune = Method::ConnectionTuneOk { channel_max, frame_max, heartbeat };
    encode::method(&mut say, 0, &tune);
    let open = Method::ConnectionOpen { virtual_host: "/", capabilities: "", insist: false };
    encode::method(&mut say, 0, &open);
    s.receive(&Bytes::from(std::mem::take(&mut say)), NOW, &mut out);
    answer(s.as_mut(), &mut out);
    encode::method(&mut say, 1, &Method::ChannelOpen { out_of_band: "" });
    s.receive(&Bytes::from(say), NOW, &mut out);
    out.bytes.take();
    (s, out)
}

fn answer(s: &mut dyn Session, out: &mut Output) {
    for command in std::mem::take(&mut out.commands) {
        if let Command::Ask { lane, ticket, .. } = command {
            s.events(&mut vec![Event::Answer { lane, ticket, result: Ok(Answer::Done) }], NOW, out);
        }
    }
}

/// As many publishes as one read brings.
fn publishes(body: usize, properties: &[u8], keys: usize) -> (Bytes, usize) {
    let (mut bytes, mut n, body) = (Vec::new(), 0, vec![b'x'; body]);
    let mut last = 0;
    while bytes.len() + last <= READ {
        let before = bytes.len();
        let key = format!("bench-{}", n % keys);
        let publish = Method::BasicPublish {
            ticket: 0,
            exchange: "amq.direct",
            routing_key: key.as_bytes(),
            mandatory: false,
            immediate: false,
        };
        encode::method(&mut bytes, 1, &publish);
        let body_size = body.len() as u64;
        encode::header(&mut bytes, 1, &Header { class: 60, weight: 0, body_size, properties });
        encode::frame(&mut bytes, frame::Kind::Body, 1, |out| out.extend_from_slice(&body));
        last = bytes.len() - before;
        n += 1;
    }
    (Bytes::from(bytes), n)
}

fn best(name: &str, messages: usize, mut round: impl FnMut()) {
    let mut least = f64::MAX;
    let until = Instant::now() + std::time::Duration::from_millis(400);
    while Instant::now() < until {
        let start = Instant::now();
        for _ in 0..16 {
            round();
        }
        least = least.min(start.elapsed().as_nanos() as f64 / (16 * messages) as f64);
    }
    #[allow(clippy::print_stdout)] // what a benchmark is for
    {
        println!("{name:<34} {least:>8.1} ns a message  ({messages} at once)");
    }
}

fn receive(name: &str, body: usize, properties: &[u8], keys: usize) -> Arc<Run> {
    let (mut s, mut out) = session();
    let (input, n) = publishes(body, properties, keys);
    best(name, n, || {
        let received = s.receive(&input, NOW, &mut out);
        assert_eq!(received.used, input.len());
        black_box(&out.commands);
        out.commands.clear();
    });
    s.receive(&input, NOW, &mut out);
    match out.commands.pop() {
        Some(Command::Publish { run, .. }) => run,
        other => unreachable!("{other:?}"),
    }
}

fn deliver(name: &str, run: &Arc<Run>, batch: usize, settled: bool) {
    let (mut s, mut out) = session();
    let mut say = Vec::new();
    let consume = Method::BasicConsume {
        ticket: 0,
        queue: "q",
        consumer_tag: "ctag-1",
        no_local: false,
        no_ack: settled,
        exclusive: false,
        no_wait: true,
        arguments: Default::default(),
    };
    encode::method(&mut say, 1, &consume);
    s.receive(&Bytes::from(say), NOW, &mut out);
    answer(s.as_mut(), &mut out);
    let mut events = Vec::new();
    let mut tag = 0;
    best(name, run.items.len() / batch * batch, || {
        for part in 0..run.items.len() / batch {
            events.push(Event::Deliver(Delivery {
                lane: Lane(1),
                consumer: Consumer(1),
                run: run.clone(),
                first: (part * batch) as u32,
                step: 1,
                count: batch as u32,
                number: 0,
                lease: (!settled).then_some(LeaseId(part as u32)),
                redelivered: false,
                stamp: Stamp::None,
                cost: 1,
            }));
            s.events(&mut events, NOW, &mut out);
            tag += batch as u64;
        }
        black_box(out.bytes.small().len());
        out.bytes.advance(out.bytes.len());
        if !settled {
            let mut say = Vec::new();
            encode::method(&mut say, 1, &Method::BasicAck { delivery_tag: tag, multiple: true });
            s.receive(&Bytes::from(say), NOW, &mut out);
            out.commands.clear();
        }
    });
}

fn acks() {
    let (mut s, mut out) = session();
    let run = receive("(publish, 16 B)", 16, &[0x10, 0, 1], 1);
    let mut say = Vec::new();
    let (queue, consumer_tag) = ("q", "t");
    let consume = Method::BasicConsume {
        ticket: 0,
        queue,
        consumer_tag,
        no_local: false,
        no_ack: false,
        exclusive: false,
        no_wait: true,
        arguments: Default::default(),
    };
    encode::method(&mut say, 1, &consume);
    s.receive(&Bytes::from(say), NOW, &mut out);
    out.commands.clear();
    let mut tag = 0;
    best("deliver 200, ack one by one", 200, || {
        let delivery = Delivery {
            lane: Lane(1),
            consumer: Consumer(1),
            run: run.clone(),
            first: 0,
            step: 1,
            count: 200,
            number: 0,
            lease: Some(LeaseId(1)),
            redelivered: false,
            stamp: Stamp::None,
            cost: 1,
        };
        s.events(&mut vec![Event::Deliver(delivery)], NOW, &mut out);
        out.bytes.advance(out.bytes.len());
        let mut say = Vec::with_capacity(200 * 21);
        for _ in 0..200 {
            tag += 1;
            encode::method(&mut say, 1, &Method::BasicAck { delivery_tag: tag, multiple: false });
        }
        s.receive(&Bytes::from(say), NOW, &mut out);
        black_box(&out.commands);
        out.commands.clear();
    });
}

fn main() {
    let plain = receive("publish, 16 B", 16, &[0x10, 0, 1], 1);
    let kib = receive("publish, 1 KiB", 1024, &[0x10, 0, 2], 1);
    receive("publish, 16 B, 4 keys in turn", 16, &[0x10, 0, 1], 4);
    let typed = [&[0x90, 0x00, 24][..], b"application/octet-stream", &[2]].concat();
    receive("publish, 16 B, content-type", 16, &typed, 1);
    deliver("deliver, 16 B, settled", &plain, plain.items.len(), true);
    deliver("deliver, 16 B, leased", &plain, plain.items.len(), false);
    deliver("deliver, 16 B, 8 at a time", &plain, 8, true);
    deliver("deliver, 16 B, 1 at a time", &plain, 1, true);
    deliver("deliver, 1 KiB, settled", &kib, kib.items.len(), true);
    acks();
}
