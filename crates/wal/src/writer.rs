//! The writer: takes everything waiting, writes it at once, syncs, and says how far the log is
//! committed. A write or sync that fails ends it for good. It decides nothing about content.

use std::io::{self, IoSlice};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::disk::{Disk, DiskFile};
use crate::segment::{self, SegmentHead};
use crate::shared::{Batch, Part, Queue, Shared, Slot};
use crate::{Level, Pos};

/// One write takes about this much, so that a long queue is confirmed step by step.
const WRITE_MAX: usize = 4 << 20;
/// Level `Memory` writes at once when this much waits.
const LAZY_MAX: usize = 1 << 20;

pub(crate) struct Writer<D: Disk> {
    shared: Arc<Shared<D>>,
    current: Option<(u64, Arc<D::File>)>,
    /// Files with writes that are not synced, in order of use.
    dirty: Vec<Arc<D::File>>,
    /// The batches of this turn.
    taken: Vec<Arc<Batch>>,
}

/// What the thread should do now.
enum Duty {
    Stop,
    /// Level `Memory`: say that everything up to here is committed.
    Announce(Pos),
    Turn {
        sync: bool,
    },
}

impl<D: Disk> Writer<D> {
    pub fn new(shared: Arc<Shared<D>>) -> Self {
        Writer { shared, current: None, dirty: Vec::new(), taken: Vec::new() }
    }

    /// The thread's life.
    pub fn run(mut self) {
        let mut last_sync = Instant::now();
        loop {
            let result = match self.wait(last_sync) {
                Duty::Stop => return,
                Duty::Announce(pos) => {
                    self.announce(pos);
                    Ok(())
                }
                Duty::Turn { sync } => {
                    let result = self.turn(sync);
                    if sync {
                        last_sync = Instant::now();
                    }
                    result
                }
            };
            if let Err(e) = result {
                self.shared.fail(e);
                return;
            }
        }
    }

    fn wait(&self, last_sync: Instant) -> Duty {
        let shared = &*self.shared;
        let every = shared.options.flush_every;
        let mut queue = shared.queue();
        loop {
            if queue.stop || shared.is_failed() {
                return Duty::Stop;
            }
            let wanted = queue.sync_wanted > shared.synced();
            let waiting = !queue.waiting.is_empty();
            let pending = waiting || !self.dirty.is_empty();
            let left = every.saturating_sub(last_sync.elapsed());
            let due = pending && left == Duration::ZERO;
            match shared.options.level {
                Level::Fsync if waiting || wanted => return Duty::Turn { sync: true },
                Level::Os if waiting || wanted || due => {
                    return Duty::Turn { sync: wanted || due };
                }
                Level::Memory if queue.end > shared.committed() => {
                    return Duty::Announce(queue.end);
                }
                Level::Memory if wanted || due || queue.waiting_bytes >= LAZY_MAX => {
                    return Duty::Turn { sync: wanted || due };
                }
                _ => {}
            }
            queue.idle = true;
            queue = if pending && shared.options.level != Level::Fsync {
                let waited = shared.work.wait_timeout(queue, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner)
            };
            queue.idle = false;
        }
    }

    /// Level `Memory`: flushed is committed.
    pub fn announce(&self, pos: Pos) {
        // The bytes are counted when they are written: until then they do occupy memory.
        self.shared.commit(pos, 0);
    }

    /// One turn: write what waits, sync if asked to, report.
    pub fn turn(&mut self, sync: bool) -> io::Result<()> {
        self.take();
        if let Some(last) = self.taken.last() {
            let end = last.end();
            let bytes: u64 = self.taken.iter().map(|b| b.buf.len() as u64).sum();
            self.write()?;
            self.taken.clear();
            let shared = &*self.shared;
            shared.set_written(end);
            shared.queue().recycle();
            match shared.options.level {
                Level::Fsync => {
                    self.sync()?;
                    self.shared.commit(end, bytes);
                    return Ok(());
                }
                Level::Os => shared.commit(end, bytes),
                // Announced already; only the count of bytes moves on.
                Level::Memory => {
                    shared.committed_bytes.fetch_add(bytes, Ordering::AcqRel);
                }
            }
        }
        if sync { self.sync() } else { Ok(()) }
    }

    fn take(&mut self) {
        let mut queue = self.shared.queue();
        let mut bytes = 0;
        while let Some(next) = queue.waiting.front() {
            let len = next.buf.len();
            if bytes > 0 && bytes + len > WRITE_MAX {
                break;
            }
            bytes += len;
            let Queue { waiting, inflight, .. } = &mut *queue;
            if let Some(batch) = waiting.pop_front() {
                self.taken.push(batch.clone());
                inflight.push(batch);
            }
        }
        queue.waiting_bytes -= bytes;
    }

    /// Writes all taken batches, one write for each run of bytes in one segment.
    fn write(&mut self) -> io::Result<()> {
        let taken = std::mem::take(&mut self.taken);
        // A seal names the next segment, so that must stand before the seal is written.
        for part in taken.iter().flat_map(|batch| &batch.parts) {
            if self.current.as_ref().is_none_or(|(base, _)| *base != part.base) {
                open_segment(&self.shared, part)?;
            }
        }
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(taken.len() + 1);
        let mut run: Option<Part> = None;
        for (part, bytes) in taken.iter().flat_map(|batch| batch.pieces()) {
            if run.is_none_or(|r| r.base != part.base) {
                if let Some(r) = run {
                    self.write_run(&r, &slices)?;
                    slices.clear();
                }
                run = Some(*part);
            }
            slices.push(IoSlice::new(bytes));
        }
        if let Some(r) = run {
            self.write_run(&r, &slices)?;
        }
        drop(slices);
        self.taken = taken;
        Ok(())
    }

    fn write_run(&mut self, part: &Part, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let file = match &self.current {
            Some((base, file)) if *base == part.base => file.clone(),
            _ => {
                let file = open_segment(&self.shared, part)?;
                self.current = Some((part.base, file.clone()));
                file
            }
        };
        if self.dirty.last().is_none_or(|last| !Arc::ptr_eq(last, &file)) {
            self.dirty.push(file.clone());
        }
        file.write_at(slices, part.pos.0 - part.base)
    }

    fn sync(&mut self) -> io::Result<()> {
        for file in self.dirty.drain(..) {
            file.sync_data()?;
        }
        let written = self.shared.written();
        if written > self.shared.synced() {
            self.shared.set_synced(written);
        }
        Ok(())
    }
}

/// The file of a segment: one that exists, the one made ready, or one made now.
fn open_segment<D: Disk>(shared: &Shared<D>, part: &Part) -> io::Result<Arc<D::File>> {
    if let Some(slot) = shared.table().slots.get_mut(&part.base) {
        if let Some(file) = &slot.file {
            return Ok(file.clone());
        }
        let file = Arc::new(shared.disk.open(&segment::name(part.base))?);
        slot.file = Some(file.clone());
        return Ok(file);
    }
    let mut maker = shared.maker();
    let file = match maker.spare.take() {
        Some(spare) if maker.base == part.base => {
            if spare.size()? < part.capacity {
                spare.allocate(part.capacity)?;
                spare.sync_data()?;
            }
            spare
        }
        _ => {
            let head = SegmentHead { generation: part.generation, base: part.base };
            Arc::new(segment::prepare(&*shared.disk, head, part.capacity)?)
        }
    };
    maker.base = part.base + part.capacity;
    maker.generation = part.generation.wrapping_add(1);
    let slot = Slot { file: Some(file.clone()), size: part.capacity };
    shared.table().slots.insert(part.base, slot);
    drop(maker);
    shared.poke_keeper();
    Ok(file)
}
