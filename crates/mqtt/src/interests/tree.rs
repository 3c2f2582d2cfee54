//! Filters by their levels, so that a topic is not held against each of them. Nodes without
//! use are used again. Walks without recursion: filters may be deep.

use super::Wish;
use std::collections::BTreeMap;

/// The node that all begin at.
const ROOT: u32 = 0;

#[derive(Debug, Default)]
struct Node {
    /// What stands for one level or for any number is a child, too.
    children: BTreeMap<Box<str>, u32>,
    /// The filter that ends here.
    wish: Option<Wish>,
}

/// A set of filters, each once.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    len: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { nodes: vec![Node::default()], free: Vec::new(), len: 0 }
    }
}

impl Tree {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn child(&self, at: u32, level: &str) -> Option<u32> {
        self.node(at)?.children.get(level).copied()
    }

    /// Adds a filter, in place of itself if it is there.
    pub(super) fn set(&mut self, wish: Wish) {
        let filter = wish.filter.clone();
        let at = filter.split('/').fold(ROOT, |at, level| match self.child(at, level) {
            Some(child) => child,
            None => self.grow(at, level),
        });
        if let Some(node) = self.nodes.get_mut(at as usize) {
            self.len += usize::from(node.wish.replace(wish).is_none());
        }
    }

    fn grow(&mut self, parent: u32, level: &str) -> u32 {
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            (self.nodes.len() - 1) as u32
        });
        if let Some(node) = self.nodes.get_mut(parent as usize) {
            node.children.insert(level.into(), child);
        }
        child
    }

    fn find(&self, filter: &str) -> Option<u32> {
        filter.split('/').try_fold(ROOT, |at, level| self.child(at, level))
    }

    pub(super) fn has(&self, filter: &str) -> bool {
        self.find(filter).and_then(|at| self.node(at)).is_some_and(|node| node.wish.is_some())
    }

    /// Takes a filter out, and the nodes that nothing else needs.
    pub(super) fn remove(&mut self, filter: &str) {
        let Some(at) = self.find(filter) else { return };
        let Some(node) = self.nodes.get_mut(at as usize) else { return };
        if node.wish.take().is_none() {
            return;
        }
        self.len -= 1;
        let mut path = vec![(ROOT, "")];
        for level in filter.split('/') {
            let parent = path.last().map_or(ROOT, |(at, _)| *at);
            path.extend(self.child(parent, level).map(|child| (child, level)));
        }
        while let (Some((at, level)), Some((parent, _))) = (path.pop(), path.last()) {
            if self.node(at).is_none_or(|n| n.wish.is_some() || !n.children.is_empty()) {
                return;
            }
            self.free.push(at);
            if let Some(node) = self.nodes.get_mut(*parent as usize) {
                node.children.remove(level);
            }
        }
    }

    /// Hands over every filter that matches a topic.
    pub(super) fn visit<'t>(&'t self, topic: &str, mut found: impl FnMut(&'t Wish)) {
        // What begins with $ is not for those who ask for everything [MQTT-4.7.2-1].
        let hidden = topic.starts_with('$');
        let mut ways: Vec<(u32, Option<&str>)> = vec![(ROOT, Some(topic))];
        while let Some((at, rest)) = ways.pop() {
            let Some(node) = self.node(at) else { continue };
            let wild = !(hidden && at == ROOT);
            // `a/#` matches `a`, too (4.7.1.2).
            if wild && let Some(all) = self.child(at, "#").and_then(|all| self.node(all)) {
                all.wish.iter().for_each(&mut found);
            }
            let Some(rest) = rest else {
                node.wish.iter().for_each(&mut found);
                continue;
            };
            // Levels are short: looking letter by letter is the faster search.
            let (level, behind) = match rest.bytes().position(|letter| letter == b'/') {
                Some(at) => (rest.get(..at).unwrap_or(rest), rest.get(at + 1..)),
                None => (rest, None),
            };
            ways.extend(node.children.get(level).map(|child| (*child, behind)));
            if wild {
                ways.extend(node.children.get("+").map(|child| (*child, behind)));
            }
        }
    }
}
