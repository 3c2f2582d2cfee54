//! The way of messages in: consecutive SENDs of one read become one run whose bodies point
//! into it. A SEND with the same lines as the one before is not even parsed; what its lines
//! stand for in the broker's words is written beside the run, once.
//!
//! ```text
//!  [lines][body]\0 \n [lines][body]\0 \n [lines][bo    <- cut: stays
//!   parsed  range      same?  range
//! ```

use super::ask::{LANE, Outcome, Steps};
use super::{Connection, Done};
use crate::destination::{Destination, misplaced};
use crate::error::Fault;
use crate::frame::{Bounds, Limits, idle};
use crate::map::{self, Sent, active::ReplyTo};
use crate::packet::Frame;
use crate::settings::Dialect;
use bytes::Bytes;
use lockgate_front::Output;
use lockgate_model::{
    Command, Consumer, Item, Name, Origin, QueueSpec, Range, Request, Run, Subscription, Table,
    Time,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Most queues that a connection remembers to be there. Beyond, one is forgotten and made
/// sure of again when it is next named.
const DECLARED_MAX: usize = 65_536;

/// Where a frame lies in the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) bounds: Bounds,
}

/// A run while it is gathered from one input.
#[derive(Debug, Default)]
pub(super) struct Building {
    items: Vec<Item>,
    origins: Vec<Origin>,
    beside: Vec<u8>,
    receipts: Vec<(u32, Box<[u8]>)>,
    last: Option<Last>,
}

/// The last SEND of a run, for those that say the same.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// From the command to the empty line, in the input.
    lines: Range,
    /// As `content-length` says it, if it does.
    size: Option<usize>,
    head: Range,
    sent: Sent,
    /// It asks for a receipt, so no other says quite the same.
    alone: bool,
}

impl Building {
    /// Takes a SEND at `at` that says what the last one said; where it ends.
    #[inline]
    fn one(&mut self, input: &[u8], at: usize, limits: &Limits) -> Option<usize> {
        let last = self.last.filter(|last| !last.alone)?;
        let lines = last.lines.of(input);
        let rest = input.get(at..)?;
        if !rest.starts_with(lines) {
            return None;
        }
        let body = rest.get(lines.len()..)?;
        let size = match last.size {
            Some(size) => size,
            None => memchr::memchr(0, body)?,
        };
        if body.get(size) != Some(&0) || size > limits.body_max {
            return None;
        }
        self.push(Range::new(at + lines.len(), size), last.head, last.sent);
        Some(at + lines.len() + size + 1)
    }

    /// Takes as many SENDs as say what the last one said, and says how many bytes they are.
    #[inline]
    pub(super) fn repeat(&mut self, input: &[u8], at: usize, limits: &Limits) -> Option<usize> {
        let mut end = self.one(input, at, limits)?;
        loop {
            end += idle(input.get(end..).unwrap_or_default());
            match self.one(input, end, limits) {
                Some(next) => end = next,
                None => return Some(end - at),
            }
        }
    }

    fn push(&mut self, body: Range, head: Range, sent: Sent) {
        let origin = self.origins.len().saturating_sub(1) as u32;
        let Sent { persistent, priority } = sent;
        self.items.push(Item { origin, head, body, persistent, priority, ..Item::default() });
    }

    /// The origin of a message: the last one if it is the same.
    fn origin(&mut self, target: &Target<'_>) {
        let (exchange, key) = target.names();
        if let Some(o) = self.origins.last() {
            let slice = |r: Range| Range { at: r.at & !BESIDE, ..r }.of(&self.beside);
            if slice(o.exchange) == exchange.as_bytes() && slice(o.key) == key.as_bytes() {
                return;
            }
        }
        let at = self.beside.len();
        self.beside.extend_from_slice(exchange.as_bytes());
        self.beside.extend_from_slice(key.as_bytes());
        self.origins.push(Origin {
            exchange: Range::beside(at, exchange.len()),
            key: Range::beside(at + exchange.len(), key.len()),
            topic: Range::default(),
            mandatory: false,
        });
    }
}

/// Set in where a range beside begins.
const BESIDE: u32 = 1 << 31;

impl Connection {
    /// A SEND that is not like the one before.
    pub(super) fn send(
        &mut self,
        frame: &Frame<'_>,
        place: Place,
        run: &mut Building,
        input: &Bytes,
        now: Time,
        out: &mut Output,
    ) -> Result<Done, Fault> {
        let before = out.commands.len();
        let Some(to) = self.whereto(frame, out)? else {
            // What was sent before is published before what is asked now.
            let asked = out.commands.split_off(before);
            self.flush_run(run, input, out);
            out.commands.extend(asked);
            return Ok(Done::Later);
        };
        if let Some(transaction) = frame.get("transaction") {
            self.flush_run(run, input, out);
            self.send_later(frame, transaction, &to, now)?;
            return Ok(Done::Taken);
        }
        if run.items.is_empty() {
            // What was settled before the first of them stays before it.
            self.flush_settled(out);
        }
        run.origin(&to.first);
        let at = run.beside.len();
        let sent = match self.write_head(frame, &to.reply, now, &mut run.beside) {
            Ok(sent) => sent,
            Err(fault) => {
                run.beside.truncate(at);
                return Err(fault);
            }
        };
        let head = Range::beside(at, run.beside.len() - at);
        let Bounds { body, size, end, .. } = place.bounds;
        if run.items.capacity() == 0 {
            // As many more as would fit if they were all like the first.
            run.items.reserve((input.len() - place.at) / end.max(1) + 1);
        }
        run.push(Range::new(place.at + body, size), head, sent);
        for target in &to.more {
            run.origin(target);
            run.push(Range::new(place.at + body, size), head, sent);
        }
        let receipt = frame.get("receipt");
        if let Some(receipt) = receipt {
            // Told when the last of them is safe.
            run.receipts.push((run.items.len() as u32 - 1, receipt.into()));
        }
        let size = frame.get("content-length").map(|_| size);
        let lines = Range::new(place.at, body);
        let alone = receipt.is_some() || !to.more.is_empty();
        run.last = Some(Last { lines, size, head, sent, alone });
        Ok(Done::Taken)
    }

    /// Where a SEND goes and is to be answered; none while something must be answered first.
    fn whereto<'a>(
        &mut self,
        frame: &Frame<'a>,
        out: &mut Output,
    ) -> Result<Option<To<'a>>, Fault> {
        if self.dialect == Dialect::ActiveMq {
            return self.active_whereto(frame, out);
        }
        if frame.get("message-id").is_some() {
            return Err(Fault::new("Invalid header", "'message-id' is not allowed on 'SEND'.\n"));
        }
        let text = required(frame, "SEND")?;
        let first = match Destination::parse(text)? {
            Destination::Queue(name) => {
                if !self.declared.contains(&*name) {
                    let spec = queue_spec(frame, &name)?;
                    self.declare(spec, out);
                    return Ok(None);
                }
                Target { exchange: None, key: name }
            }
            Destination::AmqQueue(name) | Destination::ReplyQueue(name) => {
                Target { exchange: None, key: name }
            }
            Destination::Topic(key) => {
                Target { exchange: Some(self.settings.topic_exchange.clone()), key }
            }
            Destination::Exchange { name, key } => {
                Target { exchange: Some(Name::from(&*name)), key }
            }
            Destination::TempQueue(_) | Destination::TempTopic(_) => {
                return Err(misplaced(text, "SEND"));
            }
        };
        let reply = match self.reply_queue(frame)? {
            Replies::As(name) => name.map(ReplyTo::Queue),
            Replies::NotYet(called) => {
                self.open_replies(called, out)?;
                return Ok(None);
            }
        };
        Ok(Some(To { first, more: Vec::new(), reply }))
    }

    /// Appends the property list of a SEND.
    pub(super) fn write_head(
        &self,
        frame: &Frame<'_>,
        reply: &Option<ReplyTo>,
        now: Time,
        into: &mut Vec<u8>,
    ) -> Result<Sent, Fault> {
        match (self.dialect, reply) {
            (Dialect::ActiveMq, reply) => map::active::head(frame, now, reply.clone(), into),
            (_, Some(ReplyTo::Queue(name))) => {
                map::head(frame, &self.user, Some(name.as_bytes()), into)
            }
            _ => map::head(frame, &self.user, None, into),
        }
    }

    /// Hands a gathered run over.
    pub(super) fn flush_run(&mut self, run: &mut Building, input: &Bytes, out: &mut Output) {
        if run.items.is_empty() {
            return;
        }
        let done = std::mem::take(run);
        let confirm = (!done.receipts.is_empty()).then(|| {
            let first = self.receipts.tickets(done.items.len());
            for (item, receipt) in done.receipts {
                self.receipts.owe(first.0 + u64::from(item), receipt);
            }
            first
        });
        let (beside, origins, items) = (done.beside.into(), done.origins, done.items);
        let run = Arc::new(Run { bytes: input.clone(), beside, origins, items });
        out.commands.push(Command::Publish { lane: LANE, run, confirm });
        self.publishes = true;
    }

    /// Makes sure of a queue.
    fn declare(&mut self, spec: QueueSpec, out: &mut Output) {
        let outcome = Outcome::Declared(spec.name.clone());
        let left = [Request::DeclareQueue(spec)].into();
        self.walk(Steps { left, receipt: None, outcome }, out);
    }

    /// A queue is there, as far as this connection knows.
    pub(super) fn remember_declared(&mut self, name: Name) {
        if self.declared.len() >= DECLARED_MAX {
            self.declared.pop_first();
        }
        self.declared.insert(name);
    }

    /// What `reply-to` means: a name of a reply queue of this connection, or as it stands.
    fn reply_queue<'a>(&self, frame: &Frame<'a>) -> Result<Replies<'a>, Fault> {
        let Some(text) = frame.get("reply-to") else { return Ok(Replies::As(None)) };
        match Destination::parse(text) {
            Ok(Destination::TempQueue(called)) => Ok(match self.replies.get(&*called) {
                Some(name) => Replies::As(Some(name.clone())),
                None => Replies::NotYet(called),
            }),
            Ok(_) => Ok(Replies::As(None)),
            Err(fault) => Err(fault),
        }
    }

    /// Makes a reply queue of this connection, and reads it.
    fn open_replies(&mut self, called: Cow<'_, str>, out: &mut Output) -> Result<(), Fault> {
        let id = format!("/temp-queue/{called}");
        let (handle, tag) = self.subscriptions.add_replies(&id, &self.settings)?;
        let mut spec = QueueSpec::nameless(false);
        (spec.exclusive, spec.auto_delete) = (true, true);
        let subscription = Subscription {
            // Named when the broker has named it.
            queue: Name::default(),
            consumer: Consumer(handle),
            tag,
            settled: true,
            exclusive: false,
            limit: None,
            arguments: Table::default(),
        };
        let outcome = Outcome::Replies { called: called.into(), name: Name::default() };
        let left = [Request::DeclareQueue(spec), Request::Subscribe(subscription)].into();
        self.walk(Steps { left, receipt: None, outcome }, out);
        Ok(())
    }
}

/// Where one message goes.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// None for the default exchange.
    pub(super) exchange: Option<Name>,
    pub(super) key: Cow<'a, str>,
}

impl Target<'_> {
    /// Exchange and key.
    pub(super) fn names(&self) -> (&str, &str) {
        (self.exchange.as_ref().map_or("", Name::as_str), &self.key)
    }
}

/// Where a SEND goes, and where its answers do.
#[derive(Debug)]
pub(super) struct To<'a> {
    pub(super) first: Target<'a>,
    /// Only by ActiveMQ's rules.
    pub(super) more: Vec<Target<'a>>,
    /// Stands in for `reply-to`; none to leave that as it is.
    pub(super) reply: Option<ReplyTo>,
}

/// The destination of a frame that must have one.
pub(super) fn required<'a>(frame: &Frame<'a>, command: &str) -> Result<&'a [u8], Fault> {
    frame.get("destination").ok_or_else(|| {
        let text = format!("\"{command}\" must include a 'destination' header\n");
        Fault::new("Missing destination", text)
    })
}

/// What a `reply-to` comes to.
enum Replies<'a> {
    /// This name stands in for it; none to leave it as it is.
    As(Option<Name>),
    /// A reply queue that is not there yet.
    NotYet(Cow<'a, str>),
}

/// The queue that `/queue/NAME` means: a shared one that lasts, unless headers say otherwise.
pub(super) fn queue_spec(frame: &Frame<'_>, name: &str) -> Result<QueueSpec, Fault> {
    // `persistent` speaks of the message here.
    let lasts = frame.truth("durable").unwrap_or(true);
    super::arguments::spec(frame, Name::from(name), lasts, !lasts, !lasts)
}
