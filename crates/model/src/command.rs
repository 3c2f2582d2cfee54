//! What a front asks of the engine. Commands of one session are done in the order given.

use crate::{
    Attachment, Binding, Consumer, ExchangeSpec, Interest, Lane, Lasting, LeaseId, Mark, Name,
    QueueSpec, Run, Table, Ticket,
};
use std::sync::Arc;

/// One thing asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Messages to be routed, in order.
    Publish {
        /// The strand that publishes.
        lane: Lane,
        /// The messages.
        run: Arc<Run>,
        /// The ticket of the first message, if each is to be confirmed; the next ones count up.
        confirm: Option<Ticket>,
    },
    /// Messages of a berth's client to be routed, in order, each once: one under a mark that is
    /// open is confirmed and not routed again. Marks stay open until they are released.
    PublishOnce {
        /// The strand that publishes.
        lane: Lane,
        /// The messages.
        run: Arc<Run>,
        /// Theirs, one for each.
        marks: Vec<Mark>,
        /// The ticket of the first message; the next ones count up.
        confirm: Ticket,
    },
    /// Marks of messages published once are open no more. Each is confirmed.
    Release {
        /// The strand.
        lane: Lane,
        /// Which; those that are not open count, too.
        marks: Vec<Mark>,
        /// The ticket of the first; the next ones count up.
        confirm: Ticket,
    },
    /// Entries `from..from + count` of a lease have been received: they are settled, and their
    /// marks are remembered. Each is confirmed.
    Received {
        /// The strand.
        lane: Lane,
        /// The lease, as delivered.
        lease: LeaseId,
        /// The first entry's place in the lease.
        from: u32,
        /// Their marks, one for each entry.
        marks: Vec<Mark>,
        /// The ticket of the first; the next ones count up.
        confirm: Ticket,
    },
    /// Marks of what was received are forgotten.
    Completed(Vec<Mark>),
    /// The client of a berth leaves as agreed.
    Depart {
        /// Its will is published all the same.
        will: bool,
        /// From now on the berth outlives it so long; none = as it was.
        lasting: Option<Lasting>,
    },
    /// A request that has one answer, under the ticket.
    Ask {
        /// The strand that asks.
        lane: Lane,
        /// Comes back with the answer.
        ticket: Ticket,
        /// What is asked.
        request: Request,
    },
    /// Entries `from..from + count` of a lease are done with. Each entry is settled once.
    Settle {
        /// The lease, as delivered.
        lease: LeaseId,
        /// The first entry's place in the lease.
        from: u32,
        /// How many.
        count: u32,
        /// What became of them.
        outcome: Outcome,
    },
    /// Deliveries of this cost have reached the peer: as much may be sent again.
    Window(u64),
    /// The strand's deliveries pause (or go on): what it has keeps, nothing new comes.
    Flow {
        /// The strand.
        lane: Lane,
        /// True to deliver, false to pause.
        active: bool,
    },
    /// The strand is over: its subscriptions end, its leases return.
    Leave(Lane),
    /// The session is over: all its strands leave, its exclusive queues go.
    Gone,
}

/// What became of delivered entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done: the entry goes.
    Accept,
    /// Back to its place, to be delivered again: whoever had it could not take it now.
    Requeue,
    /// The same, but whoever had it failed over it.
    Failed,
    /// Refused: it goes, to its dead-letter target if there is one.
    Discard,
}

/// A request with an answer.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields say it
pub enum Request {
    /// Enter a virtual host; the first request of a session.
    Open {
        vhost: Name,
        user: Name,
    },
    /// Opens a strand, where the answer to `Open` said that they are counted.
    OpenLane,
    /// Takes a berth: from then on what came for it is delivered, under the handles `PASSING`,
    /// `SETTLING` and those of shared interests. Once in a session, after `Open`.
    Attach(Box<Attachment>),
    /// Declares interests of the berth's client; those of the same filter are replaced.
    Follow(Vec<Interest>),
    /// Ends the interests of these filters.
    Unfollow(Vec<Name>),
    DeclareExchange(ExchangeSpec),
    /// Is there such an exchange?
    FindExchange(Name),
    DeleteExchange {
        name: Name,
        if_unused: bool,
    },
    DeclareQueue(QueueSpec),
    /// Makes a queue under a name of the broker's own for this session alone: transient,
    /// exclusive, gone with its last subscriber. Whoever knows the name can publish to it.
    OpenMailbox {
        name: Name,
    },
    /// Is there such a queue, and how much is in it?
    FindQueue(Name),
    DeleteQueue {
        name: Name,
        if_unused: bool,
        if_empty: bool,
    },
    Purge(Name),
    Bind(Binding),
    Unbind(Binding),
    Subscribe(Subscription),
    /// Ends a subscription; one that is not there is as good as ended.
    Cancel(Consumer),
    /// One message, if there is one; leased unless `settled`.
    Get {
        queue: Name,
        settled: bool,
    },
    /// Most entries that the whole lane may hold unsettled; none = no limit.
    ShareLimit(Option<u32>),
    /// All steps or none, in the log as in effect.
    Commit(Vec<Step>),
}

/// One step of a transaction.
#[derive(Clone, Debug)]
pub enum Step {
    /// As `Command::Publish`, without confirmation.
    Publish(Arc<Run>),
    /// As `Command::Settle`.
    Settle {
        /// The lease, as delivered.
        lease: LeaseId,
        /// The first entry's place in the lease.
        from: u32,
        /// How many.
        count: u32,
        /// What became of them.
        outcome: Outcome,
    },
}

/// A subscription to a queue.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// The queue.
    pub queue: Name,
    /// The front's handle; deliveries carry it.
    pub consumer: Consumer,
    /// What operators see: AMQP's consumer tag, STOMP's id.
    pub tag: Name,
    /// Delivered is done: no leases.
    pub settled: bool,
    /// No other subscriber beside this one.
    pub exclusive: bool,
    /// Most entries it may hold unsettled; none = no limit.
    pub limit: Option<u32>,
    /// Arguments as given.
    pub arguments: Table,
}
