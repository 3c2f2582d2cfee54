//! A berth: a client's place at the broker, under a name of the client's own. It holds what
//! the client is interested in and what came for it, and may be kept while the client is away.

use crate::{Consumer, Name, Run};
use bytes::Bytes;
use std::sync::Arc;

/// A mark that publisher and broker, or broker and subscriber, know a message by until both
/// are done with it. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark(pub u16);

impl Mark {
    /// How many marks entries of a berth's own queue have between them: 1 up to this. What is
    /// above is for what comes from elsewhere.
    pub const OWN: u16 = 32_767;

    /// The mark of the entry of that number in a berth's own queue: it stays the same however
    /// often the entry is handed out.
    #[inline]
    pub fn of_entry(number: u64) -> Mark {
        Mark((number % u64::from(Mark::OWN)) as u16 + 1)
    }
}

/// How long a berth outlives its client's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lasting {
    /// Not at all.
    #[default]
    Not,
    /// So many seconds.
    Seconds(u32),
    /// For ever.
    Always,
}

impl Lasting {
    /// Does it outlive it at all?
    pub fn lasts(self) -> bool {
        self != Lasting::Not
    }
}

/// What is published when a client is lost.
#[derive(Clone, Debug)]
pub struct Will {
    /// The one message.
    pub run: Arc<Run>,
    /// How many seconds later; no later than the berth's end.
    pub delay: u32,
}

impl PartialEq for Will {
    fn eq(&self, other: &Will) -> bool {
        let all = |w: &Will| -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
            let of = |i| (w.run.key(i).to_vec(), w.run.head(i).to_vec(), w.run.body(i).to_vec());
            w.run.items.iter().map(of).collect()
        };
        self.delay == other.delay && all(self) == all(other)
    }
}

/// How a client takes its berth.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The client's name, one of its kind in a virtual host. Who has the berth under this name
    /// is displaced.
    pub client: Name,
    /// Where topics are.
    pub exchange: Name,
    /// The name of its queue of what is done when delivered; it goes with the connection.
    pub passing: Name,
    /// The name of its queue of what is to be settled; it lasts as the berth does.
    pub settling: Name,
    /// What was there before is forgotten.
    pub fresh: bool,
    /// How long it is kept.
    pub lasting: Lasting,
    /// What is published when the client is lost.
    pub will: Option<Will>,
    /// Most entries that the client holds unsettled.
    pub in_flight_max: u32,
    /// How much may wait for it.
    pub caps: Caps,
}

/// How much may wait in a berth; beyond, what came first is dropped and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Messages that are to be settled.
    pub messages_max: u64,
    /// Bytes of their bodies.
    pub bytes_max: u64,
    /// Bytes of bodies that are delivered without being settled.
    pub passing_bytes_max: u64,
}

/// The good answer to an attachment.
#[derive(Clone, Debug, Default)]
pub struct Attached {
    /// The berth was there before, and not forgotten.
    pub present: bool,
    /// What the client is interested in, with the handle that deliveries of a shared one carry.
    pub interests: Vec<(Interest, Consumer)>,
    /// Marks under which messages were published once and not released.
    pub open: Vec<Mark>,
    /// Marks of entries that were received and not completed.
    pub received: Vec<Mark>,
}

/// When messages that a topic retains are sent to who is interested in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replay {
    /// Whenever the interest is declared.
    #[default]
    Always,
    /// Only if it was not there before.
    IfNew,
    /// Never.
    Never,
}

/// What a client wants to hear: all topics that match a filter. Levels stand between `/`, `+`
/// is one level, `#` in the last place any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The filter as the client gave it; one of a kind in its berth.
    pub filter: Name,
    /// Where in it the pattern begins that topics match.
    pub pattern_at: u16,
    /// The name of the queue from which all who have the same filter are served in turn; none
    /// if the client hears all by itself.
    pub group: Option<Name>,
    /// The pattern as a topic exchange's binding key, which may match more.
    pub key: Bytes,
    /// The most it wants: 0 delivered is done, 1 settled, 2 exactly once.
    pub level: u8,
    /// Not what it published itself.
    pub not_own: bool,
    /// With the wish to be retained as it was published.
    pub as_published: bool,
    /// When it is sent what is retained.
    pub replay: Replay,
    /// A number that the client knows it by; 0 is none.
    pub label: u32,
}

impl Interest {
    /// What topics match.
    pub fn pattern(&self) -> &str {
        self.filter.get(usize::from(self.pattern_at)..).unwrap_or_default()
    }

    /// Do others share what comes?
    pub fn is_shared(&self) -> bool {
        self.group.is_some()
    }
}

/// What came of an interest that was declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// It was not there before.
    pub new: bool,
    /// The handle that deliveries carry: of a shared one its own, else `PASSING` or `SETTLING`.
    pub consumer: Consumer,
}

/// The handle of deliveries that are done when delivered.
pub const PASSING: Consumer = Consumer(0);

/// The handle of deliveries that are to be settled.
pub const SETTLING: Consumer = Consumer(1);
