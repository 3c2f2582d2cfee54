//! A stock client does its daily work: amqprs over real sockets.

use crate::client::{Client, Told, connect, doomed, next, soon};
use amqprs::channel::{
    BasicAckArguments, BasicConsumeArguments, BasicGetArguments, BasicNackArguments,
    BasicPublishArguments, BasicQosArguments, Channel, ConsumerMessage, ExchangeDeclareArguments,
    QueueBindArguments, QueueDeclareArguments, QueueDeleteArguments,
};
use amqprs::{BasicProperties, FieldTable};
use lockgate_tests::{Broker, Options};
use tokio::sync::mpsc::UnboundedReceiver;

async fn declare(channel: &Channel, queue: &str) {
    let arguments = QueueDeclareArguments::durable_client_named(queue);
    soon(channel.queue_declare(arguments)).await.unwrap();
}

/// How many wait in a queue.
async fn waiting(channel: &Channel, queue: &str) -> u32 {
    let arguments = QueueDeclareArguments::new(queue).passive(true).finish();
    soon(channel.queue_declare(arguments)).await.unwrap().unwrap().1
}

async fn consume(channel: &Channel, queue: &str) -> UnboundedReceiver<ConsumerMessage> {
    let arguments = BasicConsumeArguments::new(queue, "");
    soon(channel.basic_consume_rx(arguments)).await.unwrap().1
}

async fn ack(channel: &Channel, tag: u64, multiple: bool) {
    channel.basic_ack(BasicAckArguments::new(tag, multiple)).await.unwrap();
}

#[tokio::test]
async fn declared_published_confirmed_consumed_acknowledged() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    declare(&client.channel, "work").await;
    client.confirms().await;
    for n in 0..500u32 {
        client.publish("work", &n.to_be_bytes()).await;
    }
    client.confirmed(500).await;
    assert_eq!(waiting(&client.channel, "work").await, 500);
    let mut deliveries = consume(&client.channel, "work").await;
    for n in 0..500u32 {
        let (tag, redelivered, content) = next(&mut deliveries).await;
        assert_eq!((redelivered, content), (false, n.to_be_bytes().to_vec()));
        ack(&client.channel, tag, false).await;
    }
    // What is acknowledged does not come again, though its owner goes.
    client.channel.close().await.unwrap();
    client.connection.close().await.unwrap();
    let client = Client::new(&broker).await;
    assert_eq!(waiting(&client.channel, "work").await, 0);
}

#[tokio::test]
async fn what_no_queue_takes_is_returned_before_it_is_confirmed() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    client.confirms().await;
    let nowhere = BasicPublishArguments::new("", "nowhere").mandatory(true).finish();
    client.publish_as(nowhere, BasicProperties::default(), b"lost?").await;
    let returned = Told::Returned { code: 312, key: "nowhere".into(), content: b"lost?".to_vec() };
    assert_eq!(client.told().await, returned);
    assert_eq!(client.told().await, Told::Ack { tag: 1, multiple: false });
}

#[tokio::test]
async fn bodies_of_every_size_come_back_as_they_went() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    declare(&client.channel, "sizes").await;
    client.confirms().await;
    // Around the copying limit, the frame size and the read buffer.
    let sizes = [0, 1, 4_095, 4_096, 4_097, 65_536, 131_064, 131_065, 300_000, 8 << 20];
    let body = |n: usize| (0..n).map(|i| (i * 31 + n) as u8).collect::<Vec<u8>>();
    for size in sizes {
        client.publish("sizes", &body(size)).await;
    }
    client.confirmed(sizes.len() as u64).await;
    let mut deliveries = consume(&client.channel, "sizes").await;
    for size in sizes {
        let (tag, _, content) = next(&mut deliveries).await;
        assert!(content == body(size), "{size} bytes came back as {}", content.len());
        ack(&client.channel, tag, false).await;
    }
}

#[tokio::test]
async fn what_is_returned_goes_to_its_place_and_is_marked() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    declare(&client.channel, "back").await;
    client.confirms().await;
    for n in 0..5u8 {
        client.publish("back", &[n]).await;
    }
    client.confirmed(5).await;
    client.channel.basic_qos(BasicQosArguments::new(0, 3, false)).await.unwrap();
    let mut deliveries = consume(&client.channel, "back").await;
    let mut tags = Vec::new();
    for n in 0..3u8 {
        let (tag, redelivered, content) = next(&mut deliveries).await;
        assert_eq!((redelivered, content), (false, vec![n]));
        tags.push(tag);
    }
    let back = BasicNackArguments::new(tags[2], true, true);
    client.channel.basic_nack(back).await.unwrap();
    for n in 0..5u8 {
        let (tag, redelivered, content) = next(&mut deliveries).await;
        assert_eq!((redelivered, content), (n < 3, vec![n]));
        ack(&client.channel, tag, false).await;
    }
}

#[tokio::test]
async fn what_a_dead_connection_held_goes_to_the_next_consumer() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    declare(&client.channel, "held").await;
    client.confirms().await;
    client.publish("held", b"x").await;
    client.confirmed(1).await;
    let mut first = consume(&client.channel, "held").await;
    assert!(!next(&mut first).await.1);
    let other = Client::new(&broker).await;
    let mut second = consume(&other.channel, "held").await;
    client.connection.close().await.unwrap();
    let (_, redelivered, content) = next(&mut second).await;
    assert_eq!((redelivered, content), (true, b"x".to_vec()));
}

#[tokio::test]
async fn a_transaction_takes_effect_at_its_commit_and_never_at_its_rollback() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let watch = Client::new(&broker).await;
    declare(&client.channel, "tx").await;
    soon(client.channel.tx_select()).await.unwrap();
    client.publish("tx", b"never").await;
    soon(client.channel.tx_rollback()).await.unwrap();
    client.publish("tx", b"kept").await;
    soon(client.channel.tx_commit()).await.unwrap();
    assert_eq!(waiting(&watch.channel, "tx").await, 1);
    let got = soon(watch.channel.basic_get(BasicGetArguments::new("tx"))).await.unwrap();
    assert_eq!(got.unwrap().2, b"kept");
}

#[tokio::test]
async fn a_topic_exchange_routes_by_pattern_and_a_headers_exchange_by_header() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let channel = &client.channel;
    for (exchange, kind) in [("news", "topic"), ("tagged", "headers")] {
        let arguments = ExchangeDeclareArguments::new(exchange, kind);
        soon(channel.exchange_declare(arguments)).await.unwrap();
    }
    declare(channel, "sport").await;
    let sport = QueueBindArguments::new("sport", "news", "*.sport.#");
    soon(channel.queue_bind(sport)).await.unwrap();
    let mut wanted = FieldTable::new();
    wanted.insert("lang".try_into().unwrap(), "de".into());
    wanted.insert("x-match".try_into().unwrap(), "all".into());
    let tagged = QueueBindArguments::new("sport", "tagged", "").arguments(wanted).finish();
    soon(channel.queue_bind(tagged)).await.unwrap();
    for key in ["eu.sport", "eu.sport.ski.jump", "sport", "eu.politics"] {
        let arguments = BasicPublishArguments::new("news", key);
        client.publish_as(arguments, BasicProperties::default(), key.as_bytes()).await;
    }
    for lang in ["de", "fr"] {
        let mut headers = FieldTable::new();
        headers.insert("lang".try_into().unwrap(), lang.into());
        let properties = BasicProperties::default().with_headers(headers).finish();
        let arguments = BasicPublishArguments::new("tagged", "any");
        client.publish_as(arguments, properties, lang.as_bytes()).await;
    }
    let mut deliveries = consume(channel, "sport").await;
    for content in ["eu.sport", "eu.sport.ski.jump", "de"] {
        assert_eq!(next(&mut deliveries).await.2, content.as_bytes());
    }
    assert_eq!(waiting(channel, "sport").await, 0);
}

#[tokio::test]
async fn a_soft_error_closes_its_channel_and_nothing_else() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    let missing = QueueDeclareArguments::new("missing").passive(true).finish();
    doomed(&client.channel, missing);
    let Told::Closed { code, text } = client.told().await else {
        panic!("not closed");
    };
    assert_eq!((code, text.as_str()), (404, "NOT_FOUND - no queue 'missing' in vhost '/'"));
    let next = Client::on(client.connection.clone()).await;
    declare(&next.channel, "there").await;
}

#[tokio::test]
async fn an_exclusive_queue_is_locked_to_others_and_goes_with_its_owner() {
    let broker = Broker::start(Options::default());
    let owner = Client::new(&broker).await;
    let mine = QueueDeclareArguments::new("mine").exclusive(true).finish();
    soon(owner.channel.queue_declare(mine)).await.unwrap();
    let mut other = Client::new(&broker).await;
    let passive = QueueDeclareArguments::new("mine").passive(true).finish();
    doomed(&other.channel, passive.clone());
    assert!(matches!(other.told().await, Told::Closed { code: 405, .. }));
    owner.connection.close().await.unwrap();
    let mut other = Client::on(other.connection.clone()).await;
    doomed(&other.channel, passive);
    assert!(matches!(other.told().await, Told::Closed { code: 404, .. }));
}

#[tokio::test]
async fn a_consumer_is_told_when_its_queue_is_deleted() {
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    declare(&client.channel, "doomed").await;
    let arguments = BasicConsumeArguments::new("doomed", "me");
    let (tag, _deliveries) = soon(client.channel.basic_consume_rx(arguments)).await.unwrap();
    let other = Client::new(&broker).await;
    soon(other.channel.queue_delete(QueueDeleteArguments::new("doomed"))).await.unwrap();
    assert_eq!(client.told().await, Told::Cancelled(tag));
}

#[tokio::test]
async fn two_consumers_take_turns() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    declare(&client.channel, "turns").await;
    let mut one = consume(&client.channel, "turns").await;
    let mut two = consume(&client.channel, "turns").await;
    for n in 0..100u8 {
        client.publish("turns", &[n]).await;
    }
    for _ in 0..50 {
        next(&mut one).await;
        next(&mut two).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_so_is_an_empty_one() {
    let broker = Broker::start(Options::default());
    // At the same time: each is kept waiting, to slow guessing.
    let (wrong, empty, unknown) = tokio::join!(
        connect(&broker, "guest", "wrong"),
        connect(&broker, "guest", ""),
        connect(&broker, "nobody", "guest"),
    );
    assert!(wrong.is_err() && empty.is_err() && unknown.is_err());
    Client::new(&broker).await;
}

#[tokio::test]
async fn what_was_declared_durable_is_there_after_a_restart() {
    let broker = Broker::start(Options::default());
    let client = Client::new(&broker).await;
    let channel = &client.channel;
    let durable = ExchangeDeclareArguments::new("x", "fanout").durable(true).finish();
    soon(channel.exchange_declare(durable)).await.unwrap();
    soon(channel.exchange_declare(ExchangeDeclareArguments::new("gone", "fanout"))).await.unwrap();
    declare(channel, "kept").await;
    soon(channel.queue_declare(QueueDeclareArguments::new("gone"))).await.unwrap();
    soon(channel.queue_bind(QueueBindArguments::new("kept", "x", ""))).await.unwrap();
    broker.kill();
    let broker = broker.again();
    let mut client = Client::new(&broker).await;
    client.confirms().await;
    let arguments = BasicPublishArguments::new("x", "");
    client.publish_as(arguments, BasicProperties::default(), b"routed").await;
    client.confirmed(1).await;
    assert_eq!(waiting(&client.channel, "kept").await, 1);
    let gone = QueueDeclareArguments::new("gone").passive(true).finish();
    doomed(&client.channel, gone);
    assert!(matches!(client.told().await, Told::Closed { code: 404, .. }));
    let mut client = Client::on(client.connection.clone()).await;
    let gone = ExchangeDeclareArguments::new("gone", "fanout").passive(true).finish();
    let _ = soon(client.channel.exchange_declare(gone)).await;
    assert!(matches!(client.told().await, Told::Closed { code: 404, .. }));
}
