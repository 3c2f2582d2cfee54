//! A peer's request to be let in, and what comes of it: at once by a password, or in a
//! conversation by a mechanism's rules. A session carries what is said and understands none of
//! it; nothing here is ever printed.
//!
//! ```text
//!   Proof::Opening --> Verdict::Challenge --> Proof::Answer --> Verdict::Proven
//!                            |  memo              ^ memo            or Denied
//!                            +-- in the session --+
//! ```

use lockgate_model::Name;
use std::fmt;

/// A peer's request to be let in.
#[derive(Clone)]
pub struct Login {
    /// Who it says it is; empty where the proof says it.
    pub user: Name,
    /// What proves it.
    pub proof: Proof,
}

/// What proves who a peer is. Never printed.
#[derive(Clone)]
pub enum Proof {
    /// A password in clear text.
    Password(Vec<u8>),
    /// The first that a peer says by a mechanism's rules.
    Opening {
        /// Whose rules.
        mechanism: Mechanism,
        /// What a name in what the peer says is the name of.
        naming: Naming,
        /// What it says.
        data: Vec<u8>,
    },
    /// What a peer says to a challenge.
    Answer {
        /// What came with the challenge.
        memo: Memo,
        /// What it says.
        data: Vec<u8>,
    },
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, <secret>)", self.user)
    }
}

/// How a peer can prove who it is, other than by saying its password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mechanism {
    ScramSha256,
}

impl Mechanism {
    /// Every one there is.
    pub const ALL: [Mechanism; 1] = [Mechanism::ScramSha256];

    /// Its name, as all of its protocols write it.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// By its name, letter for letter.
    pub fn named(name: &str) -> Option<Mechanism> {
        Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }
}

/// What a name that a proof brings is the name of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// The user, all of it.
    #[default]
    User,
    /// What stands before the last colon, if there is one, is a virtual host, the rest the user.
    VhostAndUser,
}

impl Naming {
    /// Takes a name apart: the virtual host, if it says one, and the user.
    pub fn split(self, name: &str) -> (Option<&str>, &str) {
        match (self, name.rsplit_once(':')) {
            (Naming::VhostAndUser, Some((vhost, user))) => (Some(vhost), user),
            _ => (None, name),
        }
    }
}

/// What whoever judges wants to see again with the answer to a challenge. It means nothing to
/// a session, which keeps it meanwhile; never more than a few KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct Memo(pub Vec<u8>);

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo(<secret>)")
    }
}

/// The answer to a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let in, under this name.
    Admitted(Name),
    /// The peer is to say more.
    Challenge {
        /// What it is told.
        data: Vec<u8>,
        /// To be given back with what it says.
        memo: Memo,
    },
    /// Let in after a conversation.
    Proven {
        /// Under this name.
        user: Name,
        /// The virtual host, if the name in the proof said one.
        vhost: Option<Name>,
        /// What the peer is told.
        data: Vec<u8>,
    },
    /// Not let in. Why is for the log; the peer is told no more than its protocol must.
    Denied(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_host_ends_at_the_last_colon() {
        let split = |name| Naming::VhostAndUser.split(name);
        assert_eq!(split("user"), (None, "user"));
        assert_eq!(split("/:user"), (Some("/"), "user"));
        assert_eq!(split("a:b:user"), (Some("a:b"), "user"));
        assert_eq!(split(":"), (Some(""), ""));
        assert_eq!(Naming::User.split("a:b"), (None, "a:b"));
    }

    #[test]
    fn mechanisms_are_known_by_their_names_alone() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::named(mechanism.name()), Some(mechanism));
        }
        assert_eq!(Mechanism::named("scram-sha-256"), None);
        assert_eq!(Mechanism::named("SCRAM-SHA-256-PLUS"), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let proof = Proof::Answer { memo: Memo(vec![77]), data: vec![77] };
        let shown = format!("{:?} {:?}", Login { user: "u".into(), proof }, Memo(vec![77]));
        assert_eq!(shown, "Login(u, <secret>) Memo(<secret>)");
    }
}
