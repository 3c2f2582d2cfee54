//! The load: connections that have logged in, a sender thread that writes messages encoded
//! beforehand, many a write, and a receiver thread that only counts what comes. It spends as
//! little as it can, since the broker shares the machine with it, and judges nothing.

use lockgate_tests::PATIENCE;
use lockgate_tests::wire::{HEADER, frame, header, method, open, short, start_ok, tune_ok};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::io::{self, Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// What one write holds at most.
const WRITE_BYTES: usize = 64 * 1024;
const WRITE_MESSAGES: usize = 1_000;
/// What one read holds at most; more than any frame.
const READ_BYTES: usize = 256 * 1024;

/// A connection with channel 1 open.
pub fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(HEADER)?;
    answer(&mut stream)?;
    stream.write_all(&start_ok("PLAIN", b"\0guest\0guest"))?;
    answer(&mut stream)?;
    stream.write_all(&tune_ok(2047, 131_072, 0))?;
    stream.write_all(&open("/"))?;
    answer(&mut stream)?;
    stream.write_all(&method(1, 20, 10, &[&short("")]))?;
    answer(&mut stream)?;
    Ok(stream)
}

/// Reads one frame and not a byte more.
pub fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = [0; 7];
    stream.read_exact(&mut head)?;
    let [_, _, _, size @ ..] = head;
    let mut rest = vec![0; u32::from_be_bytes(size) as usize + 1];
    stream.read_exact(&mut rest)
}

/// A connection whose publishes are confirmed.
pub fn connect_confirmed(to: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = connect(to)?;
    stream.write_all(&method(1, 85, 10, &[&[0]]))?;
    answer(&mut stream)?;
    Ok(stream)
}

/// The bytes that publish a message.
pub fn publication(exchange: &str, key: &str, properties: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = method(1, 60, 40, &[&[0, 0], &short(exchange), &short(key), &[0]]);
    out.extend(header(1, body.len() as u64, properties));
    out.extend(frame(3, 1, body));
    out
}

/// Messages one after the other, sent again and again.
pub struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Block {
    /// As many messages as one write holds, in turn from these.
    pub fn of(messages: &[Vec<u8>]) -> Block {
        let mut block = Block { bytes: Vec::new(), ends: Vec::new() };
        for message in messages.iter().cycle().take(WRITE_MESSAGES) {
            if !block.ends.is_empty() && block.bytes.len() + message.len() > WRITE_BYTES {
                break;
            }
            block.bytes.extend_from_slice(message);
            block.ends.push(block.bytes.len());
        }
        block
    }

    /// All of these, in turn, many a write: for messages of which no two are alike.
    pub fn long(messages: &[Vec<u8>]) -> Block {
        let mut block = Block { bytes: Vec::new(), ends: Vec::new() };
        for message in messages {
            block.bytes.extend_from_slice(message);
            block.ends.push(block.bytes.len());
        }
        block
    }

    /// Up to `most` messages from the one at `at`, and how many they are.
    fn part(&self, at: usize, most: u64) -> (&[u8], usize) {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let fit = self.ends[at..].partition_point(|end| end - from <= WRITE_BYTES);
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(WRITE_MESSAGES);
        let count = fit.max(1).min(most);
        (&self.bytes[from..self.ends[at + count - 1]], count)
    }
}

/// How far the sender may run ahead.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Published and not yet delivered, as messages.
    pub undelivered: u64,
    /// Published and not yet confirmed.
    pub unconfirmed: u64,
    /// Deliveries that each message makes.
    pub copies: u64,
    /// Messages in all.
    pub total: u64,
}

/// What sender, receiver and whoever watches them know of each other.
#[derive(Default)]
pub struct Flow {
    pub sent: AtomicU64,
    pub delivered: AtomicU64,
    pub confirmed: AtomicU64,
    pub stop: AtomicBool,
    sender: OnceLock<Thread>,
}

impl Flow {
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Acquire)
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ends both threads; by whoever has seen enough, and by either that fails.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(sender) = self.sender.get() {
            sender.unpark();
        }
    }

    fn room(&self, sent: u64, limits: &Limits) -> u64 {
        let undelivered = sent.saturating_sub(self.delivered() / limits.copies);
        let unconfirmed = sent - self.confirmed.load(Ordering::Acquire).min(sent);
        let room = limits.undelivered.saturating_sub(undelivered);
        room.min(limits.unconfirmed.saturating_sub(unconfirmed)).min(limits.total - sent)
    }
}

/// Sends the block over and over, as fast as the limits let it.
pub fn send(mut to: TcpStream, block: &Block, limits: Limits, flow: &Flow) -> io::Result<()> {
    let _ = flow.sender.set(thread::current());
    let (mut sent, mut at) = (0, 0);
    while sent < limits.total && !flow.stopped() {
        let room = flow.room(sent, &limits);
        if room == 0 {
            thread::park_timeout(Duration::from_millis(100));
            continue;
        }
        let (bytes, count) = block.part(at, room);
        to.write_all(bytes).inspect_err(|_| flow.end())?;
        at = (at + count) % block.ends.len();
        sent += count as u64;
        flow.sent.store(sent, Ordering::Release);
    }
    Ok(())
}

/// Sends `rate` messages a second. The first eight bytes of each body say when it was due, in
/// nanoseconds from `start`: what the sender is late counts as well.
pub fn pace(
    mut to: TcpStream,
    key: &str,
    body: usize,
    rate: u64,
    start: Instant,
    flow: &Flow,
) -> io::Result<()> {
    let mut message = publication("", key, &[0, 0], &vec![0; body]);
    let stamp = message.len() - 1 - body;
    for n in 0.. {
        let due = Duration::from_nanos(n * 1_000_000_000 / rate);
        thread::sleep(due.saturating_sub(start.elapsed()));
        if flow.stopped() {
            break;
        }
        message[stamp..stamp + 8].copy_from_slice(&(due.as_nanos() as u64).to_be_bytes());
        to.write_all(&message).inspect_err(|_| flow.end())?;
        flow.sent.store(n + 1, Ordering::Release);
    }
    Ok(())
}

/// How a consumer takes what it gets.
#[derive(Clone, Copy)]
pub enum Acks {
    /// The broker does not wait for any.
    Auto,
    /// One for so many deliveries, and no more than `prefetch` on the way.
    Every { count: u64, prefetch: u16 },
    /// What a read brings is refused for good.
    Refused { prefetch: u16 },
}

/// A connection that is listened to.
pub struct Ear {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    every: u64,
    /// Whether they are accepted; otherwise they are refused.
    good: bool,
    /// The last delivery, and the last that was acknowledged.
    tag: u64,
    acked: u64,
    /// All below is confirmed, and these beyond it.
    floor: u64,
    single: BTreeSet<u64>,
}

impl Ear {
    /// Listens to what a publisher is told.
    pub fn publisher(stream: &TcpStream) -> io::Result<Ear> {
        Ear::new(stream.try_clone()?, 0)
    }

    /// Subscribes to a queue. The answer is read with what else comes.
    pub fn consumer(to: SocketAddr, queue: &str, acks: Acks) -> io::Result<Ear> {
        Ear::reader(to, queue, acks, &[0; 4])
    }

    /// The same with arguments, an encoded table.
    pub fn reader(to: SocketAddr, queue: &str, acks: Acks, arguments: &[u8]) -> io::Result<Ear> {
        let mut stream = connect(to)?;
        let (every, good, prefetch) = match acks {
            Acks::Auto => (0, true, 0),
            Acks::Every { count, prefetch } => (count, true, prefetch),
            Acks::Refused { prefetch } => (1, false, prefetch),
        };
        if every > 0 {
            let [a, b] = prefetch.to_be_bytes();
            stream.write_all(&method(1, 60, 10, &[&[0, 0, 0, 0, a, b, 0]]))?;
            answer(&mut stream)?;
        }
        let no_ack = u8::from(every == 0) << 1;
        let pieces: [&[u8]; 5] = [&[0, 0], &short(queue), &short("c"), &[no_ack], arguments];
        stream.write_all(&method(1, 60, 20, &pieces))?;
        Ok(Ear { good, ..Ear::new(stream, every)? })
    }

    fn new(stream: TcpStream, every: u64) -> io::Result<Ear> {
        let buffer = vec![0; READ_BYTES];
        let single = BTreeSet::new();
        let (filled, good, tag, acked, floor) = (0, true, 0, 0, 0);
        Ok(Ear { stream, buffer, filled, every, good, tag, acked, floor, single })
    }

    /// Reads once; returns how many messages came. `body` sees each.
    fn hear(&mut self, body: &mut impl FnMut(&[u8])) -> io::Result<u64> {
        let n = self.stream.read(&mut self.buffer[self.filled..])?;
        if n == 0 {
            return Err(Error::other("the broker hung up"));
        }
        self.filled += n;
        let (mut at, mut came) = (0, 0);
        while let Some(&[kind, _, _, a, b, c, d]) = self.buffer[at..self.filled].first_chunk() {
            let end = at + 8 + u32::from_be_bytes([a, b, c, d]) as usize;
            if end > self.filled {
                break;
            }
            match kind {
                1 => self.method(at + 7, end - 1)?,
                3 => {
                    came += 1;
                    body(&self.buffer[at + 7..end - 1]);
                }
                _ => {}
            }
            at = end;
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        if self.every > 0 && self.tag - self.acked >= self.every {
            self.acked = self.tag;
            let tag = self.tag.to_be_bytes();
            let id = if self.good { 80 } else { 120 };
            self.stream.write_all(&method(1, 60, id, &[&tag, &[1]]))?;
        }
        Ok(came)
    }

    fn method(&mut self, from: usize, to: usize) -> io::Result<()> {
        let payload = &self.buffer[from..to];
        let number = |at: usize| {
            let bytes = payload.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |b| u64::from_be_bytes(*b))
        };
        match *payload {
            [0, 60, 0, 60, name, ..] => self.tag = number(5 + usize::from(name)),
            [0, 60, 0, 80, ..] => {
                let tag = number(4);
                if payload.get(12).is_some_and(|multiple| *multiple != 0) {
                    self.floor = self.floor.max(tag);
                    self.single = self.single.split_off(&(tag + 1));
                } else {
                    self.single.insert(tag);
                }
                while self.single.first() == Some(&(self.floor + 1)) {
                    self.single.pop_first();
                    self.floor += 1;
                }
            }
            [0, 10 | 20, 0, 50 | 40, ..] => {
                let text = String::from_utf8_lossy(payload).into_owned();
                return Err(Error::other(format!("the broker closes: {text:?}")));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Listens to all of them until the flow ends. `body` sees each message.
pub fn receive(ears: &mut [Ear], flow: &Flow, mut body: impl FnMut(&[u8])) -> io::Result<()> {
    let patience = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    while !flow.stopped() {
        let mut fds: Vec<PollFd<'_>> =
            ears.iter().map(|ear| PollFd::new(&ear.stream, PollFlags::IN)).collect();
        poll(&mut fds, Some(&patience))?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for (ear, _) in ears.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            let came = ear.hear(&mut body).inspect_err(|_| flow.end())?;
            flow.delivered.fetch_add(came, Ordering::AcqRel);
            flow.confirmed.fetch_max(ear.floor, Ordering::AcqRel);
        }
        flow.wake();
    }
    // The broker numbers what it delivers: a generator that miscounts must not make a table.
    let (numbered, counted) = (ears.iter().map(|ear| ear.tag).sum::<u64>(), flow.delivered());
    // A delivery's body may not have come yet when its number has.
    if !(numbered.saturating_sub(ears.len() as u64)..=numbered).contains(&counted) {
        return Err(Error::other(format!("{numbered} were delivered, and {counted} counted")));
    }
    Ok(())
}
