//! What the engine tells a session. Events of one session arrive in the order they happened.

use crate::{Attached, Consumer, Followed, Lane, LeaseId, Name, Refusal, Run, Stamp, Ticket};
use std::sync::Arc;

/// One thing told.
#[derive(Clone, Debug)]
pub enum Event {
    /// The one answer to a request. Of a durable change it leaves only when committed.
    Answer {
        /// The strand that asked.
        lane: Lane,
        /// As asked.
        ticket: Ticket,
        /// What came of it.
        result: Result<Answer, Refusal>,
    },
    /// Messages `first..first + count` are safe by the level that is configured.
    Confirmed {
        /// The strand that published.
        lane: Lane,
        /// The first one's ticket.
        first: Ticket,
        /// How many.
        count: u32,
    },
    /// Messages `first..first + count` were not taken, and nothing was kept of them.
    Rejected {
        /// The strand that published.
        lane: Lane,
        /// The first one's ticket.
        first: Ticket,
        /// How many.
        count: u32,
    },
    /// A mandatory message found no queue. Comes before its confirmation.
    Returned {
        /// The strand that published.
        lane: Lane,
        /// The run it was in.
        run: Arc<Run>,
        /// Its place there.
        item: u32,
        /// Its ticket, if it is to be confirmed.
        ticket: Option<Ticket>,
    },
    /// A command without an answer was refused: the strand is broken and
    /// everything it sends is dropped until it leaves.
    Broken {
        /// The strand.
        lane: Lane,
        /// Why.
        why: Refusal,
    },
    /// Messages for a subscriber.
    Deliver(Delivery),
    /// A subscription ended without having been cancelled by its owner.
    Cancelled {
        /// The strand it was on.
        lane: Lane,
        /// The front's handle.
        consumer: Consumer,
        /// Why.
        cause: CancelCause,
    },
    /// The broker runs short of something, or no longer does. Publishers are not read meanwhile.
    Alarm {
        /// What is short.
        alarm: Alarm,
        /// True when it begins.
        raised: bool,
    },
    /// The session must end: what it stood on is gone.
    Expelled {
        /// What went, as operators are told.
        why: String,
    },
    /// Another session has taken the berth of this one's client: the session must end, and
    /// nothing that it says of the berth counts any more.
    Displaced,
    /// Read no more from this peer until `Resume`: it publishes faster than is stored.
    Pause,
    /// Read on.
    Resume,
}

/// What can run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Alarm {
    Memory,
    Disk,
}

/// Why a subscription ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CancelCause {
    QueueDeleted,
    /// It held something for too long.
    TimedOut,
}

/// Messages handed to one subscriber: items `first, first + step, ...` of a run.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The strand of the subscription.
    pub lane: Lane,
    /// The front's handle.
    pub consumer: Consumer,
    /// Where the messages are.
    pub run: Arc<Run>,
    /// The first item.
    pub first: u32,
    /// From one item to the next; above 1 where subscribers take turns.
    pub step: u32,
    /// How many.
    pub count: u32,
    /// The first one's number in its queue; the others' are `step` apart.
    pub number: u64,
    /// To be settled entry by entry, 0 to `count`; none if delivered is done.
    pub lease: Option<LeaseId>,
    /// All of them may have been delivered before.
    pub redelivered: bool,
    /// What is to be written on them.
    pub stamp: Stamp,
    /// What they take of the session's window, given back by `Command::Window`.
    pub cost: u64,
}

impl Delivery {
    /// The indices of the items in the run.
    pub fn indices(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, step) = (self.first as usize, self.step as usize);
        (0..self.count as usize).map(move |n| first + n * step)
    }
}

/// The message of a `Get`.
#[derive(Clone, Debug)]
pub struct Got {
    /// Where it is.
    pub run: Arc<Run>,
    /// Its place there.
    pub item: u32,
    /// To be settled as entry 0; none if it is done with.
    pub lease: Option<LeaseId>,
    /// May have been delivered before.
    pub redelivered: bool,
    /// What is to be written on it.
    pub stamp: Stamp,
    /// How many wait behind it.
    pub waiting: u64,
}

/// The good answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Done, with nothing to add.
    Done,
    /// Entered, and every strand is to be asked for: there may be no more than so many.
    Counted,
    /// A queue as it stands.
    Queue {
        /// Its name, which the broker may have chosen.
        name: Name,
        /// Messages waiting.
        messages: u64,
        /// Subscribers.
        consumers: u32,
    },
    /// The berth is taken.
    Attached(Box<Attached>),
    /// What came of each interest, in order.
    Followed(Vec<Result<Followed, Refusal>>),
    /// Whether each of the filters was followed, in order.
    Unfollowed(Vec<bool>),
    /// How many messages went with a purge or a deletion.
    Removed(u64),
    /// A message, or none waiting.
    Got(Option<Got>),
}
