//! Message groups: all of a group go to one subscriber, in order, as long as it is there;
//! different groups go to different ones side by side. What cannot go now is passed over
//! and waits for its group's subscriber, so that one busy group does not hold up others.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use lockgate_model::{Glance, Table, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;

/// Most entries passed over: beyond it the queue waits, so that what is remembered, and
/// what is looked at again and again, is bounded.
const PASSED_MAX: usize = 4096;

/// Most groups whose subscriber is remembered while it holds nothing of them.
const OWNERS_MAX: usize = 65_536;

/// A group, by the hash of its name: two names that hash alike share a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(u64);

/// A subscriber by the order of its coming, which is never used again.
pub type Holder = u64;

/// Who has a group.
#[derive(Debug)]
struct Owner {
    holder: Holder,
    /// Entries of the group in its hands.
    held: u32,
    /// It takes no more: when it has given back what it holds, the group is free.
    gone: bool,
}

/// The groups of one queue.
#[derive(Debug, Default)]
pub struct Groups {
    owners: HashMap<Group, Owner, FixedState>,
    /// Entries in somebody's hands.
    held: HashMap<u64, Group, FixedState>,
    /// Entries passed over.
    passed: BTreeMap<u64, Group>,
    /// The same, by their groups.
    of_group: HashMap<Group, BTreeSet<u64>, FixedState>,
    /// The same, by who is to have them.
    of_holder: HashMap<Holder, BTreeSet<u64>, FixedState>,
    /// The same, of groups that nobody has.
    free: BTreeSet<u64>,
    /// With so many owners those that hold nothing are forgotten.
    sweep_at: usize,
}

/// What becomes of an entry of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whoever is next may have the group.
    Anybody,
    /// This one has it.
    Only(Holder),
    /// Not now: older ones wait, or their subscriber is gone and still holds some.
    Nobody,
}

impl Groups {
    /// Who may have this entry of a group.
    pub fn judge(&self, number: u64, group: Group) -> Verdict {
        let oldest = self.of_group.get(&group).and_then(BTreeSet::first);
        let older = oldest.is_some_and(|n| *n < number);
        match self.owners.get(&group) {
            Some(o) if o.gone || older => Verdict::Nobody,
            None if older => Verdict::Nobody,
            None => Verdict::Anybody,
            Some(o) => Verdict::Only(o.holder),
        }
    }

    /// An entry is handed to a subscriber, to be settled or not.
    pub fn hand(&mut self, number: u64, group: Group, holder: Holder, settled: bool) {
        self.unpass(number);
        if self.owners.len() >= self.sweep_at.max(OWNERS_MAX) {
            let waits = &self.of_group;
            self.owners.retain(|g, o| o.held > 0 || waits.contains_key(g));
            // Whoever holds more than that is not looked through again for each entry.
            self.sweep_at = 2 * self.owners.len();
        }
        let fresh = !self.owners.contains_key(&group);
        let none = Owner { holder, held: 0, gone: false };
        let owner = self.owners.entry(group).or_insert(none);
        if !settled {
            owner.held += 1;
            self.held.insert(number, group);
        }
        if fresh && let Some(waiting) = self.of_group.get(&group) {
            // What waited for anybody waits for this one now.
            let theirs = self.of_holder.entry(holder).or_default();
            for n in waiting {
                self.free.remove(n);
                theirs.insert(*n);
            }
        }
    }

    /// True if an entry more may be passed over.
    pub fn has_room(&self) -> bool {
        self.passed.len() < PASSED_MAX
    }

    /// An entry is passed over.
    pub fn pass(&mut self, number: u64, group: Group) {
        self.passed.insert(number, group);
        self.of_group.entry(group).or_default().insert(number);
        match self.owners.get(&group) {
            Some(o) => self.of_holder.entry(o.holder).or_default().insert(number),
            None => self.free.insert(number),
        };
    }

    /// True if it was passed over.
    pub fn is_passed(&self, number: u64) -> bool {
        self.passed.contains_key(&number)
    }

    /// An entry is passed over no more.
    pub fn unpass(&mut self, number: u64) {
        let Some(group) = self.passed.remove(&number) else { return };
        if let Some(waiting) = self.of_group.get_mut(&group) {
            waiting.remove(&number);
            if waiting.is_empty() {
                self.of_group.remove(&group);
            }
        }
        self.free.remove(&number);
        if let Some(o) = self.owners.get(&group)
            && let Some(waiting) = self.of_holder.get_mut(&o.holder)
        {
            waiting.remove(&number);
            if waiting.is_empty() {
                self.of_holder.remove(&o.holder);
            }
        }
    }

    /// The first entry passed over that this subscriber may have, and its group.
    pub fn first_for(&self, holder: Holder) -> Option<(u64, Group)> {
        let own = self.of_holder.get(&holder).and_then(BTreeSet::first);
        let first = own.into_iter().chain(self.free.first()).min()?;
        Some((*first, *self.passed.get(first)?))
    }

    /// Entries `from..to` are in nobody's hands any more. True if a group is free by that.
    pub fn release(&mut self, from: u64, to: u64) -> bool {
        let mut freed = false;
        for n in from..to {
            let Some(group) = self.held.remove(&n) else { continue };
            let Some(owner) = self.owners.get_mut(&group) else { continue };
            owner.held = owner.held.saturating_sub(1);
            if owner.gone && owner.held == 0 {
                self.free(group);
                freed = true;
            }
        }
        freed
    }

    /// A subscriber is gone; what it still holds keeps its groups from others.
    pub fn part(&mut self, holder: Holder) {
        let mut theirs: Vec<Group> =
            self.owners.iter().filter(|(_, o)| o.holder == holder).map(|(g, _)| *g).collect();
        theirs.sort_unstable();
        for group in theirs {
            match self.owners.get_mut(&group) {
                Some(o) if o.held > 0 => o.gone = true,
                _ => self.free(group),
            }
        }
    }

    /// Nobody has the group any more.
    fn free(&mut self, group: Group) {
        let Some(owner) = self.owners.remove(&group) else { return };
        let Some(waiting) = self.of_group.get(&group) else { return };
        let Some(theirs) = self.of_holder.get_mut(&owner.holder) else { return };
        for n in waiting {
            theirs.remove(n);
            self.free.insert(*n);
        }
        if theirs.is_empty() {
            self.of_holder.remove(&owner.holder);
        }
    }
}

/// Finds the group that a message names in a header.
#[derive(Debug)]
pub struct Finder {
    header: Box<str>,
    bytes: memchr::memmem::Finder<'static>,
}

impl Finder {
    /// Looks for this header.
    pub fn new(header: &str) -> Finder {
        let bytes = memchr::memmem::Finder::new(header.as_bytes()).into_owned();
        Finder { header: header.into(), bytes }
    }

    /// The group of a message with this property list.
    #[inline]
    pub fn group(&self, head: &[u8]) -> Option<Group> {
        const HEADERS: u8 = 0x20;
        if head.first()? & HEADERS == 0 || self.header.is_empty() {
            return None;
        }
        self.bytes.find(head)?;
        let headers = Table::decode(Glance::of(head).ok()?.headers?).ok()?;
        let hash = |bytes: &[u8]| Group(FixedState::default().hash_one(bytes));
        match headers.get(&self.header)? {
            Value::Void => None,
            Value::Text(name) | Value::Binary(name) => Some(hash(name)),
            other => Some(hash(format!("{:?}", other.as_int()?).as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Group = Group(1);
    const B: Group = Group(2);

    #[test]
    fn a_group_stays_with_whoever_has_it_until_that_one_has_given_all_back() {
        let mut g = Groups::default();
        assert_eq!(g.judge(0, A), Verdict::Anybody);
        g.hand(0, A, 10, false);
        g.hand(1, B, 11, true);
        assert_eq!(g.judge(2, A), Verdict::Only(10));
        assert_eq!(g.judge(3, B), Verdict::Only(11));
        g.part(11);
        assert_eq!(g.judge(3, B), Verdict::Anybody, "it held nothing");
        g.part(10);
        assert_eq!(g.judge(2, A), Verdict::Nobody);
        g.pass(2, A);
        assert_eq!(g.first_for(12), None);
        assert!(g.release(0, 1));
        assert_eq!(g.first_for(12), Some((2, A)));
        assert_eq!(g.judge(4, A), Verdict::Nobody, "an older one waits");
        g.hand(2, A, 12, false);
        assert_eq!(g.judge(4, A), Verdict::Only(12));
    }

    #[test]
    fn what_is_passed_over_goes_to_its_groups_subscriber_in_order() {
        let mut g = Groups::default();
        g.hand(0, A, 10, false);
        (1..4).for_each(|n| g.pass(n, A));
        assert_eq!(g.judge(4, A), Verdict::Nobody);
        assert_eq!((g.first_for(11), g.first_for(10)), (None, Some((1, A))));
        g.hand(1, A, 10, false);
        g.unpass(2);
        assert_eq!(g.first_for(10), Some((3, A)));
        g.hand(3, A, 10, false);
        assert!(g.passed.is_empty() && g.of_holder.is_empty() && g.of_group.is_empty());
    }
}
