//! Rules one by one.

use super::*;
use crate::property::{Property, PropertyList};

fn settled(messages: &[Message]) -> Delivery {
    delivery(SETTLING, messages)
}

fn passing(messages: &[Message]) -> Delivery {
    delivery(PASSING, messages)
}

#[test]
fn qos_is_the_lower_of_the_message_and_the_interest_mqtt_3_8_4_8() {
    let mut b = Bench::new(TERMS, &[interest("a", 1, 0), interest("b", 2, 0), interest("c", 0, 0)]);
    let all: Vec<Message> =
        ["a", "b", "c"].iter().flat_map(|t| (0..3).map(|q| Message::new(t, q, "x"))).collect();
    let said = b.deliver(&settled(&all));
    let publishes =
        ["a x", "a x q1 2", "a x q1 3", "b x", "b x q1 5", "b x q2 6", "c x", "c x", "c x"];
    assert_eq!(said[..9], publishes);
    assert_eq!(said[9..], ["! Accept 0+1", "! Accept 3+1", "! Accept 6+3"]);
    assert_eq!(b.deliver(&passing(&all[5..6])), ["b x"]);
    assert_eq!(b.out.delivered, 20);
}

#[test]
fn retain_is_set_on_what_is_replayed_and_where_it_is_wished_mqtt_3_3_1_9_and_12_13() {
    let as_published = Interest { as_published: true, ..interest("b/#", 1, 0) };
    let mut b = Bench::new(TERMS, &[interest("a", 1, 0), as_published, interest("b/c", 1, 0)]);
    for (topic, retain, said) in [
        ("a", Retain::Not, "a x"),
        ("a", Retain::Wished, "a x"),
        ("a", Retain::Replayed, "a x retain"),
        ("b", Retain::Not, "b x"),
        ("b/c", Retain::Wished, "b/c x retain"),
        ("b", Retain::Replayed, "b x retain"),
    ] {
        let m = Message { retain, ..Message::new(topic, 0, "x") };
        assert_eq!(b.deliver(&passing(&[m])), [said]);
    }
}

#[test]
fn what_comes_again_says_so_unless_it_is_qos_0_mqtt_3_3_1_2() {
    let mut b = Bench::new(TERMS, &[interest("a", 2, 0)]);
    let all = [0, 1, 2].map(|qos| Message::new("a", qos, "x"));
    let d = Delivery { redelivered: true, ..settled(&all) };
    let said = ["a x", "a x q1 2 dup", "a x q2 3 dup", "! Accept 0+1"];
    assert_eq!(b.deliver(&d), said);
}

#[test]
fn all_subscription_identifiers_are_said_once_each_mqtt_3_3_4_3() {
    let all = [interest("a/#", 1, 300), interest("a/+", 1, 7), interest("a/b", 0, 7)];
    let mut b = Bench::new(TERMS, &all);
    let said = b.deliver(&passing(&[Message::new("a/b", 0, "x")]));
    assert_eq!(said, ["a/b x [SubscriptionId(7), SubscriptionId(300)]"]);
    let mut old = Bench::new(Terms { version: Version::V311, ..TERMS }, &all);
    assert_eq!(old.deliver(&passing(&[Message::new("a/b", 0, "x")])), ["a/b x"]);
}

#[test]
fn what_nobody_hears_any_more_is_settled_and_not_sent() {
    let mut b = Bench::new(TERMS, &[interest("a", 1, 0), interest("$share/g/b", 1, 0)]);
    assert_eq!(b.deliver(&settled(&[Message::new("c", 1, "x")])), ["! Accept 0+1"]);
    assert_eq!(b.deliver(&passing(&[Message::new("c", 0, "x")])), Vec::<String>::new());
    let shared = delivery(Consumer(3), &[Message::new("b", 1, "x"), Message::new("b", 0, "y")]);
    assert_eq!(b.deliver(&shared), ["b x q1 55181", "b y", "! Accept 1+1"]);
    b.outbound.unfollow("$share/g/b");
    assert_eq!(b.deliver(&shared), ["! Requeue 0+2"], "for the others of the group");
    assert!(b.outbound.follows("a") && b.outbound.interests() == 1);
    assert_eq!(b.out.skipped, Default::default());
}

#[test]
fn what_was_begun_for_an_interest_that_ended_is_gone_on_with_mqtt_3_10_4_3() {
    let mut b = Bench::new(TERMS, &[interest("a", 1, 0)]);
    let all = [0, 1, 2].map(|qos| Message::new("c", qos, "x"));
    let again = Delivery { redelivered: true, ..settled(&all) };
    assert_eq!(b.deliver(&again), ["c x", "c x q1 2 dup", "c x q2 3 dup", "! Accept 0+1"]);
    assert_eq!(b.deliver(&settled(&all)), ["! Accept 0+3"]);
    assert_eq!(b.deliver(&Delivery { redelivered: true, ..passing(&all) }), [""; 0]);
}

#[test]
fn messages_of_other_protocols_have_the_topic_of_their_key() {
    let mut b = Bench::new(TERMS, &[interest("a/+", 1, 3)]);
    let keyed = |key: &str, qos| Message {
        topic: String::new(),
        key: key.into(),
        ..Message::new("", qos, "x")
    };
    let all = [keyed("a.b", 1), keyed("a.b.c", 2), keyed("a.*", 1), keyed("a.b", 0)];
    let said = b.deliver(&settled(&all));
    let id = "[SubscriptionId(3)]";
    let publishes = [format!("a/b x q1 1 {id}"), "a/b/c x q1 2".into(), format!("a/b x {id}")];
    assert_eq!(said[..3], publishes);
    assert_eq!(said[3..], ["! Accept 2+2"]);
    assert_eq!(b.deliver(&passing(&[keyed("other", 1)])), ["other x"]);
    assert_eq!(b.out.skipped.nameless, 1);
}

#[test]
fn what_is_larger_than_the_client_takes_is_skipped_mqtt_3_1_2_24_and_25() {
    let mut b = Bench::new(Terms { packet_max: 12, ..TERMS }, &[interest("#", 1, 0)]);
    // Head 2, topic 3, identifier 2, properties 1: 4 bytes are left.
    let all = ["1234", "12345", "12"].map(|payload| Message::new("a", 1, payload));
    assert_eq!(b.deliver(&settled(&all)), ["a 1234 q1 1", "a 12 q1 3", "! Accept 1+1"]);
    let large = Message { payload: vec![0; frame::LENGTH_MAX + 1], ..Message::new("a", 0, "") };
    let mut b = Bench::new(TERMS, &[interest("#", 1, 0)]);
    assert_eq!(b.deliver(&passing(&[large])), Vec::<String>::new());
    assert_eq!(b.out.skipped.too_large, 1);
}

fn expiring(seconds: u32) -> Message {
    let until = NOW.secs() as u32 + seconds;
    let native = [&[b'M', 2][..], &until.to_be_bytes(), &[1, 1]].concat();
    let head = b"\x11\x00\x01\x0560000".to_vec();
    Message { head, native, ..Message::new("a", 0, "x") }
}

#[test]
fn an_expiry_is_counted_down_and_what_is_expired_is_not_sent_mqtt_3_3_2_5_and_6() {
    let mut b = Bench::new(TERMS, &[interest("a", 1, 0)]);
    let d = settled(&[expiring(9), expiring(9), expiring(0)]);
    b.outbound.deliver(&d, NOW + std::time::Duration::from_secs(4), &mut b.out);
    let left = "a x [MessageExpiry(5), PayloadFormat(true)]";
    assert_eq!(b.turn(), [left, left, "! Accept 0+3"]);
    assert_eq!(b.out.skipped.expired, 1);
    b.outbound.deliver(&d, NOW + std::time::Duration::from_secs(10), &mut b.out);
    assert_eq!(b.turn(), ["! Accept 0+3"]);
    // Clients of 3.1.1 are not told, and spared.
    let mut old = Bench::new(Terms { version: Version::V311, ..TERMS }, &[interest("a", 1, 0)]);
    old.outbound.deliver(&d, NOW + std::time::Duration::from_secs(4), &mut old.out);
    assert_eq!(old.turn(), ["a x", "a x", "! Accept 0+3"]);
    assert_eq!(old.out.skipped.expired, 1);
}

#[test]
fn the_first_topics_get_numbers_mqtt_3_1_2_26() {
    let mut b = Bench::new(Terms { alias_max: 2, ..TERMS }, &[interest("#", 0, 0)]);
    let topics = ["long/one", "long/one", "long/two", "long/one", "long/six", "b", "long/two"];
    let all = topics.map(|t| Message::new(t, 0, "x"));
    let one = "[TopicAlias(1)]";
    let two = "[TopicAlias(2)]";
    let expected = [
        format!("long/one x {one}"),
        format!(" x {one}"),
        format!("long/two x {two}"),
        format!(" x {one}"),
        "long/six x".into(),
        "b x".into(),
        format!(" x {two}"),
    ];
    assert_eq!(b.deliver(&passing(&all)), expected);
}

#[test]
fn no_message_is_skipped_for_the_number_of_its_topic() {
    // Head 2, topic 7, properties 1: 2 bytes are left, and a number would take 3.
    let mut b = Bench::new(Terms { alias_max: 2, packet_max: 12, ..TERMS }, &[interest("#", 0, 0)]);
    let all = ["12", "123", "1", ""].map(|payload| Message::new("a/b/c", 0, payload));
    assert_eq!(b.deliver(&passing(&all)), ["a/b/c 12", "a/b/c 1", "a/b/c "]);
    assert_eq!(b.out.skipped.too_large, 1);
    let mut b = Bench::new(Terms { alias_max: 2, packet_max: 13, ..TERMS }, &[interest("#", 0, 0)]);
    let said = b.deliver(&passing(&["", "1", "1234567"].map(|p| Message::new("a/b/c", 0, p))));
    assert_eq!(said, ["a/b/c  [TopicAlias(1)]", " 1 [TopicAlias(1)]"]);
    // The next that has room for it brings it.
    let mut b = Bench::new(Terms { alias_max: 2, packet_max: 13, ..TERMS }, &[interest("#", 0, 0)]);
    let said = b.deliver(&passing(&["123", "", "12"].map(|p| Message::new("a/b/c", 0, p))));
    assert_eq!(said, ["a/b/c 123", "a/b/c  [TopicAlias(1)]", " 12 [TopicAlias(1)]"]);
}

#[test]
fn properties_go_to_version_5_and_what_cannot_be_told_is_counted() {
    let mut list = PropertyList::default();
    list.push(&Property::UserProperty(("k", "v"))).unwrap();
    let native = [b"M", list.properties().as_bytes()].concat();
    let native = Message { native, ..Message::new("a", 0, "x") };
    let head = b"\x20\x00\x00\x00\x00\x0b\x01tF\x00\x00\x00\x00\x01bt\x01".to_vec();
    let odd = Message { head, ..Message::new("a", 0, "x") };
    let all = [native.clone(), native, Message::new("a", 0, "x"), odd.clone(), odd];
    let mut b = Bench::new(TERMS, &[interest("a", 0, 0)]);
    let (told, spoken) =
        (r#"a x [UserProperty(("k", "v"))]"#, r#"a x [UserProperty(("b", "true"))]"#);
    assert_eq!(b.deliver(&passing(&all)), [told, told, "a x", spoken, spoken]);
    assert_eq!(b.out.untold, 2);
    let mut old = Bench::new(Terms { version: Version::V311, ..TERMS }, &[interest("a", 0, 0)]);
    assert_eq!(old.deliver(&passing(&all)), ["a x"; 5]);
    assert_eq!(old.out.untold, 0);
    let d = Delivery { stamp: Stamp::Attempts(2), ..passing(&all[2..3]) };
    assert_eq!(b.deliver(&d), [r#"a x [UserProperty(("x-delivery-count", "2"))]"#]);
    assert_eq!(old.deliver(&d), ["a x"]);
}

#[test]
fn a_large_payload_goes_by_reference() {
    let mut b = Bench::new(TERMS, &[interest("a", 0, 0)]);
    let large = Message { payload: vec![b'l'; 100_000], ..Message::new("a", 0, "") };
    let d = passing(&[large]);
    b.outbound.deliver(&d, NOW, &mut b.out);
    assert!(b.out.bytes.small().len() < 20);
    let mut slices = [std::io::IoSlice::new(&[]); 3];
    assert_eq!(b.out.bytes.slices(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), d.run.bytes.as_ptr());
}

#[test]
fn every_second_item_of_a_run_may_be_delivered() {
    let mut b = Bench::new(TERMS, &[interest("a", 1, 0)]);
    let all: Vec<Message> = (0..6).map(|n| Message::new("a", 1, &n.to_string())).collect();
    let d = Delivery { first: 1, step: 2, count: 3, number: 40, ..settled(&all) };
    assert_eq!(b.deliver(&d), ["a 1 q1 41", "a 3 q1 43", "a 5 q1 45"]);
    assert_eq!(b.puback(43, Reason::Success), ["! Accept 1+1"]);
}

#[test]
fn what_waits_is_sent_in_order_and_costs_the_window_until_then() {
    let mut b = Bench::new(Terms { in_flight_max: 2, ..TERMS }, &[interest("a", 1, 0)]);
    let all: Vec<Message> = (0..3).map(|n| Message::new("a", 1, &n.to_string())).collect();
    assert_eq!(b.deliver(&settled(&all)), ["a 0 q1 1", "a 1 q1 2"]);
    let late = Delivery { number: 3, cost: 7, ..settled(&[Message::new("a", 1, "3")]) };
    assert!(b.deliver(&late).is_empty());
    assert_eq!(b.out.delivered, 0);
    assert_eq!(b.deliver(&passing(&all[..1])), ["a 0"], "these never wait");
    b.out.delivered = 0;
    assert_eq!(b.puback(2, Reason::Success), ["a 2 q1 3", "! Accept 1+1"]);
    assert_eq!(b.out.delivered, 10);
    assert_eq!(b.puback(3, Reason::Success), ["a 3 q1 4", "! Accept 2+1"]);
    assert_eq!(b.out.delivered, 17);
}

#[test]
fn a_client_that_has_everything_holds_little() {
    let mut b = Bench::new(Terms { alias_max: 16, ..TERMS }, &[interest("#", 2, 7)]);
    for n in 0..300_u64 {
        let topic = format!("a/{n}/{}", "t".repeat(600));
        let all: Vec<Message> = (0..2).map(|_| Message::new(&topic, 1, "x")).collect();
        b.deliver(&Delivery { number: n * 2, ..settled(&all) });
        b.puback(Mark::of_entry(n * 2).0, Reason::Success);
        b.puback(Mark::of_entry(n * 2 + 1).0, Reason::Success);
    }
    assert!(size_of::<Outbound>() < 1024, "{}", size_of::<Outbound>());
    assert_eq!(b.outbound.waiting.capacity(), 0);
    assert!(!b.outbound.layout.get().is_large());
}
