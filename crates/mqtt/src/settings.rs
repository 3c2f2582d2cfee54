//! What an operator can set. Where other brokers' users rely on a number, it is theirs.

use crate::dialect::Dialect;
use crate::frame::BEFORE_LOGIN_MAX;
use lockgate_front::Naming;
use lockgate_model::{Caps, Lasting, Mark, Name};
use std::fmt;
use std::time::Duration;

/// Who clients are that do not say it.
#[derive(Clone, PartialEq, Eq)]
pub struct Anonymous {
    /// The user.
    pub user: Name,
    /// What proves it.
    pub password: Vec<u8>,
}

impl fmt::Debug for Anonymous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Anonymous({}, <secret>)", self.user)
    }
}

/// What an operator can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The topic exchange that topics are keys of.
    pub exchange: Name,
    /// Whose rules make keys of topics.
    pub dialect: Dialect,
    /// Virtual hosts with other rules.
    pub dialects: Vec<(Name, Dialect)>,
    /// The virtual host of clients whose user name says none.
    pub vhost: Name,
    /// What stands before the last colon of a user name is a virtual host.
    pub vhost_in_user: bool,
    /// Who clients are that give no user name; none = they are not let in.
    pub anonymous: Option<Anonymous>,
    /// How long a peer may take until it is let in.
    pub handshake_max: Duration,
    /// Largest packet of a client that is let in, with its head.
    pub packet_max: usize,
    /// Most levels of a topic name or filter.
    pub levels_max: usize,
    /// Most user properties of a message.
    pub user_properties_max: usize,
    /// Most filters that one client is interested in.
    pub interests_max: usize,
    /// Most messages with QoS above 0 that a client may send before they are acknowledged:
    /// Receive Maximum of CONNACK.
    pub receive_max: u16,
    /// A client of version 5 that sends more than that is disconnected.
    pub receive_strict: bool,
    /// Most messages with QoS above 0 that a client is sent before it acknowledges them.
    pub in_flight_max: u16,
    /// Topic Alias Maximum of CONNACK: how many topics a client may give numbers.
    pub alias_max: u16,
    /// Most topics that a client is sent numbers for, if it takes as many.
    pub alias_out_max: u16,
    /// How long the berth of a client of 3.1 or 3.1.1 that asks for one is kept.
    pub session_expiry: Lasting,
    /// The longest that a berth is kept, whatever a client of version 5 asks for.
    pub session_expiry_max: Lasting,
    /// The longest keep alive of a client of version 5, in seconds; 0 = it may have none.
    pub keep_alive_max: u16,
    /// How much may wait for a client.
    pub caps: Caps,
    /// What Response Information begins with; none = it is not given.
    pub response_prefix: Option<String>,
    /// Where clients are sent when the broker stops.
    pub server_reference: Option<String>,
    /// That is for good: 0x9D and not 0x9C.
    pub server_moved: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            exchange: Name::from("amq.topic"),
            dialect: Dialect::default(),
            dialects: Vec::new(),
            vhost: Name::from("/"),
            vhost_in_user: true,
            anonymous: Some(Anonymous { user: Name::from("guest"), password: b"guest".to_vec() }),
            handshake_max: Duration::from_secs(10),
            packet_max: 16 * 1024 * 1024,
            levels_max: 128,
            user_properties_max: 64,
            interests_max: 10_000,
            receive_max: 1_000,
            receive_strict: true,
            in_flight_max: 512,
            alias_max: 100,
            alias_out_max: 16,
            // A day, as RabbitMQ: devices that never come back must not fill the disk.
            session_expiry: Lasting::Seconds(86_400),
            session_expiry_max: Lasting::Seconds(86_400),
            keep_alive_max: 0,
            caps: Caps {
                messages_max: 100_000,
                bytes_max: 256 * 1024 * 1024,
                passing_bytes_max: 16 * 1024 * 1024,
            },
            response_prefix: Some("response".into()),
            server_reference: None,
            server_moved: false,
        }
    }
}

impl Settings {
    /// What a user name is the name of.
    pub(crate) fn naming(&self) -> Naming {
        if self.vhost_in_user { Naming::VhostAndUser } else { Naming::User }
    }

    /// Whose rules make keys of topics in a virtual host.
    pub fn dialect_of(&self, vhost: &Name) -> Dialect {
        let own = self.dialects.iter().find(|(name, _)| name == vhost);
        own.map_or(self.dialect, |(_, dialect)| *dialect)
    }

    /// The same, with what is out of the protocol's range moved into it.
    pub(crate) fn in_range(mut self) -> Settings {
        self.packet_max = self.packet_max.clamp(BEFORE_LOGIN_MAX, crate::frame::LENGTH_MAX + 5);
        self.receive_max = self.receive_max.max(1);
        self.in_flight_max = self.in_flight_max.clamp(1, Mark::OWN);
        self.levels_max = self.levels_max.max(1);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_host_may_have_other_rules() {
        let dialects = vec![(Name::from("old"), Dialect::ActiveMq)];
        let settings = Settings { dialects, ..Settings::default() };
        assert_eq!(settings.dialect_of(&Name::from("old")), Dialect::ActiveMq);
        assert_eq!(settings.dialect_of(&Name::from("/")), Dialect::default());
    }
}
