//! Dead letters over kill -9: a message that was confirmed is in its queue or in the one that
//! its letter went to, whenever the broker is killed in between.

use lockgate_tests::load::Dice;
use lockgate_tests::wire::Said;
use lockgate_tests::{Broker, Options, Wire};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

const LIVES: u64 = 10;

/// Messages sent and not yet confirmed, at most.
const WINDOW: u64 = 32;

/// Publishes from `next` on until the broker dies; says what was confirmed.
fn publish(to: SocketAddr, next: u64, told: &Sender<u64>) -> io::Result<()> {
    let mut wire = Wire::channel(to)?;
    wire.confirms()?;
    let (mut sent, mut confirmed) = (0, 0);
    loop {
        while sent - confirmed < WINDOW {
            wire.publish("work", &(next + sent).to_be_bytes())?;
            sent += 1;
        }
        match wire.said()? {
            Said::Confirmed { tag, good: true, .. } => {
                for n in confirmed..tag {
                    let _ = told.send(next + n);
                }
                confirmed = confirmed.max(tag);
            }
            Said::End => return Ok(()),
            other => panic!("{other:?}"),
        }
    }
}

/// Refuses whatever comes until the broker dies.
fn refuse(to: SocketAddr) -> io::Result<()> {
    let mut wire = Wire::channel(to)?;
    wire.consume("work")?;
    loop {
        match wire.said()? {
            Said::Delivered { tag, .. } => wire.refuse(tag)?,
            Said::End => return Ok(()),
            _ => {}
        }
    }
}

/// Takes so many messages out of a queue.
fn take(wire: &mut Wire, queue: &str, into: &mut BTreeSet<u64>) {
    let waiting = wire.waiting(queue).unwrap();
    if waiting == 0 {
        return;
    }
    wire.consume(queue).unwrap();
    let mut seen = 0;
    while seen < waiting {
        if let Said::Delivered { tag, body, .. } = wire.said().unwrap() {
            into.insert(u64::from_be_bytes(body.try_into().expect("a body of ours")));
            wire.ack(tag, false).unwrap();
            seen += 1;
        }
    }
}

fn declare(broker: &Broker) {
    let letters = [("x-dead-letter-exchange", ""), ("x-dead-letter-routing-key", "dead")];
    let mut wire = Wire::channel(broker.amqp).unwrap();
    wire.declare_with("work", &letters).unwrap();
    wire.declare("dead").unwrap();
}

/// Waits for so many confirms.
fn wait(told: &Receiver<u64>, count: u64, confirmed: &mut BTreeSet<u64>) {
    let patience = lockgate_tests::PATIENCE;
    for _ in 0..count {
        confirmed.insert(told.recv_timeout(patience).expect("messages are confirmed"));
    }
}

#[test]
fn a_dead_message_is_always_somewhere() {
    let mut dice = Dice::new(11);
    let flags = ["--storage-segment", "1 MiB", "--storage-reserve", "16 MiB"];
    let mut broker = Broker::start(Options::flags(&flags));
    let (mut confirmed, mut next) = (BTreeSet::new(), 0);
    for _ in 0..LIVES {
        declare(&broker);
        let (tell, told) = channel();
        let to = broker.amqp;
        let publisher = thread::spawn(move || publish(to, next, &tell));
        let refuser = thread::spawn(move || refuse(to));
        wait(&told, 100 + dice.roll(400), &mut confirmed);
        broker.kill();
        // The broker died under them: an error is how they end.
        let _ = publisher.join().expect("a publisher does not panic");
        let _ = refuser.join().expect("a consumer does not panic");
        confirmed.extend(told.try_iter());
        next = confirmed.last().map_or(0, |last| last + WINDOW + 1);
        broker = broker.again();
    }
    let mut kept = BTreeSet::new();
    for queue in ["work", "dead"] {
        take(&mut Wire::channel(broker.amqp).unwrap(), queue, &mut kept);
    }
    let lost: Vec<u64> = confirmed.difference(&kept).copied().collect();
    assert!(lost.is_empty(), "{lost:?} of {} confirmed", confirmed.len());
    assert!(confirmed.len() as u64 > LIVES * 100);
}
