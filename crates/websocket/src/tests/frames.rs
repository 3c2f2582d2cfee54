//! Frames, good and hostile, each by its section of RFC 6455.

use super::kit::{BINARY, CLOSE, Driver, LAST, MORE, PING, PONG, TEXT, frame, front, request};
use crate::Settings;

fn join(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

/// How a connection ends that says this.
fn ended(bytes: &[u8]) -> (u16, String) {
    let mut driver = Driver::open("/toy", "");
    driver.read(bytes);
    driver.closed()
}

fn echoed(bytes: &[u8]) -> String {
    let mut driver = Driver::open("/toy", "");
    driver.read(bytes);
    assert_eq!(driver.close, None);
    driver.text()
}

#[test]
fn the_rfc_s_own_masked_text_5_7() {
    let mut driver = Driver::open("/toy", "");
    driver.read(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    driver.read(&frame(TEXT, b" guest\n"));
    assert_eq!(driver.frames(), [(TEXT, b"welcome guest\n".to_vec())]);
    assert!(driver.asked.contains(&"login guest".to_owned()), "{:?}", driver.asked);
}

#[test]
fn a_ping_is_answered_with_what_it_brought_5_5_2() {
    let mut driver = Driver::open("/toy", "");
    driver.read(&frame(PING, b"Hello"));
    assert_eq!(driver.said, [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    driver.said.clear();
    let largest = [7; 125];
    driver.read(&join(&[frame(PING, b""), frame(PING, &largest)]));
    assert_eq!(driver.frames(), [(PONG, vec![]), (PONG, largest.to_vec())]);
}

#[test]
fn a_pong_that_nobody_asked_for_is_passed_over_5_5_3() {
    assert_eq!(echoed(&join(&[frame(PONG, b"x"), frame(BINARY, b"echo a\n")])), "a\n");
}

#[test]
fn every_size_of_payload_5_2() {
    for size in [0, 1, 124, 125, 126, 127, 128, 65_535 - 11, 65_535, 65_536, 200_000] {
        let mut line = format!("data {size}\n").into_bytes();
        line.extend(std::iter::repeat_n(1, size));
        let said = echoed(&join(&[frame(BINARY, b"HELLO guest\n"), frame(BINARY, &line)]));
        assert_eq!(said, format!("welcome guest\ngot {size} {size}\n"));
    }
}

#[test]
fn every_size_of_answer_5_2() {
    for size in
        [0, 1, 117, 118, 119, 4_096, 4_097, 16_300, 65_525, 65_526, 65_527, 70_000, 1_000_000]
    {
        let mut driver = Driver::open("/toy", "");
        driver.read(&frame(BINARY, format!("big {size}\necho x\n").as_bytes()));
        let whole = format!("big {size}\n{}x\n", "b".repeat(size));
        assert!(driver.text() == whole, "{size}");
        assert_eq!(driver.out.delivered, size as u64);
    }
}

#[test]
fn fragments_are_one_stream_with_control_frames_between_5_4() {
    let mut driver = Driver::open("/toy", "");
    driver.read(&join(&[
        frame(TEXT & !LAST, b"echo a"),
        frame(PING, b"1"),
        frame(MORE, b"b"),
        frame(MORE, b""),
        frame(PONG, b""),
        frame(MORE | LAST, b"c\n"),
        frame(TEXT, b"echo d\n"),
    ]));
    let expected = [(PONG, &b"1"[..]), (TEXT, b"abc\n"), (TEXT, b"d\n")];
    assert_eq!(driver.frames(), expected.map(|(flags, payload)| (flags, payload.to_vec())));
}

#[test]
fn packets_span_and_share_messages() {
    assert_eq!(
        echoed(&join(&[
            frame(BINARY, b"ec"),
            frame(BINARY, b"ho a\necho b\nec"),
            frame(BINARY, b"ho c\n")
        ])),
        "a\nb\nc\n"
    );
}

#[test]
fn rules_that_are_broken_and_their_codes() {
    let unmasked = |bytes: &[u8]| bytes.to_vec();
    let half = &b"\xe2\x82"[..];
    let cases: &[(&str, Vec<u8>, u16)] = &[
        ("5.1 no mask", unmasked(b"\x82\x05Hello"), 1002),
        ("5.1 no mask on a ping", unmasked(b"\x89\x00"), 1002),
        ("5.1 no mask, of an announced size", unmasked(b"\x82\x7f"), 1002),
        ("5.2 RSV1", frame(BINARY | 0x40, b"x"), 1002),
        ("5.2 RSV2", frame(BINARY | 0x20, b"x"), 1002),
        ("5.2 RSV3", frame(PING | 0x10, b"x"), 1002),
        ("5.2 opcode 3", frame(0x83, b"x"), 1002),
        ("5.2 opcode 7", frame(0x87, b""), 1002),
        ("5.2 opcode 11", frame(0x8b, b""), 1002),
        ("5.2 opcode 15", frame(0x8f, b"x"), 1002),
        ("5.2 126 for 5", unmasked(b"\x82\xfe\0\x05\0\0\0\0Hello"), 1002),
        ("5.2 127 for 5", unmasked(b"\x82\xff\0\0\0\0\0\0\0\x05\0\0\0\0Hello"), 1002),
        ("5.2 127 for 65535", unmasked(b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"), 1002),
        ("5.2 a negative size", unmasked(b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0"), 1002),
        (
            "10.4 the largest size",
            unmasked(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
            1009,
        ),
        ("5.4 the rest of nothing", frame(MORE | LAST, b"x"), 1002),
        ("5.4 the rest of nothing, unfinished", frame(MORE, b""), 1002),
        (
            "5.4 a message within another",
            join(&[frame(BINARY & !LAST, b"a"), frame(BINARY, b"b")]),
            1002,
        ),
        ("5.5 a ping in fragments", frame(PING & !LAST, b"x"), 1002),
        ("5.5 a close in fragments", frame(CLOSE & !LAST, b""), 1002),
        ("5.5 a ping of 126", frame(PING, &[0; 126]), 1002),
        ("5.5 a close of 126", frame(CLOSE, &[3; 126]), 1002),
        ("5.5.1 half a code", frame(CLOSE, b"\x03"), 1002),
        ("5.5.1 a reason that is no UTF-8", frame(CLOSE, b"\x03\xe8\xff"), 1007),
        ("7.4.1 code 0", frame(CLOSE, b"\0\0"), 1002),
        ("7.4.2 code 999", frame(CLOSE, &999u16.to_be_bytes()), 1002),
        ("7.4.1 code 1004", frame(CLOSE, &1004u16.to_be_bytes()), 1002),
        ("7.4.1 code 1005", frame(CLOSE, &1005u16.to_be_bytes()), 1002),
        ("7.4.1 code 1006", frame(CLOSE, &1006u16.to_be_bytes()), 1002),
        ("7.4.1 code 1015", frame(CLOSE, &1015u16.to_be_bytes()), 1002),
        ("7.4.2 code 1100", frame(CLOSE, &1100u16.to_be_bytes()), 1002),
        ("7.4.2 code 2999", frame(CLOSE, &2999u16.to_be_bytes()), 1002),
        ("7.4.2 code 5000", frame(CLOSE, &5000u16.to_be_bytes()), 1002),
        ("8.1 no UTF-8", frame(TEXT, b"echo \xff\n"), 1007),
        ("8.1 no UTF-8 in an unfinished message", frame(TEXT & !LAST, b"echo \xc0"), 1007),
        ("8.1 half a character at the end", frame(TEXT, half), 1007),
        (
            "8.1 half a character at the end of fragments",
            join(&[frame(TEXT & !LAST, half), frame(MORE | LAST, b"")]),
            1007,
        ),
        ("8.1 a surrogate", frame(TEXT, b"\xed\xa0\x80"), 1007),
    ];
    for (name, bytes, code) in cases {
        let (said, cause) = ended(bytes);
        assert_eq!(said, *code, "{name}: {cause}");
        assert!(cause.starts_with("Fault"), "{name}: {cause}");
        // Whoever was let in is read in another way.
        let mut driver = Driver::open("/toy", "");
        driver.read(&frame(BINARY, b"HELLO guest\n"));
        driver.read(bytes);
        assert_eq!(driver.closed().0, *code, "{name}, let in");
        // And however it is cut.
        let mut driver = Driver::open("/toy", "");
        bytes.iter().for_each(|byte| driver.read(&[*byte]));
        assert_eq!(driver.closed().0, *code, "{name}, byte by byte");
    }
}

#[test]
fn a_character_may_be_cut_by_fragments_8_1() {
    let (head, tail) = "echo \u{20ac}\u{1f600}\n".as_bytes().split_at(7);
    let (middle, tail) = tail.split_at(3);
    assert_eq!(
        echoed(&join(&[
            frame(TEXT & !LAST, head),
            frame(MORE, middle),
            frame(PING, b"\xff"),
            frame(MORE | LAST, tail)
        ]))
        .chars()
        .filter(|c| !c.is_ascii() && *c != '\u{fffd}')
        .collect::<String>(),
        "\u{20ac}\u{1f600}"
    );
}

#[test]
fn a_close_is_answered_with_its_own_code_after_what_came_before_5_5_1() {
    for (payload, answer) in [
        (&b""[..], &b""[..]),
        (b"\x03\xe8", b"\x03\xe8"),
        (b"\x03\xe9going", b"\x03\xe9"),
        (&3000u16.to_be_bytes(), &3000u16.to_be_bytes()),
        (&4999u16.to_be_bytes(), &4999u16.to_be_bytes()),
    ] {
        let mut driver = Driver::open("/toy", "");
        driver.read(&join(&[
            frame(BINARY, b"echo a\n"),
            frame(CLOSE, payload),
            frame(BINARY, b"echo b\n"),
        ]));
        let frames = driver.frames();
        assert_eq!(frames, [(BINARY, b"a\n".to_vec()), (CLOSE, answer.to_vec())]);
        let close = driver.close.unwrap();
        assert_eq!(close.cause, lockgate_front::Cause::Gone);
        assert!(!close.linger.is_zero());
    }
}

#[test]
fn text_is_refused_by_a_protocol_of_bytes_7_4_1() {
    for (path, token) in [("/bin", ""), ("/", "bin")] {
        let mut driver = Driver::open(path, token);
        driver.read(&frame(TEXT, b"echo a\n"));
        assert_eq!(driver.closed().0, 1003);
    }
}

#[test]
fn sizes_are_added_up_over_fragments_and_never_beyond_the_limit() {
    let settings = Settings { message_max: 100_000, ..Settings::default() };
    let mut driver = Driver::new(&front(settings));
    driver.read(&request("/toy", &[]));
    driver.read(&frame(BINARY, b"HELLO guest\n"));
    driver.said.clear();
    let part = [b'\n'; 50_000];
    driver.read(&join(&[frame(BINARY & !LAST, &part), frame(MORE, &part)]));
    assert_eq!(driver.close, None);
    driver.said.clear();
    driver.read(&frame(MORE, b"x"));
    assert_eq!(driver.closed().0, 1009);
}

#[test]
fn a_stranger_may_announce_no_more_than_it_may_cost() {
    let mut driver = Driver::open("/toy", "");
    driver.read(&[BINARY, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(driver.closed().0, 1009);
    // Nor have the inner session wait for more.
    let mut driver = Driver::open("/toy", "");
    driver.read(&frame(BINARY, b"data 70000\n"));
    assert_eq!(driver.closed().0, 1009);
    let mut driver = Driver::open("/toy", "");
    driver.read(&frame(BINARY, b"HELLO guest\ndata 70000\n"));
    assert_eq!(driver.close, None);
}
