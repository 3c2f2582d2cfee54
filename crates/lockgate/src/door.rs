//! Who comes in: the users that the log holds, judged by `auth`. They are read as they
//! stand at each step of a login, without waiting for the engine.

use lockgate_auth::scram::{First, Talk, nonce};
use lockgate_auth::{PasswordHash, Users};
use lockgate_config::Auth;
use lockgate_engine::Accounts;
use lockgate_front::{Login, Mechanism, Memo, Naming, Peer, Proof, Verdict};
use lockgate_model::Name;
use lockgate_net::{Admission, Doorkeeper};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use tracing::warn;

/// Where the users as they stand are found.
type Latest = Box<dyn Fn() -> Arc<Accounts> + Send + Sync>;

/// Judges logins.
pub struct Door {
    latest: Latest,
    loopback_users: Vec<Name>,
    /// What nonces and the challenges of unknown users are made of.
    secret: [u8; 32],
    /// How many nonces there were.
    nonces: AtomicU64,
    /// The users of a revision, ready to be asked.
    known: RwLock<(u64, Arc<Users>)>,
}

/// What comes before a talk in a memo: how its names are to be taken.
const NAMINGS: [Naming; 2] = [Naming::User, Naming::VhostAndUser];

impl Door {
    /// A door for whoever the log knows. `secret` is to be chosen at random.
    pub fn new(
        auth: &Auth,
        secret: [u8; 32],
        latest: impl Fn() -> Arc<Accounts> + Send + Sync + 'static,
    ) -> Door {
        let loopback_users: Vec<Name> =
            auth.loopback_users.iter().map(|name| Name::from(name.as_str())).collect();
        let nobody = Arc::new(Users::new(secret, loopback_users.iter().cloned()));
        Door {
            latest: Box::new(latest),
            loopback_users,
            secret,
            nonces: AtomicU64::new(0),
            known: RwLock::new((0, nobody)),
        }
    }

    /// The users as they stand.
    fn users(&self) -> Arc<Users> {
        let accounts = (self.latest)();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.0 == accounts.revision {
            return known.1;
        }
        let mut users = Users::new(self.secret, self.loopback_users.iter().cloned());
        for user in &accounts.users {
            let hash = PasswordHash::read(&user.hash);
            users.set(user.name.clone(), hash, user.scram.clone());
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
        match &login.proof {
            Proof::Password(password) => {
                let verified = self.users().verify(&login.user, password, is_near(peer));
                verified.map_or_else(|why| refused(&login.user, peer, why), Verdict::Admitted)
            }
            Proof::Opening { mechanism: Mechanism::ScramSha256, naming, data } => {
                match First::read(data) {
                    Ok(first) => self.challenge(&first, *naming, peer),
                    Err(why) => refused(&login.user, peer, why.0),
                }
            }
            Proof::Answer { memo, data } => self.conclude(memo, data, peer),
        }
    }

    fn challenge(&self, first: &First<'_>, naming: Naming, peer: &Peer) -> Verdict {
        let (_, user) = naming.split(&first.user);
        let count = self.nonces.fetch_add(1, Relaxed);
        let seed = [peer.seed.to_le_bytes(), count.to_le_bytes()].concat();
        let talk = self.users().challenge(&user.into(), first, &nonce(&self.secret, &seed));
        let mut memo = vec![u8::from(naming == Naming::VhostAndUser)];
        memo.extend(talk.write());
        Verdict::Challenge { data: talk.challenge().into(), memo: Memo(memo) }
    }

    fn conclude(&self, memo: &Memo, data: &[u8], peer: &Peer) -> Verdict {
        const NOT_OURS: &str = "answers what was not asked";
        let nobody = Name::default();
        let Some((naming, talk)) = memo.0.split_first() else {
            return refused(&nobody, peer, NOT_OURS);
        };
        let (naming, talk) = (NAMINGS.get(usize::from(*naming)), Talk::read(talk));
        let (Some(naming), Some(talk)) = (naming, talk) else {
            return refused(&nobody, peer, NOT_OURS);
        };
        let Ok(first) = talk.first() else { return refused(&nobody, peer, NOT_OURS) };
        let (vhost, user) = naming.split(&first.user);
        let (vhost, user) = (vhost.map(Name::from), Name::from(user));
        match self.users().prove(&user, &talk, data, is_near(peer)) {
            Ok(told) => Verdict::Proven { user, vhost, data: told.into_bytes() },
            Err(why) => refused(&user, peer, why),
        }
    }
}

/// Does the peer come from this machine?
fn is_near(peer: &Peer) -> bool {
    peer.address.ip().to_canonical().is_loopback()
}

fn refused(user: &Name, peer: &Peer, why: &'static str) -> Verdict {
    warn!(user = %user, peer = %peer.address, why, "login refused");
    Verdict::Denied(why)
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
    use lockgate_auth::scram::keys;
    use lockgate_config::Config;
    use lockgate_model::{Time, User};
    use std::sync::Mutex;

    fn accounts(revision: u64, users: &[(&str, &str)]) -> Arc<Accounts> {
        let user = |(name, password): &(&str, &str)| User {
            name: (*name).into(),
            hash: PasswordHash::of(password.as_bytes(), [1; 4]).hash(),
            scram: Some(keys(password.as_bytes(), SALT, 4096)),
            ..User::default()
        };
        Arc::new(Accounts { revision, users: users.iter().map(user).collect() })
    }

    fn judged(door: &Door, user: &str, password: &str, address: &str) -> Verdict {
        let proof = Proof::Password(password.as_bytes().to_vec());
        door.judge(&Login { user: user.into(), proof }, &peer(address))
    }

    fn peer(address: &str) -> Peer {
        let address = format!("{address}:1").parse().unwrap();
        Peer { address, seed: 0, now: Time(0) }
    }

    const SALT: &[u8] = b"0123456789abcdef";
    const SECRET: [u8; 32] = [5; 32];

    fn opened(door: &Door, data: &str, naming: Naming) -> Verdict {
        let mechanism = Mechanism::ScramSha256;
        let proof = Proof::Opening { mechanism, naming, data: data.into() };
        door.judge(&Login { user: Name::default(), proof }, &peer("192.0.2.1"))
    }

    #[test]
    fn a_conversation_is_challenged_anew_each_time() {
        let door = Door::new(&Config::default().auth, SECRET, || accounts(1, &[("u", "p")]));
        let open = || match opened(&door, "n,,n=v:u,r=x", Naming::VhostAndUser) {
            Verdict::Challenge { data, memo } => (String::from_utf8(data).unwrap(), memo),
            other => panic!("{other:?}"),
        };
        let ((one, memo), (two, _)) = (open(), open());
        assert!(one.ends_with(",s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"), "the user without its vhost");
        assert!(one != two && one.starts_with("r=x"), "{one} {two}");
        assert!(memo.0.len() < 4096);
        let deny = |memo, data: &[u8]| {
            let proof = Proof::Answer { memo, data: data.into() };
            door.judge(&Login { user: Name::default(), proof }, &peer("192.0.2.1"))
        };
        let last = b"c=biws,r=x,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(deny(memo.clone(), last), Verdict::Denied("another nonce than ours"));
        assert_eq!(deny(memo, b""), Verdict::Denied("malformed SCRAM message"));
        for memo in [&b""[..], b"\x02", b"\x01n,,n=u,r=x", b"\x01\0\0"] {
            let no = deny(Memo(memo.into()), last);
            assert_eq!(no, Verdict::Denied("answers what was not asked"));
        }
        let no = Verdict::Denied("malformed SCRAM message");
        assert_eq!(opened(&door, "", Naming::User), no);
    }

    #[test]
    fn a_v4_address_in_v6_clothes_is_judged_as_what_it_is() {
        let door =
            Door::new(&Config::default().auth, SECRET, || accounts(1, &[("guest", "guest")]));
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
        let door = Door::new(&Config::default().auth, SECRET, move || told.lock().unwrap().clone());
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
