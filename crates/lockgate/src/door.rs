//! Who comes in: the users of the configuration, judged by `auth`.

use lockgate_auth::{PasswordHash, Users};
use lockgate_config::Auth;
use lockgate_front::{Login, Peer, Proof, Verdict};
use lockgate_model::Name;
use lockgate_net::{Admission, Doorkeeper};
use tracing::warn;

/// Judges logins.
pub struct Door {
    users: Users,
}

impl Door {
    /// A door for the users that exist from the start.
    pub fn new(auth: &Auth, salt: [u8; 4]) -> Door {
        let mut users =
            Users::new(auth.loopback_users.iter().map(|name| Name::from(name.as_str())));
        let hash = PasswordHash::of(auth.default_pass.expose().as_bytes(), salt);
        users.set(auth.default_user.as_str().into(), hash);
        Door { users }
    }

    fn judge(&self, login: &Login, peer: &Peer) -> Verdict {
        let Proof::Password(password) = &login.proof;
        let loopback = peer.address.ip().to_canonical().is_loopback();
        match self.users.verify(&login.user, password, loopback) {
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
    use lockgate_model::Time;

    #[test]
    fn a_v4_address_in_v6_clothes_is_judged_as_what_it_is() {
        let door = Door::new(&Config::default().auth, [0; 4]);
        let verdict = |address: &str| {
            let login = Login { user: "guest".into(), proof: Proof::Password(b"guest".to_vec()) };
            let address = format!("{address}:1").parse().unwrap();
            door.judge(&login, &Peer { address, seed: 0, now: Time(0) })
        };
        for near in ["127.0.0.1", "127.8.8.8", "[::1]", "[::ffff:127.0.0.1]"] {
            assert_eq!(verdict(near), Verdict::Admitted("guest".into()), "{near}");
        }
        for far in ["192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"] {
            assert!(matches!(verdict(far), Verdict::Denied(_)), "{far}");
        }
    }
}
