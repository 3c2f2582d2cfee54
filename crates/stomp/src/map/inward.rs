//! From the headers of a SEND to the neutral property list, written in one go.

use super::{REPLY_TOPIC, amqp};
use crate::destination::Destination;
use crate::error::{Fault, shown};
use crate::header::number;
use crate::packet::{Frame, truth};
use lockgate_model::limits::NAME_BYTES_MAX;

// Flags of the property list, see `lockgate_model::Properties`.
const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const KIND: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;

/// Largest expiration, in milliseconds: as RabbitMQ, a hundred years.
const EXPIRATION_MAX: u64 = 100 * 365 * 24 * 3_600 * 1_000;

/// What the broker must know of a message beside its property list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) persistent: bool,
    pub(crate) priority: u8,
}

/// The headers that have a place of their own.
#[derive(Default)]
struct Said<'a> {
    content_type: Option<&'a [u8]>,
    content_encoding: Option<&'a [u8]>,
    persistent: bool,
    priority: Option<u8>,
    correlation_id: Option<&'a [u8]>,
    reply_to: Option<&'a [u8]>,
    expiration: Option<&'a [u8]>,
    message_id: Option<&'a [u8]>,
    timestamp: Option<u64>,
    kind: Option<&'a [u8]>,
    user_id: Option<&'a [u8]>,
    app_id: Option<&'a [u8]>,
}

/// Appends the property list of a SEND to `out`. `reply_to` stands in for the header.
pub(crate) fn head(
    frame: &Frame<'_>,
    user: &str,
    reply_to: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<Sent, Fault> {
    let at = out.len();
    out.extend_from_slice(&[0; 2]);
    let mut said = Said::default();
    let mut others = 0;
    for (name, value) in frame.iter() {
        others += usize::from(!said.take(name, value)?);
    }
    let topic = said.reply_topic();
    said.reply_to = reply_to.or(said.reply_to);
    said.check(user)?;
    let mut flags = 0;
    put_short(out, &mut flags, CONTENT_TYPE, said.content_type);
    put_short(out, &mut flags, CONTENT_ENCODING, said.content_encoding);
    if others > 0 || topic.is_some() {
        flags |= HEADERS;
        put_table(frame, topic.as_deref(), out)?;
    }
    if said.persistent {
        flags |= DELIVERY_MODE;
        out.push(2);
    }
    if let Some(priority) = said.priority {
        flags |= PRIORITY;
        out.push(priority);
    }
    put_short(out, &mut flags, CORRELATION_ID, said.correlation_id);
    put_short(out, &mut flags, REPLY_TO, said.reply_to);
    put_short(out, &mut flags, EXPIRATION, said.expiration);
    put_short(out, &mut flags, MESSAGE_ID, said.message_id);
    if let Some(timestamp) = said.timestamp {
        flags |= TIMESTAMP;
        out.extend_from_slice(&timestamp.to_be_bytes());
    }
    put_short(out, &mut flags, KIND, said.kind);
    put_short(out, &mut flags, USER_ID, said.user_id);
    put_short(out, &mut flags, APP_ID, said.app_id);
    if let Some(slot) = out.get_mut(at..at + 2) {
        slot.copy_from_slice(&flags.to_be_bytes());
    }
    Ok(Sent { persistent: said.persistent, priority: said.priority.unwrap_or_default() })
}

/// Is it between the peer and us alone?
fn is_passing(name: &[u8]) -> bool {
    matches!(name, b"destination" | b"receipt" | b"transaction" | b"content-length")
}

impl<'a> Said<'a> {
    /// Takes a header that has a place of its own, or none in the message. False for others.
    fn take(&mut self, name: &[u8], value: &'a [u8]) -> Result<bool, Fault> {
        match name {
            b"content-type" => self.content_type = Some(value),
            b"content-encoding" => self.content_encoding = Some(value),
            b"persistent" => self.persistent = truth(value).unwrap_or(false),
            b"priority" => {
                let priority = number(value).and_then(|n| u8::try_from(n).ok());
                self.priority = Some(priority.ok_or_else(|| no_number("priority", value))?);
            }
            b"correlation-id" => self.correlation_id = Some(value),
            b"reply-to" => self.reply_to = Some(value),
            b"expiration" => self.expiration = Some(value),
            b"amqp-message-id" => self.message_id = Some(value),
            b"timestamp" => {
                self.timestamp = Some(number(value).ok_or_else(|| no_number("timestamp", value))?);
            }
            b"type" => self.kind = Some(value),
            b"user-id" => self.user_id = Some(value),
            b"app-id" => self.app_id = Some(value),
            other => return Ok(is_passing(other)),
        }
        Ok(true)
    }

    /// Where an answer goes, for whoever knows topics only.
    fn reply_topic(&self) -> Option<String> {
        match Destination::parse(self.reply_to?) {
            Ok(Destination::Topic(key)) => Some(key.into_owned()),
            _ => None,
        }
    }

    fn check(&self, user: &str) -> Result<(), Fault> {
        let shorts = [
            ("content-type", self.content_type),
            ("content-encoding", self.content_encoding),
            ("correlation-id", self.correlation_id),
            ("reply-to", self.reply_to),
            ("expiration", self.expiration),
            ("amqp-message-id", self.message_id),
            ("type", self.kind),
            ("user-id", self.user_id),
            ("app-id", self.app_id),
        ];
        for (name, value) in shorts {
            if value.is_some_and(|v| v.len() > NAME_BYTES_MAX) {
                let text = format!("'{name}' is longer than {NAME_BYTES_MAX} bytes.\n");
                return Err(Fault::new("Invalid header", text));
            }
        }
        if let Some(text) = self.expiration {
            check_expiration(text)?;
        }
        if let Some(id) = self.user_id
            && id != user.as_bytes()
        {
            let id = shown(id);
            let text =
                format!("user_id property set to '{id}' but authenticated user was '{user}'");
            return Err(amqp("precondition_failed", &text));
        }
        Ok(())
    }
}

/// A header that is to be a number and is none.
pub(crate) fn no_number(name: &str, value: &[u8]) -> Fault {
    let text = format!("'{name}' is not a valid number: '{}'.\n", shown(value));
    Fault::new("Invalid header", text)
}

/// A header whose name no other protocol could be told.
pub(super) fn not_a_header(name: &[u8]) -> Fault {
    let text = format!("'{}' is longer than {NAME_BYTES_MAX} bytes or not UTF-8.\n", shown(name));
    Fault::new("Invalid header", text)
}

/// Milliseconds as text; the complaints are those of RabbitMQ's parser.
fn check_expiration(text: &[u8]) -> Result<(), Fault> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let why = match number(text) {
        Some(n) if digits == text.len() && n <= EXPIRATION_MAX => return Ok(()),
        Some(n) if digits == text.len() => format!("{{value_too_large,{n}}}"),
        _ if text.first() == Some(&b'-') && number(&text[1..]).is_some() => {
            format!("{{value_negative,{}}}", shown(text))
        }
        _ if digits == 0 => "no_integer".to_owned(),
        _ => format!("{{leftover_string,\"{}\"}}", shown(text.get(digits..).unwrap_or_default())),
    };
    let text = format!("invalid expiration '{}': {why}", shown(text));
    Err(amqp("precondition_failed", &text))
}

fn put_short(out: &mut Vec<u8>, flags: &mut u16, bit: u16, text: Option<&[u8]>) {
    if let Some(text) = text {
        *flags |= bit;
        out.push(text.len() as u8);
        out.extend_from_slice(text);
    }
}

/// All headers that have no place of their own.
fn put_table(frame: &Frame<'_>, topic: Option<&str>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut known = Said::default();
    let mut told = false;
    for (name, value) in frame.iter() {
        if known.take(name, value).unwrap_or(true) {
            continue;
        }
        if name.len() > NAME_BYTES_MAX || std::str::from_utf8(name).is_err() {
            return Err(not_a_header(name));
        }
        told |= name == REPLY_TOPIC.as_bytes();
        put_field(name, value, out);
    }
    if let Some(key) = topic.filter(|_| !told) {
        put_field(REPLY_TOPIC.as_bytes(), key.as_bytes(), out);
    }
    let size = (out.len() - at - 4) as u32;
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&size.to_be_bytes());
    }
    Ok(())
}

fn put_field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(name.len() as u8);
    out.extend_from_slice(name);
    out.push(b'S');
    out.extend_from_slice(&(value.len() as u32).to_be_bytes());
    out.extend_from_slice(value);
}
