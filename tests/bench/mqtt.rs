//! MQTT: one publisher, one subscriber, one topic. All messages are of one length, so that
//! counting octets is counting messages, and the generator costs next to nothing.

use crate::Bench;
use crate::report::{Row, Sample};
use lockgate_tests::Packets;
use lockgate_tests::packets::{Connect, Flags, kind, packet};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const TOPIC: &str = "bench";
/// Messages that are encoded beforehand, each with an identifier of its own.
const ENCODED: u64 = 1_000;
const WARM: Duration = Duration::from_secs(1);

/// What is measured: QoS, octets of payload, on the way at most, and whether sessions are kept.
struct Load {
    qos: u8,
    size: usize,
    window: u64,
    kept: bool,
}

pub fn levels(bench: &Bench) -> io::Result<Vec<Row>> {
    let loads = [
        Load { qos: 0, size: 16, window: 10_000, kept: false },
        Load { qos: 0, size: 1024, window: 10_000, kept: false },
        Load { qos: 1, size: 16, window: 100, kept: false },
        Load { qos: 1, size: 1024, window: 100, kept: true },
    ];
    let rows = loads.iter().map(|load| load.measure(bench));
    Ok(rows.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// How far both sides are.
#[derive(Default)]
struct Counts {
    delivered: AtomicU64,
    acknowledged: AtomicU64,
    over: AtomicBool,
}

impl Load {
    fn enter(&self, to: SocketAddr, name: &str) -> io::Result<Packets> {
        let wish = Connect { clean: !self.kept, expiry: None, ..Connect::new(name) };
        Packets::enter(to, &wish).map(|(packets, _)| packets)
    }

    fn measure(&self, bench: &Bench) -> io::Result<Option<Row>> {
        let peer = bench.peer()?;
        let Some((broker, _)) = &peer.broker else { return Ok(None) };
        let mut sink = self.enter(broker.mqtt, "sink")?;
        sink.subscribe(TOPIC, self.qos)?;
        let source = self.enter(broker.mqtt, "source")?;
        let payload = vec![b'x'; self.size];
        let encoded: Vec<Vec<u8>> = (1..=ENCODED)
            .map(|id| source.publication(TOPIC, &payload, Flags::qos(self.qos), id as u16))
            .collect();
        let (sink, source) = (sink.into_stream(), source.into_stream());
        let counts = Counts::default();
        let mut row = None;
        thread::scope(|scope| -> io::Result<()> {
            let (sink_reads, source_reads) = (sink.try_clone()?, source.try_clone()?);
            scope.spawn(|| drop(self.hear(sink_reads, encoded[0].len(), &counts)));
            scope.spawn(|| drop(acknowledgements(source_reads, &counts)));
            scope.spawn(|| drop(self.publish(&source, &encoded, &counts)));
            let now = || Sample::now(counts.delivered.load(Ordering::Relaxed), peer.books);
            thread::sleep(WARM);
            let from = now();
            thread::sleep(bench.seconds);
            let kept = if self.kept { ", sessions that are kept" } else { "" };
            let title = format!("MQTT, QoS {}{kept}, {} B", self.qos, self.size);
            row = Some(Row::new(title, peer.books.resident()).between(from, now()));
            counts.over.store(true, Ordering::Relaxed);
            sink.shutdown(Shutdown::Both)?;
            source.shutdown(Shutdown::Both)
        })?;
        Ok(row)
    }

    /// Writes as much as the window lets it, at most 64 KiB at once.
    fn publish(&self, mut to: &TcpStream, all: &[Vec<u8>], counts: &Counts) -> io::Result<()> {
        let (joined, each) = (all.concat(), all[0].len());
        let most = (64 * 1024 / each) as u64;
        let mut sent = 0;
        while !counts.over.load(Ordering::Relaxed) {
            let delivered = counts.delivered.load(Ordering::Relaxed);
            let acknowledged = counts.acknowledged.load(Ordering::Relaxed);
            // What is acknowledged may be on its way to the subscriber, and not too much of it.
            let back = if self.qos > 0 { acknowledged.min(delivered + 300) } else { delivered };
            let at = sent % ENCODED;
            let free = (self.window + back).saturating_sub(sent);
            let count = free.min(most).min(ENCODED - at);
            if count == 0 {
                thread::park_timeout(Duration::from_micros(20));
                continue;
            }
            let (from, end) = (at as usize * each, (at + count) as usize * each);
            to.write_all(&joined[from..end])?;
            sent += count;
        }
        Ok(())
    }

    /// Counts messages of that length, and acknowledges those that ask for it.
    fn hear(&self, mut from: TcpStream, each: usize, counts: &Counts) -> io::Result<()> {
        let mut buffer = vec![0; 256 * 1024];
        let (mut filled, mut answers) = (0, Vec::new());
        let id_at = each - self.size - 2;
        loop {
            let read = from.read(&mut buffer[filled..])?;
            if read == 0 {
                return Ok(());
            }
            filled += read;
            let whole = filled / each;
            if self.qos > 0 {
                answers.clear();
                for message in buffer[..whole * each].chunks_exact(each) {
                    let id = &message[id_at..id_at + 2];
                    answers.extend_from_slice(&packet(kind::PUBACK << 4, &[id]));
                }
                from.write_all(&answers)?;
            }
            buffer.copy_within(whole * each..filled, 0);
            filled -= whole * each;
            counts.delivered.fetch_add(whole as u64, Ordering::Relaxed);
        }
    }
}

/// Counts what the publisher is told: by 3.1.1 an acknowledgement is four octets.
fn acknowledgements(mut from: TcpStream, counts: &Counts) -> io::Result<()> {
    let (mut buffer, mut octets) = ([0; 16 * 1024], 0);
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        octets += read as u64;
        counts.acknowledged.store(octets / 4, Ordering::Relaxed);
    }
}
