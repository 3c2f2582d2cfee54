//! Any bytes into WebSocket around a session that says again what it hears, or into a port
//! that it shares, whole and cut: no panic, all that is said is frames, and the inner session
//! hears the same.
//!
//! The first byte says where it begins: before the handshake, behind it, on a shared port; the
//! second whether the peer is let in; the third how it is cut.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use lockgate_front::first::First;
use lockgate_front::{Close, Front, Login, Output, Peer, Proof, Received, Session, Verdict};
use lockgate_model::{Event, Time};
use lockgate_websocket::{Auto, Inner, Settings, WebSocket};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

type Heard = Arc<Mutex<Vec<u8>>>;

/// Says again what it hears; asks to be let in at the first byte, and has enough at an `\x04`.
struct Echo {
    heard: Heard,
    awaits: bool,
    known: bool,
    over: bool,
}

struct Echoes(Heard);

impl Front for Echoes {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn open(&self, _: &Peer) -> Box<dyn Session> {
        Box::new(Echo { heard: self.0.clone(), awaits: false, known: false, over: false })
    }
}

impl Session for Echo {
    fn receive(&mut self, input: &Bytes, _: Time, out: &mut Output) -> Received {
        assert!(self.wants_input());
        let mut used = 0;
        for byte in input {
            if !self.known {
                (self.known, self.awaits) = (true, true);
                let proof = Proof::Password(Vec::new());
                out.login = Some(Login { user: "guest".into(), proof });
                break;
            }
            used += 1;
            self.heard.lock().unwrap().push(*byte);
            out.bytes.small().push(*byte);
            match byte {
                // An answer is awaited before anything more is read.
                b'?' => self.awaits = true,
                4 => {
                    self.over = true;
                    let cause = lockgate_front::Cause::Agreed;
                    out.close = Some(Close { linger: Default::default(), cause });
                }
                b'L' => {
                    let large = Bytes::from(vec![b'l'; 5_000]);
                    out.bytes.body(&large, &large);
                    out.bytes.small().push(b'\n');
                }
                _ => continue,
            }
            if !self.wants_input() {
                break;
            }
        }
        Received { used, need: 0 }
    }
    fn events(&mut self, events: &mut Vec<Event>, _: Time, out: &mut Output) {
        events.clear();
        self.awaits = false;
        out.bytes.small().push(b'!');
    }
    fn admitted(&mut self, _: Verdict, _: Time, _: &mut Output) {
        self.awaits = false;
    }
    fn tick(&mut self, _: Time, _: &mut Output) {}
    fn wake_at(&self) -> Option<Time> {
        None
    }
    fn wants_input(&self) -> bool {
        !self.awaits && !self.over
    }
    fn stop(&mut self, _: Time, _: &mut Output) {}
}

/// Lines, or what there is of one.
fn packet(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == b'\n').map(|n| n + 1)
}

fn echo(bytes: &[u8]) -> First {
    match bytes {
        [] => First::More(1),
        [b'E', ..] => First::Yes,
        _ => First::No,
    }
}

struct Played {
    heard: Vec<u8>,
    said: Vec<u8>,
    ended: bool,
}

fn play(how: u8, let_in: bool, bytes: &[u8], cut: usize) -> Played {
    let heard = Heard::default();
    let (tokens, paths) = (&["echo"][..], &["/echo"][..]);
    let front: Arc<dyn Front> = Arc::new(Echoes(heard.clone()));
    let inner = Inner { front, first: echo, tokens, paths, text: how & 4 == 0, packet };
    let settings = Settings { message_max: 100_000, ..Settings::default() };
    let websocket = WebSocket::new(settings, vec![inner.clone()]);
    let front: Arc<dyn Front> = match how & 3 {
        2 => Arc::new(Auto::new(&[inner], Arc::new(websocket))),
        _ => Arc::new(websocket),
    };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let mut session = front.open(&Peer { address, seed: 1, now: Time(0) });
    let mut played = Played { heard: Vec::new(), said: Vec::new(), ended: false };
    let mut unread = BytesMut::new();
    let request = b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let head: &[u8] = if how & 3 == 1 { request } else { b"" };
    let parts = [head].into_iter().filter(|head| !head.is_empty()).chain(bytes.chunks(cut.max(1)));
    for part in parts {
        unread.extend_from_slice(part);
        read(session.as_mut(), &mut unread, let_in, &mut played);
    }
    played.heard = heard.lock().unwrap().clone();
    played
}

/// As the drive loop does, and at once: whoever asks is answered.
fn read(session: &mut dyn Session, unread: &mut BytesMut, let_in: bool, played: &mut Played) {
    let mut out = Output::default();
    while !played.ended && session.wants_input() && !unread.is_empty() {
        let input = Bytes::copy_from_slice(unread);
        let received = session.receive(&input, Time(0), &mut out);
        assert!(received.used <= input.len() && received.need <= 256 * 1024);
        let _ = unread.split_to(received.used);
        let mut stopped = !session.wants_input() && !unread.is_empty();
        played.ended |= out.close.take().is_some();
        if let (Some(login), true) = (out.login.take(), let_in) {
            session.admitted(Verdict::Admitted(login.user), Time(0), &mut out);
        } else if !session.wants_input() && !played.ended {
            session.events(&mut Vec::new(), Time(0), &mut out);
        }
        stopped &= session.wants_input();
        played.ended |= out.close.take().is_some();
        played.said.extend(out.bytes.take());
        if !stopped {
            break;
        }
    }
}

/// What is said behind a handshake is whole frames without a mask.
fn frames(mut said: &[u8]) {
    if !said.starts_with(b"HTTP/1.1 101") {
        return;
    }
    let end = said.windows(4).position(|w| w == b"\r\n\r\n").expect("a head ends");
    said = &said[end + 4..];
    while let [flags, size, rest @ ..] = said {
        assert!(matches!(flags, 0x81 | 0x82 | 0x88 | 0x8a), "{flags:x}");
        let (size, rest) = match size {
            126 => (u64::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("a size")), &rest[8..]),
            n => (u64::from(*n), rest),
        };
        let (payload, rest) = rest.split_at(size as usize);
        assert!(*flags != 0x81 || std::str::from_utf8(payload).is_ok(), "text is text");
        said = rest;
    }
    assert!(said.is_empty());
}

fuzz_target!(|bytes: &[u8]| {
    let [how, let_in, cut, bytes @ ..] = bytes else { return };
    let whole = play(*how, let_in & 1 == 0, bytes, usize::MAX);
    let parts = play(*how, let_in & 1 == 0, bytes, usize::from(*cut));
    frames(&whole.said);
    frames(&parts.said);
    // A rule that is broken later in one read may end what the inner session had not used yet.
    let (longer, shorter) = match whole.heard.len() > parts.heard.len() {
        true => (&whole, &parts),
        false => (&parts, &whole),
    };
    assert!(longer.heard.starts_with(&shorter.heard));
    assert!(whole.ended || parts.ended || whole.heard == parts.heard);
});
