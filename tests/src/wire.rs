//! A small AMQP 0-9-1 client on a bare socket: it can log in and work like any
//! other, and it can send whatever bytes a test likes.

use crate::PATIENCE;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// The protocol header of AMQP 0-9-1.
pub const HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
const FRAME_END: u8 = 0xCE;
/// Bodies are cut to fit the frame size that the client agrees to.
const FRAME_MAX: u32 = 131_072;

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 1 method, 2 header, 3 body, 8 heartbeat.
    pub kind: u8,
    /// The channel.
    pub channel: u16,
    /// What is inside.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Class and method, if it is a method.
    pub fn method(&self) -> Option<(u16, u16)> {
        let [a, b, c, d] = *self.payload.first_chunk::<4>()?;
        (self.kind == 1).then_some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// The method's arguments.
    pub fn arguments(&self) -> Fields<'_> {
        Fields(self.payload.get(4..).unwrap_or_default())
    }
}

/// Arguments, read one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next bytes.
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n);
        self.0 = rest;
        head
    }

    /// The next number of that width.
    pub fn number(&mut self, width: usize) -> u64 {
        self.bytes(width).iter().fold(0, |n, b| n << 8 | u64::from(*b))
    }

    /// The next short string.
    pub fn short(&mut self) -> String {
        let n = self.number(1) as usize;
        String::from_utf8_lossy(self.bytes(n)).into_owned()
    }
}

/// What the broker says to a client that works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields say it
pub enum Said {
    /// basic.ack or basic.nack for what was published.
    Confirmed { tag: u64, multiple: bool, good: bool },
    /// basic.deliver with its content.
    Delivered { tag: u64, redelivered: bool, body: Vec<u8> },
    /// channel.close or connection.close.
    Closed { channel: u16, code: u16, text: String },
    /// Any other method.
    Method(u16, u16, Frame),
    /// The socket ended.
    End,
}

/// Puts a frame around a payload.
pub fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).expect("a test's frame").to_be_bytes());
    out.extend_from_slice(payload);
    out.push(FRAME_END);
    out
}

/// A method frame; `arguments` are the pieces, already encoded.
pub fn method(channel: u16, class: u16, id: u16, arguments: &[&[u8]]) -> Vec<u8> {
    let mut payload = class.to_be_bytes().to_vec();
    payload.extend_from_slice(&id.to_be_bytes());
    arguments.iter().for_each(|piece| payload.extend_from_slice(piece));
    frame(1, channel, &payload)
}

/// A content header frame.
pub fn header(channel: u16, size: u64, properties: &[u8]) -> Vec<u8> {
    let mut payload = vec![0, 60, 0, 0];
    payload.extend_from_slice(&size.to_be_bytes());
    payload.extend_from_slice(properties);
    frame(2, channel, &payload)
}

/// A short string.
pub fn short(text: &str) -> Vec<u8> {
    let mut out = vec![u8::try_from(text.len()).expect("at most 255 bytes")];
    out.extend_from_slice(text.as_bytes());
    out
}

/// A long string.
pub fn long(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).expect("a test's string").to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// An empty table.
pub const NO_TABLE: &[u8] = &[0, 0, 0, 0];
/// Properties that say: delivery mode 2.
pub const PERSISTENT: &[u8] = &[0x10, 0x00, 2];

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// Read and not yet looked at.
    unread: Vec<u8>,
    tag: u64,
}

impl Wire {
    /// A bare connection: nothing is sent.
    pub fn connect(to: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, unread: Vec::new(), tag: 0 })
    }

    /// Logs in as guest and opens the virtual host `/`.
    pub fn login(to: SocketAddr) -> io::Result<Wire> {
        let mut wire = Wire::connect(to)?;
        wire.send(HEADER)?;
        wire.expect(10, 10)?;
        wire.send(&start_ok("PLAIN", b"\0guest\0guest"))?;
        wire.expect(10, 30)?;
        wire.send(&tune_ok(2047, FRAME_MAX, 0))?;
        wire.send(&open("/"))?;
        wire.expect(10, 41)?;
        Ok(wire)
    }

    /// Logs in and opens channel 1.
    pub fn channel(to: SocketAddr) -> io::Result<Wire> {
        let mut wire = Wire::login(to)?;
        wire.call(method(1, 20, 10, &[&short("")]), (20, 11))?;
        Ok(wire)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends and waits for that method.
    pub fn call(&mut self, bytes: Vec<u8>, answer: (u16, u16)) -> io::Result<Frame> {
        self.send(&bytes)?;
        self.expect(answer.0, answer.1)
    }

    /// Reads frames until that method comes; another close or the end is an error.
    pub fn expect(&mut self, class: u16, id: u16) -> io::Result<Frame> {
        loop {
            let Some(frame) = self.frame()? else {
                return Err(ErrorKind::UnexpectedEof.into());
            };
            match frame.method() {
                Some(found) if found == (class, id) => return Ok(frame),
                Some((10, 50) | (20, 40)) => {
                    return Err(io::Error::other(format!("{:?}", closed(&frame))));
                }
                _ => {}
            }
        }
    }

    /// The next frame; None at the end of the socket.
    pub fn frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(found) = self.cut()? {
                return Ok(Some(found));
            }
            let mut chunk = [0; 64 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn cut(&mut self) -> io::Result<Option<Frame>> {
        let Some(head) = self.unread.first_chunk::<7>() else { return Ok(None) };
        if head.starts_with(b"AMQP") {
            return Err(io::Error::other("a protocol header came"));
        }
        let [kind, c0, c1, n @ ..] = *head;
        let size = u32::from_be_bytes(n) as usize;
        if self.unread.len() < size + 8 {
            return Ok(None);
        }
        let whole: Vec<u8> = self.unread.drain(..size + 8).collect();
        assert_eq!(whole.last(), Some(&FRAME_END), "the broker's own frames are sound");
        let channel = u16::from_be_bytes([c0, c1]);
        Ok(Some(Frame { kind, channel, payload: whole[7..size + 7].to_vec() }))
    }

    /// Declares a durable queue.
    pub fn declare(&mut self, queue: &str) -> io::Result<Frame> {
        let bytes = method(1, 50, 10, &[&[0, 0], &short(queue), &[0b10], NO_TABLE]);
        self.call(bytes, (50, 11))
    }

    /// Declares a durable queue with arguments that are texts.
    pub fn declare_with(&mut self, queue: &str, arguments: &[(&str, &str)]) -> io::Result<Frame> {
        let mut table = Vec::new();
        for (name, value) in arguments {
            table.extend_from_slice(&short(name));
            table.push(b'S');
            table.extend_from_slice(&long(value.as_bytes()));
        }
        let bytes = method(1, 50, 10, &[&[0, 0], &short(queue), &[0b10], &long(&table)]);
        self.call(bytes, (50, 11))
    }

    /// How many messages wait in a queue.
    pub fn waiting(&mut self, queue: &str) -> io::Result<u64> {
        let bytes = method(1, 50, 10, &[&[0, 0], &short(queue), &[0b1], NO_TABLE]);
        let answer = self.call(bytes, (50, 11))?;
        let mut fields = answer.arguments();
        fields.short();
        Ok(fields.number(4))
    }

    /// Asks for confirms.
    pub fn confirms(&mut self) -> io::Result<()> {
        self.call(method(1, 85, 10, &[&[0]]), (85, 11)).map(drop)
    }

    /// The bytes that publish a message to a queue by the default exchange.
    pub fn publication(queue: &str, properties: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = method(1, 60, 40, &[&[0, 0], &short(""), &short(queue), &[0]]);
        out.extend_from_slice(&header(1, body.len() as u64, properties));
        for part in body.chunks(FRAME_MAX as usize - 8) {
            out.extend_from_slice(&frame(3, 1, part));
        }
        out
    }

    /// Publishes a persistent message; returns the number that its confirm will carry.
    pub fn publish(&mut self, queue: &str, body: &[u8]) -> io::Result<u64> {
        self.send(&Wire::publication(queue, PERSISTENT, body))?;
        self.tag += 1;
        Ok(self.tag)
    }

    /// Subscribes; what is delivered must be acknowledged.
    pub fn consume(&mut self, queue: &str) -> io::Result<()> {
        let pieces: [&[u8]; 5] = [&[0, 0], &short(queue), &short("c"), &[0], NO_TABLE];
        self.call(method(1, 60, 20, &pieces), (60, 21)).map(drop)
    }

    /// Reads a stream from an offset on; up to so many messages come before an answer.
    pub fn read_stream(&mut self, queue: &str, offset: u64, prefetch: u16) -> io::Result<()> {
        let limit: [&[u8]; 3] = [&[0; 4], &prefetch.to_be_bytes(), &[0]];
        self.call(method(1, 60, 10, &limit), (60, 11))?;
        let mut table = short("x-stream-offset");
        table.push(b'l');
        table.extend_from_slice(&offset.to_be_bytes());
        let pieces: [&[u8]; 5] = [&[0, 0], &short(queue), &short("c"), &[0], &long(&table)];
        self.call(method(1, 60, 20, &pieces), (60, 21)).map(drop)
    }

    /// Acknowledges.
    pub fn ack(&mut self, tag: u64, multiple: bool) -> io::Result<()> {
        self.send(&method(1, 60, 80, &[&tag.to_be_bytes(), &[u8::from(multiple)]]))
    }

    /// Refuses a message for good.
    pub fn refuse(&mut self, tag: u64) -> io::Result<()> {
        self.send(&method(1, 60, 90, &[&tag.to_be_bytes(), &[0]]))
    }

    /// The next thing said, contents put together.
    pub fn said(&mut self) -> io::Result<Said> {
        loop {
            let Some(frame) = self.frame()? else { return Ok(Said::End) };
            let Some((class, id)) = frame.method() else { continue };
            let mut fields = frame.arguments();
            return Ok(match (class, id) {
                (60, 80 | 120) => {
                    let (tag, bits) = (fields.number(8), fields.number(1));
                    Said::Confirmed { tag, multiple: bits & 1 != 0, good: id == 80 }
                }
                (60, 60) => {
                    fields.short();
                    let (tag, redelivered) = (fields.number(8), fields.number(1) != 0);
                    match self.content()? {
                        Some(body) => Said::Delivered { tag, redelivered, body },
                        None => Said::End,
                    }
                }
                (10, 50) | (20, 40) => {
                    let (channel, code, text) = closed(&frame);
                    Said::Closed { channel, code, text }
                }
                _ => Said::Method(class, id, frame),
            });
        }
    }

    fn content(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(head) = self.frame()? else { return Ok(None) };
        assert_eq!(head.kind, 2, "a header follows a delivery");
        let size = Fields(&head.payload[4..]).number(8) as usize;
        let mut body = Vec::with_capacity(size);
        while body.len() < size {
            let Some(part) = self.frame()? else { return Ok(None) };
            assert_eq!(part.kind, 3, "a body follows a header");
            body.extend_from_slice(&part.payload);
        }
        Ok(Some(body))
    }

    /// Reads until the broker closes something; None if it only ends the socket.
    pub fn refusal(&mut self) -> io::Result<Option<(u16, String)>> {
        loop {
            match self.said()? {
                Said::Closed { code, text, .. } => return Ok(Some((code, text))),
                Said::End => return Ok(None),
                _ => {}
            }
        }
    }

    /// Reads whatever comes until the socket ends; returns the bytes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = std::mem::take(&mut self.unread);
        match self.stream.read_to_end(&mut all) {
            Err(e) if e.kind() != ErrorKind::ConnectionReset => Err(e),
            _ => Ok(all),
        }
    }

    /// Says that nothing more will be sent; what is answered can still be read.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Waits no longer than this for bytes.
    pub fn patience(&mut self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))
    }
}

/// connection.start-ok with that mechanism and response.
pub fn start_ok(mechanism: &str, response: &[u8]) -> Vec<u8> {
    method(0, 10, 11, &[NO_TABLE, &short(mechanism), &long(response), &short("en_US")])
}

/// connection.tune-ok.
pub fn tune_ok(channel_max: u16, frame_max: u32, heartbeat: u16) -> Vec<u8> {
    let pieces: [&[u8]; 3] =
        [&channel_max.to_be_bytes(), &frame_max.to_be_bytes(), &heartbeat.to_be_bytes()];
    method(0, 10, 31, &pieces)
}

/// connection.open.
pub fn open(vhost: &str) -> Vec<u8> {
    method(0, 10, 40, &[&short(vhost), &short(""), &[0]])
}

/// Channel, code and text of a close.
fn closed(frame: &Frame) -> (u16, u16, String) {
    let mut fields = frame.arguments();
    let code = fields.number(2) as u16;
    (frame.channel, code, fields.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_laid_out_as_the_specification_draws_it() {
        assert_eq!(frame(8, 0, &[]), [8, 0, 0, 0, 0, 0, 0, 0xCE]);
        assert_eq!(method(1, 20, 10, &[&short("")]), [1, 0, 1, 0, 0, 0, 5, 0, 20, 0, 10, 0, 0xCE]);
        let mut fields = Fields(&[2, b'h', b'i', 0, 0, 1, 0]);
        assert_eq!((fields.short().as_str(), fields.number(4)), ("hi", 256));
    }
}
