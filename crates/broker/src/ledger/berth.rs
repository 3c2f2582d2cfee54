//! Berths: places of clients, with what each is interested in, its will and the marks that are
//! open. What a berth's queues are bound to follows from its interests.

use super::Ledger;
use crate::change::{BerthSpec, Change};
use crate::id::{BerthId, ExchangeId, QueueId, Target, VhostId};
use crate::way::Way;
use lockgate_model::{Caps, Interest, Lasting, Mark, Name, Table, Will, topic};
use std::collections::BTreeSet;

/// So many interests take no more room than they need.
const FEW: usize = 8;

/// What a queue is in a berth, or for a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// What is done when delivered.
    Passing(BerthId),
    /// What is to be settled.
    Settling(BerthId),
    /// What those who have one filter share.
    Group {
        /// What topics match.
        pattern: Box<str>,
        /// How many they are.
        members: u32,
    },
}

/// A client's place.
#[derive(Debug)]
pub struct Berth {
    /// Its id.
    pub id: BerthId,
    /// Where it is.
    pub vhost: VhostId,
    /// Whose it is.
    pub client: Name,
    /// Where topics are.
    pub exchange: ExchangeId,
    /// The names of its queues, which are there as long as they are needed.
    pub passing: Name,
    /// As above.
    pub settling: Name,
    /// How long it outlives its client's connection.
    pub lasting: Lasting,
    /// How much may wait.
    pub caps: Caps,
    /// What is published when its client is lost.
    pub will: Option<Box<Will>>,
    /// What the client wants to hear, by filter.
    pub interests: Vec<Interest>,
    /// So many of them are not matched by their keys alone.
    pub odd: u32,
    /// So many of them are not for what the client publishes itself.
    pub deaf: u32,
    /// Marks that are open.
    pub marks: Option<Box<Marks>>,
    /// Since when its client is away, in milliseconds.
    pub away: Option<u64>,
    /// It is in the log.
    pub logged: bool,
}

/// Marks by which messages are known until both sides are done with them.
#[derive(Debug, Default)]
pub struct Marks {
    /// Published and not released.
    pub open: BTreeSet<Mark>,
    /// Received and not completed.
    pub received: BTreeSet<Mark>,
}

impl Berth {
    /// The interest of this filter.
    pub fn interest(&self, filter: &str) -> Option<&Interest> {
        let at = self.interests.binary_search_by(|i| i.filter.as_str().cmp(filter)).ok()?;
        self.interests.get(at)
    }

    /// The name of the queue where what an interest wants comes.
    pub fn queue_of<'a>(&'a self, interest: &'a Interest) -> &'a Name {
        match &interest.group {
            Some(group) => group,
            None if interest.level > 0 => &self.settling,
            None => &self.passing,
        }
    }

    /// Does it want this topic, in its settling queue or in the other, whoever published it
    /// or, if `own`, having published it itself?
    pub fn wants(&self, topic: &str, settling: bool, own: bool) -> bool {
        self.interests.iter().any(|i| {
            i.group.is_none()
                && (i.level > 0) == settling
                && !(own && i.not_own)
                && topic::matches(i.pattern(), topic)
        })
    }

    /// Its marks, made at their first use.
    pub fn marks(&mut self) -> &mut Marks {
        self.marks.get_or_insert_default()
    }

    /// The same marks, as lists.
    pub fn marks_listed(&self) -> (Vec<Mark>, Vec<Mark>) {
        let list = |set: &BTreeSet<Mark>| set.iter().copied().collect();
        self.marks.as_ref().map_or_else(Default::default, |m| (list(&m.open), list(&m.received)))
    }

    /// How it would be made again.
    pub fn spec(&self) -> BerthSpec {
        BerthSpec {
            id: self.id,
            vhost: self.vhost,
            client: self.client.clone(),
            exchange: self.exchange,
            passing: self.passing.clone(),
            settling: self.settling.clone(),
            lasting: self.lasting,
            caps: self.caps,
            will: self.will.as_deref().cloned(),
            logged: self.logged,
        }
    }

    /// Counts an interest that has come.
    fn count(&mut self, i: &Interest) {
        self.odd += u32::from(is_odd(i));
        self.deaf += u32::from(i.not_own);
    }

    /// Counts one no more that was counted.
    fn discount(&mut self, i: &Interest) {
        self.odd -= u32::from(is_odd(i));
        self.deaf -= u32::from(i.not_own);
    }
}

/// Does the key of an interest of a client's own match more than its pattern?
fn is_odd(i: &Interest) -> bool {
    i.group.is_none() && !topic::is_plain(i.pattern())
}

impl Ledger {
    /// The berth of that client.
    pub fn berth_named(&self, vhost: VhostId, client: &str) -> Option<&Berth> {
        self.berths.get(self.vhosts.get(&vhost)?.berths.get(client)?).map(|b| &**b)
    }

    /// Makes a change of a berth.
    pub(super) fn moor(&mut self, change: &Change) {
        match change {
            Change::BerthTaken(spec) => self.take_berth(spec),
            Change::BerthLeft { id, at, lasting, will } => {
                if let Some(b) = self.berths.get_mut(id) {
                    b.away = *at;
                    b.lasting = *lasting;
                    b.will = b.will.take().filter(|_| *will);
                }
            }
            Change::BerthEnded { id } => self.end_berth(*id),
            Change::Followed { id, interest } => self.follow(*id, interest),
            Change::Unfollowed { id, filter } => self.unfollow(*id, filter),
            _ => {}
        }
    }

    fn take_berth(&mut self, spec: &BerthSpec) {
        self.took(spec.id.0);
        let Some(v) = self.vhosts.get_mut(&spec.vhost) else { return };
        v.berths.insert(spec.client.clone(), spec.id);
        let fresh = || Berth {
            id: spec.id,
            vhost: spec.vhost,
            client: spec.client.clone(),
            exchange: spec.exchange,
            passing: spec.passing.clone(),
            settling: spec.settling.clone(),
            lasting: spec.lasting,
            caps: spec.caps,
            will: None,
            interests: Vec::new(),
            odd: 0,
            deaf: 0,
            marks: None,
            away: None,
            logged: false,
        };
        let berth = self.berths.entry(spec.id).or_insert_with(|| Box::new(fresh()));
        berth.lasting = spec.lasting;
        berth.caps = spec.caps;
        berth.will = spec.will.clone().map(Box::new);
        berth.away = None;
        berth.logged |= spec.logged;
    }

    fn end_berth(&mut self, id: BerthId) {
        let Some(mut b) = self.berths.remove(&id) else { return };
        for interest in std::mem::take(&mut b.interests) {
            self.untie(&b, &interest);
        }
        if let Some(v) = self.vhosts.get_mut(&b.vhost)
            && v.berths.get(&b.client) == Some(&id)
        {
            v.berths.remove(&b.client);
        }
    }

    fn follow(&mut self, id: BerthId, interest: &Interest) {
        let Some(mut b) = self.berths.remove(&id) else { return };
        b.count(interest);
        match b.interests.binary_search_by(|i| i.filter.cmp(&interest.filter)) {
            Ok(at) => {
                let Some(slot) = b.interests.get_mut(at) else { return };
                let old = std::mem::replace(slot, interest.clone());
                b.discount(&old);
                // Only another queue makes a difference to where it is bound.
                if b.queue_of(&old) != b.queue_of(interest) || old.key != interest.key {
                    self.untie(&b, &old);
                    self.tie(&b, interest);
                }
            }
            Err(at) => {
                // Mostly there is one, and there are very many berths.
                if b.interests.len() < FEW {
                    b.interests.reserve_exact(1);
                }
                b.interests.insert(at, interest.clone());
                self.tie(&b, interest);
            }
        }
        self.berths.insert(id, b);
    }

    fn unfollow(&mut self, id: BerthId, filter: &Name) {
        let Some(mut b) = self.berths.remove(&id) else { return };
        if let Ok(at) = b.interests.binary_search_by(|i| i.filter.cmp(filter)) {
            let old = b.interests.remove(at);
            b.discount(&old);
            self.untie(&b, &old);
        }
        self.berths.insert(id, b);
    }

    /// A queue of a berth has just been made: what it is for is bound to it.
    pub fn tie_all(&mut self, id: BerthId, queue: &Name) {
        let Some(b) = self.berths.remove(&id) else { return };
        for interest in b.interests.iter().filter(|i| b.queue_of(i) == queue) {
            self.tie(&b, interest);
        }
        self.berths.insert(id, b);
    }

    fn tie(&mut self, b: &Berth, interest: &Interest) {
        let Some(queue) = self.queue_named(b.vhost, b.queue_of(interest)).map(|q| q.id) else {
            return;
        };
        let Some(q) = self.queues.get_mut(&queue) else { return };
        match (&interest.group, &mut q.hearing) {
            (Some(_), Some(Hearing::Group { members, .. })) => *members += 1,
            (Some(_), hearing) => {
                *hearing = Some(Hearing::Group { pattern: interest.pattern().into(), members: 1 });
            }
            (None, hearing) if interest.level > 0 => *hearing = Some(Hearing::Settling(b.id)),
            (None, hearing) => *hearing = Some(Hearing::Passing(b.id)),
        }
        self.bind(&way(b, queue, interest));
    }

    /// Takes away what leads to the queue for this interest alone.
    fn untie(&mut self, b: &Berth, interest: &Interest) {
        let name = b.queue_of(interest);
        let Some(queue) = self.queue_named(b.vhost, name).map(|q| q.id) else { return };
        if let Some(Hearing::Group { members, .. }) =
            self.queues.get_mut(&queue).and_then(|q| q.hearing.as_mut())
        {
            *members = members.saturating_sub(1);
            if *members > 0 {
                return;
            }
        }
        let needed = |i: &Interest| i.key == interest.key && b.queue_of(i) == name;
        // A group's queue is for its filter alone.
        if interest.group.is_some() || !b.interests.iter().any(needed) {
            self.unbind(&way(b, queue, interest));
        }
    }

    /// A queue of berths is gone: so is what it was for.
    pub(super) fn forget_hearing(&mut self, vhost: VhostId, hearing: &Hearing, queue: &Name) {
        let lost = |b: &Berth, i: &Interest| b.queue_of(i) == queue;
        match hearing {
            Hearing::Passing(id) | Hearing::Settling(id) => {
                let Some(mut b) = self.berths.remove(id) else { return };
                // The passing queue goes with each connection, what it was for does not.
                if matches!(hearing, Hearing::Settling(_)) {
                    let (lose, keep): (Vec<_>, Vec<_>) =
                        std::mem::take(&mut b.interests).into_iter().partition(|i| lost(&b, i));
                    lose.iter().for_each(|i| b.discount(i));
                    b.interests = keep;
                }
                self.berths.insert(*id, b);
            }
            // The last one has left before.
            Hearing::Group { members: 0, .. } => {}
            Hearing::Group { .. } => {
                let shares = |i: &Interest| i.group.as_ref() == Some(queue);
                // Shared ones are neither odd nor deaf.
                for b in self.berths.values_mut().filter(|b| b.vhost == vhost) {
                    b.interests.retain(|i| !shares(i));
                }
            }
        }
    }
}

fn way(b: &Berth, queue: QueueId, interest: &Interest) -> Way {
    let (source, target) = (b.exchange, Target::Queue(queue));
    Way { source, target, key: interest.key.clone(), arguments: Table::default() }
}
