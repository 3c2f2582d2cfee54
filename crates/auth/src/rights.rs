//! What a user may do in a virtual host: enter it, and there configure, write to
//! and read from what a pattern covers. What no grant covers is refused.
//!
//! A user's own name never becomes part of a pattern, so no name can widen one.

use lockgate_model::{Name, Object, Refusal, Verb};
use std::collections::HashMap;

/// Where a grant holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every virtual host.
    All,
    /// In this one.
    Vhost(Name),
}

/// Which names a grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// None.
    Nothing,
    /// All.
    Everything,
}

impl Pattern {
    fn covers(&self, _name: &str) -> bool {
        match self {
            Pattern::Nothing => false,
            Pattern::Everything => true,
        }
    }
}

/// What one user may do within a scope. Any grant lets the user enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub scope: Scope,
    /// What may be made, changed and deleted.
    pub configure: Pattern,
    /// What may be published to or bound from.
    pub write: Pattern,
    /// What may be consumed from or bound to.
    pub read: Pattern,
}

impl Grant {
    /// Everything, everywhere.
    pub fn all() -> Grant {
        let everything = || Pattern::Everything;
        Grant {
            scope: Scope::All,
            configure: everything(),
            write: everything(),
            read: everything(),
        }
    }

    fn holds_in(&self, vhost: &Name) -> bool {
        match &self.scope {
            Scope::All => true,
            Scope::Vhost(name) => name == vhost,
        }
    }
}

/// Every user's grants.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    grants: HashMap<Name, Vec<Grant>>,
}

impl Rights {
    /// Adds a grant to what a user has.
    pub fn grant(&mut self, user: Name, grant: Grant) {
        self.grants.entry(user).or_default().push(grant);
    }

    /// Takes all of a user's grants.
    pub fn revoke(&mut self, user: &Name) {
        self.grants.remove(user);
    }

    /// May the user enter the virtual host?
    pub fn enter(&self, user: &Name, vhost: &Name) -> Result<(), Refusal> {
        match self.holding(user, vhost).next() {
            Some(_) => Ok(()),
            None => Err(Refusal::VhostDenied { vhost: vhost.clone(), user: user.clone() }),
        }
    }

    /// May the user do this with that queue or exchange?
    pub fn check(
        &self,
        user: &Name,
        vhost: &Name,
        verb: Verb,
        object: Object,
        name: &Name,
    ) -> Result<(), Refusal> {
        let covered = self.holding(user, vhost).any(|grant| {
            let pattern = match verb {
                Verb::Configure => &grant.configure,
                Verb::Write => &grant.write,
                Verb::Read => &grant.read,
            };
            pattern.covers(name)
        });
        if covered {
            return Ok(());
        }
        let (name, vhost, user) = (name.clone(), vhost.clone(), user.clone());
        Err(Refusal::Denied { verb, object, name, vhost, user })
    }

    fn holding<'a>(&'a self, user: &Name, vhost: &'a Name) -> impl Iterator<Item = &'a Grant> {
        self.grants.get(user).into_iter().flatten().filter(move |grant| grant.holds_in(vhost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_grant_may_do_nothing() {
        let (rights, user, vhost) = (Rights::default(), Name::from("u"), Name::from("/"));
        let denied = Refusal::VhostDenied { vhost: vhost.clone(), user: user.clone() };
        assert_eq!(rights.enter(&user, &vhost), Err(denied));
        for verb in [Verb::Configure, Verb::Write, Verb::Read] {
            let no = rights.check(&user, &vhost, verb, Object::Queue, &"q".into());
            let Err(Refusal::Denied { verb: named, .. }) = no else {
                panic!("{verb:?} was allowed");
            };
            assert_eq!(named, verb);
        }
    }

    #[test]
    fn a_grant_holds_where_it_says_and_for_what_it_says() {
        let mut rights = Rights::default();
        let grant =
            Grant { scope: Scope::Vhost("a".into()), configure: Pattern::Nothing, ..Grant::all() };
        rights.grant("u".into(), grant);
        let user = Name::from("u");
        let check = |vhost: &str, verb| {
            rights.check(&user, &vhost.into(), verb, Object::Exchange, &"x".into()).is_ok()
        };
        assert!(check("a", Verb::Write) && check("a", Verb::Read));
        assert!(!check("a", Verb::Configure));
        assert!(!check("b", Verb::Read) && rights.enter(&user, &"b".into()).is_err());
        assert!(rights.enter(&user, &"a".into()).is_ok());
    }

    #[test]
    fn a_right_taken_is_gone() {
        let mut rights = Rights::default();
        rights.grant("u".into(), Grant::all());
        assert!(rights.enter(&"u".into(), &"/".into()).is_ok());
        rights.revoke(&"u".into());
        assert!(rights.enter(&"u".into(), &"/".into()).is_err());
    }
}
