//! What the log says. A record states an effect with its ids, never a wish, so that
//! replaying it needs no judgement. All integers are little-endian; names and keys
//! carry their length in front.
//!
//! ```text
//!  kind 1  Made       one change of what is declared (a tag, then its fields)
//!  kind 2  Enqueued   n x (queue, first number) | time | messages
//!  kind 3  Settled    queue | n x (from, to)
//!  kind 4  Moved      old place | as Enqueued: those that still live, kept here from now on
//!  kind 5  Begin      what follows up to End happens whole or not at all
//!  kind 6  End
//!  kind 7  Started    a broker began to write here: a Begin without End before it is void
//!  kind 8  Held       (in snapshots only) queue | next number | extents | settled ranges
//!  kind 9  Seen       queue | number: entries below it may have been delivered; last words
//!                     of an orderly stop
//!  kind 10 Due        (in snapshots only) queue | n x (milliseconds, from, to)
//!  kind 11 Counted    queue | n x (from, to, count): entries that came back so often
//!  kind 12 Sizes      (in snapshots only) queue | n x (first number, m x size of body)
//!  kind 13 Marked     exchange or queue | n x (digest of an id, known up to): it saw these
//!  kind 14 Rolled     (in snapshots only) queue | n x (digest of an id, number): these wait there
//!  kind 16 Kept       stream | newest batch | base, end, bytes, first and last time of a segment:
//!                     its entries below end are there, and not in the log any more
//!  kind 17 Cut        stream | number: segments that end at or below it are gone
//!  kind 18 Shelved    (in snapshots only) stream | newest batch | segments | n x (number, time)
//!  kind 19 Retained   (in snapshots only) queue | n x (number, bytes, milliseconds of its end or
//!                     none, topic): what topics retain
//!  kind 21 Marks      berth | what became of them | n x mark
//! ```

mod berths;
mod messages;
mod put;
mod read;
mod register;
mod retained;
mod streams;
mod write;

pub use crate::change::Change;
pub use berths::{MarkDeed, write_mark_deed};
pub use messages::{movable, read_run, run_of, write_run};
pub use read::{entries, heads, read};
pub use retained::{topics, write_retained};
pub use streams::{write_cut, write_kept, write_shelved};
pub use write::*;

use crate::id::{BerthId, Place, QueueId};
use crate::ledger::{Digest, Extent, Kept, Segment};
use lockgate_model::{Mark, Name, Time};

/// Record kinds.
pub mod kind {
    #![allow(missing_docs)] // the table above says it
    pub const MADE: u8 = 1;
    pub const ENQUEUED: u8 = 2;
    pub const SETTLED: u8 = 3;
    pub const MOVED: u8 = 4;
    pub const BEGIN: u8 = 5;
    pub const END: u8 = 6;
    pub const STARTED: u8 = 7;
    pub const HELD: u8 = 8;
    pub const SEEN: u8 = 9;
    pub const DUE: u8 = 10;
    pub const COUNTED: u8 = 11;
    pub const SIZES: u8 = 12;
    pub const MARKED: u8 = 13;
    pub const ROLLED: u8 = 14;
    pub const KEPT: u8 = 16;
    pub const CUT: u8 = 17;
    pub const SHELVED: u8 = 18;
    pub const RETAINED: u8 = 19;
    pub const MARKS: u8 = 21;
}

/// A record read back.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Record {
    Made(Change),
    Enqueued {
        targets: Vec<(QueueId, u64)>,
        at: Time,
        /// Of head and body.
        sizes: Vec<(u32, u32)>,
        /// Items that say themselves how long they live, in milliseconds.
        lifetimes: Vec<(u32, u64)>,
        /// Items that ask to be held back, and for how many milliseconds.
        delays: Vec<(u32, u64)>,
    },
    Settled {
        queue: QueueId,
        ranges: Vec<(u64, u64)>,
    },
    Moved {
        from: Place,
        targets: Vec<(QueueId, u64)>,
        count: u32,
    },
    Marked {
        holder: u32,
        marks: Vec<(Digest, u64)>,
    },
    Rolled {
        queue: QueueId,
        ids: Vec<(Digest, u64)>,
    },
    Marks {
        berth: BerthId,
        deed: MarkDeed,
        marks: Vec<Mark>,
    },
    Begin,
    End,
    Started,
    Seen {
        queue: QueueId,
        below: u64,
    },
    Due {
        queue: QueueId,
        due: Vec<(u64, u64, u64)>,
    },
    Counted {
        queue: QueueId,
        counts: Vec<(u64, u64, u32)>,
    },
    Sizes {
        queue: QueueId,
        sizes: Vec<(u64, Vec<u32>)>,
    },
    Kept {
        stream: QueueId,
        segment: Segment,
        latest: u64,
    },
    Cut {
        stream: QueueId,
        below: u64,
    },
    Shelved {
        stream: QueueId,
        latest: u64,
        segments: Vec<Segment>,
        arrivals: Vec<(u64, Time)>,
    },
    Retained {
        queue: QueueId,
        kept: Vec<(Name, Kept)>,
    },
    Held {
        queue: QueueId,
        next: u64,
        extents: Vec<(Extent, u64)>,
        gone: Vec<(u64, u64)>,
    },
}

/// The tags of changes.
mod tag {
    pub const VHOST: u8 = 1;
    pub const EXCHANGE: u8 = 2;
    pub const NO_EXCHANGE: u8 = 3;
    pub const QUEUE: u8 = 4;
    pub const NO_QUEUE: u8 = 5;
    pub const WAY: u8 = 6;
    pub const NO_WAY: u8 = 7;
    pub const VHOST_NOTED: u8 = 8;
    pub const NO_VHOST: u8 = 9;
    pub const USER: u8 = 10;
    pub const NO_USER: u8 = 11;
    pub const PERMISSION: u8 = 12;
    pub const NO_PERMISSION: u8 = 13;
    pub const TOPIC: u8 = 14;
    pub const NO_TOPIC: u8 = 15;
    pub const POLICY: u8 = 16;
    pub const NO_POLICY: u8 = 17;
    pub const PARAMETER: u8 = 18;
    pub const NO_PARAMETER: u8 = 19;
    pub const STORE: u8 = 20;
    pub const BERTH: u8 = 21;
    pub const NO_BERTH: u8 = 22;
    pub const INTEREST: u8 = 23;
    pub const NO_INTEREST: u8 = 24;
    pub const BERTH_LEFT: u8 = 25;
    /// As `USER`, with the keys of SCRAM behind it.
    pub const USER_WITH_KEYS: u8 = 40;
}

/// What each of `entries` entries counts of a record's weight: never nothing, or a
/// segment could die with an entry in it.
pub fn weight(place: Place, entries: usize) -> u32 {
    (place.len / entries.clamp(1, u32::MAX as usize) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::VhostId;
    use bytes::Bytes;
    use lockgate_model::{QueueSpec, RunBuilder, Table};

    /// Stores outlive versions: what is written today must read the same for ever.
    #[test]
    fn the_bytes_are_what_they_always_were() {
        let mut queue = Vec::new();
        let spec = QueueSpec {
            name: "q".into(),
            durable: true,
            exclusive: false,
            auto_delete: true,
            arguments: Table::default(),
        };
        let declared =
            Change::QueueDeclared { vhost: VhostId(1), id: QueueId(2), spec, owner: None };
        write_change(&declared, &mut queue);
        assert_eq!(queue, b"\x04\x01\0\0\0\x02\0\0\0\x01\0\0\0q\x05\0\0\0\0");
        let Ok(Record::Made(read)) = read(kind::MADE, &queue) else { panic!("a change") };
        assert_eq!(read, declared);

        let mut run = RunBuilder::default();
        run.push(b"x", b"key", true, &[0x10, 0, 2], b"body", true, 7);
        run.push(b"x", b"key", true, &[0x10, 0, 2], b"", true, 7);
        let mut enqueued = Vec::new();
        write_enqueued(&[(QueueId(2), 5)], Time(9), &run.finish(), 0, 2, &mut enqueued);
        let golden = b"\x01\0\0\0\x02\0\0\0\x05\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x02\0\0\0\
            \x07\x07\x03\0\0\0\x04\0\0\0\x06\x07\x03\0\0\0\0\0\0\0\
            \x01\x03\0xkey\x10\0\x02body\x10\0\x02";
        assert_eq!(enqueued, golden);
        let run = run_of(kind::ENQUEUED, &Bytes::from(enqueued)).unwrap();
        assert_eq!(run.body(&run.items[0]), b"body");
        assert_eq!((run.exchange(&run.items[1]), run.key(&run.items[1])), ("x", &b"key"[..]));
        assert!(run.origins[0].mandatory && run.items[1].persistent);

        let mut settled = Vec::new();
        write_settled(QueueId(2), &[(5, 7)], &mut settled);
        assert_eq!(settled, b"\x02\0\0\0\x01\0\0\0\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0");
    }

    #[test]
    fn what_was_seen_is_written_as_it_always_was() {
        let mut marked = Vec::new();
        write_digests(7, [(Digest(0x0102), 9)].into_iter(), &mut marked);
        let golden = b"\x07\0\0\0\x01\0\0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0";
        assert_eq!(marked, golden);
        let Ok(Record::Marked { holder: 7, marks }) = read(kind::MARKED, &marked) else {
            panic!("a mark")
        };
        assert_eq!(marks, [(Digest(0x0102), 9)]);
        for n in 0..marked.len() {
            assert!(read(kind::ROLLED, &marked[..n]).is_err(), "cut at {n}");
        }
    }

    #[test]
    fn no_cut_of_a_record_panics() {
        let mut run = RunBuilder::default();
        run.push(b"x", b"key", false, &[0x11, 0, 2, 2, b'9', b'9'], b"body", true, 0);
        let mut body = Vec::new();
        write_enqueued(&[(QueueId(2), 5)], Time(9), &run.finish(), 0, 1, &mut body);
        for n in 0..body.len() {
            assert!(read(kind::ENQUEUED, &body[..n]).is_err(), "cut at {n}");
            assert!(heads(&body[..n]).is_err(), "cut at {n}");
            assert!(run_of(kind::ENQUEUED, &Bytes::copy_from_slice(&body[..n])).is_err());
        }
    }
}
