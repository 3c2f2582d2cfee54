//! The owner's end of the log: append, flush, positions, checkpoints, release, close. It never
//! touches a file itself (but in `step`, which does without threads what the threads do).

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::checkpoint::Request;
use crate::disk::Disk;
use crate::reader::Reader;
use crate::record::{self, CLOSE, HEADER, KIND_MAX, RECORD_MAX, SEAL, SEAL_LEN};
use crate::recover::Report;
use crate::segment::{self, BLOCK};
use crate::shared::{Batch, Part, Shared};
use crate::writer::Writer;
use crate::{Level, Pos, Progress, Span, keeper};

/// A checkpoint is due when this much was appended since the last one.
const CHECKPOINT_BYTES: u64 = 64 << 20;
/// Or when it is this old and anything was appended at all.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// One that is large against what was appended may get this old.
const CHECKPOINT_RARELY: Duration = Duration::from_secs(60);

/// A segment that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its first position.
    pub base: Pos,
    /// The position behind its last record. (After a restart without a checkpoint that knows it,
    /// the end of its file.)
    pub end: Pos,
    /// Nothing is added to it any more.
    pub sealed: bool,
}

/// Disk space, as the keeper saw it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Free bytes on the file system (all ones: not looked at yet).
    pub free: u64,
    /// What the segments occupy.
    pub log_bytes: u64,
    /// Less than the reserve is free, or no segment could be made ready: stop the publishers.
    pub low: bool,
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tip {
    pub base: u64,
    pub capacity: u64,
    pub generation: u32,
    pub offset: u64,
    /// Behind the offset stands what was cut: seal here and go on in the next segment.
    pub must_roll: bool,
}

/// The writer without a thread, and what was said meanwhile.
type Manual<D> = (Writer<D>, Arc<Mutex<Vec<Progress>>>);

/// The log. One owner calls its methods, under its own lock.
pub struct Log<D: Disk> {
    shared: Arc<Shared<D>>,
    batch: Batch,
    tip: Tip,
    epoch: u32,
    /// A lower bound of what is synced, refreshed with each batch: the mark of its records.
    synced: Pos,
    segments: BTreeMap<u64, SegmentInfo>,
    /// Bytes of records since the opening.
    appended: u64,
    since_checkpoint: u64,
    checkpoint_at: Duration,
    checkpoint_bytes: u64,
    /// The last record says that the log was closed in order.
    closed: bool,
    threads: Vec<JoinHandle<()>>,
    /// Used by `step` alone.
    manual: Option<Manual<D>>,
}

impl<D: Disk> Log<D> {
    pub(crate) fn new(
        shared: Arc<Shared<D>>,
        tip: Tip,
        segments: BTreeMap<u64, SegmentInfo>,
        report: &Report,
        checkpoint_bytes: u64,
    ) -> Self {
        let synced = shared.synced();
        let mut log = Log {
            shared,
            batch: Batch::default(),
            tip,
            epoch: report.epoch,
            synced,
            segments,
            appended: 0,
            since_checkpoint: report.bytes,
            checkpoint_at: Duration::ZERO,
            checkpoint_bytes,
            closed: report.clean,
            threads: Vec::new(),
            manual: None,
        };
        log.note_segment();
        log
    }

    /// Starts the threads. `on` is called by them, one call at a time; it must not wait for
    /// anything that waits for this log's `close`.
    pub fn start(&mut self, on: impl Fn(Progress) + Send + 'static) -> io::Result<()> {
        assert!(self.threads.is_empty() && self.manual.is_none(), "the log runs already");
        self.shared.listen(Box::new(on));
        let writer = Writer::new(self.shared.clone());
        let (keeper, checkpoints) = (self.shared.clone(), self.shared.clone());
        let name = |name: &str| thread::Builder::new().name(name.to_owned());
        self.threads.push(name("wal-writer").spawn(move || writer.run())?);
        self.threads.push(name("wal-keeper").spawn(move || keeper::run(&keeper))?);
        let run = move || keeper::run_checkpoints(&checkpoints);
        self.threads.push(name("wal-checkpoint").spawn(run)?);
        Ok(())
    }

    /// Does without threads what they would do next, and returns what they would have said: for
    /// simulations, which must be repeatable. `sync`: level `Os` or `Memory` syncs (writes) now.
    pub fn step(&mut self, sync: bool) -> Vec<Progress> {
        assert!(self.threads.is_empty(), "the threads run");
        let (mut writer, said) = self.manual.take().unwrap_or_else(|| {
            let said = Arc::new(Mutex::new(Vec::new()));
            let to = said.clone();
            let push = move |p| to.lock().unwrap_or_else(PoisonError::into_inner).push(p);
            self.shared.listen(Box::new(push));
            (Writer::new(self.shared.clone()), said)
        });
        if !self.shared.is_failed() {
            let done = self.step_inner(&mut writer, sync);
            if let Err(e) = done {
                self.shared.fail(e);
            }
        }
        let all = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
        self.manual = Some((writer, said));
        all
    }

    fn step_inner(&mut self, writer: &mut Writer<D>, sync: bool) -> io::Result<()> {
        let (end, wanted) = {
            let queue = self.shared.queue();
            (queue.end, queue.sync_wanted > self.shared.synced())
        };
        let lazy = self.shared.options.level == Level::Memory;
        if lazy && end > self.shared.committed() {
            writer.announce(end);
        }
        if !lazy || sync || wanted {
            writer.turn(sync || wanted)?;
        }
        keeper::checkpoint_turn(&self.shared)?;
        keeper::turn(&self.shared)
    }

    /// The epoch that the next records carry.
    pub fn set_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// The epoch that the next records carry; after a recovery that of the last record.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Adds a record, whose body `write` appends to the buffer (it must not touch what is there).
    /// Nothing leaves this method's owner before [`Log::flush`].
    #[inline]
    pub fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        assert!(kind <= KIND_MAX, "record kinds above {KIND_MAX} are the log's own");
        self.put(kind, write)
    }

    #[inline]
    fn put(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let mut from = self.batch.buf.len();
        if from == 0 {
            self.synced = self.shared.synced();
        }
        self.batch.buf.extend_from_slice(&[0; HEADER]);
        write(&mut self.batch.buf);
        let len = self.batch.buf.len().checked_sub(from).filter(|l| *l >= HEADER);
        // invariant: `write` is handed the buffer to append to, and its callers only do that.
        let len = len.expect("the writer of a body only appends");
        assert!(len <= RECORD_MAX as usize, "a record of {len} bytes");
        let after = self.tip.offset + (len + SEAL_LEN) as u64;
        if after > self.tip.capacity || self.tip.must_roll {
            from = self.roll(from);
        }
        if self.batch.parts.is_empty() {
            self.open_part(from);
        }
        let span = Span { pos: self.end(), len: len as u32 };
        let record = &mut self.batch.buf[from..];
        record::finish(record, self.tip.generation, self.epoch, span.pos, self.synced, kind);
        self.tip.offset += len as u64;
        self.appended += len as u64;
        self.since_checkpoint += len as u64;
        self.closed = kind == CLOSE;
        span
    }

    /// Seals the segment before the record at `from`, which is encoded but has no header yet.
    /// Returns where that record stands now.
    #[cold]
    fn roll(&mut self, from: usize) -> usize {
        let record = self.batch.buf.split_off(from);
        if self.batch.parts.is_empty() {
            self.open_part(from);
        }
        let next = self.tip.base + self.tip.capacity;
        self.batch.buf.extend_from_slice(&[0; HEADER]);
        self.batch.buf.extend_from_slice(&next.to_le_bytes());
        let seal = &mut self.batch.buf[from..];
        let pos = Pos(self.tip.base + self.tip.offset);
        record::finish(seal, self.tip.generation, self.epoch, pos, self.synced, SEAL);
        self.appended += SEAL_LEN as u64;
        if let Some(info) = self.segments.get_mut(&self.tip.base) {
            (info.end, info.sealed) = (pos, true);
        }
        self.tip = Tip {
            base: next,
            capacity: segment::capacity_for(self.shared.options.segment_bytes, record.len()),
            generation: self.tip.generation.wrapping_add(1),
            offset: BLOCK,
            must_roll: false,
        };
        self.note_segment();
        let from = self.batch.buf.len();
        self.open_part(from);
        self.batch.buf.extend_from_slice(&record);
        from
    }

    fn note_segment(&mut self) {
        let info = SegmentInfo { base: Pos(self.tip.base), end: self.end(), sealed: false };
        self.segments.insert(self.tip.base, info);
    }

    fn open_part(&mut self, from: usize) {
        let Tip { base, capacity, generation, .. } = self.tip;
        self.batch.parts.push(Part { base, capacity, generation, pos: self.end(), from });
    }

    /// The position behind the last record. The next one stands there, or at the beginning of the
    /// next segment.
    #[inline]
    pub fn end(&self) -> Pos {
        Pos(self.tip.base + self.tip.offset)
    }

    /// The first position of the segment that the last record stands in.
    #[inline]
    pub fn base(&self) -> Pos {
        Pos(self.tip.base)
    }

    /// Hands everything appended to the writer: one swap, one wake.
    pub fn flush(&mut self) {
        if !self.batch.parts.is_empty() {
            let mut queue = self.shared.queue();
            if self.shared.is_failed() {
                self.batch = Batch::default();
                return;
            }
            queue.push(&mut self.batch);
            let sleeps = std::mem::take(&mut queue.idle);
            drop(queue);
            if sleeps {
                self.shared.work.notify_one();
            }
        }
    }

    /// Everything below is committed, as the level says.
    pub fn committed(&self) -> Pos {
        self.shared.committed()
    }

    /// Everything below is written (not necessarily synced).
    pub fn written(&self) -> Pos {
        self.shared.written()
    }

    /// Everything below is durable.
    pub fn synced(&self) -> Pos {
        self.shared.synced()
    }

    /// Bytes appended and not yet committed (level `Memory`: not yet written).
    pub fn backlog(&self) -> u64 {
        self.appended - self.shared.committed_bytes.load(Ordering::Acquire)
    }

    /// A reader of what is in the log.
    pub fn reader(&self) -> Reader<D> {
        Reader::new(self.shared.clone())
    }

    /// Whether a checkpoint should be made. `now` is the time since any fixed instant.
    pub fn checkpoint_due(&self, now: Duration) -> bool {
        if self.shared.checkpoint_running.load(Ordering::Acquire) {
            return false;
        }
        let (since, last) = (self.since_checkpoint, self.checkpoint_bytes);
        if since > CHECKPOINT_BYTES.max(2 * last) {
            return true;
        }
        let age = now.saturating_sub(self.checkpoint_at);
        let releases = age >= CHECKPOINT_EVERY && !self.shared.chores().doomed.is_empty();
        let patience = if 2 * since >= last { CHECKPOINT_EVERY } else { CHECKPOINT_RARELY };
        releases || (since > 0 && age >= patience)
    }

    /// Makes a checkpoint in the background: `body` is the state at `covers`, a position that
    /// [`Log::end`] gave. It counts when the log is synced that far. False, and nothing done, if
    /// one is being written.
    pub fn checkpoint(&mut self, covers: Pos, body: Vec<u8>, now: Duration) -> bool {
        assert!(covers <= self.end(), "a checkpoint of what was never appended");
        if self.shared.checkpoint_running.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.checkpoint_at = now;
        self.checkpoint_bytes = body.len() as u64;
        self.since_checkpoint = 0;
        // A recovery from here would not see the mark of the last close.
        self.closed = false;
        self.flush();
        let sealed = self.segments.values().filter(|s| s.sealed && s.end < covers);
        let segments = sealed.map(|s| (s.base.0, s.end)).collect();
        self.shared.want_sync(covers);
        self.shared.chores().checkpoint = Some(Request { covers, segments, body });
        self.shared.checkpoint_work.notify_one();
        true
    }

    /// All segments, oldest first, but for those that are released.
    pub fn segments(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        let current = self.tip.base;
        let end = self.end();
        self.segments.values().map(move |info| match info.base.0 == current {
            true => SegmentInfo { end, ..*info },
            false => *info,
        })
    }

    /// Says that nothing in this sealed segment lives. Its file goes as soon as both kept
    /// checkpoints are past it; after a crash before that it is listed again.
    pub fn release(&mut self, base: Pos) {
        let sealed = self.segments.get(&base.0).filter(|s| s.sealed);
        if let Some(info) = sealed.copied() {
            self.segments.remove(&base.0);
            self.shared.chores().doomed.push((base.0, info.end));
            self.shared.poke_keeper();
        }
    }

    /// Disk space; cheap.
    pub fn space(&self) -> Space {
        Space {
            free: self.shared.free.load(Ordering::Relaxed),
            log_bytes: self.shared.log_bytes.load(Ordering::Relaxed),
            low: self.shared.low.load(Ordering::Relaxed),
        }
    }

    /// Syncs everything, marks the log as closed in order, and ends the threads.
    pub fn close(mut self) -> io::Result<()> {
        self.sync_all()?;
        if !self.closed {
            self.put(CLOSE, |_| {});
            self.sync_all()?;
        }
        self.finish();
        Ok(())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.flush();
        let end = self.end();
        self.shared.want_sync(end);
        if self.threads.is_empty() {
            while self.shared.synced() < end && !self.shared.is_failed() {
                self.step(true);
            }
        } else {
            self.shared.await_sync(end);
        }
        if self.shared.synced() < end {
            return Err(io::Error::other("the log failed before it could be closed"));
        }
        Ok(())
    }

    fn finish(&mut self) {
        self.shared.stop();
        for thread in self.threads.drain(..) {
            // The listener may be what drops the log: a thread cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl<D: Disk> Drop for Log<D> {
    /// Without [`Log::close`] this is a crash, as far as the disk is concerned.
    fn drop(&mut self) {
        self.finish();
    }
}
