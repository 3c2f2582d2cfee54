//! The broker is killed between each two packets of the conversations of QoS 1 and 2, on either
//! side, and what it promised is looked at when it is back: QoS 2 exactly once, QoS 1 at least
//! once, nothing confirmed lost.

use lockgate_tests::packets::{Connect, Flags, Message, kind};
use lockgate_tests::{Broker, Options, Packets};
use std::io;

/// Small segments, which are soon made.
pub fn options() -> Options {
    Options::flags(&["--storage-segment", "1 MiB", "--storage-reserve", "16 MiB"])
}

/// A broker, and a subscriber whose session is kept there and that is away.
fn with_subscriber(qos: u8) -> Broker {
    let broker = Broker::start(options());
    let (mut sink, _) = Packets::enter(broker.mqtt, &Connect::lasting("sink")).unwrap();
    sink.subscribe("t/#", qos).unwrap();
    broker
}

fn killed(broker: Broker) -> Broker {
    broker.kill();
    broker.again()
}

/// What a client that does its part of QoS 2 makes of what comes, up to a message that says
/// `end`: the payloads, each as often as it would hand it to its application.
fn heard(broker: &Broker) -> io::Result<Vec<String>> {
    let (mut source, _) = Packets::enter(broker.mqtt, &Connect::new("end"))?;
    source.exactly_once("t/end", b"end", 1)?;
    let (mut sink, present) = Packets::enter(broker.mqtt, &Connect::lasting("sink"))?;
    assert!(present, "the session is there");
    let (mut open, mut all) = (Vec::new(), Vec::new());
    while all.last().is_none_or(|last| last != "end") || !open.is_empty() {
        let packet = sink.packet()?.expect("the broker lives");
        match packet.kind() {
            kind::PUBLISH => {
                let message = packet.message(true);
                let payload = String::from_utf8(message.payload).expect("a test's payload");
                if message.qos == 2 {
                    if !open.contains(&message.id) {
                        open.push(message.id);
                        all.push(payload);
                    }
                    sink.acknowledge(kind::PUBREC, message.id)?;
                } else {
                    all.push(payload);
                    sink.acknowledge(kind::PUBACK, message.id)?;
                }
            }
            kind::PUBREL => {
                open.retain(|id| *id != packet.id());
                sink.acknowledge(kind::PUBCOMP, packet.id())?;
            }
            other => panic!("type {other}: {packet:?}"),
        }
    }
    all.pop();
    Ok(all)
}

/// How far a publisher comes before the broker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sent {
    Publish,
    PubrecCame,
    Pubrel,
    PubcompCame,
}

const STAGES: [Sent; 4] = [Sent::Publish, Sent::PubrecCame, Sent::Pubrel, Sent::PubcompCame];

/// Publishes "kept" under identifier 7, up to there.
fn publish_up_to(stage: Sent, source: &mut Packets) -> io::Result<()> {
    let bytes = source.publication("t/a", b"kept", Flags::qos(2), 7);
    source.send(&bytes)?;
    if stage >= Sent::PubrecCame {
        assert_eq!(source.expect(kind::PUBREC)?.id(), 7);
    }
    if stage >= Sent::Pubrel {
        source.acknowledge(kind::PUBREL, 7)?;
    }
    if stage == Sent::PubcompCame {
        assert_eq!(source.expect(kind::PUBCOMP)?.id(), 7);
    }
    Ok(())
}

/// Goes on as the specification asks of a publisher that comes back (4.4).
fn go_on_from(stage: Sent, forgetful: bool, source: &mut Packets) -> io::Result<()> {
    // Whoever lost PUBREC on the way sends the message again.
    if stage == Sent::Publish || (stage == Sent::PubrecCame && forgetful) {
        let flags = Flags { dup: true, ..Flags::qos(2) };
        let bytes = source.publication("t/a", b"kept", flags, 7);
        source.send(&bytes)?;
        assert_eq!(source.expect(kind::PUBREC)?.id(), 7);
    }
    if stage < Sent::PubcompCame {
        source.acknowledge(kind::PUBREL, 7)?;
        assert_eq!(source.expect(kind::PUBCOMP)?.id(), 7);
    }
    Ok(())
}

#[test]
fn a_publisher_with_qos_2_is_heard_exactly_once_wherever_the_broker_is_killed() {
    for stage in STAGES {
        for forgetful in [false, true] {
            let broker = with_subscriber(2);
            let wish = Connect::lasting("source");
            let (mut source, _) = Packets::enter(broker.mqtt, &wish).unwrap();
            publish_up_to(stage, &mut source).unwrap();
            let broker = killed(broker);
            let (mut source, present) = Packets::enter(broker.mqtt, &wish).unwrap();
            assert!(present, "{stage:?}");
            go_on_from(stage, forgetful, &mut source).unwrap();
            // The identifier is free for something new, and only now.
            source.exactly_once("t/a", b"next", 7).unwrap();
            assert_eq!(heard(&broker).unwrap(), ["kept", "next"], "{stage:?} {forgetful}");
        }
    }
}

#[test]
fn what_was_acknowledged_with_qos_1_is_heard_wherever_the_broker_is_killed() {
    for acknowledged in [false, true] {
        let broker = with_subscriber(1);
        let wish = Connect::lasting("source");
        let (mut source, _) = Packets::enter(broker.mqtt, &wish).unwrap();
        let bytes = source.publication("t/a", b"kept", Flags::qos(1), 7);
        source.send(&bytes).unwrap();
        if acknowledged {
            assert_eq!(source.expect(kind::PUBACK).unwrap().id(), 7);
        }
        let broker = killed(broker);
        if !acknowledged {
            let (mut source, _) = Packets::enter(broker.mqtt, &wish).unwrap();
            let flags = Flags { dup: true, ..Flags::qos(1) };
            let bytes = source.publication("t/a", b"kept", flags, 7);
            source.send(&bytes).unwrap();
            assert_eq!(source.expect(kind::PUBACK).unwrap().id(), 7);
        }
        let all = heard(&broker).unwrap();
        let most = if acknowledged { 1 } else { 2 };
        assert!((1..=most).contains(&all.len()) && all.iter().all(|m| m == "kept"), "{all:?}");
    }
}

/// How far a subscriber comes before the broker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Got {
    Publish,
    PubrecSent,
    Pubrel,
    PubcompSent,
}

const WAYS: [Got; 4] = [Got::Publish, Got::PubrecSent, Got::Pubrel, Got::PubcompSent];

/// One message of QoS 2 that comes for the subscriber, who answers up to there.
fn receive_up_to(way: Got, broker: &Broker) -> io::Result<(Packets, Message)> {
    let (mut source, _) = Packets::enter(broker.mqtt, &Connect::new("source"))?;
    source.exactly_once("t/a", b"kept", 1)?;
    let (mut sink, _) = Packets::enter(broker.mqtt, &Connect::lasting("sink"))?;
    let message = sink.message()?;
    assert!(!message.dup && message.qos == 2, "{message:?}");
    if way >= Got::PubrecSent {
        sink.acknowledge(kind::PUBREC, message.id)?;
    }
    if way >= Got::Pubrel {
        assert_eq!(sink.expect(kind::PUBREL)?.id(), message.id);
    }
    if way == Got::PubcompSent {
        sink.acknowledge(kind::PUBCOMP, message.id)?;
    }
    Ok((sink, message))
}

#[test]
fn a_subscriber_with_qos_2_hears_exactly_once_wherever_the_broker_is_killed() {
    for way in WAYS {
        let broker = with_subscriber(2);
        let (_sink, message) = receive_up_to(way, &broker).unwrap();
        let broker = killed(broker);
        let (mut sink, present) = Packets::enter(broker.mqtt, &Connect::lasting("sink")).unwrap();
        assert!(present, "{way:?}");
        // Something else comes behind, so that what does not come can be told.
        let (mut source, _) = Packets::enter(broker.mqtt, &Connect::new("other")).unwrap();
        source.exactly_once("t/b", b"behind", 1).unwrap();
        let first = sink.packet().unwrap().expect("the broker lives");
        let again = first.kind() == kind::PUBLISH && first.message(true).payload == b"kept";
        if again {
            let twice = first.message(true);
            assert!(way < Got::Pubrel, "{way:?}: it was released, and comes again");
            assert_eq!((twice.id, twice.dup), (message.id, true), "{way:?}");
            sink.acknowledge(kind::PUBREC, twice.id).unwrap();
            // What comes behind may come first.
            let mut next = sink.packet().unwrap().unwrap();
            while next.kind() == kind::PUBLISH {
                next = sink.packet().unwrap().unwrap();
            }
            assert_eq!((next.kind(), next.id()), (kind::PUBREL, message.id), "{way:?}");
            sink.acknowledge(kind::PUBCOMP, message.id).unwrap();
        } else if first.kind() == kind::PUBREL {
            assert!(way > Got::Publish, "{way:?}: it was not received");
            assert_eq!(first.id(), message.id, "{way:?}");
            sink.acknowledge(kind::PUBCOMP, message.id).unwrap();
        } else {
            assert_eq!(way, Got::PubcompSent, "{first:?}: nothing may be left out");
        }
        drop(sink);
        assert_eq!(heard(&broker).unwrap(), ["behind"], "{way:?}");
    }
}

#[test]
fn a_subscriber_with_qos_1_hears_at_least_once_wherever_the_broker_is_killed() {
    for answered in [false, true] {
        let broker = with_subscriber(1);
        let (mut source, _) = Packets::enter(broker.mqtt, &Connect::new("source")).unwrap();
        source.exactly_once("t/a", b"kept", 1).unwrap();
        let (mut sink, _) = Packets::enter(broker.mqtt, &Connect::lasting("sink")).unwrap();
        let message = sink.message().unwrap();
        assert_eq!((message.qos, message.dup), (1, false));
        if answered {
            sink.acknowledge(kind::PUBACK, message.id).unwrap();
        }
        let broker = killed(broker);
        if !answered {
            let (mut sink, _) = Packets::enter(broker.mqtt, &Connect::lasting("sink")).unwrap();
            let again = sink.message().unwrap();
            assert_eq!(again, Message { dup: true, ..message }, "the same, flagged");
        }
        let all = heard(&broker).unwrap();
        let least = usize::from(!answered);
        assert!((least..=1).contains(&all.len()), "{answered}: {all:?}");
    }
}
