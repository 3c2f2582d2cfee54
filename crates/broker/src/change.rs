//! A change of what is declared.

use crate::id::{ExchangeId, QueueId, VhostId};
use crate::way::Way;
use lockgate_model::{
    ExchangeSpec, Name, Parameter, Permission, Policy, QueueSpec, SessionId, Table, Tier,
    TopicPermission, User,
};

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
    ParameterSet(Parameter),
    ParameterCleared {
        vhost: Option<Name>,
        component: Name,
        name: Name,
    },
}
