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
//!
//! What the reader had to write in other words than it was read (a topic as a routing
//! key, say) stands in a second buffer, beside the first: see `Range::beside`.

use bytes::Bytes;

/// Set in where a range begins if that is in the buffer beside.
const BESIDE: u32 = 1 << 31;

/// A range inside a run's bytes, or inside what stands beside them.
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
        debug_assert!(at + len < BESIDE as usize);
        Range { at: at as u32, len: len as u32 }
    }

    /// The range from `at` of `len` bytes of what stands beside.
    pub fn beside(at: usize, len: usize) -> Range {
        debug_assert!(at + len < BESIDE as usize);
        Range { at: at as u32 | BESIDE, len: len as u32 }
    }

    /// Cuts the range out of `bytes`, which it is a range of.
    #[inline]
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.at as usize..self.at as usize + self.len as usize]
    }

    /// True if nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Where consecutive messages were published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The exchange's name; empty for the default exchange.
    pub exchange: Range,
    /// The routing key, any bytes.
    pub key: Range,
    /// The topic's name as its publisher wrote it, levels between `/`; empty where the key is
    /// all there is.
    pub topic: Range,
    /// Whoever publishes wants to be told if no queue takes it.
    pub mandatory: bool,
}

/// Whether a topic retains a message for those who come later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retain {
    /// No.
    #[default]
    Not,
    /// Its publisher wishes it.
    Wished,
    /// This is what was retained, for somebody who came later.
    Replayed,
}

/// One message of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Index into the run's origins.
    pub origin: u32,
    /// The property list (see `Properties`).
    pub head: Range,
    /// The body.
    pub body: Range,
    /// Properties as its publisher's protocol has them, for who speaks the same: the first byte
    /// tells which. Empty where the property list says all.
    pub native: Range,
    /// To be kept across a restart, if its queue is.
    pub persistent: bool,
    /// To be delivered exactly once to who is able to.
    pub exact: bool,
    /// Whether its topic retains it.
    pub retain: Retain,
    /// 0 is the lowest and the default.
    pub priority: u8,
}

impl Item {
    /// Bytes of head, body and native properties.
    #[inline]
    pub fn size(&self) -> usize {
        self.head.len as usize + self.body.len as usize + self.native.len as usize
    }
}

/// Where a message was published to, as bytes.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // as in `Origin`
pub struct Names<'a> {
    pub exchange: &'a [u8],
    pub key: &'a [u8],
    pub topic: &'a [u8],
    pub mandatory: bool,
}

/// What a message consists of, as bytes.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)] // as in `Item`
pub struct Parts<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
    pub native: &'a [u8],
}

/// Consecutive messages of one publisher, or of one queue's store.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What ranges point into.
    pub bytes: Bytes,
    /// What stands beside.
    pub beside: Bytes,
    /// Where the messages were published to, in order of first use.
    pub origins: Vec<Origin>,
    /// The messages, in order.
    pub items: Vec<Item>,
}

impl Run {
    /// What a range of it holds.
    #[inline]
    pub fn slice(&self, range: Range) -> &[u8] {
        if range.at & BESIDE == 0 {
            range.of(&self.bytes)
        } else {
            Range { at: range.at & !BESIDE, ..range }.of(&self.beside)
        }
    }

    /// The buffer that a range of it lies in.
    pub fn buffer(&self, range: Range) -> &Bytes {
        if range.at & BESIDE == 0 { &self.bytes } else { &self.beside }
    }

    /// The origin of an item.
    #[inline]
    pub fn origin(&self, item: &Item) -> &Origin {
        &self.origins[item.origin as usize]
    }

    /// The exchange an item was published to. Names are checked where they enter,
    /// so bytes that are no UTF-8 can name nothing: they read as empty here.
    pub fn exchange(&self, item: &Item) -> &str {
        std::str::from_utf8(self.slice(self.origin(item).exchange)).unwrap_or_default()
    }

    /// The routing key of an item.
    pub fn key(&self, item: &Item) -> &[u8] {
        self.slice(self.origin(item).key)
    }

    /// Where an item was published to.
    pub fn names(&self, item: &Item) -> Names<'_> {
        let o = self.origin(item);
        let (exchange, key) = (self.slice(o.exchange), self.slice(o.key));
        Names { exchange, key, topic: self.slice(o.topic), mandatory: o.mandatory }
    }

    /// What an item consists of.
    pub fn parts(&self, item: &Item) -> Parts<'_> {
        Parts { head: self.head(item), body: self.body(item), native: self.native(item) }
    }

    /// The topic of an item, if its publisher named one.
    pub fn topic(&self, item: &Item) -> Option<&[u8]> {
        let topic = self.origin(item).topic;
        (!topic.is_empty()).then(|| self.slice(topic))
    }

    /// The native properties of an item.
    pub fn native(&self, item: &Item) -> &[u8] {
        self.slice(item.native)
    }

    /// The property list of an item.
    pub fn head(&self, item: &Item) -> &[u8] {
        self.slice(item.head)
    }

    /// The body of an item.
    pub fn body(&self, item: &Item) -> &[u8] {
        self.slice(item.body)
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
        let origin = self.origin(exchange, key, b"", mandatory);
        self.put(Item { origin, persistent, priority, ..Item::default() }, head, body, b"");
    }

    /// Appends one message of what `like` says, but for where it is.
    pub fn push_like(&mut self, like: Item, names: Names<'_>, parts: Parts<'_>) {
        let origin = self.origin(names.exchange, names.key, names.topic, names.mandatory);
        self.put(Item { origin, ..like }, parts.head, parts.body, parts.native);
    }

    fn put(&mut self, item: Item, head: &[u8], body: &[u8], native: &[u8]) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(native);
        self.items.push(Item {
            head: Range::new(at, head.len()),
            body: Range::new(at + head.len(), body.len()),
            native: Range::new(at + head.len() + body.len(), native.len()),
            ..item
        });
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
                    let Names { exchange, key, topic, mandatory } = run.names(item);
                    self.origin(exchange, key, topic, mandatory)
                }
            };
            last = Some((item.origin, origin));
            let Parts { head, body, native } = run.parts(item);
            self.put(Item { origin, ..*item }, head, body, native);
        }
    }

    /// Stands in for `count` messages that nobody will look at.
    pub fn hole(&mut self, count: u32) {
        let origin = self.origin(b"", b"", b"", false);
        let nothing = Range::new(self.bytes.len(), 0);
        let (head, body, native) = (nothing, nothing, nothing);
        let item = Item { origin, head, body, native, ..Item::default() };
        self.items.extend(std::iter::repeat_n(item, count as usize));
    }

    /// The index of an origin: the last one if it is the same, else a new one.
    fn origin(&mut self, exchange: &[u8], key: &[u8], topic: &[u8], mandatory: bool) -> u32 {
        if let Some(o) = self.origins.last()
            && o.mandatory == mandatory
            && o.key.of(&self.bytes) == key
            && o.topic.of(&self.bytes) == topic
            && o.exchange.of(&self.bytes) == exchange
        {
            return self.origins.len() as u32 - 1;
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(exchange);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(topic);
        let key_at = at + exchange.len();
        self.origins.push(Origin {
            exchange: Range::new(at, exchange.len()),
            key: Range::new(key_at, key.len()),
            topic: Range::new(key_at + key.len(), topic.len()),
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
        let (origins, items) = (self.origins, self.items);
        Run { bytes: Bytes::from(self.bytes), beside: Bytes::new(), origins, items }
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
    fn a_copy_of_what_stands_in_two_buffers_stands_in_one() {
        let (bytes, beside) = (Bytes::from_static(b"body"), Bytes::from_static(b"xa.ba/b\0\0N"));
        let origin = Origin {
            exchange: Range::beside(0, 1),
            key: Range::beside(1, 3),
            topic: Range::beside(4, 3),
            mandatory: true,
        };
        let item = Item {
            head: Range::beside(7, 2),
            native: Range::beside(9, 1),
            body: Range::new(0, 4),
            exact: true,
            retain: Retain::Wished,
            ..Item::default()
        };
        let run = Run { bytes, beside, origins: vec![origin], items: vec![item] };
        let mut copy = RunBuilder::default();
        copy.copy(&run, 0, 1);
        let copy = copy.finish();
        let item = &copy.items[0];
        assert_eq!((copy.exchange(item), copy.key(item)), ("x", &b"a.b"[..]));
        assert_eq!((copy.topic(item), copy.native(item)), (Some(&b"a/b"[..]), &b"N"[..]));
        assert_eq!((copy.head(item), copy.body(item)), (&[0, 0][..], &b"body"[..]));
        assert!(item.exact && item.retain == Retain::Wished && copy.beside.is_empty());
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
