//! Deliveries and what the client answers, against simpler accounts of both.

mod answers;
mod bytes;
mod rules;

use super::*;
use crate::decode;
use crate::frame::{self, Cut};
use crate::packet::{Publish, Side};
use lockgate_model::{Item, LeaseId, Origin, PASSING, Range, Replay, Retain, Run, SETTLING, Stamp};
use std::sync::Arc;

const NOW: Time = Time(1_700_000_000_500_000);

/// A message as a test says it.
#[derive(Clone, Debug, Default)]
struct Message {
    /// Empty if it has a key only.
    topic: String,
    key: String,
    /// 0 to 2.
    qos: u8,
    retain: Retain,
    head: Vec<u8>,
    native: Vec<u8>,
    payload: Vec<u8>,
}

impl Message {
    fn new(topic: &str, qos: u8, payload: &str) -> Message {
        let (topic, payload) = (topic.to_owned(), payload.as_bytes().to_vec());
        let key = topic.replace('/', ".");
        let head = vec![0x10, 0, 1 + u8::from(qos > 0)];
        Message { topic, key, qos, head, payload, ..Message::default() }
    }
}

fn run(messages: &[Message]) -> Arc<Run> {
    let mut run = Run::default();
    let (mut bytes, mut beside) = (Vec::new(), Vec::new());
    let put = |into: &mut Vec<u8>, text: &[u8]| {
        into.extend_from_slice(text);
        into.len() - text.len()
    };
    for m in messages {
        let topic = Range::beside(put(&mut beside, m.topic.as_bytes()), m.topic.len());
        let key = Range::beside(put(&mut beside, m.key.as_bytes()), m.key.len());
        let head = Range::beside(put(&mut beside, &m.head), m.head.len());
        let native = Range::beside(put(&mut beside, &m.native), m.native.len());
        let body = Range::new(put(&mut bytes, &m.payload), m.payload.len());
        let same = run.origins.last().is_some_and(|o: &Origin| {
            (o.key.len, o.topic.len) == (key.len, topic.len) && {
                let at = |r: Range| (r.at & !(1 << 31)) as usize;
                let part = |r: Range| &beside[at(r)..at(r) + r.len as usize];
                part(o.key) == part(key) && part(o.topic) == part(topic)
            }
        });
        if !same {
            run.origins.push(Origin { exchange: key, key, topic, mandatory: false });
        }
        run.items.push(Item {
            origin: run.origins.len() as u32 - 1,
            head,
            body,
            native,
            persistent: m.qos > 0,
            exact: m.qos == 2,
            retain: m.retain,
            priority: 0,
        });
    }
    (run.bytes, run.beside) = (bytes.into(), beside.into());
    Arc::new(run)
}

fn delivery(consumer: Consumer, messages: &[Message]) -> Delivery {
    Delivery {
        lane: lockgate_model::Lane::default(),
        consumer,
        run: run(messages),
        first: 0,
        step: 1,
        count: messages.len() as u32,
        number: 0,
        lease: (consumer != PASSING).then_some(LeaseId(1)),
        redelivered: false,
        stamp: Stamp::None,
        cost: 10,
    }
}

fn interest(filter: &str, level: u8, label: u32) -> Interest {
    let f = crate::topic::Filter::of(filter).expect("a good filter");
    let group = f.group.map(|_| "group".into());
    Interest {
        filter: filter.into(),
        pattern_at: (f.whole.len() - f.pattern.len()) as u16,
        group,
        key: ::bytes::Bytes::new(),
        level,
        not_own: false,
        as_published: false,
        replay: Replay::Always,
        label,
    }
}

const TERMS: Terms = Terms {
    version: Version::V5,
    dialect: Dialect::RabbitMq { sparkplug: false },
    packet_max: usize::MAX,
    alias_max: 0,
    in_flight_max: 10,
};

/// What is sent to a client, and what has been.
struct Bench {
    outbound: Outbound,
    out: Output,
}

impl Bench {
    fn new(terms: Terms, interests: &[Interest]) -> Bench {
        Bench::resumed(terms, interests, &[])
    }

    fn resumed(terms: Terms, interests: &[Interest], received: &[u16]) -> Bench {
        let (mut outbound, mut out) = (Outbound::new(), Output::default());
        let handles = interests.iter().enumerate().map(|(n, i)| {
            let handle = if i.is_shared() { Consumer(n as u32 + 2) } else { SETTLING };
            (i.clone(), handle)
        });
        let received = received.iter().map(|id| Mark(*id)).collect();
        let attached = Attached { interests: handles.collect(), received, ..Attached::default() };
        outbound.attached(terms, &attached, &mut out);
        Bench { outbound, out }
    }

    fn deliver(&mut self, d: &Delivery) -> Vec<String> {
        self.outbound.deliver(d, NOW, &mut self.out);
        self.turn()
    }

    /// The end of a turn: what has been sent and asked since the last, in words.
    fn turn(&mut self) -> Vec<String> {
        self.turn_at(NOW)
    }

    fn turn_at(&mut self, now: Time) -> Vec<String> {
        self.outbound.flush(now, &mut self.out);
        let bytes = self.out.bytes.take();
        let mut said = Vec::new();
        packets(&bytes, self.outbound.terms.version, |packet| said.push(words(&packet)));
        said.extend(self.out.commands.drain(..).map(|c| match c {
            Command::Settle { from, count, outcome, .. } => format!("! {outcome:?} {from}+{count}"),
            Command::Received { from, marks, confirm, .. } => {
                let marks: Vec<u16> = marks.iter().map(|m| m.0).collect();
                format!("! received {from} {marks:?} as {}", confirm.0 & !RECEIVED)
            }
            Command::Completed(marks) => format!("! completed {:?}", marks[0].0),
            other => format!("! {other:?}"),
        }));
        said
    }

    fn puback(&mut self, id: u16, reason: Reason) -> Vec<String> {
        self.outbound.puback(id_of(id), reason, &mut self.out).expect("no fault");
        self.turn()
    }

    fn pubrec(&mut self, id: u16, reason: Reason) -> Vec<String> {
        self.outbound.pubrec(id_of(id), reason, &mut self.out).expect("no fault");
        self.turn()
    }

    fn pubcomp(&mut self, id: u16) -> Vec<String> {
        self.outbound.pubcomp(id_of(id), Reason::Success, &mut self.out).expect("no fault");
        self.turn()
    }

    fn confirmed(&mut self, first: u64, count: u32) -> Vec<String> {
        self.outbound.confirmed(Ticket(RECEIVED | first), count, &mut self.out);
        self.turn()
    }
}

use lockgate_model::Command;

fn id_of(id: u16) -> PacketId {
    PacketId(NonZeroU16::new(id).expect("not 0"))
}

fn packets(mut bytes: &[u8], version: Version, mut each: impl FnMut(Packet<'_>)) {
    while !bytes.is_empty() {
        let Ok(Cut::Whole(head, body)) = frame::cut(bytes, usize::MAX) else {
            panic!("no packet: {bytes:x?}")
        };
        each(decode::packet(Side::Server, version, head, body).expect("a good packet"));
        bytes = &bytes[head.total()..];
    }
}

/// `PUBLISH topic payload`, with what is not as usual behind it.
fn words(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Publish(p) => {
            let Publish { dup, qos, retain, topic, id, properties, payload } = p;
            let mut said = format!("{topic} {}", payload.escape_ascii());
            if let Some(id) = id {
                said += &format!(" q{} {}", qos.bits(), id.0);
            }
            for (name, set) in [("dup", dup), ("retain", retain)] {
                said += &if *set { format!(" {name}") } else { String::new() };
            }
            if !properties.is_empty() {
                said += &format!(" {properties:?}");
            }
            said
        }
        Packet::Pubrel(a) if a.reason == Reason::Success => format!("PUBREL {}", a.id.0),
        Packet::Pubrel(a) => format!("PUBREL {} {:?}", a.id.0, a.reason),
        other => format!("{other:?}"),
    }
}
