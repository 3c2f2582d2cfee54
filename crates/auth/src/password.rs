//! Passwords as RabbitMQ keeps them: a 4-byte salt, then SHA-256 over the salt
//! and the password, so that its users move in with the passwords they have.

use sha2::{Digest, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

const SALT_BYTES: usize = 4;
const DIGEST_BYTES: usize = 32;

/// A salted hash of a password.
#[derive(Clone)]
pub struct PasswordHash {
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_BYTES],
}

impl PasswordHash {
    /// Hashes a password. The salt is to be chosen at random for each.
    pub fn of(password: &[u8], salt: [u8; SALT_BYTES]) -> PasswordHash {
        let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
        PasswordHash { salt, digest: digest.into() }
    }

    /// Reads RabbitMQ's form: the salt and the digest behind it. None if it is
    /// anything else, such as the empty hash of a user who has no password.
    pub fn from_bytes(bytes: &[u8]) -> Option<PasswordHash> {
        let (salt, digest) = bytes.split_first_chunk::<SALT_BYTES>()?;
        Some(PasswordHash { salt: *salt, digest: digest.try_into().ok()? })
    }

    /// RabbitMQ's form.
    pub fn to_bytes(&self) -> [u8; SALT_BYTES + DIGEST_BYTES] {
        let mut bytes = [0; SALT_BYTES + DIGEST_BYTES];
        bytes[..SALT_BYTES].copy_from_slice(&self.salt);
        bytes[SALT_BYTES..].copy_from_slice(&self.digest);
        bytes
    }

    /// Compares without telling by its time how much of it was right.
    pub(crate) fn matches(&self, password: &[u8]) -> Choice {
        PasswordHash::of(password, self.salt).digest.ct_eq(&self.digest)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of RabbitMQ's own guide on passwords.
    #[test]
    fn a_hash_has_rabbitmqs_form() {
        let hash = PasswordHash::of(b"test12", [0x90, 0x8d, 0xc6, 0x0a]);
        let hex: String = hash.to_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "908dc60aa5b924b3096b8897d65a3b5f80fa5db62a94b83122cdf4f8fead10d515d8f391");
        let again = PasswordHash::from_bytes(&hash.to_bytes()).unwrap();
        assert!(bool::from(again.matches(b"test12")));
        assert!(!bool::from(again.matches(b"test13")));
    }

    #[test]
    fn other_forms_are_no_hash() {
        for len in [0, 4, 16, 35, 37] {
            assert!(PasswordHash::from_bytes(&vec![0; len]).is_none(), "{len}");
        }
    }
}
