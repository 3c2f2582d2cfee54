//! What an inner session does comes through: logins, requests, time, stops, ends.

use super::kit::{BINARY, CLOSE, Driver, PING, PONG, TEXT, frame};
use bytes::Bytes;
use lockgate_front::{Cause, Verdict};
use lockgate_model::{Consumer, Delivery, Event, Lane, Stamp, Time};
use std::time::Duration;

fn open() -> Driver {
    Driver::open("/toy", "")
}

#[test]
fn a_session_at_rest_is_small() {
    assert!(size_of::<crate::session::Connection>() <= 320);
}

#[test]
fn a_login_is_asked_for_and_its_verdict_told() {
    let mut driver = open();
    driver.prompt = false;
    driver.read(&frame(BINARY, b"HELLO guest\n"));
    let login = driver.out.login.take().expect("no login");
    assert_eq!(login.user.to_string(), "guest");
    assert!(!driver.session.wants_input());
    driver.session.admitted(Verdict::Denied("no"), driver.now, &mut driver.out);
    driver.collect();
    let frames = driver.frames();
    assert_eq!(frames[0], (BINARY, b"no\n".to_vec()));
    assert_eq!((frames[1].0, &frames[1].1[..2]), (CLOSE, &1008u16.to_be_bytes()[..]));
    assert!(matches!(driver.close.unwrap().cause, Cause::Denied(_)));
}

#[test]
fn what_comes_while_an_answer_is_awaited_waits_with_the_driver() {
    let mut driver = open();
    driver.prompt = false;
    let mut bytes = frame(BINARY, b"ask q\necho a\nask r\necho b\n");
    bytes.extend(frame(PING, b"p"));
    driver.read(&bytes);
    assert_eq!(driver.frames(), [(PONG, b"p".to_vec())]);
    assert!(!driver.session.wants_input());
    // An answer alone makes the session say no more than that: it is not read behind
    // the driver's back, who may have its reasons to hold the peer back.
    driver.answer();
    driver.collect();
    assert_eq!(driver.text(), "answered\n");
    assert!(driver.session.wants_input());
    driver.session.receive(&Bytes::new(), driver.now, &mut driver.out);
    driver.collect();
    assert_eq!(driver.text(), "");
    driver.go_on();
    assert_eq!(driver.text(), "a\n");
    assert_eq!(driver.asked.len(), 2);
    driver.answer();
    driver.go_on();
    driver.collect();
    assert_eq!(driver.text(), "answered\nb\n");
    driver.read(&frame(BINARY, b"echo c\n"));
    assert_eq!(driver.text(), "c\n");
}

#[test]
fn a_close_waits_until_what_came_before_is_done() {
    let mut driver = open();
    driver.prompt = false;
    let mut bytes = frame(BINARY, b"ask q\necho a\n");
    bytes.extend(frame(CLOSE, b"\x03\xe8"));
    driver.read(&bytes);
    assert_eq!((driver.text().as_str(), &driver.close), ("", &None));
    driver.answer();
    driver.go_on();
    driver.collect();
    let frames = driver.frames();
    assert_eq!(frames[1..], [(BINARY, b"a\n".to_vec()), (CLOSE, b"\x03\xe8".to_vec())]);
    assert_eq!(driver.close.unwrap().cause, Cause::Gone);
}

#[test]
fn an_end_is_told_in_a_close_frame_behind_the_last_words() {
    for (line, code, cause) in [
        ("echo a\nclose\necho b\n", 1000, Cause::Agreed),
        ("echo a\nfault\n", 1002, Cause::Fault("a line of no sense".into())),
    ] {
        let mut driver = open();
        driver.read(&frame(BINARY, line.as_bytes()));
        let frames = driver.frames();
        assert_eq!(frames[0], (BINARY, b"a\n".to_vec()));
        assert_eq!((frames[1].0, &frames[1].1[..2]), (CLOSE, &u16::to_be_bytes(code)[..]));
        assert_eq!(frames.len(), 2);
        let close = driver.close.unwrap();
        assert_eq!(close.cause, cause);
        // The inner session's own time to be read, if that is longer than ours.
        let own = if code == 1000 { 7 } else { 2 };
        assert_eq!(close.linger, Duration::from_secs(own));
        assert!(!driver.session.wants_input());
    }
}

#[test]
fn a_stop_comes_through() {
    let mut driver = open();
    driver.session.stop(driver.now, &mut driver.out);
    driver.collect();
    let frames = driver.frames();
    assert_eq!(frames[0], (BINARY, b"bye\n".to_vec()));
    assert_eq!((frames[1].0, &frames[1].1[..2]), (CLOSE, &1001u16.to_be_bytes()[..]));
    assert_eq!(driver.close.unwrap().cause, Cause::Stopped);
    // And one whose protocol is not known yet is told too.
    let mut driver = Driver::open("/", "");
    driver.session.stop(driver.now, &mut driver.out);
    driver.collect();
    assert_eq!(driver.closed().0, 1001);
}

#[test]
fn events_come_through_and_what_they_make_it_say_is_framed() {
    let mut driver = open();
    driver.session.events(&mut vec![Event::Pause, Event::Resume], driver.now, &mut driver.out);
    driver.collect();
    assert_eq!(driver.frames(), [(BINARY, b"told\ntold\n".to_vec())]);
    let why = "enough".into();
    driver.session.events(&mut vec![Event::Expelled { why }], driver.now, &mut driver.out);
    driver.collect();
    assert_eq!(driver.closed().0, 1001);
}

#[test]
fn deliveries_share_a_message_of_a_fair_size_and_what_is_none_stays_together() {
    let deliver = |cost| {
        Event::Deliver(Delivery {
            lane: Lane(0),
            consumer: Consumer(0),
            run: Default::default(),
            first: 0,
            step: 1,
            count: 1,
            number: 0,
            lease: None,
            redelivered: false,
            stamp: Stamp::None,
            cost,
        })
    };
    let mut driver = open();
    let (large, small) = (20_000, 100);
    let costs = [large, large, small, large, large, large];
    let mut events = vec![Event::Pause];
    events.extend(costs.map(deliver));
    events.extend([Event::Resume, Event::Pause]);
    driver.session.events(&mut events, driver.now, &mut driver.out);
    assert!(events.is_empty());
    driver.collect();
    let told = "told\n".len();
    let of = |cost: u64| format!("big {cost}\n").len() + cost as usize;
    let sizes: Vec<usize> = driver.frames().into_iter().map(|(_, payload)| payload.len()).collect();
    let first = told + 2 * of(large);
    assert_eq!(sizes, [first, of(small) + 2 * of(large), of(large) + 2 * told]);
    assert_eq!(driver.out.delivered, costs.iter().sum::<u64>());
}

#[test]
fn time_comes_through_and_a_packet_on_its_way_is_no_silence() {
    let wake = Time(0) + Duration::from_secs(5);
    let tick = |driver: &mut Driver| {
        driver.now = wake;
        driver.session.tick(wake, &mut driver.out);
        driver.collect();
    };
    let mut driver = open();
    driver.read(&frame(BINARY, b"wake 5\n"));
    assert_eq!(driver.session.wake_at(), Some(wake));
    tick(&mut driver);
    assert_eq!(driver.closed().0, 1008);
    assert_eq!(driver.close.unwrap().cause, Cause::Silent);

    let mut driver = open();
    driver.read(&frame(BINARY, b"wake 5\ndata 100\n"));
    driver.read(&frame(BINARY, b"some of it"));
    tick(&mut driver);
    assert_eq!(driver.text(), "heard\n");

    // Bytes around the protocol's are none of it.
    let mut driver = open();
    driver.read(&frame(BINARY, b"wake 5\n"));
    driver.read(&frame(PING, b""));
    driver.said.clear();
    tick(&mut driver);
    assert_eq!(driver.closed().0, 1008);
}

#[test]
fn an_answer_is_in_the_kind_that_the_peer_used_last() {
    let mut driver = Driver::open("/", "v1.toy");
    driver.read(&frame(TEXT, b"echo a\necho b\n"));
    driver.read(&frame(BINARY, b"echo c\necho d\n"));
    driver.read(&frame(TEXT, b"echo e\n"));
    let expected: [(u8, &[u8]); 4] =
        [(TEXT, b"a\n"), (TEXT, b"b\n"), (BINARY, b"c\nd\n"), (TEXT, b"e\n")];
    assert_eq!(driver.frames(), expected.map(|(flags, payload)| (flags, payload.to_vec())));
}

#[test]
fn what_is_no_text_is_not_said_in_text_and_the_rest_is() {
    let mut driver = open();
    driver.read(&frame(TEXT, b"echo a\nraw\nbig 5000\necho b\n"));
    let kinds: Vec<(u8, usize)> =
        driver.frames().into_iter().map(|(flags, payload)| (flags, payload.len())).collect();
    assert_eq!(kinds, [(TEXT, 2), (BINARY, 3), (TEXT, 5009), (TEXT, 2)]);
}

#[test]
fn a_line_end_behind_a_packet_goes_with_it() {
    let mut driver = open();
    driver.read(&frame(TEXT, b"echo a\ntwice b\necho c\n"));
    let expected: [&[u8]; 3] = [b"a\n", b"b\n\n", b"c\n"];
    assert_eq!(driver.frames(), expected.map(|payload| (TEXT, payload.to_vec())));
    driver.read(&frame(TEXT, b"echo \n"));
    assert_eq!(driver.frames(), [(TEXT, b"\n".to_vec())]);
}

#[test]
fn packets_share_a_message_up_to_a_size_and_none_is_cut() {
    let mut driver = open();
    driver.read(&frame(BINARY, b"HELLO guest\n"));
    driver.said.clear();
    let mut lines = "echo 123456789\n".repeat(10_000);
    lines += "big 50000\n";
    lines += &"echo 123456789\n".repeat(10);
    driver.read(&frame(BINARY, lines.as_bytes()));
    let sizes: Vec<usize> = driver.frames().into_iter().map(|(_, payload)| payload.len()).collect();
    assert_eq!(sizes, [32_760, 32_760, 32_760, 1_720, 50_010, 100]);
}

#[test]
fn the_first_bytes_choose_where_nothing_else_does_and_never_too_early() {
    for cuts in [1, 2, 5, 12] {
        let mut driver = Driver::open("/anything", "");
        for part in b"HELLO guest\n".chunks(cuts) {
            assert!(driver.asked.is_empty());
            driver.read(&frame(TEXT, part));
        }
        assert_eq!(driver.text(), "welcome guest\n");
    }
    let mut driver = Driver::open("/anything", "");
    driver.read(&frame(BINARY, b"HELP"));
    assert_eq!(driver.closed().0, 1008);
}

#[test]
fn a_token_is_stronger_than_a_path() {
    let mut driver = Driver::open("/bin", "v1.toy");
    driver.read(&frame(TEXT, b"echo a\n"));
    assert_eq!(driver.text(), "a\n");
}

#[test]
fn bytes_behind_a_large_packet_are_not_lost() {
    let mut driver = open();
    driver.read(&frame(BINARY, b"HELLO guest\n"));
    driver.said.clear();
    let mut packet = b"data 300000\n".to_vec();
    packet.extend(vec![1; 300_000]);
    packet.extend_from_slice(b"echo a\ndata 70000\n");
    packet.extend(vec![1; 70_000]);
    let frames: Vec<u8> = packet.chunks(9_000).flat_map(|part| frame(BINARY, part)).collect();
    for read in frames.chunks(65_536) {
        driver.read(read);
    }
    assert_eq!(driver.text(), "got 300000 300000\na\ngot 70000 70000\n");
}
