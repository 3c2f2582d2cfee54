//! A toy protocol of lines with everything a session may do, a client that speaks
//! WebSocket in bytes, and a driver that does as the real one does.

use crate::{Inner, Settings, WebSocket};
use bytes::{Bytes, BytesMut};
use lockgate_front::first::First;
use lockgate_front::{Cause, Close, Front, Login, Output, Peer, Proof, Received, Session, Verdict};
use lockgate_model::{Answer, Command, Event, Lane, Request, Ticket, Time};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Makes toy sessions.
pub struct Toy;

impl Front for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn open(&self, _peer: &Peer) -> Box<dyn Session> {
        Box::new(Lines::default())
    }
}

/// `HELLO` begins every conversation.
pub fn hello(bytes: &[u8]) -> First {
    let word = b"HELLO";
    match bytes.starts_with(word) {
        true => First::Yes,
        false if word.starts_with(bytes) => First::More(word.len()),
        false => First::No,
    }
}

/// A packet is a line, and behind `big N` N bytes.
pub fn packet(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|b| *b == b'\n')? + 1;
    let line = std::str::from_utf8(&bytes[..end - 1]).unwrap_or_default();
    let more = line.strip_prefix("big ").and_then(|n| n.parse::<usize>().ok());
    Some(end + more.unwrap_or_default())
}

#[derive(Default)]
struct Lines {
    awaits: bool,
    over: bool,
    wake: Option<Time>,
    heard: Time,
}

impl Lines {
    fn line(&mut self, line: &str, now: Time, out: &mut Output) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "HELLO" | "Hello" => {
                self.awaits = true;
                let proof = Proof::Password(b"secret".to_vec());
                out.login = Some(Login { user: rest.into(), proof });
            }
            "echo" => say(out, rest.as_bytes()),
            "twice" => {
                say(out, rest.as_bytes());
                say(out, b"");
            }
            "raw" => say(out, b"\xff\xfe"),
            "ask" => {
                self.awaits = true;
                let request = Request::FindQueue(rest.into());
                out.commands.push(Command::Ask { lane: Lane(0), ticket: Ticket(7), request });
            }
            "big" => {
                let n: usize = rest.parse().unwrap();
                let body = Bytes::from(vec![b'b'; n]);
                say(out, line.as_bytes());
                out.bytes.body(&body, &body);
                out.delivered += n as u64;
            }
            "wake" => self.wake = Some(now + Duration::from_secs(rest.parse().unwrap())),
            "close" => self.close(Cause::Agreed, 7, out),
            "fault" => self.close(Cause::Fault("a line of no sense".into()), 0, out),
            _ => say(out, b"what?"),
        }
    }

    fn close(&mut self, cause: Cause, linger: u64, out: &mut Output) {
        self.over = true;
        out.close = Some(Close { linger: Duration::from_secs(linger), cause });
    }
}

fn say(out: &mut Output, line: &[u8]) {
    out.bytes.small().extend_from_slice(line);
    out.bytes.small().push(b'\n');
}

impl Session for Lines {
    fn receive(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received {
        assert!(self.wants_input(), "is handed over what it does not want");
        self.heard = now;
        let mut used = 0;
        while self.wants_input() {
            let rest = &input[used..];
            let Some(end) = rest.iter().position(|b| *b == b'\n') else { break };
            let line = std::str::from_utf8(&rest[..end]).unwrap_or("?").to_owned();
            if let Some(n) = line.strip_prefix("data ") {
                let need = end + 1 + n.parse::<usize>().unwrap();
                if rest.len() < need {
                    return Received { used, need };
                }
                let sum: u64 = rest[end + 1..need].iter().map(|b| u64::from(*b)).sum();
                say(out, format!("got {} {sum}", need - end - 1).as_bytes());
                used += need;
            } else {
                used += end + 1;
                self.line(&line, now, out);
            }
        }
        Received { used, need: 0 }
    }

    fn events(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output) {
        for event in events.drain(..) {
            match event {
                Event::Answer { .. } => {
                    self.awaits = false;
                    say(out, b"answered");
                }
                Event::Deliver(delivery) => {
                    self.line(&format!("big {}", delivery.cost), now, out);
                }
                Event::Expelled { .. } => self.close(Cause::Stopped, 0, out),
                _ => say(out, b"told"),
            }
        }
    }

    fn admitted(&mut self, verdict: Verdict, _now: Time, out: &mut Output) {
        self.awaits = false;
        match verdict {
            Verdict::Admitted(user) | Verdict::Proven { user, .. } => {
                say(out, format!("welcome {user}").as_bytes());
            }
            Verdict::Challenge { .. } => say(out, b"say more"),
            Verdict::Denied(_) => {
                say(out, b"no");
                self.close(Cause::Denied("unknown".into()), 0, out);
            }
        }
    }

    fn tick(&mut self, now: Time, out: &mut Output) {
        self.wake = None;
        match now == self.heard {
            true => say(out, b"heard"),
            false => self.close(Cause::Silent, 0, out),
        }
    }

    fn wake_at(&self) -> Option<Time> {
        self.wake
    }

    fn wants_input(&self) -> bool {
        !self.awaits && !self.over
    }

    fn stop(&mut self, _now: Time, out: &mut Output) {
        say(out, b"bye");
        self.close(Cause::Stopped, 0, out);
    }
}

/// WebSocket around the toy, in text and binary; and around a second one in binary only.
pub fn front(settings: Settings) -> WebSocket {
    WebSocket::new(settings, inners())
}

pub fn inners() -> Vec<Inner> {
    let toy = Inner {
        front: Arc::new(Toy),
        first: hello,
        tokens: &["v1.toy", "toy*"],
        paths: &["/toy", "/ws/toy"],
        text: true,
        packet,
    };
    let never: lockgate_front::first::Recognise = |_| First::No;
    let binary =
        Inner { first: never, tokens: &["bin"], paths: &["/bin"], text: false, ..toy.clone() };
    vec![binary, toy]
}

/// A request with these lines beside the ones that every client sends.
pub fn request(path: &str, more: &[&str]) -> Vec<u8> {
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    );
    more.iter().for_each(|line| text += &format!("{line}\r\n"));
    (text + "\r\n").into_bytes()
}

pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const MORE: u8 = 0x00;
pub const LAST: u8 = 0x80;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;

/// A client's frame.
pub fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![flags];
    match payload.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().enumerate().map(|(n, b)| b ^ MASK[n % 4]));
    out
}

/// The frames that a server's bytes are: flags and payload each. Fails unless they are
/// whole, not masked and minimal.
pub fn heard(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [flags, size, rest @ ..] = bytes {
        let (size, rest) = match *size {
            126 => (u16::from_be_bytes(rest[..2].try_into().unwrap()) as usize, &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()) as usize, &rest[8..]),
            n => (usize::from(n), rest),
        };
        assert!(size <= rest.len(), "half a frame, or a mask");
        assert_eq!(
            bytes.len() - rest.len(),
            if size < 126 {
                2
            } else if size < 65536 {
                4
            } else {
                10
            }
        );
        frames.push((*flags, rest[..size].to_vec()));
        bytes = &rest[size..];
    }
    assert!(bytes.is_empty(), "half a frame");
    frames
}

/// A connection, driven as a socket would drive it.
pub struct Driver {
    pub session: Box<dyn Session>,
    pub out: Output,
    pub now: Time,
    /// Who logs in is let in at once; requests are answered at once.
    pub prompt: bool,
    pub asked: Vec<String>,
    pub said: Vec<u8>,
    pub close: Option<Close>,
    unread: BytesMut,
}

impl Driver {
    pub fn new(front: &dyn Front) -> Driver {
        Driver::from(front, "127.0.0.1:1")
    }

    pub fn from(front: &dyn Front, address: &str) -> Driver {
        let address: SocketAddr = address.parse().unwrap();
        Driver {
            session: front.open(&Peer { address, seed: 1, now: Time(0) }),
            out: Output::default(),
            now: Time(0),
            prompt: true,
            asked: Vec::new(),
            said: Vec::new(),
            close: None,
            unread: BytesMut::new(),
        }
    }

    /// A connection that is through the handshake.
    pub fn open(path: &str, token: &str) -> Driver {
        let mut driver = Driver::new(&front(Settings::default()));
        let offered = format!("Sec-WebSocket-Protocol: {token}");
        let lines: &[&str] = if token.is_empty() { &[] } else { &[&offered] };
        driver.read(&request(path, lines));
        let said = String::from_utf8(std::mem::take(&mut driver.said)).unwrap();
        assert!(said.starts_with("HTTP/1.1 101 "), "{said}");
        driver
    }

    pub fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.go_on();
    }

    /// Lets the session have what it wants of what there is.
    pub fn go_on(&mut self) {
        while self.session.wants_input() && !self.unread.is_empty() && self.close.is_none() {
            let input = Bytes::copy_from_slice(&self.unread);
            let received = self.session.receive(&input, self.now, &mut self.out);
            assert!(received.used <= input.len());
            let _ = self.unread.split_to(received.used);
            let rest = &input[received.used..];
            let stopped = !self.session.wants_input() && !rest.is_empty();
            self.collect();
            if !stopped {
                assert!(received.need == 0 || received.need > rest.len(), "{received:?}");
                break;
            }
        }
    }

    /// Takes what the session put out, and plays door and engine.
    pub fn collect(&mut self) {
        loop {
            self.said.extend(self.out.bytes.take());
            if let Some(close) = self.out.close.take() {
                assert!(self.close.is_none(), "closed twice");
                self.close = Some(close);
            }
            let commands = std::mem::take(&mut self.out.commands);
            let mut moved = false;
            for command in commands {
                self.asked.extend(lockgate_front::script::lines(&command));
                if let (Command::Ask { .. }, true) = (&command, self.prompt) {
                    self.answer();
                    moved = true;
                }
            }
            if self.prompt
                && let Some(login) = self.out.login.take()
            {
                self.asked.push(format!("login {}", login.user));
                self.session.admitted(Verdict::Admitted(login.user), self.now, &mut self.out);
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    pub fn answer(&mut self) {
        let event = Event::Answer { lane: Lane(0), ticket: Ticket(7), result: Ok(Answer::Done) };
        self.session.events(&mut vec![event], self.now, &mut self.out);
    }

    /// The frames that the session has sent since it was last asked.
    pub fn frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        heard(&std::mem::take(&mut self.said))
    }

    /// The same as text, data frames' payloads put together.
    pub fn text(&mut self) -> String {
        let all: Vec<u8> = self.frames().into_iter().flat_map(|(_, payload)| payload).collect();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// The code of the close frame that ended the connection, and the log's cause.
    pub fn closed(&mut self) -> (u16, String) {
        let frames = self.frames();
        let close = self.close.clone().expect("it goes on");
        let (flags, payload) = frames.last().expect("no close frame");
        assert_eq!(*flags, CLOSE, "the last is a close frame: {frames:?}");
        let code = payload.first_chunk().map_or(0, |code| u16::from_be_bytes(*code));
        (code, format!("{:?}", close.cause))
    }
}
