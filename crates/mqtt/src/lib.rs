//! MQTT 3.1, 3.1.1 (OASIS, 29 October 2014) and 5.0 (OASIS, 7 March 2019): codec, topics,
//! session, mapping. Where users of 3.1 and 3.1.1 rely on more than their texts say, RabbitMQ
//! and Mosquitto are the judges.
//!
//! In: all fifteen packets and all properties, both directions, checked strictly; topic names
//! and filters with shared subscriptions; topics as AMQP routing keys and back; the server's
//! side of every conversation. A session does no IO, reads no clock and starts no timer.
//!
//! ```text
//!  bytes --frame::cut--> head, body --decode::packet--> Packet<'_>, a view of the bytes
//!                                                          |
//!  bytes <-----------------encode::packet------------------+
//!
//!            CONNECT             let in             berth taken
//!  Greeting ---------> Login -------------> Entering ---------> Running
//!     |                 |  ^                    |                  | DISCONNECT, a fault,
//!     |                 v  | AUTH               |                  | silence, another client
//!     +---------------> Over <------------------+------------------+ of that name, a stop
//! ```
//!
//! Clauses are those of version 5.0 unless it is said. Where 3.1 or 3.1.1 are more lenient,
//! what they let pass passes: lengths in more bytes than they need (both), and in 3.1 flags
//! that mean nothing, DUP on whatever is sent again, and a user name that is announced but
//! missing.

pub mod decode;
pub mod dialect;
pub mod encode;
pub mod error;
pub mod frame;
mod interests;
mod map;
pub mod packet;
pub mod property;
pub mod reason;
mod session;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tongue;
pub mod topic;

pub use settings::{Anonymous, Settings};

use bytes::Bytes;
use lockgate_front::{Front, Peer, Session};
use lockgate_model::Range;
use std::sync::Arc;

/// The protocol: makes a session for each connection.
#[derive(Clone, Debug)]
pub struct Mqtt {
    shared: Arc<Shared>,
}

/// What all sessions of one listener share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// What stands beside every run: the property lists of messages that say nothing of
    /// themselves, and the exchange.
    pub(crate) beside: Bytes,
}

impl Shared {
    fn new(settings: Settings) -> Shared {
        let beside = [&map::BARE.concat()[..], settings.exchange.as_bytes()].concat();
        Shared { settings, beside: Bytes::from(beside) }
    }

    /// Where the property list of a bare message stands beside a run.
    pub(crate) fn bare(&self, persistent: bool) -> Range {
        Range::beside(if persistent { 3 } else { 0 }, 3)
    }

    /// Where the exchange's name stands beside a run.
    pub(crate) fn exchange(&self) -> Range {
        Range::beside(6, self.settings.exchange.len())
    }
}

impl Mqtt {
    /// A front with these settings. Values out of the protocol's range are moved into it.
    pub fn new(settings: Settings) -> Mqtt {
        Mqtt { shared: Arc::new(Shared::new(settings.in_range())) }
    }
}

impl Default for Mqtt {
    fn default() -> Self {
        Mqtt::new(Settings::default())
    }
}

impl Front for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn open(&self, peer: &Peer) -> Box<dyn Session> {
        Box::new(session::Connection::new(self.shared.clone(), peer))
    }
}
