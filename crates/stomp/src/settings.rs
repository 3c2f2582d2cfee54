//! What an operator can set about STOMP, and what it is if nothing is set.

use crate::frame::Limits;
use lockgate_model::{Name, limits};
use std::fmt;
use std::time::Duration;

/// Whose destinations, headers and habits are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// RabbitMQ's plugin.
    #[default]
    RabbitMq,
    /// ActiveMQ Classic.
    ActiveMq,
}

/// What an operator can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `server` in CONNECTED; none to say nothing.
    pub server: Option<String>,
    /// `server` in CONNECTED where ActiveMQ's dialect is spoken.
    pub active_server: Option<String>,
    /// What is spoken where nothing else is said. By ActiveMQ's `host` names no virtual host.
    pub dialect: Dialect,
    /// Virtual hosts with a dialect of their own.
    pub dialects: Vec<(Name, Dialect)>,
    /// The virtual host of clients that name none.
    pub vhost: Name,
    /// Who clients are that bring no login; none to refuse them.
    pub default_user: Option<DefaultUser>,
    /// A first frame other than CONNECT comes in as the default user.
    pub implicit_connect: bool,
    /// The exchange that `/topic` stands for.
    pub topic_exchange: Name,
    /// What NACK does without a `requeue` header: back to the queue, or away.
    pub nack_requeue: bool,
    /// A line end follows each frame that we send.
    pub trailing_lf: bool,
    /// What a frame may cost after login.
    pub limits: Limits,
    /// Most transactions that are open on a connection.
    pub transactions_max: usize,
    /// Most frames of one transaction.
    pub transaction_actions_max: usize,
    /// Most bytes that one transaction may hold.
    pub transaction_bytes_max: u64,
    /// Most subscriptions of a connection.
    pub subscriptions_max: usize,
    /// How long a peer may take until it is connected.
    pub handshake_max: Duration,
}

/// A user and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct DefaultUser {
    /// Who.
    pub user: Name,
    /// The password.
    pub password: Vec<u8>,
}

impl fmt::Debug for DefaultUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DefaultUser({}, <secret>)", self.user)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            server: Some("RabbitMQ/3.13.7".into()),
            active_server: Some("ActiveMQ/5.18.6".into()),
            dialect: Dialect::RabbitMq,
            dialects: Vec::new(),
            vhost: Name::from("/"),
            default_user: Some(DefaultUser {
                user: Name::from("guest"),
                password: b"guest".to_vec(),
            }),
            implicit_connect: false,
            topic_exchange: Name::from("amq.topic"),
            nack_requeue: true,
            trailing_lf: true,
            limits: Limits {
                // A property list goes into one frame of AMQP, and most of its clients agree
                // to twice as much.
                lines_max: 64 * 1024,
                headers_max: 100,
                body_max: limits::BODY_BYTES_MAX as usize,
            },
            transactions_max: 16,
            transaction_actions_max: 1_024,
            transaction_bytes_max: 2 * limits::BODY_BYTES_MAX,
            subscriptions_max: 65_535,
            handshake_max: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// What is spoken in a virtual host.
    pub fn dialect_of(&self, vhost: &Name) -> Dialect {
        let own = self.dialects.iter().find(|(name, _)| name == vhost);
        own.map_or(self.dialect, |(_, dialect)| *dialect)
    }

    /// The same, with what is out of the protocol's range moved into it.
    pub(crate) fn in_range(mut self) -> Settings {
        let limits = &mut self.limits;
        limits.lines_max = limits.lines_max.clamp(1_024, 128 * 1024);
        limits.headers_max = limits.headers_max.clamp(16, limits::VALUES_MAX);
        // A run's ranges are of 31 bits, and the lines must fit beside the body.
        limits.body_max = limits.body_max.min(1 << 30);
        self
    }

    /// What a frame may cost before anybody is known.
    pub(crate) fn first_limits(&self) -> Limits {
        let lines_max = self.limits.lines_max.min(limits::UNAUTHENTICATED_BYTES_MAX / 2);
        Limits { lines_max, body_max: 1_024, ..self.limits }
    }
}
