//! A message that arrives frame by frame: cut at the end of what was read, large, or
//! between other channels' frames. It is put together by copying; memory grows with
//! what has arrived, never with what was announced.

use super::publish::PUBLISH;
use super::slots::State;
use super::{Connection, Partial, Step, mailbox, unknown_frame};
use crate::decode;
use crate::error::{Code, Fault};
use crate::frame::{END, Head, Kind};
use crate::table;
use bytes::Bytes;
use lockgate_front::Output;
use lockgate_model::{Glance, Item, Origin, Range, Run};

/// Longest expiration in milliseconds: RabbitMQ's ten years.
const EXPIRATION_MAX: u64 = 315_360_000_000;

/// What is awaited on a channel.
#[derive(Debug)]
pub(super) enum Content {
    /// A method.
    Idle,
    /// The content header of a publish.
    Header(Target),
    /// More of the body.
    Body(Box<Assembly>),
}

/// Where a message goes.
#[derive(Debug)]
pub(super) struct Target {
    exchange: Box<str>,
    key: Box<[u8]>,
    mandatory: bool,
}

/// A message half here. `bytes` begins with exchange, key and property list.
#[derive(Debug)]
pub(super) struct Assembly {
    bytes: Vec<u8>,
    exchange: Range,
    key: Range,
    head: Range,
    mandatory: bool,
    persistent: bool,
    priority: u8,
    /// Body bytes still to come.
    left: usize,
}

/// What a publisher's property list is found to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) persistent: bool,
    pub(super) priority: u8,
    /// The reply goes to the channel's mailbox, whose name is to be put in.
    pub(super) to_mailbox: bool,
}

impl Assembly {
    fn new(target: &Target, head: &[u8], checked: Checked, left: usize) -> Assembly {
        let fixed = target.exchange.len() + target.key.len() + head.len();
        let mut bytes = Vec::with_capacity(fixed);
        let mut add = |part: &[u8]| {
            let range = Range::new(bytes.len(), part.len());
            bytes.extend_from_slice(part);
            range
        };
        let exchange = add(target.exchange.as_bytes());
        let (key, head) = (add(&target.key), add(head));
        let Checked { persistent, priority, .. } = checked;
        let mandatory = target.mandatory;
        Assembly { bytes, exchange, key, head, mandatory, persistent, priority, left }
    }

    fn add(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.left = self.left.checked_sub(piece.len()).ok_or_else(not_a_body)?;
        let (has, wants) = (self.bytes.capacity(), self.bytes.len() + piece.len());
        if wants > has {
            // Twice as much as has come, but no more than will come.
            let room = (2 * wants).min(wants + self.left);
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn finish(self) -> Run {
        let at = (self.head.at + self.head.len) as usize;
        let (exchange, key, mandatory) = (self.exchange, self.key, self.mandatory);
        let origin = Origin { exchange, key, topic: Range::default(), mandatory };
        let item = Item {
            origin: 0,
            head: self.head,
            body: Range::new(at, self.bytes.len() - at),
            persistent: self.persistent,
            priority: self.priority,
            ..Item::default()
        };
        Run {
            bytes: Bytes::from(self.bytes),
            origins: vec![origin],
            items: vec![item],
            ..Run::default()
        }
    }
}

impl Connection {
    /// `basic.publish` whose content comes in frames of its own.
    pub(super) fn publish(
        &mut self,
        n: u16,
        exchange: &str,
        key: &[u8],
        mandatory: bool,
        immediate: bool,
    ) -> Result<(), Fault> {
        if immediate {
            return Err(Fault::new(Code::NotImplemented, "immediate=true"));
        }
        let target = Target { exchange: exchange.into(), key: key.into(), mandatory };
        self.channel(n)?.content = Content::Header(target);
        Ok(())
    }

    /// A method may come only between messages (section 4.2.6.1).
    pub(super) fn expects_method(&mut self, n: u16) -> Result<(), Fault> {
        match self.channel(n)?.content {
            Content::Idle => Ok(()),
            Content::Header(_) => Err(not_a_header("non content header frame")),
            Content::Body(_) => Err(not_a_body()),
        }
    }

    /// True if the channel awaits more of a body.
    pub(super) fn assembles(&mut self, n: u16) -> bool {
        self.slots.open(n).is_some_and(|c| matches!(c.content, Content::Body(_)))
    }

    /// A content header or a whole body frame.
    pub(super) fn content(
        &mut self,
        frame: Head,
        payload: &[u8],
        out: &mut Output,
    ) -> Result<(), Fault> {
        let n = frame.channel;
        if matches!(self.slots.state(n), Some(State::Closing)) || self.is_closing() {
            return Ok(());
        }
        let Some(channel) = self.slots.open(n) else {
            return Err(not_a_method());
        };
        match (&mut channel.content, frame.kind) {
            (Content::Idle, _) => Err(not_a_method()),
            (Content::Header(_), Kind::Header) => self.content_header(n, payload, out),
            (Content::Header(_), _) => Err(not_a_header("non content header frame")),
            (Content::Body(assembly), Kind::Body) => {
                assembly.add(payload)?;
                self.body_done(n, out);
                Ok(())
            }
            (Content::Body(_), _) => Err(not_a_body()),
        }
    }

    fn content_header(&mut self, n: u16, payload: &[u8], out: &mut Output) -> Result<(), Fault> {
        let header = decode::header(payload).map_err(|_| unknown_frame(Kind::Header, payload))?;
        if header.class != PUBLISH.0 {
            return Err(not_a_header(&format!("one for class {}", header.class)));
        }
        if header.weight != 0 {
            return Err(not_a_header("non content header frame"));
        }
        let max = self.shared.settings.body_bytes_max;
        if header.body_size > max {
            let size = header.body_size;
            let text = format!("message size {size} is larger than configured max size {max}");
            return Err(Fault::new(Code::PreconditionFailed, text).at(PUBLISH));
        }
        let checked = check(header.properties, &self.client.user)?;
        let renamed = match checked.to_mailbox {
            true => Some(self.with_mailbox(n, header.properties)?),
            false => None,
        };
        let properties = renamed.as_deref().unwrap_or(header.properties);
        let channel = self.channel(n)?;
        if let Content::Header(target) = &channel.content {
            let left = usize::try_from(header.body_size).unwrap_or(usize::MAX);
            let assembly = Assembly::new(target, properties, checked, left);
            channel.content = Content::Body(Box::new(assembly));
        }
        self.body_done(n, out);
        Ok(())
    }

    /// A piece of a body frame whose end is not here yet, or its rest.
    pub(super) fn body_piece(&mut self, bytes: &[u8], partial: Partial, out: &mut Output) -> Step {
        let Some((piece, after)) = bytes.split_at_checked(partial.left) else {
            if bytes.is_empty() {
                return Step::Need(1);
            }
            let left = partial.left - bytes.len();
            self.partial = Some(Partial { left, ..partial });
            return self.add_piece(partial.channel, bytes, bytes.len());
        };
        let Some(&end) = after.first() else {
            if bytes.is_empty() {
                return Step::Need(1);
            }
            self.partial = Some(Partial { left: 0, ..partial });
            return self.add_piece(partial.channel, piece, bytes.len());
        };
        self.partial = None;
        if end != END {
            let head = Head { kind: Kind::Body, channel: partial.channel, size: 0 };
            return Step::Lost(super::connect::bad_frame(crate::frame::BadFrame::End {
                octet: end,
                head,
            }));
        }
        let step = self.add_piece(partial.channel, piece, piece.len() + 1);
        if matches!(step, Step::Took(_)) {
            self.body_done(partial.channel, out);
        }
        step
    }

    /// Adds to a channel's body, if it still wants one.
    fn add_piece(&mut self, n: u16, piece: &[u8], used: usize) -> Step {
        if let Some(channel) = self.slots.open(n)
            && let Content::Body(assembly) = &mut channel.content
            && let Err(fault) = assembly.add(piece)
        {
            return Step::Failed { used, channel: n, fault };
        }
        Step::Took(used)
    }

    fn body_done(&mut self, n: u16, out: &mut Output) {
        let Some(channel) = self.slots.open(n) else {
            return;
        };
        if !matches!(&channel.content, Content::Body(a) if a.left == 0) {
            return;
        }
        if let Content::Body(done) = std::mem::replace(&mut channel.content, Content::Idle) {
            self.flush_settled(out);
            self.emit(n, done.finish(), out);
        }
    }
}

/// Looks through a property list for what the broker must know and what would hurt
/// whoever is handed the message.
pub(super) fn check(properties: &[u8], user: &str) -> Result<Checked, Fault> {
    let broken = |why| Fault::nowhere(Code::InternalError, format!("malformed properties: {why}"));
    let glance = Glance::of(properties).map_err(broken)?;
    if let Some(headers) = glance.headers {
        table::check(headers).map_err(broken)?;
    }
    if let Some(text) = glance.expiration {
        check_expiration(text)?;
    }
    if let Some(mode @ (0 | 3..)) = glance.delivery_mode {
        let text = format!("invalid message: {{delivery_mode_unknown,{mode}}}");
        return Err(Fault::new(Code::PreconditionFailed, text).at(PUBLISH));
    }
    if let Some(id) = glance.user_id
        && id != user.as_bytes()
    {
        let text = format!(
            "user_id property set to '{}' but authenticated user was '{user}'",
            String::from_utf8_lossy(id)
        );
        return Err(Fault::new(Code::PreconditionFailed, text).at(PUBLISH));
    }
    Ok(Checked {
        persistent: glance.persistent,
        priority: glance.priority,
        to_mailbox: glance.reply_to == Some(mailbox::REPLY_TO.as_bytes()),
    })
}

/// Whether this text of digits is a larger number.
fn digits_exceed(digits: &[u8], max: u64) -> bool {
    let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    number.is_none_or(|n| n > max)
}

/// Milliseconds as text; the complaints are those of RabbitMQ's parser.
fn check_expiration(text: &[u8]) -> Result<(), Fault> {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => ("-", rest),
        Some((b'+', rest)) => ("", rest),
        _ => ("", text),
    };
    let n = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, rest) = digits.split_at(n);
    let why = if n == 0 {
        "no_integer".to_owned()
    } else if !rest.is_empty() {
        format!("{{leftover_string,\"{}\"}}", rest.escape_ascii())
    } else if sign == "-" && number.iter().any(|b| *b != b'0') {
        format!("{{value_negative,-{}}}", String::from_utf8_lossy(number))
    } else if digits_exceed(number, EXPIRATION_MAX) {
        format!("{{value_too_large,{}}}", String::from_utf8_lossy(number))
    } else {
        return Ok(());
    };
    let text = format!("invalid expiration '{}': {why}", String::from_utf8_lossy(text));
    Err(Fault::new(Code::PreconditionFailed, text).at(PUBLISH))
}

fn not_a_method() -> Fault {
    let text = "expected method frame, got non method frame instead";
    Fault::nowhere(Code::UnexpectedFrame, text)
}

fn not_a_header(got: &str) -> Fault {
    let text = format!("expected content header for class {}, got {got} instead", PUBLISH.0);
    Fault::new(Code::UnexpectedFrame, text).at(PUBLISH)
}

fn not_a_body() -> Fault {
    let text = "expected content body, got non content body frame instead";
    Fault::new(Code::UnexpectedFrame, text).at(PUBLISH)
}
