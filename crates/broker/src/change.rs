//! A change of what is declared.

use crate::id::{ExchangeId, QueueId, VhostId};
use crate::way::Way;
use lockgate_model::{ExchangeSpec, Name, QueueSpec, SessionId};

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
}
