//! What an administrator orders: virtual hosts, users and their rights, policies,
//! parameters, and what is declared without a session of its own. Each order can be given
//! again without harm: what is there already is not made anew.

use crate::{Binding, ExchangeSpec, Name, QueueSpec, Table, Value};
use bytes::Bytes;
use std::fmt;

/// One thing ordered.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the fields say it
pub enum Order {
    /// Makes a virtual host, or gives the one that is there this metadata.
    MakeVhost(VhostSpec),
    /// Deletes a virtual host with all that is in it; who is in it is shown out.
    DeleteVhost(Name),
    /// Makes a user, or changes the one that is there.
    SetUser(User),
    DeleteUser(Name),
    SetPermission(Permission),
    ClearPermission {
        user: Name,
        vhost: Name,
    },
    SetTopicPermission(TopicPermission),
    /// All of a user's in a virtual host, or those for one exchange.
    ClearTopicPermission {
        user: Name,
        vhost: Name,
        exchange: Option<Name>,
    },
    SetPolicy {
        vhost: Name,
        tier: Tier,
        policy: Policy,
    },
    ClearPolicy {
        vhost: Name,
        tier: Tier,
        name: Name,
    },
    SetParameter(Parameter),
    ClearParameter {
        vhost: Option<Name>,
        component: Name,
        name: Name,
    },
    DeclareExchange {
        vhost: Name,
        spec: ExchangeSpec,
    },
    DeclareQueue {
        vhost: Name,
        spec: QueueSpec,
    },
    Bind {
        vhost: Name,
        binding: Binding,
    },
}

/// A virtual host as ordered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VhostSpec {
    /// Its name.
    pub name: Name,
    /// `description`, `tags`, `default_queue_type` and whatever else is noted of it.
    pub metadata: Table,
}

/// How a password is hashed: a salt of four bytes, then the digest of salt and password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Hashing {
    #[default]
    Sha256,
    Sha512,
    Md5,
}

/// A password's salted hash; empty for a user who has no password. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hash {
    /// How it was made.
    pub hashing: Hashing,
    /// Salt and digest.
    pub bytes: Bytes,
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}(<secret>)", self.hashing)
    }
}

/// What SCRAM-SHA-256 (RFC 5802, RFC 7677) goes by: made of a password, from which it cannot be
/// had back. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Scram {
    /// Of the password's own.
    pub salt: Bytes,
    /// How often the password was hashed.
    pub iterations: u32,
    /// `StoredKey`: what a client's proof is held against.
    pub stored: [u8; 32],
    /// `ServerKey`: what proves to a client who the broker is.
    pub server: [u8; 32],
}

impl fmt::Debug for Scram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scram(<secret>)")
    }
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// The name it logs in with.
    pub name: Name,
    /// Its password's hash.
    pub hash: Hash,
    /// What else is known of its password. None where nobody has told the password itself.
    pub scram: Option<Scram>,
    /// What it may do beside its permissions: `administrator`, `monitoring` and so on.
    pub tags: Vec<Name>,
    /// `max-connections` and `max-channels`.
    pub limits: Table,
}

/// What a user may do in a virtual host: patterns over names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // named as their users name them
pub struct Permission {
    pub user: Name,
    pub vhost: Name,
    pub configure: String,
    pub write: String,
    pub read: String,
}

/// What a user may do with routing keys at a topic exchange: patterns over keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // named as their users name them
pub struct TopicPermission {
    pub user: Name,
    pub vhost: Name,
    pub exchange: Name,
    pub write: String,
    pub read: String,
}

/// Whose policy: what operators set stands over what users set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Tier {
    User,
    Operator,
}

/// What a policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ApplyTo {
    #[default]
    All,
    Queues,
    Exchanges,
    ClassicQueues,
    QuorumQueues,
    Streams,
}

impl ApplyTo {
    const ALL: [ApplyTo; 6] = [
        ApplyTo::All,
        ApplyTo::Queues,
        ApplyTo::Exchanges,
        ApplyTo::ClassicQueues,
        ApplyTo::QuorumQueues,
        ApplyTo::Streams,
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            ApplyTo::All => "all",
            ApplyTo::Queues => "queues",
            ApplyTo::Exchanges => "exchanges",
            ApplyTo::ClassicQueues => "classic_queues",
            ApplyTo::QuorumQueues => "quorum_queues",
            ApplyTo::Streams => "streams",
        }
    }

    /// By its word.
    pub fn named(word: &str) -> Option<ApplyTo> {
        ApplyTo::ALL.into_iter().find(|a| a.word() == word)
    }
}

/// Settings for all queues or exchanges whose names match.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name in its virtual host and tier.
    pub name: Name,
    /// Matches anywhere in a name.
    pub pattern: String,
    /// What it is for.
    pub apply_to: ApplyTo,
    /// The settings.
    pub definition: Table,
    /// The highest of those that match is the one that counts.
    pub priority: i64,
}

/// A setting of some component, of a virtual host or of the whole broker.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Where; none for the whole broker.
    pub vhost: Option<Name>,
    /// Whose; empty for the whole broker's.
    pub component: Name,
    /// Its name there.
    pub name: Name,
    /// What is set.
    pub value: Value,
}

/// Everything that is declared, ordered and lasts: what an export says.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)] // the names say it
pub struct Holdings {
    pub vhosts: Vec<VhostSpec>,
    pub users: Vec<User>,
    pub permissions: Vec<Permission>,
    pub topic_permissions: Vec<TopicPermission>,
    pub parameters: Vec<Parameter>,
    /// Each with its virtual host and tier.
    pub policies: Vec<(Name, Tier, Policy)>,
    /// Each with its virtual host, as the next two.
    pub exchanges: Vec<(Name, ExchangeSpec)>,
    pub queues: Vec<(Name, QueueSpec)>,
    pub bindings: Vec<(Name, Binding)>,
}
