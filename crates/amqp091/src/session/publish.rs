//! The way of messages in: consecutive publishes of one channel that lie whole in what
//! was read become one run whose ranges point into it. Nothing is copied, nothing
//! allocated per message, and a publish like the one before is not even parsed.
//!
//! ```text
//!  [method][header][body] [method][header][body] [method][header][bo   <- cut: stays
//!   same?   props   range  same?   ...
//! ```

use super::Connection;
use super::content::{Checked, Content, check};
use super::slots::Mode;

use crate::frame::{AROUND, END, HEADER, Head, Kind};
use crate::packet::Header;
use crate::{encode, packet::Method};
use bytes::Bytes;
use lockgate_front::Output;
use lockgate_model::{Command, Item, Lane, Origin, Range, Run, Ticket};
use std::sync::Arc;

/// Class and method of `basic.publish`.
pub(super) const PUBLISH: (u16, u16) = (60, 40);

/// The same as a method's payload begins.
const PUBLISH_ID: [u8; 4] = [0, 60, 0, 40];

/// A message whose frames take no more than this waits unread until it is whole: one
/// copy by whoever reads is cheaper than putting it together here.
const WHOLE_MAX: usize = 32 * 1024;

/// A run while it is gathered from one input.
#[derive(Debug, Default)]
pub(super) struct Building {
    channel: u16,
    items: Vec<Item>,
    origins: Vec<Origin>,
    /// The last publish's payload, and the last property list, in the input.
    method: Range,
    head: Range,
    checked: Option<Checked>,
}

/// What became of publishes at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fast {
    /// So many bytes of them are in the run.
    Took(usize),
    /// The first one is not whole; so many bytes show more of it.
    Need(usize),
    /// No publish, or one that wants a closer look frame by frame.
    Slow,
}

/// What a message is measured against.
struct Limits<'a> {
    payload_max: usize,
    body_max: u64,
    user: &'a str,
}

impl Connection {
    /// Takes as many publishes as lie whole at `at`, where a whole frame `head` begins.
    #[inline]
    pub(super) fn publish_many(
        &mut self,
        input: &Bytes,
        at: usize,
        head: Head,
        run: &mut Building,
        out: &mut Output,
    ) -> Fast {
        if !input[at + HEADER..].starts_with(&PUBLISH_ID) {
            return Fast::Slow;
        }
        if run.items.is_empty() || run.channel != head.channel {
            self.flush_run(run, input, out);
            match self.slots.open(head.channel) {
                Some(channel) if matches!(channel.content, Content::Idle) => {}
                _ => return Fast::Slow,
            }
            // What was settled before the first of them stays before it.
            self.flush_settled(out);
            *run = Building { channel: head.channel, ..Building::default() };
        }
        let limits = Limits {
            payload_max: self.frame_max,
            body_max: self.shared.settings.body_bytes_max,
            user: &self.client.user,
        };
        let mut end = at;
        loop {
            match run.take(input, end, &limits) {
                Ok(next) => end = next,
                Err(stop) if end == at => return stop,
                Err(_) => return Fast::Took(end - at),
            }
        }
    }

    /// Hands a gathered run over.
    pub(super) fn flush_run(&mut self, run: &mut Building, input: &Bytes, out: &mut Output) {
        if run.items.is_empty() {
            return;
        }
        let done = std::mem::take(run);
        let (origins, items) = (done.origins, done.items);
        let whole = Run { bytes: input.clone(), origins, items, ..Run::default() };
        self.emit(done.channel, whole, out);
    }

    /// Hands a run over as the channel's mode wants it.
    pub(super) fn emit(&mut self, n: u16, run: Run, out: &mut Output) {
        let Some(channel) = self.slots.open(n) else {
            return;
        };
        let confirm = match &mut channel.mode {
            Mode::Plain => None,
            Mode::Confirm(confirms) => {
                let first = confirms.publish(run.items.len());
                Some(Ticket(u64::from(channel.incarnation) << 48 | first))
            }
            Mode::Tx(_) => return self.publish_in_tx(n, run, out),
        };
        channel.unsure = true;
        out.commands.push(Command::Publish { lane: Lane(n), run: Arc::new(run), confirm });
        self.has_published(out);
    }

    /// Whoever publishes is told of alarms.
    pub(super) fn has_published(&mut self, out: &mut Output) {
        if !self.publishes {
            self.publishes = true;
            self.tell_alarms(out);
        }
    }

    /// A mandatory message that no queue took.
    pub(super) fn returned(&mut self, n: u16, run: &Run, item: u32, out: &mut Output) {
        if self.slots.open(n).is_none() {
            return;
        }
        let Some(item) = run.items.get(item as usize) else {
            return;
        };
        let back = Method::BasicReturn {
            reply_code: crate::error::Code::NoRoute.number(),
            reply_text: b"NO_ROUTE",
            exchange: run.exchange(item),
            routing_key: run.key(item),
        };
        self.send(n, &back, out);
        write_content(run, item, run.head(item), n, self.frame_max, out);
    }
}

/// Header and body frames of one message with this property list.
pub(super) fn write_content(
    run: &Run,
    item: &Item,
    properties: &[u8],
    channel: u16,
    frame_max: usize,
    out: &mut Output,
) {
    let body = run.body(item);
    let header = Header { class: PUBLISH.0, weight: 0, body_size: body.len() as u64, properties };
    encode::header(out.bytes.small(), channel, &header);
    let [c0, c1] = channel.to_be_bytes();
    for chunk in body.chunks(frame_max - AROUND) {
        let [s0, s1, s2, s3] = (chunk.len() as u32).to_be_bytes();
        let kind = Kind::Body.octet();
        out.bytes.small().extend_from_slice(&[kind, c0, c1, s0, s1, s2, s3]);
        out.bytes.body(run.buffer(item.body), chunk);
        out.bytes.small().push(END);
    }
}

/// What stands at a place.
enum Look {
    /// A frame of the kind and channel, of this size.
    Frame(usize),
    /// Something else.
    Other,
    /// Not enough bytes to tell.
    Missing,
}

#[inline]
fn look(input: &[u8], at: usize, kind: u8, channel: [u8; 2]) -> Look {
    match input.get(at..).and_then(<[u8]>::first_chunk::<HEADER>) {
        None => Look::Missing,
        Some(&[k, c0, c1, s0, s1, s2, s3]) if k == kind && [c0, c1] == channel => {
            Look::Frame(u32::from_be_bytes([s0, s1, s2, s3]) as usize)
        }
        Some(_) => Look::Other,
    }
}

impl Building {
    /// Takes the publish at `at`, method, header and body, and says where it ends.
    #[inline]
    fn take(&mut self, input: &[u8], at: usize, limits: &Limits<'_>) -> Result<usize, Fast> {
        let channel = self.channel.to_be_bytes();
        let method = match look(input, at, 1, channel) {
            Look::Frame(size) if size <= limits.payload_max => Range::new(at + HEADER, size),
            Look::Missing => return Err(Fast::Need(HEADER)),
            _ => return Err(Fast::Slow),
        };
        let at_header = end_of(input, at, method)?;
        let head = match look(input, at_header, 2, channel) {
            Look::Frame(size) if size <= limits.payload_max => Range::new(at_header + HEADER, size),
            Look::Missing => return Err(Fast::Need(at_header + HEADER - at)),
            _ => return Err(Fast::Slow),
        };
        let at_body = end_of(input, at_header, head).map_err(|stop| from(at, at_header, stop))?;
        // Class 60, weight 0, body size, property list.
        let Some((&[0, 60, 0, 0, ref size @ ..], properties)) =
            head.of(input).split_first_chunk::<12>()
        else {
            return Err(Fast::Slow);
        };
        let size = u64::from_be_bytes(*size);
        if size > limits.body_max {
            return Err(Fast::Slow);
        }
        let (body, end) = if size == 0 {
            (Range::new(at_body, 0), at_body)
        } else {
            match look(input, at_body, 3, channel) {
                Look::Frame(n) if n as u64 == size && n <= limits.payload_max => {
                    let body = Range::new(at_body + HEADER, n);
                    match end_of(input, at_body, body) {
                        Ok(end) => (body, end),
                        Err(Fast::Need(n)) if at_body + n - at <= WHOLE_MAX => {
                            return Err(Fast::Need(at_body + n - at));
                        }
                        Err(_) => return Err(Fast::Slow),
                    }
                }
                Look::Missing if size <= WHOLE_MAX as u64 => {
                    return Err(Fast::Need(at_body + HEADER - at));
                }
                _ => return Err(Fast::Slow),
            }
        };
        let origin = self.origin(input, method)?;
        let head = Range::new(head.at as usize + 12, properties.len());
        let Checked { persistent, priority, .. } = self.check(input, head, limits.user)?;
        if self.items.capacity() == 0 {
            // As many more as would fit if they were all like the first.
            self.items.reserve((input.len() - at) / (end - at) + 1);
        }
        self.items.push(Item { origin, head, body, persistent, priority, ..Item::default() });
        Ok(end)
    }

    /// The origin that a publish names; the last one's if it is the same, byte for byte.
    #[inline]
    fn origin(&mut self, input: &[u8], method: Range) -> Result<u32, Fast> {
        if self.origins.is_empty() || self.method.of(input) != method.of(input) {
            let origin = parse(method.of(input), method.at as usize).ok_or(Fast::Slow)?;
            self.origins.push(origin);
            self.method = method;
        }
        Ok(self.origins.len() as u32 - 1)
    }

    /// Checks a property list, unless the last one was the same.
    #[inline]
    fn check(&mut self, input: &[u8], head: Range, user: &str) -> Result<Checked, Fast> {
        if let Some(checked) = self.checked
            && self.head.of(input) == head.of(input)
        {
            return Ok(checked);
        }
        let checked = check(head.of(input), user).map_err(|_| Fast::Slow)?;
        if checked.to_mailbox {
            return Err(Fast::Slow);
        }
        (self.head, self.checked) = (head, Some(checked));
        Ok(checked)
    }
}

/// Where the frame at `at` with this payload ends, if that is here and marked.
#[inline]
fn end_of(input: &[u8], at: usize, payload: Range) -> Result<usize, Fast> {
    let len = payload.len as usize + AROUND;
    match input.get(at + len - 1) {
        Some(&END) => Ok(at + len),
        Some(_) => Err(Fast::Slow),
        None => Err(Fast::Need(len)),
    }
}

/// A need counted from `at` instead of from `later`.
fn from(at: usize, later: usize, stop: Fast) -> Fast {
    match stop {
        Fast::Need(n) => Fast::Need(later - at + n),
        other => other,
    }
}

/// Where exchange and key lie in a publish whose payload begins at `base`. None for
/// all that is not quite as it should be: the decoder will say what.
fn parse(payload: &[u8], base: usize) -> Option<Origin> {
    let rest = payload.strip_prefix(&PUBLISH_ID)?.get(2..)?;
    let (&n, rest) = rest.split_first()?;
    let (exchange, rest) = rest.split_at_checked(n.into())?;
    let (&k, rest) = rest.split_first()?;
    let (key, bits) = rest.split_at_checked(k.into())?;
    // Bit 1 is `immediate`, which we do not do.
    let &[bits] = bits else { return None };
    if bits & 2 != 0 || std::str::from_utf8(exchange).is_err() {
        return None;
    }
    let at = base + PUBLISH_ID.len() + 3;
    Some(Origin {
        exchange: Range::new(at, exchange.len()),
        key: Range::new(at + exchange.len() + 1, key.len()),
        topic: Range::default(),
        mandatory: bits & 1 != 0,
    })
}
