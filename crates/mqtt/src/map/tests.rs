//! Each property both ways, and what is made of what cannot be said.

use super::*;
use crate::dialect::Dialect;
use crate::packet::{Place, Qos};
use crate::property::{Properties as Checked, Property, PropertyList};
use lockgate_model::{Properties, Run, Stamp, Table, Time, Value};
use proptest::prelude::*;
use std::num::NonZeroU16;

const NOW: Time = Time(1_700_000_000_900_000);
const SOON: u32 = 1_700_000_060;
const DIALECT: Dialect = Dialect::RabbitMq { sparkplug: false };

fn list(properties: &[Property<'_>]) -> PropertyList {
    let mut list = PropertyList::default();
    properties.iter().for_each(|p| list.push(p).unwrap());
    list
}

/// The neutral list and the native properties of a PUBLISH.
fn sent(properties: &[Property<'_>], qos: Qos, begins: Begins) -> (Vec<u8>, Vec<u8>, u32) {
    let list = list(properties);
    let mut beside = b"what stands there".to_vec();
    let heads = heads(&list.properties(), qos, begins, DIALECT, &mut beside);
    let run = Run { beside: beside.into(), ..Run::default() };
    (run.slice(heads.head).to_vec(), run.slice(heads.native).to_vec(), heads.untold)
}

fn neutral(properties: &[Property<'_>]) -> (Properties, u32) {
    let (head, _, untold) = sent(properties, Qos::AtLeastOnce, Begins::Now(NOW));
    (Properties::decode(&head).expect("a list that was written is good"), untold)
}

/// What a subscriber of version 5 is told.
fn told(native: &[u8], head: &[u8], stamp: Stamp) -> (String, u32) {
    let mut out = Vec::new();
    let untold = put_own(native, head, stamp, DIALECT, &mut out);
    let good = Checked::check(Place::ServerPublish, &out).expect("properties that may stand there");
    (format!("{good:?}"), untold)
}

fn told_of(p: &Properties) -> (String, u32) {
    let mut head = Vec::new();
    p.encode(&mut head);
    told(b"", &head, Stamp::None)
}

fn text(s: &str) -> Option<bytes::Bytes> {
    Some(bytes::Bytes::copy_from_slice(s.as_bytes()))
}

fn table(entries: &[(&str, Value)]) -> Option<Table> {
    Some(Table(entries.iter().map(|(n, v)| ((*n).into(), v.clone())).collect()))
}

#[test]
fn a_publish_that_says_nothing_has_a_list_of_three_bytes_and_no_native() {
    let alias = [Property::TopicAlias(NonZeroU16::MIN)];
    for properties in [&[][..], &alias] {
        for (qos, mode) in [(Qos::AtMostOnce, 1), (Qos::AtLeastOnce, 2), (Qos::ExactlyOnce, 2)] {
            let got = sent(properties, qos, Begins::Now(NOW));
            assert_eq!(got, (vec![0x10, 0, mode], vec![], 0));
        }
    }
}

/// The neutral list, and what it says to somebody who is told nothing else.
#[test]
fn each_property_crosses_and_comes_back() {
    let empty = Properties { delivery_mode: Some(2), ..Properties::default() };
    let long = "ä".repeat(128);
    let headers = |headers| Properties { headers, ..empty.clone() };
    let cases: Vec<(Property<'_>, Properties, String)> = vec![
        (
            Property::ContentType("text/plain"),
            Properties { content_type: text("text/plain"), ..empty.clone() },
            r#"[ContentType("text/plain")]"#.into(),
        ),
        (
            Property::ContentType(&long),
            headers(table(&[("x-content-type", Value::text(&long))])),
            format!("[ContentType({long:?})]"),
        ),
        (
            Property::CorrelationData(b"7"),
            Properties { correlation_id: text("7"), ..empty.clone() },
            "[CorrelationData([55])]".into(),
        ),
        (
            Property::CorrelationData(&[255, 0]),
            headers(table(&[("x-correlation-id", Value::Binary(vec![255, 0].into()))])),
            "[CorrelationData([255, 0])]".into(),
        ),
        (
            Property::CorrelationData(long.as_bytes()),
            headers(table(&[("x-correlation-id", Value::text(&long))])),
            format!("[CorrelationData({:?})]", long.as_bytes()),
        ),
        (
            Property::ResponseTopic("a/b/c"),
            headers(table(&[("x-reply-to-topic", Value::text("a.b.c"))])),
            r#"[ResponseTopic("a/b/c")]"#.into(),
        ),
        (
            Property::UserProperty(("k", "v")),
            headers(table(&[("k", Value::text("v"))])),
            r#"[UserProperty(("k", "v"))]"#.into(),
        ),
        (
            Property::MessageExpiry(60),
            Properties { expiration: text("60000"), ..empty.clone() },
            "[MessageExpiry(60)]".into(),
        ),
        (
            Property::MessageExpiry(u32::MAX),
            Properties { expiration: text("4294967295000"), ..empty.clone() },
            "[MessageExpiry(4294967295)]".into(),
        ),
        (Property::PayloadFormat(true), empty.clone(), "[]".into()),
    ];
    for (property, expected, back) in cases {
        let (got, untold) = neutral(&[property]);
        assert_eq!((&got, untold), (&expected, 0), "{property:?}");
        assert_eq!(told_of(&got), (back, 0), "{property:?}");
    }
}

#[test]
fn all_properties_at_once_cross_and_come_back() {
    let all = [
        Property::UserProperty(("a", "1")),
        Property::CorrelationData(b"id"),
        Property::MessageExpiry(60),
        Property::ContentType("t"),
        Property::UserProperty(("b", "2")),
        Property::ResponseTopic("r/t"),
    ];
    let (list, untold) = neutral(&all);
    let names = [("x-reply-to-topic", "r.t"), ("a", "1"), ("b", "2")];
    let expected = Properties {
        content_type: text("t"),
        headers: table(&names.map(|(n, v)| (n, Value::text(v)))),
        delivery_mode: Some(2),
        correlation_id: text("id"),
        expiration: text("60000"),
        ..Properties::default()
    };
    assert_eq!((&list, untold), (&expected, 0));
    let back = r#"[MessageExpiry(60), ContentType("t"), CorrelationData([105, 100]), ResponseTopic("r/t"), UserProperty(("a", "1")), UserProperty(("b", "2"))]"#;
    assert_eq!(told_of(&list), (back.to_owned(), 0));
}

#[test]
fn the_list_has_the_first_of_a_name_and_no_long_names_and_native_has_all() {
    let long = "n".repeat(256);
    let users = [("k", "1"), ("k", "2"), (&long, "3"), ("x-correlation-id", "mine"), ("", "")];
    let mut all: Vec<Property<'_>> = users.iter().map(|u| Property::UserProperty(*u)).collect();
    all.push(Property::CorrelationData(&[254]));
    let (list, untold) = neutral(&all);
    let ours = ("x-correlation-id", Value::Binary(vec![254].into()));
    let expected = table(&[ours, ("k", Value::text("1")), ("", Value::text(""))]);
    assert_eq!((list.headers, untold), (expected, 3));
    let (head, native, _) = sent(&all, Qos::AtMostOnce, Begins::Now(NOW));
    let users = users.map(Property::UserProperty);
    let mut kept: Vec<Property<'_>> = users.to_vec();
    kept.push(Property::CorrelationData(&[254]));
    assert_eq!(told(&native, &head, Stamp::None), (format!("{kept:?}"), 0));
}

#[test]
fn many_user_properties_are_told_apart_and_those_without_room_are_counted() {
    let names: Vec<String> = (0..40).map(|n| format!("k{}", n % 30)).collect();
    let few: Vec<_> = names.iter().map(|n| Property::UserProperty((n, "v"))).collect();
    let (list, untold) = neutral(&few);
    assert_eq!((list.headers.map(|h| h.0.len()), untold), (Some(30), 10));
    // A list has to go into one frame of AMQP.
    let large = "v".repeat(30_000);
    let names: Vec<String> = (0..4).map(|n| format!("k{n}")).collect();
    let all: Vec<_> = names.iter().map(|n| Property::UserProperty((n, &large))).collect();
    let (head, native, untold) = sent(&all, Qos::AtMostOnce, Begins::Now(NOW));
    assert_eq!((untold, head.len() < 65_536), (2, true));
    assert!(Properties::decode(&head).is_ok() && native.len() > 120_000);
}

/// What is in logs and on the wire between nodes stays readable.
#[test]
fn native_properties_begin_with_their_letter_and_their_deadline() {
    let properties = [
        Property::PayloadFormat(true),
        Property::TopicAlias(NonZeroU16::MIN),
        Property::MessageExpiry(60),
        Property::UserProperty(("k", "v")),
    ];
    let (head, native, _) = sent(&properties, Qos::AtMostOnce, Begins::Now(NOW));
    let [a, b, c, d] = SOON.to_be_bytes();
    assert_eq!(native, [b'M', 2, a, b, c, d, 1, 1, 0x26, 0, 1, b'k', 0, 1, b'v']);
    assert_eq!(deadline(&native, &head), Some(SOON));
    assert_eq!(head, b"\x31\x00\x00\x00\x00\x08\x01kS\x00\x00\x00\x01v\x01\x0560000");
    // Never later than can be said.
    let (head, native, _) =
        sent(&[Property::MessageExpiry(u32::MAX)], Qos::AtMostOnce, Begins::Now(NOW));
    assert_eq!(deadline(&native, &head), Some(u32::MAX));
}

#[test]
fn a_will_says_in_the_list_alone_how_long_it_lasts() {
    let will = [Property::WillDelay(5), Property::MessageExpiry(60), Property::PayloadFormat(true)];
    let (head, native, untold) = sent(&will, Qos::AtLeastOnce, Begins::Later);
    assert_eq!((&native[..], untold), (&[b'M', 1, 1][..], 0));
    assert_eq!(deadline(&native, &head), None);
    let (said, _) = told(&native, &head, Stamp::None);
    assert_eq!(said, "[MessageExpiry(60), PayloadFormat(true)]");
}

#[test]
fn a_lifetime_that_was_taken_out_of_the_list_counts_no_more() {
    let properties = [Property::MessageExpiry(60), Property::PayloadFormat(true)];
    let (_, native, _) = sent(&properties, Qos::AtMostOnce, Begins::Now(NOW));
    assert_eq!(deadline(&native, &[0x10, 0, 1]), None);
    assert_eq!(told(&native, &[0x10, 0, 1], Stamp::None).0, "[PayloadFormat(true)]");
}

#[test]
fn headers_are_told_as_text_where_they_are() {
    let headers = table(&[
        ("bool", Value::Bool(true)),
        ("i8", Value::I8(-1)),
        ("u32", Value::U32(u32::MAX)),
        ("i64", Value::I64(i64::MIN)),
        ("f64", Value::F64(1.5)),
        ("time", Value::Timestamp(9)),
        ("decimal", Value::Decimal { scale: 2, value: -314 }),
        ("small", Value::Decimal { scale: 3, value: 5 }),
        ("void", Value::Void),
        ("text", Value::text("ä")),
        ("array", Value::Array(vec![Value::Void])),
        ("table", Value::Table(Table::default())),
        ("binary", Value::Binary(b"b".as_slice().to_vec().into())),
        ("bad", Value::Text(vec![255].into())),
        ("null", Value::text("\0")),
        ("nu\0ll", Value::text("")),
        ("long", Value::text(&"l".repeat(65_536))),
    ]);
    let list = Properties {
        headers,
        priority: Some(3),
        timestamp: Some(4),
        reply_to: text("queue"),
        message_id: text("id"),
        ..Properties::default()
    };
    let (said, untold) = told_of(&list);
    let users: Vec<(&str, &str)> = vec![
        ("bool", "true"),
        ("i8", "-1"),
        ("u32", "4294967295"),
        ("i64", "-9223372036854775808"),
        ("f64", "1.5"),
        ("time", "9"),
        ("decimal", "-3.14"),
        ("small", "0.005"),
        ("void", ""),
        ("text", "ä"),
    ];
    let users: Vec<_> = users.into_iter().map(Property::UserProperty).collect();
    assert_eq!((said, untold), (format!("{users:?}"), 7));
}

#[test]
fn what_is_no_property_is_left_out_and_counted() {
    let bad = Properties {
        content_type: Some(vec![255].into()),
        expiration: text("soon"),
        headers: table(&[("x-reply-to-topic", Value::text("a.*"))]),
        ..Properties::default()
    };
    assert_eq!(told_of(&bad), ("[]".into(), 3));
    assert_eq!(told(b"", b"\xff\xff", Stamp::None), ("[]".into(), 1));
    // Of another protocol that we do not read: the list says it.
    let (head, _, _) = sent(&[Property::ContentType("t")], Qos::AtMostOnce, Begins::Now(NOW));
    assert_eq!(told(b"Zwhatever", &head, Stamp::None), (r#"[ContentType("t")]"#.into(), 0));
}

#[test]
fn fields_of_the_list_come_before_headers_that_stand_for_them() {
    let list = Properties {
        content_type: text("t"),
        correlation_id: text("c"),
        headers: table(&[
            ("x-content-type", Value::text("other")),
            ("x-correlation-id", Value::text("other")),
            ("x-reply-to-topic", Value::text("a.b")),
            ("x-reply-to-topic", Value::text("c.d")),
        ]),
        ..Properties::default()
    };
    let users = r#"UserProperty(("x-content-type", "other")), UserProperty(("x-correlation-id", "other")), ResponseTopic("a/b"), UserProperty(("x-reply-to-topic", "c.d"))"#;
    let said = format!(r#"[ContentType("t"), CorrelationData([99]), {users}]"#);
    assert_eq!(told_of(&list), (said, 0));
}

#[test]
fn stamps_are_user_properties() {
    let stamp = Stamp::Attempts(3);
    let said = r#"UserProperty(("x-delivery-count", "3"))"#;
    assert_eq!(told(b"", &[0, 0], stamp).0, format!("[{said}]"));
    assert_eq!(told(b"M\x01\x01", &[0, 0], stamp).0, format!("[PayloadFormat(true), {said}]"));
    let said = r#"[UserProperty(("x-stream-offset", "7"))]"#;
    assert_eq!(told(b"", &[0, 0], Stamp::Offset(7)).0, said);
}

fn properties() -> impl Strategy<Value = Vec<(u8, String, Vec<u8>, u32)>> {
    prop::collection::vec(
        (0..9u8, "[a-c]{0,2}", prop::collection::vec(any::<u8>(), 0..4), 0..100_000u32),
        0..30,
    )
}

proptest! {
    /// From MQTT to MQTT nothing is lost, whatever it is and however often.
    #[test]
    fn mqtt_to_mqtt_keeps_everything_in_order_byte_for_byte(material in properties()) {
        let mut all: Vec<Property<'_>> = Vec::new();
        for (n, text, bytes, number) in &material {
            let property = match n {
                0 => Property::PayloadFormat(number % 2 == 0),
                1 => Property::MessageExpiry(*number),
                2 => Property::ContentType(text),
                3 => Property::ResponseTopic("r/t"),
                4 => Property::CorrelationData(bytes),
                5 => Property::TopicAlias(NonZeroU16::MIN),
                _ => Property::UserProperty((text, "v")),
            };
            if *n > 5 || !all.iter().any(|p| p.id() == property.id()) {
                all.push(property);
            }
        }
        let (head, native, _) = sent(&all, Qos::AtMostOnce, Begins::Now(NOW));
        prop_assert!(Properties::decode(&head).is_ok());
        let mut out = Vec::new();
        let untold = put_own(&native, &head, Stamp::None, DIALECT, &mut out);
        prop_assert_eq!(untold, 0);
        let expiry = all.iter().find_map(|p| match p {
            Property::MessageExpiry(n) => Some(*n),
            _ => None,
        });
        let until = expiry.map(|n| NOW.secs() as u32 + n);
        prop_assert_eq!(deadline(&native, &head), until);
        let mut expected = Vec::from_iter(until.map(Property::MessageExpiry));
        expected.extend(all.into_iter().filter(|p| {
            !matches!(p, Property::MessageExpiry(_) | Property::TopicAlias(_))
        }));
        let expected = list(&expected);
        prop_assert_eq!(out, expected.properties().as_bytes());
    }

    /// Whatever a list and native properties hold, what is told is good or nothing.
    #[test]
    fn any_neutral_list_is_told_as_good_properties(
        material in prop::collection::vec(("[a-c\0]{0,2}", prop::collection::vec(any::<u8>(), 0..6)), 0..8),
        first in prop::collection::vec(any::<u8>(), 0..4),
        cut in any::<u8>(),
    ) {
        let names = [CONTENT_TYPE, CORRELATION, REPLY_TOPIC];
        let headers = material.iter().enumerate().map(|(n, (name, value))| {
            let name = names.get(n).filter(|_| cut % 2 == 0).map_or(name.as_str(), |n| n);
            (name.into(), Value::Text(value.clone().into()))
        });
        let p = Properties {
            content_type: Some(first.clone().into()),
            correlation_id: (cut > 99).then(|| first.clone().into()),
            headers: Some(Table(headers.collect())),
            expiration: (cut > 50).then(|| first.into()),
            ..Properties::default()
        };
        let mut head = Vec::new();
        p.encode(&mut head);
        told(b"", &head, Stamp::None);
        head.truncate(cut.into());
        told(b"", &head, Stamp::None);
    }
}
