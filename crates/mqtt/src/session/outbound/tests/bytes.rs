//! The bytes of layouts, against packets that are encoded one by one.

use super::*;
use crate::map;
use crate::packet::Qos;
use crate::property::{Property, PropertyList};
use proptest::prelude::*;
use std::num::NonZeroU32;

/// What the client is sent of messages, made anew for each.
struct Plain {
    terms: Terms,
    labels: Vec<u32>,
    level: u8,
    numbers: Vec<String>,
    bytes: Vec<u8>,
}

impl Plain {
    fn write(&mut self, d: &Delivery, n: u32, m: &Message) {
        let settled = d.lease.is_some();
        let qos = if settled { m.qos.min(self.level) } else { 0 };
        let mut left = None;
        if let Some(until) = map::deadline(&m.native, &m.head) {
            match u64::from(until).checked_sub(NOW.secs()) {
                Some(seconds) => left = Some(seconds as u32),
                None => return,
            }
        }
        let number = self.numbers.iter().position(|t| *t == m.topic);
        let known = number.is_some();
        let max = usize::from(self.terms.alias_max);
        let number = number
            .or((self.numbers.len() < max && m.topic.len() > 3).then_some(self.numbers.len()));
        let mut own = Vec::new();
        map::put_own(&m.native, &m.head, d.stamp, Dialect::default(), &mut own);
        if let Some(left) = left {
            own[1..5].copy_from_slice(&left.to_be_bytes());
        }
        let own_list =
            crate::property::Properties::check(crate::packet::Place::ServerPublish, &own).unwrap();
        for number in [number, None] {
            let mut list = PropertyList::default();
            own_list.iter().for_each(|p| list.push(&p).unwrap());
            let labels = self.labels.iter().filter_map(|l| NonZeroU32::new(*l));
            labels.for_each(|l| list.push(&Property::SubscriptionId(l)).unwrap());
            let number_of = |at: usize| NonZeroU16::new(at as u16 + 1).unwrap();
            number.iter().for_each(|at| list.push(&Property::TopicAlias(number_of(*at))).unwrap());
            let id = (qos > 0).then(|| PacketId(NonZeroU16::new(n as u16 + 1).unwrap()));
            let packet = Packet::Publish(Publish {
                dup: d.redelivered && qos > 0,
                qos: Qos::of(qos).unwrap(),
                retain: m.retain == Retain::Replayed,
                topic: if known && number.is_some() { "" } else { &m.topic },
                id,
                properties: list.properties(),
                payload: &m.payload,
            });
            let max = self.terms.packet_max;
            if encode::packet(&mut self.bytes, self.terms.version, max, &packet).is_ok() {
                if number.is_some() && !known {
                    self.numbers.push(m.topic.clone());
                }
                return;
            }
            if known {
                return;
            }
        }
    }
}

/// A deadline and a user property, together in more than 127 octets.
const LONG: &[u8] =
    b"M\x02\x65\x53\xf1\x09\x26\0\x78xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0\x0a0123456789";

fn message() -> impl Strategy<Value = Message> {
    let topic = prop::sample::select(vec!["a", "a/b", "a/b/c", "a/b/c/d/e"]);
    let size = prop::sample::select(vec![0, 1, 16, 16, 16, 100, 127, 128, 5000, 16_400]);
    let native = prop::sample::select(vec![
        &b""[..],
        b"",
        LONG,
        b"M\x01\x01",
        b"M\x26\x00\x01k\x00\x01v",
        b"M\x02\x65\x53\xf1\x09\x01\x01",
        b"M\x02\x65\x53\xf0\x00",
        b"Zother",
    ]);
    let head = prop::sample::select(vec![
        &b"\x10\x00\x01"[..],
        b"\x10\x00\x02",
        b"\x11\x00\x01\x0560000",
        b"\x80\x00\x01t",
        b"\x80\x00\x01u",
        b"\x00\x00",
    ]);
    (topic, 0..3u8, size, native, head, any::<bool>()).prop_map(
        |(topic, qos, size, native, head, replayed)| Message {
            native: native.to_vec(),
            head: head.to_vec(),
            payload: vec![b'p'; size],
            retain: if replayed { Retain::Replayed } else { Retain::Not },
            ..Message::new(topic, qos, "")
        },
    )
}

proptest! {
    #[test]
    fn layouts_write_what_is_encoded_one_by_one(
        turns in prop::collection::vec((prop::collection::vec(message(), 1..12), 0..8u8), 1..6),
        version in prop::sample::select(vec![Version::V31, Version::V311, Version::V5, Version::V5]),
        alias_max in 0..4u16,
        packet_max in prop::sample::select(vec![usize::MAX, 140, 30, 16]),
        level in 0..3u8,
        labels in prop::collection::btree_set(1..1000u32, 0..3),
    ) {
        let terms = Terms { version, packet_max, alias_max, in_flight_max: 1000, ..TERMS };
        let mut interests = vec![interest("#", level, 0)];
        let filters = ["a/#", "+/#", "a/b/#"];
        // What does not meet every topic would make the account below less simple.
        interests.extend(labels.iter().zip(&filters[..2]).map(|(l, f)| interest(f, 0, *l)));
        let labels: Vec<u32> = labels.into_iter().take(2).collect();
        let mut b = Bench::new(terms, &interests);
        let alias_max = if version == Version::V5 { alias_max } else { 0 };
        let terms = Terms { alias_max, ..terms };
        let mut plain = Plain { terms, labels, level, numbers: Vec::new(), bytes: Vec::new() };
        let mut number = 0;
        for (messages, about) in turns {
            let handle = if about & 1 == 0 { PASSING } else { SETTLING };
            let redelivered = about & 2 != 0;
            let stamp = if about & 4 != 0 { Stamp::Attempts(3) } else { Stamp::None };
            let d = Delivery {
                number: u64::from(number),
                redelivered,
                stamp,
                ..delivery(handle, &messages)
            };
            for (n, m) in (0..).zip(&messages) {
                plain.write(&d, number + n, m);
            }
            number += d.count;
            b.outbound.deliver(&d, NOW, &mut b.out);
        }
        prop_assert_eq!(b.out.bytes.take(), plain.bytes);
        prop_assert!(b.outbound.waiting.is_empty());
    }
}
