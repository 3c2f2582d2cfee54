//! Passwords as RabbitMQ keeps them: a 4-byte salt, then SHA-256, SHA-512 or MD5 over the
//! salt and the password, so that its users move in with the passwords they have.

use bytes::Bytes;
use lockgate_model::{Hash, Hashing};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

const SALT_BYTES: usize = 4;

/// A salted hash of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    hashing: Hashing,
    salt: [u8; SALT_BYTES],
    digest: Vec<u8>,
}

impl PasswordHash {
    /// Hashes a password. The salt is to be chosen at random for each.
    pub fn of(password: &[u8], salt: [u8; SALT_BYTES]) -> PasswordHash {
        let hashing = Hashing::Sha256;
        PasswordHash { hashing, salt, digest: digest(hashing, salt, password) }
    }

    /// Reads RabbitMQ's form: the salt and the digest behind it. None if it is
    /// anything else, such as the empty hash of a user who has no password.
    pub fn read(hash: &Hash) -> Option<PasswordHash> {
        let (salt, digest) = hash.bytes.split_first_chunk::<SALT_BYTES>()?;
        let wanted = match hash.hashing {
            Hashing::Sha256 => 32,
            Hashing::Sha512 => 64,
            Hashing::Md5 => 16,
        };
        (digest.len() == wanted).then(|| PasswordHash {
            hashing: hash.hashing,
            salt: *salt,
            digest: digest.to_vec(),
        })
    }

    /// RabbitMQ's form.
    pub fn hash(&self) -> Hash {
        let bytes: Vec<u8> = self.salt.iter().chain(&self.digest).copied().collect();
        Hash { hashing: self.hashing, bytes: Bytes::from(bytes) }
    }

    /// Is this the password?
    pub fn is_of(&self, password: &[u8]) -> bool {
        self.matches(password).into()
    }

    /// Compares without telling by its time how much of it was right.
    pub(crate) fn matches(&self, password: &[u8]) -> Choice {
        digest(self.hashing, self.salt, password).ct_eq(&self.digest)
    }
}

fn digest(hashing: Hashing, salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
    fn with<D: Digest>(salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
        D::new().chain_update(salt).chain_update(password).finalize().to_vec()
    }
    match hashing {
        Hashing::Sha256 => with::<Sha256>(salt, password),
        Hashing::Sha512 => with::<Sha512>(salt, password),
        Hashing::Md5 => with::<Md5>(salt, password),
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

    const RABBITMQS: &[(Hashing, &str, &str)] = &[
        (
            Hashing::Sha256,
            "pässword sha256",
            "628d59d0fcb61d262c88650ec9c03d7063c5ca2eb8c9887bbe56d74527576b9ab7cf1994",
        ),
        (
            Hashing::Sha512,
            "pässword sha512",
            "2b352392ab8364ae9f3dcbac5e056cc30b5db97376b09add2221992228e222fa478adaf972d6fc790cd7293af8f14511144580bee66cae24ab86f3a0abe3e9c3508ceb8a",
        ),
        (Hashing::Md5, "pässword md5", "476a3ea8443ad98139704e9a61832c2296d39f05"),
    ];

    fn bytes(hex: &str) -> Bytes {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    /// The worked example of RabbitMQ's own guide on passwords.
    #[test]
    fn a_hash_has_rabbitmqs_form() {
        let hash = PasswordHash::of(b"test12", [0x90, 0x8d, 0xc6, 0x0a]);
        let hex = "908dc60aa5b924b3096b8897d65a3b5f80fa5db62a94b83122cdf4f8fead10d515d8f391";
        assert_eq!(hash.hash().bytes, bytes(hex));
        let again = PasswordHash::read(&hash.hash()).unwrap();
        assert!(again.is_of(b"test12") && !again.is_of(b"test13"));
    }

    /// Made by RabbitMQ 3.10 with each of its hashing modules.
    #[test]
    fn every_hashing_of_rabbitmqs_is_understood() {
        for (hashing, password, hex) in RABBITMQS {
            let hash = Hash { hashing: *hashing, bytes: bytes(hex) };
            let read = PasswordHash::read(&hash).unwrap();
            assert!(read.is_of(password.as_bytes()), "{hashing:?}");
            assert!(!read.is_of(b"other"), "{hashing:?}");
            assert_eq!(read.hash(), hash);
        }
    }

    #[test]
    fn other_forms_are_no_hash() {
        for hashing in [Hashing::Sha256, Hashing::Sha512, Hashing::Md5] {
            for len in [0, 4, 16, 19, 21, 35, 37, 67, 69] {
                let hash = Hash { hashing, bytes: vec![0; len].into() };
                assert!(PasswordHash::read(&hash).is_none(), "{hashing:?} {len}");
            }
        }
    }
}
