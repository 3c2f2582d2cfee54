//! The nouns: the fifteen packets of MQTT 3.1, 3.1.1 and 5. All that is of variable
//! length stays where it was read: a packet is a view, and has nothing of its own.

use crate::decode::{Reader, subscription};
use crate::error::DecodeError;
use crate::property::Properties;
use crate::reason::Reason;
use std::fmt;
use std::num::NonZeroU16;

/// A version of the protocol, by its level in CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 3.1, "MQIsdp" level 3.
    V31,
    /// 3.1.1, "MQTT" level 4.
    V311,
    /// 5.0, "MQTT" level 5.
    V5,
}

impl Version {
    /// The protocol's name in CONNECT.
    pub fn protocol(self) -> &'static str {
        match self {
            Version::V31 => "MQIsdp",
            Version::V311 | Version::V5 => "MQTT",
        }
    }

    /// The level in CONNECT.
    pub fn level(self) -> u8 {
        match self {
            Version::V31 => 3,
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }
}

/// Who has sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one it connected to.
    Server,
}

macro_rules! kinds {
    ($($number:literal $kind:ident $name:literal)*) => {
        /// Types of packets (2.1.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // named as the specification names them
        pub enum Kind { $($kind = $number),* }

        impl Kind {
            /// The type of this number; 0 is none.
            #[inline]
            pub fn of(number: u8) -> Option<Kind> {
                match number { $($number => Some(Kind::$kind),)* _ => None }
            }

            /// The name, as the specification writes it.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name),* }
            }
        }
    };
}
kinds! {
    1 Connect "CONNECT" 2 Connack "CONNACK" 3 Publish "PUBLISH" 4 Puback "PUBACK"
    5 Pubrec "PUBREC" 6 Pubrel "PUBREL" 7 Pubcomp "PUBCOMP" 8 Subscribe "SUBSCRIBE"
    9 Suback "SUBACK" 10 Unsubscribe "UNSUBSCRIBE" 11 Unsuback "UNSUBACK"
    12 Pingreq "PINGREQ" 13 Pingresp "PINGRESP" 14 Disconnect "DISCONNECT" 15 Auth "AUTH"
}

impl Kind {
    /// The type's number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The flags that it must have; nothing where they mean something.
    pub fn flags(self) -> Option<u8> {
        match self {
            Kind::Publish => None,
            Kind::Pubrel | Kind::Subscribe | Kind::Unsubscribe => Some(2),
            _ => Some(0),
        }
    }
}

/// Where properties and reason codes stand: a packet, or the will inside CONNECT. Two kinds
/// may hold more or less by who sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is a packet's name
pub enum Place {
    Connect,
    Will,
    Connack,
    ClientPublish,
    ServerPublish,
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
    Subscribe,
    Suback,
    Unsubscribe,
    Unsuback,
    ClientDisconnect,
    ServerDisconnect,
    ClientAuth,
    ServerAuth,
}

impl Place {
    /// The place's bit in a set of places.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The same packet of the other side, where that makes a difference.
    pub(crate) fn twin(self) -> Place {
        match self {
            Place::ClientPublish => Place::ServerPublish,
            Place::ServerPublish => Place::ClientPublish,
            Place::ClientDisconnect => Place::ServerDisconnect,
            Place::ServerDisconnect => Place::ClientDisconnect,
            Place::ClientAuth => Place::ServerAuth,
            Place::ServerAuth => Place::ClientAuth,
            other => other,
        }
    }

    /// The packet's name, or the will's.
    pub fn name(self) -> &'static str {
        match self {
            Place::Connect => "CONNECT",
            Place::Will => "a will",
            Place::Connack => "CONNACK",
            Place::ClientPublish => "a client's PUBLISH",
            Place::ServerPublish => "a server's PUBLISH",
            Place::Puback => "PUBACK",
            Place::Pubrec => "PUBREC",
            Place::Pubrel => "PUBREL",
            Place::Pubcomp => "PUBCOMP",
            Place::Subscribe => "SUBSCRIBE",
            Place::Suback => "SUBACK",
            Place::Unsubscribe => "UNSUBSCRIBE",
            Place::Unsuback => "UNSUBACK",
            Place::ClientDisconnect => "a client's DISCONNECT",
            Place::ServerDisconnect => "a server's DISCONNECT",
            Place::ClientAuth => "a client's AUTH",
            Place::ServerAuth => "a server's AUTH",
        }
    }
}

/// Quality of service (4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Qos {
    /// 0
    #[default]
    AtMostOnce,
    /// 1
    AtLeastOnce,
    /// 2
    ExactlyOnce,
}

impl Qos {
    /// The level of these bits; 3 is none.
    #[inline]
    pub fn of(bits: u8) -> Option<Qos> {
        match bits {
            0 => Some(Qos::AtMostOnce),
            1 => Some(Qos::AtLeastOnce),
            2 => Some(Qos::ExactlyOnce),
            _ => None,
        }
    }

    /// The level's number.
    pub fn bits(self) -> u8 {
        self as u8
    }
}

/// A packet identifier (2.2.1), never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(pub NonZeroU16);

/// Bytes that may prove who somebody is. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a [u8]);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A packet of either side.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // named as the specification names them
pub enum Packet<'a> {
    Connect(Connect<'a>),
    Connack(Connack<'a>),
    Publish(Publish<'a>),
    Puback(Ack<'a>),
    Pubrec(Ack<'a>),
    Pubrel(Ack<'a>),
    Pubcomp(Ack<'a>),
    Subscribe(Subscribe<'a>),
    Suback(Reply<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Unsuback(Reply<'a>),
    Pingreq,
    Pingresp,
    Disconnect(End<'a>),
    Auth(End<'a>),
}

impl Packet<'_> {
    /// The packet's type.
    pub fn kind(&self) -> Kind {
        match self {
            Packet::Connect(_) => Kind::Connect,
            Packet::Connack(_) => Kind::Connack,
            Packet::Publish(_) => Kind::Publish,
            Packet::Puback(_) => Kind::Puback,
            Packet::Pubrec(_) => Kind::Pubrec,
            Packet::Pubrel(_) => Kind::Pubrel,
            Packet::Pubcomp(_) => Kind::Pubcomp,
            Packet::Subscribe(_) => Kind::Subscribe,
            Packet::Suback(_) => Kind::Suback,
            Packet::Unsubscribe(_) => Kind::Unsubscribe,
            Packet::Unsuback(_) => Kind::Unsuback,
            Packet::Pingreq => Kind::Pingreq,
            Packet::Pingresp => Kind::Pingresp,
            Packet::Disconnect(_) => Kind::Disconnect,
            Packet::Auth(_) => Kind::Auth,
        }
    }
}

/// CONNECT (3.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connect<'a> {
    /// What is spoken from here on.
    pub version: Version,
    /// Clean Session of 3.1 and 3.1.1, Clean Start of 5.
    pub clean: bool,
    /// Seconds, 0 is none.
    pub keep_alive: u16,
    /// May be empty.
    pub client_id: &'a str,
    /// To be published when the connection breaks.
    pub will: Option<Will<'a>>,
    /// Who the client says it is.
    pub user: Option<&'a str>,
    /// What proves it.
    pub password: Option<Secret<'a>>,
    /// Version 5 only, as everywhere.
    pub properties: Properties<'a>,
}

/// A will (3.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // as in `Publish`
pub struct Will<'a> {
    pub qos: Qos,
    pub retain: bool,
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub properties: Properties<'a>,
}

/// CONNACK (3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connack<'a> {
    /// Never said in 3.1.
    pub session_present: bool,
    /// In 3.1 and 3.1.1 one of `Reason::return_code`.
    pub reason: Reason,
    /// Version 5 only.
    pub properties: Properties<'a>,
}

/// PUBLISH (3.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Publish<'a> {
    /// May have been sent before.
    pub dup: bool,
    /// How it is delivered.
    pub qos: Qos,
    /// To be kept for those who subscribe later.
    pub retain: bool,
    /// Empty where an alias stands for it.
    pub topic: &'a str,
    /// There unless QoS is 0.
    pub id: Option<PacketId>,
    /// Version 5 only.
    pub properties: Properties<'a>,
    /// The message.
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP (3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ack<'a> {
    /// What is answered.
    pub id: PacketId,
    /// Version 5 only, else `Success`.
    pub reason: Reason,
    /// Version 5 only.
    pub properties: Properties<'a>,
}

impl Ack<'_> {
    /// With success and nothing else to say.
    pub fn success(id: PacketId) -> Self {
        Ack { id, reason: Reason::Success, properties: Properties::NONE }
    }
}

/// SUBSCRIBE (3.8).
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Subscribe<'a> {
    pub id: PacketId,
    pub properties: Properties<'a>,
    pub subscriptions: Subscriptions<'a>,
}

/// UNSUBSCRIBE (3.10).
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Unsubscribe<'a> {
    pub id: PacketId,
    pub properties: Properties<'a>,
    pub filters: Filters<'a>,
}

/// SUBACK and UNSUBACK (3.9, 3.11).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reply<'a> {
    /// What is answered.
    pub id: PacketId,
    /// Version 5 only.
    pub properties: Properties<'a>,
    /// One for each filter; none in UNSUBACK of 3.1 and 3.1.1.
    pub reasons: Reasons<'a>,
}

/// DISCONNECT and AUTH (3.14, 3.15).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End<'a> {
    /// Version 5 only, else `Success`.
    pub reason: Reason,
    /// Version 5 only.
    pub properties: Properties<'a>,
}

/// What a subscriber wants of one filter (3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The most it wants.
    pub qos: Qos,
    /// Not what it has published itself.
    pub no_local: bool,
    /// With the retain flag that the publisher has set.
    pub retain_as_published: bool,
    /// When what is retained is sent.
    pub retain_handling: RetainHandling,
}

/// When retained messages are sent to a subscriber.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    /// 0: whenever it subscribes.
    #[default]
    Always,
    /// 1: only for a subscription that was not there.
    IfNew,
    /// 2: never.
    Never,
}

impl Options {
    /// The octet on the wire. 3.1 and 3.1.1 have nothing but the QoS.
    pub fn octet(self, version: Version) -> u8 {
        if version < Version::V5 {
            return self.qos.bits();
        }
        self.qos.bits()
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }
}

/// One filter and what is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Subscription<'a> {
    pub filter: &'a str,
    pub options: Options,
}

/// The payload of SUBSCRIBE: known to be well formed, and never empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subscriptions<'a> {
    pub(crate) version: Version,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Subscriptions<'a> {
    /// Each in its turn.
    pub fn iter(&self) -> impl Iterator<Item = Subscription<'a>> + use<'a> {
        let (version, mut r) = (self.version, Reader::new(self.bytes));
        std::iter::from_fn(move || subscription(&mut r, version).ok())
    }
}

/// The payload of UNSUBSCRIBE: known to be well formed, and never empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Filters<'a>(pub(crate) &'a [u8]);

impl<'a> Filters<'a> {
    /// Each in its turn.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut r = Reader::new(self.0);
        std::iter::from_fn(move || r.text("topic filter").ok())
    }
}

/// The payload of SUBACK and UNSUBACK: codes that may stand there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Reasons<'a>(pub(crate) &'a [u8]);

impl<'a> Reasons<'a> {
    /// The octets as they are on the wire, if each may stand there.
    pub fn check(place: Place, version: Version, octets: &'a [u8]) -> Result<Self, DecodeError> {
        let known = |octet: u8| match (place, version) {
            (Place::Suback, Version::V31) => octet < 3,
            (Place::Suback, Version::V311) => octet < 3 || octet == 0x80,
            _ => Reason::of(place, octet).is_some(),
        };
        match octets.iter().find(|octet| !known(**octet)) {
            Some(&octet) => Err(DecodeError::Reason { place, octet }),
            None => Ok(Reasons(octets)),
        }
    }

    /// Each in its turn.
    pub fn iter(&self) -> impl Iterator<Item = Reason> + use<'a> {
        let anywhere = [Place::Suback, Place::Unsuback];
        let octets = self.0.iter();
        octets.filter_map(move |o| anywhere.iter().find_map(|place| Reason::of(*place, *o)))
    }
}

macro_rules! listed {
    ($($list:ident)*) => {
        $(impl fmt::Debug for $list<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        })*
    };
}
listed!(Subscriptions Filters Reasons);
