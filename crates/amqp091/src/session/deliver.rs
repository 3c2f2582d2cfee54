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
        let first = channel.inflight.hand_out(delivery.count, delivery.lease);
        let mut layout = Layout::new(
            std::mem::take(&mut self.scratch),
            consumer.channel,
            &consumer.tag,
            delivery.redelivered,
        );
        layout.write(delivery, first, self.frame_max - AROUND, &mut out.bytes);
        self.scratch = layout.bytes;
        if self.scratch.capacity() > KEEP_MAX {
            self.scratch = Vec::new();
        }
    }
}

/// The frames of a delivery up to its body.
struct Layout<'a> {
    bytes: Vec<u8>,
    channel: [u8; 2],
    tag: &'a [u8],
    redelivered: bool,
    /// Where the delivery tag goes.
    number_at: usize,
    /// Where the method frame ends.
    method_end: usize,
}

impl<'a> Layout<'a> {
    fn new(bytes: Vec<u8>, channel: u16, tag: &'a str, redelivered: bool) -> Layout<'a> {
        let channel = channel.to_be_bytes();
        let tag = tag.as_bytes();
        Layout { bytes, channel, tag, redelivered, number_at: 0, method_end: 0 }
    }

    fn frame(&mut self, kind: Kind, size: usize) {
        let ([c0, c1], [s0, s1, s2, s3]) = (self.channel, (size as u32).to_be_bytes());
        self.bytes.extend_from_slice(&[kind.octet(), c0, c1, s0, s1, s2, s3]);
    }

    /// Lays out `basic.deliver` for a route. Names and keys are short strings, and so
    /// are tags: checked where they entered.
    fn method(&mut self, exchange: &[u8], key: &[u8]) {
        self.bytes.clear();
        let size = 4 + 1 + self.tag.len() + 8 + 1 + 1 + exchange.len() + 1 + key.len();
        self.frame(Kind::Method, size);
        self.bytes.extend_from_slice(&[0, 60, 0, 60, self.tag.len() as u8]);
        self.bytes.extend_from_slice(self.tag);
        self.number_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&[u8::from(self.redelivered), exchange.len() as u8]);
        self.bytes.extend_from_slice(exchange);
        self.bytes.push(key.len() as u8);
        self.bytes.extend_from_slice(key);
        self.bytes.push(END);
        self.method_end = self.bytes.len();
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
    fn write(&mut self, d: &Delivery, mut number: u64, room: usize, out: &mut WriteBuffer) {
        let run: &Run = &d.run;
        let (mut origin, mut head) = (None, Range::default());
        for at in d.indices() {
            let item = &run.items[at];
            let properties = item.head.of(&run.bytes);
            if origin != Some(item.origin) {
                origin = Some(item.origin);
                let route = run.origin(item);
                self.method(route.exchange.of(&run.bytes), route.key.of(&run.bytes));
                self.head(properties);
                self.reserve(d, item.size(), out);
            } else if head.of(&run.bytes) != properties {
                self.head(properties);
            }
            head = item.head;
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
        let bytes = body.of(&run.bytes);
        if !bytes.is_empty() && bytes.len() <= room {
            self.bytes[frame_at + 3..].copy_from_slice(&body.len.to_be_bytes());
            out.small().extend_from_slice(&self.bytes);
            out.body(&run.bytes, bytes);
            out.small().push(END);
        } else {
            out.small().extend_from_slice(&self.bytes[..frame_at]);
            for chunk in bytes.chunks(room) {
                let size = (chunk.len() as u32).to_be_bytes();
                self.bytes[frame_at + 3..].copy_from_slice(&size);
                out.small().extend_from_slice(&self.bytes[frame_at..]);
                out.body(&run.bytes, chunk);
                out.small().push(END);
            }
        }
    }
}
