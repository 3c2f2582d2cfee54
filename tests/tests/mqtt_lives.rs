//! Many lives of one broker under load with QoS 2, killed at any moment: whoever does its part
//! hears every message exactly once, in order.

use crate::mqtt_kills::options;
use lockgate_tests::load::Dice;
use lockgate_tests::packets::{Connect, Flags, Packet, kind};
use lockgate_tests::{Broker, Options, Packets};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Identifiers that the publisher uses at a time.
const AT_ONCE: u16 = 20;

/// What a publisher remembers from one connection to the next.
#[derive(Default)]
struct Publisher {
    next: u32,
    /// By identifier: the message, and whether PUBREC has come.
    open: BTreeMap<u16, (u32, bool)>,
    done: u32,
}

impl Publisher {
    fn send(&self, id: u16, n: u32, dup: bool, wire: &mut Packets) -> io::Result<()> {
        let flags = Flags { dup, ..Flags::qos(2) };
        let bytes = wire.publication("t", n.to_string().as_bytes(), flags, id);
        wire.send(&bytes)
    }

    /// What is open goes on where it was, in the order in which it was published (4.4).
    fn go_on(&self, wire: &mut Packets) -> io::Result<()> {
        let mut open: Vec<_> = self.open.iter().map(|(id, (n, got))| (*n, *id, *got)).collect();
        open.sort_unstable();
        for (n, id, received) in open {
            match received {
                true => wire.acknowledge(kind::PUBREL, id)?,
                false => self.send(id, n, true, wire)?,
            }
        }
        Ok(())
    }

    /// Publishes until the broker is gone, or until so many more are through.
    fn live(&mut self, broker: &Broker, more: u32) -> io::Result<()> {
        let (mut wire, _) = Packets::enter(broker.mqtt, &Connect::lasting("source"))?;
        self.go_on(&mut wire)?;
        let end = self.done + more;
        while self.done < end {
            // What is new goes out in the order of its numbers, as in any client.
            while let Some(id) = (1..=AT_ONCE).find(|id| !self.open.contains_key(id)) {
                self.open.insert(id, (self.next, false));
                self.next += 1;
                self.send(id, self.next - 1, false, &mut wire)?;
            }
            let Some(packet) = wire.packet()? else { return Ok(()) };
            self.answered(&packet, &mut wire)?;
        }
        Ok(())
    }

    fn answered(&mut self, packet: &Packet, wire: &mut Packets) -> io::Result<()> {
        let id = packet.id();
        match packet.kind() {
            kind::PUBREC => {
                if let Some((_, received)) = self.open.get_mut(&id) {
                    *received = true;
                }
                wire.acknowledge(kind::PUBREL, id)
            }
            kind::PUBCOMP => {
                self.open.remove(&id).expect("it is not done twice");
                self.done += 1;
                Ok(())
            }
            other => panic!("type {other}: {packet:?}"),
        }
    }

    /// Until nothing is on the way any more.
    fn finish(&mut self, broker: &Broker) -> io::Result<()> {
        let (mut wire, _) = Packets::enter(broker.mqtt, &Connect::lasting("source"))?;
        self.go_on(&mut wire)?;
        while !self.open.is_empty() {
            let packet = wire.packet()?.expect("the broker lives");
            self.answered(&packet, &mut wire)?;
        }
        Ok(())
    }
}

/// What a subscriber remembers.
#[derive(Default)]
struct Subscriber {
    open: BTreeSet<u16>,
    heard: Vec<u32>,
}

impl Subscriber {
    /// Listens until the broker is gone, or until so many are heard and released.
    fn live(&mut self, broker: &Broker, until: usize, count: &AtomicU32) -> io::Result<()> {
        let (mut wire, present) = Packets::enter(broker.mqtt, &Connect::lasting("sink"))?;
        assert!(present, "the session is there");
        while self.heard.len() < until || !self.open.is_empty() {
            let Some(packet) = wire.packet()? else { return Ok(()) };
            match packet.kind() {
                kind::PUBLISH => {
                    let message = packet.message(true);
                    if self.open.insert(message.id) {
                        let text = String::from_utf8(message.payload).expect("a number");
                        self.heard.push(text.parse().expect("a number"));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    wire.acknowledge(kind::PUBREC, message.id)?;
                }
                kind::PUBREL => {
                    self.open.remove(&packet.id());
                    wire.acknowledge(kind::PUBCOMP, packet.id())?;
                }
                other => panic!("type {other}: {packet:?}"),
            }
        }
        Ok(())
    }
}

/// Lets a broker live and die so many times; what was published, and what was heard.
fn lives(options: Options, lives: u32, seed: u64) -> (u32, Vec<u32>) {
    let mut dice = Dice::new(seed);
    let mut broker = Broker::start(options);
    let (mut wire, _) = Packets::enter(broker.mqtt, &Connect::lasting("sink")).unwrap();
    wire.subscribe("t", 2).unwrap();
    drop(wire);
    let (mut source, mut sink) = (Publisher::default(), Subscriber::default());
    for _ in 0..lives {
        let (count, enough) = (AtomicU32::new(0), 20 + dice.roll(300) as u32);
        std::thread::scope(|scope| {
            // Either ends when the broker does, with or without an error of its socket.
            let publishing = scope.spawn(|| drop(source.live(&broker, u32::MAX / 2)));
            let listening = scope.spawn(|| drop(sink.live(&broker, usize::MAX, &count)));
            let limit = Instant::now() + lockgate_tests::PATIENCE;
            while count.load(Ordering::Relaxed) < enough && Instant::now() < limit {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            broker.kill();
            publishing.join().expect("the publisher is content");
            listening.join().expect("the subscriber is content");
        });
        broker = broker.again();
    }
    source.finish(&broker).unwrap();
    let until = source.next as usize;
    // A planted bug loses some: then nothing more comes, and that is seen as well.
    let _ = sink.live(&broker, until, &AtomicU32::new(0));
    (source.next, sink.heard)
}

#[test]
fn every_message_of_qos_2_is_heard_once_over_many_kills() {
    let number = |name, other| std::env::var(name).map_or(other, |n| n.parse().expect("a number"));
    let (count, seed) = (number("LOCKGATE_TEST_LIVES", 8), number("LOCKGATE_TEST_SEED", 3));
    let (published, heard) = lives(options(), count, seed.into());
    assert!(published > count * 20);
    let once: BTreeSet<u32> = heard.iter().copied().collect();
    assert_eq!(once.len(), heard.len(), "heard twice");
    assert_eq!(once.len(), published as usize, "not all was heard");
    assert!(heard.is_sorted(), "out of order");
}
