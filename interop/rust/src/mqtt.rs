//! rumqttc, 3.1.1 and 5: QoS, order, retained messages, wills, sessions, properties, a killed broker.

use crate::suite::{DEADLINE, Outcome, attempt, expect, restart_broker, unique, variable};
use rumqttc::{LastWill, MqttOptions, QoS, v5};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const QUIET: Duration = Duration::from_millis(400);
const LEVELS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// What a client is told, in either version.
#[derive(Debug)]
enum Told {
    Connected(bool),
    Granted(Vec<String>),
    Message(Message),
    /// A publish of ours is done: PUBACK or PUBCOMP.
    Done,
}

#[derive(Debug)]
struct Message {
    body: Vec<u8>,
    qos: u8,
    retain: bool,
    properties: Option<v5::mqttbytes::v5::PublishProperties>,
}

/// A connected client: somebody else polls it, as its own buffers are bounded.
struct Client<C> {
    client: C,
    told: UnboundedReceiver<Told>,
    poller: JoinHandle<()>,
}

impl<C> Drop for Client<C> {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

/// Host, port, user and password.
fn place() -> Outcome<(String, u16, String, String)> {
    let url = variable("INTEROP_MQTT");
    let rest = url.trim_start_matches("mqtt://").trim_end_matches('/');
    let (login, host) = rest.split_once('@').ok_or("a URL with a login")?;
    let (user, password) = login.split_once(':').ok_or("a password")?;
    let (host, port) = host.split_once(':').ok_or("a port")?;
    Ok((host.into(), port.parse()?, user.into(), password.into()))
}

fn old(
    name: &str,
    clean: bool,
    change: impl FnOnce(&mut MqttOptions),
) -> Outcome<Client<rumqttc::AsyncClient>> {
    let (host, port, user, password) = place()?;
    let mut options = MqttOptions::new(name, host, port);
    options.set_credentials(user, password).set_clean_session(clean);
    options.set_max_packet_size(16 << 20, 16 << 20);
    change(&mut options);
    let (client, mut events) = rumqttc::AsyncClient::new(options, 100);
    let (tell, told) = unbounded_channel();
    let poller = tokio::spawn(async move {
        use rumqttc::{Event, Packet};
        loop {
            let said = match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(c))) => Told::Connected(c.session_present),
                Ok(Event::Incoming(Packet::SubAck(s))) => {
                    Told::Granted(s.return_codes.iter().map(|c| format!("{c:?}")).collect())
                }
                Ok(Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))) => Told::Done,
                Ok(Event::Incoming(Packet::Publish(p))) => {
                    let (body, qos) = (p.payload.to_vec(), p.qos as u8);
                    Told::Message(Message { body, qos, retain: p.retain, properties: None })
                }
                Ok(_) => continue,
                // It connects again at the next poll.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if tell.send(said).is_err() {
                return;
            }
        }
    });
    Ok(Client { client, told, poller })
}

fn five(name: &str, clean: bool, expiry: u32) -> Outcome<Client<v5::AsyncClient>> {
    let (host, port, user, password) = place()?;
    let mut options = v5::MqttOptions::new(name, host, port);
    options.set_credentials(user, password).set_clean_start(clean);
    options.set_session_expiry_interval(Some(expiry)).set_topic_alias_max(Some(10));
    let (client, mut events) = v5::AsyncClient::new(options, 100);
    let (tell, told) = unbounded_channel();
    let poller = tokio::spawn(async move {
        use v5::{Event, Incoming};
        loop {
            let said = match events.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(c))) => Told::Connected(c.session_present),
                Ok(Event::Incoming(Incoming::SubAck(s))) => {
                    Told::Granted(s.return_codes.iter().map(|c| format!("{c:?}")).collect())
                }
                Ok(Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_))) => Told::Done,
                Ok(Event::Incoming(Incoming::Publish(p))) => {
                    let (body, qos) = (p.payload.to_vec(), p.qos as u8);
                    Told::Message(Message { body, qos, retain: p.retain, properties: p.properties })
                }
                Ok(_) => continue,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if tell.send(said).is_err() {
                return;
            }
        }
    });
    Ok(Client { client, told, poller })
}

impl<C> Client<C> {
    async fn until<T>(&mut self, what: &str, mut of: impl FnMut(Told) -> Option<T>) -> Outcome<T> {
        let wait = async {
            loop {
                match self.told.recv().await {
                    Some(told) => match of(told) {
                        Some(found) => return Ok(found),
                        None => continue,
                    },
                    None => return Err("the client has ended".into()),
                }
            }
        };
        timeout(DEADLINE, wait).await.map_err(|_| format!("{what}: not within {DEADLINE:?}"))?
    }

    async fn connected(&mut self) -> Outcome<bool> {
        self.until(
            "CONNACK",
            |t| if let Told::Connected(present) = t { Some(present) } else { None },
        )
        .await
    }

    async fn granted(&mut self) -> Outcome<Vec<String>> {
        self.until("SUBACK", |t| if let Told::Granted(codes) = t { Some(codes) } else { None })
            .await
    }

    async fn done(&mut self) -> Outcome {
        self.until("an acknowledgement", |t| matches!(t, Told::Done).then_some(())).await
    }

    async fn next(&mut self) -> Outcome<Message> {
        self.until("a message", |t| if let Told::Message(m) = t { Some(m) } else { None }).await
    }

    async fn bodies(&mut self, count: usize) -> Outcome<Vec<String>> {
        let mut got = Vec::new();
        while got.len() < count {
            got.push(String::from_utf8(self.next().await?.body)?);
        }
        Ok(got)
    }

    async fn quiet(&mut self) -> Outcome {
        let end = tokio::time::Instant::now() + QUIET;
        while let Ok(Some(told)) = tokio::time::timeout_at(end, self.told.recv()).await {
            if let Told::Message(message) = told {
                return Err(format!("nothing more was to come: {message:?}").into());
            }
        }
        Ok(())
    }
}

fn numbers(count: u32) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

async fn qos_3_1_1() -> Outcome {
    let mut client = old(&unique("c"), true, |_| {})?;
    for wanted in LEVELS {
        let place = unique("t");
        client.client.subscribe(&place, wanted).await?;
        client.granted().await?;
        for qos in LEVELS {
            client.client.publish(&place, qos, false, "m").await?;
            expect("qos", client.next().await?.qos, (qos as u8).min(wanted as u8))?;
        }
    }
    client.quiet().await
}

async fn order_3_1_1() -> Outcome {
    let (mut sink, mut source) =
        (old(&unique("c"), true, |_| {})?, old(&unique("c"), true, |_| {})?);
    for qos in LEVELS {
        let place = unique("t");
        sink.client.subscribe(&place, qos).await?;
        sink.granted().await?;
        for number in numbers(500) {
            source.client.publish(&place, qos, false, number).await?;
            if qos != QoS::AtMostOnce {
                source.done().await?;
            }
        }
        expect("order", sink.bodies(500).await?, numbers(500))?;
        sink.quiet().await?;
    }
    Ok(())
}

async fn retained_and_will_3_1_1() -> Outcome {
    let place = unique("t");
    let mut watching = old(&unique("c"), true, |_| {})?;
    watching.client.subscribe(&place, QoS::AtLeastOnce).await?;
    watching.granted().await?;
    let will = LastWill::new(&place, "lost", QoS::AtLeastOnce, true);
    let mut lost = old(&unique("c"), true, |options| {
        options.set_last_will(will);
    })?;
    lost.connected().await?;
    drop(lost);
    expect("live", watching.next().await?.retain, false)?;
    let mut late = old(&unique("c"), true, |_| {})?;
    late.client.subscribe(&place, QoS::AtLeastOnce).await?;
    expect("retained", late.next().await?.retain, true)?;
    late.client.publish(&place, QoS::AtLeastOnce, true, "").await?;
    late.done().await
}

async fn session_3_1_1() -> Outcome {
    let (name, place) = (unique("c"), unique("t"));
    let mut first = old(&name, false, |_| {})?;
    first.client.subscribe(&place, QoS::ExactlyOnce).await?;
    first.granted().await?;
    first.client.disconnect().await?;
    drop(first);
    let mut source = old(&unique("c"), true, |_| {})?;
    for number in numbers(30) {
        source.client.publish(&place, QoS::ExactlyOnce, false, number).await?;
        source.done().await?;
    }
    let mut again = old(&name, false, |_| {})?;
    expect("present", again.connected().await?, true)?;
    expect("messages", again.bodies(30).await?, numbers(30))?;
    again.quiet().await?;
    drop(again);
    expect("forgotten", old(&name, true, |_| {})?.connected().await?, false)
}

async fn properties_5() -> Outcome {
    let mut client = five(&unique("c"), true, 0)?;
    let place = unique("t");
    client.client.subscribe(&place, v5::mqttbytes::QoS::ExactlyOnce).await?;
    expect("granted", client.granted().await?.len(), 1)?;
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let sent = v5::mqttbytes::v5::PublishProperties {
        content_type: Some("text/x".into()),
        response_topic: Some("to/me".into()),
        correlation_data: Some(vec![0, 255].into()),
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(60),
        user_properties: vec![pair("b", "2"), pair("a", "1"), pair("b", "3")],
        ..Default::default()
    };
    let qos = v5::mqttbytes::QoS::ExactlyOnce;
    client.client.publish_with_properties(&place, qos, false, "m", sent.clone()).await?;
    let got = client.next().await?.properties.ok_or("no properties")?;
    expect(
        "texts",
        (&got.content_type, &got.response_topic),
        (&sent.content_type, &sent.response_topic),
    )?;
    expect("correlation", &got.correlation_data, &sent.correlation_data)?;
    expect("user", got.user_properties, sent.user_properties)
}

async fn session_5() -> Outcome {
    let (name, place) = (unique("c"), unique("t"));
    let mut first = five(&name, false, 300)?;
    first.client.subscribe(&place, v5::mqttbytes::QoS::AtLeastOnce).await?;
    first.granted().await?;
    drop(first);
    let mut source = five(&unique("c"), true, 0)?;
    for number in numbers(30) {
        source.client.publish(&place, v5::mqttbytes::QoS::AtLeastOnce, false, number).await?;
        source.done().await?;
    }
    let mut again = five(&name, false, 0)?;
    expect("present", again.connected().await?, true)?;
    expect("messages", again.bodies(30).await?, numbers(30))?;
    again.client.disconnect().await?;
    drop(again);
    expect("forgotten", five(&name, false, 0)?.connected().await?, false)
}

async fn restart() -> Outcome {
    let (name, place) = (unique("c"), unique("t"));
    let mut client = old(&name, false, |_| {})?;
    client.client.subscribe(&place, QoS::ExactlyOnce).await?;
    client.granted().await?;
    for number in numbers(20) {
        client.client.publish(&place, QoS::ExactlyOnce, false, number).await?;
    }
    expect("before", client.bodies(20).await?, numbers(20))?;
    restart_broker().await?;
    expect("the session", client.connected().await?, true)?;
    client.client.publish(&place, QoS::ExactlyOnce, false, "20").await?;
    expect("after", client.bodies(1).await?, vec!["20".to_owned()])?;
    client.quiet().await?;
    drop(client);
    old(&name, true, |_| {})?.connected().await.map(drop)
}

pub async fn run() {
    attempt("qos-3.1.1", qos_3_1_1()).await;
    attempt("order-3.1.1", order_3_1_1()).await;
    attempt("retained-and-will-3.1.1", retained_and_will_3_1_1()).await;
    attempt("session-3.1.1", session_3_1_1()).await;
    attempt("properties-5", properties_5()).await;
    attempt("session-5", session_5()).await;
    attempt("restart", restart()).await;
}
