//! lapin against the table of misuse: exact codes and texts, as its protocol errors carry them.

use std::pin::pin;

use futures_util::StreamExt;
use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, Error, ErrorKind, Event,
    ExchangeKind,
};

use crate::suite::{DEADLINE, Outcome, attempt, unique, url, wanted};

/// Those that go by one connection and one channel; "login" ones stand apart.
const KINDS: &[&str] = &[
    "passive-queue",
    "passive-exchange",
    "consume-missing",
    "get-missing",
    "purge-missing",
    "bind-missing-queue",
    "bind-missing-exchange",
    "exchange-bind-missing",
    "publish-missing",
    "no-last-queue",
    "reserved-queue",
    "reserved-exchange",
    "delete-reserved",
    "bind-default",
    "publish-internal",
    "exclusive-consumer",
    "exclusive-queue",
    "inequivalent-exclusive",
    "inequivalent-durable",
    "inequivalent-auto-delete",
    "inequivalent-type",
    "queue-in-use",
    "queue-not-empty",
    "exchange-in-use",
    "unknown-tag",
    "commit-without-select",
    "tx-on-confirm",
    "confirm-on-tx",
    "unknown-type",
    "vhost-missing",
    "bad-password",
    "immediate",
    "recover-false",
];

pub async fn run() {
    for kind in KINDS {
        attempt(&format!("misuse-{kind}"), provoke(kind)).await;
    }
}

async fn provoke(kind: &str) -> Outcome {
    let name = match kind {
        "delete-reserved" => "amq.direct".to_owned(),
        "reserved-queue" | "reserved-exchange" => format!("amq.{}", unique("m")),
        _ => unique("m"),
    };
    let connection = Connection::connect(&url(), ConnectionProperties::default()).await?;
    let mut events = pin!(connection.events_listener());
    let channel = connection.create_channel().await?;
    let said = match go(kind, &channel, &name).await {
        Ok(()) => return Err("the broker did not mind".into()),
        Err(error) => error,
    };
    // A refusal that comes before the next call fails that call in lapin itself; the reason is an event.
    let said = match said.kind() {
        ErrorKind::ProtocolError(_) => said,
        _ => loop {
            match tokio::time::timeout(DEADLINE, events.next()).await? {
                Some(Event::Error(reason)) => break reason,
                Some(_) => {}
                None => return Err(format!("not the broker's words: {said:?}").into()),
            }
        },
    };
    let ErrorKind::ProtocolError(error) = said.kind() else {
        return Err(format!("not the broker's words: {said:?}").into());
    };
    let got = (error.get_id(), error.get_message().to_string());
    let allowed = wanted(kind, &name)?;
    if !allowed.contains(&got) {
        return Err(format!("got {got:?}, wanted one of {allowed:?}").into());
    }
    let _ = connection.close(200, "done".into()).await;
    let cleaning = Connection::connect(&url(), ConnectionProperties::default()).await?;
    let cleaner = cleaning.create_channel().await?;
    if !name.starts_with("amq.") {
        cleaner.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
        cleaner.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await?;
    }
    cleaning.close(200, "done".into()).await?;
    Ok(())
}

async fn go(kind: &str, channel: &Channel, name: &str) -> Result<(), Error> {
    let none = FieldTable::default;
    let key = || "k".into();
    match kind {
        "passive-queue" => {
            queue(channel, name, QueueDeclareOptions { passive: true, ..Default::default() }).await
        }
        "passive-exchange" => {
            let passive = ExchangeDeclareOptions { passive: true, ..Default::default() };
            channel.exchange_declare(name.into(), ExchangeKind::Direct, passive, none()).await
        }
        "consume-missing" => consume(channel, name, false).await.map(drop),
        "get-missing" => channel.basic_get(name.into(), BasicGetOptions::default()).await.map(drop),
        "purge-missing" => {
            channel.queue_purge(name.into(), QueuePurgeOptions::default()).await.map(drop)
        }
        "no-last-queue" => {
            channel.queue_purge("".into(), QueuePurgeOptions::default()).await.map(drop)
        }
        "bind-missing-queue" => bind(channel, name, "amq.direct").await,
        "bind-missing-exchange" => bind(channel, &own(channel).await?, name).await,
        "bind-default" => bind(channel, &own(channel).await?, "").await,
        "exchange-bind-missing" => {
            channel
                .exchange_bind(
                    "amq.direct".into(),
                    name.into(),
                    key(),
                    ExchangeBindOptions::default(),
                    none(),
                )
                .await
        }
        "publish-missing" => publish(channel, name, "k", false).await,
        "publish-internal" => {
            exchange(channel, name, ExchangeKind::Direct, true).await?;
            publish(channel, name, "k", false).await
        }
        "immediate" => publish(channel, "", name, true).await,
        "reserved-queue" => queue(channel, name, QueueDeclareOptions::default()).await,
        "reserved-exchange" => exchange(channel, name, ExchangeKind::Direct, false).await,
        "delete-reserved" => {
            channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await
        }
        "exclusive-consumer" => {
            queue(channel, name, QueueDeclareOptions::default()).await?;
            let _held = consume(channel, name, true).await?;
            consume(channel, name, false).await.map(drop)
        }
        "exclusive-queue" => {
            let other = Connection::connect(&url(), ConnectionProperties::default()).await?;
            let holder = other.create_channel().await?;
            queue(&holder, name, QueueDeclareOptions { exclusive: true, ..Default::default() })
                .await?;
            let refused =
                channel.basic_get(name.into(), BasicGetOptions::default()).await.map(drop);
            other.close(200, "done".into()).await?;
            refused
        }
        "inequivalent-exclusive" => {
            twice(channel, name, QueueDeclareOptions { exclusive: true, ..Default::default() })
                .await
        }
        "inequivalent-durable" => {
            twice(channel, name, QueueDeclareOptions { durable: true, ..Default::default() }).await
        }
        "inequivalent-auto-delete" => {
            twice(channel, name, QueueDeclareOptions { auto_delete: true, ..Default::default() })
                .await
        }
        "inequivalent-type" => {
            exchange(channel, name, ExchangeKind::Direct, false).await?;
            exchange(channel, name, ExchangeKind::Fanout, false).await
        }
        "unknown-type" => {
            exchange(channel, name, ExchangeKind::Custom(name.to_owned()), false).await
        }
        "queue-in-use" => {
            queue(channel, name, QueueDeclareOptions::default()).await?;
            let _held = consume(channel, name, false).await?;
            channel
                .queue_delete(
                    name.into(),
                    QueueDeleteOptions { if_unused: true, ..Default::default() },
                )
                .await
                .map(drop)
        }
        "queue-not-empty" => {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            queue(channel, name, QueueDeclareOptions::default()).await?;
            publish(channel, "", name, false).await?;
            channel
                .queue_delete(
                    name.into(),
                    QueueDeleteOptions { if_empty: true, ..Default::default() },
                )
                .await
                .map(drop)
        }
        "exchange-in-use" => {
            exchange(channel, name, ExchangeKind::Direct, false).await?;
            bind(channel, &own(channel).await?, name).await?;
            channel
                .exchange_delete(
                    name.into(),
                    ExchangeDeleteOptions { if_unused: true, ..Default::default() },
                )
                .await
        }
        "unknown-tag" => {
            channel.basic_ack(99, BasicAckOptions::default()).await?;
            settled(channel).await
        }
        "commit-without-select" => channel.tx_commit().await,
        "tx-on-confirm" => {
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channel.tx_select().await
        }
        "confirm-on-tx" => {
            channel.tx_select().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await
        }
        "vhost-missing" => {
            let elsewhere = url().replace("%2f", name);
            Connection::connect(&elsewhere, ConnectionProperties::default()).await.map(drop)
        }
        "bad-password" => {
            let stranger = url().replace("guest:guest", "guest:wrong");
            Connection::connect(&stranger, ConnectionProperties::default()).await.map(drop)
        }
        "recover-false" => channel.basic_recover(BasicRecoverOptions { requeue: false }).await,
        other => unreachable!("{other} is not in KINDS"),
    }
}

async fn queue(channel: &Channel, name: &str, options: QueueDeclareOptions) -> Result<(), Error> {
    channel.queue_declare(name.into(), options, FieldTable::default()).await.map(drop)
}

async fn twice(channel: &Channel, name: &str, second: QueueDeclareOptions) -> Result<(), Error> {
    queue(channel, name, QueueDeclareOptions::default()).await?;
    queue(channel, name, second).await
}

async fn own(channel: &Channel) -> Result<String, Error> {
    let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    Ok(queue.name().to_string())
}

async fn exchange(
    channel: &Channel,
    name: &str,
    kind: ExchangeKind,
    internal: bool,
) -> Result<(), Error> {
    let options = ExchangeDeclareOptions { internal, ..Default::default() };
    channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
}

async fn bind(channel: &Channel, queue: &str, exchange: &str) -> Result<(), Error> {
    let options = QueueBindOptions::default();
    channel
        .queue_bind(queue.into(), exchange.into(), "k".into(), options, FieldTable::default())
        .await
}

/// The consumer is to be held: lapin cancels one that is dropped.
async fn consume(channel: &Channel, queue: &str, exclusive: bool) -> Result<Consumer, Error> {
    let options = BasicConsumeOptions { exclusive, ..Default::default() };
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    immediate: bool,
) -> Result<(), Error> {
    let options = BasicPublishOptions { immediate, ..Default::default() };
    let confirm = channel
        .basic_publish(exchange.into(), key.into(), options, b"m", BasicProperties::default())
        .await?;
    confirm.await?;
    settled(channel).await
}

/// Waits for what the broker thinks of all that was sent before.
async fn settled(channel: &Channel) -> Result<(), Error> {
    channel.basic_qos(0, BasicQosOptions::default()).await
}
