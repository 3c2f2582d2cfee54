//! Peers that mean harm: sizes that are only announced, lists that explode, identifiers without
//! end, noise. Each has cost some broker its memory or its life.

use super::engine::Engine;
use crate::dialect::Dialect;
use crate::frame;
use crate::tongue;
use crate::{Mqtt, Settings};
use bytes::Bytes;
use lockgate_front::script::Tongue;
use lockgate_front::{Front, Output, Peer, Received, Session};
use lockgate_model::{Command, Request, Time};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};

fn fresh() -> (Box<dyn Session>, Output) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let session = Mqtt::default().open(&Peer { address, seed: 1, now: Time(0) });
    (session, Output::default())
}

fn feed(s: &mut dyn Session, bytes: &[u8], out: &mut Output) -> Received {
    s.receive(&Bytes::copy_from_slice(bytes), Time(0), out)
}

/// A client that is let in.
fn running(version: &str, settings: Settings) -> Engine {
    let mut engine = Engine::new(settings);
    engine.speaks(version);
    say(&mut engine, &format!("connect {version} client=c"));
    engine
}

fn say(engine: &mut Engine, line: &str) {
    let mut tongue = tongue::Mqtt::default();
    if !line.starts_with("connect") {
        tongue.say("connect v5").expect("a version");
    }
    let bytes = tongue.say(line).expect(line);
    engine.read(&bytes);
}

#[test]
fn before_login_no_announced_size_makes_the_reader_wait_for_more_than_the_limit() {
    for (length, good) in [(&[0xfc, 0xff, 0x03][..], true), (&[0xfd, 0xff, 0x03], false)] {
        let (mut s, mut out) = fresh();
        let received = feed(s.as_mut(), &[&[0x10], length].concat(), &mut out);
        assert_eq!(out.close.is_none(), good, "{length:?}");
        assert_eq!(received.need, if good { 64 * 1024 } else { 0 });
    }
    let (mut s, mut out) = fresh();
    feed(s.as_mut(), &[0x10, 0xff, 0xff, 0xff, 0x7f], &mut out);
    assert!(out.close.is_some() && !s.wants_input());
}

#[test]
fn a_packet_that_may_not_come_is_refused_before_it_is_there() {
    // A PUBLISH of 60 KB, of which two bytes have come.
    let (mut s, mut out) = fresh();
    feed(s.as_mut(), &[0x30, 0xe0, 0xd4, 0x03], &mut out);
    assert!(out.close.is_some());
}

#[test]
fn a_large_packet_is_waited_for_whole() {
    let mut engine = running("v5", Settings::default());
    let mut tongue = tongue::Mqtt::default();
    tongue.say("connect v5").expect("a version");
    let bytes = tongue.say("publish a *1000000").expect("a message");
    let received = feed(engine.session.as_mut(), &bytes[..10], &mut engine.out);
    assert_eq!((received.used, received.need), (0, bytes.len()));
}

#[test]
fn a_subscribe_of_countless_filters_asks_for_as_many_as_there_can_be() {
    let settings = Settings { interests_max: 100, ..Settings::default() };
    let mut engine = running("v5", settings);
    let filters = 100_000;
    let mut packet = vec![0x82];
    frame::put_number(&mut packet, 3 + 4 * filters);
    packet.extend([0, 7, 0]);
    (0..filters).for_each(|_| packet.extend([0, 1, b'a', 0]));
    feed(engine.session.as_mut(), &packet, &mut engine.out);
    match &engine.out.commands[..] {
        [Command::Ask { request: Request::Follow(all), .. }] => assert_eq!(all.len(), 100),
        other => panic!("{other:?}"),
    }
}

#[test]
fn filters_and_numbered_topics_are_bounded_in_bytes() {
    let long = |n: u16| format!("{n:05}{}", "l".repeat(65_000));
    let mut engine = running("v5", Settings::default());
    for n in 1..=66 {
        say(&mut engine, &format!("subscribe {n} {}", long(n)));
    }
    let good = |engine: &Engine| {
        let said = engine.got.said.get("SUBACK").into_iter().flatten();
        said.filter(|line| line.ends_with("[Success]")).count()
    };
    assert_eq!(good(&engine), 64);
    say(&mut engine, &format!("unsubscribe 1 {} {}", long(1), long(66)));
    say(&mut engine, &format!("subscribe 1 {}", long(101)));
    say(&mut engine, &format!("subscribe 1 {}", long(102)));
    assert_eq!(good(&engine), 65);
    for n in 1..=10 {
        say(&mut engine, &format!("publish {} x alias={}", long(n), n % 3 + 1));
    }
    assert_eq!(engine.got.closed, None, "three at a time");
    for n in 1..=10 {
        say(&mut engine, &format!("publish {} x alias={n}", long(n)));
    }
    assert!(engine.got.closed.is_some_and(|cause| cause.contains("0x97")));
}

#[test]
fn no_topic_becomes_a_key_that_is_longer_than_a_log_can_say() {
    let dialect = Dialect::RabbitMq { sparkplug: true };
    let name = |size: usize| format!("spBv1.0/{}", "n".repeat(size - 8));
    for (size, taken) in [(65_533, true), (65_534, false), (65_535, false)] {
        let mut engine = running("v5", Settings { dialect, ..Settings::default() });
        let mut packet = vec![0x32];
        frame::put_number(&mut packet, 2 + size + 3);
        packet.extend((size as u16).to_be_bytes());
        packet.extend(name(size).bytes());
        packet.extend([0, 7, 0]);
        feed(engine.session.as_mut(), &packet, &mut engine.out);
        let key = engine.out.commands.iter().find_map(|command| match command {
            Command::Publish { run, .. } => Some(run.key(&run.items[0]).len()),
            _ => None,
        });
        assert_eq!(key, taken.then_some(size + 2));
    }
}

#[test]
fn releases_of_nothing_are_answered_and_not_gathered() {
    for version in ["v3.1.1", "v5"] {
        let mut engine = running(version, Settings::default());
        let pubrels: Vec<u8> =
            (1..=u16::MAX).flat_map(|id| [0x62, 2, (id >> 8) as u8, id as u8]).collect();
        engine.read(&pubrels);
        assert_eq!(engine.got.said.get("PUBCOMP").map(Vec::len), Some(65_535));
        assert_eq!(engine.got.asked.get("release"), None);
    }
}

#[test]
fn every_identifier_can_be_open_and_released() {
    let mut engine = running("v3.1.1", Settings::default());
    for id in (1..=u16::MAX).step_by(500) {
        let ids = id..=id.saturating_add(499);
        let publishes: Vec<u8> =
            ids.clone().flat_map(|id| [0x34, 5, 0, 1, b'a', (id >> 8) as u8, id as u8]).collect();
        engine.read(&publishes);
        let pubrels: Vec<u8> = ids.flat_map(|id| [0x62, 2, (id >> 8) as u8, id as u8]).collect();
        engine.read(&pubrels);
    }
    for kind in ["PUBREC", "PUBCOMP"] {
        assert_eq!(engine.got.said.get(kind).map(Vec::len), Some(65_535), "{kind}");
    }
}

#[test]
fn nothing_is_read_after_the_end() {
    let mut engine = running("v5", Settings::default());
    say(&mut engine, "disconnect");
    assert!(engine.got.closed.is_some());
    let received = feed(engine.session.as_mut(), &[0xc0, 0], &mut engine.out);
    assert_eq!((received.used, engine.out.bytes.len()), (0, 0));
    assert_eq!(engine.session.wake_at(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn noise_ends_a_connection_or_does_not_but_never_panics(
        hello in any::<bool>(),
        version in prop_oneof![Just("v3.1"), Just("v3.1.1"), Just("v5")],
        packets in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..20),
    ) {
        let mut engine = Engine::default();
        if hello {
            say(&mut engine, &format!("connect {version} client=c"));
        }
        for (first, body) in packets {
            engine.read(&[&[first, body.len() as u8], &body[..]].concat());
        }
        engine.session.stop(Time(0), &mut engine.out);
        prop_assert!(engine.got.closed.is_some() || engine.out.close.is_some());
    }
}
