//! Routing: which ways out of an exchange a message takes. Pure matching; knows no queue
//! from the inside.

mod circle;
mod hash;
mod headers;
mod heading;
mod ring;
mod row;
mod topic;

pub use hash::{HashOn, hash_from, plain};
pub use heading::Heading;
pub use ring::weight;

use crate::dice::Dice;
use crate::id::Target;
use crate::way::WayKey;
use bytes::Bytes;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use headers::Headers;
use lockgate_model::{ExchangeKind, Name, Table as Arguments};
use ring::{Ring, name_hash};
use row::Row;
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
    /// One by the hash of the message, in proportion to their weights.
    Ring(HashOn, Ring),
    /// One by the hash of the key, among all of them.
    Modulus(Row),
    /// One by chance.
    Random(Row),
}

impl Table {
    /// An empty table of an exchange of that kind with these arguments.
    pub fn new(kind: ExchangeKind, arguments: &Arguments) -> Table {
        match kind {
            ExchangeKind::Direct => Table::Direct(HashMap::default()),
            // What holds messages back chooses by another kind; this is none of its own.
            ExchangeKind::Fanout
            | ExchangeKind::RecentHistory
            | ExchangeKind::Deduplicating
            | ExchangeKind::Delayed => Table::Fanout(HashMap::default()),
            ExchangeKind::Topic => Table::Topic(Trie::default()),
            ExchangeKind::Headers => Table::Headers(Headers::default()),
            ExchangeKind::ConsistentHash => Table::Ring(HashOn::of(arguments), Ring::default()),
            ExchangeKind::ModulusHash => Table::Modulus(Row::default()),
            ExchangeKind::Random => Table::Random(Row::default()),
        }
    }

    /// Adds a way that is not in it yet, to a target of that name.
    pub fn add(&mut self, way: &WayKey, arguments: &Arguments, name: &Name) {
        match self {
            Table::Direct(map) => count_up(map.entry(way.key.clone()).or_default(), way.target),
            Table::Fanout(map) => *map.entry(way.target).or_default() += 1,
            Table::Topic(trie) => trie.add(&way.key, way.target),
            Table::Headers(headers) => headers.add(way.clone(), arguments),
            Table::Ring(_, ring) => {
                ring.add(way.target, name_hash(way.target, name), weight_of(way));
            }
            Table::Modulus(row) | Table::Random(row) => row.add(way, name),
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
            Table::Ring(_, ring) => ring.remove(way.target, weight_of(way)),
            Table::Modulus(row) | Table::Random(row) => row.remove(way),
        }
    }

    /// True if messages with the same key may go different ways.
    pub fn is_moody(&self) -> bool {
        match self {
            Table::Headers(_) | Table::Random(_) => true,
            Table::Ring(on, _) => *on != HashOn::Key,
            Table::Direct(_) | Table::Fanout(_) | Table::Topic(_) | Table::Modulus(_) => false,
        }
    }

    /// Appends the targets of a message, some perhaps twice. Those that choose one go by the
    /// message's own key, whatever copies it asks for.
    pub fn find(&self, message: &Heading<'_>, dice: &mut Dice, into: &mut Vec<Target>) {
        match self {
            Table::Direct(map) => {
                let found = message.keys.iter().filter_map(|key| map.get(*key));
                into.extend(found.flatten().map(|(target, _)| *target));
            }
            Table::Fanout(map) => into.extend(map.keys().copied()),
            Table::Topic(trie) => message.keys.iter().for_each(|key| trie.find(key, into)),
            Table::Headers(h) => h.find(message.headers(), into),
            Table::Ring(on, ring) => into.extend(ring.find(on.digest(message))),
            Table::Modulus(row) => into.extend(row.seat(hash::hash(message.key()))),
            Table::Random(row) => into.extend(row.seat(dice.roll())),
        }
    }
}

/// What a way weighs; it was checked when it was made.
fn weight_of(way: &WayKey) -> u64 {
    weight(&way.key).and_then(|n| u64::try_from(n).ok()).unwrap_or(1)
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
