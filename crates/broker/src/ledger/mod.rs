//! The durable half of the broker: what is declared and what waits. Changed by `apply`
//! alone, so that replaying the log makes the same ledger again.

mod attempts;
mod berth;
mod block;
mod delay;
mod exchange;
mod expiry;
mod govern;
mod line;
mod manner;
mod policies;
mod queue;
mod register;
mod retained;
mod rules;
mod stream;
mod window;

pub use berth::{Berth, Hearing, Marks};
pub use block::{Extent, NUMBER_MAX};
pub use delay::{delay, turn_round};
pub use exchange::Exchange;
pub use expiry::{lifetime, lifetimes};
pub use line::{Cursors, Evicted, Line, Logged, Rank, Read, Slice, Wanted, base_of, rank_of};
pub use manner::{Manner, Store};
pub use policies::{Applied, Policies, age_seconds};
pub use queue::Queue;
pub use register::Register;
pub use retained::{Found, Kept, Retained};
pub use rules::{DeadLetter, Kind, Overflow, Rules};
pub use stream::{Segment, Stream};
pub use window::{Digest, Known, Window, flag, number};

use crate::change::Change;
use crate::id::{BerthId, ExchangeId, PageId, QueueId, Target, VhostId};
use crate::journal::Journal;
use crate::route::Table as RouteTable;
use crate::way::{Way, WayKey};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use lockgate_model::{ExchangeSpec, Name, QueueSpec, Table};

/// A virtual host.
#[derive(Debug)]
pub struct Vhost {
    /// Its name.
    pub name: Name,
    /// Its exchanges.
    pub exchanges: HashMap<Name, ExchangeId>,
    /// Its queues.
    pub queues: HashMap<Name, QueueId>,
    /// Its berths, by client.
    pub berths: HashMap<Name, BerthId>,
    /// What is noted of it: its description, the kind of queue it makes and so on.
    pub metadata: Table,
    /// Its policies.
    pub policies: Policies,
}

/// A map by id: the ids are our own, so the hash needs no secret.
pub type ById<K, V> = HashMap<K, V, FixedState>;

/// Everything that is declared and everything that waits.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By id.
    pub vhosts: ById<VhostId, Vhost>,
    /// By name.
    pub vhost_names: HashMap<Name, VhostId>,
    /// By id.
    pub exchanges: ById<ExchangeId, Exchange>,
    /// By id.
    pub queues: ById<QueueId, Box<Queue>>,
    /// By id.
    pub berths: ById<BerthId, Box<Berth>>,
    /// Users, rights and parameters.
    pub register: Register,
    /// Queues whose rules have just changed: the broker takes them from here.
    pub moved: Vec<QueueId>,
    /// The next id of any kind: one counter for all.
    pub next_id: u32,
    /// Counts changes of what is declared; caches of routes live as long as it stands still.
    pub epoch: u64,
}

impl Ledger {
    /// An id never given before.
    pub fn fresh_id(&self) -> u32 {
        self.next_id
    }

    /// The virtual host of that name.
    pub fn vhost(&self, name: &str) -> Option<VhostId> {
        self.vhost_names.get(name).copied()
    }

    /// The queue of that name.
    pub fn queue_named(&self, vhost: VhostId, name: &str) -> Option<&Queue> {
        let id = self.vhosts.get(&vhost)?.queues.get(name)?;
        self.queues.get(id).map(Box::as_ref)
    }

    /// The exchange of that name.
    pub fn exchange_named(&self, vhost: VhostId, name: &str) -> Option<&Exchange> {
        let id = self.vhosts.get(&vhost)?.exchanges.get(name)?;
        self.exchanges.get(id)
    }

    /// The name of a virtual host.
    pub fn vhost_name(&self, id: VhostId) -> Name {
        self.vhosts.get(&id).map(|v| v.name.clone()).unwrap_or_default()
    }

    /// Makes a change of what is declared. A change that is made already, or whose object is
    /// gone, changes nothing: replay may meet both.
    pub fn apply(&mut self, change: &Change, journal: &mut impl Journal, pages: &mut Vec<PageId>) {
        // Clients come and go all the time, and nothing goes another way for it.
        if !matches!(change, Change::BerthTaken(_) | Change::BerthLeft { .. }) {
            self.epoch += 1;
        }
        match change {
            Change::VhostMade { id, name } => self.make_vhost(*id, name),
            Change::ExchangeDeclared { vhost, id, spec } => {
                self.declare_exchange(*vhost, *id, spec)
            }
            Change::ExchangeDeleted { id } => self.delete_exchange(*id, journal, pages),
            Change::StoreMade { exchange, id } => self.make_store(*exchange, *id),
            Change::QueueDeclared { vhost, id, spec, owner } => {
                self.declare_queue(*vhost, *id, spec);
                if let Some(q) = self.queues.get_mut(id) {
                    q.owner = *owner;
                }
            }
            Change::QueueDeleted { id } => self.delete_queue(*id, journal, pages),
            Change::Bound(way) => self.bind(way),
            Change::Unbound(way) => self.unbind(way),
            Change::VhostNoted { id, metadata } => {
                if let Some(v) = self.vhosts.get_mut(id) {
                    v.metadata = metadata.clone();
                }
            }
            Change::VhostDeleted { id } => {
                if let Some(v) = self.vhosts.remove(id) {
                    self.vhost_names.remove(&v.name);
                    v.berths.values().for_each(|id| drop(self.berths.remove(id)));
                    self.register.forget_vhost(&v.name);
                }
            }
            Change::PolicySet { .. } | Change::PolicyCleared { .. } => self.govern(change),
            Change::BerthTaken(_)
            | Change::BerthLeft { .. }
            | Change::BerthEnded { .. }
            | Change::Followed { .. }
            | Change::Unfollowed { .. } => self.moor(change),
            registered => self.register.apply(registered),
        }
    }

    fn took(&mut self, id: u32) {
        self.next_id = self.next_id.max(id.saturating_add(1));
    }

    fn make_vhost(&mut self, id: VhostId, name: &Name) {
        self.took(id.0);
        self.vhost_names.insert(name.clone(), id);
        self.vhosts.entry(id).or_insert_with(|| Vhost {
            name: name.clone(),
            exchanges: HashMap::new(),
            queues: HashMap::new(),
            berths: HashMap::new(),
            metadata: Table::default(),
            policies: Policies::default(),
        });
    }

    fn declare_exchange(&mut self, vhost: VhostId, id: ExchangeId, spec: &ExchangeSpec) {
        self.took(id.0);
        let Some(v) = self.vhosts.get_mut(&vhost) else { return };
        v.exchanges.insert(spec.name.clone(), id);
        let manner = Manner::of(spec);
        for store in manner.stores(id) {
            self.took(store.id().0);
            let rules = Rules { length_max: manner.keeps_in(store), ..Rules::default() };
            let mut queue = Queue::new(store.id(), vhost, QueueSpec::nameless(spec.durable));
            queue.store = Some(store);
            queue.obey(rules);
            self.queues.entry(store.id()).or_insert_with(|| Box::new(queue));
        }
        self.exchanges.entry(id).or_insert_with(|| Exchange {
            id,
            vhost,
            table: RouteTable::new(manner.chooses, &spec.arguments),
            manner,
            spec: spec.clone(),
            ways: HashSet::new(),
            inbound: HashSet::new(),
            alternate: None,
            window: Window::of(spec),
            retained: None,
            policies: Applied::default(),
        });
        self.govern_exchange(id);
    }

    /// An exchange is to own a queue for what its topics retain.
    fn make_store(&mut self, exchange: ExchangeId, id: QueueId) {
        self.took(id.0);
        let Some(x) = self.exchanges.get_mut(&exchange).filter(|x| x.retained.is_none()) else {
            return;
        };
        // Ids are given once; a damaged log may say otherwise.
        if self.queues.contains_key(&id) {
            return;
        }
        x.retained = Some(id);
        let mut queue = Queue::new(id, x.vhost, QueueSpec::nameless(x.spec.durable));
        queue.store = Some(Store::Retained(exchange, id));
        queue.retained = Some(Box::default());
        self.queues.insert(id, Box::new(queue));
    }

    fn declare_queue(&mut self, vhost: VhostId, id: QueueId, spec: &QueueSpec) {
        self.took(id.0);
        let Some(v) = self.vhosts.get_mut(&vhost) else { return };
        v.queues.insert(spec.name.clone(), id);
        let known = Known::of(&spec.arguments).map(Box::new);
        let make = || Box::new(Queue { known, ..Queue::new(id, vhost, spec.clone()) });
        let queue = self.queues.entry(id).or_insert_with(make);
        queue.obey(Rules::of(&spec.arguments));
        self.govern_queue(id, 0);
    }

    fn delete_exchange(
        &mut self,
        id: ExchangeId,
        journal: &mut impl Journal,
        pages: &mut Vec<PageId>,
    ) {
        let Some(x) = self.exchanges.remove(&id) else { return };
        x.stores().for_each(|store| self.delete_queue(store.id(), journal, pages));
        if let Some(v) = self.vhosts.get_mut(&x.vhost) {
            v.exchanges.remove(&x.spec.name);
        }
        for (source, key) in &x.inbound {
            self.cut(*source, key);
        }
        for key in x.ways {
            match key.target {
                Target::Queue(q) => self.queues.get_mut(&q).map(|q| q.inbound.remove(&(id, key))),
                Target::Exchange(x) => {
                    self.exchanges.get_mut(&x).map(|x| x.inbound.remove(&(id, key)))
                }
            };
        }
    }

    fn delete_queue(&mut self, id: QueueId, journal: &mut impl Journal, pages: &mut Vec<PageId>) {
        let Some(mut q) = self.queues.remove(&id) else { return };
        if let Some(v) = self.vhosts.get_mut(&q.vhost) {
            v.queues.remove(&q.spec.name);
        }
        for (source, key) in q.inbound.iter() {
            self.cut(*source, key);
        }
        if let Some(hearing) = &q.hearing {
            self.forget_hearing(q.vhost, hearing, &q.spec.name);
        }
        q.line.clear(journal, pages);
    }

    /// Takes a way out of the exchange it leaves from.
    fn cut(&mut self, source: ExchangeId, key: &WayKey) {
        if let Some(x) = self.exchanges.get_mut(&source)
            && x.ways.remove(key)
        {
            x.table.remove(key);
        }
    }

    fn bind(&mut self, way: &Way) {
        let key = way.identity();
        let name = match key.target {
            Target::Queue(q) => self.queues.get(&q).map(|q| q.spec.name.clone()),
            Target::Exchange(x) => self.exchanges.get(&x).map(|x| x.spec.name.clone()),
        };
        let Some(name) = name else { return };
        let Some(source) = self.exchanges.get_mut(&way.source) else { return };
        if !source.ways.insert(key.clone()) {
            return;
        }
        source.table.add(&key, &way.arguments, &name);
        match key.target {
            Target::Queue(q) => {
                self.queues.get_mut(&q).map(|q| q.inbound.insert((way.source, key)))
            }
            Target::Exchange(x) => {
                self.exchanges.get_mut(&x).map(|x| x.inbound.insert((way.source, key)))
            }
        };
    }

    fn unbind(&mut self, way: &Way) {
        let key = way.identity();
        self.cut(way.source, &key);
        match key.target {
            Target::Queue(q) => {
                self.queues.get_mut(&q).map(|q| q.inbound.remove(&(way.source, key)))
            }
            Target::Exchange(x) => {
                self.exchanges.get_mut(&x).map(|x| x.inbound.remove(&(way.source, key)))
            }
        };
    }
}
