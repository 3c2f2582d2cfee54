//! A change of what is declared.

use crate::id::{BerthId, ExchangeId, QueueId, VhostId};
use crate::way::Way;
use lockgate_model::{
    Caps, ExchangeSpec, Interest, Lasting, Name, Parameter, Permission, Policy, QueueSpec,
    SessionId, Table, Tier, TopicPermission, User, Will,
};

/// A berth as it is taken.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // as in `Berth`
pub struct BerthSpec {
    pub id: BerthId,
    pub vhost: VhostId,
    pub client: Name,
    pub exchange: ExchangeId,
    pub passing: Name,
    pub settling: Name,
    pub lasting: Lasting,
    pub caps: Caps,
    pub will: Option<Will>,
    /// It is in the log, which who reads it there knows.
    pub logged: bool,
}

/// A change of what is declared.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields say it
pub enum Change {
    VhostMade {
        id: VhostId,
        name: Name,
    },
    ExchangeDeclared {
        vhost: VhostId,
        id: ExchangeId,
        spec: ExchangeSpec,
    },
    ExchangeDeleted {
        id: ExchangeId,
    },
    /// An exchange owns a queue from now on, for what its topics retain.
    StoreMade {
        exchange: ExchangeId,
        id: QueueId,
    },
    /// The owner of an exclusive queue is a live session: such a queue is never in the log.
    QueueDeclared {
        vhost: VhostId,
        id: QueueId,
        spec: QueueSpec,
        owner: Option<SessionId>,
    },
    QueueDeleted {
        id: QueueId,
    },
    Bound(Way),
    Unbound(Way),
    VhostNoted {
        id: VhostId,
        metadata: Table,
    },
    /// All that was in it has been deleted before.
    VhostDeleted {
        id: VhostId,
    },
    UserSet(User),
    UserDeleted(Name),
    PermissionSet(Permission),
    PermissionCleared {
        user: Name,
        vhost: Name,
    },
    TopicPermissionSet(TopicPermission),
    TopicPermissionCleared {
        user: Name,
        vhost: Name,
        exchange: Option<Name>,
    },
    /// Lifetimes that it brings count from `at`, in milliseconds, for what waits already.
    PolicySet {
        vhost: VhostId,
        tier: Tier,
        policy: Policy,
        at: u64,
    },
    PolicyCleared {
        vhost: VhostId,
        tier: Tier,
        name: Name,
        at: u64,
    },
    /// Made, or taken again by its client.
    BerthTaken(Box<BerthSpec>),
    /// Its client has left it, at that time in milliseconds; none if it stays and only says how
    /// it wants to leave.
    BerthLeft {
        id: BerthId,
        at: Option<u64>,
        lasting: Lasting,
        /// Its will is still to be published.
        will: bool,
    },
    BerthEnded {
        id: BerthId,
    },
    Followed {
        id: BerthId,
        interest: Interest,
    },
    Unfollowed {
        id: BerthId,
        filter: Name,
    },
    ParameterSet(Parameter),
    ParameterCleared {
        vhost: Option<Name>,
        component: Name,
        name: Name,
    },
}
