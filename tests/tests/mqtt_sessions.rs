//! What sessions are made of outlives kill -9: subscriptions, what waits, retained messages, wills
//! and when they are due, when a session ends.

use crate::mqtt_kills::options;
use lockgate_tests::packets::{Connect, Flags, kind};
use lockgate_tests::{Broker, Packets};

fn enter(broker: &Broker, wish: &Connect) -> (Packets, bool) {
    Packets::enter(broker.mqtt, wish).unwrap()
}

fn with_will(client: &str, expiry: u32, delay: u32) -> Connect {
    let will = Some((format!("will/{client}"), client.as_bytes().to_vec(), 1, delay));
    Connect { will, expiry: Some(expiry), clean: false, ..Connect::new(client) }
}

/// A subscriber to all wills, whose session stays and that is away.
fn with_watcher() -> (Broker, Connect) {
    let broker = Broker::start(options());
    let watcher = Connect::lasting("watcher");
    enter(&broker, &watcher).0.subscribe("will/#", 1).unwrap();
    (broker, watcher)
}

#[test]
fn a_session_is_there_again_with_what_came_for_it() {
    let broker = Broker::start(options());
    for three in [false, true] {
        let name = if three { "three" } else { "five" };
        let wish = Connect { expiry: (!three).then_some(3600), ..Connect::lasting(name) };
        enter(&broker, &wish).0.subscribe(&format!("{name}/#"), 2).unwrap();
        let (mut source, _) = enter(&broker, &Connect::new("source"));
        for n in 0..50u16 {
            source.exactly_once(&format!("{name}/{n}"), &n.to_be_bytes(), 1).unwrap();
        }
        // Deleted as agreed: this one is not to be there.
        enter(&broker, &Connect::new("gone"));
    }
    broker.kill();
    let broker = broker.again();
    assert!(!enter(&broker, &Connect { clean: false, ..Connect::new("gone") }).1);
    for three in [false, true] {
        let name = if three { "three" } else { "five" };
        let wish = Connect { expiry: (!three).then_some(3600), ..Connect::lasting(name) };
        let (mut sink, present) = enter(&broker, &wish);
        assert!(present, "{name}");
        for n in 0..50u16 {
            let message = sink.message().unwrap();
            assert_eq!(message.topic, format!("{name}/{n}"));
            assert_eq!((message.payload.as_slice(), message.qos), (&n.to_be_bytes()[..], 2));
        }
        // Its subscription stands, too: nobody has to ask for it again.
        let (mut source, _) = enter(&broker, &Connect::new("source"));
        let bytes = source.publication(&format!("{name}/x"), b"now", Flags::qos(0), 0);
        source.send(&bytes).unwrap();
        assert_eq!(sink.message().unwrap().payload, b"now");
    }
}

#[test]
fn what_is_retained_and_what_is_cleared_is_so_after_a_kill() {
    let broker = Broker::start(options());
    let (mut source, _) = enter(&broker, &Connect::new("source"));
    let keep = |source: &Packets, topic: &str, payload: &[u8]| {
        source.publication(topic, payload, Flags { retain: true, ..Flags::qos(1) }, 1)
    };
    for (topic, payload) in
        [("r/a", "old"), ("r/a", "new"), ("r/b", "gone"), ("r/b", ""), ("r/c/d", "deep")]
    {
        let bytes = keep(&source, topic, payload.as_bytes());
        source.send(&bytes).unwrap();
        source.expect(kind::PUBACK).unwrap();
    }
    broker.kill();
    let broker = broker.again();
    let (mut late, _) = enter(&broker, &Connect::new("late"));
    late.subscribe("r/#", 1).unwrap();
    let mut all: Vec<_> = (0..2).map(|_| late.message().unwrap()).collect();
    all.sort_by(|a, b| a.topic.cmp(&b.topic));
    let told: Vec<_> =
        all.iter().map(|m| (m.topic.as_str(), m.payload.as_slice(), m.retain)).collect();
    assert_eq!(told, [("r/a", &b"new"[..], true), ("r/c/d", b"deep", true)]);
    let bytes = late.publication("r/z", b"end", Flags::qos(0), 0);
    late.send(&bytes).unwrap();
    // Acknowledgements of what was sent to it are not asked for here: nothing comes between.
    assert_eq!(late.message().unwrap().payload, b"end", "what was cleared stays so");
}

#[test]
fn who_was_there_when_the_broker_was_killed_is_lost_and_its_will_is_published() {
    let (broker, watcher) = with_watcher();
    let _clients = [("a", 0, 0), ("b", 300, 0), ("c", 300, 1), ("d", 1, 300)]
        .map(|(name, expiry, delay)| enter(&broker, &with_will(name, expiry, delay)).0);
    broker.kill();
    let broker = broker.again();
    let (mut watching, present) = enter(&broker, &watcher);
    assert!(present);
    // The last one's session ends before its will's delay, and the will comes with that.
    let mut all: Vec<_> = (0..4).map(|_| watching.message().unwrap().payload).collect();
    all.sort();
    assert_eq!(all, [b"a", b"b", b"c", b"d"]);
}

#[test]
fn a_will_that_was_to_come_later_comes_after_a_kill_unless_its_client_is_back() {
    let (broker, watcher) = with_watcher();
    for (name, delay) in [("back", 300), ("agreed", 1), ("late", 1)] {
        let (mut client, _) = enter(&broker, &with_will(name, 300, delay));
        if name == "agreed" {
            client.send(&[0xE0, 0]).unwrap();
            client.rest().unwrap();
        }
    }
    broker.kill();
    let broker = broker.again();
    // A will that it still had would come when its session ends, which is now.
    let back = Connect { clean: false, ..Connect::new("back") };
    assert!(enter(&broker, &back).1);
    drop(enter(&broker, &with_will("z", 0, 0)));
    let (mut watching, _) = enter(&broker, &watcher);
    let mut all: Vec<_> = (0..2).map(|_| watching.message().unwrap().payload).collect();
    all.sort();
    assert_eq!(all, [&b"late"[..], b"z"]);
}

#[test]
fn a_session_ends_in_its_time_also_across_a_kill() {
    let (broker, watcher) = with_watcher();
    // Their wills say when their sessions end.
    for (name, expiry) in [("short", 1), ("long", 300)] {
        let (mut client, _) = enter(&broker, &with_will(name, expiry, 300));
        client.subscribe("x", 1).unwrap();
    }
    broker.kill();
    let broker = broker.again();
    let (mut watching, _) = enter(&broker, &watcher);
    assert_eq!(watching.message().unwrap().payload, b"short");
    for (name, there) in [("short", false), ("long", true)] {
        assert_eq!(enter(&broker, &Connect::lasting(name)).1, there, "{name}");
    }
}

#[test]
fn who_takes_a_session_over_has_it_whole_and_the_other_is_told() {
    let broker = Broker::start(options());
    let wish = Connect::lasting("c");
    let (mut first, _) = enter(&broker, &wish);
    first.subscribe("t", 2).unwrap();
    let (mut source, _) = enter(&broker, &Connect::new("source"));
    source.exactly_once("t", b"one", 1).unwrap();
    let held = first.message().unwrap();
    let (mut second, present) = enter(&broker, &wish);
    assert!(present);
    let told = first.rest().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].kind(), told[0].body[0]), (kind::DISCONNECT, 0x8E));
    let again = second.message().unwrap();
    assert_eq!((again.id, again.dup, again.payload), (held.id, true, held.payload));
}
