//! What a delivery costs in the session alone: messages to PUBLISH, and acknowledgements to
//! settlements. Standard library only; prints nanoseconds a message, the best of many rounds,
//! since a shared machine only ever adds to a time.

use bytes::Bytes;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Attached, Command, Consumer, Delivery, Event, Interest, Item, Lane, LeaseId, Mark,
    Name, Origin, PASSING, Range, Replay, Retain, Run, SETTLING, Stamp, Ticket, Time,
};
use lockgate_mqtt::packet::{Ack, Connect, Packet, PacketId, Version};
use lockgate_mqtt::property::{Property, PropertyList};
use lockgate_mqtt::{Mqtt, encode};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Time = Time(1_700_000_000_000_000);

/// A client and what came for it.
struct Client {
    session: Box<dyn Session>,
    out: Output,
    events: Vec<Event>,
    version: Version,
}

impl Client {
    /// One that is let in, and hears these filters.
    fn new(version: Version, filters: &[(&str, u32)], aliases: u16) -> Client {
        let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), seed: 1, now: NOW };
        let mut session = Mqtt::default().open(&peer);
        let mut out = Output::default();
        let mut list = PropertyList::default();
        if version == Version::V5 && aliases > 0 {
            list.push(&Property::TopicAliasMaximum(aliases)).expect("a number");
        }
        let connect = Connect {
            version,
            clean: true,
            keep_alive: 0,
            client_id: "bench",
            will: None,
            user: None,
            password: None,
            properties: list.properties(),
        };
        let mut say = Vec::new();
        encode::packet(&mut say, version, usize::MAX, &Packet::Connect(connect)).expect("short");
        session.receive(&Bytes::from(say), NOW, &mut out);
        session.admitted(Verdict::Admitted(Name::from("guest")), NOW, &mut out);
        let interests = filters.iter().map(|(filter, label)| (interest(filter, *label), SETTLING));
        let attached = Attached { interests: interests.collect(), ..Attached::default() };
        let answers = [Answer::Done, Answer::Attached(Box::new(attached))];
        let tickets = out.commands.drain(..).filter_map(|c| match c {
            Command::Ask { lane, ticket, .. } => Some((lane, ticket)),
            _ => None,
        });
        let mut events: Vec<Event> = tickets
            .zip(answers)
            .map(|((lane, ticket), answer)| Event::Answer { lane, ticket, result: Ok(answer) })
            .collect();
        session.events(&mut events, NOW, &mut out);
        assert!(out.close.is_none() && out.bytes.take()[0] == 0x20, "CONNACK");
        Client { session, out, events, version }
    }

    fn deliver(&mut self, delivery: Delivery) {
        self.events.push(Event::Deliver(delivery));
        self.session.events(&mut self.events, NOW, &mut self.out);
    }

    /// The client says one packet for each identifier.
    fn say(
        &mut self,
        ids: impl Iterator<Item = u16>,
        packet: impl Fn(Ack<'static>) -> Packet<'static>,
    ) {
        let mut say = Vec::new();
        for id in ids {
            let ack = Ack::success(PacketId(NonZeroU16::new(id).expect("a mark")));
            encode::packet(&mut say, self.version, usize::MAX, &packet(ack)).expect("short");
        }
        let input = Bytes::from(say);
        let received = self.session.receive(&input, NOW, &mut self.out);
        assert_eq!(received.used, input.len());
    }
}

fn interest(filter: &str, label: u32) -> Interest {
    Interest {
        filter: filter.into(),
        pattern_at: 0,
        group: None,
        key: Bytes::new(),
        level: 2,
        not_own: false,
        as_published: false,
        replay: Replay::Always,
        label,
    }
}

/// What messages of a run are like.
#[derive(Clone, Copy)]
struct Kind<'a> {
    topics: usize,
    qos: u8,
    native: &'a [u8],
    head: &'a [u8],
    keyed: bool,
}

const PLAIN: Kind<'static> =
    Kind { topics: 1, qos: 0, native: b"", head: &[0x10, 0, 1], keyed: false };

/// A run as a queue's block has it: each message's parts one behind the other.
fn run(kind: Kind<'_>, count: usize, body: usize) -> Arc<Run> {
    let (mut bytes, mut run) = (Vec::new(), Run::default());
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Range::new(bytes.len() - part.len(), part.len())
    };
    for n in 0..kind.topics {
        let (topic, key) = (format!("bench/sensor/{n:02}"), format!("bench.sensor.{n:02}"));
        let topic = if kind.keyed { put(b"") } else { put(topic.as_bytes()) };
        let (exchange, key) = (put(b"amq.topic"), put(key.as_bytes()));
        run.origins.push(Origin { exchange, key, topic, mandatory: false });
    }
    for n in 0..count {
        run.items.push(Item {
            origin: (n % kind.topics) as u32,
            head: put(kind.head),
            body: put(&vec![b'x'; body]),
            native: put(kind.native),
            persistent: kind.qos > 0,
            exact: kind.qos == 2,
            retain: Retain::Not,
            priority: 0,
        });
    }
    run.bytes = bytes.into();
    Arc::new(run)
}

fn delivery(run: &Arc<Run>, consumer: Consumer, first: usize, count: usize) -> Delivery {
    Delivery {
        lane: Lane::default(),
        consumer,
        run: run.clone(),
        first: first as u32,
        step: 1,
        count: count as u32,
        number: 0,
        lease: (consumer != PASSING).then_some(LeaseId(1)),
        redelivered: false,
        stamp: Stamp::None,
        cost: 1,
    }
}

fn best(name: &str, messages: usize, mut round: impl FnMut()) {
    let mut least = f64::MAX;
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        let start = Instant::now();
        (0..16).for_each(|_| round());
        least = least.min(start.elapsed().as_nanos() as f64 / (16 * messages) as f64);
    }
    #[allow(clippy::print_stdout)] // what a benchmark is for
    {
        let rate = 1e3 / least;
        println!("{name:<38} {least:>7.1} ns a message {rate:>7.1} million a second");
    }
}

/// Messages that are done with when they are sent, so many in each delivery.
fn passing(name: &str, client: &mut Client, run: &Arc<Run>, batch: usize) {
    let rounds = run.items.len() / batch;
    best(name, rounds * batch, || {
        for part in 0..rounds {
            client.deliver(delivery(run, PASSING, part * batch, batch));
        }
        black_box(client.out.bytes.small().len());
        client.out.bytes.advance(client.out.bytes.len());
    });
}

/// As many messages as are in flight, and all that the client says to them.
fn settling(name: &str, client: &mut Client, run: &Arc<Run>, exact: bool) {
    let count = run.items.len();
    let ids = || (0..count as u64).map(|n| Mark::of_entry(n).0);
    best(name, count, || {
        client.deliver(delivery(run, SETTLING, 0, count));
        client.out.bytes.advance(client.out.bytes.len());
        if exact {
            client.say(ids(), Packet::Pubrec);
            for command in std::mem::take(&mut client.out.commands) {
                if let Command::Received { lane, marks, confirm, .. } = command {
                    let (first, count) = (Ticket(confirm.0), marks.len() as u32);
                    client.events.push(Event::Confirmed { lane, first, count });
                }
            }
            client.session.events(&mut client.events, NOW, &mut client.out);
            assert_eq!(client.out.bytes.len(), count * 4, "PUBREL");
            client.out.bytes.advance(client.out.bytes.len());
            client.say(ids(), Packet::Pubcomp);
        } else {
            client.say(ids(), Packet::Puback);
        }
        assert_eq!(client.out.commands.len(), 1, "joined");
        client.out.commands.clear();
    });
}

fn main() {
    let old = || Client::new(Version::V311, &[("bench/#", 0)], 0);
    let new = || Client::new(Version::V5, &[("bench/#", 0)], 0);
    let small = run(PLAIN, 512, 16);
    passing("QoS 0, 16 B, 3.1.1", &mut old(), &small, 512);
    passing("QoS 0, 16 B, 5", &mut new(), &small, 512);
    passing("QoS 0, 16 B, 5, 8 at a time", &mut new(), &small, 8);
    passing("QoS 0, 16 B, 5, 1 at a time", &mut new(), &small, 1);
    passing("QoS 0, 1 KiB, 5", &mut new(), &run(PLAIN, 512, 1024), 512);
    passing("QoS 0, 64 KiB, 5", &mut new(), &run(PLAIN, 16, 65_536), 16);
    let several = run(Kind { topics: 16, ..PLAIN }, 512, 16);
    passing("QoS 0, 16 B, 5, 16 topics in turn", &mut new(), &several, 512);
    let few = run(Kind { topics: 5, ..PLAIN }, 512, 16);
    let mut aliased = Client::new(Version::V5, &[("bench/#", 0)], 16);
    passing("  the same, with numbers for topics", &mut aliased, &several, 512);
    passing("QoS 0, 16 B, 5, a number for its topic", &mut aliased, &small, 512);
    for count in [5, 50, 2000] {
        let names: Vec<String> = (0..count).map(|n| format!("bench/+/{n:02}")).collect();
        let filters: Vec<(&str, u32)> = names.iter().map(|f| (f.as_str(), 0)).collect();
        let mut many = Client::new(Version::V5, &filters, 0);
        let several = if count < 16 { &few } else { &several };
        passing(&format!("  topics in turn, {count} filters"), &mut many, several, 512);
    }
    let mut labelled = Client::new(Version::V5, &[("bench/#", 7), ("#", 300)], 0);
    passing("QoS 0, 16 B, 5, two identifiers", &mut labelled, &small, 512);
    let native = [b"M\x02\x7f\0\0\0\x26\0\x03key\0\x05value".as_slice()].concat();
    let head = [b"\x31\0\0\0\0\x0e\x03keyS\0\0\0\x05value\x01\x0560000".as_slice()].concat();
    let rich = run(Kind { native: &native, head: &head, ..PLAIN }, 512, 16);
    passing("QoS 0, 16 B, 5, expiry, user property", &mut new(), &rich, 512);
    let keyed = Kind { head: b"\x90\0\x0atext/plain\x01", keyed: true, ..PLAIN };
    passing("QoS 0, 16 B, 5, from AMQP", &mut new(), &run(keyed, 512, 16), 512);
    let sure = run(Kind { qos: 1, ..PLAIN }, 100, 16);
    settling("QoS 1, 16 B, 3.1.1, 100 in flight", &mut old(), &sure, false);
    settling("QoS 1, 16 B, 5, 100 in flight", &mut new(), &sure, false);
    let exact = run(Kind { qos: 2, ..PLAIN }, 100, 16);
    settling("QoS 2, 16 B, 5, 100 in flight", &mut new(), &exact, true);
}
