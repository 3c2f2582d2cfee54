//! STOMP 1.0, 1.1 and 1.2 (stomp.github.io): codec, session, mapping. Where the
//! specification leaves room, RabbitMQ's plugin is the judge: its destinations, headers,
//! texts of ERROR, and that most of them leave the connection open.
//!
//! In: every frame of a client, receipts, three ack modes, NACK, transactions that are done
//! whole or not at all, heart-beats, durable subscriptions, reply queues; ActiveMQ's dialect
//! beside RabbitMQ's, with its selectors on topics. Not in, and refused: browsers, schedules,
//! patterns and selectors of queues. A session does no IO, reads no clock and starts no timer.
//!
//! ```text
//!  Greeting --CONNECT--> Login --admitted--> Entering --engine: yes--> Running
//!     |  ^ anything else:  |                    |                        |
//!     |  ERROR             | denied             | engine: no             | DISCONNECT, a fault
//!     | silence            v                    v                        v that ends it, stop
//!     +------------------> Over <--------------------------------------- (Leaving: receipts)
//! ```

pub mod decode;
pub mod destination;
pub mod encode;
pub mod error;
pub mod frame;
pub mod header;
mod map;
pub mod packet;
pub mod selector;
mod session;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tongue;

pub use settings::{DefaultUser, Dialect, Settings};

use lockgate_front::{Front, Peer, Session};
use std::sync::Arc;

/// The protocol: makes a session for each connection.
#[derive(Clone, Debug)]
pub struct Stomp {
    settings: Arc<Settings>,
}

impl Stomp {
    /// A front with these settings. Values out of the protocol's range are moved into it.
    pub fn new(settings: Settings) -> Stomp {
        Stomp { settings: Arc::new(settings.in_range()) }
    }
}

impl Default for Stomp {
    fn default() -> Self {
        Stomp::new(Settings::default())
    }
}

impl Front for Stomp {
    fn name(&self) -> &'static str {
        "stomp"
    }

    fn open(&self, peer: &Peer) -> Box<dyn Session> {
        Box::new(session::Connection::new(self.settings.clone(), peer))
    }
}
