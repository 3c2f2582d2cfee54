//! However a conversation is cut into reads, the same comes of it; and no bytes at all make a
//! session panic, ask for more than it may, or say what it did not.

use crate::{Settings, Stomp, frame};
use bytes::{Bytes, BytesMut};
use lockgate_front::script::lines;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{Answer, Command, Event, Name, Time};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};

const HELLO: &[u8] = b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0";

/// A session with whoever answers it at once.
struct Played {
    session: Box<dyn Session>,
    out: Output,
    unread: BytesMut,
    /// Commands and frames, in order.
    said: Vec<String>,
    bytes: Vec<u8>,
}

impl Played {
    fn new() -> Played {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let front = Stomp::new(Settings::default());
        let session = front.open(&Peer { address, seed: 1, now: Time(0) });
        let (out, unread) = (Output::default(), BytesMut::new());
        Played { session, out, unread, said: Vec::new(), bytes: Vec::new() }
    }

    fn read(&mut self, part: &[u8]) {
        self.unread.extend_from_slice(part);
        loop {
            let input = Bytes::copy_from_slice(&self.unread);
            let received = self.session.receive(&input, Time(0), &mut self.out);
            assert!(received.used <= input.len());
            let rest = input.len() - received.used;
            assert!(received.need == 0 || received.need > rest, "it has what it needs");
            assert!(received.need <= 2 * rest + 1, "{} for {rest}", received.need);
            let _ = self.unread.split_to(received.used);
            if !self.answer() {
                break;
            }
            while self.answer() {}
        }
    }

    /// Says yes to everything; false if nothing was asked.
    fn answer(&mut self) -> bool {
        let mut events = Vec::new();
        for command in std::mem::take(&mut self.out.commands) {
            // How many messages one publish has depends on the reads.
            self.said.extend(lines(&command));
            match command {
                Command::Ask { lane, ticket, .. } => {
                    events.push(Event::Answer { lane, ticket, result: Ok(Answer::Done) });
                }
                Command::Publish { lane, run, confirm: Some(first) } => {
                    let count = run.items.len() as u32;
                    events.push(Event::Confirmed { lane, first, count });
                }
                _ => {}
            }
        }
        let login = self.out.login.take().is_some();
        if login {
            let verdict = Verdict::Admitted(Name::from("guest"));
            self.session.admitted(verdict, Time(0), &mut self.out);
        }
        let any = login || !events.is_empty();
        self.session.events(&mut events, Time(0), &mut self.out);
        self.bytes.extend(self.out.bytes.take());
        any
    }

    /// What was said; receipts may come earlier or later than other frames.
    fn heard(mut self) -> (Vec<String>, Vec<Vec<u8>>) {
        // Whether messages are to be confirmed is said of all that were read with one.
        self.said.iter_mut().for_each(|line| *line = line.replace(" confirm", ""));
        let frames = self.bytes.split(|b| *b == 0).map(<[u8]>::to_vec);
        let mut frames: Vec<Vec<u8>> = frames.collect();
        frames.sort();
        (self.said, frames)
    }
}

fn spoken() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        Just("destination:/topic/a\n"),
        Just("destination:/queue/b\n"),
        Just("receipt:1\n"),
        Just("x:a\\nb\n"),
        Just("persistent:true\r\n"),
        Just("id:1\n"),
        Just("ack:client\n"),
        Just("transaction:t\n"),
        Just("reply-to:/temp-queue/r\n"),
    ];
    let command = prop_oneof![
        6 => Just("SEND"),
        1 => Just("SUBSCRIBE"),
        1 => Just("BEGIN"),
        1 => Just("COMMIT"),
        1 => Just("ACK"),
        1 => Just("ABORT"),
        1 => Just("UNSUBSCRIBE"),
        1 => Just("FOO"),
    ];
    let body = prop::collection::vec(prop_oneof![4 => Just(b'x'), 1 => Just(0u8)], 0..20);
    (command, prop::collection::vec(header, 0..4), body, 0..3usize, 1..4usize).prop_map(
        |(command, headers, body, idle, times)| {
            let mut one = format!("{command}\n{}", headers.concat()).into_bytes();
            if command == "SEND" {
                one.extend_from_slice(format!("content-length:{}\n\n", body.len()).as_bytes());
                one.extend_from_slice(&body);
            } else {
                one.push(b'\n');
            }
            one.push(0);
            one.extend(std::iter::repeat_n(b'\n', idle));
            one.repeat(times)
        },
    )
}

proptest! {
    #[test]
    fn the_same_comes_of_it_however_it_is_cut(
        frames in prop::collection::vec(spoken(), 0..8),
        cuts in prop::collection::vec(1..40usize, 1..12),
    ) {
        let all = [HELLO.to_vec(), frames.concat()].concat();
        let mut whole = Played::new();
        whole.read(&all);
        let mut parts = Played::new();
        let (mut at, mut n) = (0, 0);
        while at < all.len() {
            let end = all.len().min(at + cuts[n % cuts.len()]);
            parts.read(&all[at..end]);
            (at, n) = (end, n + 1);
        }
        prop_assert_eq!(whole.heard(), parts.heard());
    }

    #[test]
    fn no_bytes_make_it_panic(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        known in any::<bool>(),
        frames in prop::collection::vec(spoken(), 0..3),
    ) {
        let mut played = Played::new();
        if known {
            played.read(HELLO);
        }
        played.read(&[frames.concat(), noise].concat());
    }

    /// The search for the end of a frame finds the same, whether it goes on or begins anew.
    #[test]
    fn a_search_that_goes_on_finds_what_a_new_one_finds(
        bytes in prop::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'S'), Just(b':'), Just(0u8), Just(b'\r')], 0..60),
        cuts in prop::collection::vec(1..9usize, 1..9),
    ) {
        let limits = frame::Limits { lines_max: 40, headers_max: 5, body_max: 20 };
        let mut scan = frame::Scan::default();
        let mut at = 0;
        for n in 0.. {
            at = bytes.len().min(at + cuts[n % cuts.len()]);
            let anew = frame::Scan::default().cut(&bytes[..at], &limits);
            let on = scan.cut(&bytes[..at], &limits);
            prop_assert_eq!(on, anew);
            if at == bytes.len() || !matches!(on, Ok(frame::Cut::Part(_))) {
                break;
            }
        }
    }
}
