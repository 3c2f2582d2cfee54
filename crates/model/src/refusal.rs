//! The broker's no, in words that no protocol owns. Each front spells them its own way,
//! matching every one: a new refusal does not compile until each front can say it.

use crate::Name;
use std::fmt;

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

/// What no stream does: it keeps what it delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Handing out a single message by request.
    Get,
    /// Dropping all that waits.
    Purge,
    /// Delivering without hearing what became of it.
    Unsettled,
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
    /// The queue is a stream, and that is not what streams do.
    NotOfStreams {
        /// What was asked.
        deed: Deed,
        /// The queue.
        name: Name,
        /// Where.
        vhost: Name,
    },
    /// A limit of the broker is reached.
    Limit(String),
    /// The session may not go on: it, its user or its virtual host has more than it may.
    Barred(String),
    /// There is no such user.
    NoUser(Name),
    /// An order that makes no sense.
    Invalid(String),
    /// The broker is shutting down.
    Stopping,
}

impl fmt::Display for Refusal {
    /// For whoever gave an order and for logs; fronts have texts of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Missing { object, name, vhost } => {
                write!(f, "no {} '{name}' in vhost '{vhost}'", object.word())
            }
            Refusal::NoVhost(vhost) => write!(f, "vhost '{vhost}' does not exist"),
            Refusal::NoUser(user) => write!(f, "user '{user}' does not exist"),
            Refusal::VhostDenied { vhost, user } => {
                write!(f, "access to vhost '{vhost}' refused for user '{user}'")
            }
            Refusal::Denied { verb, object, name, vhost, user } => write!(
                f,
                "{} access to {} '{name}' in vhost '{vhost}' refused for user '{user}'",
                verb.word(),
                object.word()
            ),
            Refusal::Locked { name, vhost } => {
                write!(f, "queue '{name}' in vhost '{vhost}' is exclusive to another connection")
            }
            Refusal::Inequivalent { object, name, vhost, field, received, current } => write!(
                f,
                "inequivalent arg '{field}' for {} '{name}' in vhost '{vhost}': \
                 received {received} but current is {current}",
                object.word()
            ),
            Refusal::InUse { object, name, vhost } => {
                write!(f, "{} '{name}' in vhost '{vhost}' in use", object.word())
            }
            Refusal::NotEmpty { name, vhost } => {
                write!(f, "queue '{name}' in vhost '{vhost}' not empty")
            }
            Refusal::Reserved { object, name, .. } => {
                write!(f, "{} name '{name}' contains reserved prefix 'amq.*'", object.word())
            }
            Refusal::DefaultExchange => {
                f.write_str("operation not permitted on the default exchange")
            }
            Refusal::Internal { name, vhost } => {
                write!(f, "exchange '{name}' in vhost '{vhost}' is internal")
            }
            Refusal::ExclusiveUse { name, vhost } => {
                write!(f, "queue '{name}' in vhost '{vhost}' in exclusive use")
            }
            Refusal::BadArgument { object, name, vhost, argument, reason } => write!(
                f,
                "invalid arg '{argument}' for {} '{name}' in vhost '{vhost}': {reason}",
                object.word()
            ),
            Refusal::NotOfStreams { deed, name, vhost } => {
                let deed = match deed {
                    Deed::Get => "gives nothing out one by one",
                    Deed::Purge => "cannot be purged",
                    Deed::Unsettled => "wants to hear what became of what it delivers",
                };
                write!(f, "queue '{name}' in vhost '{vhost}' is a stream and {deed}")
            }
            Refusal::Limit(text) | Refusal::Barred(text) | Refusal::Invalid(text) => {
                f.write_str(text)
            }
            Refusal::Stopping => f.write_str("the broker is stopping"),
        }
    }
}
