//! A set that mostly has one or two: a list as long as it is short, for there are very many.

use hashbrown::HashSet;
use std::hash::Hash;

/// Up to here a list is as fast as anything.
const FEW: usize = 8;

/// A set of things, mostly few.
#[derive(Clone, Debug)]
pub enum Few<T> {
    /// Few of them.
    List(Vec<T>),
    /// More.
    Set(HashSet<T>),
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Few::List(Vec::new())
    }
}

impl<T: Eq + Hash> Few<T> {
    /// Puts one in. False if it is there already.
    pub fn insert(&mut self, one: T) -> bool {
        match self {
            Few::List(list) if list.contains(&one) => false,
            Few::List(list) if list.len() < FEW => {
                list.reserve_exact(1);
                list.push(one);
                true
            }
            Few::List(list) => {
                let mut set: HashSet<T> = std::mem::take(list).into_iter().collect();
                set.insert(one);
                *self = Few::Set(set);
                true
            }
            Few::Set(set) => set.insert(one),
        }
    }

    /// Takes one out. False if it is not there.
    pub fn remove(&mut self, one: &T) -> bool {
        match self {
            Few::List(list) => {
                let at = list.iter().position(|other| other == one);
                at.map(|at| list.swap_remove(at)).is_some()
            }
            Few::Set(set) => set.remove(one),
        }
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (list, set) = match self {
            Few::List(list) => (Some(list), None),
            Few::Set(set) => (None, Some(set)),
        };
        list.into_iter().flatten().chain(set.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0..20u8), 0..80)) {
            let (mut few, mut set) = (Few::default(), HashSet::new());
            for (puts, one) in steps {
                let (ours, theirs) = if puts {
                    (few.insert(one), set.insert(one))
                } else {
                    (few.remove(&one), set.remove(&one))
                };
                prop_assert_eq!(ours, theirs);
            }
            let mut ours: Vec<u8> = few.iter().copied().collect();
            let mut theirs: Vec<u8> = set.into_iter().collect();
            ours.sort_unstable();
            theirs.sort_unstable();
            prop_assert_eq!(ours, theirs);
        }
    }
}
