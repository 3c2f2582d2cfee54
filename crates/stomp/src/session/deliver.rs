//! The way of messages out. All that messages of one route and one property list have in
//! common is laid out once; each then costs a few digits and two copies.
//!
//! ```text
//!  MESSAGE subscription destination message-id:TAG@@SESSION@@ | [tag] | redelivered ack:..@@ |
//!  [tag] | user headers content-length: | [size] | empty line | body NUL
//! ```

use super::subscribe::{Mode, Subscribed};
use super::{Connection, Noted};
use crate::destination::{self, active};
use crate::encode::header;
use crate::header::{Escapes, escape, put_number};
use crate::map::{self, put_headers, stamped};
use crate::packet::Version;
use crate::settings::Dialect;
use lockgate_front::{Output, WriteBuffer};
use lockgate_model::{Command, Delivery, Outcome, Run};

/// Larger than this, the layout gives its memory back: idle connections hold none.
const KEEP_MAX: usize = 2048;

impl Connection {
    /// Messages for a subscription. One that is no more has left with its leases.
    #[inline]
    pub(super) fn deliver(&mut self, delivery: &Delivery, out: &mut Output) {
        out.delivered += delivery.cost;
        let handle = delivery.consumer.0;
        let Some(subscribed) = self.subscriptions.get(handle) else { return };
        let cumulative = subscribed.mode == Mode::Cumulative;
        let held = Noted { holder: handle, cumulative };
        let reader = Reader {
            subscribed,
            session: &self.session,
            topics: self.settings.topic_exchange.as_bytes(),
            version: self.version,
            dialect: self.dialect,
        };
        let behind: &[u8] = if self.settings.trailing_lf { b"\0\n" } else { b"\0" };
        if let Some(selector) = &subscribed.selector {
            let mut one = delivery.clone();
            (one.step, one.count) = (1, 1);
            for (n, at) in (0..).zip(delivery.indices()) {
                let Some(item) = delivery.run.items.get(at) else { break };
                if map::active::selects(selector, delivery.run.head(item)) {
                    let lease = delivery.lease.map(|lease| (lease, n));
                    let tag = self.inflight.hand_out_at(1, lease, held);
                    (one.first, one.stamp) = (at as u32, delivery.stamp.of(n, delivery.step));
                    self.layout.write(&one, &reader, tag, behind, &mut out.bytes);
                    if delivery.lease.is_some() {
                        self.active.hold(tag, 1, &delivery.run, one.first, 1);
                    }
                } else if let Some(lease) = delivery.lease {
                    // The queue is this subscription's alone: nobody else wants it.
                    let outcome = Outcome::Accept;
                    out.commands.push(Command::Settle { lease, from: n, count: 1, outcome });
                }
            }
        } else {
            let d = delivery;
            let first = self.inflight.hand_out(d.count, d.lease, held);
            self.layout.write(d, &reader, first, behind, &mut out.bytes);
            if self.dialect == Dialect::ActiveMq && d.lease.is_some() {
                self.active.hold(first, d.count, &d.run, d.first, d.step);
            }
        }
        if self.layout.bytes.capacity() > KEEP_MAX {
            self.layout = Layout::default();
        }
    }
}

/// Who is delivered to.
struct Reader<'a> {
    subscribed: &'a Subscribed,
    session: &'a str,
    topics: &'a [u8],
    version: Version,
    dialect: Dialect,
}

/// A MESSAGE up to its body, without its numbers, kept for the next one: mostly it differs
/// in those only.
#[derive(Debug, Default)]
pub(super) struct Layout {
    bytes: Vec<u8>,
    /// What it was laid out for: handle, redelivered, and where the names end in `names`.
    handle: u32,
    redelivered: bool,
    exchange_end: usize,
    key_end: usize,
    /// Exchange, key and property list, one behind the other.
    names: Vec<u8>,
    /// Where the tag goes.
    tag_at: usize,
    /// Where it goes again, if the message is to be acknowledged.
    ack_at: Option<usize>,
    /// A text by ActiveMQ's rules: its length is not said, unless it could not do without.
    text: bool,
}

impl Layout {
    /// Is it laid out for this?
    #[inline]
    fn is_for(&self, d: &Delivery, exchange: &[u8], key: &[u8], head: &[u8]) -> bool {
        self.handle == d.consumer.0
            && self.redelivered == d.redelivered
            && !self.bytes.is_empty()
            && self.names.len() == exchange.len() + key.len() + head.len()
            && self.names.get(..self.exchange_end) == Some(exchange)
            && self.names.get(self.exchange_end..self.key_end) == Some(key)
            && self.names.get(self.key_end..) == Some(head)
    }

    /// Lays out what is said of such messages, in RabbitMQ's order.
    fn lay_out(&mut self, d: &Delivery, to: &Reader<'_>, exchange: &[u8], key: &[u8], head: &[u8]) {
        (self.handle, self.redelivered) = (d.consumer.0, d.redelivered);
        self.names.clear();
        self.names.extend_from_slice(exchange);
        self.exchange_end = self.names.len();
        self.names.extend_from_slice(key);
        self.key_end = self.names.len();
        self.names.extend_from_slice(head);
        let escapes = Escapes::Of(to.version);
        let tag = &to.subscribed.tag;
        let out = &mut self.bytes;
        out.clear();
        out.extend_from_slice(b"MESSAGE\n");
        if let Some(id) = to.subscribed.id() {
            header(out, b"subscription", id.as_bytes(), escapes);
        }
        let mut place = Vec::new();
        match to.dialect {
            Dialect::RabbitMq => destination::put(exchange, key, to.topics, &mut place),
            Dialect::ActiveMq => active::put(exchange, key, to.topics, &mut place),
        }
        // Who reads a queue by name is told that name, however the message came there.
        let queue = &to.subscribed.queue;
        let is_virtual = to.dialect == Dialect::ActiveMq && active::virtual_topic(queue).is_some();
        if is_virtual && !exchange.is_empty() {
            header(out, b"original-destination", &place, escapes);
            place = [b"/queue/", queue.as_bytes()].concat();
        }
        header(out, b"destination", &place, escapes);
        let id = |name: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(name);
            escape(tag.as_bytes(), escapes, out);
            out.extend_from_slice(b"@@");
            out.extend_from_slice(to.session.as_bytes());
            out.extend_from_slice(b"@@");
            out.len()
        };
        self.tag_at = id(b"message-id:", out);
        let said =
            if d.redelivered { &b"\nredelivered:true\n"[..] } else { b"\nredelivered:false\n" };
        out.extend_from_slice(said);
        let acks = to.version == Version::V12 && to.subscribed.mode != Mode::Auto;
        self.ack_at = acks.then(|| {
            let at = id(b"ack:", out);
            out.push(b'\n');
            at
        });
        self.text = match to.dialect {
            Dialect::ActiveMq => map::active::put_headers(head, escapes, out),
            Dialect::RabbitMq => {
                put_headers(head, escapes, out);
                false
            }
        };
    }

    /// Writes all messages of a delivery, their tags counting up from `tag`.
    fn write(
        &mut self,
        d: &Delivery,
        to: &Reader<'_>,
        mut tag: u64,
        behind: &[u8],
        out: &mut WriteBuffer,
    ) {
        let run: &Run = &d.run;
        let mut scratch = Vec::new();
        for (n, at) in (0..).zip(d.indices()) {
            let Some(item) = run.items.get(at) else { return };
            let head = stamped(run.slice(item.head), d.stamp.of(n, d.step), &mut scratch);
            let origin = run.origin(item);
            let (exchange, key) = (run.slice(origin.exchange), run.slice(origin.key));
            if !self.is_for(d, exchange, key, head) {
                self.lay_out(d, to, exchange, key, head);
            }
            let body = run.body(item);
            if n == 0 && d.count > 1 {
                // Bodies that go by reference take no room, and one guess too high is enough.
                let each = self.bytes.len() + 40 + body.len().min(4096);
                out.small().reserve((each * d.count as usize).min(256 * 1024));
            }
            let silent = self.text && memchr::memchr(0, body).is_none();
            self.one(tag, if silent { 0 } else { body.len() }, out.small());
            out.body(run.buffer(item.body), body);
            out.small().extend_from_slice(behind);
            tag += 1;
        }
    }

    /// Writes one message up to its body; no size says no length.
    #[inline]
    fn one(&self, tag: u64, size: usize, out: &mut Vec<u8>) {
        let (before, rest) = self.bytes.split_at(self.tag_at.min(self.bytes.len()));
        out.extend_from_slice(before);
        put_number(tag, out);
        match self.ack_at {
            Some(at) => {
                let (between, rest) = rest.split_at((at - self.tag_at).min(rest.len()));
                out.extend_from_slice(between);
                put_number(tag, out);
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(rest),
        }
        if size > 0 {
            out.extend_from_slice(b"content-length:");
            put_number(size as u64, out);
            out.push(b'\n');
        }
        out.push(b'\n');
    }
}
