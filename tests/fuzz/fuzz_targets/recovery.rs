//! A log as a broker leaves it, with its files edited in any way: it opens or is refused, and a
//! broker that takes in what it shows still serves.
//!
//! The first byte says whether checksums are mended after the edits, so that what the records
//! say is met, too. Then, for each edit: a file, an operation, a place, an argument.
#![no_main]

#[path = "../src/store.rs"]
mod store;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate_broker::{Broker, Journal, Place};
use lockgate_wal::sim::SimDisk;
use lockgate_wal::{Disk, Log, Options, Pos, open};
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::{Memory, empty, life, serve};

const BLOCK: usize = 4096;

fn options() -> Options {
    Options { segment_bytes: 64 << 10, reserve_bytes: 0, ..Options::default() }
}

struct Live(Log<SimDisk>);

impl Journal for Live {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let span = self.0.append(kind, write);
        Place { pos: span.pos.0, len: span.len }
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

/// Some segments, two checkpoints and a page's file.
fn lived() -> &'static Vec<(String, Vec<u8>)> {
    static LIVED: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    LIVED.get_or_init(|| {
        let disk = SimDisk::new();
        let recovery = open(Arc::new(disk.clone()), options()).expect("an empty disk");
        let (log, _) = recovery.replay(|_| Ok::<(), Infallible>(())).expect("an empty log");
        let mut turns = 0;
        let turn = |live: &mut Live, broker: &Broker| {
            turns += 1;
            if turns == 5 || turns == 10 {
                let covers = live.0.end();
                live.0.checkpoint(covers, broker.snapshot(), Duration::from_secs(turns));
            }
            live.0.flush();
            live.0.step(true);
        };
        life(&mut Live(log), turn);
        disk.put("page-0000000000000001", &[9; 300]);
        let names = disk.list().expect("a sound disk");
        let files: Vec<_> =
            names.into_iter().map(|n| (n.clone(), disk.get(&n).unwrap_or_default())).collect();
        // If this log were not whole, no edit of it would get anywhere.
        let shown = recover(&files).expect("a sound log");
        assert!(files.iter().filter(|(name, _)| name.ends_with(".checkpoint")).count() == 2);
        assert!(files.iter().filter(|(name, _)| name.ends_with(".segment")).count() > 1);
        assert!(shown > 1);
        files
    })
}

/// Makes checksums right again, as far as lengths make sense.
fn mend(name: &str, bytes: &mut [u8]) {
    let sum = |bytes: &[u8]| {
        crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
    };
    if name.ends_with(".checkpoint") && bytes.len() > 16 {
        let crc = sum(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc);
    }
    if !name.ends_with(".segment") {
        return;
    }
    let mut at = BLOCK;
    while let Some(length) = bytes.get(at + 4..).and_then(|rest| rest.first_chunk()) {
        let length = u32::from_le_bytes(*length) as usize;
        let Some(record) = bytes.get_mut(at..at.saturating_add(length)) else { break };
        if length < 29 {
            break;
        }
        let crc = sum(&record[4..]);
        record[..4].copy_from_slice(&crc);
        at += length;
    }
}

/// One edit of six bytes. Places are counted from where records begin, where there are any.
fn edit(files: &mut Vec<(String, Vec<u8>)>, how: [u8; 6]) {
    let [file, operation, a, b, c, d] = how;
    let at = usize::from(u16::from_le_bytes([a, b]));
    let file = usize::from(file) % files.len();
    let other = files[usize::from(d) % files.len()].1.clone();
    let (name, bytes) = &mut files[file];
    let begin = if name.ends_with(".segment") && operation & 0x80 == 0 { BLOCK } else { 0 };
    let at = (begin + at).min(bytes.len());
    match operation % 8 {
        0 => bytes.truncate(at),
        1 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << (c % 8)),
        2 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = c),
        3 => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = c),
        // Part of another file, or of this one, over or into it.
        4 => {
            let from = other.get(BLOCK..).unwrap_or(&other);
            let part = &from[(usize::from(c) * 16).min(from.len())..];
            let part = &part[..usize::from(d).min(part.len())];
            let end = (at + part.len()).min(bytes.len());
            bytes.splice(at..end, part.iter().copied());
        }
        5 => drop(bytes.drain(at..(at + usize::from(c)).min(bytes.len()))),
        6 => bytes.extend(std::iter::repeat_n(d, usize::from(c) * 64)),
        _ if files.len() > 1 => drop(files.remove(file)),
        _ => {}
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, edits)) = bytes.split_first() else { return };
    let mut files = lived().clone();
    if how & 2 != 0 {
        // Nothing but what the fuzzer says: one file of each kind.
        let third = edits.len() / 3;
        let names = ["0000000000000000.segment", "0000000000000001.checkpoint", "format"];
        let parts = [&edits[..third], &edits[third..2 * third], b"lockgate log 1\n"];
        files = names.iter().zip(parts).map(|(n, p)| (n.to_string(), p.to_vec())).collect();
    } else {
        edits.as_chunks().0.iter().for_each(|how| edit(&mut files, *how));
    }
    if how & 1 != 0 {
        files.iter_mut().for_each(|(name, bytes)| mend(name, bytes));
    }
    recover(&files);
});

/// Recovers from these files, as a start does; returns how many records were shown, if it opens.
fn recover(files: &[(String, Vec<u8>)]) -> Option<usize> {
    let disk = SimDisk::new();
    files.iter().for_each(|(name, bytes)| disk.put(name, bytes));
    let _ = lockgate_wal::verify(&disk);
    let _ = lockgate_wal::dump(&disk, None, |_| {});
    let recovery = open(Arc::new(disk), options()).ok()?;
    let (mut broker, mut journal) = (empty(), Memory::default());
    if let Some((_, snapshot)) = recovery.checkpoint() {
        broker.apply_snapshot(snapshot, &mut journal).ok()?;
    }
    let mut records = Vec::new();
    let replayed = recovery.replay(|entry| {
        let place = Place { pos: entry.span.pos.0, len: entry.span.len };
        records.push((entry.kind, Bytes::copy_from_slice(entry.body), place));
        broker.replay(entry.kind, entry.body, place, &mut journal)
    });
    let (mut log, report) = replayed.ok()?;
    // It goes on: what comes after a recovery is read by the next one.
    log.append(7, |_| {});
    log.flush();
    log.step(true);
    assert!(log.synced() > Pos(0));
    serve(broker, report.clean, &records);
    Some(records.len())
}
