//! Decoding is the inverse of encoding for any packet of any version, every cut of a packet
//! is refused, and however the bytes are cut into reads, the same packets are found.

use crate::dialect::{Dialect, is_plain};
use crate::error::EncodeError;
use crate::frame::{self, BEFORE_LOGIN_MAX, Cut};
use crate::packet::*;
use crate::property::{Properties, Property, PropertyList};
use crate::reason::Reason;
use crate::topic::{Filter, check_name, matches};
use crate::{decode, encode};
use proptest::prelude::*;
use std::num::{NonZeroU16, NonZeroU32};

/// What the packets of one case are made of.
#[derive(Clone, Debug)]
struct Material {
    version: Version,
    bits: u16,
    id: NonZeroU16,
    number: NonZeroU32,
    /// Good topic names.
    topics: Vec<String>,
    texts: (String, String),
    bytes: Vec<u8>,
    /// Chooses reason codes and properties.
    dice: Vec<u8>,
}

fn material() -> impl Strategy<Value = Material> {
    let version = prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)];
    let topics = prop::collection::vec("[a-c/ä.*$ ]{1,12}", 1..4);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        (100..20_000usize).prop_map(|n| vec![7; n]),
    ];
    let dice = prop::collection::vec(any::<u8>(), 12);
    (version, any::<u16>(), 1..=u16::MAX, 1..=frame::LENGTH_MAX as u32, topics).prop_flat_map(
        move |(version, bits, id, number, topics)| {
            ("[ -~ä]{0,30}", "[ -~ä]{0,30}", bytes.clone(), dice.clone()).prop_map(
                move |(a, b, bytes, dice)| Material {
                    version,
                    bits,
                    id: NonZeroU16::new(id).unwrap(),
                    number: NonZeroU32::new(number).unwrap(),
                    topics: topics.clone(),
                    texts: (a, b),
                    bytes,
                    dice,
                },
            )
        },
    )
}

impl Material {
    fn bit(&self, n: u32) -> bool {
        self.bits >> n & 1 == 1
    }

    fn qos(&self) -> Qos {
        Qos::of(self.dice[0] % 3).unwrap()
    }

    fn id(&self) -> PacketId {
        PacketId(self.id)
    }

    /// Some of the properties that may stand there.
    fn properties(&self, place: Place) -> PropertyList {
        let mut list = PropertyList::default();
        if self.version < Version::V5 {
            return list;
        }
        let (a, b) = (self.texts.0.as_str(), self.texts.1.as_str());
        let (bit, long) = (self.bit(3), self.number.get());
        let bytes = &self.bytes[..self.bytes.len().min(300)];
        let all = [
            Property::PayloadFormat(bit),
            Property::MessageExpiry(long),
            Property::ContentType(a),
            Property::ResponseTopic(&self.topics[0]),
            Property::CorrelationData(bytes),
            Property::SubscriptionId(self.number),
            Property::SessionExpiry(long),
            Property::AssignedClientId(b),
            Property::ServerKeepAlive(long as u16),
            Property::AuthMethod(a),
            Property::AuthData(Secret(bytes)),
            Property::RequestProblem(bit),
            Property::WillDelay(long),
            Property::RequestResponse(bit),
            Property::ResponseInformation(a),
            Property::ServerReference(b),
            Property::ReasonString(a),
            Property::ReceiveMaximum(self.id),
            Property::TopicAliasMaximum(long as u16),
            Property::TopicAlias(self.id),
            Property::MaximumQos(bit),
            Property::RetainAvailable(bit),
            Property::UserProperty((a, b)),
            Property::UserProperty((b, a)),
            Property::MaximumPacketSize(self.number),
            Property::WildcardAvailable(bit),
            Property::SubscriptionIdAvailable(bit),
            Property::SharedAvailable(bit),
        ];
        for (n, property) in all.iter().enumerate() {
            let chosen = self.dice[n % 12] >> (n / 12) & 1 == 1;
            let mut longer = list.clone();
            longer.push(property).unwrap();
            if chosen && Properties::check(place, longer.properties().as_bytes()).is_ok() {
                list = longer;
            }
        }
        list
    }

    fn reason(&self, place: Place) -> Reason {
        let good: Vec<Reason> = (0..=255).filter_map(|octet| Reason::of(place, octet)).collect();
        match self.version {
            Version::V5 => good[usize::from(self.dice[1]) % good.len()],
            _ => Reason::Success,
        }
    }

    fn filters(&self) -> Vec<String> {
        let wild = |(n, topic): (usize, &String)| match self.dice[n] % 4 {
            0 => format!("{topic}/#"),
            1 => format!("+/{topic}"),
            2 => format!("$share/g/{topic}"),
            _ => topic.clone(),
        };
        self.topics.iter().enumerate().map(wild).collect()
    }

    fn connect(&self, check: &mut Check<'_>) {
        let place = Place::Connect;
        let (list, of_will) = (self.properties(place), self.properties(Place::Will));
        let will = Will {
            qos: self.qos(),
            retain: self.bit(1),
            topic: &self.topics[0],
            payload: &self.bytes,
            properties: of_will.properties(),
        };
        let has_user = self.bit(4);
        let has_password = self.bit(5) && (has_user || self.version == Version::V5);
        let connect = Connect {
            version: self.version,
            clean: self.bit(2),
            keep_alive: self.bits,
            client_id: &self.texts.0,
            will: self.bit(3).then_some(will),
            user: has_user.then_some(&self.texts.1),
            password: has_password.then_some(Secret(&self.bytes)),
            properties: list.properties(),
        };
        check(Side::Client, Packet::Connect(connect));
        let (list, reason) = (self.properties(Place::Connack), self.reason(Place::Connack));
        let reason = match self.version {
            Version::V5 => reason,
            _ => Reason::of_return_code(self.dice[1] % 6).unwrap(),
        };
        let session_present =
            self.bit(6) && reason == Reason::Success && self.version > Version::V31;
        let connack = Connack { session_present, reason, properties: list.properties() };
        check(Side::Server, Packet::Connack(connack));
    }

    fn publish(&self, check: &mut Check<'_>) {
        for (from, place) in
            [(Side::Client, Place::ClientPublish), (Side::Server, Place::ServerPublish)]
        {
            let list = self.properties(place);
            let (qos, properties) = (self.qos(), list.properties());
            let nameless = self.bit(7) && properties.topic_alias().is_some();
            let publish = Publish {
                dup: self.bit(0) && (qos > Qos::AtMostOnce || self.version == Version::V31),
                qos,
                retain: self.bit(1),
                topic: if nameless { "" } else { &self.topics[0] },
                id: (qos > Qos::AtMostOnce).then(|| self.id()),
                properties,
                payload: &self.bytes,
            };
            check(from, Packet::Publish(publish));
        }
    }

    fn acks(&self, check: &mut Check<'_>) {
        for place in [Place::Puback, Place::Pubrec, Place::Pubrel, Place::Pubcomp] {
            let list = self.properties(place);
            let properties = list.properties();
            let ack = Ack { id: self.id(), reason: self.reason(place), properties };
            let packet = match place {
                Place::Puback => Packet::Puback(ack),
                Place::Pubrec => Packet::Pubrec(ack),
                Place::Pubrel => Packet::Pubrel(ack),
                _ => Packet::Pubcomp(ack),
            };
            check(Side::Client, packet);
        }
    }

    fn subscribe(&self, check: &mut Check<'_>) {
        let (mut subscriptions, mut filters, mut octets) = (Vec::new(), Vec::new(), Vec::new());
        for (n, filter) in self.filters().iter().enumerate() {
            let five = self.version == Version::V5;
            let handling = [RetainHandling::Always, RetainHandling::IfNew, RetainHandling::Never];
            let options = Options {
                qos: self.qos(),
                no_local: five && self.bit(n as u32) && !filter.starts_with('$'),
                retain_as_published: five && self.bit(8),
                retain_handling: handling[if five { usize::from(self.dice[2] % 3) } else { 0 }],
            };
            let s = Subscription { filter, options };
            encode::subscription(&mut subscriptions, self.version, &s).unwrap();
            encode::filter(&mut filters, filter).unwrap();
            octets.push(self.dice[n] % 3);
        }
        let list = self.properties(Place::Subscribe);
        let (id, properties) = (self.id(), list.properties());
        let subscriptions = Subscriptions::check(self.version, &subscriptions).unwrap();
        check(Side::Client, Packet::Subscribe(Subscribe { id, properties, subscriptions }));
        let list = self.properties(Place::Unsubscribe);
        let filters = Filters::check(&filters).unwrap();
        let properties = list.properties();
        check(Side::Client, Packet::Unsubscribe(Unsubscribe { id, properties, filters }));
        let list = self.properties(Place::Suback);
        let reasons = Reasons::check(Place::Suback, self.version, &octets).unwrap();
        let properties = list.properties();
        check(Side::Server, Packet::Suback(Reply { id, properties, reasons }));
        let list = self.properties(Place::Unsuback);
        let octets = if self.version == Version::V5 { &[0, 0x11, 0x87][..] } else { &[] };
        let reasons = Reasons::check(Place::Unsuback, self.version, octets).unwrap();
        let properties = list.properties();
        check(Side::Server, Packet::Unsuback(Reply { id, properties, reasons }));
    }

    fn ends(&self, check: &mut Check<'_>) {
        check(Side::Client, Packet::Pingreq);
        check(Side::Server, Packet::Pingresp);
        let places = [
            (Side::Client, Place::ClientDisconnect),
            (Side::Server, Place::ServerDisconnect),
            (Side::Client, Place::ClientAuth),
            (Side::Server, Place::ServerAuth),
        ];
        // Before version 5 there is the first of them.
        let count = if self.version == Version::V5 { 4 } else { 1 };
        for (n, (from, place)) in places.into_iter().take(count).enumerate() {
            let list = self.properties(place);
            let end = End { reason: self.reason(place), properties: list.properties() };
            check(from, if n < 2 { Packet::Disconnect(end) } else { Packet::Auth(end) });
        }
    }

    /// Calls `check` with every packet that can be made of this.
    fn every(&self, check: &mut Check<'_>) {
        self.connect(check);
        self.publish(check);
        self.acks(check);
        self.subscribe(check);
        self.ends(check);
    }
}

type Check<'c> = dyn FnMut(Side, Packet<'_>) + 'c;

fn encoded(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode::packet(&mut out, version, usize::MAX, packet).unwrap();
    out
}

/// May a shorter body be another packet? What stands at the end is optional or of any length.
fn is_open(packet: &Packet<'_>, version: Version) -> bool {
    match packet {
        Packet::Publish(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::Suback(_) => {
            true
        }
        Packet::Connect(_) => version == Version::V31,
        Packet::Pingreq | Packet::Pingresp | Packet::Connack(_) => false,
        _ => version == Version::V5,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_packet_comes_back_as_it_went_and_no_cut_does(m in material()) {
        m.every(&mut |from, packet| {
            let bytes = encoded(m.version, &packet);
            let Ok(Cut::Whole(head, body)) = frame::cut(&bytes, bytes.len()) else {
                panic!("{packet:?}")
            };
            assert_eq!(head.total(), bytes.len());
            assert_eq!(decode::packet(from, m.version, head, body).as_ref(), Ok(&packet));
            for n in (0..body.len()).take(200) {
                let shorter = decode::packet(from, m.version, head, &body[..n]);
                assert!(is_open(&packet, m.version) || shorter.is_err(), "{packet:?} cut at {n}");
                assert_ne!(shorter.as_ref(), Ok(&packet));
            }
            // One byte less than it needs is not taken, and leaves nothing behind.
            let mut out = vec![1];
            let max = bytes.len() - 1;
            let got = encode::packet(&mut out, m.version, max, &packet);
            assert_eq!(got, Err(EncodeError::TooLarge { total: bytes.len(), max }));
            assert_eq!(out, [1]);
        });
    }

    #[test]
    fn any_cut_of_the_bytes_finds_the_same_packets(
        m in material(),
        cuts in prop::collection::vec(1..300usize, 1..8),
    ) {
        let mut all = Vec::new();
        let mut packets = Vec::new();
        m.every(&mut |_, packet| {
            packets.push(encoded(m.version, &packet));
            all.extend_from_slice(packets.last().unwrap());
        });
        let (mut unread, mut found, mut at) = (Vec::new(), Vec::new(), 0);
        for n in cuts.iter().cycle() {
            let end = (at + n).min(all.len());
            unread.extend_from_slice(&all[at..end]);
            at = end;
            while let Ok(Cut::Whole(head, _)) = frame::cut(&unread, all.len()) {
                found.push(unread.drain(..head.total()).collect::<Vec<u8>>());
            }
            if at == all.len() {
                break;
            }
        }
        prop_assert_eq!(found, packets);
    }

    #[test]
    fn any_bytes_decode_or_do_not_but_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        first in any::<u8>(),
    ) {
        for version in [Version::V31, Version::V311, Version::V5] {
            for from in [Side::Client, Side::Server] {
                let _ = frame::cut(&bytes, BEFORE_LOGIN_MAX);
                let Some(kind) = Kind::of(first >> 4) else { continue };
                let size = bytes.len();
                let head = frame::Head { kind, flags: first & 15, header: 2, size };
                if let Ok(packet) = decode::packet(from, version, head, &bytes) {
                    prop_assert_eq!(packet.kind(), kind);
                }
            }
        }
    }

    /// Against the words of 4.7.1, written down once more.
    #[test]
    fn filters_match_as_their_levels_do(
        pattern in "[ab+#$/]{1,8}",
        name in "[ab$/]{1,8}",
    ) {
        fn levels(pattern: &[&str], name: &[&str]) -> bool {
            match (pattern, name) {
                (["#"], _) => true,
                ([p, pattern @ ..], [n, name @ ..]) => (*p == "+" || p == n) && levels(pattern, name),
                (pattern, name) => pattern.is_empty() && name.is_empty(),
            }
        }
        if let Ok(filter) = Filter::of(&pattern) {
            let p: Vec<&str> = filter.pattern.split('/').collect();
            let n: Vec<&str> = name.split('/').collect();
            let hidden = name.starts_with('$') && (p[0] == "+" || p[0] == "#");
            prop_assert_eq!(matches(filter.pattern, &name), !hidden && levels(&p, &n));
        }
    }

    #[test]
    fn activemqs_topics_all_come_back_and_plain_ones_by_all_rules(name in "[a-c/.*>ä$]{1,12}") {
        let back = |dialect: Dialect| {
            let (mut key, mut topic) = (Vec::new(), String::new());
            dialect.key(&name, &mut key);
            dialect.topic(&key, &mut topic).map(|()| topic)
        };
        prop_assert_eq!(check_name(&name), Ok(()));
        prop_assert_eq!(back(Dialect::ActiveMq), Ok(name.clone()));
        if is_plain(&name) {
            prop_assert_eq!(back(Dialect::RabbitMq { sparkplug: true }), Ok(name.clone()));
        }
    }
}

#[test]
fn what_cannot_be_said_is_refused_and_nothing_is_written() {
    let long = "a".repeat(65_536);
    let id = Some(PacketId(NonZeroU16::MIN));
    let publish = |topic, id| {
        let (dup, qos, retain, payload) = (false, Qos::AtMostOnce, false, &b""[..]);
        Packet::Publish(Publish {
            dup,
            qos,
            retain,
            topic,
            id,
            properties: Properties::NONE,
            payload,
        })
    };
    let auth = Packet::Auth(End { reason: Reason::Success, properties: Properties::NONE });
    let kind = Kind::Auth;
    let version = Version::V311;
    for (packet, error) in [
        (publish(&long, None), EncodeError::TooLong("topic name")),
        (publish("a", id), EncodeError::PacketId),
        (auth, EncodeError::Foreign { kind, version }),
    ] {
        let mut out = vec![1];
        assert_eq!(encode::packet(&mut out, version, usize::MAX, &packet), Err(error));
        assert_eq!(out, [1]);
    }
    let mut list = PropertyList::default();
    let refused = list.push(&Property::UserProperty(("k", &long)));
    assert_eq!(refused, Err(EncodeError::TooLong("User Property")));
    let large = Property::SubscriptionId(NonZeroU32::MAX);
    assert!(list.push(&large).is_err());
    assert!(list.properties().is_empty());
}

#[test]
fn secrets_are_not_printed() {
    let mut list = PropertyList::default();
    list.push(&Property::AuthData(Secret(b"hunter2"))).unwrap();
    let printed = format!("{:?} {:?}", list.properties(), Secret(b"hunter2"));
    assert!(!printed.contains("hunter") && !printed.contains("104"), "{printed}");
}

#[test]
fn a_head_and_its_payload_are_a_packet() {
    let id = Some(PacketId(NonZeroU16::MIN));
    let (dup, qos, retain, payload) = (true, Qos::AtLeastOnce, true, &b"hello"[..]);
    for version in [Version::V31, Version::V311, Version::V5] {
        let p =
            Publish { dup, qos, retain, topic: "a/b", id, properties: Properties::NONE, payload };
        let mut out = Vec::new();
        let head = Publish { payload: b"", ..p };
        encode::publish_head(&mut out, version, usize::MAX, &head, 5).unwrap();
        out.extend_from_slice(b"hello");
        assert_eq!(out, encoded(version, &Packet::Publish(p)));
    }
}

#[test]
fn connack_of_3_1_never_says_that_a_session_is_present() {
    let (reason, properties) = (Reason::Success, Properties::NONE);
    let connack = Packet::Connack(Connack { session_present: true, reason, properties });
    assert_eq!(encoded(Version::V31, &connack), [0x20, 2, 0, 0]);
    assert_eq!(encoded(Version::V311, &connack), [0x20, 2, 1, 0]);
}
