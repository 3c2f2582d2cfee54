//! What was confirmed outlives kill -9: tens of lives on the same data, under load,
//! and a checker that is shown to catch the bug it is there for.

use lockgate_tests::broker::run;
use lockgate_tests::load::{self, Dice, Load, QUEUE};
use lockgate_tests::wire::Said;
use lockgate_tests::{Broker, History, Options, Seen, Violation, Wire};
use std::path::Path;

/// Producers at a time.
const PRODUCERS: usize = 3;

/// Small segments, so that a short test sees many end and die. The reserve must be
/// kept on any machine that runs tests.
fn options() -> Options {
    Options::flags(&["--storage-segment", "1 MiB", "--storage-reserve", "16 MiB"])
}

/// A number from the environment, for a longer run than every change needs.
fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Lets a broker live and die so many times under load; returns what was seen, and
/// the broker in its last life, drained.
fn lives(options: Options, lives: u32, seed: u64) -> (History, Broker) {
    let mut dice = Dice::new(seed);
    let mut history = History::default();
    let mut next = vec![0; PRODUCERS];
    let mut broker = Broker::start(options);
    for life in 0..lives {
        let load = Load::start(&broker, life, &next).expect("a new broker takes load");
        load.confirmed(&broker, 50 + dice.roll(400));
        broker.kill();
        let seen = load.join();
        for seen in &seen {
            if let Seen::Sent { producer, sequence, .. } = *seen {
                let next = &mut next[producer as usize];
                *next = sequence.max(*next) + 1;
            }
        }
        history.add(seen);
        // Recovery itself is killed too, now and then.
        if dice.roll(4) == 0 {
            broker.stumble();
        }
        broker = broker.again();
    }
    history.add(load::drain(&broker, lives).expect("what is left can be drained"));
    (history, broker)
}

#[test]
fn nothing_confirmed_is_lost_and_order_is_kept_over_tens_of_kills() {
    let (count, seed) = (number("LOCKGATE_TEST_LIVES", 30), number("LOCKGATE_TEST_SEED", 7));
    let (history, broker) = lives(options(), count, seed.into());
    let (sent, confirmed, delivered) = history.counts();
    eprintln!("seed {seed}: {sent} sent, {confirmed} confirmed, {delivered} delivered");
    assert!(confirmed > count as usize * 50);
    assert_eq!(history.check(), []);
    let mut wire = Wire::channel(broker.amqp).unwrap();
    assert_eq!(wire.waiting(QUEUE).unwrap(), 0);
    drop(wire);
    assert_eq!(broker.stop().code(), Some(0));
    let (code, out, err) = run(&["log", "verify", broker.data().to_str().unwrap()], &[]);
    assert_eq!(code, 0, "{out}{err}");
}

/// The bug is planted in a debug build only, and only there can it be caught.
#[cfg(debug_assertions)]
#[test]
fn a_broker_that_confirms_before_it_has_stored_is_caught() {
    let planted = options().env("LOCKGATE_PLANT", "confirm-before-sync");
    let (history, _broker) = lives(planted, 3, 11);
    let lost = history.check().iter().filter(|v| matches!(v, Violation::Lost { .. })).count();
    assert!(lost > 0, "it was not caught: {:?}", history.counts());
}

#[test]
fn an_orderly_stop_keeps_everything_persistent_and_drops_the_rest() {
    let broker = Broker::start(options());
    let mut wire = Wire::channel(broker.amqp).unwrap();
    wire.declare("kept").unwrap();
    wire.confirms().unwrap();
    for n in 0..100u8 {
        let properties: &[u8] = if n % 2 == 0 { lockgate_tests::wire::PERSISTENT } else { &[0, 0] };
        wire.send(&Wire::publication("kept", properties, &[n])).unwrap();
    }
    // Whatever the grouping, the last one confirmed is the hundredth.
    let mut last = 0;
    while last < 100 {
        if let lockgate_tests::wire::Said::Confirmed { tag, good: true, .. } = wire.said().unwrap()
        {
            last = last.max(tag);
        }
    }
    drop(wire);
    assert_eq!(broker.stop().code(), Some(0));
    let broker = broker.again();
    let mut wire = Wire::channel(broker.amqp).unwrap();
    assert_eq!(wire.waiting("kept").unwrap(), 50);
    wire.consume("kept").unwrap();
    for n in (0..100u8).step_by(2) {
        let said = wire.said().unwrap();
        let lockgate_tests::wire::Said::Delivered { body, .. } = said else {
            panic!("{said:?}");
        };
        assert_eq!(body, [n]);
    }
}

/// A message of a stream: its number, and enough to fill segments with.
fn entry(n: u64) -> Vec<u8> {
    let mut body = vec![n as u8; 2_000];
    body[..8].copy_from_slice(&n.to_be_bytes());
    body
}

/// Publishes until so many are confirmed, and more that may not be.
fn append(broker: &Broker, from: u64, count: u64) -> std::io::Result<u64> {
    let mut wire = Wire::channel(broker.amqp)?;
    wire.confirms()?;
    for n in from..from + count {
        wire.send(&Wire::publication("s", &[0, 0], &entry(n)))?;
    }
    let mut confirmed = 0;
    while confirmed < count / 2 {
        if let Said::Confirmed { tag, good: true, .. } = wire.said()? {
            confirmed = confirmed.max(tag);
        }
    }
    Ok(from + confirmed)
}

/// The numbers that stand in the stream from an offset on, up to its end.
fn read(broker: &Broker, offset: u64) -> std::io::Result<Vec<u64>> {
    let mut wire = Wire::channel(broker.amqp)?;
    let end = wire.waiting("s")?;
    wire.read_stream("s", offset, 100)?;
    let mut numbers = Vec::new();
    while offset + (numbers.len() as u64) < end {
        let said = wire.said()?;
        let Said::Delivered { tag, redelivered: false, body } = said else { panic!("{said:?}") };
        let n = u64::from_be_bytes(*body.first_chunk().expect("a number"));
        assert_eq!(body, entry(n));
        numbers.push(n);
        wire.ack(tag, false)?;
    }
    Ok(numbers)
}

#[test]
fn a_stream_is_read_again_from_a_stored_offset_after_kills() {
    let mut broker = Broker::start(options());
    let mut wire = Wire::channel(broker.amqp).unwrap();
    wire.declare_with("s", &[("x-queue-type", "stream")]).unwrap();
    drop(wire);
    let (mut known, mut next) = (Vec::new(), 0);
    for life in 0..8 {
        let count = 400 + life * 50;
        let confirmed = append(&broker, next, count).unwrap();
        broker.kill();
        broker = broker.again();
        let all = read(&broker, 0).unwrap();
        assert!(all.starts_with(&known), "life {life}: what was there has changed");
        let fresh: Vec<u64> = (next..confirmed).collect();
        assert!(all[known.len()..].starts_with(&fresh), "life {life}: confirmed and lost");
        assert!(all.windows(2).all(|w| w[0] < w[1]), "life {life}: twice, or out of order");
        let stored = all.len() as u64 * 2 / 3;
        assert_eq!(read(&broker, stored).unwrap(), all[stored as usize..]);
        (known, next) = (all, next + count);
    }
    let files = std::fs::read_dir(broker.data().join("log")).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    assert!(names.filter(|n| n.ends_with(".stream")).count() > 0, "all is in the log still");
}

/// Changes one byte of a stream's segment file.
fn spoil_stream(log: &Path) {
    for entry in std::fs::read_dir(log).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "stream") {
            let mut bytes = std::fs::read(&path).unwrap();
            let at = bytes.len() / 3;
            bytes[at] ^= 1;
            return std::fs::write(&path, bytes).unwrap();
        }
    }
    panic!("no stream has a file of its own");
}

#[test]
fn damage_in_a_stream_is_named_by_verify() {
    let broker = Broker::start(options());
    let mut wire = Wire::channel(broker.amqp).unwrap();
    wire.declare_with("s", &[("x-queue-type", "stream")]).unwrap();
    wire.confirms().unwrap();
    for n in 0..300 {
        wire.publish("s", &entry(n)).unwrap();
        wire.expect(60, 80).unwrap();
    }
    drop(wire);
    assert_eq!(broker.stop().code(), Some(0));
    let dir = broker.data().to_str().unwrap().to_string();
    let (code, out, err) = run(&["log", "verify", &dir], &[]);
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().any(|l| l.starts_with("stream ")), "{out}");
    spoil_stream(&broker.data().join("log"));
    let (code, out, err) = run(&["log", "verify", &dir], &[]);
    assert_eq!(code, 7, "{out}");
    assert!(out.contains("damage ") && err.contains(".stream is damaged at offset"), "{out}{err}");
}
