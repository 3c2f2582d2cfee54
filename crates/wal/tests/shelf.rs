//! The shelf on a simulated disk: what was synced is read again after any power cut, what was
//! not is cut, and what was changed behind its back is named and never handed out.

use lockgate_wal::sim::SimDisk;
use lockgate_wal::{ChunkHead, Disk, Kept, Shelf, ShelfError, verify_segment};
use std::sync::Arc;

const ID: (u32, u64) = (7, 100);

fn open(disk: &SimDisk, kept: &[(u64, u64)]) -> Shelf<SimDisk> {
    let kept: Vec<Kept> =
        kept.iter().map(|&(base, bytes)| Kept { stream: 7, base, bytes }).collect();
    Shelf::open(Arc::new(disk.clone()), &kept).expect("a shelf")
}

fn body(n: u64) -> Vec<u8> {
    vec![n as u8; 300 + n as usize * 37 % 2000]
}

/// Chunk `n` of a segment: ten entries, one second each.
fn put(shelf: &mut Shelf<SimDisk>, id: (u32, u64), n: u64) -> u64 {
    let head = ChunkHead { first: id.1 + n * 10, count: 10, times: (n * 10, n * 10 + 9) };
    shelf.append(id, head, &body(n)).expect("append")
}

#[test]
fn chunks_are_found_by_number_and_by_time() {
    let disk = SimDisk::new();
    let mut shelf = open(&disk, &[]);
    let mut end = 0;
    for n in 0..50 {
        end = put(&mut shelf, ID, n);
    }
    shelf.sync().expect("sync");
    // Once as it was written, once from the files alone.
    for mut shelf in [shelf, open(&disk, &[(100, end)])] {
        for number in [100, 109, 110, 345, 599] {
            let chunks = shelf.read(ID, number, 1).expect("read").expect("is there");
            let n = (number - 100) / 10;
            assert_eq!(chunks.len(), 1);
            assert_eq!((chunks[0].head.first, &chunks[0].body[..]), (100 + n * 10, &body(n)[..]));
        }
        let all = shelf.read(ID, 100, usize::MAX).expect("read").expect("is there");
        assert_eq!(all.len(), 50);
        for (time, first) in [(0, 100), (9, 100), (10, 110), (255, 350), (499, 590)] {
            assert_eq!(shelf.seek(ID, time).expect("seek"), Some(first), "time {time}");
        }
        assert_eq!(shelf.seek(ID, 500).expect("seek"), Some(u64::MAX));
        assert_eq!(shelf.read((7, 5), 5, 1).expect("read"), None);
    }
}

#[test]
fn what_was_synced_outlives_a_power_cut_and_what_was_not_is_cut() {
    for seed in 0..200 {
        let disk = SimDisk::new();
        let mut shelf = open(&disk, &[]);
        (0..20).for_each(|n| _ = put(&mut shelf, ID, n));
        shelf.sync().expect("sync");
        let kept = shelf.length(ID);
        (20..30).for_each(|n| _ = put(&mut shelf, ID, n));
        put(&mut shelf, (7, 400), 0);
        let disk = disk.reboot(seed);

        let mut shelf = open(&disk, &[(100, kept)]);
        assert_eq!(disk.list().expect("list").len(), 1, "the segment nobody knows is gone");
        let all = shelf.read(ID, 100, usize::MAX).expect("read").expect("is there");
        assert_eq!(all.len(), 20, "seed {seed}");
        assert!(all.iter().zip(0..).all(|(c, n)| c.body[..] == body(n)));
        // It goes on where it was cut.
        put(&mut shelf, ID, 20);
        shelf.sync().expect("sync");
        let disk = disk.reboot(seed);
        let kept = Kept { stream: 7, base: 100, bytes: shelf.length(ID) };
        assert_eq!(verify_segment(&disk, kept).expect("whole"), 210);
    }
}

#[test]
fn no_flipped_bit_is_ever_handed_out() {
    let disk = SimDisk::new();
    let mut shelf = open(&disk, &[]);
    (0..4).for_each(|n| _ = put(&mut shelf, ID, n));
    shelf.sync().expect("sync");
    let bytes = shelf.length(ID);
    let name = disk.list().expect("list").remove(0);
    for bit in (0..bytes * 8).step_by(29) {
        let disk = disk.copy();
        assert!(disk.flip(&name, bit));
        let mut shelf = open(&disk, &[(100, bytes)]);
        let read = shelf.read(ID, 100, usize::MAX);
        let padding = (28 * 8..32 * 8).contains(&bit);
        assert!(matches!(read, Err(ShelfError::Damaged { .. })), "bit {bit}, padding {padding}");
        let text = read.map(|_| ()).expect_err("damaged").to_string();
        assert!(text.contains(&name), "{text}");
        let kept = Kept { stream: 7, base: 100, bytes };
        assert!(verify_segment(&disk, kept).is_err(), "bit {bit}");
    }
}

#[test]
fn a_file_that_is_short_or_gone_refuses_the_start() {
    let disk = SimDisk::new();
    let mut shelf = open(&disk, &[]);
    put(&mut shelf, ID, 0);
    shelf.sync().expect("sync");
    let kept = |bytes| [Kept { stream: 7, base: 100, bytes }];
    let short = Shelf::open(Arc::new(disk.clone()), &kept(shelf.length(ID) + 1));
    let text = short.err().expect("short").to_string();
    assert!(text.contains("00000007-0000000000000064.stream"), "{text}");
    disk.remove("00000007-0000000000000064.stream").expect("remove");
    assert!(Shelf::open(Arc::new(disk), &kept(40)).is_err());
}

#[test]
fn segments_go_as_whole_files() {
    let disk = SimDisk::new();
    let mut shelf = open(&disk, &[]);
    for base in [0, 10, 20] {
        put(&mut shelf, (7, base), 0);
    }
    put(&mut shelf, (8, 0), 0);
    shelf.sync().expect("sync");
    shelf.remove(7, 20).expect("remove");
    let names = disk.list().expect("list");
    assert_eq!(names, ["00000007-0000000000000014.stream", "00000008-0000000000000000.stream"]);
    assert_eq!(shelf.read((7, 10), 10, 1).expect("read"), None);
}
