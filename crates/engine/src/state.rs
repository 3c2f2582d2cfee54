//! The state behind the gate, and one turn of it.

use crate::accounts::{Accounts, Board};
use crate::gate::Gated;
use crate::held::Held;
use crate::journal::{Live, Weights};
use crate::librarian::{Brought, Desk, Job};
use crate::outbox::Outbox;
use crate::pressure::{Load, Pressure};
use crate::settings::Fault;
use lockgate_broker::{Broker, Effects, Io};
use lockgate_model::{Command, Event, Name, Order, Refusal, Run, SessionId, Time};
use lockgate_wal::{Disk, Log, Pos};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::task::Waker;
use std::time::Duration;

/// A segment with less than this share alive is emptied.
const LIVE_SHARE_LEAST: f64 = 0.5;

/// What came of an order.
pub type Done = Result<(), Refusal>;

/// One thing for a turn to do.
pub enum Item {
    /// A session begins.
    Connect(SessionId, Arc<Outbox>),
    /// A session's commands.
    Batch(SessionId, Vec<Command>, Time),
    /// A session is over.
    Gone(SessionId),
    /// An administrator's orders, and where what came of each is wanted once it is committed.
    Orders(Vec<Order>, Time, SyncSender<Vec<Done>>),
    /// What is announced in a virtual host, to clients with berths.
    Announce(Name, Arc<Run>, Time),
    /// The librarian brings something.
    Brought(Brought),
    /// The log has moved on: look what may leave.
    Look,
    /// Nothing can be promised any more.
    Fault(String),
}

/// Where those who work for the state are asked.
pub struct Desks {
    /// Brings blocks.
    pub librarian: Arc<Desk>,
    /// Looks after streams' segments.
    pub shelver: Arc<Desk>,
}

/// So much memory for stages is kept from turn to turn: as many as one turn mostly needs, and
/// none that a burst has made large.
const SPARES_MAX: usize = 64;
const SPARE_EVENTS_MAX: usize = 64;

/// One session's place here.
struct Place {
    outbox: Arc<Outbox>,
    /// Events of this turn.
    stage: Vec<Event>,
}

/// Everything that only one may touch at a time.
pub struct State<D: Disk> {
    pub broker: Broker,
    /// None once the engine has stopped.
    pub log: Option<Log<D>>,
    pub weights: Weights,
    pub held: Held,
    pub pressure: Pressure,
    pub desks: Desks,
    pub memory_max: u64,
    /// Confirm early and write late: a planted bug that the checkers must find.
    pub planted: bool,
    /// What to do when nothing can be promised any more.
    pub fault: Fault,
    /// The users as they stand.
    pub board: Arc<Board>,
    /// What came of orders, each with the position that must be committed first.
    done: Vec<(u64, Vec<Done>, SyncSender<Vec<Done>>)>,
    /// The segment that is being emptied.
    emptying: Option<Pos>,
    /// Segments in which nothing lives, once the log is synced that far: until then a power
    /// cut could bring back what lived there.
    dying: Vec<(Pos, Pos)>,
    /// Files that are not needed any more, once the log is synced that far.
    discards: VecDeque<(u64, Io)>,
    places: HashMap<SessionId, Place>,
    /// Sessions with something on the stage.
    touched: Vec<SessionId>,
    /// Memory for stages: idle sessions have none.
    spare: Vec<Vec<Event>>,
    effects: Effects,
    /// A session asked for something since the last tick.
    busy: bool,
}

impl<D: Disk> Gated for State<D> {
    type Item = Item;

    fn take(&mut self, item: Item) {
        match item {
            Item::Connect(session, outbox) => self.connect(session, outbox),
            Item::Batch(session, mut commands, now) => self.batch(session, &mut commands, now),
            Item::Gone(session) => {
                self.batch(session, &mut vec![Command::Gone], Time::default());
                self.places.remove(&session);
                self.pressure.forget(session);
            }
            Item::Orders(orders, now, told) => self.orders(orders, now, told),
            Item::Announce(vhost, run, now) => self.announce(&vhost, &run, now),
            Item::Brought(brought) => self.brought(brought),
            Item::Look => {}
            Item::Fault(why) => (self.fault)(&why),
        }
    }

    fn finish(&mut self, wake: &mut Vec<Waker>) {
        self.finish_for(None, wake);
    }

    fn broken(&self) {
        (self.fault)("the engine broke down");
    }
}

impl<D: Disk> State<D> {
    pub fn new(
        broker: Broker,
        log: Log<D>,
        weights: Weights,
        desks: Desks,
        memory_max: u64,
        planted: bool,
        fault: Fault,
    ) -> State<D> {
        State {
            broker,
            log: Some(log),
            weights,
            held: Held::default(),
            pressure: Pressure::default(),
            desks,
            memory_max,
            planted,
            fault,
            board: Arc::default(),
            done: Vec::new(),
            emptying: None,
            dying: Vec::new(),
            discards: VecDeque::new(),
            places: HashMap::new(),
            touched: Vec::new(),
            spare: Vec::new(),
            effects: Effects::default(),
            busy: false,
        }
    }

    fn brought(&mut self, brought: Brought) {
        match brought {
            Brought::Block(key, run) => self.broker.loaded(key, run),
            Brought::Missed(key, place) => {
                if !self.broker.missed(key, place) {
                    (self.fault)(&format!(
                        "{place:?} of {key:?} is gone, and something lives there"
                    ));
                }
            }
            Brought::Record(kind, body, place) => {
                let Some(log) = &mut self.log else { return };
                let mut journal = Live { log, weights: &mut self.weights };
                let moved = self.broker.relocate(kind, &body, place, &mut journal);
                if let Err(e) = moved {
                    (self.fault)(&format!("moving a record: {e}"));
                }
            }
            Brought::Moved => self.emptying = None,
            Brought::Kept { .. }
            | Brought::Unkept(_)
            | Brought::Chunks { .. }
            | Brought::Sought { .. } => self.shelved(brought),
            Brought::Failed(why) => (self.fault)(&why),
        }
    }

    /// What the shelver says.
    fn shelved(&mut self, brought: Brought) {
        let Some(log) = &mut self.log else { return };
        let mut journal = Live { log, weights: &mut self.weights };
        match brought {
            Brought::Kept { stream, segment, end, bytes } => {
                let out = &mut self.effects;
                self.broker.kept(stream, segment, end, bytes, &mut journal, out);
            }
            Brought::Unkept(stream) => self.broker.unkept(stream),
            Brought::Chunks { stream, from, found } => {
                let there = self.broker.chunks_came(stream, from, found);
                let why = || format!("entry {from} of {stream:?} is not where it was kept");
                if !there {
                    (self.fault)(&why());
                }
            }
            Brought::Sought { stream, segment, time, number } => {
                self.broker.sought(stream, segment, time, number);
            }
            _ => {}
        }
    }

    fn connect(&mut self, session: SessionId, outbox: Arc<Outbox>) {
        self.broker.connect(session);
        self.places.insert(session, Place { outbox, stage: Vec::new() });
        let standing: Vec<_> = self.pressure.standing().collect();
        for alarm in standing {
            self.stage(session, Event::Alarm { alarm, raised: true });
        }
    }

    /// Does a session's commands.
    pub fn batch(&mut self, session: SessionId, commands: &mut Vec<Command>, now: Time) {
        let Some(log) = &mut self.log else {
            commands.clear();
            return;
        };
        let mut journal = Live { log, weights: &mut self.weights };
        self.busy = true;
        let mut published = false;
        for command in commands.drain(..) {
            published |= matches!(command, Command::Publish { .. });
            self.broker.handle(session, command, now, &mut journal, &mut self.effects);
        }
        if published && self.pressure.pauses(session) {
            self.stage(session, Event::Pause);
        }
    }

    fn orders(&mut self, orders: Vec<Order>, now: Time, told: SyncSender<Vec<Done>>) {
        // Once it has stopped nobody is told: whoever waits sees that nobody can.
        let Some(log) = &mut self.log else { return };
        let mut journal = Live { log, weights: &mut self.weights };
        let (mut after, mut done) = (0, Vec::with_capacity(orders.len()));
        for order in orders {
            let obeyed = self.broker.administer(order, now, &mut journal, &mut self.effects);
            done.push(obeyed.map(|position| after = position.max(after)));
        }
        self.done.push((after, done, told));
        self.post_accounts();
    }

    fn announce(&mut self, vhost: &str, run: &Arc<Run>, now: Time) {
        let Some(log) = &mut self.log else { return };
        let mut journal = Live { log, weights: &mut self.weights };
        self.broker.announce(vhost, run, now, &mut journal, &mut self.effects);
    }

    /// Lets whoever judges logins know of the users as they are now.
    pub fn post_accounts(&mut self) {
        let revision = self.broker.users_revision();
        if self.board.latest().revision != revision {
            let users = self.broker.users().cloned().collect();
            self.board.post(Accounts { revision, users });
        }
    }

    /// Ends a turn: delivers, hands the log to its writer, moves events to the outboxes.
    /// `current` is the session whose task runs this: it looks for itself. The others'
    /// wakers are put into `wake`, to be woken outside the gate.
    pub fn finish_for(&mut self, current: Option<SessionId>, wake: &mut Vec<Waker>) {
        let Some(log) = &mut self.log else { return };
        let mut journal = Live { log, weights: &mut self.weights };
        let committed = journal.log.committed().0;
        self.broker.committed(committed, &mut journal);
        self.broker.deliver(&mut journal, &mut self.effects);
        if !self.planted {
            log.flush();
        }
        let (committed, synced) = (log.committed().0, log.synced().0);
        let storing = self.desks.librarian.storing.load(Relaxed);
        let load = Load {
            under_way: log.backlog().max(storing).max(self.broker.keeping_bytes()),
            resident: self.broker.resident(),
            resident_max: self.memory_max,
            disk_low: log.space().low,
        };
        // What was held is older than what this turn brings.
        self.release(committed);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.events.drain(..) {
            if effect.after <= committed || self.planted {
                self.stage(effect.session, effect.event);
            } else {
                self.held.push(effect.after, effect.session, effect.event);
            }
        }
        self.ask(&mut effects.io, synced);
        self.effects = effects;
        self.press(load);
        self.post(current, wake);
    }

    /// Hands work for the disk to those who do it.
    fn ask(&mut self, io: &mut Vec<Io>, synced: u64) {
        for io in io.extract_if(.., |io| {
            !matches!(io, Io::Load { .. } | Io::LoadPage { .. } | Io::Store { .. } | Io::Free(_))
        }) {
            match io {
                Io::Discard { after, .. } => self.discards.push_back((after, io)),
                _ => self.desks.shelver.ask([Job::Io(io)]),
            }
        }
        if !io.is_empty() {
            self.desks.librarian.ask(io.drain(..).map(Job::Io));
        }
        while let Some((_, io)) = self.discards.pop_front_if(|(after, _)| *after <= synced) {
            self.desks.shelver.ask([Job::Io(io)]);
        }
    }

    /// Lets go what waited for the log.
    fn release(&mut self, committed: u64) {
        while let Some((session, event)) = self.held.pop(committed) {
            self.stage(session, event);
        }
        for (_, done, told) in
            self.done.extract_if(.., |(after, ..)| *after <= committed || self.planted)
        {
            // Who asked may have gone.
            let _ = told.try_send(done);
        }
    }

    fn press(&mut self, load: Load) {
        let mut single = Vec::new();
        let mut common = Vec::new();
        self.pressure.measure(load, |s, e| single.push((s, e)), |e| common.push(e));
        for (session, event) in single {
            self.stage(session, event);
        }
        if !common.is_empty() {
            let all: Vec<SessionId> = self.places.keys().copied().collect();
            for session in all {
                common.iter().for_each(|e| self.stage(session, e.clone()));
            }
        }
    }

    fn stage(&mut self, session: SessionId, event: Event) {
        if let Some(place) = self.places.get_mut(&session) {
            if place.stage.is_empty() {
                self.touched.push(session);
                place.stage = self.spare.pop().unwrap_or_default();
            }
            place.stage.push(event);
        }
    }

    fn post(&mut self, current: Option<SessionId>, wake: &mut Vec<Waker>) {
        for session in self.touched.drain(..) {
            let Some(place) = self.places.get_mut(&session) else { continue };
            let waker = place.outbox.put(&mut place.stage);
            let room = std::mem::take(&mut place.stage);
            if (1..=SPARE_EVENTS_MAX).contains(&room.capacity()) && self.spare.len() < SPARES_MAX {
                self.spare.push(room);
            }
            if current != Some(session) {
                wake.extend(waker);
            }
        }
    }

    /// What time demands: what is due in the broker, checkpoints, dead segments. Says
    /// when the broker wants it again, and whether there is other work.
    pub fn tick(&mut self, now: Time) -> (Option<Time>, bool) {
        let Some(log) = &mut self.log else { return (None, false) };
        let mut journal = Live { log, weights: &mut self.weights };
        let due = self.broker.tick(now, &mut journal, &mut self.effects);
        if self.planted {
            log.flush();
        }
        let elapsed = Duration::from_micros(now.0);
        if log.checkpoint_due(elapsed) {
            let snapshot = self.broker.snapshot();
            log.checkpoint(log.end(), snapshot, elapsed);
        }
        self.bury();
        self.empty_one();
        // Whoever is there may publish what is due before long.
        (due, std::mem::take(&mut self.busy) || !self.places.is_empty())
    }

    /// Releases segments in which nothing lives.
    fn bury(&mut self) {
        let Some(log) = &mut self.log else { return };
        let known = |base| self.dying.iter().any(|(b, _)| *b == base);
        let dead = |s: &lockgate_wal::SegmentInfo| {
            s.sealed && self.weights.of(s.base) <= 0 && !known(s.base)
        };
        let bases: Vec<Pos> = log.segments().filter(dead).map(|s| s.base).collect();
        let (end, synced) = (log.end(), log.synced());
        self.dying.extend(bases.into_iter().map(|base| (base, end)));
        for (base, _) in self.dying.extract_if(.., |(_, until)| *until <= synced) {
            log.release(base);
            self.weights.close(base);
        }
    }

    /// Begins to empty the oldest segment in which little lives.
    fn empty_one(&mut self) {
        let Some(log) = &self.log else { return };
        if self.emptying.is_some() {
            return;
        }
        let sparse = |s: &lockgate_wal::SegmentInfo| {
            let size = s.end.0.saturating_sub(s.base.0) as f64;
            let dying = self.dying.iter().any(|(base, _)| *base == s.base);
            s.sealed && !dying && (self.weights.of(s.base) as f64) < size * LIVE_SHARE_LEAST
        };
        let Some(segment) = log.segments().find(sparse) else { return };
        self.emptying = Some(segment.base);
        let places = self.broker.live_places(segment.base.0, segment.end.0);
        self.desks.librarian.ask([Job::Move(places)]);
    }

    /// The last turn: what waits is marked, the log is closed.
    pub fn stop(&mut self) -> std::io::Result<()> {
        let Some(mut log) = self.log.take() else { return Ok(()) };
        let mut journal = Live { log: &mut log, weights: &mut self.weights };
        self.broker.deliver(&mut journal, &mut self.effects);
        self.broker.rest(&mut journal);
        self.desks.librarian.ask([Job::Stop]);
        self.desks.shelver.ask([Job::Stop]);
        self.done.clear();
        log.close()
    }
}

/// Whoever works for the state ends with it, also where nobody stopped it in order.
impl<D: Disk> Drop for State<D> {
    fn drop(&mut self) {
        self.desks.librarian.ask([Job::Stop]);
        self.desks.shelver.ask([Job::Stop]);
    }
}
