//! The way of messages out. All that messages of one route and one property list
//! have in common is laid out once; each then costs a few numbers and two copies.
//!
//! ```text
//!  method frame                        | header frame               | body frame
//!  .. tag, [delivery tag], .. CE       | .. [body size], head CE    | .. [size]  body CE
//! ```

use super::Connection;
use super::publish::PUBLISH;
use crate::frame::{AROUND, END, HEADER, Kind};
use crate::map::stamped;
use lockgate_front::{Output, WriteBuffer};
use lockgate_model::{Delivery, Range, Run};

/// Larger than this, the layout gives its memory back: idle connections hold none.
const KEEP_MAX: usize = 1024;

impl Connection {
    /// Messages for a consumer. One that is no more has left with its leases.
    #[inline]
    pub(super) fn deliver(&mut self, delivery: &Delivery, out: &mut Output) {
        out.delivered += delivery.cost;
        let Some(consumer) = self.consumers.get(&delivery.consumer.0) else {
            return;
        };
        let Some(channel) = self.slots.open(consumer.channel) else {
            return;
        };
        let first = channel.inflight.hand_out(delivery.count, delivery.lease, ());
        let route = Route {
            handle: delivery.consumer.0,
            channel: consumer.channel.to_be_bytes(),
            redelivered: delivery.redelivered,
        };
        let room = self.frame_max - AROUND;
        self.layout.write(delivery, route, &consumer.tag, first, room, &mut out.bytes);
        if self.layout.bytes.capacity() > KEEP_MAX {
            self.layout = Layout::default();
        }
    }
}

/// Who is delivered to. Consumers' handles are never used twice in a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Route {
    handle: u32,
    channel: [u8; 2],
    redelivered: bool,
}

/// The frames of a delivery up to its body, kept for the next one: mostly it differs
/// in its numbers only.
#[derive(Debug, Default)]
pub(super) struct Layout {
    bytes: Vec<u8>,
    route: Route,
    /// Where the delivery tag goes.
    number_at: usize,
    /// Where the method frame ends.
    method_end: usize,
}

impl Layout {
    fn frame(&mut self, kind: Kind, size: usize) {
        let ([c0, c1], [s0, s1, s2, s3]) = (self.route.channel, (size as u32).to_be_bytes());
        self.bytes.extend_from_slice(&[kind.octet(), c0, c1, s0, s1, s2, s3]);
    }

    /// Lays out `basic.deliver` for a route. Names and keys are short strings, and so
    /// are tags: checked where they entered.
    fn method(&mut self, tag: &[u8], exchange: &[u8], key: &[u8]) {
        self.bytes.clear();
        let size = 4 + 1 + tag.len() + 8 + 1 + 1 + exchange.len() + 1 + key.len();
        self.frame(Kind::Method, size);
        self.bytes.extend_from_slice(&[0, 60, 0, 60, tag.len() as u8]);
        self.bytes.extend_from_slice(tag);
        self.number_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        let redelivered = u8::from(self.route.redelivered);
        self.bytes.extend_from_slice(&[redelivered, exchange.len() as u8]);
        self.bytes.extend_from_slice(exchange);
        self.bytes.push(key.len() as u8);
        self.bytes.extend_from_slice(key);
        self.bytes.push(END);
        self.method_end = self.bytes.len();
    }

    /// True if this is laid out already.
    fn has_method(&self, route: Route, exchange: &[u8], key: &[u8]) -> bool {
        let at = self.number_at + 9;
        let key_at = at + 1 + exchange.len();
        self.route == route
            && self.method_end == key_at + 1 + key.len() + 1
            && self.bytes[at] == exchange.len() as u8
            && self.bytes[at + 1..key_at] == *exchange
            && self.bytes[key_at + 1..self.method_end - 1] == *key
    }

    /// True if the content header of the last message had this property list.
    fn has_head(&self, head: &[u8]) -> bool {
        let at = self.method_end + HEADER + 12;
        self.bytes.len() == at + head.len() + 1 + HEADER && self.bytes[at..at + head.len()] == *head
    }

    /// Lays out the content header and the beginning of a body frame.
    fn head(&mut self, head: &[u8]) {
        self.bytes.truncate(self.method_end);
        self.frame(Kind::Header, 12 + head.len());
        self.bytes.extend_from_slice(&[0, PUBLISH.0 as u8, 0, 0]);
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(head);
        self.bytes.push(END);
        self.frame(Kind::Body, 0);
    }

    /// Writes all messages of a delivery, their tags counting up from `number`.
    fn write(
        &mut self,
        d: &Delivery,
        route: Route,
        tag: &str,
        mut number: u64,
        room: usize,
        out: &mut WriteBuffer,
    ) {
        let run: &Run = &d.run;
        let (mut last, mut scratch) = (None, Vec::new());
        for (n, at) in (0..).zip(d.indices()) {
            let item = &run.items[at];
            let head = stamped(run.slice(item.head), d.stamp.of(n, d.step), &mut scratch);
            if last != Some(item.origin) {
                let origin = run.origin(item);
                let (exchange, key) = (run.slice(origin.exchange), run.slice(origin.key));
                if !self.has_method(route, exchange, key) {
                    self.route = route;
                    self.method(tag.as_bytes(), exchange, key);
                }
            }
            if !self.has_head(head) {
                self.head(head);
            }
            if last.is_none() && d.count > 1 {
                self.reserve(d, item.size(), out);
            }
            last = Some(item.origin);
            self.one(run, item.body, number, room, out);
            number += 1;
        }
    }

    /// Room for all of them, if they are all like the first.
    fn reserve(&self, d: &Delivery, first: usize, out: &mut WriteBuffer) {
        // Bodies that go by reference take no room, and one guess too high is enough.
        let each = self.bytes.len() + first.min(4096) + 1;
        out.small().reserve((each * d.count as usize).min(256 * 1024));
    }

    #[inline]
    fn one(&mut self, run: &Run, body: Range, number: u64, room: usize, out: &mut WriteBuffer) {
        let size_at = self.method_end + HEADER + 4;
        let frame_at = self.bytes.len() - HEADER;
        self.bytes[self.number_at..self.number_at + 8].copy_from_slice(&number.to_be_bytes());
        self.bytes[size_at..size_at + 8].copy_from_slice(&u64::from(body.len).to_be_bytes());
        let bytes = run.slice(body);
        if !bytes.is_empty() && bytes.len() <= room {
            self.bytes[frame_at + 3..].copy_from_slice(&body.len.to_be_bytes());
            out.small().extend_from_slice(&self.bytes);
            out.body(run.buffer(body), bytes);
            out.small().push(END);
        } else {
            out.small().extend_from_slice(&self.bytes[..frame_at]);
            for chunk in bytes.chunks(room) {
                let size = (chunk.len() as u32).to_be_bytes();
                self.bytes[frame_at + 3..].copy_from_slice(&size);
                out.small().extend_from_slice(&self.bytes[frame_at..]);
                out.body(run.buffer(body), chunk);
                out.small().push(END);
            }
        }
    }
}
