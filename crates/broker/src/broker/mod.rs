//! The three verbs: a command is decided, its record applied, and what can be delivered
//! is delivered. Each conversation has a file of its own.

mod administer;
mod announce;
mod arguments;
mod backlog;
mod berths;
mod bindings;
mod bound;
mod copies;
mod counts;
mod dead;
mod delay;
mod exchanges;
mod expire;
mod get;
mod grouped;
mod holdings;
mod kinds;
mod leave;
mod limits;
mod orders;
mod overdue;
mod policies;
mod publish;
mod queues;
mod reach;
mod recover;
mod remind;
mod repeats;
mod replay;
mod retained;
mod returns;
mod routes;
mod settle;
mod stores;
mod story;
mod stream;
mod subscribe;
mod sure;
mod together;
mod vhosts;

use crate::change::Change;
use crate::dice::Dice;
use crate::dispatch::{Desk, Dispatch, Finder, SessionState};
use crate::id::{BerthId, PageId, QueueId};
use crate::journal::{Effect, Effects, Io, Journal};
use crate::ledger::Ledger;
use crate::record::{self};
pub use berths::Mooring;
pub use counts::Counts;
use lockgate_model::{
    Answer, Command, Event, Lane, Name, Refusal, Request, SessionId, Step, Ticket, Time,
};
use routes::Routes;
use std::collections::{BTreeSet, VecDeque};

/// What the broker is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How much of one queue's backlog stays in memory, in bytes.
    pub queue_resident: u64,
    /// Above this much of all queues' messages in memory, each keeps only a little.
    pub resident_max: u64,
    /// Seeds the names that the broker chooses.
    pub seed: u64,
    /// The header by which messages name the group they belong to; empty for no groups.
    pub group_header: Name,
    /// Most topics of an exchange that retain a message.
    pub retained_max: u64,
    /// Most bytes of what they retain, with the memory that finds it.
    pub retained_bytes_max: u64,
    /// Most messages that wait in all berths together.
    pub berths_messages_max: u64,
    /// Most bytes of their bodies.
    pub berths_bytes_max: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            queue_resident: 8 << 20,
            resident_max: 1 << 30,
            seed: 0,
            group_header: "JMSXGroupID".into(),
            retained_max: 1_000_000,
            retained_bytes_max: 1 << 30,
            berths_messages_max: 10_000_000,
            berths_bytes_max: 16 << 30,
        }
    }
}

/// The broker.
#[derive(Debug)]
pub struct Broker {
    ledger: Ledger,
    dispatch: Dispatch,
    routes: Routes,
    groups: Finder,
    settings: Settings,
    /// Bytes of messages in memory, over all queues.
    resident: u64,
    /// Entries settled in this turn and not yet in the log.
    unlogged: Vec<(QueueId, u64, u64)>,
    /// Pages that are not needed any more.
    freed: Vec<PageId>,
    next_page: u64,
    next_order: u64,
    dice: Dice,
    published: u64,
    unroutable: u64,
    expired: u64,
    dropped: u64,
    letters_lost: u64,
    rejected: u64,
    worn_out: u64,
    timed_out: u64,
    /// The log is committed up to here.
    committed: u64,
    /// What is stored and not committed, of queues that care, in the order of the log.
    unsure: VecDeque<sure::Unsure>,
    delayed_lost: u64,
    uncrossed: u64,
    repeats: u64,
    not_retained: u64,
    /// When the load of all berths was last looked at, in milliseconds.
    weighed: u64,
    /// It was more than it may be.
    crowded: bool,
    /// Who clears a topic that is clear already waits for the log to be committed up to here.
    cleared: u64,
    /// What is retained and on its way to who is newly interested.
    replays: replay::Replays,
    /// What repeats must wait for: as far as the log says what was seen.
    marked: u64,
    /// The latest time that anybody told.
    now: Time,
    /// When queues want to be looked at, in milliseconds.
    timers: BTreeSet<(u64, QueueId)>,
    /// When berths whose clients are away want to be looked at.
    tides: BTreeSet<(u64, BerthId)>,
    /// Ends of subscriptions to be told when the command is answered.
    farewells: Vec<Effect>,
    /// Bindings that wait for the disk.
    reminders: Vec<remind::Reminder>,
    /// Records are being written that belong together, since the log stood here.
    grouped: Option<u64>,
    /// Streams that have something to be kept.
    keeping: Vec<QueueId>,
    /// Streams whose segments there is no room for.
    stalled: Vec<QueueId>,
    /// Replay only: records of a group whose end has not come yet.
    group: Option<Vec<recover::Kept>>,
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug)]
struct Asker {
    session: SessionId,
    lane: Lane,
    ticket: Ticket,
}

type Answered = Result<(Answer, u64), Refusal>;

impl Broker {
    /// An empty broker.
    pub fn new(settings: Settings) -> Broker {
        Broker {
            ledger: Ledger::default(),
            dispatch: Dispatch::default(),
            routes: Routes::default(),
            groups: Finder::new(&settings.group_header),
            resident: 0,
            unlogged: Vec::new(),
            freed: Vec::new(),
            next_page: 0,
            next_order: 0,
            dice: Dice::new(settings.seed),
            published: 0,
            unroutable: 0,
            expired: 0,
            dropped: 0,
            letters_lost: 0,
            rejected: 0,
            worn_out: 0,
            timed_out: 0,
            committed: 0,
            unsure: VecDeque::new(),
            now: Time::default(),
            timers: BTreeSet::new(),
            tides: BTreeSet::new(),
            uncrossed: 0,
            farewells: Vec::new(),
            reminders: Vec::new(),
            grouped: None,
            delayed_lost: 0,
            repeats: 0,
            not_retained: 0,
            weighed: 0,
            crowded: false,
            cleared: 0,
            replays: replay::Replays::default(),
            marked: 0,
            keeping: Vec::new(),
            stalled: Vec::new(),
            group: None,
            settings,
        }
    }

    /// A session begins.
    pub fn connect(&mut self, session: SessionId) {
        self.dispatch.sessions.insert(session, Box::new(SessionState::new()));
    }

    /// Does one command of a session.
    pub fn handle(
        &mut self,
        session: SessionId,
        command: Command,
        now: Time,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        if !self.dispatch.sessions.contains_key(&session) {
            return;
        }
        self.pass_time(now);
        match command {
            Command::Publish { lane, run, confirm } => {
                self.publish(session, lane, &run, confirm, journal, out);
            }
            Command::Settle { lease, from, count, outcome } => {
                self.settle(session, lease, from, count, outcome, journal);
            }
            Command::Ask { lane, ticket, request } => {
                let asker = Asker { session, lane, ticket };
                self.ask(asker, request, journal, out);
            }
            Command::Window(bytes) => self.widen(session, bytes),
            Command::Flow { lane, active } => self.flow(session, lane, active),
            Command::Leave(lane) => self.leave(session, lane, journal, out),
            Command::Gone => self.gone(session, journal, out),
            Command::PublishOnce { lane, run, marks, confirm } => {
                self.publish_once(session, lane, &run, &marks, confirm, journal, out);
            }
            Command::Release { lane, marks, confirm } => {
                self.release_marks(session, lane, &marks, confirm, journal, out);
            }
            Command::Received { lane, lease, from, marks, confirm } => {
                self.received(session, lane, lease, from, &marks, confirm, journal, out);
            }
            Command::Completed(marks) => self.completed(session, &marks, journal),
            Command::Depart { will, lasting } => self.depart(session, will, lasting, journal),
        }
        out.events.append(&mut self.farewells);
    }

    /// Time never goes back.
    fn pass_time(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.dispatch.now = self.now;
    }

    fn ask(
        &mut self,
        asker: Asker,
        request: Request,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let answered = match request {
            Request::Open { vhost, user } => self.open(asker.session, &vhost, user),
            Request::OpenLane => self.open_lane(asker.session, asker.lane),
            Request::Attach(wish) => self.attach(asker, *wish, journal, out),
            Request::Follow(wishes) => self.follow(asker.session, wishes, journal, out),
            Request::Unfollow(filters) => self.unfollow(asker.session, filters, journal, out),
            Request::DeclareExchange(spec) => self.declare_exchange(asker.session, spec, journal),
            Request::FindExchange(name) => self.find_exchange(asker.session, &name),
            Request::DeleteExchange { name, if_unused } => {
                self.delete_exchange(asker.session, &name, if_unused, journal)
            }
            Request::DeclareQueue(spec) => self.declare_queue(asker.session, spec, journal),
            Request::OpenMailbox { name } => self.open_mailbox(asker.session, name, journal),
            Request::FindQueue(name) => self.find_queue(asker.session, &name),
            Request::DeleteQueue { name, if_unused, if_empty } => {
                self.delete_queue(asker.session, &name, if_unused, if_empty, journal, out)
            }
            Request::Purge(name) => self.purge(asker.session, &name, journal),
            Request::Bind(binding) => {
                match self.bind_and_remind(asker, binding, journal, out) {
                    Some(answered) => answered,
                    None => return, // answered when the disk has brought what goes before
                }
            }
            Request::Unbind(binding) => self.bind(asker.session, &binding, false, journal),
            Request::Subscribe(subscription) => {
                self.subscribe(asker.session, asker.lane, subscription)
            }
            Request::Cancel(consumer) => self.cancel(asker.session, consumer, journal, out),
            Request::Get { queue, settled } => {
                match self.get(asker, &queue, settled, journal, out) {
                    Ok(Some(got)) => Ok(got),
                    Ok(None) => return, // answered when the disk has brought it
                    Err(refusal) => Err(refusal),
                }
            }
            Request::ShareLimit(limit) => {
                if let Some(lane) = self.dispatch.lane(asker.session, asker.lane) {
                    lane.limit = limit;
                }
                self.dispatch.revive_all(asker.session, Some(asker.lane));
                Ok((Answer::Done, 0))
            }
            Request::Commit(steps) => self.commit(asker, steps, journal, out),
        };
        self.answer(asker, answered, out);
    }

    fn answer(&self, asker: Asker, answered: Answered, out: &mut Effects) {
        let Asker { session, lane, ticket } = asker;
        let (after, result) = match answered {
            Ok((answer, after)) => (after, Ok(answer)),
            Err(refusal) => (0, Err(refusal)),
        };
        out.after(after, session, Event::Answer { lane, ticket, result });
    }

    /// A transaction: nothing of it is done unless all can be, and its records stand between
    /// two marks, so that replay takes all or none.
    fn commit(
        &mut self,
        asker: Asker,
        steps: Vec<Step>,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Answered {
        for step in &steps {
            if let Step::Publish(run) = step {
                self.check_routes(asker.session, run)?;
            }
        }
        self.begin_group(journal);
        let mut whole = true;
        for step in steps {
            match step {
                Step::Publish(run) => {
                    whole &= self.publish(asker.session, asker.lane, &run, None, journal, out);
                }
                Step::Settle { lease, from, count, outcome } => {
                    self.settle(asker.session, lease, from, count, outcome, journal);
                }
            }
        }
        let end = self.end_group(journal);
        if whole {
            Ok((Answer::Done, end))
        } else {
            // A full queue says no only when it is asked; RabbitMQ says it in these words.
            Err(Refusal::Limit("partial tx completion".into()))
        }
    }

    /// Makes a change, in the log too if it is to last; returns what its answer must wait for.
    fn change(&mut self, change: &Change, lasting: bool, journal: &mut impl Journal) -> u64 {
        let mut after = 0;
        if lasting {
            after =
                journal.append(record::kind::MADE, |out| record::write_change(change, out)).end();
        }
        match change {
            Change::QueueDeleted { id } => {
                self.forget_line(*id);
                self.stop_replays(*id);
            }
            Change::ExchangeDeleted { id } => self.close_stores(*id),
            _ => {}
        }
        self.ledger.apply(change, journal, &mut self.freed);
        match change {
            Change::QueueDeclared { id, .. } => {
                let single = self.ledger.queues.get(id).is_some_and(|q| q.rules.single);
                let desk = || Box::new(Desk { single, ..Desk::default() });
                self.dispatch.desks.entry(*id).or_insert_with(desk);
                self.open_stream(*id);
                self.touch(*id);
            }
            Change::ExchangeDeclared { id, .. } | Change::StoreMade { exchange: id, .. } => {
                self.open_stores(*id);
            }
            _ => {}
        }
        after
    }

    /// The end of a turn: delivers what can be delivered and logs what was settled.
    pub fn deliver(&mut self, journal: &mut impl Journal, out: &mut Effects) {
        while let Some(queue) = self.dispatch.ready.pop() {
            if let Some(desk) = self.dispatch.desks.get_mut(&queue) {
                desk.awake = false;
            }
            self.deliver_from(queue, journal, out);
            self.go_on_replaying(queue, journal, out);
        }
        while let Some(queue) = self.dispatch.unarmed.pop() {
            self.arm(queue);
        }
        out.events.append(&mut self.farewells);
        self.keep(out);
        self.log_settled(journal);
        out.io.extend(self.freed.drain(..).map(Io::Free));
    }

    /// Deliveries of this cost have left: more may follow.
    fn widen(&mut self, session: SessionId, bytes: u64) {
        let Some(s) = self.dispatch.sessions.get_mut(&session) else { return };
        let was_shut = s.window <= 0;
        s.window = s.window.saturating_add_unsigned(bytes).min(crate::dispatch::WINDOW_BYTES);
        if was_shut && s.window > 0 {
            self.dispatch.revive_all(session, None);
        }
    }

    fn flow(&mut self, session: SessionId, lane: Lane, active: bool) {
        if let Some(l) = self.dispatch.lane(session, lane) {
            l.active = active;
        }
        if active {
            self.dispatch.revive_all(session, Some(lane));
        }
    }

    /// Bytes of messages in memory.
    pub fn resident(&self) -> u64 {
        self.resident
    }
}
