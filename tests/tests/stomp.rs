//! STOMP over real sockets: alone, and beside AMQP on the same queues.

use crate::client::{Client, next, soon};
use crate::mqtt_client::Five;
use amqprs::channel::{
    BasicConsumeArguments, BasicPublishArguments, QueueBindArguments, QueueDeclareArguments,
};
use amqprs::{BasicProperties, FieldTable, FieldValue};
use lockgate_tests::stomp::{Frame, Stomp, frame};
use lockgate_tests::{Broker, Options};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::PublishProperties;

fn bodies(frames: &[Frame]) -> Vec<&[u8]> {
    frames.iter().map(|f| f.body.as_slice()).collect()
}

#[test]
fn sent_confirmed_delivered_acknowledged() {
    let broker = Broker::start(Options::default());
    let mut out = Stomp::connect(broker.stomp);
    for n in 0..500 {
        out.say("SEND", &[("destination", "/queue/work"), ("receipt", &n.to_string())], b"x");
    }
    let mut told: Vec<u32> =
        (0..500).map(|_| out.told().get("receipt-id").parse().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, (0..500).collect::<Vec<_>>());
    let mut into = Stomp::connect(broker.stomp);
    let wish = [("id", "0"), ("destination", "/queue/work"), ("ack", "client")];
    into.say("SUBSCRIBE", &wish, b"");
    let got: Vec<Frame> = (0..500).map(|_| into.told()).collect();
    assert!(got.iter().all(|f| f.body == b"x" && f.get("redelivered") == "false"));
    // One ACK settles all before it.
    let before = into.done("ACK", &[("id", got[498].get("ack"))], b"");
    assert!(before.is_empty());
    drop(into);
    let mut into = Stomp::connect(broker.stomp);
    into.say("SUBSCRIBE", &wish, b"");
    let left = into.told();
    assert_eq!((left.get("redelivered"), left.get("subscription")), ("true", "0"));
    into.done("NACK", &[("id", left.get("ack")), ("requeue", "false")], b"");
    into.done("DISCONNECT", &[], b"");
    assert_eq!(into.heard(), None);
}

#[test]
fn what_has_its_receipt_is_there_after_kill_9() {
    let broker = Broker::start(Options::default());
    let mut out = Stomp::connect(broker.stomp);
    for n in 0..100 {
        let headers =
            [("destination", "/queue/kept"), ("persistent", "true"), ("receipt", &*n.to_string())];
        out.say("SEND", &headers, n.to_string().as_bytes());
    }
    (0..100).for_each(|_| assert_eq!(out.told().command, "RECEIPT"));
    out.say("BEGIN", &[("transaction", "open")], b"");
    let lost = [("destination", "/queue/kept"), ("persistent", "true"), ("transaction", "open")];
    out.say("SEND", &lost, b"never committed");
    broker.kill();
    let broker = broker.again();
    let mut into = Stomp::connect(broker.stomp);
    into.say("SUBSCRIBE", &[("id", "0"), ("destination", "/queue/kept")], b"");
    for n in 0..100 {
        assert_eq!(into.told().body, n.to_string().as_bytes());
    }
    let rest = into.done("UNSUBSCRIBE", &[("id", "0")], b"");
    assert_eq!(bodies(&rest), Vec::<&[u8]>::new());
}

#[test]
fn a_transaction_is_whole_or_not_at_all() {
    let broker = Broker::start(Options::default());
    let mut stomp = Stomp::connect(broker.stomp);
    let wish = [("id", "0"), ("destination", "/queue/tx")];
    stomp.done("SUBSCRIBE", &wish, b"");
    stomp.say("BEGIN", &[("transaction", "a")], b"");
    stomp.say("BEGIN", &[("transaction", "b")], b"");
    for (name, body) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let headers = [("destination", "/queue/tx"), ("transaction", name)];
        stomp.say("SEND", &headers, body.as_bytes());
    }
    assert!(stomp.done("ABORT", &[("transaction", "b")], b"").is_empty());
    let mut got = stomp.done("COMMIT", &[("transaction", "a")], b"");
    while got.len() < 2 {
        got.push(stomp.told());
    }
    assert_eq!(bodies(&got), [b"1", b"3"]);
}

#[test]
fn large_bodies_of_any_octets_come_back_as_they_went() {
    let broker = Broker::start(Options::default());
    let mut stomp = Stomp::connect(broker.stomp);
    stomp.done("SUBSCRIBE", &[("id", "0"), ("destination", "/topic/large")], b"");
    for size in [0usize, 1, 4095, 4097, 70_000, 5_000_000] {
        let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        stomp.say("SEND", &[("destination", "/topic/large")], &body);
        assert!(stomp.told().body == body, "{size} bytes");
    }
    // Without a length NUL ends it, however it is cut.
    let text =
        [b"SEND\ndestination:/topic/large\n\n".to_vec(), vec![b'y'; 100_000], vec![0]].concat();
    text.chunks(1_460).for_each(|part| stomp.raw(part));
    assert_eq!(stomp.told().body.len(), 100_000);
}

#[test]
fn a_durable_subscription_hears_what_came_while_it_was_away() {
    let broker = Broker::start(Options::default());
    let wish = [
        ("id", "me"),
        ("destination", "/topic/news.*"),
        ("durable", "true"),
        ("auto-delete", "false"),
        ("ack", "client"),
    ];
    Stomp::connect(broker.stomp).done("SUBSCRIBE", &wish, b"");
    let mut out = Stomp::connect(broker.stomp);
    let headers = [("destination", "/topic/news.uk"), ("persistent", "true")];
    out.done("SEND", &headers, b"away");
    broker.kill();
    let broker = broker.again();
    let mut back = Stomp::connect(broker.stomp);
    back.say("SUBSCRIBE", &wish, b"");
    let got = back.told();
    assert_eq!((got.get("destination"), &*got.body), ("/topic/news.uk", &b"away"[..]));
    back.done("UNSUBSCRIBE", &[("id", "me"), ("durable", "true")], b"");
    let mut out = Stomp::connect(broker.stomp);
    out.done("SEND", &headers, b"nobody");
    back.done("SUBSCRIBE", &wish, b"");
    out.done("SEND", &headers, b"anew");
    assert_eq!(back.told().body, b"anew");
}

#[test]
fn errors_leave_the_connection_open_but_for_those_of_the_core() {
    let broker = Broker::start(Options::default());
    let mut stomp = Stomp::connect(broker.stomp);
    stomp.say("SEND", &[("destination", "/nowhere"), ("receipt", "1")], b"x");
    let error = stomp.told();
    assert_eq!((error.get("message"), error.get("receipt-id")), ("Unknown destination", "1"));
    stomp.done("SEND", &[("destination", "/queue/a")], b"x");
    stomp.say("SUBSCRIBE", &[("id", "1"), ("destination", "/amq/queue/none")], b"");
    let error = stomp.told();
    assert_eq!(error.body, b"NOT_FOUND - no queue 'none' in vhost '/'");
    assert_eq!(stomp.heard(), None);
    let mut stranger = Stomp::open(broker.stomp);
    stranger.say("CONNECT", &[("login", "guest"), ("passcode", "wrong"), ("host", "/")], b"");
    assert_eq!(stranger.told().body, b"Access refused for user 'guest'\n");
    let mut stranger = Stomp::open(broker.stomp);
    stranger.raw(&[&b"CONNECT\nx:"[..], &[b'x'; 40_000]].concat());
    assert_eq!(stranger.told().get("message"), "Malformed frame");
}

#[test]
fn a_silent_peer_loses_its_connection_and_keeps_its_messages() {
    let broker = Broker::start(Options::default());
    let mut stomp = Stomp::open(broker.stomp);
    let login = [("login", "guest"), ("passcode", "guest"), ("host", "/")];
    let hello = [&login[..], &[("accept-version", "1.2"), ("heart-beat", "1000,0")]].concat();
    stomp.say("CONNECT", &hello, b"");
    assert_eq!(stomp.told().get("heart-beat"), "0,1000");
    stomp.say("SEND", &[("destination", "/queue/q")], b"x");
    stomp.say("SUBSCRIBE", &[("id", "1"), ("destination", "/queue/q"), ("ack", "client")], b"");
    assert_eq!(stomp.told().body, b"x");
    assert_eq!(stomp.heard(), None);
    let mut other = Stomp::connect(broker.stomp);
    other.say("SUBSCRIBE", &[("id", "1"), ("destination", "/queue/q")], b"");
    assert_eq!(other.told().get("redelivered"), "true");
}

// The socket is waited for without yielding, so the other client needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stomp_sends_amqp_hears_with_all_its_properties() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let declare = QueueDeclareArguments::durable_client_named("shared");
    soon(client.channel.queue_declare(declare)).await.unwrap();
    let bind = QueueBindArguments::new("shared", "amq.topic", "a.#");
    soon(client.channel.queue_bind(bind)).await.unwrap();
    let consume = BasicConsumeArguments::new("shared", "");
    let (_, mut heard) = soon(client.channel.basic_consume_rx(consume)).await.unwrap();
    let mut stomp = Stomp::connect(broker.stomp);
    let headers = [
        ("destination", "/topic/a.b"),
        ("content-type", "text/plain"),
        ("persistent", "true"),
        ("priority", "3"),
        ("correlation-id", "c"),
        ("reply-to", "/queue/answers"),
        ("amqp-message-id", "m"),
        ("my\\cheader", "line\\nend"),
    ];
    stomp.done("SEND", &headers, b"\0body");
    let message = soon(heard.recv()).await.unwrap();
    assert_eq!(message.content.as_deref(), Some(&b"\0body"[..]));
    let p = message.basic_properties.unwrap();
    assert_eq!(p.content_type().map(String::as_str), Some("text/plain"));
    assert_eq!((p.delivery_mode(), p.priority()), (Some(2), Some(3)));
    assert_eq!(p.reply_to().map(String::as_str), Some("/queue/answers"));
    assert_eq!(p.message_id().map(String::as_str), Some("m"));
    let key = "my:header".try_into().unwrap();
    let value = FieldValue::S("line\nend".try_into().unwrap());
    assert_eq!(p.headers().unwrap().get(&key), Some(&value));
    // The same queue serves both as competing readers.
    stomp.say("SUBSCRIBE", &[("id", "1"), ("destination", "/queue/shared")], b"");
    for _ in 0..10 {
        stomp.say("SEND", &[("destination", "/queue/shared")], b"turn");
    }
    assert_eq!(stomp.told().body, b"turn");
    assert_eq!(next(&mut heard).await.2, b"turn");
}

// The socket is waited for without yielding, so the other client needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_stomp_is_answered_by_an_amqp_worker() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let declare = QueueDeclareArguments::durable_client_named("requests");
    soon(client.channel.queue_declare(declare)).await.unwrap();
    let consume = BasicConsumeArguments::new("requests", "").auto_ack(true).finish();
    let (_, mut heard) = soon(client.channel.basic_consume_rx(consume)).await.unwrap();
    let mut stomp = Stomp::connect(broker.stomp);
    let ask = [
        ("destination", "/queue/requests"),
        ("reply-to", "/temp-queue/me"),
        ("correlation-id", "7"),
    ];
    stomp.say("SEND", &ask, b"question");
    let request = soon(heard.recv()).await.unwrap();
    let p = request.basic_properties.unwrap();
    let answer = BasicProperties::default()
        .with_correlation_id(p.correlation_id().unwrap())
        .with_headers(FieldTable::new())
        .finish();
    let to = BasicPublishArguments::new("", p.reply_to().unwrap());
    client.publish_as(to, answer, b"answer").await;
    let got = stomp.told();
    assert_eq!((got.get("subscription"), got.get("correlation-id")), ("/temp-queue/me", "7"));
    assert_eq!(got.body, b"answer");
    // And the other way round: a STOMP worker answers to where it is told.
    let mut worker = Stomp::connect(broker.stomp);
    worker.done("SUBSCRIBE", &[("id", "w"), ("destination", "/queue/work")], b"");
    let declare = QueueDeclareArguments::new("").exclusive(true).finish();
    let name = soon(client.channel.queue_declare(declare)).await.unwrap().unwrap().0;
    let consume = BasicConsumeArguments::new(&name, "").auto_ack(true).finish();
    let (_, mut heard) = soon(client.channel.basic_consume_rx(consume)).await.unwrap();
    let question = BasicProperties::default().with_reply_to(&name).finish();
    client.publish_as(BasicPublishArguments::new("", "work"), question, b"question").await;
    let request = worker.told();
    let reply_to = request.get("reply-to").to_owned();
    assert_eq!(reply_to, format!("/reply-queue/{name}"));
    worker.raw(&frame("SEND", &[("destination", &reply_to)], b"answer"));
    assert_eq!(next(&mut heard).await.2, b"answer");
}

/// A connection that speaks by ActiveMQ's rules.
fn active(broker: &Broker, client: &str) -> Stomp {
    let mut stomp = Stomp::open(broker.stomp);
    let login = [("login", "guest"), ("passcode", "guest"), ("client-id", client)];
    let hello = [&login[..], &[("accept-version", "1.2"), ("host", "localhost")]].concat();
    stomp.say("CONNECT", &hello, b"");
    assert_eq!(stomp.told().get("session"), client);
    stomp
}

#[test]
fn by_the_rules_of_activemq() {
    let broker = Broker::start(Options::flags(&[]).env("LOCKGATE_STOMP_DIALECT", "activemq"));
    let mut one = active(&broker, "one");
    // A virtual topic fans out to the queues of its consumers, who take turns.
    for name in ["A", "B"] {
        let queue = format!("/queue/Consumer.{name}.VirtualTopic.orders");
        one.done("SUBSCRIBE", &[("id", name), ("destination", &queue)], b"");
    }
    one.say("SEND", &[("destination", "/topic/VirtualTopic.orders")], b"order");
    let mut heard: Vec<String> = (0..2).map(|_| one.told().get("subscription").into()).collect();
    heard.sort();
    assert_eq!(heard, ["A", "B"]);
    // A selector chooses among what a topic brings; a subscription by name outlives kill -9.
    let wish = [
        ("id", "s"),
        ("destination", "/topic/stock.>"),
        ("selector", "kind = 'rise' AND NOT closed = 'yes'"),
        ("activemq.subscriptionName", "rises"),
        ("ack", "client"),
    ];
    one.done("SUBSCRIBE", &wish, b"");
    drop(one);
    let mut two = active(&broker, "two");
    for (kind, closed, body) in [("fall", "no", "1"), ("rise", "no", "2"), ("rise", "yes", "3")] {
        let headers = [
            ("destination", "/topic/stock.uk"),
            ("persistent", "true"),
            ("kind", kind),
            ("closed", closed),
        ];
        two.done("SEND", &headers, body.as_bytes());
    }
    broker.kill();
    let broker = broker.again();
    let mut one = active(&broker, "one");
    one.say("SUBSCRIBE", &wish, b"");
    let got = one.told();
    assert_eq!((&*got.body, got.get("destination")), (&b"2"[..], "/topic/stock.uk"));
    // What is refused goes to the dead letters at once.
    one.done("NACK", &[("id", got.get("ack"))], b"");
    one.say("SUBSCRIBE", &[("id", "dead"), ("destination", "/queue/ActiveMQ.DLQ")], b"");
    assert_eq!(one.told().body, b"2");
    // A temporary queue, and several destinations in one.
    one.done("SUBSCRIBE", &[("id", "t"), ("destination", "/temp-queue/mine")], b"");
    let mut two = active(&broker, "two");
    two.done("SUBSCRIBE", &[("id", "w"), ("destination", "/queue/ask")], b"");
    let ask = [("destination", "/queue/ask,/queue/copy"), ("reply-to", "/temp-queue/mine")];
    one.done("SEND", &ask, b"question");
    let question = two.told();
    assert_eq!(question.get("content-length"), "8");
    two.say("SEND", &[("destination", question.get("reply-to"))], b"answer");
    let answer = one.told();
    assert_eq!((answer.get("subscription"), &*answer.body), ("t", &b"answer"[..]));
}

/// A device asks and STOMP answers; STOMP asks and a device answers.
// The socket is waited for without yielding, so the other client needs a thread of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_and_answers_between_stomp_and_mqtt() {
    let broker = Broker::start(Options::default());
    let mut device = Five::new(&broker, "device").await;
    device.subscribe("answers/device", QoS::AtLeastOnce).await;
    device.subscribe("ask/device", QoS::AtLeastOnce).await;
    let mut stomp = Stomp::connect(broker.stomp);
    stomp.done("SUBSCRIBE", &[("id", "1"), ("destination", "/topic/ask.stomp")], b"");
    let said = PublishProperties {
        content_type: Some("text/plain".into()),
        correlation_data: Some("7".into()),
        response_topic: Some("answers/device".into()),
        user_properties: vec![("line".into(), "a:b".into())],
        ..PublishProperties::default()
    };
    device.publish("ask/stomp", QoS::AtLeastOnce, b"question", said).await;
    let question = stomp.told();
    assert_eq!(
        (question.get("destination"), &*question.body),
        ("/topic/ask.stomp", &b"question"[..])
    );
    assert_eq!(
        (question.get("reply-to"), question.get("correlation-id")),
        ("/topic/answers.device", "7")
    );
    assert_eq!((question.get("content-type"), question.get("line")), ("text/plain", "a\\cb"));
    assert_eq!(question.get("persistent"), "true");
    let answer = [
        ("destination", question.get("reply-to")),
        ("correlation-id", question.get("correlation-id")),
        ("persistent", "true"),
        ("place", "here"),
    ];
    stomp.done("SEND", &answer, b"\0answer");
    let got = device.message().await;
    assert_eq!((&*got.topic, &*got.payload), (&b"answers/device"[..], &b"\0answer"[..]));
    assert_eq!(got.qos, QoS::AtLeastOnce);
    let p = got.properties.expect("properties");
    assert_eq!(p.correlation_data.as_deref(), Some(&b"7"[..]));
    assert!(p.user_properties.contains(&("place".into(), "here".into())), "{p:?}");
    // And the other way round.
    stomp.done("SUBSCRIBE", &[("id", "2"), ("destination", "/topic/answers.stomp")], b"");
    let ask = [
        ("destination", "/topic/ask.device"),
        ("reply-to", "/topic/answers.stomp"),
        ("correlation-id", "8"),
        ("expiration", "60000"),
    ];
    stomp.done("SEND", &ask, b"question");
    let p = device.message().await.properties.expect("properties");
    assert_eq!(p.response_topic.as_deref(), Some("answers/stomp"));
    assert!(p.message_expiry_interval.is_some_and(|left| (50..=60).contains(&left)), "{p:?}");
    let said = PublishProperties { correlation_data: p.correlation_data, ..Default::default() };
    device.publish("answers/stomp", QoS::AtMostOnce, b"answer", said).await;
    let got = stomp.told();
    assert_eq!((got.get("subscription"), got.get("correlation-id")), ("2", "8"));
    assert_eq!((&*got.body, got.get("persistent")), (&b"answer"[..], ""));
}
