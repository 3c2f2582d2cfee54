//! A small STOMP client on a bare socket: it can work like any other, and it can send
//! whatever bytes a test likes.

use crate::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A frame as it came. Escapes are left as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// MESSAGE, RECEIPT, ...
    pub command: String,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// What is inside.
    pub body: Vec<u8>,
}

impl Frame {
    /// The value of a header; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// One connection.
#[derive(Debug)]
pub struct Stomp {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Stomp {
    /// A connection, and nothing said yet.
    pub fn open(address: SocketAddr) -> Stomp {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Stomp { stream, unread: Vec::new() }
    }

    /// A connection of guest's in version 1.2.
    pub fn connect(address: SocketAddr) -> Stomp {
        let mut stomp = Stomp::open(address);
        let login = [("login", "guest"), ("passcode", "guest")];
        stomp.say(
            "CONNECT",
            &[&login[..], &[("accept-version", "1.2"), ("host", "/")]].concat(),
            b"",
        );
        assert_eq!(stomp.told().command, "CONNECTED");
        stomp
    }

    /// Sends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("it reads");
    }

    /// Sends a frame; headers are not escaped.
    pub fn say(&mut self, command: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.raw(&frame(command, headers, body));
    }

    /// Sends a frame with a receipt, and waits for it. MESSAGEs that come before are given back.
    pub fn done(&mut self, command: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Frame> {
        let headers = [headers, &[("receipt", "done")]].concat();
        self.say(command, &headers, body);
        let mut before = Vec::new();
        loop {
            let frame = self.told();
            match frame.command.as_str() {
                "RECEIPT" => {
                    assert_eq!(frame.get("receipt-id"), "done");
                    return before;
                }
                "MESSAGE" => before.push(frame),
                _ => panic!("{frame:?}"),
            }
        }
    }

    /// The next frame.
    pub fn told(&mut self) -> Frame {
        self.heard().expect("a frame comes before the end")
    }

    /// The next frame; none at the end.
    pub fn heard(&mut self) -> Option<Frame> {
        loop {
            let idle = self.unread.iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
            self.unread.drain(..idle);
            if let Some((frame, end)) = read(&self.unread) {
                self.unread.drain(..end);
                return Some(frame);
            }
            let mut more = [0; 64 * 1024];
            match self.stream.read(&mut more).expect("it answers in time") {
                0 => return None,
                n => self.unread.extend_from_slice(&more[..n]),
            }
        }
    }
}

/// A frame's bytes. A body has its length said.
pub fn frame(command: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{command}\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}:{value}\n").as_bytes());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length:{}\n", body.len()).as_bytes());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    bytes.push(0);
    bytes
}

/// A whole frame at the front, and where it ends.
fn read(bytes: &[u8]) -> Option<(Frame, usize)> {
    let head = bytes.windows(2).position(|w| w == b"\n\n")?;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let mut lines = text.lines();
    let command = lines.next().unwrap_or_default().to_owned();
    let pair = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.to_owned()));
    let headers = lines.map(|line| pair(line).expect("a header has a colon")).collect();
    let mut frame = Frame { command, headers, body: Vec::new() };
    let rest = &bytes[head + 2..];
    let size = match frame.get("content-length") {
        "" => rest.iter().position(|b| *b == 0)?,
        digits => digits.parse().expect("a length is a number"),
    };
    if rest.len() <= size {
        return None;
    }
    assert_eq!(rest[size], 0, "NUL ends {frame:?}");
    frame.body = rest[..size].to_vec();
    Some((frame, head + 2 + size + 1))
}
