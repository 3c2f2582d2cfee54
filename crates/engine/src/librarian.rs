//! The librarian: a thread that brings blocks back from the log and from pages, and puts
//! pages aside, in the order it is asked. It decides nothing.

use bytes::Bytes;
use lockgate_broker::{BlockKey, Io, PageId, Part, Place, QueueId, record};
use lockgate_model::{Run, RunBuilder, Time};
use lockgate_wal::{Disk, Pages, Pos, ReadError, Reader, Slot, Span};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What can be asked.
pub enum Job {
    /// As the broker asked.
    Io(Io),
    /// Read these records, to be copied to the end of the log.
    Move(Vec<Place>),
    /// Nothing more comes.
    Stop,
}

/// What comes back.
pub enum Brought {
    /// A block.
    Block(BlockKey, Arc<Run>),
    /// A block cannot be brought: a record of it is gone.
    Missed(BlockKey, Place),
    /// A record to be copied, and where it was.
    Record(u8, Bytes, Place),
    /// All of a `Move` have come.
    Moved,
    /// Entries of a stream below `end` are kept.
    Kept {
        stream: QueueId,
        segment: u64,
        end: u64,
        /// The length of the segment's file.
        bytes: u64,
    },
    /// There was no room for entries of a stream.
    Unkept(QueueId),
    /// Chunks of a stream, asked for from this entry on.
    Chunks { stream: QueueId, from: u64, found: Vec<(u64, Arc<Run>)> },
    /// Where in a segment a time begins; none at its end.
    Sought { stream: QueueId, segment: u64, time: Time, number: Option<u64> },
    /// Something could not be read or written: the state on disk cannot be trusted.
    Failed(String),
}

/// The queue of jobs.
#[derive(Default)]
pub struct Desk {
    jobs: Mutex<VecDeque<Job>>,
    more: Condvar,
    /// Bytes of pages that are not yet written.
    pub storing: AtomicU64,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks.
    pub fn ask(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut queue = self.lock();
        for job in jobs {
            if let Job::Io(Io::Store { run, .. }) = &job {
                self.storing.fetch_add(run.bytes.len() as u64, Relaxed);
            }
            queue.push_back(job);
        }
        drop(queue);
        self.more.notify_one();
    }

    /// The next job at once; none if there is none, or if it may not come before a sync of
    /// what `unsynced` holds.
    pub fn next_now<T>(&self, unsynced: &[T]) -> Option<Job> {
        let mut queue = self.lock();
        let keeps = matches!(queue.front(), Some(Job::Io(Io::Keep { .. })));
        if keeps || unsynced.is_empty() { queue.pop_front() } else { None }
    }

    /// Waits for the next job.
    pub fn next(&self) -> Job {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.pop_front() {
                return job;
            }
            queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Does the jobs until told to stop.
pub struct Librarian<D: Disk> {
    /// Where jobs come from.
    pub desk: Arc<Desk>,
    /// Reads the log.
    pub log: Reader<D>,
    /// The pages.
    pub pages: Pages<D>,
    /// Where the pages are that have been written.
    pub slots: HashMap<PageId, Slot>,
}

impl<D: Disk> Librarian<D> {
    /// Runs until stopped; `back` takes what was brought.
    pub fn run(mut self, back: impl Fn(Brought)) {
        let mut buffer = Vec::new();
        loop {
            let done = match self.desk.next() {
                Job::Stop => return,
                Job::Io(Io::Load { key, parts }) => self.load(key, &parts).map(&back),
                Job::Io(Io::LoadPage { key, page }) => {
                    self.load_page(page).map(|run| back(Brought::Block(key, run)))
                }
                Job::Io(Io::Store { page, run }) => self.store(page, &run, &mut buffer),
                Job::Io(Io::Free(page)) => {
                    if let Some(slot) = self.slots.remove(&page) {
                        self.pages.free(slot);
                    }
                    Ok(())
                }
                Job::Move(places) => self.fetch(&places, &back),
                // The shelver's.
                Job::Io(
                    Io::Keep { .. } | Io::Fetch { .. } | Io::Seek { .. } | Io::Discard { .. },
                ) => Ok(()),
            };
            if let Err(why) = done {
                back(Brought::Failed(why));
                return;
            }
        }
    }

    fn load(&self, key: BlockKey, parts: &[Part]) -> Result<Brought, String> {
        let span = |p: Place| Span { pos: Pos(p.pos), len: p.len };
        let spans: Vec<Span> = parts.iter().filter_map(|p| p.place).map(span).collect();
        let entries = match self.log.read_many(&spans) {
            Ok(entries) => entries,
            // Everything in it was settled, or moved, since this was asked.
            Err(ReadError::Gone(Span { pos, len })) => {
                return Ok(Brought::Missed(key, Place { pos: pos.0, len }));
            }
            Err(e) => return Err(format!("reading the log: {e}")),
        };
        let (mut entries, mut all) = (entries.into_iter(), RunBuilder::default());
        for part in parts {
            let Some(entry) = part.place.and_then(|_| entries.next()) else {
                all.hole(part.count);
                continue;
            };
            let bad = |why: &str| format!("a record of {key:?} is not what it was: {why}");
            let run = record::run_of(entry.kind, &entry.body).map_err(|e| bad(e.0))?;
            let (from, to) = (part.skip as usize, part.skip as usize + part.count as usize);
            if to > run.items.len() {
                return Err(bad("it holds fewer messages"));
            }
            all.copy(&run, from, to);
        }
        Ok(Brought::Block(key, Arc::new(all.finish())))
    }

    fn load_page(&self, page: PageId) -> Result<Arc<Run>, String> {
        let slot = self.slots.get(&page).ok_or("a page is not there")?;
        let body = self.pages.get(slot).map_err(|e| format!("reading a page: {e}"))?;
        let run = record::read_run(&body).map_err(|e| format!("reading a page: {e}"))?;
        Ok(Arc::new(run))
    }

    fn store(&mut self, page: PageId, run: &Run, buffer: &mut Vec<u8>) -> Result<(), String> {
        buffer.clear();
        record::write_run(run, 0, run.items.len(), buffer);
        let slot = self.pages.put(buffer).map_err(|e| format!("writing a page: {e}"))?;
        self.desk.storing.fetch_sub(run.bytes.len() as u64, Relaxed);
        self.slots.insert(page, slot);
        Ok(())
    }

    fn fetch(&self, places: &[Place], back: &impl Fn(Brought)) -> Result<(), String> {
        for place in places {
            let span = Span { pos: Pos(place.pos), len: place.len };
            match self.log.read(span) {
                Ok(entry) => back(Brought::Record(entry.kind, entry.body, *place)),
                // Everything in it was settled since this was asked.
                Err(ReadError::Gone(_)) => {}
                Err(e) => return Err(format!("reading the log: {e}")),
            }
        }
        back(Brought::Moved);
        Ok(())
    }
}
