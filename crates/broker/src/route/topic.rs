//! Topic exchange: a trie of patterns, one word a step. `*` is one word, `#` any number.
//!
//! Matching walks all branches at once, word by word, each node at most once a word:
//! a pattern of many `#` costs no more than its length, whatever the key.

use super::{Counted, count_down, count_up};
use crate::id::Target;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

type NodeId = u32;
const ROOT: NodeId = 0;

#[derive(Debug, Default)]
struct Node {
    words: HashMap<Box<[u8]>, NodeId, RandomState>,
    star: Option<NodeId>,
    hash: Option<NodeId>,
    targets: Counted,
}

/// The patterns of one exchange.
#[derive(Debug)]
pub struct Trie {
    nodes: Vec<Node>,
    /// Nodes given back, to be used again.
    free: Vec<NodeId>,
}

impl Default for Trie {
    fn default() -> Self {
        Trie { nodes: vec![Node::default()], free: Vec::new() }
    }
}

/// The words of a key. An empty key has none.
fn words(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let n = if key.is_empty() { 0 } else { usize::MAX };
    key.split(|b| *b == b'.').take(n)
}

impl Trie {
    /// Adds a pattern.
    pub fn add(&mut self, pattern: &[u8], target: Target) {
        let mut at = ROOT;
        for word in words(pattern) {
            at = match self.child(at, word) {
                Some(next) => next,
                None => self.grow(at, word),
            };
        }
        count_up(&mut self.nodes[at as usize].targets, target);
    }

    /// Takes a pattern out, and the branch that led only to it.
    pub fn remove(&mut self, pattern: &[u8], target: Target) {
        let mut path = vec![ROOT];
        for word in words(pattern) {
            let Some(next) = path.last().and_then(|at| self.child(*at, word)) else { return };
            path.push(next);
        }
        let Some(&leaf) = path.last() else { return };
        count_down(&mut self.nodes[leaf as usize].targets, target);
        let words: Vec<&[u8]> = words(pattern).collect();
        for (i, word) in words.iter().enumerate().rev() {
            let node = &self.nodes[path[i + 1] as usize];
            if !node.targets.is_empty()
                || !node.words.is_empty()
                || node.star.is_some()
                || node.hash.is_some()
            {
                break;
            }
            self.free.push(path[i + 1]);
            let parent = &mut self.nodes[path[i] as usize];
            match *word {
                b"*" => parent.star = None,
                b"#" => parent.hash = None,
                word => {
                    parent.words.remove(word);
                }
            }
        }
    }

    fn child(&self, at: NodeId, word: &[u8]) -> Option<NodeId> {
        let node = &self.nodes[at as usize];
        match word {
            b"*" => node.star,
            b"#" => node.hash,
            word => node.words.get(word).copied(),
        }
    }

    fn grow(&mut self, at: NodeId, word: &[u8]) -> NodeId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() as NodeId - 1
        });
        self.nodes[id as usize] = Node::default();
        let node = &mut self.nodes[at as usize];
        match word {
            b"*" => node.star = Some(id),
            b"#" => node.hash = Some(id),
            word => {
                node.words.insert(word.into(), id);
            }
        }
        id
    }

    /// Appends the targets of all patterns that match the key, some perhaps twice.
    pub fn find(&self, key: &[u8], into: &mut Vec<Target>) {
        // (node, it was reached by `#` and so takes any word again)
        let mut now: SmallVec<[(NodeId, bool); 16]> = SmallVec::new();
        let mut next: SmallVec<[(NodeId, bool); 16]> = SmallVec::new();
        self.enter(ROOT, false, &mut now);
        for word in words(key) {
            for &(at, again) in &now {
                let node = &self.nodes[at as usize];
                if again {
                    self.enter(at, true, &mut next);
                }
                if let Some(star) = node.star {
                    self.enter(star, false, &mut next);
                }
                if let Some(&child) = node.words.get(word) {
                    self.enter(child, false, &mut next);
                }
            }
            std::mem::swap(&mut now, &mut next);
            next.clear();
            if now.is_empty() {
                return;
            }
        }
        for (at, _) in now {
            into.extend(self.nodes[at as usize].targets.iter().map(|(target, _)| *target));
        }
    }

    /// Adds a node to those reached, and with it what `#` reaches without a word.
    fn enter(&self, at: NodeId, again: bool, reached: &mut SmallVec<[(NodeId, bool); 16]>) {
        let mut step = Some((at, again));
        while let Some((at, again)) = step {
            match reached.iter_mut().find(|(n, _)| *n == at) {
                Some((_, was)) => *was |= again,
                None => reached.push((at, again)),
            }
            step = self.nodes[at as usize].hash.map(|h| (h, true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;
    use proptest::prelude::*;

    /// The definition itself, as slow as it is plain.
    fn matches(pattern: &[&[u8]], key: &[&[u8]]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&b"#", rest)), None) => matches(rest, key),
            (Some((&b"#", rest)), Some((_, tail))) => matches(rest, key) || matches(pattern, tail),
            (Some((&b"*", rest)), Some((_, tail))) => matches(rest, tail),
            (Some((p, rest)), Some((k, tail))) => p == k && matches(rest, tail),
            _ => false,
        }
    }

    fn pattern() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#", ""]), 0..6)
            .prop_map(|w| w.join("."))
    }

    fn key() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ""]), 0..6)
            .prop_map(|w| w.join("."))
    }

    proptest! {
        #[test]
        fn finds_what_the_definition_says(
            patterns in prop::collection::vec(pattern(), 0..12),
            gone in prop::collection::vec(any::<bool>(), 12),
            key in key(),
        ) {
            let mut trie = Trie::default();
            for (i, p) in patterns.iter().enumerate() {
                trie.add(p.as_bytes(), Target::Queue(QueueId(i as u32)));
            }
            for (i, p) in patterns.iter().enumerate().filter(|(i, _)| gone[*i]) {
                trie.remove(p.as_bytes(), Target::Queue(QueueId(i as u32)));
            }
            let mut found = Vec::new();
            trie.find(key.as_bytes(), &mut found);
            found.sort();
            found.dedup();
            let key: Vec<&[u8]> = words(key.as_bytes()).collect();
            let expected: Vec<Target> = patterns.iter().enumerate()
                .filter(|(i, p)| !gone[*i] && matches(&words(p.as_bytes()).collect::<Vec<_>>(), &key))
                .map(|(i, _)| Target::Queue(QueueId(i as u32)))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_emptied_trie_keeps_no_nodes() {
        let mut trie = Trie::default();
        let target = Target::Queue(QueueId(1));
        for round in 0..100 {
            let p = format!("a.{round}.*.#");
            trie.add(p.as_bytes(), target);
            trie.remove(p.as_bytes(), target);
        }
        assert_eq!(trie.nodes.len() - trie.free.len(), 1);
        assert!(trie.nodes[0].words.is_empty());
    }

    #[test]
    fn many_hashes_cost_no_more_than_their_length() {
        let mut trie = Trie::default();
        trie.add(["#"; 60].join(".").as_bytes(), Target::Queue(QueueId(1)));
        let key = vec!["a"; 120].join(".");
        let mut found = Vec::new();
        trie.find(key.as_bytes(), &mut found);
        assert_eq!(found.len(), 1);
    }
}
