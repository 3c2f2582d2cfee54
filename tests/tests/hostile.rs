//! Peers that mean harm, before and after they have logged in. Whatever they send
//! gets the protocol's own error or a closed socket, costs little, and hurts
//! nobody else; the classes are those of other brokers' advisories.

use lockgate_tests::load::Dice;
use lockgate_tests::wire::{
    self, HEADER, NO_TABLE, PERSISTENT, Said, frame, header, long, method, open, short, start_ok,
    tune_ok,
};
use lockgate_tests::{Broker, Options, Wire};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A broker, and a client of it that must not notice anything.
struct House {
    broker: Broker,
    bystander: Wire,
}

impl House {
    fn new(flags: &[&str]) -> House {
        let broker = Broker::start(Options::flags(flags));
        let mut bystander = Wire::channel(broker.amqp).unwrap();
        bystander.declare("bystander").unwrap();
        bystander.consume("bystander").unwrap();
        House { broker, bystander }
    }

    /// The bystander still gets its messages, newcomers come in, no thread has panicked.
    fn stands(&mut self) {
        let mut other = Wire::channel(self.broker.amqp).unwrap();
        other.publish("bystander", b"still here").unwrap();
        match self.bystander.said().unwrap() {
            Said::Delivered { tag, redelivered: false, body } if body == b"still here" => {
                self.bystander.ack(tag, false).unwrap();
            }
            other => panic!("the bystander noticed: {other:?}"),
        }
        let err = self.broker.process.err();
        assert!(err.iter().all(|line| !line.contains("panicked")), "{err:#?}");
    }

    /// Says these bytes in place of a greeting; returns what comes back until the end.
    fn greeted(&self, bytes: &[u8]) -> Vec<u8> {
        let mut wire = Wire::connect(self.broker.amqp).unwrap();
        // It may hang up while we still talk.
        let _ = wire.send(bytes);
        wire.rest().unwrap()
    }

    /// Says these bytes in place of the answer to connection.start.
    fn answered(&self, bytes: &[u8]) -> Option<(u16, String)> {
        let mut wire = Wire::connect(self.broker.amqp).unwrap();
        wire.send(HEADER).unwrap();
        wire.expect(10, 10).unwrap();
        let _ = wire.send(bytes);
        wire.refusal().unwrap()
    }

    /// Says these bytes on a connection with channel 1 open.
    fn said(&self, bytes: &[u8]) -> Option<(u16, String)> {
        let mut wire = Wire::channel(self.broker.amqp).unwrap();
        let _ = wire.send(bytes);
        wire.refusal().unwrap()
    }
}

/// The first seven bytes of a frame that claims this size.
fn claim(kind: u8, channel: u16, size: u32) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&size.to_be_bytes());
    out
}

/// The same frame on another channel.
fn on(channel: u16, mut frame: Vec<u8>) -> Vec<u8> {
    frame[1..3].copy_from_slice(&channel.to_be_bytes());
    frame
}

/// Sizes that arithmetic goes wrong with.
const SIZES: [u32; 6] = [1 << 20, 256 << 20, i32::MAX as u32, 1 << 31, (1 << 31) + 1, u32::MAX];

fn declare(name: &str, table: &[u8]) -> Vec<u8> {
    method(1, 50, 10, &[&[0, 0], &short(name), &[0], table])
}

fn publish(exchange: &str, key: &str) -> Vec<u8> {
    method(1, 60, 40, &[&[0, 0], &short(exchange), &short(key), &[0]])
}

/// A table with one field of these bytes, its tag included.
fn table(value: &[u8]) -> Vec<u8> {
    let mut fields = short("a");
    fields.extend_from_slice(value);
    long(&fields)
}

/// A value so many arrays deep.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(vec![b'V'], |inner, _| [vec![b'A'], long(&inner)].concat())
}

#[test]
fn what_is_no_amqp_gets_our_header_and_is_hung_up_on() {
    let mut house = House::new(&[]);
    for bytes in [
        &b"AMQP\x00\x01\x00\x00"[..],
        b"AMQP\x03\x01\x00\x00",
        b"AMQP\x00\x00\x08\x00",
        b"\0\0\0\0\0\0\0\0",
        b"MQTTMQTT",
    ] {
        assert_eq!(house.greeted(bytes), HEADER, "{bytes:?}");
    }
    // Who speaks these could not read our header; the operator is told instead.
    let tls_hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    for (bytes, word) in [(&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP"), (&tls_hello, "TLS")]
    {
        assert_eq!(house.greeted(bytes), b"");
        house.broker.process.logged(word).expect("it is logged");
    }
    house.stands();
}

#[test]
fn a_size_claimed_before_login_is_not_believed() {
    let mut house = House::new(&[]);
    for size in SIZES {
        for kind in [1, 2, 3, 8] {
            let refusal = house.answered(&claim(kind, 0, size));
            assert!(refusal.is_none_or(|(code, _)| code == 501 || code == 505), "{size}");
        }
    }
    house.stands();
}

#[test]
fn what_must_not_come_before_login_ends_the_connection() {
    let mut house = House::new(&[]);
    for bytes in [
        tune_ok(0, 0, 0),
        open("/"),
        method(1, 20, 10, &[&short("")]),
        declare("early", NO_TABLE),
        [publish("", "bystander"), header(1, 1, PERSISTENT), frame(3, 1, b"x")].concat(),
        frame(2, 0, &[0; 14]),
        frame(3, 0, b"body"),
        method(0, 10, 10, &[]),
        method(0, 10, 30, &[&[0; 8]]),
        method(0, 999, 999, &[]),
        frame(1, 0, &[]),
        frame(1, 0, &[0, 10]),
        frame(9, 0, b"?"),
    ] {
        let refusal = house.answered(&bytes);
        assert!(refusal.as_ref().is_none_or(|(code, _)| *code >= 500), "{bytes:?} {refusal:?}");
    }
    house.stands();
}

#[test]
fn lengths_inside_a_login_that_do_not_fit_are_refused() {
    let mut house = House::new(&[]);
    let proper = start_ok("PLAIN", b"\0guest\0guest");
    // Each length in turn is made to say something else.
    for at in [11, 16, 22] {
        for length in [0xFF, 0x7F, 0x80] {
            let mut bytes = proper.clone();
            bytes[at] = length;
            let refusal = house.answered(&bytes);
            assert!(refusal.as_ref().is_none_or(|(code, _)| *code >= 402), "{at} {refusal:?}");
        }
    }
    let deep = method(
        0,
        10,
        11,
        &[&table(&nested(1_000)), &short("PLAIN"), &long(b"\0guest\0guest"), &short("en_US")],
    );
    assert!(house.answered(&deep).is_none_or(|(code, _)| code == 502 || code == 501));
    for response in [&b""[..], b"\0", b"guest", b"\0\0\0\0", b"\0guest\0guest\0\0", &[0xFF; 40]] {
        house.answered(&start_ok("PLAIN", response));
        house.answered(&start_ok("AMQPLAIN", response));
    }
    house.answered(&start_ok("EXTERNAL", b""));
    house.answered(&start_ok("", b""));
    house.stands();
}

#[test]
fn a_peer_that_does_not_log_in_costs_little_and_not_for_long() {
    const PEERS: u64 = 400;
    let mut house = House::new(&["--limits-handshake", "2 s"]);
    let before = house.broker.process.resident();
    let mut peers: Vec<Wire> = (0..PEERS)
        .map(|_| {
            let mut wire = Wire::connect(house.broker.amqp).unwrap();
            wire.send(HEADER).unwrap();
            wire.expect(10, 10).unwrap();
            // As much of a login as is believed, and never its end.
            wire.send(&claim(1, 0, 4_000)).unwrap();
            wire.send(&[0; 3_900]).unwrap();
            wire
        })
        .collect();
    house.stands();
    let each = house.broker.process.resident().saturating_sub(before) / PEERS;
    assert!(each <= 64 << 10, "{each} bytes a peer");
    for wire in &mut peers {
        wire.rest().expect("it is hung up on");
    }
    // Dripping does not help: the time is for the whole of it.
    let mut wire = Wire::connect(house.broker.amqp).unwrap();
    wire.patience(Duration::from_millis(100)).unwrap();
    let start = Instant::now();
    wire.send(HEADER).unwrap();
    loop {
        let _ = wire.send(&[8, 0, 0]);
        match wire.rest() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
        assert!(start.elapsed() < lockgate_tests::PATIENCE, "it may drip for ever");
    }
    assert!(start.elapsed() < Duration::from_secs(8), "{:?} for 2 s", start.elapsed());
    house.stands();
}

#[test]
fn frames_that_break_the_frame_are_frame_errors() {
    let mut house = House::new(&[]);
    let mut unended = declare("x", NO_TABLE);
    *unended.last_mut().unwrap() = 0;
    assert_eq!(house.said(&unended).unwrap().0, 501);
    for size in SIZES {
        for kind in [1, 2, 3, 8] {
            assert_eq!(house.said(&claim(kind, 1, size)).unwrap().0, 501, "{kind} {size}");
        }
    }
    house.stands();
}

#[test]
fn frames_at_the_wrong_time_are_told_so() {
    let mut house = House::new(&[]);
    let beginning = || publish("", "bystander");
    let cases: [(&str, Vec<u8>, &[u16]); 14] = [
        ("a header without a method", header(1, 1, &[0, 0]), &[505]),
        ("a body without a header", frame(3, 1, b"x"), &[505]),
        ("a method before the header", [beginning(), declare("x", NO_TABLE)].concat(), &[505]),
        (
            "a method before the body",
            [beginning(), header(1, 4, &[0, 0]), declare("x", NO_TABLE)].concat(),
            &[505],
        ),
        (
            "a second header",
            [beginning(), header(1, 4, &[0, 0]), header(1, 4, &[0, 0])].concat(),
            &[505],
        ),
        (
            "more body than was said",
            { [beginning(), header(1, 1, &[0, 0]), frame(3, 1, &[0; 60_000])].concat() },
            &[501, 505],
        ),
        (
            "a header of another class",
            {
                let payload = [&[0, 50, 0, 0][..], &1u64.to_be_bytes(), &[0, 0]].concat();
                [beginning(), frame(2, 1, &payload)].concat()
            },
            &[501, 503, 505],
        ),
        ("a heartbeat on a channel", frame(8, 1, b""), &[501, 505]),
        ("a channel that is not open", on(2, declare("x", NO_TABLE)), &[504]),
        (
            "a channel too many",
            { (2..=2_048).flat_map(|n| method(n, 20, 10, &[&short("")])).collect() },
            &[530],
        ),
        ("a channel opened twice", method(1, 20, 10, &[&short("")]), &[504]),
        ("a class on the wrong channel", on(0, declare("x", NO_TABLE)), &[503, 504]),
        ("an unknown method", method(1, 60, 999, &[]), &[503, 540]),
        ("a method of the server's", method(1, 60, 60, &[&short("c"), &[0; 11]]), &[503, 505, 540]),
    ];
    for (what, bytes, codes) in cases {
        let (code, text) = house.said(&bytes).unwrap_or_else(|| panic!("{what}: no word"));
        assert!(codes.contains(&code), "{what}: {code} {text}");
    }
    house.stands();
}

#[test]
fn a_body_is_as_large_as_it_may_be_and_no_larger() {
    let mut house = House::new(&["--amqp-body-max", "1 MiB"]);
    for size in [(1 << 20) + 1, 1 << 31, 1 << 32, i64::MAX as u64, u64::MAX] {
        let bytes = [publish("", "bystander"), header(1, size, &[0, 0])].concat();
        let (code, text) = house.said(&bytes).unwrap();
        assert!([311, 406, 501, 502].contains(&code), "{size}: {code} {text}");
    }
    house.stands();
}

#[test]
fn tables_that_would_fill_memory_or_stack_are_refused() {
    let mut house = House::new(&[]);
    let voids = [vec![b'A'], long(&vec![b'V'; 100_000])].concat();
    let empties = [vec![b'A'], long(&[b'A', 0, 0, 0, 0].repeat(20_000))].concat();
    let beyond = [b'S', 0xFF, 0xFF, 0xFF, 0xFF].to_vec();
    for value in [nested(1_000), voids, empties, beyond, vec![b'?'], vec![b'I', 0]] {
        let (code, text) = house.said(&declare("x", &table(&value))).unwrap();
        assert!([501, 502, 506].contains(&code), "{code} {text}");
        // The same as a message's headers.
        let properties = [vec![0x20, 0x00], table(&value)].concat();
        let bytes = [publish("", "bystander"), header(1, 0, &properties)].concat();
        let (code, text) = house.said(&bytes).unwrap();
        // 541 is how RabbitMQ calls it.
        assert!([501, 502, 506, 541].contains(&code), "{code} {text}");
    }
    house.stands();
}

#[test]
fn a_pattern_of_many_wildcards_costs_no_more_than_its_length() {
    let mut house = House::new(&[]);
    let mut wire = Wire::channel(house.broker.amqp).unwrap();
    wire.declare("patterns").unwrap();
    wire.confirms().unwrap();
    let many = ["#"; 100].join(".");
    let mixed = ["#.a"; 60].join(".");
    for pattern in [&many, &mixed] {
        let pieces: [&[u8]; 6] =
            [&[0, 0], &short("patterns"), &short("amq.topic"), &short(pattern), &[0], NO_TABLE];
        wire.call(method(1, 50, 20, &pieces), (50, 21)).unwrap();
    }
    let key = ["a"; 127].join(".");
    let start = Instant::now();
    for tag in 1..=100 {
        let bytes = [publish("amq.topic", &key), header(1, 1, &[0, 0]), frame(3, 1, b"x")];
        wire.send(&bytes.concat()).unwrap();
        wire.expect(60, 80).unwrap_or_else(|e| panic!("{tag}: {e}"));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    house.stands();
}

#[test]
fn nobody_publishes_as_somebody_else() {
    let mut house = House::new(&[]);
    let user = |name: &str| [vec![0x00, 0x10], short(name)].concat();
    let bytes = |name: &str| [publish("", "bystander"), header(1, 0, &user(name))].concat();
    let (code, text) = house.said(&bytes("admin")).unwrap();
    assert_eq!(code, 406, "{text}");
    let mut wire = Wire::channel(house.broker.amqp).unwrap();
    wire.send(&bytes("guest")).unwrap();
    let Said::Delivered { tag, .. } = house.bystander.said().unwrap() else {
        panic!("its own name is refused");
    };
    house.bystander.ack(tag, false).unwrap();
    house.stands();
}

#[test]
fn names_that_are_reserved_or_not_text_are_refused() {
    let mut house = House::new(&[]);
    assert_eq!(house.said(&declare("amq.mine", NO_TABLE)).unwrap().0, 403);
    let not_text = [&[3][..], &[0xFF, 0xFE, 0xFD]].concat();
    let bytes = method(1, 50, 10, &[&[0, 0], &not_text, &[0], NO_TABLE]);
    let (code, text) = house.said(&bytes).unwrap();
    assert!([501, 502, 406].contains(&code), "{code} {text}");
    house.stands();
}

#[test]
fn channels_opened_and_closed_for_ever_leave_nothing_behind() {
    const ROUNDS: u32 = 20_000;
    let mut house = House::new(&[]);
    let mut wire = Wire::login(house.broker.amqp).unwrap();
    let mut rounds = |n: u32| {
        for _ in 0..n / 100 {
            let one = [
                method(1, 20, 10, &[&short("")]),
                method(1, 85, 10, &[&[0]]),
                method(1, 20, 40, &[&[0; 2], &short(""), &[0; 4]]),
            ];
            wire.send(&one.concat().repeat(100)).unwrap();
            for _ in 0..100 {
                wire.expect(20, 41).unwrap();
            }
        }
    };
    rounds(ROUNDS / 10);
    let before = house.broker.process.resident();
    rounds(ROUNDS);
    let grown = house.broker.process.resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more after {ROUNDS} rounds");
    house.stands();
}

/// Changes a few of the good bytes and says them, a few dozen times over.
fn spoil_and_say(to: SocketAddr, good: &[u8], seed: u64) {
    let mut dice = Dice::new(seed);
    for round in 0..25 {
        let mut bytes = good.to_vec();
        // Most rounds spare the header, or few would come further.
        let spared = if round % 4 == 0 { 0 } else { HEADER.len() as u64 };
        for _ in 0..=dice.roll(4) {
            let free = (bytes.len() as u64).saturating_sub(spared).max(1);
            let at = (spared + dice.roll(free)) as usize;
            let Some(byte) = bytes.get_mut(at) else { break };
            match dice.roll(4) {
                0 => *byte ^= 1 << dice.roll(8),
                1 => *byte = dice.roll(256) as u8,
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        let mut wire = Wire::connect(to).unwrap();
        let _ = wire.send(&bytes);
        // Half of them wait for whatever is answered, half are gone before it comes.
        if round % 2 == 0 {
            let _ = wire.finish();
            let _ = wire.rest();
        }
    }
}

#[test]
fn whatever_becomes_of_good_bytes_no_thread_dies() {
    let mut house = House::new(&[]);
    let good = [
        HEADER.to_vec(),
        start_ok("PLAIN", b"\0guest\0guest"),
        tune_ok(2047, 131_072, 0),
        open("/"),
        method(1, 20, 10, &[&short("")]),
        declare("garden", NO_TABLE),
        method(1, 85, 10, &[&[0]]),
        Wire::publication("garden", PERSISTENT, b"a body"),
        method(1, 60, 20, &[&[0, 0], &short("garden"), &short("c"), &[0], NO_TABLE]),
        method(1, 60, 80, &[&1u64.to_be_bytes(), &[0]]),
        method(1, 20, 40, &[&[0; 2], &short(""), &[0; 4]]),
        method(0, 10, 50, &[&[0; 2], &short(""), &[0; 4]]),
    ]
    .concat();
    // Side by side, since a login that goes wrong is kept waiting.
    std::thread::scope(|scope| {
        for seed in 0..16 {
            let (to, good) = (house.broker.amqp, &good);
            scope.spawn(move || spoil_and_say(to, good, seed));
        }
    });
    house.stands();
}

#[test]
fn a_message_that_breaks_its_publisher_does_not_break_the_subscribers() {
    let mut house = House::new(&[]);
    // Header bytes that are sound as frames and odd as values.
    for properties in [
        [&[0x20, 0x00][..], &table(&[b'S', 0, 0, 0, 2, 0xFF, 0xFE])].concat(),
        [&[0x20, 0x00][..], &table(&[b'T', 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])]
            .concat(),
        [&[0x01, 0x00][..], &short("not a number")].concat(),
        vec![0x08, 0x00, 0xFF],
        vec![0xFF, 0xFE],
        vec![0xFF, 0xFF, 0xFF, 0xFF],
        vec![0x80, 0x00, 0xFF],
    ] {
        let mut wire = Wire::channel(house.broker.amqp).unwrap();
        let bytes = [publish("", "bystander"), header(1, 1, &properties), frame(3, 1, b"x")];
        wire.send(&bytes.concat()).unwrap();
        // Taken or refused: either is an answer, and both leave the others alone.
        wire.send(&method(1, 20, 40, &[&[0; 2], &wire::short(""), &[0; 4]])).unwrap();
        match wire.said().unwrap() {
            Said::Closed { .. } => {}
            Said::Method(20, 41, _) => {
                let Said::Delivered { tag, .. } = house.bystander.said().unwrap() else {
                    panic!("taken and not delivered: {properties:?}");
                };
                house.bystander.ack(tag, false).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    house.stands();
}
