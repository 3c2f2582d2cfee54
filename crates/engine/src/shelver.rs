//! The shelver: a thread that moves streams' entries to their segments, brings them back from
//! there and deletes what is not retained. It waits for syncs so that the librarian need not,
//! and decides nothing.

use crate::librarian::{Brought, Desk, Job};
use lockgate_broker::{Chunk, Io, QueueId, record};
use lockgate_model::{Run, RunBuilder, Time};
use lockgate_wal::{ChunkHead, Disk, Shelf};
use std::io;
use std::sync::Arc;

/// Does the jobs until told to stop.
pub struct Shelver<D: Disk> {
    /// Where jobs come from.
    pub desk: Arc<Desk>,
    /// The files.
    pub shelf: Shelf<D>,
}

/// A batch that is written and not synced.
struct Written {
    stream: QueueId,
    segment: u64,
    /// The number behind the last entry.
    end: u64,
    /// The file's length.
    bytes: u64,
}

impl<D: Disk> Shelver<D> {
    /// Runs until stopped; `back` takes what comes of the jobs.
    pub fn run(mut self, back: impl Fn(Brought)) {
        let mut written = Vec::new();
        loop {
            // What waits to be kept shares one sync.
            let job = match self.desk.next_now(&written) {
                Some(job) => job,
                None => match self.sync(&mut written, &back) {
                    Ok(()) => self.desk.next(),
                    Err(why) => return back(Brought::Failed(why)),
                },
            };
            let done = match job {
                Job::Io(Io::Keep { stream, segment, bytes, chunks }) => {
                    match self.write(stream, segment, bytes, &chunks) {
                        Ok(batch) => written.push(batch),
                        Err(e) if no_space(&e) => {
                            self.shelf.take_back((stream.0, segment), bytes);
                            back(Brought::Unkept(stream));
                        }
                        Err(e) => return back(Brought::Failed(format!("keeping a stream: {e}"))),
                    }
                    Ok(())
                }
                Job::Io(Io::Fetch { stream, segment, from, bytes_max }) => {
                    self.fetch(stream, segment, from, bytes_max).map(&back)
                }
                Job::Io(Io::Seek { stream, segment, time }) => {
                    self.seek(stream, segment, time).map(&back)
                }
                Job::Io(Io::Discard { stream, below, .. }) => {
                    let removed = self.shelf.remove(stream.0, below);
                    removed.map_err(|e| format!("deleting a stream's segment: {e}"))
                }
                Job::Stop => return,
                Job::Io(_) | Job::Move(_) => Ok(()),
            };
            if let Err(why) = done {
                return back(Brought::Failed(why));
            }
        }
    }

    fn write(
        &mut self,
        stream: QueueId,
        segment: u64,
        kept: u64,
        chunks: &[Chunk],
    ) -> io::Result<Written> {
        let id = (stream.0, segment);
        if kept > 0 && self.shelf.length(id) != kept {
            return Err(io::Error::other("a segment is not as long as the log says"));
        }
        let mut written = Written { stream, segment, end: segment, bytes: kept };
        let mut body = Vec::new();
        for chunk in chunks {
            body.clear();
            let count: u32 = chunk.slices.iter().map(|s| s.count).sum();
            match &chunk.slices[..] {
                [one] => {
                    let from = one.item as usize;
                    record::write_run(&one.run, from, from + one.count as usize, &mut body);
                }
                many => {
                    let mut all = RunBuilder::default();
                    for s in many {
                        all.copy(&s.run, s.item as usize, s.item as usize + s.count as usize);
                    }
                    record::write_run(&all.finish(), 0, count as usize, &mut body);
                }
            }
            let times = (chunk.times.0.0, chunk.times.1.0);
            let head = ChunkHead { first: chunk.first, count, times };
            written.bytes = self.shelf.append(id, head, &body)?;
            written.end = chunk.first + u64::from(count);
        }
        Ok(written)
    }

    /// Makes durable what was written, and says so.
    fn sync(&mut self, written: &mut Vec<Written>, back: &impl Fn(Brought)) -> Result<(), String> {
        if written.is_empty() {
            return Ok(());
        }
        self.shelf.sync().map_err(|e| format!("syncing a stream's segment: {e}"))?;
        for Written { stream, segment, end, bytes } in written.drain(..) {
            back(Brought::Kept { stream, segment, end, bytes });
        }
        Ok(())
    }

    fn fetch(
        &mut self,
        stream: QueueId,
        segment: u64,
        from: u64,
        bytes_max: usize,
    ) -> Result<Brought, String> {
        let read = self.shelf.read((stream.0, segment), from, bytes_max);
        let chunks = read.map_err(|e| e.to_string())?.unwrap_or_default();
        let mut found = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let run = record::read_run(&chunk.body);
            let run = run.ok().filter(|r| r.items.len() == chunk.head.count as usize);
            let first = chunk.head.first;
            let run: Run = run.ok_or_else(|| {
                format!("entry {first} of segment {segment} of stream {} cannot be read", stream.0)
            })?;
            found.push((first, Arc::new(run)));
        }
        Ok(Brought::Chunks { stream, from, found })
    }

    fn seek(&mut self, stream: QueueId, segment: u64, time: Time) -> Result<Brought, String> {
        let found = self.shelf.seek((stream.0, segment), time.0).map_err(|e| e.to_string())?;
        let number = found.filter(|n| *n != u64::MAX);
        Ok(Brought::Sought { stream, segment, time, number })
    }
}

/// An error that room on the disk would mend.
fn no_space(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
