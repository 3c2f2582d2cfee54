//! AMQP 0-9-1 (specification of 13 November 2008, with RabbitMQ's extensions): codec,
//! session, mapping. Where the specification is vague, RabbitMQ is the judge.
//!
//! In: all classes, all methods, both directions. Not in: the `immediate` flag,
//! `prefetch_size`, `recover` without requeue (540, as RabbitMQ), SASL beyond
//! PLAIN and AMQPLAIN. A session does no IO, reads no clock and starts no timer.
//!
//! ```text
//!  connection                                        channel
//!
//!  Header --AMQP 0 0 9 1--> StartOk                  Free --open--> Open --close--> Free
//!    |                         | start-ok             ^              |
//!    | anything else           v                      |              | our close
//!    v                       Login --denied--+        +--close-ok-- Closing
//!  Over <--+                   | admitted    |
//!          |                   v             |       reopened after our close: Opening
//!          |                 TuneOk          |       until the engine has answered, so that
//!          |                   | tune-ok     |       events of the channel that was come before
//!          |                   v             |
//!          |                 Open            |
//!          |                   | open        |
//!          |                   v             |
//!          |                 Entering        |
//!          |                   | engine: yes |
//!          |                   v             |
//!          +--close----------Running         |
//!          |                   | hard fault, stop
//!          |                   v             |
//!          +--close-ok, 3 s--Closing         |
//!          +---------------------------------+
//! ```

pub mod decode;
pub mod encode;
pub mod error;
pub mod frame;
mod map;
pub mod packet;
mod session;
pub mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tongue;

use lockgate_front::{Front, Peer, Session};
use lockgate_model::{Table, Value, limits};
use std::sync::Arc;
use std::time::Duration;

/// What an operator can set, and who we say we are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `product` in the server properties. kombu and Celery look at it.
    pub product: String,
    /// `version` in the server properties.
    pub version: String,
    /// Our own name and version, under the extra key `gateway`.
    pub gateway: String,
    /// `cluster_name` in the server properties.
    pub cluster_name: String,
    /// Largest frame, both ways.
    pub frame_max: u32,
    /// Most channels of a connection.
    pub channel_max: u16,
    /// The heartbeat we propose; zero proposes none.
    pub heartbeat: Duration,
    /// Largest message body.
    pub body_bytes_max: u64,
    /// Most bytes that one transaction may hold before it is committed.
    pub transaction_bytes_max: u64,
    /// How long a peer may take until it has opened a virtual host.
    pub handshake_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            // kombu asks for channel-wide prefetch only of a RabbitMQ of 3.3 to 3.x,
            // and everybody else takes a RabbitMQ as it comes.
            product: "RabbitMQ".into(),
            version: "3.13.7".into(),
            gateway: concat!("Lockgate ", env!("CARGO_PKG_VERSION")).into(),
            cluster_name: "lockgate".into(),
            frame_max: 131_072,
            channel_max: 2_047,
            heartbeat: Duration::from_secs(60),
            body_bytes_max: limits::BODY_BYTES_MAX,
            transaction_bytes_max: 2 * limits::BODY_BYTES_MAX,
            handshake_max: Duration::from_secs(10),
        }
    }
}

/// Least value of frame_max that both sides must accept (section 4.9 of the XML).
pub const FRAME_MIN: u32 = 4_096;

/// The protocol: makes a session for each connection.
#[derive(Clone, Debug)]
pub struct Amqp091 {
    shared: Arc<Shared>,
}

/// What all sessions of one listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// `connection.start`, ready to send.
    pub(crate) greeting: Vec<u8>,
}

impl Amqp091 {
    /// A front with these settings. Values out of the protocol's range are moved into it.
    pub fn new(mut settings: Settings) -> Amqp091 {
        settings.frame_max = settings.frame_max.max(FRAME_MIN);
        settings.channel_max = settings.channel_max.max(1);
        // A run's ranges are of 32 bits and a frame more must fit beside the body.
        settings.body_bytes_max = settings.body_bytes_max.min(1 << 31);
        let greeting = greeting(&settings);
        Amqp091 { shared: Arc::new(Shared { settings, greeting }) }
    }
}

impl Default for Amqp091 {
    fn default() -> Self {
        Amqp091::new(Settings::default())
    }
}

impl Front for Amqp091 {
    fn name(&self) -> &'static str {
        "amqp091"
    }

    fn open(&self, peer: &Peer) -> Box<dyn Session> {
        Box::new(session::Connection::new(self.shared.clone(), peer))
    }
}

/// `connection.start` as stock clients need it: aiormq indexes the capabilities
/// without a default, pika and py-amqp look for single ones.
fn greeting(settings: &Settings) -> Vec<u8> {
    let mut capabilities = Table::default();
    for name in [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ] {
        capabilities.set(name, Value::Bool(true));
    }
    let mut server = Table::default();
    server.set("capabilities", Value::Table(capabilities));
    server.set("cluster_name", Value::text(&settings.cluster_name));
    server.set("copyright", Value::text("Licensed under Apache-2.0 or MIT"));
    server.set("gateway", Value::text(&settings.gateway));
    server.set("information", Value::text(&settings.gateway));
    server.set("platform", Value::text("Rust"));
    server.set("product", Value::text(&settings.product));
    server.set("version", Value::text(&settings.version));
    let mut table = Vec::new();
    server.encode(&mut table);
    let mut out = Vec::new();
    encode::method(
        &mut out,
        0,
        &packet::Method::ConnectionStart {
            version_major: 0,
            version_minor: 9,
            server_properties: packet::RawTable(&table[4..]),
            mechanisms: b"PLAIN AMQPLAIN",
            locales: b"en_US",
        },
    );
    out
}
