//! amqprs, a stock client, with what the broker tells it put into one channel.

use amqprs::callbacks::{ChannelCallback, DefaultConnectionCallback};
use amqprs::channel::{
    BasicPublishArguments, Channel, ConfirmSelectArguments, ConsumerMessage, QueueDeclareArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, Nack, Return};
use async_trait::async_trait;
use lockgate_tests::{Broker, PATIENCE};
use std::future::Future;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// What the broker told a channel without being asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Ack { tag: u64, multiple: bool },
    Nack { tag: u64, multiple: bool },
    Returned { code: u16, key: String, content: Vec<u8> },
    Cancelled(String),
    Closed { code: u16, text: String },
}

struct Ear(UnboundedSender<Told>);

#[async_trait]
impl ChannelCallback for Ear {
    async fn close(
        &mut self,
        _: &Channel,
        close: CloseChannel,
    ) -> Result<(), amqprs::error::Error> {
        let told = Told::Closed { code: close.reply_code(), text: close.reply_text().clone() };
        let _ = self.0.send(told);
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, cancel: Cancel) -> Result<(), amqprs::error::Error> {
        let _ = self.0.send(Told::Cancelled(cancel.consumer_tag().clone()));
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, _: bool) -> Result<bool, amqprs::error::Error> {
        Ok(true)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        let _ = self.0.send(Told::Ack { tag: ack.delivery_tag(), multiple: ack.mutiple() });
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        let _ = self.0.send(Told::Nack { tag: nack.delivery_tag(), multiple: nack.multiple() });
    }

    async fn publish_return(
        &mut self,
        _: &Channel,
        ret: Return,
        _: BasicProperties,
        content: Vec<u8>,
    ) {
        let _ = self.0.send(Told::Returned {
            code: ret.reply_code(),
            key: ret.routing_key().clone(),
            content,
        });
    }
}

/// A channel, and what is told to it.
pub struct Client {
    pub connection: Connection,
    pub channel: Channel,
    told: UnboundedReceiver<Told>,
    confirmed: u64,
}

/// Waits, but not for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it comes in time")
}

/// Declares a queue where it must be refused. The call itself is not waited for: amqprs
/// notices a closed channel only when its own patience ends, many seconds later.
pub fn doomed(channel: &Channel, arguments: QueueDeclareArguments) {
    let channel = channel.clone();
    tokio::spawn(async move { channel.queue_declare(arguments).await.map(drop) });
}

/// Connects as that user.
pub async fn connect(
    broker: &Broker,
    user: &str,
    password: &str,
) -> Result<Connection, amqprs::error::Error> {
    connect_to(broker, user, password, "/").await
}

/// Connects to a virtual host as that user.
pub async fn connect_to(
    broker: &Broker,
    user: &str,
    password: &str,
    vhost: &str,
) -> Result<Connection, amqprs::error::Error> {
    let host = broker.amqp.ip().to_string();
    let mut arguments = OpenConnectionArguments::new(&host, broker.amqp.port(), user, password);
    arguments.virtual_host(vhost);
    soon(Connection::open(&arguments)).await
}

impl Client {
    /// A connection with one channel.
    pub async fn new(broker: &Broker) -> Client {
        let connection = connect(broker, "guest", "guest").await.expect("guest comes in");
        connection.register_callback(DefaultConnectionCallback).await.unwrap();
        Client::on(connection).await
    }

    /// A channel on a connection.
    pub async fn on(connection: Connection) -> Client {
        let channel = soon(connection.open_channel(None)).await.expect("a channel");
        let (ear, told) = unbounded_channel();
        channel.register_callback(Ear(ear)).await.unwrap();
        Client { connection, channel, told, confirmed: 0 }
    }

    /// Asks for confirms.
    pub async fn confirms(&self) {
        self.channel.confirm_select(ConfirmSelectArguments::default()).await.unwrap();
    }

    /// Publishes a persistent message by the default exchange.
    pub async fn publish(&self, queue: &str, content: &[u8]) {
        let arguments = BasicPublishArguments::new("", queue);
        self.publish_as(arguments, BasicProperties::default(), content).await;
    }

    /// Publishes anywhere.
    pub async fn publish_as(
        &self,
        arguments: BasicPublishArguments,
        mut properties: BasicProperties,
        content: &[u8],
    ) {
        properties.with_delivery_mode(2);
        soon(self.channel.basic_publish(properties, content.to_vec(), arguments)).await.unwrap();
    }

    /// The next thing told.
    pub async fn told(&mut self) -> Told {
        soon(self.told.recv()).await.expect("the channel is open")
    }

    /// Waits until everything up to this number is confirmed.
    pub async fn confirmed(&mut self, up_to: u64) {
        while self.confirmed < up_to {
            match self.told().await {
                Told::Ack { tag, .. } => self.confirmed = tag.max(self.confirmed),
                other => panic!("{other:?} instead of a confirm"),
            }
        }
    }
}

/// The next delivery: its tag, its flag, its content.
pub async fn next(from: &mut UnboundedReceiver<ConsumerMessage>) -> (u64, bool, Vec<u8>) {
    let message = soon(from.recv()).await.expect("the consumer lives");
    let deliver = message.deliver.expect("a delivery has its method");
    let content = message.content.expect("a delivery has its content");
    (deliver.delivery_tag(), deliver.redelivered(), content)
}
