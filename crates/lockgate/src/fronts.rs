//! Which front speaks on which listener, and what each is told of the configuration. The
//! only file that names every front.

mod sharing;

use crate::fault::Fault;
use lockgate_amqp091::Amqp091;
use lockgate_config::{Config, Dialect, Kind, Span};
use lockgate_front::Front;
use lockgate_model::{Caps, Lasting, Name};
use lockgate_mqtt::{Anonymous, Mqtt, dialect};
use lockgate_net::Listener;
use lockgate_stomp::{DefaultUser, Stomp};
use lockgate_websocket::{Auto, WebSocket};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// Every listener with its front; a name stands for each of its addresses.
pub fn listeners(config: &Config) -> Result<Vec<Listener>, Fault> {
    let amqp: Arc<dyn Front> = Arc::new(Amqp091::new(amqp_settings(config)));
    let mqtt: Arc<dyn Front> = Arc::new(Mqtt::new(mqtt_settings(config)));
    let stomp: Arc<dyn Front> = Arc::new(Stomp::new(stomp_settings(config)));
    let inners = sharing::inners(&amqp, &mqtt, &stomp);
    // A message holds one frame, so nothing is to stand between frames.
    let framed = lockgate_stomp::Settings { trailing_lf: false, ..stomp_settings(config) };
    let framed: Arc<dyn Front> = Arc::new(Stomp::new(framed));
    let within = sharing::inners(&amqp, &mqtt, &framed);
    let websocket: Arc<dyn Front> = Arc::new(WebSocket::new(websocket_settings(config), within));
    let auto: Arc<dyn Front> = Arc::new(Auto::new(&inners, websocket.clone()));
    let mut all = Vec::new();
    for wish in &config.listeners {
        let front = match wish.kind {
            Kind::Amqp => amqp.clone(),
            Kind::Mqtt => mqtt.clone(),
            Kind::Ws => websocket.clone(),
            Kind::Auto => auto.clone(),
            Kind::Stomp => stomp.clone(),
            // `Config::check` let in only what is served.
            _ => return Err(Fault::config(format!("`{wish}` cannot be served"))),
        };
        let unknown =
            |e: &dyn std::fmt::Display| Fault::listener(format!("cannot listen for {wish}: {e}"));
        let addresses: Vec<SocketAddr> =
            wish.address.to_socket_addrs().map_err(|e| unknown(&e))?.collect();
        if addresses.is_empty() {
            return Err(unknown(&"the name has no address"));
        }
        all.extend(addresses.into_iter().map(|address| Listener {
            address,
            front: front.clone(),
            kind: wish.kind.word().into(),
        }));
    }
    Ok(all)
}

fn amqp_settings(config: &Config) -> lockgate_amqp091::Settings {
    let amqp = &config.amqp;
    lockgate_amqp091::Settings {
        product: amqp.product.clone(),
        version: amqp.version.clone(),
        cluster_name: amqp.cluster_name.clone(),
        frame_max: amqp.frame_max,
        channel_max: amqp.channel_max,
        heartbeat: amqp.heartbeat.0,
        body_bytes_max: amqp.body_max.0,
        transaction_bytes_max: amqp.transaction_max.0,
        handshake_max: config.limits.handshake.0,
        ..lockgate_amqp091::Settings::default()
    }
}

fn websocket_settings(config: &Config) -> lockgate_websocket::Settings {
    let websocket = &config.websocket;
    lockgate_websocket::Settings {
        message_max: websocket.message_max.0,
        origins: websocket.origins.iter().map(|origin| origin.0.clone()).collect(),
    }
}

fn mqtt_settings(config: &Config) -> lockgate_mqtt::Settings {
    let mqtt = &config.mqtt;
    let name = |text: &String| Name::from(text.as_str());
    let anonymous = Anonymous {
        user: name(&mqtt.anonymous_user),
        password: mqtt.anonymous_pass.expose().into(),
    };
    let dialects = mqtt.dialects.iter();
    lockgate_mqtt::Settings {
        exchange: name(&mqtt.exchange),
        dialect: rules(mqtt.dialect),
        dialects: dialects.map(|one| (name(&one.vhost), rules(one.dialect))).collect(),
        vhost: name(&mqtt.vhost),
        vhost_in_user: mqtt.vhost_in_user,
        anonymous: mqtt.allow_anonymous.then_some(anonymous),
        handshake_max: config.limits.handshake.0,
        packet_max: usize::try_from(mqtt.packet_max.0).unwrap_or(usize::MAX),
        levels_max: mqtt.topic_levels_max.into(),
        user_properties_max: mqtt.user_properties_max.into(),
        interests_max: usize::try_from(mqtt.subscriptions_max).unwrap_or(usize::MAX),
        receive_max: mqtt.receive_maximum,
        receive_strict: mqtt.strict_receive_maximum,
        in_flight_max: mqtt.in_flight_max,
        alias_max: mqtt.topic_alias_max,
        alias_out_max: mqtt.topic_alias_out_max,
        session_expiry: lasting(mqtt.session_expiry),
        session_expiry_max: lasting(mqtt.session_expiry_max),
        keep_alive_max: u16::try_from(seconds(mqtt.keep_alive_max)).unwrap_or(u16::MAX),
        caps: Caps {
            messages_max: mqtt.session_messages_max.into(),
            bytes_max: mqtt.session_bytes_max.0,
            passing_bytes_max: mqtt.passing_bytes_max.0,
        },
        response_prefix: mqtt.response_prefix.clone(),
        server_reference: mqtt.server_reference.clone(),
        server_moved: mqtt.server_moved,
    }
}

fn stomp_settings(config: &Config) -> lockgate_stomp::Settings {
    let (stomp, amqp) = (&config.stomp, &config.amqp);
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let count = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    lockgate_stomp::Settings {
        server: (!stomp.hide_server_info).then(|| format!("{}/{}", amqp.product, amqp.version)),
        active_server: lockgate_stomp::Settings::default()
            .active_server
            .filter(|_| !stomp.hide_server_info),
        dialect: stomp_rules(stomp.dialect),
        dialects: stomp
            .dialects
            .iter()
            .map(|one| (Name::from(one.vhost.as_str()), stomp_rules(one.dialect)))
            .collect(),
        vhost: Name::from(stomp.vhost.as_str()),
        default_user: stomp.default_user.as_ref().map(|user| DefaultUser {
            user: Name::from(user.as_str()),
            password: stomp.default_pass.expose().into(),
        }),
        implicit_connect: stomp.implicit_connect,
        topic_exchange: Name::from(stomp.topic_exchange.as_str()),
        nack_requeue: stomp.nack_requeue,
        trailing_lf: stomp.trailing_lf,
        limits: lockgate_stomp::frame::Limits {
            lines_max: size(stomp.header_max.0),
            headers_max: count(stomp.headers_max),
            body_max: size(stomp.body_max.0),
        },
        transactions_max: count(stomp.transactions_max),
        transaction_actions_max: count(stomp.transaction_actions_max),
        transaction_bytes_max: stomp.transaction_max.0,
        subscriptions_max: count(stomp.subscriptions_max),
        handshake_max: config.limits.handshake.0,
    }
}

fn stomp_rules(of: Dialect) -> lockgate_stomp::Dialect {
    match of {
        Dialect::Activemq => lockgate_stomp::Dialect::ActiveMq,
        // `Config::check` lets no other one in.
        Dialect::Rabbitmq | Dialect::Sparkplug => lockgate_stomp::Dialect::RabbitMq,
    }
}

fn rules(of: Dialect) -> dialect::Dialect {
    match of {
        Dialect::Rabbitmq => dialect::Dialect::RabbitMq { sparkplug: false },
        Dialect::Sparkplug => dialect::Dialect::RabbitMq { sparkplug: true },
        Dialect::Activemq => dialect::Dialect::ActiveMq,
    }
}

/// Whole seconds, of a part of one a whole one: what was not to be nothing stays so.
fn seconds(span: Span) -> u32 {
    u32::try_from(span.0.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn lasting(span: Span) -> Lasting {
    match seconds(span) {
        0 => Lasting::Not,
        u32::MAX => Lasting::Always,
        seconds => Lasting::Seconds(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_whole_seconds_and_its_largest_is_for_ever() {
        let of = |ms: u64| lasting(Span(Duration::from_millis(ms)));
        assert_eq!(of(0), Lasting::Not);
        assert_eq!([of(1), of(1_000), of(1_001)], [1, 1, 2].map(Lasting::Seconds));
        assert_eq!(of(u64::from(u32::MAX) * 1_000), Lasting::Always);
    }

    #[test]
    fn what_is_set_for_stomp_reaches_its_front() {
        let mut config = Config::default();
        assert_eq!(stomp_settings(&config).server.as_deref(), Some("RabbitMQ/3.13.7"));
        config.stomp.hide_server_info = true;
        config.stomp.default_user = None;
        config.stomp.headers_max = 77;
        config.stomp.nack_requeue = false;
        config.stomp.dialect = Dialect::Activemq;
        let settings = stomp_settings(&config);
        assert_eq!((settings.server, settings.default_user), (None, None));
        assert_eq!(
            (settings.dialect, settings.active_server),
            (lockgate_stomp::Dialect::ActiveMq, None)
        );
        assert_eq!((settings.limits.headers_max, settings.nack_requeue), (77, false));
    }

    #[test]
    fn what_is_set_for_mqtt_reaches_its_front() {
        let mut config = Config::default();
        config.mqtt.allow_anonymous = false;
        config.mqtt.dialect = Dialect::Activemq;
        config.mqtt.session_bytes_max.0 = 7;
        let settings = mqtt_settings(&config);
        assert_eq!(settings.anonymous, None);
        assert_eq!(settings.dialect_of(&Name::from("/")), dialect::Dialect::ActiveMq);
        assert_eq!((settings.caps.bytes_max, settings.caps.messages_max), (7, 100_000));
    }
}
