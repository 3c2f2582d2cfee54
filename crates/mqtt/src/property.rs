//! Properties of version 5 (2.2.2): one table says each one's number, type and packets, and
//! the decoder, the encoder and the questions are made from it. A list of properties stays
//! the bytes that were read, checked once; nothing is copied out of it.

use crate::decode::Reader;
use crate::encode::put_data;
use crate::error::{DecodeError, EncodeError};
use crate::frame::{LENGTH_MAX, put_number};
use crate::packet::{Place, Secret};
use crate::topic;
use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};

/// Hands the table of all properties to the macro `$then`.
///
/// A row is: number, variant, question, name, kind, once or many, places. Kinds: flag (0 or
/// 1), short u16, long u32, some_short, some_long, some_number (not 0), alias (u16, not 0),
/// text, topic (text without wildcards), blob, secret (never printed), pair (two texts).
macro_rules! property_table {
    ($then:ident) => {
        $then! {
            0x01 PayloadFormat payload_format "Payload Format Indicator" flag once
                [ClientPublish ServerPublish Will]
            0x02 MessageExpiry message_expiry "Message Expiry Interval" long once
                [ClientPublish ServerPublish Will]
            0x03 ContentType content_type "Content Type" text once
                [ClientPublish ServerPublish Will]
            0x08 ResponseTopic response_topic "Response Topic" topic once
                [ClientPublish ServerPublish Will]
            0x09 CorrelationData correlation_data "Correlation Data" blob once
                [ClientPublish ServerPublish Will]
            0x0b SubscriptionId subscription_id "Subscription Identifier" some_number by_place
                [ServerPublish Subscribe]
            0x11 SessionExpiry session_expiry "Session Expiry Interval" long once
                [Connect Connack ClientDisconnect]
            0x12 AssignedClientId assigned_client_id "Assigned Client Identifier" text once
                [Connack]
            0x13 ServerKeepAlive server_keep_alive "Server Keep Alive" short once [Connack]
            0x15 AuthMethod auth_method "Authentication Method" text once
                [Connect Connack ClientAuth ServerAuth]
            0x16 AuthData auth_data "Authentication Data" secret once
                [Connect Connack ClientAuth ServerAuth]
            0x17 RequestProblem request_problem "Request Problem Information" flag once [Connect]
            0x18 WillDelay will_delay "Will Delay Interval" long once [Will]
            0x19 RequestResponse request_response "Request Response Information" flag once
                [Connect]
            0x1a ResponseInformation response_information "Response Information" text once
                [Connack]
            0x1c ServerReference server_reference "Server Reference" text once
                [Connack ServerDisconnect]
            0x1f ReasonString reason_string "Reason String" text once
                [Connack Puback Pubrec Pubrel Pubcomp Suback Unsuback ClientDisconnect
                 ServerDisconnect ClientAuth ServerAuth]
            0x21 ReceiveMaximum receive_maximum "Receive Maximum" some_short once
                [Connect Connack]
            0x22 TopicAliasMaximum topic_alias_maximum "Topic Alias Maximum" short once
                [Connect Connack]
            0x23 TopicAlias topic_alias "Topic Alias" alias once [ClientPublish ServerPublish]
            0x24 MaximumQos maximum_qos "Maximum QoS" flag once [Connack]
            0x25 RetainAvailable retain_available "Retain Available" flag once [Connack]
            0x26 UserProperty first_user_property "User Property" pair many
                [Connect Will Connack ClientPublish ServerPublish Puback Pubrec Pubrel Pubcomp
                 Subscribe Suback Unsubscribe Unsuback ClientDisconnect ServerDisconnect
                 ClientAuth ServerAuth]
            0x27 MaximumPacketSize maximum_packet_size "Maximum Packet Size" some_long once
                [Connect Connack]
            0x28 WildcardAvailable wildcard_available "Wildcard Subscription Available" flag once
                [Connack]
            0x29 SubscriptionIdAvailable subscription_id_available
                "Subscription Identifier Available" flag once [Connack]
            0x2a SharedAvailable shared_available "Shared Subscription Available" flag once
                [Connack]
        }
    };
}

macro_rules! kind_type {
    (flag) => { bool };
    (short) => { u16 };
    (long) => { u32 };
    (some_short) => { NonZeroU16 };
    (alias) => { NonZeroU16 };
    (some_long) => { NonZeroU32 };
    (some_number) => { NonZeroU32 };
    (text) => { &'a str };
    (topic) => { &'a str };
    (blob) => { &'a [u8] };
    (secret) => { Secret<'a> };
    (pair) => { (&'a str, &'a str) };
}

macro_rules! define {
    ($($id:literal $variant:ident $ask:ident $name:literal $kind:ident $times:ident
       [$($place:ident)*])*) => {
        /// One property.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // named as the specification names them
        pub enum Property<'a> { $($variant(kind_type!($kind))),* }

        impl<'a> Property<'a> {
            /// Its number on the wire.
            pub fn id(&self) -> u8 {
                match self { $(Property::$variant(_) => $id),* }
            }

            /// Its name, as the specification writes it.
            pub fn name(&self) -> &'static str {
                match self { $(Property::$variant(_) => $name),* }
            }

            /// The packets that it may stand in.
            fn places(&self) -> u32 {
                match self { $(Property::$variant(_) => 0 $(| Place::$place.bit())*),* }
            }

            fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
                // Numbers are variable byte integers, but none is above 127.
                match r.octet("property")? {
                    $($id => Ok(Property::$variant(values::$kind(r, $name)?)),)*
                    other => Err(DecodeError::UnknownProperty(other)),
                }
            }

            pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                out.push(self.id());
                match self { $(Property::$variant(value) => put::$kind(out, value, $name)),* }
            }

            /// May it stand twice in a packet?
            fn is_many(&self, place: Place) -> bool {
                match self { $(Property::$variant(_) => many!($times, place)),* }
            }
        }

        impl<'a> Properties<'a> {
            $(#[doc = concat!("The first ", $name, ".")]
            pub fn $ask(&self) -> Option<kind_type!($kind)> {
                self.iter().find_map(|p| match p {
                    Property::$variant(value) => Some(value),
                    _ => None,
                })
            })*
        }
    };
}
macro_rules! many {
    (once, $place:ident) => {
        false
    };
    (many, $place:ident) => {
        true
    };
    // A message says which subscriptions it is for, a subscription has one identifier.
    (by_place, $place:ident) => {
        $place == Place::ServerPublish
    };
}
property_table!(define);

/// How values are read.
mod values {
    use super::*;

    type Got<T> = Result<T, DecodeError>;

    pub(super) fn flag(r: &mut Reader<'_>, name: &'static str) -> Got<bool> {
        match r.octet(name)? {
            0 => Ok(false),
            1 => Ok(true),
            octet => Err(DecodeError::Flag { name, octet }),
        }
    }
    pub(super) fn short(r: &mut Reader<'_>, name: &'static str) -> Got<u16> {
        r.short(name)
    }
    pub(super) fn long(r: &mut Reader<'_>, name: &'static str) -> Got<u32> {
        r.long(name)
    }
    pub(super) fn some_short(r: &mut Reader<'_>, name: &'static str) -> Got<NonZeroU16> {
        NonZeroU16::new(r.short(name)?).ok_or(DecodeError::Zero(name))
    }
    pub(super) fn alias(r: &mut Reader<'_>, name: &'static str) -> Got<NonZeroU16> {
        NonZeroU16::new(r.short(name)?).ok_or(DecodeError::Alias)
    }
    pub(super) fn some_long(r: &mut Reader<'_>, name: &'static str) -> Got<NonZeroU32> {
        NonZeroU32::new(r.long(name)?).ok_or(DecodeError::Zero(name))
    }
    pub(super) fn some_number(r: &mut Reader<'_>, name: &'static str) -> Got<NonZeroU32> {
        NonZeroU32::new(r.number(name)?).ok_or(DecodeError::Zero(name))
    }
    pub(super) fn text<'a>(r: &mut Reader<'a>, name: &'static str) -> Got<&'a str> {
        r.text(name)
    }
    pub(super) fn topic<'a>(r: &mut Reader<'a>, what: &'static str) -> Got<&'a str> {
        let name = r.text(what)?;
        topic::check_name(name).map_err(|bad| DecodeError::Topic { what, bad })?;
        Ok(name)
    }
    pub(super) fn blob<'a>(r: &mut Reader<'a>, name: &'static str) -> Got<&'a [u8]> {
        r.data(name)
    }
    pub(super) fn secret<'a>(r: &mut Reader<'a>, name: &'static str) -> Got<Secret<'a>> {
        r.data(name).map(Secret)
    }
    pub(super) fn pair<'a>(r: &mut Reader<'a>, name: &'static str) -> Got<(&'a str, &'a str)> {
        Ok((r.text(name)?, r.text(name)?))
    }
}

/// How values are written.
mod put {
    use super::*;

    type Put = Result<(), EncodeError>;

    pub(super) fn flag(out: &mut Vec<u8>, value: &bool, _: &'static str) -> Put {
        out.push((*value).into());
        Ok(())
    }
    pub(super) fn short(out: &mut Vec<u8>, value: &u16, _: &'static str) -> Put {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }
    pub(super) fn long(out: &mut Vec<u8>, value: &u32, _: &'static str) -> Put {
        out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }
    pub(super) fn some_short(out: &mut Vec<u8>, value: &NonZeroU16, name: &'static str) -> Put {
        short(out, &value.get(), name)
    }
    pub(super) fn alias(out: &mut Vec<u8>, value: &NonZeroU16, name: &'static str) -> Put {
        short(out, &value.get(), name)
    }
    pub(super) fn some_long(out: &mut Vec<u8>, value: &NonZeroU32, name: &'static str) -> Put {
        long(out, &value.get(), name)
    }
    pub(super) fn some_number(out: &mut Vec<u8>, value: &NonZeroU32, name: &'static str) -> Put {
        let value = value.get() as usize;
        if value > LENGTH_MAX {
            return Err(EncodeError::TooLong(name));
        }
        put_number(out, value);
        Ok(())
    }
    pub(super) fn text(out: &mut Vec<u8>, value: &str, name: &'static str) -> Put {
        put_data(out, value.as_bytes(), name)
    }
    pub(super) fn topic(out: &mut Vec<u8>, value: &str, name: &'static str) -> Put {
        put_data(out, value.as_bytes(), name)
    }
    pub(super) fn blob(out: &mut Vec<u8>, value: &[u8], name: &'static str) -> Put {
        put_data(out, value, name)
    }
    pub(super) fn secret(out: &mut Vec<u8>, value: &Secret<'_>, name: &'static str) -> Put {
        put_data(out, value.0, name)
    }
    pub(super) fn pair(out: &mut Vec<u8>, value: &(&str, &str), name: &'static str) -> Put {
        put_data(out, value.0.as_bytes(), name)?;
        put_data(out, value.1.as_bytes(), name)
    }
}

/// A packet's properties where they were read, without their length: known to be good.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// None at all; what 3.1 and 3.1.1 have.
    pub const NONE: Properties<'static> = Properties(&[]);

    /// All of `bytes`, if they are properties that such a packet may have.
    pub fn check(place: Place, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        // One bit for each number: the highest is 0x2a.
        let mut seen = 0_u64;
        while !r.is_empty() {
            let property = Property::read(&mut r)?;
            if property.places() & place.bit() == 0 {
                return Err(DecodeError::Misplaced { name: property.name(), place });
            }
            let bit = 1 << property.id();
            if seen & bit != 0 && !property.is_many(place) {
                return Err(DecodeError::Twice(property.name()));
            }
            seen |= bit;
        }
        let (method, data) = (1 << 0x15, 1 << 0x16);
        if seen & data != 0 && seen & method == 0 {
            return Err(DecodeError::NoMethod);
        }
        Ok(Properties(bytes))
    }

    /// Each in its turn, as they were sent.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        let mut r = Reader::new(self.0);
        std::iter::from_fn(move || Property::read(&mut r).ok())
    }

    /// All user properties, in their order.
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|p| match p {
            Property::UserProperty(pair) => Some(pair),
            _ => None,
        })
    }

    /// All subscription identifiers, in their order.
    pub fn subscription_ids(&self) -> impl Iterator<Item = NonZeroU32> + use<'a> {
        self.iter().filter_map(|p| match p {
            Property::SubscriptionId(id) => Some(id),
            _ => None,
        })
    }

    /// The bytes on the wire, without their length.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Properties that are put together to be sent. Whoever does it knows which may stand where.
#[derive(Clone, Debug, Default)]
pub struct PropertyList(Vec<u8>);

impl PropertyList {
    /// Appends one; the list is as it was if it cannot be said.
    pub fn push(&mut self, property: &Property<'_>) -> Result<(), EncodeError> {
        let before = self.0.len();
        property.write(&mut self.0).inspect_err(|_| self.0.truncate(before))
    }

    /// Empties the list and keeps its room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is in it.
    pub fn properties(&self) -> Properties<'_> {
        Properties(&self.0)
    }
}
