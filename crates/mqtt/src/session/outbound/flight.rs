//! Packet identifiers of messages that are on the way to the client, and what stands behind
//! each until the client is done with it. Never gives an identifier twice at once.
//!
//! ```text
//!  QoS 1   Sent --PUBACK--> settled
//!  QoS 2   Sent --PUBREC--> Received --confirmed, PUBREL--> Released --PUBCOMP--> completed
//! ```

use foldhash::fast::FixedState;
use lockgate_model::{LeaseId, Mark};
use std::collections::HashMap;

/// Larger than this, what nothing is in gives its memory back.
const KEEP_MAX: usize = 64;

/// An entry of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) lease: LeaseId,
    /// Its place in the lease.
    pub(super) at: u32,
}

/// Which identifier an entry is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// That of its mark and no other.
    Mark(Mark),
    /// One that is made of this number, so that it has the same if it comes once more; another
    /// if that is in use. Above those of marks.
    Made(u64),
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// PUBLISH has gone; `exact` if PUBREC is to come and not PUBACK.
    Sent { entry: Entry, exact: bool },
    /// PUBREC has come, and is not safe yet.
    Received,
    /// PUBREL has gone.
    Released,
}

/// What a PUBREC is to be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pubrec {
    /// Nothing before it is safe that the entry was received.
    Keep(Entry),
    /// Nothing: it is being kept.
    Wait,
    /// PUBREL once more.
    Again,
    /// Nothing is known of it.
    Unknown,
}

/// All that is on the way.
#[derive(Debug, Default)]
pub(super) struct Flight {
    stages: HashMap<u16, Stage, FixedState>,
    /// Most that may be on the way.
    max: u16,
    /// Where above marks one is sought in place of one in use.
    next: u16,
}

impl Flight {
    /// Nothing on the way, and so much at most.
    pub(super) fn new(max: u16) -> Flight {
        Flight { max: max.max(1), ..Flight::default() }
    }

    /// This mark was received before, and is to be released again.
    pub(super) fn resume(&mut self, mark: Mark) {
        self.stages.insert(mark.0, Stage::Released);
    }

    /// Gives an entry its identifier. None if it is in use, or as much is on the way as may be.
    #[inline]
    pub(super) fn begin(&mut self, wanted: Wanted, entry: Entry, exact: bool) -> Option<u16> {
        if self.stages.len() >= usize::from(self.max) {
            return None;
        }
        let id = match wanted {
            Wanted::Mark(mark) => mark.0,
            Wanted::Made(number) => above(number as u16),
        };
        let id = match (wanted, self.stages.contains_key(&id)) {
            (_, false) => id,
            (Wanted::Mark(_), true) => return None,
            (Wanted::Made(_), true) => self.other()?,
        };
        self.stages.insert(id, Stage::Sent { entry, exact });
        Some(id)
    }

    /// An identifier above those of marks that is not in use.
    fn other(&mut self) -> Option<u16> {
        let from = self.next;
        let all = (0..=Mark::OWN).map(|n| above(from.wrapping_add(n)));
        let id = all.into_iter().find(|id| !self.stages.contains_key(id))?;
        self.next = id.wrapping_add(1);
        Some(id)
    }

    fn end(&mut self, id: u16) {
        self.stages.remove(&id);
        if self.stages.is_empty() && self.stages.capacity() > KEEP_MAX {
            self.stages = HashMap::default();
        }
    }

    /// PUBACK: the entry is done with.
    #[inline]
    pub(super) fn puback(&mut self, id: u16) -> Option<Entry> {
        match self.stages.get(&id) {
            Some(&Stage::Sent { entry, exact: false }) => {
                self.end(id);
                Some(entry)
            }
            _ => None,
        }
    }

    /// PUBREC of success.
    pub(super) fn pubrec(&mut self, id: u16) -> Pubrec {
        match self.stages.get_mut(&id) {
            Some(stage @ &mut Stage::Sent { entry, exact: true }) => {
                *stage = Stage::Received;
                Pubrec::Keep(entry)
            }
            Some(Stage::Received) => Pubrec::Wait,
            Some(Stage::Released) => Pubrec::Again,
            _ => Pubrec::Unknown,
        }
    }

    /// PUBREC of a failure: the entry is done with.
    pub(super) fn refuse(&mut self, id: u16) -> Option<Entry> {
        match self.stages.get(&id) {
            Some(&Stage::Sent { entry, exact: true }) => {
                self.end(id);
                Some(entry)
            }
            _ => None,
        }
    }

    /// What PUBREC said is safe: PUBREL goes.
    pub(super) fn release(&mut self, id: u16) {
        if let Some(stage @ Stage::Received) = self.stages.get_mut(&id) {
            *stage = Stage::Released;
        }
    }

    /// PUBCOMP. False if nothing is known of it.
    pub(super) fn pubcomp(&mut self, id: u16) -> bool {
        let known = self.stages.get(&id) == Some(&Stage::Released);
        if known {
            self.end(id);
        }
        known
    }
}

/// The identifier above those of marks that a number gives.
fn above(number: u16) -> u16 {
    number | (Mark::OWN + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn entry(at: u32) -> Entry {
        Entry { lease: LeaseId(1), at }
    }

    #[test]
    fn a_mark_is_its_identifier_and_waits_while_that_is_in_use() {
        let mut f = Flight::new(10);
        let (first, again) = (Mark::of_entry(5), Mark::of_entry(5 + u64::from(Mark::OWN)));
        assert_eq!(f.begin(Wanted::Mark(first), entry(0), false), Some(6));
        assert_eq!(f.begin(Wanted::Mark(again), entry(1), false), None);
        assert_eq!(f.puback(6), Some(entry(0)));
        assert_eq!(f.begin(Wanted::Mark(again), entry(1), false), Some(6));
    }

    #[test]
    fn no_more_is_on_the_way_than_may_be_mqtt_3_3_4_9() {
        let mut f = Flight::new(2);
        f.resume(Mark(9));
        assert_eq!(f.begin(Wanted::Made(0), entry(0), true), Some(32_768));
        assert_eq!(f.begin(Wanted::Made(1), entry(1), true), None);
        // Received is not done with: its place is free when PUBCOMP has come.
        assert_eq!(f.pubrec(32_768), Pubrec::Keep(entry(0)));
        assert_eq!(f.begin(Wanted::Made(1), entry(1), true), None);
        assert!(f.pubcomp(9));
        assert_eq!(f.begin(Wanted::Made(1), entry(1), true), Some(32_769));
    }

    #[test]
    fn qos_2_goes_through_all_its_stages() {
        let mut f = Flight::new(5);
        assert_eq!(f.pubrec(3), Pubrec::Unknown);
        assert_eq!(f.begin(Wanted::Mark(Mark(3)), entry(7), true), Some(3));
        assert_eq!((f.puback(3), f.pubcomp(3)), (None, false));
        assert_eq!(f.pubrec(3), Pubrec::Keep(entry(7)));
        assert_eq!((f.pubrec(3), f.refuse(3), f.pubcomp(3)), (Pubrec::Wait, None, false));
        f.release(3);
        assert_eq!((f.pubrec(3), f.refuse(3), f.puback(3)), (Pubrec::Again, None, None));
        assert!(f.pubcomp(3) && !f.pubcomp(3));
        assert_eq!(f.begin(Wanted::Mark(Mark(3)), entry(8), true), Some(3));
        assert_eq!((f.refuse(3), f.refuse(3)), (Some(entry(8)), None));
    }

    #[test]
    fn an_identifier_is_made_of_a_number_and_another_is_found_if_it_is_in_use() {
        let mut f = Flight::new(u16::MAX);
        f.resume(Mark(32_770));
        assert_eq!(f.begin(Wanted::Made(2), entry(0), false), Some(32_768));
        assert_eq!(f.begin(Wanted::Made(32_767), entry(1), false), Some(u16::MAX));
        assert_eq!(f.begin(Wanted::Made(1 << 40 | 32_767), entry(2), false), Some(32_769));
        assert_eq!(f.begin(Wanted::Made(0), entry(3), false), Some(32_771));
        for n in 0..32_768 - 5 {
            assert!(f.begin(Wanted::Made(7), entry(n), false).is_some_and(|id| id > Mark::OWN));
        }
        assert_eq!(f.begin(Wanted::Made(7), entry(0), false), None);
        assert!(f.pubcomp(32_770));
        assert_eq!(f.begin(Wanted::Made(7), entry(0), false), Some(32_770));
    }

    #[test]
    fn what_is_done_with_gives_its_memory_back() {
        let mut f = Flight::new(1000);
        let ids: Vec<u16> =
            (0..1000).filter_map(|n| f.begin(Wanted::Made(n.into()), entry(n), false)).collect();
        ids.into_iter().for_each(|id| assert!(f.puback(id).is_some()));
        assert_eq!(f.stages.capacity(), 0);
    }

    proptest! {
        /// However deliveries and answers mix, an identifier is not in use twice, and each
        /// entry is done with once.
        #[test]
        fn identifiers_are_used_once_and_entries_settled_once(
            steps in prop::collection::vec((0..7u8, 0..12u16), 1..400),
            max in 1..8u16,
        ) {
            let mut f = Flight::new(max);
            // By identifier: entry, exact, and how far it is by a simpler account.
            let mut naive: BTreeMap<u16, (u32, bool, u8)> = BTreeMap::new();
            let (mut next, mut done) = (0_u32, BTreeSet::new());
            for (step, n) in steps {
                let id = naive.keys().nth(usize::from(n)).copied().unwrap_or(n + 1);
                let known = naive.get(&id).copied();
                match step {
                    0..=2 => {
                        let (shared, exact) = (n % 3 == 0, step == 2);
                        let mark = Mark(n % 6 + 1);
                        let made = Wanted::Made(u64::from(n) * 99);
                        let wanted = if shared { made } else { Wanted::Mark(mark) };
                        let got = f.begin(wanted, entry(next), exact);
                        let full = naive.len() >= usize::from(max);
                        match got {
                            Some(id) => {
                                prop_assert!(!full && (shared || id == mark.0));
                                prop_assert!(naive.insert(id, (next, exact, 0)).is_none());
                                next += 1;
                            }
                            None => prop_assert!(full || naive.contains_key(&mark.0)),
                        }
                    }
                    3 => {
                        let expected = known.filter(|(_, exact, _)| !exact).map(|(e, ..)| entry(e));
                        prop_assert_eq!(f.puback(id), expected);
                        if let Some(entry) = expected {
                            naive.remove(&id);
                            prop_assert!(done.insert(entry.at));
                        }
                    }
                    4 => match (f.pubrec(id), known) {
                        (Pubrec::Keep(got), Some((e, true, 0))) => {
                            prop_assert_eq!(got, entry(e));
                            prop_assert!(done.insert(e));
                            naive.insert(id, (e, true, 1));
                        }
                        (Pubrec::Wait, Some((_, true, 1)))
                        | (Pubrec::Again, Some((_, true, 2)))
                        | (Pubrec::Unknown, None | Some((_, false, _))) => {}
                        other => prop_assert!(false, "{other:?}"),
                    },
                    5 => {
                        f.release(id);
                        if let Some((e, true, 1)) = known {
                            naive.insert(id, (e, true, 2));
                        }
                    }
                    _ => {
                        let comes = known.is_some_and(|(_, _, stage)| stage == 2);
                        prop_assert_eq!(f.pubcomp(id), comes);
                        if comes {
                            naive.remove(&id);
                        }
                    }
                }
            }
        }
    }
}
