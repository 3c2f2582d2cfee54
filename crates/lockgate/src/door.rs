//! Who comes in: the users that the log holds, judged by `auth`. They are read as they
//! stand at each login, without waiting for the engine.

use lockgate_auth::{PasswordHash, Users};
use lockgate_config::Auth;
use lockgate_engine::Accounts;
use lockgate_front::{Login, Peer, Proof, Verdict};
use lockgate_model::Name;
use lockgate_net::{Admission, Doorkeeper};
use std::sync::{Arc, PoisonError, RwLock};
use tracing::warn;

/// Where the users as they stand are found.
type Latest = Box<dyn Fn() -> Arc<Accounts> + Send + Sync>;

/// Judges logins.
pub struct Door {
    latest: Latest,
    loopback_users: Vec<Name>,
    /// The users of a revision, ready to be asked.
    known: RwLock<(u64, Arc<Users>)>,
}

impl Door {
    /// A door for whoever the log knows.
    pub fn new(auth: &Auth, latest: impl Fn() -> Arc<Accounts> + Send + Sync + 'static) -> Door {
        let loopback_users: Vec<Name> =
            auth.loopback_users.iter().map(|name| Name::from(name.as_str())).collect();
        let nobody = Arc::new(Users::new(loopback_users.iter().cloned()));
        Door { latest: Box::new(latest), loopback_users, known: RwLock::new((0, nobody)) }
    }

    /// The users as they stand.
    fn users(&self) -> Arc<Users> {
        let accounts = (self.latest)();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.0 == accounts.revision {
            return known.1;
        }
        let mut users = Users::new(self.loopback_users.iter().cloned());
        for user in &accounts.users {
            users.set(user.name.clone(), PasswordHash::read(&user.hash));
        }
        let users = Arc::new(users);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Another login may have met later ones.
        if known.0 < accounts.revision {
            *known = (accounts.revision, Arc::clone(&users));
        }
        users
    }

    fn judge(&self, login: &Login, peer: &Peer) -> Verdict {
        let Proof::Password(password) = &login.proof;
        let loopback = peer.address.ip().to_canonical().is_loopback();
        match self.users().verify(&login.user, password, loopback) {
            Ok(name) => Verdict::Admitted(name),
            Err(why) => {
                warn!(user = %login.user, peer = %peer.address, why, "login refused");
                Verdict::Denied(why)
            }
        }
    }
}

impl Doorkeeper for Door {
    fn admit(&self, login: Login, peer: &Peer) -> Admission {
        // A salted hash takes a microsecond: nothing that a thread of its own would gain.
        Box::pin(std::future::ready(self.judge(&login, peer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_config::Config;
    use lockgate_model::{Time, User};
    use std::sync::Mutex;

    fn accounts(revision: u64, users: &[(&str, &str)]) -> Arc<Accounts> {
        let user = |(name, password): &(&str, &str)| User {
            name: (*name).into(),
            hash: PasswordHash::of(password.as_bytes(), [1; 4]).hash(),
            ..User::default()
        };
        Arc::new(Accounts { revision, users: users.iter().map(user).collect() })
    }

    fn judged(door: &Door, user: &str, password: &str, address: &str) -> Verdict {
        let proof = Proof::Password(password.as_bytes().to_vec());
        let address = format!("{address}:1").parse().unwrap();
        door.judge(&Login { user: user.into(), proof }, &Peer { address, seed: 0, now: Time(0) })
    }

    #[test]
    fn a_v4_address_in_v6_clothes_is_judged_as_what_it_is() {
        let door = Door::new(&Config::default().auth, || accounts(1, &[("guest", "guest")]));
        let verdict = |address: &str| judged(&door, "guest", "guest", address);
        for near in ["127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"] {
            assert_eq!(verdict(near), Verdict::Admitted("guest".into()), "{near}");
        }
        for far in ["192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"] {
            assert!(matches!(verdict(far), Verdict::Denied(_)), "{far}");
        }
    }

    #[test]
    fn a_change_of_users_holds_for_the_next_login() {
        let now = Arc::new(Mutex::new(accounts(1, &[("a", "old")])));
        let told = Arc::clone(&now);
        let door = Door::new(&Config::default().auth, move || told.lock().unwrap().clone());
        let admitted = |user, password| {
            matches!(judged(&door, user, password, "192.0.2.1"), Verdict::Admitted(_))
        };
        assert!(admitted("a", "old"));
        *now.lock().unwrap() = accounts(2, &[("a", "new"), ("b", "b")]);
        assert!(!admitted("a", "old") && admitted("a", "new") && admitted("b", "b"));
        *now.lock().unwrap() = accounts(3, &[]);
        assert!(!admitted("a", "new"));
    }
}
