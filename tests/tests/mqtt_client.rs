//! rumqttc, a stock client of 3.1.1 and 5, with what comes for it put into one channel.

use crate::client::soon;
use lockgate_tests::Broker;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, Event, Incoming, MqttOptions};
use std::collections::VecDeque;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// A client of version 5, polled by a task of its own.
pub struct Five {
    pub client: AsyncClient,
    told: UnboundedReceiver<Incoming>,
    /// What came while something else was waited for.
    messages: VecDeque<Publish>,
    poller: JoinHandle<()>,
}

impl Drop for Five {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

impl Five {
    /// Connects as guest.
    pub async fn new(broker: &Broker, name: &str) -> Five {
        Five::login(broker, name, "guest", "guest").await
    }

    /// Connects.
    pub async fn login(broker: &Broker, name: &str, user: &str, password: &str) -> Five {
        let (host, port) = (broker.mqtt.ip().to_string(), broker.mqtt.port());
        let mut options = MqttOptions::new(name, host, port);
        options.set_credentials(user, password).set_clean_start(true);
        let (client, mut events) = AsyncClient::new(options, 100);
        let (tell, told) = unbounded_channel();
        let poller = tokio::spawn(async move {
            // At the first error it ends: nobody here is to connect again by itself.
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(packet) = event
                    && tell.send(packet).is_err()
                {
                    return;
                }
            }
        });
        let mut five = Five { client, told, messages: VecDeque::new(), poller };
        five.until(|packet| matches!(packet, Incoming::ConnAck(_))).await;
        five
    }

    /// The next packet that is wanted; of others, messages are kept.
    async fn until(&mut self, wanted: impl Fn(&Incoming) -> bool) {
        loop {
            let packet = soon(self.told.recv()).await.expect("the connection stands");
            if wanted(&packet) {
                return;
            }
            if let Incoming::Publish(publish) = packet {
                self.messages.push_back(publish);
            }
        }
    }

    /// Subscribes, and waits until that is so.
    pub async fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.client.subscribe(filter, qos).await.unwrap();
        self.until(|packet| matches!(packet, Incoming::SubAck(_))).await;
    }

    /// Publishes, and waits until it is taken.
    pub async fn publish(&mut self, topic: &str, qos: QoS, body: &[u8], said: PublishProperties) {
        let body = body.to_vec();
        self.client.publish_with_properties(topic, qos, false, body, said).await.unwrap();
        match qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.until(|p| matches!(p, Incoming::PubAck(_))).await,
            QoS::ExactlyOnce => self.until(|p| matches!(p, Incoming::PubComp(_))).await,
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Publish {
        loop {
            if let Some(publish) = self.messages.pop_front() {
                return publish;
            }
            if let Incoming::Publish(publish) =
                soon(self.told.recv()).await.expect("the connection stands")
            {
                return publish;
            }
        }
    }
}
