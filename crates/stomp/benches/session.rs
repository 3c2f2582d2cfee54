//! What a message costs in the session alone: SENDs in, deliveries out, ACKs in. Standard
//! library only; prints nanoseconds per message, the best of many rounds, since a shared
//! machine only ever adds to a time.

use bytes::Bytes;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Command, Consumer, Delivery, Event, Lane, LeaseId, Name, Run, Stamp, Time,
};
use lockgate_stomp::Stomp;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Time = Time(1);

/// What a read brings: the drive loop reads up to 64 KiB at once.
const READ: usize = 64 * 1024;

fn session() -> (Box<dyn Session>, Output) {
    let peer = Peer { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), seed: 1, now: NOW };
    let mut s = Stomp::default().open(&peer);
    let mut out = Output::default();
    let hello = b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0";
    s.receive(&Bytes::from_static(hello), NOW, &mut out);
    s.admitted(Verdict::Admitted(Name::from("guest")), NOW, &mut out);
    answer(s.as_mut(), &mut out);
    (s, out)
}

fn answer(s: &mut dyn Session, out: &mut Output) {
    while !out.commands.is_empty() {
        for command in std::mem::take(&mut out.commands) {
            if let Command::Ask { lane, ticket, .. } = command {
                let result = Ok(Answer::Done);
                s.events(&mut vec![Event::Answer { lane, ticket, result }], NOW, out);
            }
        }
    }
    out.bytes.take();
}

fn best(name: &str, messages: usize, mut round: impl FnMut()) {
    let mut least = f64::MAX;
    let until = Instant::now() + Duration::from_millis(400);
    while Instant::now() < until {
        let start = Instant::now();
        for _ in 0..16 {
            round();
        }
        least = least.min(start.elapsed().as_nanos() as f64 / (16 * messages) as f64);
    }
    #[allow(clippy::print_stdout)] // what a benchmark is for
    {
        println!("{name:<44} {least:>8.1} ns a message  ({messages} at once)");
    }
}

/// As many SENDs as one read brings.
fn receive(name: &str, headers: impl Fn(usize) -> String, body: usize) -> Arc<Run> {
    let (mut s, mut out) = session();
    s.receive(&Bytes::from_static(b"SEND\ndestination:/queue/bench\n\n\0"), NOW, &mut out);
    answer(s.as_mut(), &mut out);
    let (mut bytes, mut n, mut last) = (Vec::new(), 0, 0);
    while bytes.len() + last <= READ {
        let before = bytes.len();
        bytes.extend_from_slice(format!("SEND\n{}\n", headers(n)).as_bytes());
        bytes.extend(std::iter::repeat_n(b'x', body));
        bytes.push(0);
        last = bytes.len() - before;
        n += 1;
    }
    let input = Bytes::from(bytes);
    best(name, n, || {
        let received = s.receive(&input, NOW, &mut out);
        assert_eq!(received.used, input.len());
        let mut told = Vec::new();
        for command in out.commands.drain(..) {
            if let Command::Publish { lane, run, confirm: Some(first) } = command {
                told.push(Event::Confirmed { lane, first, count: run.items.len() as u32 });
            }
        }
        s.events(&mut told, NOW, &mut out);
        black_box(out.bytes.small().len());
        out.bytes.advance(out.bytes.len());
    });
    s.receive(&input, NOW, &mut out);
    match out.commands.pop() {
        Some(Command::Publish { run, .. }) => run,
        other => unreachable!("{other:?}"),
    }
}

fn deliver(name: &str, run: &Arc<Run>, batch: usize, acks: bool) {
    let (mut s, mut out) = session();
    let mode = if acks { "client" } else { "auto" };
    let wish = format!("SUBSCRIBE\nid:1\ndestination:/amq/queue/bench\nack:{mode}\n\n\0");
    s.receive(&Bytes::from(wish), NOW, &mut out);
    let Some(Command::Ask { lane, ticket, .. }) = out.commands.pop() else { unreachable!() };
    s.events(&mut vec![Event::Answer { lane, ticket, result: Ok(Answer::Done) }], NOW, &mut out);
    let session_name = "session-";
    let mut tag = 0;
    let mut events = Vec::new();
    let mut name_of_session = None;
    best(name, run.items.len() / batch * batch, || {
        for part in 0..run.items.len() / batch {
            events.push(Event::Deliver(Delivery {
                lane: Lane(0),
                consumer: Consumer(1),
                run: run.clone(),
                first: (part * batch) as u32,
                step: 1,
                count: batch as u32,
                number: 0,
                lease: acks.then_some(LeaseId(part as u32)),
                redelivered: false,
                stamp: Stamp::None,
                cost: 1,
            }));
            s.events(&mut events, NOW, &mut out);
            tag += batch as u64;
        }
        if acks {
            let known = name_of_session.get_or_insert_with(|| {
                let said = String::from_utf8_lossy(out.bytes.small()).into_owned();
                let at = said.find(session_name).unwrap_or_default();
                said[at..at + 30].to_owned()
            });
            let say = format!("ACK\nid:T_1@@{known}@@{tag}\n\n\0");
            s.receive(&Bytes::from(say), NOW, &mut out);
            assert!(!out.commands.is_empty());
            out.commands.clear();
        }
        black_box(out.bytes.small().len());
        out.bytes.advance(out.bytes.len());
    });
}

fn main() {
    let bare =
        |size: usize| move |_: usize| format!("destination:/queue/bench\ncontent-length:{size}\n");
    let small = receive("SEND 16 B", bare(16), 16);
    receive("SEND 16 B, no length", |_| "destination:/queue/bench\n".into(), 16);
    let large = receive("SEND 1 KiB", bare(1024), 1024);
    receive("SEND 16 B, no length 1 KiB", |_| "destination:/queue/bench\n".into(), 1024);
    let other = |n: usize| format!("destination:/topic/a.b\nnumber:{n}\ncontent-length:16\n");
    let differ = receive("SEND 16 B, each with a header of its own", other, 16);
    let owed = |n: usize| format!("destination:/queue/bench\nreceipt:{n}\ncontent-length:16\n");
    receive("SEND 16 B, each with a receipt", owed, 16);
    for batch in [1, 16, 256] {
        deliver(&format!("deliver 16 B by {batch}"), &small, batch, false);
    }
    deliver("deliver 1 KiB by 16", &large, 16, false);
    deliver("deliver 16 B by 16, headers differ", &differ, 16, false);
    deliver("deliver 16 B by 16, an ACK for all", &small, 16, true);
}
