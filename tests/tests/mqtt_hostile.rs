//! What no decent client sends: each gets its reason as far as its version can tell one, costs
//! nobody else anything, and little memory.

use crate::mqtt_kills::options;
use lockgate_tests::packets::{Connect, Flags, kind, packet, text};
use lockgate_tests::{Broker, Options, Packets};
use std::io::Write;
use std::net::TcpStream;

/// A broker, and somebody decent who must never notice anything.
struct House {
    broker: Broker,
    witness: Packets,
    count: u16,
}

impl House {
    fn new(flags: &[&str]) -> House {
        let mut options = options();
        options.flags.extend(flags.iter().map(|flag| flag.to_string()));
        let broker = Broker::start(options);
        let (mut witness, _) = Packets::enter(broker.mqtt, &Connect::new("witness")).unwrap();
        witness.subscribe("witness", 2).unwrap();
        House { broker, witness, count: 0 }
    }

    /// The witness still publishes and hears.
    fn stands(&mut self) {
        self.broker.process.must_live();
        self.count += 1;
        let payload = self.count.to_be_bytes();
        let (mut source, _) = Packets::enter(self.broker.mqtt, &Connect::new("other")).unwrap();
        source.exactly_once("witness", &payload, 1).unwrap();
        let message = self.witness.message().unwrap();
        assert_eq!(message.payload, payload);
        self.witness.acknowledge(kind::PUBREC, message.id).unwrap();
        self.witness.expect(kind::PUBREL).unwrap();
        self.witness.acknowledge(kind::PUBCOMP, message.id).unwrap();
    }

    /// The last packet that these bytes get from a connection that is open, as type and reason.
    fn said(&self, bytes: &[u8], expiry: Option<u32>) -> Option<(u8, u8)> {
        let wish = Connect { expiry, ..Connect::new("hostile") };
        let (mut wire, _) = Packets::enter(self.broker.mqtt, &wish).unwrap();
        // It may hang up while we still talk.
        let _ = wire.send(bytes);
        let last = wire.rest().unwrap().pop()?;
        Some((last.kind(), last.body.first().copied().unwrap_or_default()))
    }
}

#[test]
fn a_packet_that_is_wrong_ends_its_connection_and_says_why() {
    let mut house = House::new(&["--mqtt-packet-max", "64 KiB"]);
    let publish = |topic: &str, head: u8, rest: &[u8]| packet(head, &[&text(topic), rest]);
    let subscribe =
        |filter: &str, options: u8| packet(0x82, &[&[0, 1, 0], &text(filter), &[options]]);
    let cases: &[(&str, Vec<u8>, u8)] = &[
        ("a second CONNECT", Connect::new("x").bytes(), 0x82),
        ("CONNACK of a client", packet(0x20, &[&[0, 0, 0]]), 0x82),
        ("SUBACK of a client", packet(0x90, &[&[0, 1, 0, 0]]), 0x82),
        ("type 0", vec![0, 0], 0x81),
        ("QoS 3", publish("t", 0x36, &[0, 1, 0]), 0x81),
        ("DUP with QoS 0", publish("t", 0x38, &[0]), 0x81),
        ("identifier 0", publish("t", 0x32, &[0, 0, 0]), 0x82),
        ("flags of SUBSCRIBE", packet(0x80, &[&[0, 1, 0], &text("t"), &[0]]), 0x81),
        ("no filter", packet(0x82, &[&[0, 1, 0]]), 0x82),
        ("a wildcard in a name", publish("a/#", 0x30, &[0]), 0x90),
        ("no topic", publish("", 0x30, &[0]), 0x82),
        ("a null in a topic", publish("a\0b", 0x30, &[0]), 0x81),
        ("a topic that is no UTF-8", packet(0x30, &[&[0, 2, 0xC3, 0x28, 0]]), 0x81),
        ("an alias of 0", publish("t", 0x30, &[3, 0x23, 0, 0]), 0x94),
        ("an alias that is too high", publish("t", 0x30, &[3, 0x23, 0xFF, 0xFF]), 0x94),
        ("a property twice", publish("t", 0x30, &[4, 0x01, 0, 0x01, 0]), 0x82),
        ("a property that belongs elsewhere", publish("t", 0x30, &[5, 0x11, 0, 0, 0, 1]), 0x82),
        ("a property that nobody knows", publish("t", 0x30, &[2, 0x7F, 0]), 0x81),
        ("properties longer than the packet", publish("t", 0x30, &[0x7F]), 0x81),
        ("a filter that is none", subscribe("a/#/b", 0), 0x8F),
        ("reserved bits of a subscription", subscribe("a", 0xC0), 0x81),
        ("no local on a share", subscribe("$share/g/a", 4), 0x82),
        ("a length of five octets", vec![0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1], 0x81),
        ("a packet that is too large", vec![0x30, 0xFF, 0xFF, 0xFF, 0x7F], 0x95),
        ("PUBREC with a reason that is none", packet(0x50, &[&[0, 1, 0x55, 0]]), 0x82),
        ("AUTH without a method", packet(0xF0, &[&[0x18, 0]]), 0x82),
    ];
    for (what, bytes, reason) in cases {
        let said = house.said(bytes, Some(0));
        // A filter that is none is refused in SUBACK, whose reason is its last octet.
        let suback = *reason == 0x8F && said.is_some_and(|(kind, _)| kind == kind::SUBACK);
        assert!(suback || said == Some((kind::DISCONNECT, *reason)), "{what}: {said:x?}");
        house.stands();
    }
    // 3.1.1 has no word for it: the end is all.
    assert_eq!(house.said(&publish("a/#", 0x30, &[]), None), None);
    assert_eq!(house.said(&[0x36, 3, 0, 1, b't'], None), None);
    house.stands();
}

#[test]
fn before_it_is_let_in_a_peer_costs_little_and_is_answered_by_its_first_bytes() {
    let mut house = House::new(&["--limits-handshake", "1 s"]);
    let before = house.broker.process.resident();
    let mut all = Vec::new();
    for n in 0..200u32 {
        let mut stream = TcpStream::connect(house.broker.mqtt).unwrap();
        // As much as may be claimed, and some of it.
        let claims: [&[u8]; 3] = [
            &[0x10, 0xFF, 0xFF, 0xFF, 0x7F],
            &[0x10, 0xFF, 0xFF, 3],
            &[0x30, 0xFF, 0xFF, 0xFF, 0x7F],
        ];
        let _ = stream.write_all(claims[n as usize % 3]);
        let _ = stream.write_all(&[b'x'; 32 * 1024]);
        all.push(stream);
    }
    let grown = house.broker.process.resident().saturating_sub(before);
    assert!(grown < 200 * 64 * 1024 + (8 << 20), "{grown} bytes");
    house.stands();
    drop(all);
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"AMQP\0\0\x09\x01", &[0xC0, 0], &[0x20, 2, 0, 0]]
    {
        let mut wire = Packets::connect(house.broker.mqtt).unwrap();
        let _ = wire.send(bytes);
        assert_eq!(wire.rest().unwrap(), [], "{bytes:?}");
    }
    // Says nothing at all, and is hung up on in time.
    assert_eq!(Packets::connect(house.broker.mqtt).unwrap().rest().unwrap(), []);
    house.stands();
}

#[test]
fn one_octet_at_a_time_is_a_conversation_like_any_other() {
    let broker = Broker::start(options());
    let (mut wire, _) = Packets::enter(broker.mqtt, &Connect::new("slow")).unwrap();
    wire.subscribe("t", 1).unwrap();
    for octet in wire.publication("t", b"by and by", Flags::qos(1), 9) {
        wire.send(&[octet]).unwrap();
    }
    let (mut heard, mut acknowledged) = (false, false);
    while !(heard && acknowledged) {
        let packet = wire.packet().unwrap().expect("it goes on");
        match packet.kind() {
            kind::PUBACK => acknowledged = packet.id() == 9,
            _ => heard = packet.message(true).payload == b"by and by",
        }
    }
}

#[test]
fn who_does_not_read_loses_qos_0_keeps_qos_1_and_costs_no_more_than_it_may() {
    let mut house = House::new(&["--mqtt-passing-bytes-max", "256 KiB"]);
    let (mut slow, _) = Packets::enter(house.broker.mqtt, &Connect::new("slow")).unwrap();
    slow.subscribe("passing", 0).unwrap();
    slow.subscribe("kept", 1).unwrap();
    let (mut source, _) = Packets::enter(house.broker.mqtt, &Connect::new("source")).unwrap();
    let before = house.broker.process.resident();
    let (large, rounds) = (vec![b'x'; 16 * 1024], 4_000u16);
    for n in 1..=rounds {
        let bytes = source.publication("passing", &large, Flags::qos(0), 0);
        source.send(&bytes).unwrap();
        if n % 100 == 0 {
            let bytes = source.publication("kept", &n.to_be_bytes(), Flags::qos(1), n);
            source.send(&bytes).unwrap();
            source.expect(kind::PUBACK).unwrap();
        }
    }
    let grown = house.broker.process.resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes of {}", large.len() * usize::from(rounds));
    house.stands();
    let (mut kept, mut passing) = (Vec::new(), 0u32);
    while kept.len() < 40 {
        let message = slow.message().unwrap();
        if message.qos == 0 {
            passing += 1;
        } else {
            kept.push(u16::from_be_bytes([message.payload[0], message.payload[1]]));
            slow.acknowledge(kind::PUBACK, message.id).unwrap();
        }
    }
    assert!(kept.iter().copied().eq((1..=40).map(|n| n * 100)), "{kept:?}");
    assert!(passing < u32::from(rounds), "some of it is lost");
}

#[test]
fn who_is_silent_longer_than_it_said_is_lost() {
    let broker = Broker::start(Options::default());
    let mut wire = Packets::connect(broker.mqtt).unwrap();
    let rest = [text("quiet"), text("guest"), text("guest")].concat();
    wire.send(&packet(0x10, &[&text("MQTT"), &[5, 0xC2, 0, 1, 0], &rest])).unwrap();
    wire.expect(kind::CONNACK).unwrap();
    let told = wire.rest().unwrap();
    assert_eq!((told[0].kind(), told[0].body[0]), (kind::DISCONNECT, 0x8D));
}
