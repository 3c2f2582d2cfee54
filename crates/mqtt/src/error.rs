//! What is wrong with a packet: each fault has its text, its clause and the reason code that
//! version 5 answers with. 3.1 and 3.1.1 close without a word. Never the broker's own faults.

use crate::frame::BadFrame;
use crate::packet::{Kind, Place, Side, Version};
use crate::reason::Reason;
use crate::topic::BadTopic;
use lockgate_model::Refusal;
use std::borrow::Cow;
use std::fmt;

/// Why a packet's bytes are not that packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the texts say it
pub enum DecodeError {
    #[error("{0} is cut short")]
    Short(&'static str),
    #[error("bytes after the end of {}", .0.name())]
    Trailing(Kind),
    #[error("flags {flags:04b} in {}", .kind.name())]
    Flags { kind: Kind, flags: u8 },
    #[error("{} does not come from a {from:?}", .kind.name())]
    Direction { kind: Kind, from: Side },
    #[error("{} is not of this version", .0.name())]
    Foreign(Kind),
    #[error("length in more bytes than it needs")]
    Padded,
    #[error("{0} is a number of more than four bytes")]
    Endless(&'static str),
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    #[error("{0} holds U+0000")]
    Null(&'static str),
    #[error("QoS 3")]
    Qos,
    #[error("DUP with QoS 0")]
    Dup,
    #[error("packet identifier 0")]
    PacketId,
    #[error("no topic and no alias")]
    NoTopic,
    #[error("{what}: {bad}")]
    Topic { what: &'static str, bad: BadTopic },
    #[error("topic filter: {0}")]
    Filter(BadTopic),
    #[error("{} without a topic filter", .0.name())]
    NoFilter(Kind),
    #[error("reserved bits in the subscription options {0:#04x}")]
    Options(u8),
    #[error("retain handling 3")]
    RetainHandling,
    #[error("no local on a shared subscription")]
    SharedNoLocal,
    #[error("protocol name is not MQTT")]
    Protocol,
    #[error("protocol level {0}")]
    Level(u8),
    #[error("reserved flag in CONNECT")]
    ConnectFlag,
    #[error("QoS of a will, and no will")]
    WillQos,
    #[error("will retain, and no will")]
    WillRetain,
    #[error("password without a user name")]
    Password,
    #[error("reserved flags in CONNACK")]
    ConnackFlags,
    #[error("session present, and refused")]
    SessionPresent,
    #[error("no code in {}", .0.name())]
    NoReason(Kind),
    #[error("{octet:#04x} is no code of {}", .place.name())]
    Reason { place: Place, octet: u8 },
    #[error("properties longer than the packet")]
    Properties,
    #[error("unknown property {0:#04x}")]
    UnknownProperty(u8),
    #[error("{name} does not belong into {}", .place.name())]
    Misplaced { name: &'static str, place: Place },
    #[error("{0} twice")]
    Twice(&'static str),
    #[error("{0} is 0")]
    Zero(&'static str),
    #[error("Topic Alias is 0")]
    Alias,
    #[error("{name} is {octet}, neither 0 nor 1")]
    Flag { name: &'static str, octet: u8 },
    #[error("Authentication Data without a method")]
    NoMethod,
}

impl DecodeError {
    /// What DISCONNECT or CONNACK of version 5 says.
    pub fn reason(self) -> Reason {
        match self {
            DecodeError::Direction { .. }
            | DecodeError::PacketId
            | DecodeError::NoTopic
            | DecodeError::NoFilter(_)
            | DecodeError::RetainHandling
            | DecodeError::SharedNoLocal
            | DecodeError::SessionPresent
            | DecodeError::NoReason(_)
            | DecodeError::Reason { .. }
            | DecodeError::Twice(_)
            | DecodeError::Zero(_)
            | DecodeError::Flag { .. }
            | DecodeError::NoMethod => Reason::Protocol,
            // Good in the same packet of the other side: nothing is wrong with its form.
            DecodeError::Misplaced { place, .. } if place.twin() != place => Reason::Protocol,
            DecodeError::Alias => Reason::TopicAliasInvalid,
            DecodeError::Topic { .. } => Reason::TopicNameInvalid,
            DecodeError::Filter(_) => Reason::TopicFilterInvalid,
            DecodeError::Protocol | DecodeError::Level(_) => Reason::UnsupportedVersion,
            _ => Reason::Malformed,
        }
    }

    /// The clause of the specification of version 5 that it breaks: a statement's number, or
    /// the section where none is numbered.
    pub fn clause(self) -> &'static str {
        match self {
            DecodeError::Short(_) | DecodeError::Trailing(_) => "2.1.4",
            DecodeError::Flags { .. } => "MQTT-2.1.3-1",
            DecodeError::Direction { .. } | DecodeError::Foreign(_) => "2.1.2",
            DecodeError::Padded => "MQTT-1.5.5-1",
            DecodeError::Endless(_) => "1.5.5",
            DecodeError::NotText(_) => "MQTT-1.5.4-1",
            DecodeError::Null(_) => "MQTT-1.5.4-2",
            DecodeError::Qos => "MQTT-3.3.1-4",
            DecodeError::Dup => "MQTT-3.3.1-2",
            DecodeError::PacketId => "MQTT-2.2.1-3",
            DecodeError::NoTopic => "3.3.2.1",
            DecodeError::Topic { bad, .. } | DecodeError::Filter(bad) => bad.clause(),
            DecodeError::NoFilter(Kind::Unsubscribe) => "MQTT-3.10.3-2",
            DecodeError::NoFilter(_) => "MQTT-3.8.3-2",
            DecodeError::Options(_) => "MQTT-3.8.3-5",
            DecodeError::RetainHandling => "3.8.3.1",
            DecodeError::SharedNoLocal => "MQTT-3.8.3-4",
            DecodeError::Protocol => "MQTT-3.1.2-1",
            DecodeError::Level(_) => "MQTT-3.1.2-2",
            DecodeError::ConnectFlag => "MQTT-3.1.2-3",
            DecodeError::WillQos => "MQTT-3.1.2-11",
            DecodeError::WillRetain => "MQTT-3.1.2-13",
            DecodeError::Password => "MQTT-3.1.2-22 of 3.1.1",
            DecodeError::ConnackFlags => "MQTT-3.2.2-1",
            DecodeError::SessionPresent => "MQTT-3.2.2-6",
            DecodeError::NoReason(_) | DecodeError::Reason { .. } => "2.4",
            DecodeError::Properties => "2.2.2.1",
            DecodeError::UnknownProperty(_)
            | DecodeError::Misplaced { .. }
            | DecodeError::Twice(_)
            | DecodeError::Zero(_)
            | DecodeError::Flag { .. } => "2.2.2.2",
            DecodeError::Alias => "MQTT-3.3.2-8",
            DecodeError::NoMethod => "3.1.2.11.10",
        }
    }
}

impl BadFrame {
    /// What DISCONNECT or CONNACK of version 5 says.
    pub fn reason(self) -> Reason {
        match self {
            BadFrame::Reserved | BadFrame::Length => Reason::Malformed,
            BadFrame::TooLarge { .. } => Reason::PacketTooLarge,
        }
    }
}

/// Why a packet cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Text or bytes of more than 65,535 bytes, or a number that its field does not hold.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// Larger than the receiver takes.
    #[error("a packet of {total} bytes, and {max} are taken")]
    TooLarge {
        /// The whole packet.
        total: usize,
        /// The largest that is taken.
        max: usize,
    },
    /// This version cannot say it.
    #[error("{} is not of {version:?}", .kind.name())]
    Foreign {
        /// The packet.
        kind: Kind,
        /// The version.
        version: Version,
    },
    /// A packet with QoS above 0 needs a packet identifier, and one with 0 has none.
    #[error("packet identifier and QoS do not agree")]
    PacketId,
}

/// A rule that a client has broken in its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What version 5 answers.
    pub reason: Reason,
    /// What went wrong, for whoever reads it.
    pub text: Cow<'static, str>,
    /// The statement of the specification, or the section where none is numbered; empty where
    /// it is a rule of ours.
    pub clause: &'static str,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(reason: Reason, text: impl Into<Cow<'static, str>>, clause: &'static str) -> Fault {
        Fault { reason, text: text.into(), clause }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} {}: {}", self.reason.number(), self.reason.name(), self.text)?;
        if self.clause.is_empty() { Ok(()) } else { write!(f, " [{}]", self.clause) }
    }
}

impl From<DecodeError> for Fault {
    fn from(e: DecodeError) -> Fault {
        Fault::new(e.reason(), e.to_string(), e.clause())
    }
}

impl From<BadFrame> for Fault {
    fn from(bad: BadFrame) -> Fault {
        let reason = bad.reason();
        match bad {
            BadFrame::Reserved => Fault::new(reason, "packet of type 0", "2.1.2"),
            BadFrame::Length => Fault::new(reason, "length of more than four bytes", "1.5.5"),
            BadFrame::TooLarge { kind, total, max } => Fault::new(
                reason,
                format!("{} of {total} bytes, and {max} are taken", kind.name()),
                "3.2.2.3.6",
            ),
        }
    }
}

/// How MQTT says the broker's no. It matches every refusal, so a new one does not compile
/// until it is spelled here.
pub(crate) fn refused(why: &Refusal) -> Fault {
    let reason = match why {
        Refusal::NoVhost(_)
        | Refusal::VhostDenied { .. }
        | Refusal::Denied { .. }
        | Refusal::NoUser(_) => Reason::NotAuthorized,
        Refusal::Limit(_) | Refusal::Barred(_) => Reason::QuotaExceeded,
        Refusal::Stopping => Reason::ServerShuttingDown,
        Refusal::Missing { .. }
        | Refusal::Locked { .. }
        | Refusal::Inequivalent { .. }
        | Refusal::InUse { .. }
        | Refusal::NotEmpty { .. }
        | Refusal::Reserved { .. }
        | Refusal::DefaultExchange
        | Refusal::Internal { .. }
        | Refusal::ExclusiveUse { .. }
        | Refusal::BadArgument { .. }
        | Refusal::NotOfStreams { .. }
        | Refusal::Invalid(_) => Reason::ImplementationSpecific,
    };
    Fault::new(reason, why.to_string(), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_model::{Deed, Name, Object, Verb};

    #[test]
    fn every_no_of_the_broker_is_said_wherever_it_may_come() {
        let (name, vhost, user) = (Name::from("n"), Name::from("v"), Name::from("u"));
        let (object, text) = (Object::Queue, String::new);
        let named = || (name.clone(), vhost.clone());
        let denied = Refusal::Denied {
            verb: Verb::Write,
            object,
            name: name.clone(),
            vhost: vhost.clone(),
            user: user.clone(),
        };
        let inequivalent = Refusal::Inequivalent {
            object,
            name: name.clone(),
            vhost: vhost.clone(),
            field: text(),
            received: text(),
            current: text(),
        };
        let bad = Refusal::BadArgument {
            object,
            name: name.clone(),
            vhost: vhost.clone(),
            argument: text(),
            reason: text(),
        };
        let of = |make: fn(Name, Name) -> Refusal| {
            let (name, vhost) = named();
            make(name, vhost)
        };
        // Refusal; octets in CONNACK, of 3.1.1 and 5, in SUBACK and in DISCONNECT.
        let all = [
            (Refusal::NoVhost(vhost.clone()), [5, 0x87, 0x87, 0x87]),
            (
                of(|_, vhost| Refusal::VhostDenied { vhost, user: "u".into() }),
                [5, 0x87, 0x87, 0x87],
            ),
            (denied, [5, 0x87, 0x87, 0x87]),
            (Refusal::NoUser(user), [5, 0x87, 0x87, 0x87]),
            (Refusal::Limit(text()), [3, 0x97, 0x97, 0x97]),
            (Refusal::Barred(text()), [3, 0x97, 0x97, 0x97]),
            (Refusal::Stopping, [3, 0x88, 0x80, 0x8b]),
            (
                of(|name, vhost| Refusal::Missing { object: Object::Exchange, name, vhost }),
                [3, 0x83, 0x83, 0x83],
            ),
            (of(|name, vhost| Refusal::Locked { name, vhost }), [3, 0x83, 0x83, 0x83]),
            (inequivalent, [3, 0x83, 0x83, 0x83]),
            (
                of(|name, vhost| Refusal::InUse { object: Object::Queue, name, vhost }),
                [3, 0x83, 0x83, 0x83],
            ),
            (of(|name, vhost| Refusal::NotEmpty { name, vhost }), [3, 0x83, 0x83, 0x83]),
            (
                of(|name, vhost| Refusal::Reserved { object: Object::Queue, name, vhost }),
                [3, 0x83, 0x83, 0x83],
            ),
            (Refusal::DefaultExchange, [3, 0x83, 0x83, 0x83]),
            (of(|name, vhost| Refusal::Internal { name, vhost }), [3, 0x83, 0x83, 0x83]),
            (of(|name, vhost| Refusal::ExclusiveUse { name, vhost }), [3, 0x83, 0x83, 0x83]),
            (bad, [3, 0x83, 0x83, 0x83]),
            (
                of(|name, vhost| Refusal::NotOfStreams { deed: Deed::Get, name, vhost }),
                [3, 0x83, 0x83, 0x83],
            ),
            (Refusal::Invalid(text()), [3, 0x83, 0x83, 0x83]),
        ];
        for (why, octets) in all {
            let reason = refused(&why).reason;
            let in_place = |place| reason.in_place(place).number();
            let got = [
                reason.in_place(Place::Connack).return_code(),
                in_place(Place::Connack),
                in_place(Place::Suback),
                in_place(Place::ServerDisconnect),
            ];
            assert_eq!(got, octets, "{why:?}");
        }
    }

    #[test]
    fn a_reason_where_it_may_not_stand_is_the_nearest_that_may() {
        for reason in Reason::ALL {
            for place in [Place::Connack, Place::Suback, Place::ServerDisconnect, Place::Puback] {
                let said = reason.in_place(place);
                assert_eq!(Reason::of(place, said.number()), Some(said), "{reason:?} {place:?}");
                let stands = Reason::of(place, reason.number()) == Some(*reason);
                assert!(!stands || said == *reason, "{reason:?} {place:?}");
            }
        }
    }
}
