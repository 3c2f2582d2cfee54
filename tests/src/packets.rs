//! A small MQTT client on a bare socket: it can talk like any other, leave out what it likes
//! and send whatever bytes a test wants. What it must remember from one connection to the next
//! is its test's.

use crate::PATIENCE;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The types of packets, as their first four bits say them.
#[allow(missing_docs)] // the specification's names
pub mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const DISCONNECT: u8 = 14;
}

/// A packet as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The first octet.
    pub head: u8,
    /// All behind the length.
    pub body: Vec<u8>,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the specification's names
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub dup: bool,
    pub retain: bool,
    /// 0 with QoS 0.
    pub id: u16,
}

impl Packet {
    /// What it is.
    pub fn kind(&self) -> u8 {
        self.head >> 4
    }

    /// The identifier that an acknowledgement begins with.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.body[0], self.body[1]])
    }

    /// The message of a PUBLISH; with version 5, properties are passed over.
    pub fn message(&self, five: bool) -> Message {
        assert_eq!(self.kind(), kind::PUBLISH, "{self:?}");
        let qos = self.head >> 1 & 3;
        let mut rest = self.body.as_slice();
        let length = take(&mut rest, 2);
        let topic = take(&mut rest, usize::from(u16::from_be_bytes([length[0], length[1]])));
        let id = if qos > 0 { take(&mut rest, 2) } else { &[0, 0] };
        let id = u16::from_be_bytes([id[0], id[1]]);
        if five {
            let (size, used) = number(rest).expect("a whole length");
            take(&mut rest, used + size);
        }
        Message {
            topic: String::from_utf8(topic.to_vec()).expect("a topic is UTF-8"),
            payload: rest.to_vec(),
            qos,
            dup: self.head & 8 != 0,
            retain: self.head & 1 != 0,
            id,
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (front, back) = rest.split_at(count);
    *rest = back;
    front
}

/// A length of up to four octets, and how many it takes; none if there is more to come.
fn number(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}

/// A packet of these pieces.
pub fn packet(head: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![head];
    let mut size: usize = pieces.iter().map(|piece| piece.len()).sum();
    loop {
        let more = size > 0x7F;
        out.push((size & 0x7F) as u8 | if more { 0x80 } else { 0 });
        size >>= 7;
        if !more {
            break;
        }
    }
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    out
}

/// A text behind its length.
pub fn text(text: &str) -> Vec<u8> {
    let mut out = u16::try_from(text.len()).expect("a test's text").to_be_bytes().to_vec();
    out.extend_from_slice(text.as_bytes());
    out
}

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Its name.
    pub client: String,
    /// What was before is forgotten.
    pub clean: bool,
    /// Seconds that the session outlives the connection; none to speak 3.1.1.
    pub expiry: Option<u32>,
    /// Of a will: topic, payload, QoS (with 0x20 if it is to be retained), seconds of delay.
    pub will: Option<(String, Vec<u8>, u8, u32)>,
}

impl Connect {
    /// A client whose session ends with its connection.
    pub fn new(client: &str) -> Connect {
        Connect { client: client.into(), clean: true, expiry: Some(0), will: None }
    }

    /// A client whose session stays.
    pub fn lasting(client: &str) -> Connect {
        Connect { clean: false, expiry: Some(3600), ..Connect::new(client) }
    }

    /// The bytes of the packet.
    pub fn bytes(&self) -> Vec<u8> {
        let mut flags = if self.clean { 0xC2 } else { 0xC0 };
        let mut rest = text(&self.client);
        if let Some((topic, payload, qos, delay)) = &self.will {
            flags |= 4 | (qos & 3) << 3 | (qos & 0x20);
            if self.expiry.is_some() {
                rest.extend_from_slice(&[5, 0x18]);
                rest.extend_from_slice(&delay.to_be_bytes());
            }
            rest.extend_from_slice(&text(topic));
            rest.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            rest.extend_from_slice(payload);
        }
        rest.extend_from_slice(&[text("guest"), text("guest")].concat());
        let mut properties = Vec::new();
        if let Some(seconds) = self.expiry {
            properties.extend_from_slice(&[5, 0x11]);
            properties.extend_from_slice(&seconds.to_be_bytes());
        }
        let level = if self.expiry.is_some() { 5 } else { 4 };
        packet(0x10, &[&text("MQTT"), &[level, flags, 0, 0], &properties, &rest])
    }
}

/// A connection.
#[derive(Debug)]
pub struct Packets {
    stream: TcpStream,
    unread: Vec<u8>,
    five: bool,
}

impl Packets {
    /// A bare connection: nothing is sent.
    pub fn connect(to: SocketAddr) -> io::Result<Packets> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Packets { stream, unread: Vec::new(), five: true })
    }

    /// Connects, and must be let in; whether its session was there.
    pub fn enter(to: SocketAddr, wish: &Connect) -> io::Result<(Packets, bool)> {
        let mut packets = Packets::connect(to)?;
        packets.five = wish.expiry.is_some();
        packets.send(&wish.bytes())?;
        let connack = packets.expect(kind::CONNACK)?;
        match connack.body[..2] {
            [present, 0] => Ok((packets, present == 1)),
            _ => Err(io::Error::other(format!("not let in: {connack:?}"))),
        }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next packet; none at the end of the socket.
    pub fn packet(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some((size, used)) = number(self.unread.get(1..).unwrap_or_default())
                && self.unread.len() > used + size
            {
                let whole: Vec<u8> = self.unread.drain(..=used + size).collect();
                return Ok(Some(Packet { head: whole[0], body: whole[1 + used..].to_vec() }));
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

    /// The next packet, which must be of that type.
    pub fn expect(&mut self, kind: u8) -> io::Result<Packet> {
        match self.packet()? {
            Some(packet) if packet.kind() == kind => Ok(packet),
            Some(packet) => Err(io::Error::other(format!("{packet:?} and not type {kind}"))),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The next packet, which must be a message.
    pub fn message(&mut self) -> io::Result<Message> {
        Ok(self.expect(kind::PUBLISH)?.message(self.five))
    }

    /// Subscribes, and must be granted what it asks for.
    pub fn subscribe(&mut self, filter: &str, qos: u8) -> io::Result<()> {
        let properties: &[u8] = if self.five { &[0] } else { &[] };
        self.send(&packet(0x82, &[&[0, 1], properties, &text(filter), &[qos]]))?;
        let suback = self.expect(kind::SUBACK)?;
        assert_eq!(suback.body.last(), Some(&qos), "granted");
        Ok(())
    }

    /// The bytes of a PUBLISH.
    pub fn publication(&self, topic: &str, payload: &[u8], flags: Flags, id: u16) -> Vec<u8> {
        let id = if flags.qos > 0 { id.to_be_bytes().to_vec() } else { Vec::new() };
        let properties: &[u8] = if self.five { &[0] } else { &[] };
        packet(flags.head(), &[&text(topic), &id, properties, payload])
    }

    /// Publishes with QoS 2 and goes through the whole conversation.
    pub fn exactly_once(&mut self, topic: &str, payload: &[u8], id: u16) -> io::Result<()> {
        let bytes = self.publication(topic, payload, Flags::qos(2), id);
        self.send(&bytes)?;
        assert_eq!(self.expect(kind::PUBREC)?.id(), id);
        self.acknowledge(kind::PUBREL, id)?;
        assert_eq!(self.expect(kind::PUBCOMP)?.id(), id);
        Ok(())
    }

    /// Sends PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub fn acknowledge(&mut self, which: u8, id: u16) -> io::Result<()> {
        let flags = if which == kind::PUBREL { 2 } else { 0 };
        self.send(&packet(which << 4 | flags, &[&id.to_be_bytes()]))
    }

    /// The socket itself, for who reads and writes more than packet by packet.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.unread.is_empty(), "nothing is lost: {:?}", self.unread);
        self.stream
    }

    /// Reads whatever comes until the socket ends.
    pub fn rest(&mut self) -> io::Result<Vec<Packet>> {
        let mut all = Vec::new();
        while let Some(packet) = self.packet()? {
            all.push(packet);
        }
        Ok(all)
    }
}

/// What the first octet of a PUBLISH says.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // the specification's names
pub struct Flags {
    pub qos: u8,
    pub dup: bool,
    pub retain: bool,
}

impl Flags {
    /// Just that QoS.
    pub fn qos(qos: u8) -> Flags {
        Flags { qos, ..Flags::default() }
    }

    fn head(self) -> u8 {
        0x30 | self.qos << 1 | u8::from(self.dup) << 3 | u8::from(self.retain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_laid_out_as_the_specification_draws_it() {
        assert_eq!(packet(0xC0, &[]), [0xC0, 0]);
        assert_eq!(packet(0x30, &[&[7; 200]])[..3], [0x30, 0xC8, 1]);
        assert_eq!(number(&[0xC8, 1]), Some((200, 2)));
        assert_eq!(number(&[0xC8]), None);
        let came =
            Packet { head: 0x3D, body: [&text("a")[..], &[0, 9, 2, 0x01, 1, b'x']].concat() };
        let message = came.message(true);
        assert_eq!((message.topic.as_str(), message.payload.as_slice()), ("a", &b"x"[..]));
        assert_eq!((message.qos, message.dup, message.retain, message.id), (2, true, true, 9));
    }
}
