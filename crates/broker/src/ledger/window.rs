//! Which messages were seen before, told by an id in one of their headers. A window knows so
//! many of the last ids, or each for so long; a roll knows those of what waits in a queue.
//!
//! Ids are kept as digests of 128 bits: none can be told from a list of real ones by chance.

use super::manner::Manner;
use crate::route::{hash_from, plain};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lockgate_model::{ExchangeKind, ExchangeSpec, Glance, Table, Value};
use std::collections::{BTreeMap, VecDeque};

/// How many ids a window holds that does not say.
const SIZE: usize = 128;

const HEADER: &str = "x-deduplication-header";
const TTL: &str = "x-cache-ttl";

/// An id, digested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u128);

/// What a message says of itself: its id, and for how long it is to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its id.
    pub digest: Digest,
    /// In milliseconds; none as long as the window says.
    pub ttl: Option<u64>,
}

/// What a window is to be, read once from the arguments of an exchange or a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRules {
    size: Option<usize>,
    ttl: Option<u64>,
    header: Box<str>,
    /// It is kept across a restart.
    pub lasts: bool,
}

/// A whole number, or one in a text: not every client can send the former.
pub fn number(value: &Value) -> Option<i64> {
    value.as_int().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A flag, or one in a text.
pub fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(set) => Some(*set),
        Value::Text(text) if text.eq_ignore_ascii_case(b"true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

impl WindowRules {
    /// Reads arguments that have been checked; none if they ask for no window.
    pub fn of(arguments: &Table) -> Option<WindowRules> {
        let asked = arguments.get("x-message-deduplication").and_then(flag);
        asked.filter(|asked| *asked).map(|_| WindowRules::read(arguments))
    }

    /// Reads the arguments of what is a window anyway.
    pub fn read(arguments: &Table) -> WindowRules {
        let positive = |name: &str| {
            let n = arguments.get(name).and_then(number)?;
            u64::try_from(n).ok().filter(|n| *n > 0)
        };
        let header = arguments.get(HEADER).and_then(Value::as_str).unwrap_or(HEADER);
        let kept = arguments.get("x-cache-persistence").and_then(Value::as_str);
        WindowRules {
            size: positive("x-cache-size").map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            ttl: positive(TTL),
            header: header.into(),
            lasts: kept != Some("memory"),
        }
    }

    /// What a message with this property list says of itself; most say nothing.
    pub fn label(&self, head: &[u8]) -> Option<Label> {
        const HEADERS: u8 = 0x20;
        let name = self.header.as_bytes();
        if head.first()? & HEADERS == 0 || !head.windows(name.len()).any(|w| w == name) {
            return None;
        }
        let headers = Table::decode(Glance::of(head).ok()?.headers?).ok()?;
        let digest = digest(headers.get(&self.header)?);
        let ttl = headers.get(TTL).and_then(number);
        let ttl = ttl.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
        Some(Label { digest, ttl })
    }
}

/// The digest of an id. A number and a text that spells it are two.
fn digest(id: &Value) -> Digest {
    let mut bytes = plain(id);
    bytes.push(u8::from(id.as_int().is_some()));
    let half = |seed: u64| u128::from(hash_from(seed, &bytes));
    Digest(half(0xcbf2_9ce4_8422_2325) << 64 | half(0x9e37_79b9_7f4a_7c15))
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// Known up to this moment.
    until: u64,
    /// When it came: an id may stand in the order twice.
    turn: u64,
    lasts: bool,
}

/// The last ids of messages.
#[derive(Debug)]
pub struct Window {
    /// What it is to be.
    pub rules: WindowRules,
    seen: HashMap<Digest, Seen, FixedState>,
    /// In the order they came; those that came again since stand here for nothing.
    order: VecDeque<(u64, Digest)>,
    next: u64,
}

impl Window {
    /// The window of an exchange, if its kind or its arguments ask for one.
    pub fn of(spec: &ExchangeSpec) -> Option<Window> {
        let rules = match Manner::of(spec).chooses {
            ExchangeKind::Deduplicating => Some(WindowRules::read(&spec.arguments)),
            _ => WindowRules::of(&spec.arguments),
        };
        let mut window = Window::new(rules?);
        window.rules.lasts &= spec.durable;
        Some(window)
    }

    /// An empty window.
    pub fn new(rules: WindowRules) -> Window {
        let (seen, order) = (HashMap::default(), VecDeque::new());
        Window { rules, seen, order, next: 0 }
    }

    /// True if the id was seen and counts at this moment.
    pub fn knows(&self, digest: Digest, now: u64) -> bool {
        self.seen.get(&digest).is_some_and(|seen| now < seen.until)
    }

    /// Until when a message that comes at this moment is known.
    pub fn until(&self, label: Label, now: u64) -> u64 {
        label.ttl.or(self.rules.ttl).map_or(u64::MAX, |ms| now.saturating_add(ms))
    }

    /// An id was seen. The oldest go when there are too many.
    pub fn mark(&mut self, digest: Digest, until: u64, lasts: bool) {
        self.next += 1;
        let turn = self.next;
        self.seen.insert(digest, Seen { until, turn, lasts });
        self.order.push_back((turn, digest));
        let size = self.rules.size.unwrap_or(SIZE);
        let order_max = size.saturating_mul(2).saturating_add(16);
        while self.seen.len() > size || self.order.len() > order_max {
            let Some((turn, digest)) = self.order.pop_front() else { break };
            match self.seen.get(&digest) {
                Some(seen) if seen.turn == turn && self.seen.len() > size => {
                    self.seen.remove(&digest);
                }
                // So many came again that the order is to be put right.
                Some(seen) if seen.turn == turn => self.order.push_back((turn, digest)),
                _ => {}
            }
        }
    }

    /// What lasts of it, in the order it came.
    pub fn lasting(&self) -> impl Iterator<Item = (Digest, u64)> + '_ {
        self.order.iter().filter_map(|(turn, digest)| {
            let seen = self.seen.get(digest).filter(|seen| seen.turn == *turn && seen.lasts)?;
            Some((*digest, seen.until))
        })
    }
}

/// The ids of what waits in a queue.
#[derive(Debug, Default)]
pub struct Roll {
    numbers: HashMap<Digest, u64, FixedState>,
    digests: BTreeMap<u64, Digest>,
}

/// What a queue knows of the messages that it has had.
#[derive(Debug)]
pub enum Known {
    /// The last ones.
    Window(Window),
    /// Those that wait in it, or are in somebody's hands.
    Roll(WindowRules, Roll),
}

impl Known {
    /// Reads a queue's arguments that have been checked. Without a size or a time it is what
    /// waits that counts, but in a stream, where everything does.
    pub fn of(arguments: &Table) -> Option<Known> {
        let rules = WindowRules::of(arguments)?;
        let stream = arguments.get("x-queue-type").and_then(Value::as_str) == Some("stream");
        Some(match (rules.size, rules.ttl) {
            (None, None) if !stream => Known::Roll(rules, Roll::default()),
            _ => Known::Window(Window::new(rules)),
        })
    }

    /// What it is to be.
    pub fn rules(&self) -> &WindowRules {
        match self {
            Known::Window(window) => &window.rules,
            Known::Roll(rules, _) => rules,
        }
    }

    /// True if such a message was here at this moment.
    pub fn knows(&self, label: Label, now: u64) -> bool {
        match self {
            Known::Window(window) => window.knows(label.digest, now),
            Known::Roll(_, roll) => roll.numbers.contains_key(&label.digest),
        }
    }

    /// Such a message is the entry of this number now.
    pub fn note(&mut self, label: Label, number: u64, now: u64, lasts: bool) {
        match self {
            Known::Window(window) => {
                let lasts = lasts && window.rules.lasts;
                window.mark(label.digest, window.until(label, now), lasts);
            }
            Known::Roll(_, roll) => roll.note(label.digest, number),
        }
    }

    /// Entries `from..to` are gone.
    pub fn forget(&mut self, from: u64, to: u64) {
        if let Known::Roll(_, roll) = self {
            roll.forget(from, to);
        }
    }
}

impl Roll {
    /// The entry of this number has that id.
    pub fn note(&mut self, digest: Digest, number: u64) {
        self.numbers.insert(digest, number);
        self.digests.insert(number, digest);
    }

    fn forget(&mut self, from: u64, to: u64) {
        while let Some((&number, &digest)) = self.digests.range(from..to.max(from)).next() {
            self.digests.remove(&number);
            if self.numbers.get(&digest) == Some(&number) {
                self.numbers.remove(&digest);
            }
        }
    }

    /// All of it, by number.
    pub fn iter(&self) -> impl Iterator<Item = (Digest, u64)> + '_ {
        self.digests.iter().map(|(number, digest)| (*digest, *number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_model::Properties;

    fn rules(pairs: &[(&str, Value)]) -> WindowRules {
        WindowRules::read(&Table(pairs.iter().map(|(n, v)| ((*n).into(), v.clone())).collect()))
    }

    fn label(rules: &WindowRules, header: &str, id: Value) -> Option<Label> {
        let mut headers = Table::default();
        headers.set(header, id);
        let mut head = Vec::new();
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut head);
        rules.label(&head)
    }

    #[test]
    fn a_window_forgets_the_oldest_and_what_is_over() {
        let mut w = Window::new(rules(&[("x-cache-size", Value::text("3"))]));
        for n in 0..5 {
            w.mark(Digest(n), if n == 4 { 100 } else { u64::MAX }, n != 3);
        }
        let known =
            |w: &Window, now| (0..5).filter(|n| w.knows(Digest(*n), now)).collect::<Vec<_>>();
        assert_eq!(known(&w, 99), [2, 3, 4]);
        assert_eq!(known(&w, 100), [2, 3]);
        assert!(w.lasting().eq([(Digest(2), u64::MAX), (Digest(4), 100)]));
        // The same again and again takes no more room, and is the youngest.
        (0..1_000).for_each(|_| w.mark(Digest(2), u64::MAX, true));
        w.mark(Digest(9), u64::MAX, true);
        assert!(w.order.len() < 30 && w.seen.len() == 3);
        assert_eq!(known(&w, 0), [2, 4]);
    }

    #[test]
    fn a_window_without_end_takes_no_time() {
        let mut w = Window::new(rules(&[("x-cache-size", Value::I64(i64::MAX))]));
        (0..100).for_each(|n| w.mark(Digest(n), u64::MAX, true));
        assert!((0..100).all(|n| w.knows(Digest(n), 0)));
    }

    #[test]
    fn an_id_is_what_the_header_holds_that_the_window_looks_at() {
        let (usual, own) = (rules(&[]), rules(&[(HEADER, Value::text("id"))]));
        let a = label(&usual, HEADER, Value::text("a"));
        assert_eq!(a, label(&own, "id", Value::text("a")));
        assert_ne!(a, label(&usual, HEADER, Value::text("b")));
        assert_eq!(label(&usual, "id", Value::text("a")), None);
        // Stores hold digests: who changes them forgets what was seen.
        assert_eq!(a.map(|l| l.digest.0), Some(0xd013_7a57_d0ef_408f_cac2_5514_16e5_a77c));
        let five = |v| label(&usual, HEADER, v).map(|l| l.digest);
        assert_eq!(five(Value::I32(5)), five(Value::I64(5)));
        assert_ne!(five(Value::I32(5)), five(Value::text("5")));
    }

    #[test]
    fn a_stream_has_a_window_and_no_roll() {
        let mut arguments = Table(vec![("x-message-deduplication".into(), Value::Bool(true))]);
        assert!(matches!(Known::of(&arguments), Some(Known::Roll(..))));
        arguments.set("x-queue-type", Value::text("stream"));
        assert!(matches!(Known::of(&arguments), Some(Known::Window(_))));
    }

    #[test]
    fn a_roll_knows_what_waits() {
        let mut roll = Roll::default();
        (0..4).for_each(|n| roll.note(Digest(n.into()), n));
        roll.forget(1, 3);
        assert!(roll.iter().eq([(Digest(0), 0), (Digest(3), 3)]));
        assert_eq!(roll.numbers.len(), 2);
    }
}
