//! Packets to bytes, and nothing else. What cannot be said, or is larger than the receiver
//! takes, is refused, and then nothing was written. Properties are written as they are: who
//! sends them knows which may stand where.

use crate::error::EncodeError;
use crate::frame::{LENGTH_MAX, number_size, put_number};
use crate::packet::*;
use crate::property::Properties;
use crate::reason::Reason;

type Put = Result<(), EncodeError>;

/// Appends bytes behind their length.
pub(crate) fn put_data(out: &mut Vec<u8>, bytes: &[u8], field: &'static str) -> Put {
    let length = u16::try_from(bytes.len()).map_err(|_| EncodeError::TooLong(field))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends one filter with its options to the payload of a SUBSCRIBE.
pub fn subscription(out: &mut Vec<u8>, version: Version, s: &Subscription<'_>) -> Put {
    put_data(out, s.filter.as_bytes(), "topic filter")?;
    out.push(s.options.octet(version));
    Ok(())
}

/// Appends one filter to the payload of an UNSUBSCRIBE.
pub fn filter(out: &mut Vec<u8>, filter: &str) -> Put {
    put_data(out, filter.as_bytes(), "topic filter")
}

fn put_id(out: &mut Vec<u8>, id: PacketId) {
    out.extend_from_slice(&id.0.get().to_be_bytes());
}

fn put_properties(out: &mut Vec<u8>, version: Version, properties: &Properties<'_>) -> Put {
    if version < Version::V5 {
        return Ok(());
    }
    let bytes = properties.as_bytes();
    if bytes.len() > LENGTH_MAX {
        return Err(EncodeError::TooLong("properties"));
    }
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a packet. `max` is the largest that the receiver takes, with its head.
pub fn packet(out: &mut Vec<u8>, version: Version, max: usize, packet: &Packet<'_>) -> Put {
    if let Packet::Publish(publish) = packet {
        publish_head(out, version, max, publish, publish.payload.len())?;
        out.extend_from_slice(publish.payload);
        return Ok(());
    }
    let at = out.len();
    let kind = packet.kind();
    // Nearly every length is one byte; what is longer is moved on by the rest.
    out.extend_from_slice(&[kind.number() << 4 | kind.flags().unwrap_or(0), 0]);
    let done = body(out, version, packet).and_then(|()| {
        let size = out.len() - at - 2;
        let length = number_size(size);
        let total = 1 + length + size;
        if size > LENGTH_MAX || total > max {
            return Err(EncodeError::TooLarge { total, max });
        }
        let end = out.len();
        out.resize(at + total, 0);
        if length > 1 {
            out.copy_within(at + 2..end, at + 1 + length);
        }
        for (n, octet) in out[at + 1..=at + length].iter_mut().enumerate() {
            let more = if n + 1 < length { 0x80 } else { 0 };
            *octet = (size >> (7 * n)) as u8 & 0x7f | more;
        }
        Ok(())
    });
    done.inspect_err(|_| out.truncate(at))
}

/// Appends a PUBLISH up to its payload, which is `payload` bytes and comes behind: it need
/// not be copied.
#[inline]
pub fn publish_head(
    out: &mut Vec<u8>,
    version: Version,
    max: usize,
    p: &Publish<'_>,
    payload: usize,
) -> Put {
    if p.id.is_some() != (p.qos != Qos::AtMostOnce) {
        return Err(EncodeError::PacketId);
    }
    let topic = p.topic.as_bytes();
    let properties = p.properties.as_bytes();
    let length = u16::try_from(topic.len()).map_err(|_| EncodeError::TooLong("topic name"))?;
    let mut size = 2 + topic.len() + if p.id.is_some() { 2 } else { 0 };
    if version == Version::V5 {
        size += number_size(properties.len()) + properties.len();
    }
    size = size.saturating_add(payload);
    let total = (1 + number_size(size)).saturating_add(size);
    if size > LENGTH_MAX || total > max {
        return Err(EncodeError::TooLarge { total, max });
    }
    let flags = u8::from(p.dup) << 3 | p.qos.bits() << 1 | u8::from(p.retain);
    out.push(Kind::Publish.number() << 4 | flags);
    put_number(out, size);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(topic);
    if let Some(id) = p.id {
        put_id(out, id);
    }
    // Checked above: they are shorter than the packet.
    put_properties(out, version, &p.properties)
}

fn body(out: &mut Vec<u8>, version: Version, packet: &Packet<'_>) -> Put {
    match packet {
        Packet::Connect(c) => connect(out, c),
        Packet::Connack(c) => {
            out.push(u8::from(c.session_present && version > Version::V31));
            out.push(match version {
                Version::V5 => c.reason.number(),
                _ => c.reason.return_code(),
            });
            put_properties(out, version, &c.properties)
        }
        Packet::Publish(_) | Packet::Pingreq | Packet::Pingresp => Ok(()),
        Packet::Puback(a) | Packet::Pubrec(a) | Packet::Pubrel(a) | Packet::Pubcomp(a) => {
            put_id(out, a.id);
            reason(out, version, a.reason, &a.properties)
        }
        Packet::Subscribe(s) => {
            put_id(out, s.id);
            put_properties(out, version, &s.properties)?;
            out.extend_from_slice(s.subscriptions.bytes);
            Ok(())
        }
        Packet::Unsubscribe(s) => {
            put_id(out, s.id);
            put_properties(out, version, &s.properties)?;
            out.extend_from_slice(s.filters.0);
            Ok(())
        }
        Packet::Suback(r) => {
            put_id(out, r.id);
            put_properties(out, version, &r.properties)?;
            out.extend_from_slice(r.reasons.0);
            Ok(())
        }
        Packet::Unsuback(r) => {
            put_id(out, r.id);
            put_properties(out, version, &r.properties)?;
            if version == Version::V5 {
                out.extend_from_slice(r.reasons.0);
            }
            Ok(())
        }
        Packet::Disconnect(e) => reason(out, version, e.reason, &e.properties),
        Packet::Auth(_) if version < Version::V5 => {
            Err(EncodeError::Foreign { kind: Kind::Auth, version })
        }
        // Its code goes with the length of its properties, or both are left out (3.15.2.1).
        Packet::Auth(e) if e.reason == Reason::Success && e.properties.is_empty() => Ok(()),
        Packet::Auth(e) => {
            out.push(e.reason.number());
            put_properties(out, version, &e.properties)
        }
    }
}

/// A reason code and properties, of which is left out what may be (3.4.2.1, 3.14.2.1).
fn reason(out: &mut Vec<u8>, version: Version, reason: Reason, p: &Properties<'_>) -> Put {
    if version < Version::V5 || reason == Reason::Success && p.is_empty() {
        return Ok(());
    }
    out.push(reason.number());
    if p.is_empty() { Ok(()) } else { put_properties(out, version, p) }
}

fn connect(out: &mut Vec<u8>, c: &Connect<'_>) -> Put {
    put_data(out, c.version.protocol().as_bytes(), "protocol name")?;
    out.push(c.version.level());
    let mut flags = u8::from(c.clean) << 1;
    flags |= u8::from(c.user.is_some()) << 7 | u8::from(c.password.is_some()) << 6;
    if let Some(will) = &c.will {
        flags |= 1 << 2 | will.qos.bits() << 3 | u8::from(will.retain) << 5;
    }
    out.push(flags);
    out.extend_from_slice(&c.keep_alive.to_be_bytes());
    put_properties(out, c.version, &c.properties)?;
    put_data(out, c.client_id.as_bytes(), "client identifier")?;
    if let Some(will) = &c.will {
        put_properties(out, c.version, &will.properties)?;
        put_data(out, will.topic.as_bytes(), "will topic")?;
        put_data(out, will.payload, "will payload")?;
    }
    if let Some(user) = c.user {
        put_data(out, user.as_bytes(), "user name")?;
    }
    match c.password {
        Some(password) => put_data(out, password.0, "password"),
        None => Ok(()),
    }
}
