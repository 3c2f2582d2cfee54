//! Routing: which ways out of an exchange a message takes. Pure matching; knows no queue
//! from the inside.

mod headers;
mod topic;

use crate::id::Target;
use crate::way::WayKey;
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use headers::Headers;
use lockgate_model::{ExchangeKind, Table as Arguments};
use smallvec::SmallVec;
use topic::Trie;

/// Targets with how many ways lead there: one key may be bound twice with other arguments.
type Counted = SmallVec<[(Target, u32); 2]>;

/// The ways out of one exchange, arranged by its kind.
#[derive(Debug)]
pub enum Table {
    /// By equal key.
    Direct(HashMap<Bytes, Counted, RandomState>),
    /// All of them.
    Fanout(HashMap<Target, u32, RandomState>),
    /// By pattern.
    Topic(Trie),
    /// By the message's headers.
    Headers(Headers),
}

impl Table {
    /// An empty table.
    pub fn new(kind: ExchangeKind) -> Table {
        match kind {
            ExchangeKind::Direct => Table::Direct(HashMap::default()),
            ExchangeKind::Fanout => Table::Fanout(HashMap::default()),
            ExchangeKind::Topic => Table::Topic(Trie::default()),
            ExchangeKind::Headers => Table::Headers(Headers::default()),
        }
    }

    /// Adds a way that is not in it yet.
    pub fn add(&mut self, way: &WayKey, arguments: &Arguments) {
        match self {
            Table::Direct(map) => count_up(map.entry(way.key.clone()).or_default(), way.target),
            Table::Fanout(map) => *map.entry(way.target).or_default() += 1,
            Table::Topic(trie) => trie.add(&way.key, way.target),
            Table::Headers(headers) => headers.add(way.clone(), arguments),
        }
    }

    /// Takes out a way that is in it.
    pub fn remove(&mut self, way: &WayKey) {
        match self {
            Table::Direct(map) => {
                if let Some(targets) = map.get_mut(&way.key)
                    && count_down(targets, way.target)
                {
                    map.remove(&way.key);
                }
            }
            Table::Fanout(map) => {
                if let Some(n) = map.get_mut(&way.target) {
                    *n -= 1;
                    if *n == 0 {
                        map.remove(&way.target);
                    }
                }
            }
            Table::Topic(trie) => trie.remove(&way.key, way.target),
            Table::Headers(headers) => headers.remove(way),
        }
    }

    /// True if the headers matter, so that an answer holds for one message only.
    pub fn reads_headers(&self) -> bool {
        matches!(self, Table::Headers(_))
    }

    /// Appends the targets of a message, some perhaps twice.
    pub fn find(&self, key: &[u8], headers: impl FnOnce() -> Arguments, into: &mut Vec<Target>) {
        match self {
            Table::Direct(map) => {
                into.extend(map.get(key).into_iter().flatten().map(|(target, _)| *target));
            }
            Table::Fanout(map) => into.extend(map.keys().copied()),
            Table::Topic(trie) => trie.find(key, into),
            Table::Headers(h) => h.find(&headers(), into),
        }
    }
}

fn count_up(targets: &mut Counted, target: Target) {
    match targets.iter_mut().find(|(t, _)| *t == target) {
        Some((_, n)) => *n += 1,
        None => targets.push((target, 1)),
    }
}

/// True if nothing is left.
fn count_down(targets: &mut Counted, target: Target) -> bool {
    if let Some(i) = targets.iter().position(|(t, _)| *t == target) {
        targets[i].1 -= 1;
        if targets[i].1 == 0 {
            targets.swap_remove(i);
        }
    }
    targets.is_empty()
}
