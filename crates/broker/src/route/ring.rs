//! Consistent hashing: every key goes to one target, each gets a share by its weight, and
//! who comes or goes moves its own share of the keys and no other.
//!
//! Each target has points on rings, a ring for each bit of its weight. A key looks from a few
//! places of each ring for the nearest point ahead; a distance on the ring of bit `b` counts a
//! `2^b`th, since its points stand for so many. The nearest wins. So a weight costs its
//! logarithm and no more, and what is found depends on names and weights alone: not on the
//! order in which they came, nor on ids.

use super::circle::Circle;
use super::hash::hash;
use crate::dice::mix;
use crate::id::Target;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Points of a target on a ring, and places from which a key looks: with 16 and 16 a share
/// is within about 4 percent of what its weight says (one standard deviation).
const POINTS: u64 = 16;
const PROBES: u64 = 16;

/// Weights above this count as this.
const WEIGHT_MAX: u64 = 1 << 40;

#[derive(Debug)]
struct Member {
    name: u64,
    weight: u64,
}

/// The targets of one exchange.
#[derive(Debug, Default)]
pub struct Ring {
    /// By bit of the weight: points with their targets.
    rings: BTreeMap<u32, Circle>,
    members: HashMap<Target, Member, FixedState>,
}

/// What a way weighs: a whole number in its key. None if it is none.
pub fn weight(key: &[u8]) -> Option<i64> {
    let (negative, digits) = match key {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let step = |n: u64, d: &u8| n.saturating_mul(10).saturating_add(u64::from(d - b'0'));
    let n = digits.iter().fold(0, step).min(WEIGHT_MAX) as i64;
    Some(if negative { -n } else { n })
}

/// The name of a target, hashed: of a queue and of an exchange they differ.
pub fn name_hash(target: Target, name: &str) -> u64 {
    let kind = match target {
        Target::Queue(_) => b'q',
        Target::Exchange(_) => b'x',
    };
    hash(&[&[kind], name.as_bytes()].concat())
}

impl Ring {
    /// A way of that weight to a target: more than one to the same add up.
    pub fn add(&mut self, target: Target, name: u64, weight: u64) {
        let member = self.members.entry(target).or_insert(Member { name, weight: 0 });
        let (name, before) = (member.name, member.weight);
        member.weight += weight.min(WEIGHT_MAX);
        let after = member.weight;
        self.stand(target, name, before, after);
    }

    /// The opposite.
    pub fn remove(&mut self, target: Target, weight: u64) {
        let Some(member) = self.members.get_mut(&target) else { return };
        let (name, before) = (member.name, member.weight);
        member.weight = before.saturating_sub(weight.min(WEIGHT_MAX));
        let after = member.weight;
        if after == 0 {
            self.members.remove(&target);
        }
        self.stand(target, name, before, after);
    }

    /// Takes a target's points from the rings it leaves and puts them on those it enters.
    fn stand(&mut self, target: Target, name: u64, before: u64, after: u64) {
        for bit in (0..u64::BITS).filter(|bit| (before ^ after) >> bit & 1 != 0) {
            let ring = self.rings.entry(bit).or_default();
            for n in 0..POINTS {
                let point = place(name, bit, n);
                if after >> bit & 1 != 0 {
                    ring.insert(point, target);
                } else {
                    ring.remove(point, target);
                }
            }
            if ring.is_empty() {
                self.rings.remove(&bit);
            }
        }
    }

    /// Where a message of this hash goes.
    pub fn find(&self, hash: u64) -> Option<Target> {
        let mut nearest: Option<(u128, Target)> = None;
        for (bit, ring) in &self.rings {
            for n in 0..PROBES {
                let at = place(!hash, *bit, n);
                let Some((point, target)) = ring.next(at) else { continue };
                let distance = u128::from(point.wrapping_sub(at)) << (u64::BITS - 1 - bit);
                if nearest.is_none_or(|(best, _)| distance < best) {
                    nearest = Some((distance, target));
                }
            }
        }
        nearest.map(|(_, target)| target)
    }
}

/// The `n`th place of something on the ring of a bit.
fn place(of: u64, bit: u32, n: u64) -> u64 {
    mix(of ^ mix(u64::from(bit) << 32 | n).rotate_left(17))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;
    use proptest::prelude::*;

    const KEYS: u64 = 30_000;

    fn q(n: u32) -> Target {
        Target::Queue(QueueId(n))
    }

    fn ring(weights: &[(u32, u64)]) -> Ring {
        let mut ring = Ring::default();
        for (n, weight) in weights {
            ring.add(q(*n), name_hash(q(*n), &format!("queue-{n}")), *weight);
        }
        ring
    }

    fn all(ring: &Ring) -> Vec<Option<Target>> {
        (0..KEYS).map(|n| ring.find(hash(format!("key {n}").as_bytes()))).collect()
    }

    #[test]
    fn each_gets_a_share_by_its_weight() {
        for weights in
            [&[(1, 1), (2, 1), (3, 1)][..], &[(1, 1), (2, 2), (3, 7)], &[(1, 5), (2, 40)]]
        {
            let found = all(&ring(weights));
            let sum: u64 = weights.iter().map(|(_, w)| w).sum();
            for (n, weight) in weights {
                let got = found.iter().filter(|f| **f == Some(q(*n))).count() as f64;
                let due = (KEYS * weight) as f64 / sum as f64;
                assert!((got / due - 1.0).abs() < 0.12, "{n} of {weights:?}: {got} for {due}");
            }
        }
    }

    #[test]
    fn many_equals_share_evenly() {
        let found = all(&ring(&(0..30).map(|n| (n, 1)).collect::<Vec<_>>()));
        let due = KEYS as f64 / 30.0;
        let shares =
            (0..30).map(|n| found.iter().filter(|f| **f == Some(q(n))).count() as f64 / due);
        let off = shares.map(|s| (s - 1.0).powi(2)).sum::<f64>() / 30.0;
        assert!(off.sqrt() < 0.07, "standard deviation {}", off.sqrt());
    }

    #[test]
    fn a_weight_is_a_whole_number_in_text() {
        let cases: [(&[u8], Option<i64>); 8] = [
            (b"1", Some(1)),
            (b"+2", Some(2)),
            (b"007", Some(7)),
            (b"-3", Some(-3)),
            (b"", None),
            (b"1.5", None),
            (b" 2", None),
            (b"99999999999999999999999", Some(1 << 40)),
        ];
        for (key, expected) in cases {
            assert_eq!(weight(key), expected, "{key:?}");
        }
    }

    /// Who changes these sends the keys of every store to other queues.
    #[test]
    fn keys_go_where_they_always_went() {
        let ring = ring(&[(1, 1), (2, 2), (3, 3)]);
        let went = (0..16).map(|n| ring.find(hash(format!("key {n}").as_bytes())));
        let went: Vec<u32> =
            went.map(|t| if let Some(Target::Queue(QueueId(n))) = t { n } else { 0 }).collect();
        assert_eq!(went, [3, 2, 3, 3, 2, 2, 3, 2, 3, 3, 3, 3, 2, 3, 1, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whoever comes (or goes) takes (or leaves) keys; nobody else's move.
        #[test]
        fn only_who_comes_or_goes_moves_keys(
            weights in prop::collection::vec(1u64..300, 1..12), changed in any::<prop::sample::Index>(),
            weight in 0u64..300, order in any::<u64>(),
        ) {
            let changed = changed.index(weights.len()) as u32;
            let members: Vec<(u32, u64)> = (0u32..).zip(weights.iter().copied()).collect();
            let before = ring(&members);
            let mut rest = members.clone();
            rest.retain(|(n, _)| *n != changed);
            let len = rest.len().max(1);
            rest.rotate_left(order as usize % len);
            let mut after = ring(&rest);
            if weight > 0 {
                after.add(q(changed), name_hash(q(changed), &format!("queue-{changed}")), weight);
            }
            for n in 0..400u64 {
                let (was, is) = (before.find(mix(n)), after.find(mix(n)));
                prop_assert!(was == is || was == Some(q(changed)) || is == Some(q(changed)));
                prop_assert!(weight != weights[changed as usize] || was == is, "the order shows");
            }
        }
    }
}
