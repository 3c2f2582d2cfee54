//! Points on a circle, to find the next one ahead of any place with one look into memory.
//!
//! A hash table whose slots are in the order of the points: a point stands in the slot that its
//! first bits name, or as soon behind as there is room, and never before a smaller one.

use crate::id::Target;

/// Filled slots of a hundred, at most: then the next point is hardly ever far.
const FILLED_MAX: usize = 60;

#[derive(Clone, Copy, Debug)]
struct Slot {
    at: u64,
    target: Option<Target>,
}

const EMPTY: Slot = Slot { at: 0, target: None };

/// Points with their targets.
#[derive(Debug, Default)]
pub struct Circle {
    slots: Vec<Slot>,
    /// So many first bits name a slot.
    bits: u32,
    len: usize,
}

impl Circle {
    /// True without a point.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn home(&self, at: u64) -> usize {
        at.checked_shr(u64::BITS - self.bits).unwrap_or(0) as usize
    }

    /// Adds a point.
    pub fn insert(&mut self, at: u64, target: Target) {
        if self.slots.is_empty() || (self.len + 1) * 100 > (1 << self.bits) * FILLED_MAX {
            self.grow();
        }
        self.put(at, target);
        self.len += 1;
    }

    fn put(&mut self, at: u64, target: Target) {
        let rank = |slot: &Slot| slot.target.map(|t| (slot.at, t));
        let mut i = self.home(at);
        while self.slots.get(i).and_then(rank).is_some_and(|there| there < (at, target)) {
            i += 1;
        }
        // Those behind it move on by one, up to the first empty slot.
        let gap = self.slots.iter().skip(i).position(|slot| slot.target.is_none());
        let gap = gap.unwrap_or_else(|| {
            self.slots.push(EMPTY);
            self.slots.len() - 1 - i
        });
        if let Some(moved) = self.slots.get_mut(i..=i + gap) {
            moved.rotate_right(1);
            moved[0] = Slot { at, target: Some(target) };
        }
    }

    fn grow(&mut self) {
        self.bits = (self.bits + 1).max(4);
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; 1 << self.bits]);
        for slot in old {
            if let Some(target) = slot.target {
                self.put(slot.at, target);
            }
        }
    }

    /// Takes a point out.
    pub fn remove(&mut self, at: u64, target: Target) {
        let mut i = self.home(at);
        loop {
            match self.slots.get(i) {
                Some(slot) if slot.target == Some(target) && slot.at == at => break,
                Some(slot) if slot.target.is_some() && slot.at <= at => i += 1,
                _ => return,
            }
        }
        self.len -= 1;
        self.slots[i] = EMPTY;
        // Those behind it that are not at home come closer.
        while let Some(next) = self.slots.get(i + 1).copied()
            && next.target.is_some()
            && self.home(next.at) <= i
        {
            self.slots.swap(i, i + 1);
            i += 1;
        }
    }

    /// The first point at or ahead of a place, all the way round.
    pub fn next(&self, at: u64) -> Option<(u64, Target)> {
        let ahead = self.slots.iter().skip(self.home(at)).chain(&self.slots);
        let mut points = ahead.filter_map(|slot| Some((slot.at, slot.target?)));
        let first = points.next()?;
        if first.0 >= at {
            return Some(first);
        }
        // Only those of the same slots can be behind; past the end the circle begins anew.
        let mut last = first.0;
        points
            .find(|(point, _)| {
                let found = *point >= at || *point < last;
                last = *point;
                found
            })
            .or(Some(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        /// Crowded or far apart, near the ends or not: as a sorted set says.
        #[test]
        fn finds_what_a_sorted_set_finds(
            steps in prop::collection::vec((any::<bool>(), 0u64..40, 0u32..3, 0u32..4), 0..120),
            places in prop::collection::vec((any::<u64>(), 0u32..4), 1..20),
        ) {
            let spread = |n: u64, how: u32| match how {
                0 => n,
                1 => u64::MAX - n,
                2 => n << 58,
                _ => n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            };
            let (mut circle, mut set) = (Circle::default(), BTreeSet::new());
            for (add, n, queue, how) in steps {
                let point = (spread(n, how), Target::Queue(QueueId(queue)));
                if add && set.insert(point) {
                    circle.insert(point.0, point.1);
                } else if !add {
                    set.remove(&point);
                    circle.remove(point.0, point.1);
                }
                prop_assert_eq!(circle.len, set.len());
            }
            for (n, how) in places {
                let at = spread(n % 41, how);
                let least = (at, Target::Queue(QueueId(0)));
                let next = set.range(least..).next().or(set.first()).copied();
                prop_assert_eq!(circle.next(at), next);
            }
        }
    }
}
