//! What WebSocket adds to a message in the session alone, beside the same without it: AMQP
//! publishes in and deliveries out. Standard library only; prints nanoseconds per message,
//! the best of many rounds, since a shared machine only ever adds to a time.

use bytes::Bytes;
use lockgate_amqp091::packet::{Header, Method, RawTable, Secret};
use lockgate_amqp091::{Amqp091, encode, frame};
use lockgate_front::{Front, Output, Peer, Session, Verdict, first};
use lockgate_model::{
    Answer, Command, Consumer, Delivery, Event, Lane, Name, Run, RunBuilder, Stamp, Time,
};
use lockgate_websocket::{Inner, Settings, WebSocket};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Time = Time(1);

/// What a read brings: the drive loop reads up to 64 KiB at once.
const READ: usize = 64 * 1024;

/// How what a client says is put into messages.
#[derive(Clone, Copy)]
enum Way {
    /// It is not: plain TCP.
    Plain,
    /// One for each publish, which is what most clients do.
    Each,
    /// As many publishes as fit.
    Many,
}

fn packet(bytes: &[u8]) -> Option<usize> {
    let size = bytes.get(3..7)?.try_into().ok()?;
    Some(frame::AROUND + u32::from_be_bytes(size) as usize)
}

fn message(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(0x82);
    match payload.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().enumerate().map(|(n, b)| b ^ mask[n % 4]));
}

struct Client {
    session: Box<dyn Session>,
    out: Output,
    way: Way,
}

impl Client {
    fn new(way: Way) -> Client {
        let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), seed: 1, now: NOW };
        let amqp: Arc<dyn Front> = Arc::new(Amqp091::default());
        let session = match way {
            Way::Plain => amqp.open(&peer),
            _ => {
                let (tokens, paths) = (&["amqp"][..], &["/amqp"][..]);
                let first = first::amqp;
                let inner = Inner { front: amqp, first, tokens, paths, text: false, packet };
                WebSocket::new(Settings::default(), vec![inner]).open(&peer)
            }
        };
        let mut client = Client { session, out: Output::default(), way };
        if !matches!(way, Way::Plain) {
            let request = "GET /amqp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Version: 13\r\n\r\n";
            client.read(&Bytes::from(request));
        }
        client.log_in();
        client
    }

    fn log_in(&mut self) {
        self.say(b"AMQP\x00\x00\x09\x01");
        self.method(
            0,
            &Method::ConnectionStartOk {
                client_properties: RawTable(b""),
                mechanism: "PLAIN",
                response: Secret(b"\0guest\0guest"),
                locale: "en_US",
            },
        );
        let verdict = Verdict::Admitted(Name::from("guest"));
        self.session.admitted(verdict, NOW, &mut self.out);
        let (channel_max, frame_max, heartbeat) = (2047, 131_072, 0);
        self.method(0, &Method::ConnectionTuneOk { channel_max, frame_max, heartbeat });
        let open = Method::ConnectionOpen { virtual_host: "/", capabilities: "", insist: false };
        self.method(0, &open);
        self.answer();
        self.method(1, &Method::ChannelOpen { out_of_band: "" });
        self.answer();
        self.out.bytes.take();
    }

    fn method(&mut self, channel: u16, method: &Method<'_>) {
        let mut bytes = Vec::new();
        encode::method(&mut bytes, channel, method);
        self.say(&bytes);
    }

    fn say(&mut self, bytes: &[u8]) {
        let mut framed = Vec::new();
        match self.way {
            Way::Plain => framed.extend_from_slice(bytes),
            _ => message(&mut framed, bytes),
        }
        self.read(&Bytes::from(framed));
    }

    fn read(&mut self, input: &Bytes) {
        let received = self.session.receive(input, NOW, &mut self.out);
        assert_eq!(received.used, input.len());
    }

    fn answer(&mut self) {
        for command in std::mem::take(&mut self.out.commands) {
            if let Command::Ask { lane, ticket, .. } = command {
                let mut events = vec![Event::Answer { lane, ticket, result: Ok(Answer::Done) }];
                self.session.events(&mut events, NOW, &mut self.out);
            }
        }
    }
}

/// As many publishes as one read brings.
fn publishes(way: Way, body: usize) -> (Bytes, usize) {
    let (mut all, mut many, mut n) = (Vec::new(), Vec::new(), 0);
    let body = vec![b'x'; body];
    let mut one = Vec::new();
    let publish = Method::BasicPublish {
        ticket: 0,
        exchange: "amq.direct",
        routing_key: b"bench-0",
        mandatory: false,
        immediate: false,
    };
    encode::method(&mut one, 1, &publish);
    let (body_size, properties) = (body.len() as u64, &[0x10, 0, 1][..]);
    encode::header(&mut one, 1, &Header { class: 60, weight: 0, body_size, properties });
    encode::frame(&mut one, frame::Kind::Body, 1, |out| out.extend_from_slice(&body));
    while all.len() + many.len() + one.len() + 14 <= READ {
        match way {
            Way::Plain => all.extend_from_slice(&one),
            Way::Each => message(&mut all, &one),
            Way::Many => many.extend_from_slice(&one),
        }
        n += 1;
    }
    if !many.is_empty() {
        message(&mut all, &many);
    }
    (Bytes::from(all), n)
}

fn best(messages: usize, mut round: impl FnMut()) -> f64 {
    let mut least = f64::MAX;
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        let start = Instant::now();
        for _ in 0..16 {
            round();
        }
        least = least.min(start.elapsed().as_nanos() as f64 / (16 * messages) as f64);
    }
    least
}

fn publish(way: Way, body: usize) -> f64 {
    let mut client = Client::new(way);
    let (input, n) = publishes(way, body);
    best(n, || {
        client.read(&input);
        black_box(&client.out.commands);
        client.out.commands.clear();
    })
}

fn deliver(way: Way, body: usize, batch: usize, batches: usize) -> f64 {
    let mut client = Client::new(way);
    let consume = Method::BasicConsume {
        ticket: 0,
        queue: "q",
        consumer_tag: "ctag-1",
        no_local: false,
        no_ack: true,
        exclusive: false,
        no_wait: true,
        arguments: Default::default(),
    };
    client.method(1, &consume);
    client.answer();
    let mut run = RunBuilder::default();
    let body = vec![b'x'; body];
    for _ in 0..batch {
        run.push(b"amq.direct", b"bench-0", false, &[0x10, 0, 1], &body, false, 0);
    }
    let run: Arc<Run> = Arc::new(run.finish());
    let mut events = Vec::new();
    best(batch * batches, || {
        for _ in 0..batches {
            events.push(Event::Deliver(Delivery {
                lane: Lane(1),
                consumer: Consumer(1),
                run: run.clone(),
                first: 0,
                step: 1,
                count: batch as u32,
                number: 0,
                lease: None,
                redelivered: false,
                stamp: Stamp::None,
                cost: 1,
            }));
            client.session.events(&mut events, NOW, &mut client.out);
        }
        black_box(client.out.bytes.small().len());
        client.out.bytes.advance(client.out.bytes.len());
    })
}

fn main() {
    let table = |name: &str, of: &dyn Fn(Way) -> f64| {
        let [plain, each, many] = [Way::Plain, Way::Each, Way::Many].map(of);
        #[allow(clippy::print_stdout)] // what a benchmark is for
        {
            println!("{name:<30} {plain:>8.1} ns plain {each:>8.1} each {many:>8.1} many");
        }
    };
    table("publish, 16 B", &|way| publish(way, 16));
    table("publish, 1 KiB", &|way| publish(way, 1024));
    table("publish, 16 KiB", &|way| publish(way, 16 * 1024));
    table("deliver, 16 B, 500 at a time", &|way| deliver(way, 16, 500, 1));
    table("deliver, 16 B, 5000 at a time", &|way| deliver(way, 16, 5000, 1));
    table("deliver, 16 B, 1 at a time", &|way| deliver(way, 16, 1, 100));
    table("deliver, 1 KiB, 500 at a time", &|way| deliver(way, 1024, 500, 1));
    table("deliver, 64 KiB, 10 at a time", &|way| deliver(way, 64 * 1024, 10, 1));
}
