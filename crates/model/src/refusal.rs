//! The broker's no, in words that no protocol owns. Each front spells them its own way,
//! matching every one: a new refusal does not compile until each front can say it.

use crate::Name;

/// What kind of thing a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Object {
    Queue,
    Exchange,
}

impl Object {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Object::Queue => "queue",
            Object::Exchange => "exchange",
        }
    }
}

/// The right that was wanting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Verb {
    Configure,
    Write,
    Read,
}

impl Verb {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Configure => "configure",
            Verb::Write => "write",
            Verb::Read => "read",
        }
    }
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such queue or exchange.
    Missing {
        /// What was sought.
        object: Object,
        /// Its name.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// There is no such virtual host.
    NoVhost(Name),
    /// The user may not enter the virtual host.
    VhostDenied {
        /// Where.
        vhost: Name,
        /// Who.
        user: Name,
    },
    /// The user's rights do not cover it.
    Denied {
        /// The right wanting.
        verb: Verb,
        /// What it was wanted for.
        object: Object,
        /// Its name.
        name: Name,
        /// Where.
        vhost: Name,
        /// Who.
        user: Name,
    },
    /// The queue is exclusive to another session.
    Locked {
        /// The queue.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// It exists and was declared otherwise.
    Inequivalent {
        /// What it is.
        object: Object,
        /// Its name.
        name: Name,
        /// Where.
        vhost: Name,
        /// The field or argument that differs.
        field: String,
        /// What was asked, as text.
        received: String,
        /// What stands, as text.
        current: String,
    },
    /// `if_unused`, and it is used.
    InUse {
        /// What it is.
        object: Object,
        /// Its name.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// `if_empty`, and it is not.
    NotEmpty {
        /// The queue.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// Names that begin `amq.` are the broker's own.
    Reserved {
        /// What was to be made or deleted.
        object: Object,
        /// Its name.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// The default exchange can be neither declared, deleted nor bound.
    DefaultExchange,
    /// The exchange takes messages from other exchanges only.
    Internal {
        /// The exchange.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// Another subscriber is there, and one of them wants to be alone.
    ExclusiveUse {
        /// The queue.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// An argument that makes no sense.
    BadArgument {
        /// What it was given for.
        object: Object,
        /// Whose.
        name: Name,
        /// Where.
        vhost: Name,
        /// The argument.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What this kind of queue or exchange cannot do.
    Unsupported(String),
    /// A limit of the broker is reached.
    Limit(String),
    /// The broker is shutting down.
    Stopping,
}
