//! What the log, its threads and its readers share: the queue of flushed batches, the table of
//! open segments, the positions reached, and the chores. Each lock is held for moments only, never
//! over a write or a sync (but the maker's, which is there to wait for one).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::checkpoint::{Request, Standing};
use crate::disk::Disk;
use crate::{Options, Pos, Progress};

/// A run of records for one segment inside a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub base: u64,
    pub capacity: u64,
    pub generation: u32,
    pub pos: Pos,
    /// Index of its first byte in the batch's buffer.
    pub from: usize,
}

/// Encoded records on their way to the disk.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub buf: Vec<u8>,
    pub parts: Vec<Part>,
}

impl Batch {
    pub fn start(&self) -> Pos {
        self.parts.first().map_or(Pos(0), |p| p.pos)
    }

    /// The position behind the last record.
    pub fn end(&self) -> Pos {
        let last = |p: &Part| Pos(p.pos.0 + (self.buf.len() - p.from) as u64);
        self.parts.last().map_or(Pos(0), last)
    }

    /// Each part with its bytes.
    pub fn pieces(&self) -> impl Iterator<Item = (&Part, &[u8])> {
        self.parts.iter().enumerate().map(|(i, part)| {
            let to = self.parts.get(i + 1).map_or(self.buf.len(), |next| next.from);
            (part, &self.buf[part.from..to])
        })
    }

    /// The bytes from `pos` to the end of its part.
    pub fn bytes_at(&self, pos: Pos) -> Option<&[u8]> {
        self.pieces().find_map(|(part, bytes)| {
            bytes.get(usize::try_from(pos.0.checked_sub(part.pos.0)?).ok()?..)
        })
    }

    fn clear(&mut self) {
        self.buf.clear();
        self.parts.clear();
    }
}

/// Buffers of this many bytes in all are kept for reuse.
const KEEP_MAX: usize = 8 << 20;
/// Flushes smaller than this are copied together rather than queued one by one.
const JOIN_MAX: usize = 64 << 10;

/// Batches between flush and disk, in order: `inflight` is being written, `waiting` is not yet.
#[derive(Default)]
pub(crate) struct Queue {
    pub waiting: VecDeque<Arc<Batch>>,
    pub inflight: Vec<Arc<Batch>>,
    free: Vec<Arc<Batch>>,
    free_bytes: usize,
    pub waiting_bytes: usize,
    /// The position behind everything flushed.
    pub end: Pos,
    /// The owner waits for everything below this to be synced, whatever the level.
    pub sync_wanted: Pos,
    /// The writer sleeps; whoever gives it work clears this and wakes it (a wake is a system call).
    pub idle: bool,
    pub stop: bool,
}

impl Queue {
    /// Takes over what is in `batch` and leaves an empty one.
    pub fn push(&mut self, batch: &mut Batch) {
        self.waiting_bytes += batch.buf.len();
        self.end = batch.end();
        let last = self.waiting.back_mut().and_then(Arc::get_mut);
        if let Some(last) = last.filter(|l| l.buf.len() + batch.buf.len() <= JOIN_MAX) {
            let shift = last.buf.len();
            last.buf.reserve(JOIN_MAX - shift);
            last.buf.extend_from_slice(&batch.buf);
            for part in &batch.parts {
                if last.parts.last().is_none_or(|p| p.base != part.base) {
                    last.parts.push(Part { from: part.from + shift, ..*part });
                }
            }
            batch.clear();
            return;
        }
        let mut slot = self.free.pop().unwrap_or_default();
        self.free_bytes -= slot.buf.capacity();
        if let Some(empty) = Arc::get_mut(&mut slot) {
            std::mem::swap(empty, batch);
        } else {
            slot = Arc::new(std::mem::take(batch));
        }
        self.waiting.push_back(slot);
    }

    /// Keeps written batches for reuse.
    pub fn recycle(&mut self) {
        for mut batch in self.inflight.drain(..) {
            let room = KEEP_MAX - self.free_bytes;
            if let Some(inner) = Arc::get_mut(&mut batch).filter(|b| b.buf.capacity() <= room) {
                inner.clear();
                self.free_bytes += inner.buf.capacity();
                self.free.push(batch);
            }
        }
    }

    /// The batch that holds `pos`, if it is still here.
    pub fn find(&self, pos: Pos) -> Option<&Batch> {
        let all = self.inflight.iter().chain(&self.waiting);
        all.map(|b| &**b).find(|b| b.start() <= pos && pos < b.end())
    }
}

/// A segment that exists on disk.
pub(crate) struct Slot<F> {
    pub file: Option<Arc<F>>,
    pub size: u64,
}

/// All segments on disk by base, and the files that are open.
pub(crate) struct Table<F> {
    pub slots: BTreeMap<u64, Slot<F>>,
}

/// The segment to make ready next.
pub(crate) struct Maker<F> {
    pub base: u64,
    pub generation: u32,
    pub spare: Option<Arc<F>>,
    /// The last attempt found no space.
    pub starved: bool,
}

/// What the background threads have to do besides writing.
#[derive(Default)]
pub(crate) struct Chores {
    pub checkpoint: Option<Request>,
    /// Durable checkpoints, oldest first.
    pub standing: Vec<Standing>,
    /// Released segments, base and end, that wait for the checkpoints to pass them.
    pub doomed: Vec<(u64, Pos)>,
    /// The keeper has something to look at.
    pub poked: bool,
    pub stop: bool,
}

impl Chores {
    pub fn next_serial(&self) -> u64 {
        self.standing.last().map_or(1, |s| s.serial + 1)
    }

    /// Notes a new checkpoint; returns those that nobody needs any more.
    pub fn checkpoint_stands(&mut self, new: Standing) -> Vec<Standing> {
        self.standing.push(new);
        let extra = self.standing.len().saturating_sub(2);
        self.standing.drain(..extra).collect()
    }

    /// The position that both kept checkpoints cover.
    pub fn covered(&self) -> Option<Pos> {
        if self.standing.len() < 2 {
            return None;
        }
        self.standing.iter().map(|s| s.covers).min()
    }
}

/// Where progress is reported; set when the threads start.
pub(crate) type Listener = Box<dyn Fn(Progress) + Send>;

pub(crate) struct Shared<D: Disk> {
    pub disk: Arc<D>,
    pub options: Options,
    queue: Mutex<Queue>,
    /// The writer waits here.
    pub work: Condvar,
    /// Whoever waits for the writer waits here, with the queue's lock.
    pub moved: Condvar,
    table: Mutex<Table<D::File>>,
    maker: Mutex<Maker<D::File>>,
    chores: Mutex<Chores>,
    pub keeper_work: Condvar,
    pub checkpoint_work: Condvar,
    listener: Mutex<Option<Listener>>,
    written: AtomicU64,
    synced: AtomicU64,
    committed: AtomicU64,
    /// Bytes of records committed since the opening.
    pub committed_bytes: AtomicU64,
    failed: AtomicBool,
    pub checkpoint_running: AtomicBool,
    pub free: AtomicU64,
    pub log_bytes: AtomicU64,
    pub low: AtomicBool,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked while it held the lock left whole values behind: each update is one
    // assignment or one push.
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Disk> Shared<D> {
    pub fn new(
        disk: Arc<D>,
        options: Options,
        end: Pos,
        table: Table<D::File>,
        maker: Maker<D::File>,
        standing: Vec<Standing>,
    ) -> Self {
        let log_bytes = table.slots.values().map(|s| s.size).sum();
        Shared {
            disk,
            options,
            queue: Mutex::new(Queue { end, ..Queue::default() }),
            work: Condvar::new(),
            moved: Condvar::new(),
            table: Mutex::new(table),
            maker: Mutex::new(maker),
            chores: Mutex::new(Chores { standing, ..Chores::default() }),
            keeper_work: Condvar::new(),
            checkpoint_work: Condvar::new(),
            listener: Mutex::new(None),
            written: AtomicU64::new(end.0),
            synced: AtomicU64::new(end.0),
            committed: AtomicU64::new(end.0),
            committed_bytes: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            checkpoint_running: AtomicBool::new(false),
            free: AtomicU64::new(u64::MAX),
            log_bytes: AtomicU64::new(log_bytes),
            low: AtomicBool::new(false),
        }
    }

    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        held(&self.queue)
    }

    pub fn table(&self) -> MutexGuard<'_, Table<D::File>> {
        held(&self.table)
    }

    pub fn maker(&self) -> MutexGuard<'_, Maker<D::File>> {
        held(&self.maker)
    }

    pub fn chores(&self) -> MutexGuard<'_, Chores> {
        held(&self.chores)
    }

    pub fn listen(&self, listener: Listener) {
        *held(&self.listener) = Some(listener);
    }

    pub fn written(&self) -> Pos {
        Pos(self.written.load(Ordering::Acquire))
    }

    pub fn synced(&self) -> Pos {
        Pos(self.synced.load(Ordering::Acquire))
    }

    pub fn committed(&self) -> Pos {
        Pos(self.committed.load(Ordering::Acquire))
    }

    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub fn set_written(&self, pos: Pos) {
        self.written.store(pos.0, Ordering::Release);
    }

    pub fn set_synced(&self, pos: Pos) {
        self.synced.store(pos.0, Ordering::Release);
        // The lock closes the gap between a waiter's look and its wait.
        drop(self.queue());
        self.moved.notify_all();
    }

    pub fn commit(&self, pos: Pos, bytes: u64) {
        self.committed.store(pos.0, Ordering::Release);
        self.committed_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.report(Progress::Committed(pos));
    }

    pub fn report(&self, progress: Progress) {
        if let Some(listener) = &*held(&self.listener) {
            listener(progress);
        }
    }

    pub fn checkpoint_done(&self) {
        self.checkpoint_running.store(false, Ordering::Release);
        self.poke_keeper();
    }

    pub fn poke_keeper(&self) {
        self.chores().poked = true;
        self.keeper_work.notify_one();
    }

    /// Tells the threads to go, whatever waits.
    pub fn stop(&self) {
        self.queue().stop = true;
        self.work.notify_all();
        self.moved.notify_all();
        self.chores().stop = true;
        self.keeper_work.notify_all();
        self.checkpoint_work.notify_all();
    }

    /// Ends the log: said once, never taken back.
    pub fn fail(&self, e: io::Error) {
        if self.failed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.queue().waiting.clear();
        self.work.notify_all();
        self.moved.notify_all();
        self.checkpoint_work.notify_all();
        self.report(Progress::Failed(e));
    }

    /// Asks for everything flushed below `pos` to be synced soon, whatever the level.
    pub fn want_sync(&self, pos: Pos) {
        let mut queue = self.queue();
        queue.sync_wanted = queue.sync_wanted.max(pos);
        drop(queue);
        self.work.notify_one();
    }

    /// Waits for that; false when the log failed or was given up meanwhile.
    pub fn await_sync(&self, pos: Pos) -> bool {
        let mut queue = self.queue();
        while self.synced() < pos && !self.is_failed() && !queue.stop {
            queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        self.synced() >= pos
    }
}
