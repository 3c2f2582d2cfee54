//! Which segment files of streams a log speaks of, and whether each is whole. It only reads.

use lockgate_broker::QueueId;
use lockgate_broker::record::{self, Change, Record};
use lockgate_wal::{Kept, OpenError, OsDisk, ShelfError, verify_segment};
use std::collections::BTreeMap;

/// One segment file as it was found: how many entries are in it, or what is wrong with it.
pub type Found = (Kept, Result<u64, ShelfError>);

/// Files by stream and first entry: how far each counts, and the number behind its last entry.
#[derive(Default)]
struct Shelved(BTreeMap<(u32, u64), (u64, u64)>);

impl Shelved {
    /// What a record says of streams.
    fn apply(&mut self, kind: u8, body: &[u8]) {
        match record::read(kind, body) {
            Ok(Record::Kept { stream, segment, .. }) => {
                self.0.insert((stream.0, segment.base), (segment.bytes, segment.end));
            }
            Ok(Record::Shelved { stream, segments, .. }) => {
                self.0.extend(segments.iter().map(|s| ((stream.0, s.base), (s.bytes, s.end))));
            }
            Ok(Record::Cut { stream, below }) => self.forget(stream, below),
            Ok(Record::Made(Change::QueueDeleted { id })) => self.forget(id, u64::MAX),
            _ => {}
        }
    }

    fn forget(&mut self, stream: QueueId, below: u64) {
        self.0.retain(|(id, _), (_, end)| *id != stream.0 || *end > below);
    }
}

/// Reads every segment file that the log speaks of.
pub fn verify(disk: &OsDisk) -> Result<Vec<Found>, OpenError> {
    let mut shelved = Shelved::default();
    let mut from = None;
    if let Some((covers, snapshot)) = lockgate_wal::dump_checkpoint(disk)? {
        record::entries(&snapshot).flatten().for_each(|(kind, body)| shelved.apply(kind, body));
        from = Some(covers);
    }
    lockgate_wal::dump(disk, from, |entry| shelved.apply(entry.kind, entry.body))?;
    let kept = |((stream, base), (bytes, _))| Kept { stream, base, bytes };
    Ok(shelved.0.into_iter().map(kept).map(|k| (k, verify_segment(disk, k))).collect())
}
