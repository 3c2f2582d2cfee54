//! What the broker asks of whoever keeps its log, and what it asks to be fetched or put aside.

use crate::id::{PageId, Place, QueueId};
use crate::ledger::Slice;
use lockgate_model::{Event, Run, SessionId, Time};
use std::sync::Arc;

/// The log as the broker sees it.
pub trait Journal {
    /// Appends a record and says where it will be.
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place;

    /// The record at this place has become worth more (or less) keeping.
    fn weigh(&mut self, place: Place, delta: i64);
}

/// A journal that keeps nothing: for tests, and for what need not last.
#[derive(Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn append(&mut self, _: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        write(&mut Vec::new());
        Place::default()
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

/// What comes out of the broker.
#[derive(Debug, Default)]
pub struct Effects {
    /// For sessions, in order.
    pub events: Vec<Effect>,
    /// For the disk, in order.
    pub io: Vec<Io>,
}

/// An event for a session, to leave when the log is committed up to `after`.
#[derive(Debug)]
pub struct Effect {
    /// Whose it is.
    pub session: SessionId,
    /// 0: it waits for nothing.
    pub after: u64,
    /// What happened.
    pub event: Event,
}

impl Effects {
    /// An event that waits for nothing.
    pub fn now(&mut self, session: SessionId, event: Event) {
        self.events.push(Effect { session, after: 0, event });
    }

    /// An event that waits for the log.
    pub fn after(&mut self, after: u64, session: SessionId, event: Event) {
        self.events.push(Effect { session, after, event });
    }
}

/// Which block of which queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockKey {
    /// The queue.
    pub queue: QueueId,
    /// The block's first entry.
    pub first: u64,
}

/// Part of a block that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The record that holds it; none if nobody needs it any more: its segment may be gone.
    pub place: Option<Place>,
    /// Its first message's place in the record's run.
    pub skip: u32,
    /// How many messages.
    pub count: u32,
}

/// Entries of a stream that are stored as one.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The first one's number.
    pub first: u64,
    /// When the first and the last of them came.
    pub times: (Time, Time),
    /// In order.
    pub slices: Vec<Slice>,
}

/// Work for the disk, done in order. `Load` and `LoadPage` are answered by `Broker::loaded` or,
/// if a record's segment has gone meanwhile, by `Broker::missed`; `Keep` by `kept` or `unkept`,
/// `Fetch` by `chunks_came`, `Seek` by `sought`.
#[derive(Debug)]
pub enum Io {
    /// Read these parts and bring them as one run.
    Load {
        /// For whom.
        key: BlockKey,
        /// In order.
        parts: Vec<Part>,
    },
    /// Bring a page back.
    LoadPage {
        /// For whom.
        key: BlockKey,
        /// Which.
        page: PageId,
    },
    /// Write a page.
    Store {
        /// Under which id.
        page: PageId,
        /// What is in it.
        run: Arc<Run>,
    },
    /// A page is not needed any more.
    Free(PageId),
    /// Append to a segment of a stream, which is made if it is not there; say so when it lasts.
    Keep {
        /// The stream.
        stream: QueueId,
        /// The segment's first entry.
        segment: u64,
        /// What is kept of it already, in bytes.
        bytes: u64,
        /// In order.
        chunks: Vec<Chunk>,
    },
    /// Read the chunk that holds entry `from`, and what follows it in its segment.
    Fetch {
        /// The stream.
        stream: QueueId,
        /// The segment's first entry.
        segment: u64,
        /// The entry.
        from: u64,
        /// Enough when so many bytes are read.
        bytes_max: usize,
    },
    /// Find the first chunk of a segment with an entry that came at this time or later.
    Seek {
        /// The stream.
        stream: QueueId,
        /// The segment's first entry.
        segment: u64,
        /// The time.
        time: Time,
    },
    /// Segments whose first entry is below are not needed any more, once the log is committed
    /// up to `after`.
    Discard {
        /// The stream.
        stream: QueueId,
        /// Below this.
        below: u64,
        /// The end of the record that says so.
        after: u64,
    },
}
