//! Peers that mean harm: sizes that are only announced, bodies without end, tables
//! that explode. Each has cost some broker its memory or its life.

use crate::tongue::Amqp;
use crate::{Amqp091, Settings};
use bytes::Bytes;
use lockgate_front::script::Tongue;
use lockgate_front::{Front, Output, Peer, Received, Session, Verdict};
use lockgate_model::{Answer, Command, Event, Lane, Name, Request, Time};
use std::net::{Ipv4Addr, SocketAddr};

fn fresh(settings: Settings) -> (Box<dyn Session>, Output) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let session = Amqp091::new(settings).open(&Peer { address, seed: 1, now: Time(0) });
    (session, Output::default())
}

fn feed(s: &mut dyn Session, bytes: &[u8], out: &mut Output) -> Received {
    s.receive(&Bytes::copy_from_slice(bytes), Time(0), out)
}

fn say(s: &mut dyn Session, lines: &[&str], out: &mut Output) -> Received {
    let mut tongue = Amqp::default();
    let bytes: Vec<u8> = lines.iter().flat_map(|l| tongue.say(l).expect(l)).collect();
    feed(s, &bytes, out)
}

/// A session with channel 1 open.
fn running(settings: Settings) -> (Box<dyn Session>, Output) {
    let (mut s, mut out) = fresh(settings);
    feed(s.as_mut(), b"AMQP\x00\x00\x09\x01", &mut out);
    say(s.as_mut(), &["login PLAIN guest secret"], &mut out);
    s.admitted(Verdict::Admitted(Name::from("guest")), Time(0), &mut out);
    let tune = "0 connection.tune_ok channel_max=2047 frame_max=131072";
    say(s.as_mut(), &[tune, "0 connection.open virtual_host=/"], &mut out);
    grant(s.as_mut(), &mut out);
    say(s.as_mut(), &["1 channel.open"], &mut out);
    out.bytes.take();
    (s, out)
}

fn grant(s: &mut dyn Session, out: &mut Output) {
    for command in std::mem::take(&mut out.commands) {
        if let Command::Ask { lane, ticket, .. } = command {
            let result = Ok(Answer::Done);
            s.events(&mut vec![Event::Answer { lane, ticket, result }], Time(0), out);
        }
    }
}

fn heard(out: &mut Output) -> String {
    Amqp::default().hear(&out.bytes.take()).join("\n")
}

#[test]
fn before_login_no_announced_size_makes_the_reader_wait_for_more_than_the_limit() {
    for size in [16 * 1024 + 1, 64 * 1024, 1 << 31, u32::MAX] {
        let (mut s, mut out) = fresh(Settings::default());
        feed(s.as_mut(), b"AMQP\x00\x00\x09\x01", &mut out);
        let mut head = vec![1, 0, 0];
        head.extend(size.to_be_bytes());
        let received = feed(s.as_mut(), &head, &mut out);
        assert_eq!(received.need, 0);
        assert!(out.close.is_some(), "{size}");
        assert!(!s.wants_input());
    }
}

#[test]
fn before_login_what_is_needed_never_exceeds_what_an_unknown_peer_may_cost() {
    let (mut s, mut out) = fresh(Settings::default());
    feed(s.as_mut(), b"AMQP\x00\x00\x09\x01", &mut out);
    let received = feed(s.as_mut(), &[1, 0, 0, 0, 0, 0x40, 0], &mut out);
    assert!(received.need <= lockgate_model::limits::UNAUTHENTICATED_BYTES_MAX);
    assert!(out.close.is_none());
}

#[test]
fn a_large_body_is_taken_as_it_comes_and_asks_for_no_room() {
    let (mut s, mut out) = running(Settings::default());
    let publish = ["1 basic.publish exchange=x", "1 header size=134217728"];
    let received = say(s.as_mut(), &publish, &mut out);
    assert!(received.need <= 64, "{received:?}");
    // A frame of 128 KiB of which 100 bytes have come: they are taken.
    let mut part = vec![3, 0, 1, 0, 1, 0xff, 0xf8];
    part.extend([7; 100]);
    let before = Bytes::from(part);
    let received = s.receive(&before, Time(0), &mut out);
    assert_eq!((received.used, received.need <= 1), (107, true));
}

#[test]
fn a_body_frame_cut_anywhere_comes_whole() {
    let mut tongue = Amqp::default();
    let bytes = tongue.say("1 publish x k *40000 split=39999").unwrap();
    for cut in [30, 31, 38, 60, 61, 62, 100, 40_050, bytes.len() - 9, bytes.len() - 1] {
        let (mut s, mut out) = running(Settings::default());
        let first = feed(s.as_mut(), &bytes[..cut], &mut out);
        let rest = feed(s.as_mut(), &bytes[first.used..], &mut out);
        assert_eq!(first.used + rest.used, bytes.len(), "cut at {cut}");
        assert!(
            matches!(&out.commands[..], [Command::Publish { run, .. }]
                if run.items[0].body.len == 40_000),
            "cut at {cut}: {:?}",
            out.commands
        );
    }
}

#[test]
fn more_body_than_announced_is_refused_in_the_middle_of_its_frame() {
    let (mut s, mut out) = running(Settings::default());
    say(s.as_mut(), &["1 basic.publish exchange=x", "1 header size=10", "1 body a"], &mut out);
    let mut frame = vec![3, 0, 1, 0, 0, 0xff, 0xff];
    frame.extend([7; 11]);
    feed(s.as_mut(), &frame, &mut out);
    let said = heard(&mut out);
    assert!(said.contains("505") && said.contains("expected content body"), "{said}");
}

#[test]
fn a_body_split_at_its_end_octet_is_checked_there() {
    let (mut s, mut out) = running(Settings::default());
    say(s.as_mut(), &["1 basic.publish exchange=x", "1 header size=4", "1 body a"], &mut out);
    feed(s.as_mut(), &[3, 0, 1, 0, 0, 0, 3, b'a'], &mut out);
    feed(s.as_mut(), b"bc", &mut out);
    assert!(out.commands.is_empty());
    feed(s.as_mut(), &[0xCD], &mut out);
    assert!(heard(&mut out).contains("invalid_frame_end_marker,205"));
    assert!(!out.commands.iter().any(|c| matches!(c, Command::Publish { .. })));
}

#[test]
fn a_body_over_the_limit_is_refused_though_it_lies_whole_in_one_read() {
    let settings = Settings { body_bytes_max: 100, ..Settings::default() };
    let (mut s, mut out) = running(settings);
    say(s.as_mut(), &["1 publish x k *100", "1 publish x k *101"], &mut out);
    let published = out.commands.iter().filter(|c| matches!(c, Command::Publish { .. }));
    assert_eq!(published.count(), 1);
    // What is within the limit may still be refused, and comes first.
    assert_eq!(heard(&mut out), "");
    grant(s.as_mut(), &mut out);
    assert!(heard(&mut out).contains("message size 101 is larger than configured max size 100"));
}

#[test]
fn a_transaction_is_bounded() {
    let settings = Settings { transaction_bytes_max: 10_000, ..Settings::default() };
    let (mut s, mut out) = running(settings);
    say(s.as_mut(), &["1 tx.select"], &mut out);
    for _ in 0..20 {
        say(s.as_mut(), &["1 publish \"\" q *1000"], &mut out);
    }
    say(s.as_mut(), &["1 tx.commit"], &mut out);
    let said = heard(&mut out);
    assert!(said.contains("transaction is larger than configured max size 10000"), "{said}");
    assert!(!out.commands.iter().any(|c| matches!(c, Command::Ask { .. })));
}

#[test]
fn answers_to_a_channel_that_is_gone_hurt_nobody() {
    let (mut s, mut out) = running(Settings::default());
    say(s.as_mut(), &["1 queue.purge queue=q no_wait"], &mut out);
    let Some(Command::Ask { lane, ticket, request: Request::Purge(_) }) = out.commands.pop() else {
        panic!("nothing was asked");
    };
    say(s.as_mut(), &["1 channel.close reply_code=200"], &mut out);
    grant(s.as_mut(), &mut out);
    say(s.as_mut(), &["1 channel.open"], &mut out);
    assert!(heard(&mut out).ends_with("1 channel.open_ok"));
    let vhost = Name::from("/");
    let late = Err(lockgate_model::Refusal::NotEmpty { name: Name::from("q"), vhost });
    assert_eq!(lane, Lane(1));
    s.events(&mut vec![Event::Answer { lane, ticket, result: late }], Time(0), &mut out);
    assert_eq!(heard(&mut out), "");
}

#[test]
fn many_reopened_channels_keep_the_connection_small() {
    let (mut s, mut out) = running(Settings::default());
    for _ in 0..70_000 {
        say(s.as_mut(), &["1 channel.close reply_code=200", "1 channel.open"], &mut out);
        grant(s.as_mut(), &mut out);
        out.bytes.take();
    }
    say(s.as_mut(), &["1 basic.qos prefetch_count=1"], &mut out);
    assert_eq!(heard(&mut out), "1 basic.qos_ok");
}

#[test]
fn a_connection_at_rest_is_small() {
    assert!(size_of::<crate::session::Connection>() <= 1024);
}
