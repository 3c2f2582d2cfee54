//! What a message from a client costs in the session alone, with its answers, and that nothing
//! is allocated for it. Standard library only; prints nanoseconds per message, the best of many rounds, since a
//! shared machine only ever adds to a time.

use bytes::Bytes;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{Answer, Command, Event, Lane, Request, Ticket, Time};
use lockgate_mqtt::packet::{Ack, Connect, Packet, PacketId, Publish, Qos, Version};
use lockgate_mqtt::property::{Properties, Property, PropertyList};
use lockgate_mqtt::{Mqtt, Settings, encode};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const NOW: Time = Time(1_700_000_000_000_000);

/// What a read brings: the drive loop reads up to 64 KiB at once.
const READ: usize = 64 * 1024;

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands on to the system's allocator what it is given, unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: it came from `System.alloc` with the same layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A client that is let in.
struct Client {
    session: Box<dyn Session>,
    out: Output,
    version: Version,
}

impl Client {
    fn new(version: Version) -> Client {
        let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), seed: 1, now: NOW };
        let settings = Settings { receive_max: u16::MAX, ..Settings::default() };
        let session = Mqtt::new(settings).open(&peer);
        let mut client = Client { session, out: Output::default(), version };
        let connect = Packet::Connect(Connect {
            version,
            clean: true,
            keep_alive: 60,
            client_id: "bench",
            will: None,
            user: None,
            password: None,
            properties: Properties::NONE,
        });
        client.say(&[connect]);
        let verdict = Verdict::Admitted("guest".into());
        client.session.admitted(verdict, NOW, &mut client.out);
        client.answer();
        client.out.bytes.take();
        client
    }

    fn say(&mut self, packets: &[Packet<'_>]) {
        let input = packed(self.version, packets);
        self.read(&input);
    }

    fn read(&mut self, input: &Bytes) {
        let received = self.session.receive(input, NOW, &mut self.out);
        assert_eq!(received.used, input.len());
    }

    fn answer(&mut self) {
        let mut events = Vec::new();
        for command in self.out.commands.drain(..) {
            let confirmed = |first: Ticket, count: usize| Event::Confirmed {
                lane: Lane(0),
                first,
                count: count as u32,
            };
            match command {
                Command::Ask { lane, ticket, request } => {
                    let answer = match request {
                        Request::Attach(_) => Answer::Attached(Box::default()),
                        _ => Answer::Done,
                    };
                    events.push(Event::Answer { lane, ticket, result: Ok(answer) });
                }
                Command::Publish { run, confirm: Some(first), .. }
                | Command::PublishOnce { run, confirm: first, .. } => {
                    events.push(confirmed(first, run.items.len()));
                }
                Command::Release { marks, confirm, .. }
                | Command::Received { marks, confirm, .. } => {
                    events.push(confirmed(confirm, marks.len()));
                }
                _ => {}
            }
        }
        self.session.events(&mut events, NOW, &mut self.out);
    }

    fn forget(&mut self) {
        black_box(self.out.bytes.small().len());
        self.out.bytes.advance(self.out.bytes.len());
        black_box(&self.out.commands);
        self.out.commands.clear();
    }
}

fn packed(version: Version, packets: &[Packet<'_>]) -> Bytes {
    let mut bytes = Vec::new();
    for packet in packets {
        encode::packet(&mut bytes, version, usize::MAX, packet).expect("a packet");
    }
    Bytes::from(bytes)
}

fn id(n: usize) -> PacketId {
    PacketId(NonZeroU16::new(n as u16).unwrap_or(NonZeroU16::MIN))
}

/// What is published.
struct Kind {
    version: Version,
    qos: Qos,
    body: usize,
    topics: usize,
    properties: PropertyList,
}

impl Kind {
    /// As many publishes as one read brings.
    fn read(&self) -> (Bytes, usize) {
        let (mut bytes, mut n, body) = (Vec::new(), 0, vec![b'x'; self.body]);
        let mut last = 0;
        while bytes.len() + last <= READ {
            let before = bytes.len();
            let topic = format!("bench/topic/{}", n % self.topics);
            n += 1;
            let publish = Packet::Publish(Publish {
                dup: false,
                qos: self.qos,
                retain: false,
                topic: &topic,
                id: (self.qos != Qos::AtMostOnce).then(|| id(n)),
                properties: self.properties.properties(),
                payload: &body,
            });
            encode::packet(&mut bytes, self.version, usize::MAX, &publish).expect("a packet");
            last = bytes.len() - before;
        }
        (Bytes::from(bytes), n)
    }
}

fn best(name: &str, messages: usize, mut round: impl FnMut()) {
    let (mut least, mut allocations) = (f64::MAX, u64::MAX);
    let until = Instant::now() + Duration::from_millis(300);
    while Instant::now() < until {
        let (start, before) = (Instant::now(), ALLOCATIONS.load(Ordering::Relaxed));
        for _ in 0..8 {
            round();
        }
        least = least.min(start.elapsed().as_nanos() as f64 / (8 * messages) as f64);
        allocations = allocations.min((ALLOCATIONS.load(Ordering::Relaxed) - before) / 8);
    }
    #[allow(clippy::print_stdout)] // what a benchmark is for
    {
        println!(
            "{name:<40} {least:>7.1} ns a message  {allocations:>4} allocations of {messages}"
        );
    }
}

fn publish(name: &str, kind: &Kind) {
    let (input, n) = kind.read();
    let mut client = Client::new(kind.version);
    let releases: Vec<Packet<'_>> = (1..=n).map(|n| Packet::Pubrel(Ack::success(id(n)))).collect();
    let releases = packed(kind.version, &releases);
    best(name, n, || {
        client.read(&input);
        if kind.qos != Qos::AtMostOnce {
            client.answer();
        }
        if kind.qos == Qos::ExactlyOnce {
            client.read(&releases);
            client.answer();
        }
        client.forget();
    });
}

fn main() {
    let none = PropertyList::default;
    let mut some = none();
    some.push(&Property::ContentType("text/plain")).expect("a property");
    some.push(&Property::UserProperty(("trace", "0123456789"))).expect("a property");
    let (v4, v5) = (Version::V311, Version::V5);
    let (q0, q1, q2) = (Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce);
    let kind =
        |version, qos, body, topics, properties| Kind { version, qos, body, topics, properties };
    publish("in, QoS 0, 16 B", &kind(v4, q0, 16, 1, none()));
    publish("in, QoS 0, 16 B, version 5", &kind(v5, q0, 16, 1, none()));
    publish("in, QoS 0, 16 B, 5 topics", &kind(v5, q0, 16, 5, none()));
    publish("in, QoS 0, 16 B, 100 topics", &kind(v5, q0, 16, 100, none()));
    publish("in, QoS 0, 16 B, 2 properties", &kind(v5, q0, 16, 1, some));
    publish("in, QoS 0, 1 KiB", &kind(v4, q0, 1024, 1, none()));
    publish("in, QoS 1, 16 B, and its answer", &kind(v5, q1, 16, 1, none()));
    publish("in, QoS 2, 16 B, and its answers", &kind(v5, q2, 16, 1, none()));
}
