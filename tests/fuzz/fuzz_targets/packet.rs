//! Any bytes of MQTT are packets, a part of one, or none, for either side and any version.
//! What is one is written back to bytes that say the same, and all that it is made of lies in
//! the bytes that were read.
//!
//! The first byte says the version and who speaks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_mqtt::dialect::{Dialect, is_plain};
use lockgate_mqtt::frame::{self, Cut};
use lockgate_mqtt::packet::{Packet, Side, Version};
use lockgate_mqtt::topic::{Filter, check_name, levels};
use lockgate_mqtt::{decode, encode};

const MAX: usize = 4096;

/// A name that was good stays as it is where its dialect can say it.
fn cross(name: &str) {
    for dialect in [Dialect::RabbitMq { sparkplug: true }, Dialect::ActiveMq] {
        let (mut key, mut back) = (Vec::new(), String::new());
        dialect.key(name, &mut key);
        let same = dialect.topic(&key, &mut back).is_ok() && back == name;
        assert!(same || dialect != Dialect::ActiveMq && !is_plain(name), "{name:?} {back:?}");
    }
    assert!(levels(name) > 0);
}

fn look(input: &[u8], packet: &Packet<'_>) {
    match packet {
        Packet::Publish(p) => {
            assert!(frame::range_in(input, p.payload).is_some());
            assert!(frame::range_in(input, p.topic.as_bytes()).is_some());
            if !p.topic.is_empty() {
                assert_eq!(check_name(p.topic), Ok(()));
                cross(p.topic);
            }
        }
        Packet::Subscribe(s) => {
            assert!(s.subscriptions.iter().count() > 0);
            for subscription in s.subscriptions.iter() {
                let filter = Filter::of(subscription.filter).expect("checked");
                if !filter.is_wild() {
                    assert!(filter.matches(filter.pattern));
                }
                Dialect::ActiveMq.binding_key(filter.pattern, &mut Vec::new());
            }
        }
        Packet::Connect(c) => {
            if let Some(will) = &c.will {
                cross(will.topic);
            }
        }
        _ => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, mut rest)) = bytes.split_first() else { return };
    let version = [Version::V31, Version::V311, Version::V5][usize::from(how >> 1) % 3];
    let from = if how & 1 == 0 { Side::Client } else { Side::Server };
    while let Ok(Cut::Whole(head, body)) = frame::cut(rest, MAX) {
        assert_eq!(body.len(), head.size);
        let decoded = decode::packet(from, version, head, body);
        rest = &rest[head.total()..];
        let Ok(packet) = decoded else {
            let error = decoded.err().map(|e| (e.reason().is_error(), e.clause().is_empty()));
            assert_eq!(error, Some((true, false)));
            continue;
        };
        look(bytes, &packet);
        let mut again = Vec::new();
        encode::packet(&mut again, version, usize::MAX, &packet).expect("what was read");
        let Ok(Cut::Whole(head, body)) = frame::cut(&again, again.len()) else {
            panic!("{packet:?} is written as no packet")
        };
        assert_eq!(decode::packet(from, version, head, body), Ok(packet));
    }
    if let Ok(Cut::Part(head)) = frame::cut(rest, MAX) {
        assert!(head.total() <= MAX && rest.len() < head.total());
    }
});
