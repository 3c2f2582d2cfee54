//! What goes on behind the writer: the next segment is made ready before it is needed, released
//! segments are deleted when the checkpoints have passed them, free space is looked up, and
//! checkpoints are written. Nothing here is on the way of a confirm.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::checkpoint::{self, no_space};
use crate::disk::Disk;
use crate::segment::{self, SegmentHead};
use crate::shared::Shared;

/// How often free space is looked up when nothing else happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keeper thread's life.
pub(crate) fn run<D: Disk>(shared: &Arc<Shared<D>>) {
    loop {
        if let Err(e) = turn(shared) {
            shared.fail(e);
            return;
        }
        let mut chores = shared.chores();
        if !chores.stop && !chores.poked {
            let waited = shared.keeper_work.wait_timeout(chores, LOOK_EVERY);
            chores = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        chores.poked = false;
        if chores.stop || shared.is_failed() {
            return;
        }
    }
}

/// One round of everything the keeper does.
pub(crate) fn turn<D: Disk>(shared: &Shared<D>) -> io::Result<()> {
    delete_doomed(shared)?;
    prepare_next(shared)?;
    look_at_space(shared);
    Ok(())
}

fn prepare_next<D: Disk>(shared: &Shared<D>) -> io::Result<()> {
    let mut maker = shared.maker();
    if maker.spare.is_some() {
        return Ok(());
    }
    let head = SegmentHead { generation: maker.generation, base: maker.base };
    let capacity = segment::capacity_for(shared.options.segment_bytes, 0);
    match segment::prepare(&*shared.disk, head, capacity) {
        Ok(file) => {
            maker.spare = Some(Arc::new(file));
            maker.starved = false;
            Ok(())
        }
        // The alarm goes up; the current segment still has room, and room may come.
        Err(e) if no_space(&e) => {
            maker.starved = true;
            Ok(())
        }
        Err(e) => Err(e),
    }
}

fn delete_doomed<D: Disk>(shared: &Shared<D>) -> io::Result<()> {
    let mut dying = Vec::new();
    {
        let mut chores = shared.chores();
        let Some(covered) = chores.covered() else {
            return Ok(());
        };
        chores.doomed.retain(|&(base, end)| {
            let dies = end < covered;
            if dies {
                dying.push(base);
            }
            !dies
        });
    }
    for base in &dying {
        shared.disk.remove(&segment::name(*base))?;
        shared.table().slots.remove(base);
    }
    Ok(())
}

fn look_at_space<D: Disk>(shared: &Shared<D>) {
    let (starved, spare) = {
        let maker = shared.maker();
        (maker.starved, maker.spare.is_some())
    };
    let spare = if spare { shared.options.segment_bytes } else { 0 };
    let used: u64 = shared.table().slots.values().map(|s| s.size).sum();
    shared.log_bytes.store(used + spare, Ordering::Relaxed);
    // A look that fails leaves the last figure: the alarm is a forecast, not a promise.
    if let Ok(free) = shared.disk.free_bytes() {
        shared.free.store(free, Ordering::Relaxed);
        let low = starved || free < shared.options.reserve_bytes;
        shared.low.store(low, Ordering::Relaxed);
    }
}

/// The checkpoint thread's life.
pub(crate) fn run_checkpoints<D: Disk>(shared: &Arc<Shared<D>>) {
    loop {
        let mut chores = shared.chores();
        let request = loop {
            if chores.stop || shared.is_failed() {
                return;
            }
            if let Some(request) = chores.checkpoint.take() {
                break request;
            }
            let waited = shared.checkpoint_work.wait(chores);
            chores = waited.unwrap_or_else(PoisonError::into_inner);
        };
        drop(chores);
        shared.want_sync(request.covers);
        if !shared.await_sync(request.covers) {
            return;
        }
        if let Err(e) = checkpoint::store(shared, request) {
            shared.fail(e);
            return;
        }
    }
}

/// The same without a thread: writes the checkpoint that waits, if the log is synced that far.
pub(crate) fn checkpoint_turn<D: Disk>(shared: &Arc<Shared<D>>) -> io::Result<()> {
    let mut chores = shared.chores();
    let ready = |covers| covers <= shared.synced();
    match chores.checkpoint.take() {
        Some(request) if ready(request.covers) => {
            drop(chores);
            checkpoint::store(shared, request)
        }
        other => {
            chores.checkpoint = other;
            Ok(())
        }
    }
}
