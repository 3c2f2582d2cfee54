//! Any bytes as records, of any kind and in any order, behind those of a broker that has lived
//! or of none: each is read or refused, and a broker that took them in still serves.
//!
//! The first byte says what there is before. Then, for each record: a kind, a length, a body; a
//! length of all ones stands for a record of that life, its number and a change to it.
#![no_main]

#[path = "../src/store.rs"]
mod store;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate_broker::Place;
use lockgate_broker::record;
use std::sync::OnceLock;
use store::{Memory, empty, life, serve};

type Records = Vec<(u8, Bytes, Place)>;

fn lived() -> &'static (Records, Vec<u8>) {
    static LIVED: OnceLock<(Records, Vec<u8>)> = OnceLock::new();
    LIVED.get_or_init(|| {
        let (mut memory, mut snapshot) = (Memory::default(), Vec::new());
        life(&mut memory, |_, broker| snapshot = broker.snapshot());
        (memory.records, snapshot)
    })
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, tail) = rest.split_at(n.min(rest.len()));
    *rest = tail;
    head
}

/// The records that the bytes spell.
fn spelt(mut rest: &[u8]) -> Vec<(u8, Bytes)> {
    let (lived, _) = lived();
    let mut all = Vec::new();
    while let &[kind, length, ..] = rest {
        rest = &rest[2..];
        if length != u8::MAX {
            all.push((kind % 32, Bytes::copy_from_slice(take(&mut rest, length.into()))));
            continue;
        }
        let (known, body, _) = &lived[usize::from(kind) % lived.len()];
        let mut body = body.to_vec();
        // A whole number at once: bit by bit nobody comes to the ends of 64 bits.
        if let &[at, new, width] = take(&mut rest, 3) {
            let places = body.iter_mut().skip(at.into()).take(usize::from(width % 9));
            places.for_each(|byte| *byte = new);
        }
        all.push((*known, body.into()));
    }
    all
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let mut broker = empty();
    let (lived, snapshot) = lived();
    let mut journal = Memory::default();
    let mut records: Records = Vec::new();
    if how & 1 != 0 {
        broker.apply_snapshot(snapshot, &mut journal).expect("a sound snapshot");
    } else if how & 2 != 0 {
        records.clone_from(lived);
    }
    if how & 4 != 0 {
        let _ = empty().apply_snapshot(bytes, &mut journal);
        let _ = record::read_run(&Bytes::copy_from_slice(bytes));
    }
    let mut end = records.last().map_or(0, |(_, _, place)| place.end());
    for (kind, body) in spelt(bytes) {
        let place = Place { pos: end, len: body.len() as u32 + 29 };
        end = place.end();
        let _ = record::run_of(kind, &body);
        records.push((kind, body, place));
    }
    for (kind, body, place) in &records {
        // What is refused ends a recovery.
        if broker.replay(*kind, body, *place, &mut journal).is_err() {
            return;
        }
    }
    serve(broker, how & 8 != 0, &records);
});
