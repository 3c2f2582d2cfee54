//! Producers that count what they send and are told, and a consumer that writes
//! down what it gets, across as many lives of a broker as a test likes.

use crate::history::Seen;
use crate::wire::{Said, Wire};
use crate::{Broker, PATIENCE};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The queue that all of it goes through.
pub const QUEUE: &str = "load";
/// Messages sent and not yet confirmed, at most.
const WINDOW: u64 = 64;
/// The producer that marks the end; it sends one message a life at most.
const MARKER: u32 = u32::MAX;

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `below`.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Counts confirms, so that a test can wait for some of them.
#[derive(Debug, Default)]
struct Count {
    confirmed: Mutex<u64>,
    changed: Condvar,
}

/// The load on one life of a broker.
#[derive(Debug)]
pub struct Load {
    count: Arc<Count>,
    producers: Vec<JoinHandle<Vec<Seen>>>,
    consumer: JoinHandle<Vec<Seen>>,
}

impl Load {
    /// Starts the producers, each from the number after its last, and one consumer.
    pub fn start(broker: &Broker, life: u32, next: &[u64]) -> io::Result<Load> {
        let count = Arc::new(Count::default());
        Wire::channel(broker.amqp)?.declare(QUEUE)?;
        let to = broker.amqp;
        let producers = next
            .iter()
            .zip(0..)
            .map(|(&next, producer)| {
                let count = count.clone();
                thread::spawn(move || {
                    let mut seen = Vec::new();
                    // The broker dies under it: an error is how it ends.
                    let _ = produce(to, producer, next, life, &count, &mut seen);
                    seen
                })
            })
            .collect();
        let consumer = thread::spawn(move || {
            let mut seen = Vec::new();
            let _ = consume(to, life, &mut seen);
            seen
        });
        Ok(Load { count, producers, consumer })
    }

    /// Waits until so many were confirmed; the broker is to live until then.
    pub fn confirmed(&self, broker: &Broker, least: u64) {
        let deadline = Instant::now() + PATIENCE;
        let mut confirmed = self.count.confirmed.lock().unwrap();
        while *confirmed < least {
            broker.process.must_live();
            let left = deadline.saturating_duration_since(Instant::now());
            let err = broker.process.err();
            assert!(!left.is_zero(), "{} of {least} confirmed; {err:#?}", *confirmed);
            // A broker that dies tells nobody here: looked after now and then.
            let wait = left.min(Duration::from_millis(200));
            confirmed = self.count.changed.wait_timeout(confirmed, wait).unwrap().0;
        }
    }

    /// What was seen, once the broker is gone.
    pub fn join(self) -> Vec<Seen> {
        let threads = self.producers.into_iter().chain([self.consumer]);
        threads.flat_map(|thread| thread.join().expect("a load does not panic")).collect()
    }
}

/// Sends until the socket breaks.
fn produce(
    to: SocketAddr,
    producer: u32,
    next: u64,
    life: u32,
    count: &Count,
    seen: &mut Vec<Seen>,
) -> io::Result<()> {
    let mut wire = Wire::channel(to)?;
    wire.confirms()?;
    let mut dice = Dice::new(next ^ u64::from(producer));
    let (mut sent, mut confirmed) = (0, 0);
    loop {
        while sent - confirmed < WINDOW {
            let sequence = next + sent;
            // Noted before it leaves: what half left may be kept.
            seen.push(Seen::Sent { producer, sequence, life });
            let size = 16 + dice.roll(2_000) as usize;
            wire.publish(QUEUE, &body(producer, sequence, size))?;
            sent += 1;
        }
        match wire.said()? {
            Said::Confirmed { tag, multiple, good: true } => {
                // Confirms of one channel may come in any order; ours are counted in order.
                let first = if multiple { confirmed + 1 } else { tag };
                assert!(first == confirmed + 1 && tag <= sent, "confirm {tag} out of order");
                for n in confirmed..tag {
                    seen.push(Seen::Confirmed { producer, sequence: next + n });
                }
                *count.confirmed.lock().unwrap() += tag - confirmed;
                count.changed.notify_all();
                confirmed = tag;
            }
            Said::Confirmed { tag, .. } => panic!("{tag} was refused"),
            Said::Closed { code, text, .. } => panic!("{code} {text}"),
            Said::End => return Ok(()),
            _ => {}
        }
    }
}

/// Takes messages until the socket breaks, or the marker of this life comes.
fn consume(to: SocketAddr, life: u32, seen: &mut Vec<Seen>) -> io::Result<()> {
    let mut wire = Wire::channel(to)?;
    wire.consume(QUEUE)?;
    let mut unacked = 0;
    loop {
        match wire.said()? {
            Said::Delivered { tag, redelivered, body } => {
                let (producer, sequence) = read(&body);
                unacked += 1;
                if producer == MARKER {
                    wire.ack(tag, true)?;
                    if sequence == u64::from(life) {
                        return Ok(());
                    }
                    continue;
                }
                seen.push(Seen::Delivered { producer, sequence, redelivered });
                if unacked >= 10 {
                    wire.ack(tag, true)?;
                    unacked = 0;
                }
            }
            Said::Closed { code, text, .. } => panic!("{code} {text}"),
            Said::End => return Ok(()),
            _ => {}
        }
    }
}

/// Takes all that is left in the queue, in the last life of a broker.
pub fn drain(broker: &Broker, life: u32) -> io::Result<Vec<Seen>> {
    let mut wire = Wire::channel(broker.amqp)?;
    wire.declare(QUEUE)?;
    wire.publish(QUEUE, &body(MARKER, u64::from(life), 16))?;
    let mut seen = Vec::new();
    consume(broker.amqp, life, &mut seen)?;
    Ok(seen)
}

fn body(producer: u32, sequence: u64, size: usize) -> Vec<u8> {
    let mut body = producer.to_be_bytes().to_vec();
    body.extend_from_slice(&sequence.to_be_bytes());
    // Anything that shows a body put together from two others.
    body.resize(size.max(12), sequence as u8);
    body
}

fn read(body: &[u8]) -> (u32, u64) {
    let (producer, rest) = body.split_first_chunk::<4>().expect("a body of ours");
    let (sequence, rest) = rest.split_first_chunk::<8>().expect("a body of ours");
    let (producer, sequence) = (u32::from_be_bytes(*producer), u64::from_be_bytes(*sequence));
    assert!(rest.iter().all(|b| *b == sequence as u8), "the body of {producer}:{sequence} changed");
    (producer, sequence)
}
