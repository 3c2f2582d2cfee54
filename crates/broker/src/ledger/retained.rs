//! What an exchange retains: the last message of each topic, found by topic or by pattern.
//! Topics stand in a tree by their levels, so that a pattern walks only what may match. Bodies
//! are not here: they are entries of the store that this belongs to.
//!
//! ```text
//!  root - a - b    entry 5        pattern a/+ walks root, a, and the children of a
//!       |   - c    entry 9
//!       - $x - y   entry 7        skipped by patterns that begin with a wildcard
//! ```

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

/// What a level costs beside its own bytes, about.
const NODE_BYTES: u64 = 96;

/// The root's place in the slab.
const ROOT: u32 = 0;

/// No node.
const NONE: u32 = u32::MAX;

/// A level of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wild<'a> {
    /// This one.
    Level(&'a str),
    /// Any one.
    One,
    /// Any number of them.
    Rest,
}

/// What is known of a retained message beside its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its entry in the store.
    pub number: u64,
    /// Bytes of its property lists and its body.
    pub bytes: u64,
    /// When its lifetime is over, in milliseconds; none if it has none.
    pub due: Option<u64>,
    /// It is in the log.
    pub lasting: bool,
}

/// One level of topics.
#[derive(Debug)]
struct Node {
    level: Box<str>,
    parent: u32,
    /// Its first child, and the siblings beside it.
    child: u32,
    before: u32,
    behind: u32,
    kept: Option<Kept>,
}

/// What a walk by a pattern found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// All entries that match, in their order.
    All(Vec<u64>),
    /// More than was to be looked at.
    TooMany,
}

/// The topics of one store.
#[derive(Debug)]
pub struct Retained {
    nodes: Slab<Node>,
    /// Nodes by parent and level.
    children: HashTable<u32>,
    hasher: RandomState,
    /// Nodes by the entry of their message.
    numbers: BTreeMap<u64, u32>,
    /// Moments and the entries that are due then.
    dues: BTreeSet<(u64, u64)>,
    bytes: u64,
    /// Bytes of the levels themselves.
    names: u64,
}

impl Default for Retained {
    fn default() -> Retained {
        let mut nodes = Slab::new();
        nodes.insert(Node::new("", NONE));
        Retained {
            nodes,
            children: HashTable::new(),
            hasher: RandomState::default(),
            numbers: BTreeMap::new(),
            dues: BTreeSet::new(),
            bytes: 0,
            names: 0,
        }
    }
}

impl Wild<'_> {
    fn of(level: &str) -> Wild<'_> {
        match level {
            "+" => Wild::One,
            "#" => Wild::Rest,
            level => Wild::Level(level),
        }
    }
}

impl Node {
    fn new(level: &str, parent: u32) -> Node {
        let (child, before, behind) = (NONE, NONE, NONE);
        Node { level: level.into(), parent, child, before, behind, kept: None }
    }
}

impl Retained {
    /// How many topics retain a message.
    pub fn count(&self) -> u64 {
        self.numbers.len() as u64
    }

    /// Bytes of their messages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// True if a message of a topic has room within these bounds, the tree's own memory being
    /// part of it: in place of the one that is there, or as one more.
    pub fn has_room(&self, topic: &str, bytes: u64, count_max: u64, bytes_max: u64) -> bool {
        let fits = |new: u64, levels: u64| {
            let weight = self.bytes.saturating_add(self.names).saturating_add(new);
            let levels = self.nodes.len() as u64 + levels;
            weight.saturating_add(levels * NODE_BYTES) <= bytes_max
        };
        match self.get(topic) {
            Some(old) => bytes <= old.bytes || fits(bytes - old.bytes, 0),
            None => {
                let new = bytes.saturating_add(topic.len() as u64);
                self.count() < count_max && fits(new, topic.split('/').count() as u64)
            }
        }
    }

    /// What a topic retains.
    pub fn get(&self, topic: &str) -> Option<Kept> {
        let mut at = ROOT;
        for level in topic.split('/') {
            at = self.child(at, level)?;
        }
        self.nodes.get(at as usize)?.kept
    }

    /// A topic retains this from now on. Returns what it retained before.
    pub fn put(&mut self, topic: &str, kept: Kept) -> Option<Kept> {
        // An entry has one topic: a damaged log may say otherwise.
        if self.numbers.contains_key(&kept.number) {
            return None;
        }
        let mut at = ROOT;
        for level in topic.split('/') {
            at = self.child(at, level).unwrap_or_else(|| self.grow(at, level));
        }
        let before = self.take(at);
        let node = self.nodes.get_mut(at as usize)?;
        node.kept = Some(kept);
        self.bytes = self.bytes.saturating_add(kept.bytes);
        self.numbers.insert(kept.number, at);
        if let Some(ms) = kept.due {
            self.dues.insert((ms, kept.number));
        }
        before
    }

    /// Entries `from..to` are gone: so is what their topics retained.
    pub fn forget(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        while let Some((_, &at)) = self.numbers.range(from..to).next() {
            self.take(at);
            self.prune(at);
        }
    }

    /// When the first message's lifetime is over.
    pub fn next_due(&self) -> Option<u64> {
        self.dues.first().map(|(ms, _)| *ms)
    }

    /// An entry whose lifetime is over.
    pub fn pop_due(&mut self, now: u64) -> Option<u64> {
        let (ms, number) = *self.dues.first().filter(|(ms, _)| *ms <= now)?;
        self.dues.remove(&(ms, number));
        Some(number)
    }

    /// True if a topic retains this entry.
    pub fn holds(&self, number: u64) -> bool {
        self.numbers.contains_key(&number)
    }

    /// The first entry from `from` on, below `below`.
    pub fn next(&self, from: u64, below: u64) -> Option<u64> {
        let mut numbers = if from < below { Some(self.numbers.range(from..below)) } else { None };
        numbers.as_mut()?.next().map(|(number, _)| *number)
    }

    /// Writes out the topic that retains an entry.
    pub fn spell_entry(&self, number: u64, topic: &mut String) {
        self.spell(self.numbers.get(&number).copied().unwrap_or(ROOT), topic);
    }

    /// All that lasts, in the order of its entries: `each` is given topics and what they retain.
    pub fn each_lasting(&self, mut each: impl FnMut(&str, Kept)) {
        let mut topic = String::new();
        for at in self.numbers.values() {
            if let Some(kept) = self.nodes.get(*at as usize).and_then(|n| n.kept)
                && kept.lasting
            {
                self.spell(*at, &mut topic);
                each(&topic, kept);
            }
        }
    }

    /// The entries of topics that match a pattern, no more than `most`, looking at no more
    /// levels than `looks` says: it says then how many are left.
    pub fn find(&self, pattern: &str, most: usize, looks: &mut usize) -> Found {
        let levels: Vec<Wild<'_>> = pattern.split('/').map(Wild::of).collect();
        let (mut found, mut walk) = (Vec::new(), vec![(ROOT, 0)]);
        while let Some((at, depth)) = walk.pop() {
            let Some(node) = self.nodes.get(at as usize) else { continue };
            let left = looks.checked_sub(1);
            let (Some(left), true) = (left, found.len() <= most) else { return Found::TooMany };
            *looks = left;
            match levels.get(depth) {
                None => found.extend(node.kept.map(|k| k.number)),
                Some(Wild::Level(level)) => {
                    walk.extend(self.child(at, level).map(|child| (child, depth + 1)));
                }
                Some(wild) => {
                    let rest = *wild == Wild::Rest;
                    if rest {
                        found.extend(node.kept.map(|k| k.number));
                    }
                    let mut child = node.child;
                    while let Some(node) = self.nodes.get(child as usize) {
                        let hidden = at == ROOT && node.level.starts_with('$');
                        if walk.len() > *looks {
                            *looks = 0;
                            return Found::TooMany;
                        }
                        if !hidden {
                            walk.push((child, if rest { depth } else { depth + 1 }));
                        }
                        child = node.behind;
                    }
                }
            }
        }
        if found.len() > most {
            return Found::TooMany;
        }
        found.sort_unstable();
        Found::All(found)
    }

    fn child(&self, parent: u32, level: &str) -> Option<u32> {
        let is = |at: &u32| {
            let node = self.nodes.get(*at as usize);
            node.is_some_and(|n| n.parent == parent && *n.level == *level)
        };
        self.children.find(self.hasher.hash_one((parent, level)), is).copied()
    }

    /// A new level, before its siblings.
    fn grow(&mut self, parent: u32, level: &str) -> u32 {
        let at = self.nodes.insert(Node::new(level, parent)) as u32;
        self.names += level.len() as u64;
        let first =
            self.nodes.get_mut(parent as usize).map(|n| std::mem::replace(&mut n.child, at));
        let first = first.unwrap_or(NONE);
        if let Some(sibling) = self.nodes.get_mut(first as usize) {
            sibling.before = at;
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.behind = first;
        }
        let (nodes, hasher) = (&self.nodes, &self.hasher);
        let hash = |at: &u32| {
            nodes.get(*at as usize).map_or(0, |n| hasher.hash_one((n.parent, &*n.level)))
        };
        self.children.insert_unique(hasher.hash_one((parent, level)), at, hash);
        at
    }

    /// A node retains nothing any more.
    fn take(&mut self, at: u32) -> Option<Kept> {
        let kept = self.nodes.get_mut(at as usize)?.kept.take()?;
        self.bytes = self.bytes.saturating_sub(kept.bytes);
        self.numbers.remove(&kept.number);
        if let Some(ms) = kept.due {
            self.dues.remove(&(ms, kept.number));
        }
        Some(kept)
    }

    /// Forgets a level without message and without children, and those above it likewise.
    fn prune(&mut self, at: u32) {
        let mut at = at;
        while let Some(node) = self.nodes.get(at as usize)
            && at != ROOT
            && node.kept.is_none()
            && node.child == NONE
        {
            let hash = self.hasher.hash_one((node.parent, &*node.level));
            if let Ok(entry) = self.children.find_entry(hash, |other| *other == at) {
                entry.remove();
            }
            let Node { level, parent, before, behind, .. } = self.nodes.remove(at as usize);
            self.names -= level.len() as u64;
            match self.nodes.get_mut(before as usize) {
                Some(sibling) => sibling.behind = behind,
                None => {
                    if let Some(parent) = self.nodes.get_mut(parent as usize) {
                        parent.child = behind;
                    }
                }
            }
            if let Some(sibling) = self.nodes.get_mut(behind as usize) {
                sibling.before = before;
            }
            at = parent;
        }
    }

    /// Writes out a node's topic.
    fn spell(&self, at: u32, topic: &mut String) {
        let mut levels: smallvec::SmallVec<[&str; 16]> = smallvec::SmallVec::new();
        let mut at = at;
        while at != ROOT
            && let Some(node) = self.nodes.get(at as usize)
        {
            levels.push(&node.level);
            at = node.parent;
        }
        topic.clear();
        for (n, level) in levels.iter().rev().enumerate() {
            if n > 0 {
                topic.push('/');
            }
            topic.push_str(level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(number: u64) -> Kept {
        Kept { number, bytes: 10, due: None, lasting: true }
    }

    #[test]
    fn a_topic_retains_its_last_message() {
        let mut r = Retained::default();
        assert_eq!(r.put("a/b", kept(1)), None);
        assert_eq!(r.put("a", Kept { due: Some(9), ..kept(2) }), None);
        assert_eq!(r.put("a/b", kept(3)), Some(kept(1)));
        assert_eq!((r.count(), r.bytes(), r.next_due()), (2, 20, Some(9)));
        assert_eq!(r.get("a/b").map(|k| k.number), Some(3));
        r.forget(0, 3);
        assert_eq!((r.get("a"), r.count(), r.next_due()), (None, 1, None));
        r.forget(3, 4);
        assert_eq!((r.count(), r.bytes(), r.nodes.len(), r.children.len()), (0, 0, 1, 0));
        assert_eq!(r.names, 0);
    }

    #[test]
    fn a_walk_that_is_long_is_given_up() {
        let mut r = Retained::default();
        (0..100).for_each(|n| assert_eq!(r.put(&format!("a/{n}"), kept(n)), None));
        let find = |pattern, most, mut looks| (r.find(pattern, most, &mut looks), looks);
        assert_eq!(find("a/+", 99, 1_000).0, Found::TooMany);
        assert_eq!(find("+/7", 99, 9), (Found::All(vec![7]), 6));
        assert_eq!(find("+/+/x", 99, 50), (Found::TooMany, 0));
        assert_eq!(find("#", 100, 1_000).0, Found::All((0..100).collect()));
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_matches(
            steps in prop::collection::vec((any::<bool>(), "[ab$]?(/[ab$]?){0,3}"), 0..60),
            pattern in "([ab$+]?/){0,3}([ab$+]?|#)",
        ) {
            let (mut r, mut model) = (Retained::default(), BTreeMap::new());
            for (n, (put, topic)) in (0..).zip(steps) {
                if topic.is_empty() {
                    continue;
                }
                let before = model.remove(&topic);
                if put {
                    prop_assert_eq!(r.put(&topic, kept(n)), before.map(kept));
                    model.insert(topic, n);
                } else {
                    before.into_iter().for_each(|n| r.forget(n, n + 1));
                }
            }
            let matching = |(topic, n): (&String, &u64)| {
                lockgate_model::topic::matches(&pattern, topic).then_some(*n)
            };
            let mut expected: Vec<u64> = model.iter().filter_map(matching).collect();
            expected.sort_unstable();
            prop_assert_eq!(r.find(&pattern, 1_000, &mut 10_000), Found::All(expected));
            let mut listed = Vec::new();
            r.each_lasting(|topic, k| listed.push((topic.to_string(), k.number)));
            prop_assert!(listed.is_sorted_by_key(|(_, n)| *n));
            let listed: BTreeMap<_, _> = listed.into_iter().collect();
            prop_assert_eq!(listed, model);
        }
    }
}
