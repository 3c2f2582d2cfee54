//! lapin (and with the argument `mqtt`, rumqttc): declarations, confirms, deliveries, settlement, transactions, tables, refusals, a killed broker.

mod misuse;
mod mqtt;
mod suite;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use lapin::message::Delivery;
use lapin::options::*;
use lapin::types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind,
    ExchangeKind,
};

use suite::{DEADLINE, Outcome, attempt, expect, finish, restart_broker, unique, url, wait_until};

fn short(text: &str) -> ShortString {
    text.into()
}

async fn connect() -> Outcome<Connection> {
    Ok(Connection::connect(&url(), ConnectionProperties::default()).await?)
}

async fn confirming(connection: &Connection) -> Outcome<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn declare(channel: &Channel, options: QueueDeclareOptions) -> Outcome<String> {
    let name = unique("q");
    channel.queue_declare(short(&name), options, FieldTable::default()).await?;
    Ok(name)
}

async fn send(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> Outcome {
    let options = BasicPublishOptions::default();
    let confirm = channel
        .basic_publish(short(exchange), short(key), options, body, properties)
        .await?
        .await?;
    expect("confirm", confirm, Confirmation::Ack(None))
}

async fn filled(connection: &Connection, count: u32) -> Outcome<(Channel, String)> {
    let channel = confirming(connection).await?;
    let queue = declare(&channel, QueueDeclareOptions::default()).await?;
    for number in 1..=count {
        send(&channel, "", &queue, number.to_string().as_bytes(), BasicProperties::default())
            .await?;
    }
    Ok((channel, queue))
}

async fn get(channel: &Channel, queue: &str) -> Outcome<Option<Delivery>> {
    Ok(channel.basic_get(short(queue), BasicGetOptions::default()).await?.map(|got| got.delivery))
}

/// Everything ready; a star marks what is flagged redelivered.
async fn drain(channel: &Channel, queue: &str) -> Outcome<Vec<String>> {
    let mut all = Vec::new();
    while let Some(got) = channel.basic_get(short(queue), BasicGetOptions { no_ack: true }).await? {
        let star = if got.delivery.redelivered { "*" } else { "" };
        all.push(format!("{}{star}", String::from_utf8_lossy(&got.delivery.data)));
    }
    Ok(all)
}

async fn ready(channel: &Channel, queue: &str) -> Outcome<u32> {
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    Ok(channel.queue_declare(short(queue), passive, FieldTable::default()).await?.message_count())
}

async fn remove(channel: &Channel, queue: &str) -> Outcome<u32> {
    Ok(channel.queue_delete(short(queue), QueueDeleteOptions::default()).await?)
}

async fn consume(channel: &Channel, queue: &str) -> Outcome<Consumer> {
    let options = BasicConsumeOptions::default();
    Ok(channel.basic_consume(short(queue), short(""), options, FieldTable::default()).await?)
}

async fn next(consumer: &mut Consumer) -> Outcome<Delivery> {
    match tokio::time::timeout(DEADLINE, consumer.next()).await? {
        Some(delivery) => Ok(delivery?),
        None => Err("the deliveries ended".into()),
    }
}

async fn declarations() -> Outcome {
    let connection = connect().await?;
    let channel = connection.create_channel().await?;
    for kind in
        [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic, ExchangeKind::Headers]
    {
        for durable in [true, false] {
            let name = unique("x");
            let options = ExchangeDeclareOptions { durable, ..Default::default() };
            for passive in [false, false, true] {
                let options = ExchangeDeclareOptions { passive, ..options };
                channel
                    .exchange_declare(short(&name), kind.clone(), options, FieldTable::default())
                    .await?;
            }
            channel
                .exchange_delete(
                    short(&name),
                    ExchangeDeleteOptions { if_unused: true, ..Default::default() },
                )
                .await?;
        }
    }
    let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let named = channel.queue_declare(short(""), exclusive, FieldTable::default()).await?;
    expect("server-made name", named.name().as_str().starts_with("amq.gen-"), true)?;
    let temporary =
        declare(&channel, QueueDeclareOptions { auto_delete: true, ..Default::default() }).await?;
    let consumer = consume(&channel, &temporary).await?;
    channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
    wait_until("the auto-delete queue gone", || async {
        let probe = connection.create_channel().await?;
        Ok(ready(&probe, &temporary).await.is_err())
    })
    .await
}

async fn reach(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
    headers: FieldTable,
) -> Outcome<u32> {
    send(channel, exchange, key, b"m", BasicProperties::default().with_headers(headers)).await?;
    Ok(channel.queue_purge(short(queue), QueuePurgeOptions::default()).await?)
}

async fn routing() -> Outcome {
    let connection = connect().await?;
    let (channel, queue) = filled(&connection, 0).await?;
    let none = FieldTable::default;
    let (topic, fanout, headers) = (unique("x"), unique("x"), unique("x"));
    for (name, kind) in [
        (&topic, ExchangeKind::Topic),
        (&fanout, ExchangeKind::Fanout),
        (&headers, ExchangeKind::Headers),
    ] {
        channel
            .exchange_declare(short(name), kind, ExchangeDeclareOptions::default(), none())
            .await?;
    }
    channel
        .queue_bind(short(&queue), short(&topic), short("a.*"), QueueBindOptions::default(), none())
        .await?;
    expect("a.b", reach(&channel, &queue, &topic, "a.b", none()).await?, 1)?;
    expect("a", reach(&channel, &queue, &topic, "a", none()).await?, 0)?;
    channel.queue_unbind(short(&queue), short(&topic), short("a.*"), none()).await?;
    channel
        .queue_bind(short(&queue), short(&fanout), short(""), QueueBindOptions::default(), none())
        .await?;
    channel
        .exchange_bind(
            short(&fanout),
            short(&topic),
            short("#"),
            ExchangeBindOptions::default(),
            none(),
        )
        .await?;
    expect("exchange to exchange", reach(&channel, &queue, &topic, "any", none()).await?, 1)?;
    channel
        .exchange_unbind(
            short(&fanout),
            short(&topic),
            short("#"),
            ExchangeUnbindOptions::default(),
            none(),
        )
        .await?;
    expect("unbound", reach(&channel, &queue, &topic, "any", none()).await?, 0)?;
    let mut all = none();
    all.insert(short("a"), AMQPValue::LongInt(1));
    all.insert(short("b"), AMQPValue::LongString("two".into()));
    let sent = all.clone();
    all.insert(short("x-match"), AMQPValue::LongString("all".into()));
    channel
        .queue_bind(short(&queue), short(&headers), short(""), QueueBindOptions::default(), all)
        .await?;
    expect("all headers", reach(&channel, &queue, &headers, "", sent).await?, 1)?;
    expect("no headers", reach(&channel, &queue, &headers, "", none()).await?, 0)?;
    for exchange in [topic, fanout, headers] {
        channel.exchange_delete(short(&exchange), ExchangeDeleteOptions::default()).await?;
    }
    remove(&channel, &queue).await.map(drop)
}

async fn confirms_in_flight() -> Outcome {
    const COUNT: u32 = 5000;
    let connection = connect().await?;
    let channel = confirming(&connection).await?;
    let queue =
        declare(&channel, QueueDeclareOptions { durable: true, ..Default::default() }).await?;
    let mut confirms = Vec::new();
    for number in 0..COUNT {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let body = number.to_string();
        let options = BasicPublishOptions::default();
        confirms.push(
            channel
                .basic_publish(short(""), short(&queue), options, body.as_bytes(), properties)
                .await?,
        );
    }
    for confirm in try_join_all(confirms).await? {
        expect("confirm", confirm, Confirmation::Ack(None))?;
    }
    expect("in the queue", remove(&channel, &queue).await?, COUNT)
}

async fn mandatory_return() -> Outcome {
    let connection = connect().await?;
    let channel = confirming(&connection).await?;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_message_id(short("7"));
    let confirm = channel
        .basic_publish(short(""), short(&unique("nowhere")), options, b"back", properties)
        .await?
        .await?;
    // lapin joins them only when the return came before the ack.
    let Confirmation::Ack(Some(returned)) = confirm else {
        return Err(format!("no return before the ack: {confirm:?}").into());
    };
    expect("code", returned.reply_code, 312)?;
    expect("text", returned.reply_text.as_str(), "NO_ROUTE")?;
    expect("body", returned.delivery.data.as_slice(), b"back")?;
    expect("message id", returned.delivery.properties.message_id().clone(), Some(short("7")))
}

async fn prefetch() -> Outcome {
    let connection = connect().await?;
    let (watcher, queue) = filled(&connection, 20).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(5, BasicQosOptions::default()).await?;
    let mut consumer = consume(&channel, &queue).await?;
    let mut last = next(&mut consumer).await?;
    for _ in 1..5 {
        last = next(&mut consumer).await?;
    }
    expect("left behind", ready(&watcher, &queue).await?, 15)?;
    last.ack(BasicAckOptions { multiple: true }).await?;
    for number in 6..=10 {
        let delivery = next(&mut consumer).await?;
        expect("order", String::from_utf8_lossy(&delivery.data).into_owned(), number.to_string())?;
    }
    expect("left behind", ready(&watcher, &queue).await?, 10)?;
    channel.close(200, short("done")).await?;
    wait_until("all back", || async { Ok(ready(&watcher, &queue).await? == 15) }).await?;
    expect(
        "places",
        drain(&watcher, &queue).await?[..6].join(" "),
        "6* 7* 8* 9* 10* 11".to_owned(),
    )?;
    remove(&watcher, &queue).await.map(drop)
}

async fn requeue() -> Outcome {
    let connection = connect().await?;
    let (channel, queue) = filled(&connection, 4).await?;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.extend(get(&channel, &queue).await?);
    }
    held[1].reject(BasicRejectOptions { requeue: true }).await?;
    let again = get(&channel, &queue).await?.ok_or("nothing came back")?;
    expect("again", (again.data.as_slice(), again.redelivered), (b"2".as_slice(), true))?;
    again.nack(BasicNackOptions { requeue: true, multiple: false }).await?;
    held[0].nack(BasicNackOptions { requeue: true, multiple: false }).await?;
    held[2].reject(BasicRejectOptions { requeue: false }).await?;
    expect("places", drain(&channel, &queue).await?.join(" "), "1* 2* 4".to_owned())?;
    send(&channel, "", &queue, b"5", BasicProperties::default()).await?;
    get(&channel, &queue).await?;
    channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
    expect("recovered", drain(&channel, &queue).await?.join(" "), "5*".to_owned())?;
    remove(&channel, &queue).await.map(drop)
}

async fn transactions() -> Outcome {
    let connection = connect().await?;
    let (watcher, queue) = filled(&connection, 1).await?;
    let channel = connection.create_channel().await?;
    channel.tx_select().await?;
    let publish = async |body: &str| -> Outcome {
        let options = BasicPublishOptions::default();
        channel
            .basic_publish(
                short(""),
                short(&queue),
                options,
                body.as_bytes(),
                BasicProperties::default(),
            )
            .await?
            .await?;
        Ok(())
    };
    publish("2").await?;
    channel.tx_rollback().await?;
    expect("rolled back", ready(&watcher, &queue).await?, 1)?;
    let held = get(&channel, &queue).await?.ok_or("nothing there")?;
    held.ack(BasicAckOptions::default()).await?;
    publish("3").await?;
    expect("before the commit", ready(&watcher, &queue).await?, 0)?;
    channel.tx_commit().await?;
    channel.close(200, short("done")).await?;
    expect("committed", drain(&watcher, &queue).await?.join(" "), "3".to_owned())?;
    remove(&watcher, &queue).await.map(drop)
}

fn every_type() -> FieldTable {
    let mut inner = FieldTable::default();
    inner.insert(short("deep"), AMQPValue::LongInt(1));
    let mut array = FieldArray::default();
    array.push(AMQPValue::LongInt(1));
    array.push(AMQPValue::Void);
    array.push(AMQPValue::FieldTable(inner.clone()));
    let mut table = FieldTable::default();
    for (key, value) in [
        ("bool", AMQPValue::Boolean(true)),
        ("i8", AMQPValue::ShortShortInt(-5)),
        ("u8", AMQPValue::ShortShortUInt(200)),
        ("i16", AMQPValue::ShortInt(-300)),
        ("u16", AMQPValue::ShortUInt(60000)),
        ("i32", AMQPValue::LongInt(-70000)),
        ("u32", AMQPValue::LongUInt(4_000_000_000)),
        ("i64", AMQPValue::LongLongInt(-(1 << 40))),
        ("float", AMQPValue::Float(1.5)),
        ("double", AMQPValue::Double(2.25)),
        ("decimal", AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 125 })),
        ("text", AMQPValue::LongString("täxt".into())),
        ("empty", AMQPValue::LongString("".into())),
        ("bytes", AMQPValue::ByteArray(ByteArray::from(vec![0, 255]))),
        ("time", AMQPValue::Timestamp(1_700_000_000)),
        ("void", AMQPValue::Void),
        ("table", AMQPValue::FieldTable(inner)),
        ("array", AMQPValue::FieldArray(array)),
    ] {
        table.insert(short(key), value);
    }
    table
}

async fn header_table() -> Outcome {
    let connection = connect().await?;
    let (channel, queue) = filled(&connection, 0).await?;
    let sent = BasicProperties::default()
        .with_headers(every_type())
        .with_content_type(short("text/plain"))
        .with_content_encoding(short("utf-8"))
        .with_delivery_mode(2)
        .with_priority(7)
        .with_correlation_id(short("c"))
        .with_reply_to(short("r"))
        .with_expiration(short("60000"))
        .with_message_id(short("m"))
        .with_timestamp(1_700_000_000)
        .with_type(short("t"))
        .with_user_id(short("guest"))
        .with_app_id(short("a"))
        .with_cluster_id(short("cluster"));
    for properties in
        [sent, BasicProperties::default(), BasicProperties::default().with_priority(0)]
    {
        send(&channel, "", &queue, b"m", properties.clone()).await?;
        let back = get(&channel, &queue).await?.ok_or("nothing there")?;
        expect("properties", back.properties, properties)?;
    }
    remove(&channel, &queue).await.map(drop)
}

async fn bodies() -> Outcome {
    let connection = connect().await?;
    let (channel, queue) = filled(&connection, 0).await?;
    let large: Vec<u8> = (0..8 << 20).map(|at: u32| (at % 251) as u8).collect();
    for body in [large.as_slice(), b"", b"after"] {
        send(&channel, "", &queue, body, BasicProperties::default()).await?;
    }
    for body in [large.as_slice(), b"", b"after"] {
        let back = get(&channel, &queue).await?.ok_or("nothing there")?;
        expect("the same bytes", back.data == body, true)?;
    }
    remove(&channel, &queue).await.map(drop)
}

async fn cancel_notify() -> Outcome {
    let connection = connect().await?;
    let (watcher, queue) = filled(&connection, 0).await?;
    let channel = connection.create_channel().await?;
    let mut consumer = consume(&channel, &queue).await?;
    remove(&watcher, &queue).await?;
    let end = tokio::time::timeout(DEADLINE, consumer.next()).await?;
    expect("deliveries end", end.is_none(), true)?;
    Ok(channel.basic_qos(1, BasicQosOptions::default()).await?)
}

async fn channel_error_survived() -> Outcome {
    let connection = connect().await?;
    let (steady, queue) = filled(&connection, 5).await?;
    for _ in 0..3 {
        let channel = connection.create_channel().await?;
        expect("refused", ready(&channel, &unique("missing")).await.is_err(), true)?;
    }
    let held = get(&steady, &queue).await?.ok_or("nothing there")?;
    expect("purged", steady.queue_purge(short(&queue), QueuePurgeOptions::default()).await?, 4)?;
    held.nack(BasicNackOptions { requeue: true, multiple: false }).await?;
    let options = QueueDeleteOptions { if_unused: true, ..Default::default() };
    expect("deleted", steady.queue_delete(short(&queue), options).await?, 1)?;
    expect("deleted again", remove(&steady, &queue).await?, 0)
}

async fn heartbeat() -> Outcome {
    let quick = format!("{}?heartbeat=1", url());
    let connection = Connection::connect(&quick, ConnectionProperties::default()).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    declare(
        &connection.create_channel().await?,
        QueueDeclareOptions { exclusive: true, ..Default::default() },
    )
    .await?;
    Ok(())
}

async fn restart() -> Outcome {
    let before = connect().await?;
    let channel = confirming(&before).await?;
    let queue =
        declare(&channel, QueueDeclareOptions { durable: true, ..Default::default() }).await?;
    for number in 0..200 {
        let properties = BasicProperties::default().with_delivery_mode(2);
        send(&channel, "", &queue, number.to_string().as_bytes(), properties).await?;
    }
    restart_broker().await?;
    wait_until("the loss of the connection", || async { Ok(!before.status().connected()) }).await?;
    let after = connect().await?;
    let fresh = after.create_channel().await?;
    let wanted: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    // A broker that was killed may flag all of them: it cannot know what was delivered.
    let got = drain(&fresh, &queue).await?;
    let bodies: Vec<String> =
        got.iter().map(|body| body.trim_end_matches('*').to_owned()).collect();
    expect("messages", bodies, wanted)?;
    remove(&fresh, &queue).await.map(drop)
}

async fn update_secret() -> Outcome {
    let connection = connect().await?;
    connection.update_secret("guest".into(), short("rotation")).await?;
    match connection.create_channel().await?.basic_qos(1, BasicQosOptions::default()).await {
        Err(error) if matches!(error.kind(), ErrorKind::ProtocolError(_)) => Err(error.into()),
        other => Ok(other?),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "mqtt") {
        mqtt::run().await;
        return finish();
    }
    misuse::run().await;
    attempt("declarations", declarations()).await;
    attempt("routing", routing()).await;
    attempt("confirms-in-flight", confirms_in_flight()).await;
    attempt("mandatory-return", mandatory_return()).await;
    attempt("prefetch", prefetch()).await;
    attempt("requeue", requeue()).await;
    attempt("tx", transactions()).await;
    attempt("header-table", header_table()).await;
    attempt("bodies", bodies()).await;
    attempt("cancel-notify", cancel_notify()).await;
    attempt("channel-error-survived", channel_error_survived()).await;
    attempt("update-secret", update_secret()).await;
    attempt("heartbeat", heartbeat()).await;
    attempt("restart", restart()).await;
    finish();
}
