//! Bytes to packets, and nothing else. Works on the exact body of one packet: a field that
//! is cut short is an error, never a wish for more. Every rule that one packet alone can
//! break is checked here; what depends on the conversation is not.

use crate::error::DecodeError;
use crate::frame::{self, Head};
use crate::packet::*;
use crate::property::Properties;
use crate::reason::Reason;
use crate::topic::{self, BadTopic, Filter};
use nom::error::{ErrorKind, ParseError};
use nom::multi::length_data;
use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};
use std::num::NonZeroU16;

type Got<T> = Result<T, DecodeError>;

/// The only thing that can go wrong inside a parser on an exact slice.
#[derive(Debug)]
struct Short;

impl<I> ParseError<I> for Short {
    fn from_error_kind(_: I, _: ErrorKind) -> Self {
        Short
    }
    fn append(_: I, _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Bytes behind their length.
fn data(bytes: &[u8]) -> IResult<&[u8], &[u8], Short> {
    length_data(be_u16).parse(bytes)
}

/// Reads field after field; each has the name that an error gives.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn take<O>(
        &mut self,
        field: &'static str,
        mut parser: impl Parser<&'a [u8], Output = O, Error = Short>,
    ) -> Got<O> {
        let (rest, value) = parser.parse(self.rest).map_err(|_| DecodeError::Short(field))?;
        self.rest = rest;
        Ok(value)
    }

    pub(crate) fn octet(&mut self, field: &'static str) -> Got<u8> {
        self.take(field, be_u8)
    }

    pub(crate) fn short(&mut self, field: &'static str) -> Got<u16> {
        self.take(field, be_u16)
    }

    pub(crate) fn long(&mut self, field: &'static str) -> Got<u32> {
        self.take(field, be_u32)
    }

    /// A variable byte integer, in as few bytes as can be.
    pub(crate) fn number(&mut self, field: &'static str) -> Got<u32> {
        let (value, used) = frame::number(self.rest)
            .map_err(|_| DecodeError::Endless(field))?
            .ok_or(DecodeError::Short(field))?;
        if used > frame::number_size(value as usize) {
            return Err(DecodeError::Padded);
        }
        self.rest = self.rest.get(used..).unwrap_or_default();
        Ok(value)
    }

    pub(crate) fn data(&mut self, field: &'static str) -> Got<&'a [u8]> {
        self.take(field, data)
    }

    /// UTF-8, in which U+0000 may be. `str` has no surrogates.
    #[inline]
    fn utf8(&mut self, field: &'static str) -> Got<&'a str> {
        std::str::from_utf8(self.data(field)?).map_err(|_| DecodeError::NotText(field))
    }

    /// UTF-8 without U+0000.
    #[inline]
    pub(crate) fn text(&mut self, field: &'static str) -> Got<&'a str> {
        let text = self.utf8(field)?;
        if text.as_bytes().contains(&0) {
            return Err(DecodeError::Null(field));
        }
        Ok(text)
    }

    #[inline]
    fn packet_id(&mut self) -> Got<PacketId> {
        let id = self.short("packet identifier")?;
        NonZeroU16::new(id).map(PacketId).ok_or(DecodeError::PacketId)
    }

    /// The properties behind their length; before version 5 there are none.
    #[inline]
    fn properties(&mut self, version: Version, place: Place) -> Got<Properties<'a>> {
        if version < Version::V5 {
            return Ok(Properties::NONE);
        }
        let length = self.number("property length")? as usize;
        if length == 0 {
            return Ok(Properties::NONE);
        }
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Properties)?;
        self.rest = rest;
        Properties::check(place, bytes)
    }

    fn reason(&mut self, place: Place) -> Got<Reason> {
        let octet = self.octet("reason code")?;
        Reason::of(place, octet).ok_or(DecodeError::Reason { place, octet })
    }

    /// All that is left.
    fn all(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }
}

/// The packet whose head and body `frame::cut` has found, sent by `from`. `version` is what
/// CONNECT has said; a CONNECT says it for itself.
#[inline]
pub fn packet(from: Side, version: Version, head: Head, body: &[u8]) -> Got<Packet<'_>> {
    let Head { kind, flags, .. } = head;
    // Nothing before version 5 asks for the shortest form, and there are devices that leave
    // room for four bytes.
    let padded = head.header > 1 + frame::number_size(head.size);
    if version == Version::V5 && padded && kind != Kind::Connect {
        return Err(DecodeError::Padded);
    }
    if kind == Kind::Publish {
        return publish(from, version, flags, body).map(Packet::Publish);
    }
    check_side(from, version, kind)?;
    check_flags(version, kind, flags)?;
    let mut r = Reader::new(body);
    let packet = match kind {
        Kind::Connect => connect(&mut r, padded)?,
        Kind::Connack => connack(&mut r, version)?,
        Kind::Puback => Packet::Puback(ack(&mut r, version, Place::Puback)?),
        Kind::Pubrec => Packet::Pubrec(ack(&mut r, version, Place::Pubrec)?),
        Kind::Pubrel => Packet::Pubrel(ack(&mut r, version, Place::Pubrel)?),
        Kind::Pubcomp => Packet::Pubcomp(ack(&mut r, version, Place::Pubcomp)?),
        Kind::Subscribe => subscribe(&mut r, version)?,
        Kind::Suback => Packet::Suback(reply(&mut r, version, kind, Place::Suback)?),
        Kind::Unsubscribe => unsubscribe(&mut r, version)?,
        Kind::Unsuback => Packet::Unsuback(reply(&mut r, version, kind, Place::Unsuback)?),
        Kind::Pingreq => Packet::Pingreq,
        Kind::Pingresp => Packet::Pingresp,
        Kind::Disconnect => Packet::Disconnect(disconnect(&mut r, version, from)?),
        Kind::Auth => Packet::Auth(auth(&mut r, from)?),
        Kind::Publish => return Err(DecodeError::Direction { kind, from }),
    };
    if r.is_empty() { Ok(packet) } else { Err(DecodeError::Trailing(kind)) }
}

/// Who may send what (2.1.2).
fn check_side(from: Side, version: Version, kind: Kind) -> Got<()> {
    if kind == Kind::Auth && version < Version::V5 {
        return Err(DecodeError::Foreign(kind));
    }
    let only = match kind {
        Kind::Connect | Kind::Subscribe | Kind::Unsubscribe | Kind::Pingreq => Some(Side::Client),
        Kind::Connack | Kind::Suback | Kind::Unsuback | Kind::Pingresp => Some(Side::Server),
        Kind::Disconnect if version < Version::V5 => Some(Side::Client),
        _ => None,
    };
    match only {
        Some(side) if side != from => Err(DecodeError::Direction { kind, from }),
        _ => Ok(()),
    }
}

fn check_flags(version: Version, kind: Kind, flags: u8) -> Got<()> {
    let must = kind.flags().unwrap_or(flags);
    // In 3.1 what carries QoS 1 may be sent again with DUP, and what has no use for the
    // flags says nothing of them.
    let good = match version {
        Version::V31 if must == 0 => true,
        Version::V31 => flags & 0b0110 == must,
        _ => flags == must,
    };
    if good { Ok(()) } else { Err(DecodeError::Flags { kind, flags }) }
}

/// The check for U+0000 is in it, so that the text is gone over once.
#[inline]
fn check_topic(what: &'static str, name: &str) -> Got<()> {
    topic::check_name(name).map_err(|bad| match bad {
        BadTopic::Null => DecodeError::Null(what),
        bad => DecodeError::Topic { what, bad },
    })
}

#[inline]
fn publish(from: Side, version: Version, flags: u8, body: &[u8]) -> Got<Publish<'_>> {
    let mut r = Reader::new(body);
    let qos = Qos::of(flags >> 1 & 3).ok_or(DecodeError::Qos)?;
    let (dup, retain) = (flags & 8 != 0, flags & 1 != 0);
    if dup && qos == Qos::AtMostOnce && version > Version::V31 {
        return Err(DecodeError::Dup);
    }
    let topic = r.utf8("topic name")?;
    if !(topic.is_empty() && version == Version::V5) {
        check_topic("topic name", topic)?;
    }
    let id = if qos == Qos::AtMostOnce { None } else { Some(r.packet_id()?) };
    let place = match from {
        Side::Client => Place::ClientPublish,
        Side::Server => Place::ServerPublish,
    };
    let properties = r.properties(version, place)?;
    if topic.is_empty() && properties.topic_alias().is_none() {
        return Err(DecodeError::NoTopic);
    }
    Ok(Publish { dup, qos, retain, topic, id, properties, payload: r.all() })
}

fn connect<'a>(r: &mut Reader<'a>, padded: bool) -> Got<Packet<'a>> {
    let version = match (r.data("protocol name")?, r.octet("protocol level")?) {
        (b"MQIsdp", 3) => Version::V31,
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        (b"MQIsdp" | b"MQTT", level) => return Err(DecodeError::Level(level)),
        _ => return Err(DecodeError::Protocol),
    };
    if padded && version == Version::V5 {
        return Err(DecodeError::Padded);
    }
    let flags = r.octet("connect flags")?;
    let flag = |n: u8| flags >> n & 1 != 0;
    let (has_user, has_password, has_will) = (flag(7), flag(6), flag(2));
    if version > Version::V31 {
        if flag(0) {
            return Err(DecodeError::ConnectFlag);
        }
        if !has_will && flags & 0b0001_1000 != 0 {
            return Err(DecodeError::WillQos);
        }
        if !has_will && flag(5) {
            return Err(DecodeError::WillRetain);
        }
    }
    if has_password && !has_user && version < Version::V5 {
        return Err(DecodeError::Password);
    }
    let keep_alive = r.short("keep alive")?;
    let properties = r.properties(version, Place::Connect)?;
    let client_id = r.text("client identifier")?;
    let will = if has_will { Some(will(r, version, flags)?) } else { None };
    // In 3.1 the length of the packet goes before these flags: what is not there was not sent.
    let there = |r: &Reader<'_>| !(version == Version::V31 && r.is_empty());
    let user = if has_user && there(r) { Some(r.text("user name")?) } else { None };
    let password = if has_password && there(r) { Some(Secret(r.data("password")?)) } else { None };
    let clean = flag(1);
    Ok(Packet::Connect(Connect {
        version,
        clean,
        keep_alive,
        client_id,
        will,
        user,
        password,
        properties,
    }))
}

fn will<'a>(r: &mut Reader<'a>, version: Version, flags: u8) -> Got<Will<'a>> {
    let qos = Qos::of(flags >> 3 & 3).ok_or(DecodeError::Qos)?;
    let properties = r.properties(version, Place::Will)?;
    let topic = r.text("will topic")?;
    check_topic("will topic", topic)?;
    let payload = r.data("will payload")?;
    Ok(Will { qos, retain: flags & 0x20 != 0, topic, payload, properties })
}

fn connack<'a>(r: &mut Reader<'a>, version: Version) -> Got<Packet<'a>> {
    let flags = r.octet("connack flags")?;
    if flags > 1 && version > Version::V31 {
        return Err(DecodeError::ConnackFlags);
    }
    let session_present = version > Version::V31 && flags == 1;
    let reason = if version == Version::V5 {
        r.reason(Place::Connack)?
    } else {
        let octet = r.octet("return code")?;
        let place = Place::Connack;
        Reason::of_return_code(octet).ok_or(DecodeError::Reason { place, octet })?
    };
    if session_present && reason != Reason::Success {
        return Err(DecodeError::SessionPresent);
    }
    let properties = r.properties(version, Place::Connack)?;
    Ok(Packet::Connack(Connack { session_present, reason, properties }))
}

#[inline]
fn ack<'a>(r: &mut Reader<'a>, version: Version, place: Place) -> Got<Ack<'a>> {
    let mut ack = Ack::success(r.packet_id()?);
    // What is not there is success, and no properties (3.4.2.1).
    if version == Version::V5 && !r.is_empty() {
        ack.reason = r.reason(place)?;
        if !r.is_empty() {
            ack.properties = r.properties(version, place)?;
        }
    }
    Ok(ack)
}

/// A topic filter that can be subscribed to.
fn filter<'a>(r: &mut Reader<'a>) -> Got<Filter<'a>> {
    Filter::of(r.text("topic filter")?).map_err(DecodeError::Filter)
}

/// One filter of SUBSCRIBE with its options.
pub(crate) fn subscription<'a>(r: &mut Reader<'a>, version: Version) -> Got<Subscription<'a>> {
    let filter = filter(r)?;
    let octet = r.octet("subscription options")?;
    let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
    if octet & reserved != 0 {
        return Err(DecodeError::Options(octet));
    }
    let retain_handling = match octet >> 4 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(DecodeError::RetainHandling),
    };
    let options = Options {
        qos: Qos::of(octet & 3).ok_or(DecodeError::Qos)?,
        no_local: octet & 4 != 0,
        retain_as_published: octet & 8 != 0,
        retain_handling,
    };
    if options.no_local && filter.group.is_some() {
        return Err(DecodeError::SharedNoLocal);
    }
    Ok(Subscription { filter: filter.whole, options })
}

impl<'a> Subscriptions<'a> {
    /// The payload of a SUBSCRIBE, if it is one.
    pub fn check(version: Version, bytes: &'a [u8]) -> Got<Self> {
        let mut r = Reader::new(bytes);
        if r.is_empty() {
            return Err(DecodeError::NoFilter(Kind::Subscribe));
        }
        while !r.is_empty() {
            subscription(&mut r, version)?;
        }
        Ok(Subscriptions { version, bytes })
    }
}

impl<'a> Filters<'a> {
    /// The payload of an UNSUBSCRIBE, if it is one.
    pub fn check(bytes: &'a [u8]) -> Got<Self> {
        let mut r = Reader::new(bytes);
        if r.is_empty() {
            return Err(DecodeError::NoFilter(Kind::Unsubscribe));
        }
        while !r.is_empty() {
            filter(&mut r)?;
        }
        Ok(Filters(bytes))
    }
}

fn subscribe<'a>(r: &mut Reader<'a>, version: Version) -> Got<Packet<'a>> {
    let id = r.packet_id()?;
    let properties = r.properties(version, Place::Subscribe)?;
    let subscriptions = Subscriptions::check(version, r.all())?;
    Ok(Packet::Subscribe(Subscribe { id, properties, subscriptions }))
}

fn unsubscribe<'a>(r: &mut Reader<'a>, version: Version) -> Got<Packet<'a>> {
    let id = r.packet_id()?;
    let properties = r.properties(version, Place::Unsubscribe)?;
    let filters = Filters::check(r.all())?;
    Ok(Packet::Unsubscribe(Unsubscribe { id, properties, filters }))
}

fn reply<'a>(r: &mut Reader<'a>, version: Version, kind: Kind, place: Place) -> Got<Reply<'a>> {
    let id = r.packet_id()?;
    let properties = r.properties(version, place)?;
    if place == Place::Unsuback && version < Version::V5 {
        return Ok(Reply { id, properties, reasons: Reasons(&[]) });
    }
    if r.is_empty() {
        return Err(DecodeError::NoReason(kind));
    }
    Ok(Reply { id, properties, reasons: Reasons::check(place, version, r.all())? })
}

fn disconnect<'a>(r: &mut Reader<'a>, version: Version, from: Side) -> Got<End<'a>> {
    let place = match from {
        Side::Client => Place::ClientDisconnect,
        Side::Server => Place::ServerDisconnect,
    };
    let mut end = End { reason: Reason::Success, properties: Properties::NONE };
    if version == Version::V5 && !r.is_empty() {
        end.reason = r.reason(place)?;
        if !r.is_empty() {
            end.properties = r.properties(version, place)?;
        }
    }
    Ok(end)
}

fn auth<'a>(r: &mut Reader<'a>, from: Side) -> Got<End<'a>> {
    let place = match from {
        Side::Client => Place::ClientAuth,
        Side::Server => Place::ServerAuth,
    };
    if r.is_empty() {
        let octet = Reason::Success.number();
        let reason = Reason::of(place, octet).ok_or(DecodeError::Reason { place, octet })?;
        return Ok(End { reason, properties: Properties::NONE });
    }
    let reason = r.reason(place)?;
    Ok(End { reason, properties: r.properties(Version::V5, place)? })
}
