//! Opening: what is in the directory, the checkpoint, the tail behind it, and the judgement of the
//! place where the tail stops. It reads the checkpoint and the tail only, and guesses nothing.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::IoSlice;
use std::sync::Arc;

use crate::checkpoint::{self, Checkpoint, Standing};
use crate::disk::{Disk, DiskFile};
use crate::error::{Damaged, OpenError, ReplayError};
use crate::layout::{Layout, newest};
use crate::log::{Log, SegmentInfo, Tip};
use crate::record::{CLOSE, KIND_MAX, SEAL_LEN};
use crate::scan::{Scan, Step, Survey, survey};
use crate::segment::{self, BLOCK, FORMAT, SegmentHead};
use crate::shared::{Maker, Shared, Slot, Table};
use crate::{Options, Pos, Span};

/// One record, as a replay shows it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it stands.
    pub span: Span,
    /// The epoch in which it was written.
    pub epoch: u32,
    /// Its kind.
    pub kind: u8,
    /// Its body.
    pub body: &'a [u8],
}

/// A torn tail that was cut off: none of it had ever been committed at level `Fsync`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub segment: String,
    /// Offset of the first byte cut.
    pub offset: u64,
    /// How many bytes there were from there to the last one written.
    pub bytes: u64,
}

/// What a recovery found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The last stop was an orderly close.
    pub clean: bool,
    /// A torn tail was cut.
    pub cut: Option<Cut>,
    /// The newest checkpoint was rotten and the one before it was used, with a longer tail.
    pub fallback: bool,
    /// Records replayed.
    pub records: u64,
    /// Bytes of those records.
    pub bytes: u64,
    /// Epoch of the last record.
    pub epoch: u32,
}

/// A log that is being opened: its checkpoint is at hand, its tail is not yet read.
#[derive(Debug)]
pub struct Recovery<D: Disk> {
    disk: Arc<D>,
    options: Options,
    layout: Layout,
    checkpoint: Option<Checkpoint>,
    standing: Vec<Standing>,
    /// Checkpoints that are rotten or older than needed: removed once the log is whole.
    obsolete: Vec<String>,
    rotten: bool,
}

/// Opens the log in a directory, which is made a log's if it is empty.
pub fn open<D: Disk>(disk: Arc<D>, options: Options) -> Result<Recovery<D>, OpenError> {
    let layout = Layout::read(&*disk)?;
    for name in &layout.temporary {
        disk.remove(name).map_err(OpenError::io("remove", name))?;
    }
    if !layout.has_format {
        segment::write_format(&*disk).map_err(OpenError::io("write", FORMAT))?;
    }
    let (found, rotten) = newest(&*disk, &layout)?;
    let mut standing = Vec::new();
    if let Some((serial, checkpoint)) = &found {
        for older in layout.checkpoints.iter().filter(|s| *s < serial) {
            if let Some(covers) = checkpoint::covers(&*disk, *older) {
                standing.push(Standing { serial: *older, covers });
            }
        }
        standing.push(Standing { serial: *serial, covers: checkpoint.covers });
    }
    let extra = standing.len().saturating_sub(2);
    standing.drain(..extra);
    let all = layout.checkpoints.iter();
    let needless = all.filter(|serial| standing.iter().all(|s| s.serial != **serial));
    let obsolete = needless.map(|serial| checkpoint::name(*serial)).collect();
    let checkpoint = found.map(|(_, checkpoint)| checkpoint);
    Ok(Recovery { disk, options, layout, checkpoint, standing, obsolete, rotten })
}

/// The tail as far as it could be read.
struct Tail<F> {
    base: u64,
    head: SegmentHead,
    file: F,
    /// Offset where it stops.
    at: u64,
}

impl<D: Disk> Recovery<D> {
    /// The state from which the replay goes on, and the position it covers.
    pub fn checkpoint(&self) -> Option<(Pos, &[u8])> {
        self.checkpoint.as_ref().map(|c| (c.covers, c.body()))
    }

    /// Shows every record from the checkpoint on, in order, and hands over the log.
    pub fn replay<E>(
        self,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(Log<D>, Report), ReplayError<E>> {
        let mut report = Report { fallback: self.rotten, ..Report::default() };
        let mut ends = BTreeMap::new();
        for (base, end) in self.checkpoint.iter().flat_map(|c| &c.segments) {
            ends.insert(*base, *end);
        }
        let covers = self.checkpoint.as_ref().map_or(Pos(BLOCK), |c| c.covers);
        if self.is_blank()? {
            return Ok((self.found_new()?, report));
        }
        let tail = self.walk(covers, &mut ends, &mut report, &mut visit)?;
        let log = self.settle(tail, ends, &mut report)?;
        Ok((log, report))
    }

    /// Nothing was ever logged here: no segments, or a first one that was never finished.
    fn is_blank(&self) -> Result<bool, OpenError> {
        let first = self.layout.segments.first_key_value().map(|(base, _)| *base);
        match first {
            _ if self.checkpoint.is_some() || self.rotten => Ok(false),
            None => Ok(true),
            Some(0) if self.layout.segments.len() == 1 => {
                let name = segment::name(0);
                let file = self.disk.open(&name).map_err(OpenError::io("open", &name))?;
                if segment::read_head(&file, 0)?.is_some() {
                    return Ok(false);
                }
                let found = survey(&file, 0, None, 0).map_err(OpenError::io("read", &name))?;
                Ok(found.records == 0)
            }
            Some(_) => Ok(false),
        }
    }

    fn found_new(self) -> Result<Log<D>, OpenError> {
        // A random start: see the record's format.
        let generation = RandomState::new().hash_one(0u8) as u32 & 0x7fff_ffff;
        let head = SegmentHead { generation, base: 0 };
        let capacity = segment::capacity_for(self.options.segment_bytes, 0);
        let file = segment::prepare(&*self.disk, head, capacity)
            .map_err(OpenError::io("create", &segment::name(0)))?;
        let tip = Tip { base: 0, capacity, generation, offset: BLOCK, must_roll: false };
        let slot = Slot { file: Some(Arc::new(file)), size: capacity };
        let table = Table { slots: BTreeMap::from([(0, slot)]) };
        Ok(self.log(tip, table, None, BTreeMap::new(), &Report::default()))
    }

    /// Replays from `covers` to the place where no record stands.
    fn walk<E>(
        &self,
        covers: Pos,
        ends: &mut BTreeMap<u64, Pos>,
        report: &mut Report,
        visit: &mut impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<Tail<D::File>, ReplayError<E>> {
        let lost = |what, base: u64, offset, from| Damaged {
            what,
            segment: segment::name(base),
            offset,
            from,
            to: self.synced_at_least().max(from),
        };
        let mut base = self
            .layout
            .holder(covers)
            .ok_or_else(|| lost("the segment is missing", covers.0, 0, covers))?;
        let mut at = (covers.0 - base).max(BLOCK);
        loop {
            let name = segment::name(base);
            let io = |action| OpenError::io(action, &name);
            let file = self.disk.open(&name).map_err(io("open"))?;
            let Some(head) = segment::read_head(&file, base)? else {
                return Err(lost("the header is unreadable", base, 0, Pos(base)).into());
            };
            let mut scan = Scan::new(&file, base, head.generation, at).map_err(io("read"))?;
            let next = loop {
                match scan.next().map_err(io("read"))? {
                    Step::Record(head, body) => {
                        let span = Span { pos: head.pos, len: head.length };
                        report.clean = head.kind == CLOSE;
                        report.epoch = head.epoch;
                        if head.kind <= KIND_MAX {
                            report.records += 1;
                            report.bytes += u64::from(head.length);
                            let entry = Entry { span, epoch: head.epoch, kind: head.kind, body };
                            visit(entry)
                                .map_err(|source| ReplayError::Visit { pos: span.pos, source })?;
                        }
                    }
                    Step::Seal(next) => break Some(next),
                    Step::Stop => break None,
                }
            };
            at = scan.at;
            // What was only in the system's cache becomes durable before anything builds on it.
            file.sync_data().map_err(io("sync"))?;
            let Some(next) = next else {
                return Ok(Tail { base, head, file, at });
            };
            let end = Pos(base + at);
            ends.insert(base, end);
            if next <= base || !self.layout.segments.contains_key(&next) {
                return Err(lost("the segment is missing", next, 0, end).into());
            }
            report.clean = false;
            (base, at) = (next, BLOCK);
        }
    }

    fn synced_at_least(&self) -> Pos {
        self.checkpoint.as_ref().map_or(Pos(0), |c| c.synced)
    }

    /// Judges the place where the tail stops, clears what is behind it and makes the log.
    fn settle(
        mut self,
        tail: Tail<D::File>,
        ends: BTreeMap<u64, Pos>,
        report: &mut Report,
    ) -> Result<Log<D>, OpenError> {
        let Tail { base, head, file, at } = tail;
        let name = segment::name(base);
        let io = |action| OpenError::io(action, &name);
        let here = survey(&file, base, Some(head.generation), at).map_err(io("read"))?;
        let later = self.survey_later(base)?;
        let stop = Pos(base + at);
        let synced = later.iter().map(|(_, s)| s.synced).fold(here.synced, Pos::max);
        let synced = synced.max(self.synced_at_least());
        if synced > stop {
            let what = "a record is unreadable";
            let damaged = Damaged { what, segment: name, offset: at, from: stop, to: synced };
            return Err(OpenError::Damaged(damaged));
        }
        let beyond: u64 = later.iter().map(|(_, s)| s.used.saturating_sub(BLOCK)).sum();
        let torn = here.used > at || beyond > 0;
        if torn {
            let bytes = here.used.saturating_sub(at) + beyond;
            report.cut = Some(Cut { segment: name.clone(), offset: at, bytes });
            report.clean = false;
        }
        let size = self.layout.segments.get(&base).copied().unwrap_or(0);
        let least = (at + SEAL_LEN as u64).next_multiple_of(BLOCK);
        let spare = self.keep_spare(base, size, head, torn)?;
        let kept = if torn || size < least {
            clear(&file, at, least).map_err(io("cut"))?;
            least
        } else {
            size
        };
        let tip = Tip {
            base,
            capacity: size.max(least),
            generation: head.generation,
            offset: at,
            must_roll: torn || size < least,
        };
        self.layout.segments.insert(base, kept);
        let slot = |(base, size): (&u64, &u64)| (*base, Slot { file: None, size: *size });
        let mut slots: BTreeMap<u64, Slot<D::File>> =
            self.layout.segments.range(..=base).map(slot).collect();
        slots.insert(base, Slot { file: Some(Arc::new(file)), size: kept });
        Ok(self.log(tip, Table { slots }, spare, ends, report))
    }

    fn survey_later(&self, base: u64) -> Result<Vec<(u64, Survey)>, OpenError> {
        let later = self.layout.segments.range(base + 1..);
        let look = |(&base, _): (&u64, &u64)| {
            let name = segment::name(base);
            let file = self.disk.open(&name).map_err(OpenError::io("open", &name))?;
            let found = survey(&file, base, None, BLOCK).map_err(OpenError::io("read", &name))?;
            Ok((base, found))
        };
        later.map(look).collect()
    }

    /// Removes the segments behind the tail, but for one that is ready to be the next.
    fn keep_spare(
        &self,
        base: u64,
        size: u64,
        head: SegmentHead,
        torn: bool,
    ) -> Result<Option<D::File>, OpenError> {
        let next = SegmentHead { base: base + size, generation: head.generation.wrapping_add(1) };
        let wanted = segment::capacity_for(self.options.segment_bytes, 0);
        let mut spare = None;
        let mut removed = false;
        for (&later, &size) in self.layout.segments.range(base + 1..) {
            let name = segment::name(later);
            let file = self.disk.open(&name).map_err(OpenError::io("open", &name))?;
            if !torn && size == wanted && segment::read_head(&file, later)? == Some(next) {
                spare = Some(file);
                continue;
            }
            self.disk.remove(&name).map_err(OpenError::io("remove", &name))?;
            removed = true;
        }
        if removed {
            self.disk.sync_dir().map_err(OpenError::io("sync", "the log's directory"))?;
        }
        Ok(spare)
    }

    fn log(
        self,
        tip: Tip,
        table: Table<D::File>,
        spare: Option<D::File>,
        ends: BTreeMap<u64, Pos>,
        report: &Report,
    ) -> Log<D> {
        let segments = table.slots.iter().map(|(&base, slot)| {
            let sealed = base != tip.base;
            let known = ends.get(&base).copied().unwrap_or(Pos(base + slot.size));
            let end = if sealed { known } else { Pos(base + tip.offset) };
            (base, SegmentInfo { base: Pos(base), end, sealed })
        });
        let segments = segments.collect();
        let maker = Maker {
            base: tip.base + tip.capacity,
            generation: tip.generation.wrapping_add(1),
            spare: spare.map(Arc::new),
            starved: false,
        };
        for name in &self.obsolete {
            // One that stays is met, and passed over, again at the next opening.
            let _ = self.disk.remove(name);
        }
        let end = Pos(tip.base + tip.offset);
        let last = self.checkpoint.as_ref().map_or(0, |c| c.body().len() as u64);
        let shared = Shared::new(self.disk, self.options, end, table, maker, self.standing);
        Log::new(Arc::new(shared), tip, segments, report, last)
    }
}

/// Cuts a segment at `at`, leaving zeros up to `keep`.
fn clear<F: DiskFile>(file: &F, at: u64, keep: u64) -> std::io::Result<()> {
    file.truncate(keep)?;
    let zeros = vec![0u8; (keep - at) as usize];
    file.write_at(&[IoSlice::new(&zeros)], at)?;
    file.sync_data()
}
