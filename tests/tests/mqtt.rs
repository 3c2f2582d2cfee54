//! MQTT through the real binary, by a stock client and by hand: what clients of 3.1.1 and 5 do
//! all day, and what they are refused.

use crate::client::soon;
use crate::mqtt_client::Five;
use lockgate_tests::packets::{Connect, Flags, kind, packet, text};
use lockgate_tests::{Broker, Options, Packets};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use rumqttc::{AsyncClient, Event, MqttOptions, Packet};

const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

fn nothing() -> PublishProperties {
    PublishProperties::default()
}

#[tokio::test]
async fn each_level_comes_as_the_lower_of_what_is_sent_and_what_is_wanted() {
    let broker = Broker::start(Options::default());
    let mut client = Five::new(&broker, "c").await;
    for wanted in LEVELS {
        client.subscribe(&format!("t/{wanted:?}"), wanted).await;
        for sent in LEVELS {
            client.publish(&format!("t/{wanted:?}"), sent, b"m", nothing()).await;
            let qos = (sent as u8).min(wanted as u8);
            assert_eq!(client.message().await.qos as u8, qos, "{sent:?} for {wanted:?}");
        }
    }
}

#[tokio::test]
async fn a_client_of_3_1_1_hears_one_of_5_and_the_other_way_round() {
    let broker = Broker::start(Options::default());
    let mut five = Five::new(&broker, "five").await;
    let place = broker.mqtt;
    let mut options = MqttOptions::new("three", place.ip().to_string(), place.port());
    options.set_credentials("guest", "guest");
    let (three, mut events) = AsyncClient::new(options, 10);
    three.subscribe("from/five", rumqttc::QoS::ExactlyOnce).await.unwrap();
    five.subscribe("from/three", QoS::ExactlyOnce).await;
    let mut heard = None;
    while heard.is_none() {
        match soon(events.poll()).await.unwrap() {
            Event::Incoming(Packet::SubAck(_)) => {
                let said = PublishProperties { content_type: Some("x".into()), ..nothing() };
                five.publish("from/five", QoS::AtLeastOnce, b"hello", said).await;
            }
            Event::Incoming(Packet::Publish(message)) => heard = Some(message),
            _ => {}
        }
    }
    assert_eq!(heard.unwrap().payload.as_ref(), b"hello");
    three.publish("from/three", rumqttc::QoS::ExactlyOnce, false, "back").await.unwrap();
    let polling = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let message = five.message().await;
    assert_eq!((message.payload.as_ref(), message.qos), (&b"back"[..], QoS::ExactlyOnce));
    polling.abort();
}

#[tokio::test]
async fn virtual_hosts_are_apart_and_a_user_name_names_one() {
    let broker = Broker::start(Options::flags(&["--vhosts", "/", "--vhosts", "other"]));
    let mut here = Five::new(&broker, "c").await;
    let mut there = Five::login(&broker, "c", "other:guest", "guest").await;
    for client in [&mut here, &mut there] {
        client.subscribe("t", QoS::AtLeastOnce).await;
    }
    there.publish("t", QoS::AtLeastOnce, b"there", nothing()).await;
    here.publish("t", QoS::AtLeastOnce, b"here", nothing()).await;
    assert_eq!(here.message().await.payload.as_ref(), b"here");
    assert_eq!(there.message().await.payload.as_ref(), b"there");
}

/// The code of the CONNACK that these bytes get, behind which comes the end.
fn refused(broker: &Broker, bytes: &[u8]) -> Option<u8> {
    let mut wire = Packets::connect(broker.mqtt).unwrap();
    wire.send(bytes).unwrap();
    let all = wire.rest().unwrap();
    assert!(all.len() <= 1, "{all:?}");
    all.first().map(|connack| {
        assert_eq!(connack.kind(), kind::CONNACK);
        connack.body[1]
    })
}

#[test]
fn who_is_not_let_in_is_told_why_as_its_version_can() {
    let flags = ["--mqtt-allow-anonymous", "false"];
    let broker = Broker::start(Options::flags(&flags));
    let connect = |level: u8, flags: u8, rest: &[u8]| {
        let properties: &[u8] = if level == 5 { &[0] } else { &[] };
        let name = if level == 3 { text("MQIsdp") } else { text("MQTT") };
        packet(0x10, &[&name, &[level, flags, 0, 60], properties, rest])
    };
    let wrong = [text("c"), text("guest"), text("wrong")].concat();
    for (level, code) in [(3, 4), (4, 4), (5, 0x86)] {
        assert_eq!(refused(&broker, &connect(level, 0xC2, &wrong)), Some(code), "{level}");
    }
    for (level, code) in [(3, 4), (4, 4), (5, 0x86)] {
        assert_eq!(refused(&broker, &connect(level, 2, &text("c"))), Some(code), "{level}");
    }
    // No name, and a session that is to stay; a version that nobody speaks.
    assert_eq!(
        refused(&broker, &connect(4, 0xC0, &[text(""), text("guest"), text("guest")].concat())),
        Some(2)
    );
    assert_eq!(
        refused(&broker, &packet(0x10, &[&text("MQTT"), &[6, 2, 0, 60], &text("c")])),
        Some(0x84)
    );
}

#[test]
fn anonymous_clients_are_the_user_that_the_configuration_names() {
    let broker = Broker::start(Options::default());
    let mut wire = Packets::connect(broker.mqtt).unwrap();
    wire.send(&packet(0x10, &[&text("MQTT"), &[4, 2, 0, 60], &text("c")])).unwrap();
    assert_eq!(wire.expect(kind::CONNACK).unwrap().body, [0, 0]);
    let broker = broker_with_other_password();
    let nobody = packet(0x10, &[&text("MQTT"), &[4, 2, 0, 60], &text("c")]);
    assert_ne!(refused(&broker, &nobody), Some(0), "guest has another password now");
}

fn broker_with_other_password() -> Broker {
    Broker::start(Options::default().env("LOCKGATE_AUTH_DEFAULT_PASS", "another"))
}

#[test]
fn what_may_wait_for_a_client_is_bounded_and_the_oldest_goes() {
    let broker = Broker::start(Options::flags(&["--mqtt-session-messages-max", "10"]));
    let wish = Connect::lasting("sink");
    Packets::enter(broker.mqtt, &wish).unwrap().0.subscribe("t", 1).unwrap();
    let (mut source, _) = Packets::enter(broker.mqtt, &Connect::new("source")).unwrap();
    for n in 0..30u8 {
        source.exactly_once("t", &[n], 1).unwrap();
    }
    let (mut sink, _) = Packets::enter(broker.mqtt, &wish).unwrap();
    for n in 20..30u8 {
        assert_eq!(sink.message().unwrap().payload, [n]);
    }
}

#[test]
fn a_broker_that_stops_says_where_to_go() {
    let broker = Broker::start(Options::flags(&["--mqtt-server-reference", "b.example:1883"]));
    let (mut five, _) = Packets::enter(broker.mqtt, &Connect::new("five")).unwrap();
    let wish = Connect { expiry: None, ..Connect::new("three") };
    let (mut three, _) = Packets::enter(broker.mqtt, &wish).unwrap();
    assert_eq!(broker.stop().code(), Some(0));
    let told = five.rest().unwrap();
    assert_eq!((told.len(), told[0].kind(), told[0].body[0]), (1, kind::DISCONNECT, 0x9C));
    let body = String::from_utf8_lossy(&told[0].body).into_owned();
    assert!(body.contains("b.example:1883"), "{body:?}");
    assert_eq!(three.rest().unwrap(), [], "3.1.1 has no word for it");
}

#[test]
fn more_than_the_receive_maximum_is_too_much_unless_it_is_not_strict() {
    for (strict, code) in [("true", Some(0x93)), ("false", None)] {
        let flags = ["--mqtt-receive-maximum", "3", "--mqtt-strict-receive-maximum", strict];
        let broker = Broker::start(Options::flags(&flags));
        let (mut source, _) = Packets::enter(broker.mqtt, &Connect::new("source")).unwrap();
        // Released by nobody, so that each counts until the end.
        let all: Vec<u8> =
            (1..=4).flat_map(|id| source.publication("t", b"", Flags::qos(2), id)).collect();
        source.send(&all).unwrap();
        source.send(&[0xC0, 0]).unwrap();
        let mut told = None;
        while let Some(packet) = source.packet().unwrap() {
            match packet.kind() {
                kind::DISCONNECT => told = Some(packet.body[0]),
                13 => break,
                _ => {}
            }
        }
        assert_eq!(told, code, "strict: {strict}");
    }
}
