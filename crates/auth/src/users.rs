//! The users there are, and whether one is who it says it is.

use crate::password::PasswordHash;
use crate::scram::{First, Talk, decoy};
use lockgate_model::{Name, Scram};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use subtle::Choice;

/// What is known of a user's password.
#[derive(Clone, Debug)]
struct Known {
    hash: Option<PasswordHash>,
    scram: Option<Scram>,
}

/// A secret of the process. Never printed.
#[derive(Clone)]
struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// The users who exist.
#[derive(Clone, Debug)]
pub struct Users {
    known: HashMap<Name, Known>,
    /// These are let in from this machine only.
    loopback_only: HashSet<Name>,
    /// What an unknown user's password is held against, so that it costs as much.
    decoy: PasswordHash,
    /// What challenges of users without keys are made of.
    secret: Secret,
}

impl Users {
    /// Nobody yet. `loopback_only` are names that may come from this machine only,
    /// whether they exist or not. `secret` is to be chosen at random.
    pub fn new(secret: [u8; 32], loopback_only: impl IntoIterator<Item = Name>) -> Users {
        let loopback_only = loopback_only.into_iter().collect();
        let decoy = PasswordHash::of(b"nobody's", [0; 4]);
        Users { known: HashMap::new(), loopback_only, decoy, secret: Secret(secret) }
    }

    /// Adds a user, or gives a known one another password. One without a hash cannot log
    /// in by a password, and one without keys cannot by SCRAM.
    pub fn set(&mut self, user: Name, hash: Option<PasswordHash>, scram: Option<Scram>) {
        self.known.insert(user, Known { hash, scram });
    }

    /// Is this the user's password, and may the user come from there? On a no, why:
    /// for the log only, since a peer is not told which half was wrong.
    pub fn verify(
        &self,
        user: &Name,
        password: &[u8],
        peer_is_loopback: bool,
    ) -> Result<Name, &'static str> {
        let known = self.known.get(user);
        let has_none = known.is_some_and(|known| known.hash.is_none());
        let known = known.and_then(|known| known.hash.as_ref());
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
        self.may_come(user, peer_is_loopback)?;
        Ok(user.clone())
    }

    fn may_come(&self, user: &Name, peer_is_loopback: bool) -> Result<(), &'static str> {
        if self.loopback_only.contains(user) && !peer_is_loopback {
            return Err("this user may log in from this machine only");
        }
        Ok(())
    }

    /// The user's keys, or what looks like keys.
    fn keys(&self, user: &Name) -> Cow<'_, Scram> {
        match self.known.get(user).and_then(|known| known.scram.as_ref()) {
            Some(keys) => Cow::Borrowed(keys),
            None => Cow::Owned(decoy(&self.secret.0, user)),
        }
    }

    /// Begins to ask for a proof by SCRAM, of anybody alike. `nonce` as in `Talk::begin`.
    pub fn challenge(&self, user: &Name, first: &First<'_>, nonce: &str) -> Talk {
        Talk::begin(first, &self.keys(user), nonce)
    }

    /// Has the user proved itself, and may it come from there? What it is told then; on a no,
    /// why, for the log only.
    pub fn prove(
        &self,
        user: &Name,
        talk: &Talk,
        last: &[u8],
        peer_is_loopback: bool,
    ) -> Result<String, &'static str> {
        let proved = talk.finish(last, &self.keys(user));
        match self.known.get(user) {
            None => return Err("no such user"),
            Some(Known { hash: None, scram: None }) => return Err("this user has no password"),
            Some(Known { scram: None, .. }) => {
                return Err("only a hash of this user's password is known: \
                            SCRAM needs the password to be set once more");
            }
            Some(_) => {}
        }
        let told = proved.map_err(|why| why.0)?;
        self.may_come(user, peer_is_loopback)?;
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scram::keys;

    fn users() -> Users {
        let mut users = Users::new([9; 32], [Name::from("guest")]);
        let mut set = |name: &str, password: &[u8], scram| {
            users.set(name.into(), Some(PasswordHash::of(password, [1, 2, 3, 4])), scram);
        };
        set("guest", b"guest", Some(keys(b"pencil", SALT, 4096)));
        set("app", b"secret", None);
        set("user", b"pencil", Some(keys(b"pencil", SALT, 4096)));
        set("blank", b"", None);
        users.set("none".into(), None, None);
        users
    }

    // RFC 7677, 3.
    const SALT: &[u8] = b"\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";
    const LAST: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                          p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn proved(user: &str, loopback: bool) -> Result<String, &'static str> {
        let users = users();
        let first = First::read(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        let talk = users.challenge(&user.into(), &first, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        users.prove(&user.into(), &talk, LAST, loopback)
    }

    #[test]
    fn keys_let_in_whom_they_are_of_and_from_where_it_may_come() {
        assert!(proved("user", false).is_ok());
        assert!(proved("guest", true).is_ok());
        assert_eq!(proved("guest", false), Err("this user may log in from this machine only"));
    }

    #[test]
    fn who_has_no_keys_is_challenged_and_then_refused() {
        assert_eq!(proved("nobody", true), Err("no such user"));
        assert_eq!(proved("none", true), Err("this user has no password"));
        assert!(proved("app", true).unwrap_err().starts_with("only a hash"));
        let first = First::read(b"n,,n=user,r=x").unwrap();
        let told = |user: &str| {
            let talk = users().challenge(&user.into(), &first, "y");
            talk.challenge().split(',').map(str::len).collect::<Vec<_>>()
        };
        // The iterations of the example differ from ours by one digit.
        let (known, unknown, keyless) = (told("user"), told("nobody"), told("app"));
        assert_eq!(known[..2], unknown[..2]);
        assert_eq!(unknown, keyless);
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
        let shows = |what| shown.contains(what);
        assert!(shows("<secret>") && !shows("digest") && !shows("stored"), "{shown}");
        assert!(!shows("9, 9"), "{shown}");
    }
}
