//! The users there are, and whether one is who it says it is.

use crate::password::PasswordHash;
use lockgate_model::Name;
use std::collections::{HashMap, HashSet};
use subtle::Choice;

/// The users who exist.
#[derive(Clone, Debug)]
pub struct Users {
    hashes: HashMap<Name, Option<PasswordHash>>,
    /// These are let in from this machine only.
    loopback_only: HashSet<Name>,
    /// What an unknown user's password is held against, so that it costs as much.
    decoy: PasswordHash,
}

impl Users {
    /// Nobody yet. `loopback_only` are names that may come from this machine only,
    /// whether they exist or not.
    pub fn new(loopback_only: impl IntoIterator<Item = Name>) -> Users {
        let loopback_only = loopback_only.into_iter().collect();
        let decoy = PasswordHash::of(b"nobody's", [0; 4]);
        Users { hashes: HashMap::new(), loopback_only, decoy }
    }

    /// Adds a user, or gives a known one another password. One without a hash cannot log
    /// in by a password.
    pub fn set(&mut self, user: Name, hash: Option<PasswordHash>) {
        self.hashes.insert(user, hash);
    }

    /// Is this the user's password, and may the user come from there? On a no, why:
    /// for the log only, since a peer is not told which half was wrong.
    pub fn verify(
        &self,
        user: &Name,
        password: &[u8],
        peer_is_loopback: bool,
    ) -> Result<Name, &'static str> {
        let known = self.hashes.get(user);
        let has_none = known.is_some_and(Option::is_none);
        let known = known.and_then(Option::as_ref);
        let matches = known.unwrap_or(&self.decoy).matches(password);
        let known = Choice::from(u8::from(known.is_some()));
        let given = Choice::from(u8::from(!password.is_empty()));
        if !bool::from(matches & known & given) {
            return Err(match (bool::from(known), bool::from(given)) {
                (_, false) => "empty password",
                _ if has_none => "this user has no password",
                (false, _) => "no such user",
                _ => "wrong password",
            });
        }
        if self.loopback_only.contains(user) && !peer_is_loopback {
            return Err("this user may log in from this machine only");
        }
        Ok(user.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Users {
        let mut users = Users::new([Name::from("guest")]);
        users.set("guest".into(), Some(PasswordHash::of(b"guest", [1, 2, 3, 4])));
        users.set("app".into(), Some(PasswordHash::of(b"secret", [5, 6, 7, 8])));
        users.set("blank".into(), Some(PasswordHash::of(b"", [0; 4])));
        users.set("none".into(), None);
        users
    }

    #[test]
    fn the_right_password_lets_in_and_no_other_does() {
        let users = users();
        let verify = |user: &str, password: &[u8]| users.verify(&user.into(), password, false);
        assert_eq!(verify("app", b"secret"), Ok("app".into()));
        assert_eq!(verify("app", b"secre"), Err("wrong password"));
        assert_eq!(verify("app", b"secret "), Err("wrong password"));
        assert_eq!(verify("nobody", b"nobody's"), Err("no such user"));
        assert_eq!(verify("", b"x"), Err("no such user"));
        assert_eq!(verify("none", b"nobody's"), Err("this user has no password"));
    }

    #[test]
    fn an_empty_password_is_refused_even_where_it_is_the_one_set() {
        assert_eq!(users().verify(&"blank".into(), b"", true), Err("empty password"));
        assert_eq!(users().verify(&"app".into(), b"", true), Err("empty password"));
    }

    #[test]
    fn guest_comes_from_this_machine_only() {
        assert_eq!(users().verify(&"guest".into(), b"guest", true), Ok("guest".into()));
        assert!(users().verify(&"guest".into(), b"guest", false).is_err());
    }

    #[test]
    fn debug_shows_no_hash() {
        let shown = format!("{:?}", users());
        assert!(shown.contains("<secret>") && !shown.contains("digest"), "{shown}");
    }
}
