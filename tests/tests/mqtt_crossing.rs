//! MQTT and AMQP applications on one topic exchange: bodies, properties, delivery modes, topics,
//! questions and answers, both ways.

use crate::client::{Client, soon};
use crate::mqtt_client::Five;
use amqprs::channel::ConsumerMessage;
use amqprs::channel::{
    BasicConsumeArguments, BasicPublishArguments, QueueBindArguments, QueueDeclareArguments,
};
use amqprs::{BasicProperties, FieldTable, FieldValue};
use lockgate_tests::{Broker, Options};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use tokio::sync::mpsc::UnboundedReceiver;

/// An AMQP consumer of what comes with keys that match.
async fn consumer(client: &Client, key: &str) -> UnboundedReceiver<ConsumerMessage> {
    let arguments = QueueDeclareArguments::new("").exclusive(true).finish();
    let (queue, _, _) = soon(client.channel.queue_declare(arguments)).await.unwrap().unwrap();
    let arguments = QueueBindArguments::new(&queue, "amq.topic", key);
    soon(client.channel.queue_bind(arguments)).await.unwrap();
    let arguments = BasicConsumeArguments::new(&queue, "").auto_ack(true).finish();
    soon(client.channel.basic_consume_rx(arguments)).await.unwrap().1
}

/// The next: key, properties, body.
async fn next(from: &mut UnboundedReceiver<ConsumerMessage>) -> (String, BasicProperties, Vec<u8>) {
    let message = soon(from.recv()).await.expect("the consumer lives");
    let key = message.deliver.expect("a delivery has its method").routing_key().clone();
    (key, message.basic_properties.expect("properties"), message.content.expect("a body"))
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    let headers: &FieldTable = properties.headers()?;
    match headers.get(&name.try_into().unwrap())? {
        FieldValue::S(text) => Some(text.as_ref().clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_devices_publish_comes_for_amqp_with_all_that_it_says() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let mut from = consumer(&client, "plant.*.#").await;
    let mut device = Five::new(&broker, "device").await;
    let body: Vec<u8> = (0..=255).collect();
    let said = PublishProperties {
        content_type: Some("application/x".into()),
        correlation_data: Some("42".into()),
        response_topic: Some("answers/me".into()),
        message_expiry_interval: Some(60),
        user_properties: vec![("line".into(), "7".into()), ("unit".into(), "°C".into())],
        ..PublishProperties::default()
    };
    for (qos, mode) in [(QoS::AtMostOnce, 1), (QoS::AtLeastOnce, 2), (QoS::ExactlyOnce, 2)] {
        device.publish("plant/1/temperature", qos, &body, said.clone()).await;
        let (key, properties, content) = next(&mut from).await;
        assert_eq!((key.as_str(), &content), ("plant.1.temperature", &body));
        assert_eq!(properties.delivery_mode(), Some(mode), "{qos:?}");
        assert_eq!(properties.content_type().map(String::as_str), Some("application/x"));
        assert_eq!(properties.correlation_id().map(String::as_str), Some("42"));
        assert_eq!(properties.expiration().map(String::as_str), Some("60000"));
        assert_eq!(header(&properties, "x-reply-to-topic").as_deref(), Some("answers.me"));
        assert_eq!(header(&properties, "line").as_deref(), Some("7"));
        assert_eq!(header(&properties, "unit").as_deref(), Some("°C"));
    }
}

#[tokio::test]
async fn what_amqp_publishes_comes_for_devices_with_all_that_can_be_told() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    client.confirms().await;
    let mut device = Five::new(&broker, "device").await;
    device.subscribe("plant/+/set", QoS::ExactlyOnce).await;
    let mut headers = FieldTable::new();
    headers.insert("line".try_into().unwrap(), FieldValue::S("7".try_into().unwrap()));
    headers.insert(
        "x-reply-to-topic".try_into().unwrap(),
        FieldValue::S("answers.me".try_into().unwrap()),
    );
    headers.insert("count".try_into().unwrap(), FieldValue::I(3));
    let mut properties = BasicProperties::default();
    properties
        .with_content_type("application/x")
        .with_correlation_id("42")
        .with_expiration("60000")
        .with_headers(headers);
    let body: Vec<u8> = (0..=255).collect();
    let arguments = BasicPublishArguments::new("amq.topic", "plant.1.set");
    client.publish_as(arguments, properties, &body).await;
    client.confirmed(1).await;
    let message = device.message().await;
    assert_eq!(
        (message.topic.as_ref(), message.payload.as_ref()),
        (&b"plant/1/set"[..], &body[..])
    );
    // Persistent there is QoS 1 here.
    assert_eq!(message.qos, QoS::AtLeastOnce);
    let got = message.properties.expect("properties");
    assert_eq!(got.content_type.as_deref(), Some("application/x"));
    assert_eq!(got.correlation_data.as_deref(), Some(&b"42"[..]));
    assert_eq!(got.response_topic.as_deref(), Some("answers/me"));
    assert!(matches!(got.message_expiry_interval, Some(59 | 60)), "{got:?}");
    let mut told = got.user_properties;
    told.sort();
    assert_eq!(told, [("count".to_string(), "3".to_string()), ("line".into(), "7".into())]);
    let arguments = BasicPublishArguments::new("amq.topic", "plant.1.set");
    let passing = BasicProperties::default().with_delivery_mode(1).finish();
    soon(client.channel.basic_publish(passing, b"passing".to_vec(), arguments)).await.unwrap();
    let message = device.message().await;
    assert_eq!((message.payload.as_ref(), message.qos), (&b"passing"[..], QoS::AtMostOnce));
}

#[tokio::test]
async fn topics_with_dots_and_stars_come_back_as_they_were_to_devices_and_translated_to_amqp() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let mut from = consumer(&client, "#").await;
    let mut device = Five::new(&broker, "device").await;
    device.subscribe("#", QoS::AtLeastOnce).await;
    for (topic, key) in [("v1.0/a", "v1.0.a"), ("/a//b", ".a..b"), ("a*b/c", "a*b.c")] {
        device.publish(topic, QoS::AtLeastOnce, b"m", PublishProperties::default()).await;
        assert_eq!(next(&mut from).await.0, key);
        assert_eq!(device.message().await.topic.as_ref(), topic.as_bytes());
    }
}

#[tokio::test]
async fn a_virtual_host_of_the_other_dialect_swaps_dots_and_slashes() {
    let options = Options::flags(&["--mqtt-dialects", "/=activemq"]);
    let broker = Broker::start(options);
    let client = Client::new(&broker).await;
    let mut from = consumer(&client, "#").await;
    let mut device = Five::new(&broker, "device").await;
    device.subscribe("a.b/+", QoS::AtLeastOnce).await;
    device.publish("a.b/c", QoS::AtLeastOnce, b"m", PublishProperties::default()).await;
    assert_eq!(next(&mut from).await.0, "a/b.c");
    assert_eq!(device.message().await.topic.as_ref(), b"a.b/c");
    let arguments = BasicPublishArguments::new("amq.topic", "a/b.d");
    client.publish_as(arguments, BasicProperties::default(), b"back").await;
    assert_eq!(device.message().await.topic.as_ref(), b"a.b/d");
}

#[tokio::test]
async fn a_session_is_a_queue_that_amqp_sees_under_the_name_that_rabbitmq_gives_it() {
    use lockgate_tests::packets::Connect;
    let broker = Broker::start(Options::default());
    let wish = Connect::lasting("sink");
    let (mut sink, _) = lockgate_tests::Packets::enter(broker.mqtt, &wish).unwrap();
    sink.subscribe("t", 1).unwrap();
    drop(sink);
    let mut device = Five::new(&broker, "device").await;
    for _ in 0..3 {
        device.publish("t", QoS::AtLeastOnce, b"m", PublishProperties::default()).await;
    }
    let client = Client::new(&broker).await;
    let name = "mqtt-subscription-sinkqos1";
    let arguments = QueueDeclareArguments::new(name).passive(true).finish();
    let (_, waiting, _) = soon(client.channel.queue_declare(arguments)).await.unwrap().unwrap();
    assert_eq!(waiting, 3);
}

#[tokio::test]
async fn a_device_asks_and_an_amqp_service_answers() {
    let broker = Broker::start(Options::default());
    let service = Client::new(&broker).await;
    let mut questions = consumer(&service, "ask.#").await;
    let mut device = Five::new(&broker, "device").await;
    device.subscribe("answers/device", QoS::AtLeastOnce).await;
    let said = PublishProperties {
        response_topic: Some("answers/device".into()),
        correlation_data: Some("q1".into()),
        ..PublishProperties::default()
    };
    device.publish("ask/time", QoS::AtLeastOnce, b"when?", said).await;
    let (_, asked, body) = next(&mut questions).await;
    assert_eq!(body, b"when?");
    let key = header(&asked, "x-reply-to-topic").expect("where to answer");
    let mut properties = BasicProperties::default();
    properties.with_correlation_id(asked.correlation_id().expect("what it is about"));
    let arguments = BasicPublishArguments::new("amq.topic", &key);
    service.publish_as(arguments, properties, b"now").await;
    let answer = device.message().await;
    assert_eq!(answer.payload.as_ref(), b"now");
    let got = answer.properties.expect("properties");
    assert_eq!(got.correlation_data.as_deref(), Some(&b"q1"[..]));
}
