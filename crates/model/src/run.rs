//! A run: consecutive messages as one set of byte ranges.
//!
//! What one read of a socket brings crosses the engine as one counted object,
//! however many messages it holds. Ranges point into the bytes as they were
//! read, so nothing is copied on the way through.
//!
//! ```text
//!  bytes   ..[exchange][key]..[head][..][body]......[head][..][body]....
//!              ^ origin 0       ^ item 0               ^ item 1, same origin
//! ```

use bytes::Bytes;

/// A range inside a run's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Where it begins.
    pub at: u32,
    /// How long it is.
    pub len: u32,
}

impl Range {
    /// The range from `at` of `len` bytes.
    pub fn new(at: usize, len: usize) -> Range {
        debug_assert!(at + len <= u32::MAX as usize);
        Range { at: at as u32, len: len as u32 }
    }

    /// Cuts the range out of `bytes`.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.at as usize..self.at as usize + self.len as usize]
    }
}

/// Where consecutive messages were published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The exchange's name; empty for the default exchange.
    pub exchange: Range,
    /// The routing key, any bytes.
    pub key: Range,
    /// Whoever publishes wants to be told if no queue takes it.
    pub mandatory: bool,
}

/// One message of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Index into the run's origins.
    pub origin: u32,
    /// The property list (see `Properties`).
    pub head: Range,
    /// The body.
    pub body: Range,
    /// To be kept across a restart, if its queue is.
    pub persistent: bool,
    /// 0 is the lowest and the default.
    pub priority: u8,
}

impl Item {
    /// Bytes of head and body.
    #[inline]
    pub fn size(&self) -> usize {
        self.head.len as usize + self.body.len as usize
    }
}

/// Consecutive messages of one publisher, or of one queue's store.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What all ranges point into.
    pub bytes: Bytes,
    /// Where the messages were published to, in order of first use.
    pub origins: Vec<Origin>,
    /// The messages, in order.
    pub items: Vec<Item>,
}

impl Run {
    /// The origin of an item.
    #[inline]
    pub fn origin(&self, item: &Item) -> &Origin {
        &self.origins[item.origin as usize]
    }

    /// The exchange an item was published to. Names are checked where they enter,
    /// so bytes that are no UTF-8 can name nothing: they read as empty here.
    pub fn exchange(&self, item: &Item) -> &str {
        std::str::from_utf8(self.origin(item).exchange.of(&self.bytes)).unwrap_or_default()
    }

    /// The routing key of an item.
    pub fn key(&self, item: &Item) -> &[u8] {
        self.origin(item).key.of(&self.bytes)
    }

    /// The property list of an item.
    pub fn head(&self, item: &Item) -> &[u8] {
        item.head.of(&self.bytes)
    }

    /// The body of an item.
    pub fn body(&self, item: &Item) -> &[u8] {
        item.body.of(&self.bytes)
    }

    /// A run of one message, copied together. For tests and for messages that the
    /// broker itself makes; what comes from a socket is never copied like this.
    pub fn single(exchange: &str, key: &[u8], head: &[u8], body: &[u8], mandatory: bool) -> Run {
        let persistent = crate::Glance::of(head).is_ok_and(|g| g.persistent);
        let mut b = RunBuilder::default();
        b.push(exchange.as_bytes(), key, mandatory, head, body, persistent, 0);
        b.finish()
    }
}

/// Copies messages together into a run of its own: what stays must not pin the
/// buffer that it was read into.
#[derive(Debug, Default)]
pub struct RunBuilder {
    bytes: Vec<u8>,
    origins: Vec<Origin>,
    items: Vec<Item>,
}

impl RunBuilder {
    /// Appends one message.
    #[allow(clippy::too_many_arguments)] // a message's parts, each once
    pub fn push(
        &mut self,
        exchange: &[u8],
        key: &[u8],
        mandatory: bool,
        head: &[u8],
        body: &[u8],
        persistent: bool,
        priority: u8,
    ) {
        let origin = self.origin(exchange, key, mandatory);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        let (head, body) = (Range::new(at, head.len()), Range::new(at + head.len(), body.len()));
        self.items.push(Item { origin, head, body, persistent, priority });
    }

    /// Appends items `from..to` of another run.
    pub fn copy(&mut self, run: &Run, from: usize, to: usize) {
        self.items.reserve(to - from);
        self.bytes.reserve(run.items[from..to].iter().map(Item::size).sum());
        let mut last = None;
        for item in &run.items[from..to] {
            let origin = match last {
                Some((theirs, ours)) if theirs == item.origin => ours,
                _ => {
                    let o = run.origin(item);
                    self.origin(o.exchange.of(&run.bytes), o.key.of(&run.bytes), o.mandatory)
                }
            };
            last = Some((item.origin, origin));
            let at = self.bytes.len();
            self.bytes.extend_from_slice(run.head(item));
            self.bytes.extend_from_slice(run.body(item));
            let (head, body) = (item.head.len as usize, item.body.len as usize);
            self.items.push(Item {
                origin,
                head: Range::new(at, head),
                body: Range::new(at + head, body),
                ..*item
            });
        }
    }

    /// Stands in for `count` messages that nobody will look at.
    pub fn hole(&mut self, count: u32) {
        let origin = self.origin(b"", b"", false);
        let nothing = Range::new(self.bytes.len(), 0);
        let (head, body, persistent, priority) = (nothing, nothing, false, 0);
        let item = Item { origin, head, body, persistent, priority };
        self.items.extend(std::iter::repeat_n(item, count as usize));
    }

    /// The index of an origin: the last one if it is the same, else a new one.
    fn origin(&mut self, exchange: &[u8], key: &[u8], mandatory: bool) -> u32 {
        if let Some(o) = self.origins.last()
            && o.mandatory == mandatory
            && o.key.of(&self.bytes) == key
            && o.exchange.of(&self.bytes) == exchange
        {
            return self.origins.len() as u32 - 1;
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(exchange);
        self.bytes.extend_from_slice(key);
        self.origins.push(Origin {
            exchange: Range::new(at, exchange.len()),
            key: Range::new(at + exchange.len(), key.len()),
            mandatory,
        });
        self.origins.len() as u32 - 1
    }

    /// The size of each message's body.
    pub fn body_sizes(&self) -> impl Iterator<Item = u32> {
        self.items.iter().map(|i| i.body.len)
    }

    /// Messages so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True before the first message.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Memory held, used or not.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
            + self.items.capacity() * size_of::<Item>()
            + self.origins.capacity() * size_of::<Origin>()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.origins.clear();
        self.items.clear();
    }

    /// The run, its memory cut to what is used.
    pub fn finish(mut self) -> Run {
        self.items.shrink_to_fit();
        self.bytes.shrink_to_fit();
        Run { bytes: Bytes::from(self.bytes), origins: self.origins, items: self.items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_messages_of_one_origin_share_it() {
        let mut b = RunBuilder::default();
        for key in [&b"a"[..], b"a", b"b", b"b", b"a"] {
            b.push(b"x", key, false, &[0, 0], b"body", false, 0);
        }
        let run = b.finish();
        assert_eq!(run.origins.len(), 3);
        let keys: Vec<_> = run.items.iter().map(|i| run.key(i)).collect();
        assert_eq!(keys, [b"a", b"a", b"b", b"b", b"a"]);
    }

    #[test]
    fn a_copy_says_what_the_original_said() {
        let mut b = RunBuilder::default();
        for n in 0..10u8 {
            b.push(b"x", &[n / 3], n % 2 == 0, &[0x10, 0, 2], &[n; 5], true, n);
        }
        let run = b.finish();
        let mut c = RunBuilder::default();
        c.copy(&run, 2, 9);
        let copy = c.finish();
        assert_eq!(copy.items.len(), 7);
        for (a, b) in run.items[2..9].iter().zip(&copy.items) {
            assert_eq!((run.exchange(a), run.key(a)), (copy.exchange(b), copy.key(b)));
            assert_eq!((run.head(a), run.body(a)), (copy.head(b), copy.body(b)));
            assert_eq!(run.origin(a).mandatory, copy.origin(b).mandatory);
            assert_eq!((a.persistent, a.priority), (b.persistent, b.priority));
        }
    }
}
