//! A thread's working memory, used by whichever connection is being polled: so no
//! idle connection holds any, and a busy thread allocates none.

use crate::block::Blocks;
use lockgate_front::{Output, WriteBuffer};
use lockgate_model::Event;
use std::cell::Cell;

/// Working memory for one poll.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// What the session puts out.
    pub(super) out: Output,
    /// What the engine tells.
    pub(super) events: Vec<Event>,
    /// Where input is read into.
    pub(super) blocks: Blocks,
    /// Empty output buffers with memory, for peers that have not read their last one yet.
    spare: Vec<WriteBuffer>,
    /// The engine has nothing more to tell and will wake us.
    pub(super) quiet: bool,
    /// Bytes read in this poll.
    pub(super) read: u64,
    /// Bytes written in this poll.
    pub(super) written: u64,
}

/// Memory that an output buffer keeps; more was an exception.
const OUTPUT_KEPT_MAX: usize = 2 * 1024 * 1024;

/// Output buffers that a thread keeps.
const SPARE_MAX: usize = 4;

/// Commands or events that a thread keeps room for.
const ENTRIES_KEPT_MAX: usize = 16 * 1024;

thread_local!(static SPARE: Cell<Option<Box<Scratch>>> = const { Cell::new(None) });

impl Scratch {
    /// This thread's, or a new one if it is in use (or was lost to a panic).
    pub(super) fn take() -> Box<Scratch> {
        let mut scratch = SPARE.take().unwrap_or_default();
        (scratch.quiet, scratch.read, scratch.written) = (false, 0, 0);
        scratch
    }

    /// For the next poll on this thread. Nothing of this connection may be left in it.
    pub(super) fn give_back(mut self: Box<Self>) {
        debug_assert!(self.out.bytes.is_empty() && self.out.commands.is_empty());
        if self.out.commands.capacity() > ENTRIES_KEPT_MAX {
            self.out.commands = Vec::new();
        }
        if self.events.capacity() > ENTRIES_KEPT_MAX {
            self.events = Vec::new();
        }
        SPARE.set(Some(self));
    }

    /// Sees to it that the output buffer has memory, if the thread has any to spare.
    pub(super) fn refill(&mut self) {
        if self.out.bytes.is_empty()
            && self.out.bytes.small().capacity() == 0
            && let Some(spare) = self.spare.pop()
        {
            self.out.bytes = spare;
        }
    }

    /// Takes a buffer that has been written to its end.
    pub(super) fn put_by(&mut self, empty: &mut WriteBuffer) {
        let capacity = empty.small().capacity();
        let mut buffer = std::mem::take(empty);
        debug_assert!(buffer.is_empty());
        if capacity == 0 || capacity > OUTPUT_KEPT_MAX {
            return;
        }
        if self.out.bytes.is_empty() && self.out.bytes.small().capacity() < capacity {
            std::mem::swap(&mut self.out.bytes, &mut buffer);
        }
        if buffer.small().capacity() > 0 && self.spare.len() < SPARE_MAX {
            self.spare.push(buffer);
        }
    }
}
