//! What is kept of a password for SCRAM, and what stands in for it where there is none.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use lockgate_model::Scram;
use sha2::{Digest, Sha256};

/// How often a password is hashed: what RFC 7677 (section 4) recommends for those who can
/// afford it, some milliseconds each time that one is set, and a client's each time it logs in.
pub const ITERATIONS: u32 = 15_000;

/// RFC 7677, 4: the least that keys may be made with.
pub const ITERATIONS_MIN: u32 = 4096;

/// Bytes of a salt of ours.
const SALT_BYTES: usize = 16;

type Sha256Hmac = Hmac<Sha256>;

fn keyed(key: &[u8]) -> Sha256Hmac {
    // invariant: HMAC takes keys of any length.
    Sha256Hmac::new_from_slice(key).expect("a key of any length")
}

pub(super) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(data).finalize().into_bytes().into()
}

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// `Hi` of RFC 5802, 2.2: the one block of PBKDF2 that is needed.
pub(super) fn salted(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = keyed(password);
    let again = |data: &[u8]| -> [u8; 32] {
        keyed.clone().chain_update(data).finalize().into_bytes().into()
    };
    let mut last = again(&[salt, &1u32.to_be_bytes()].concat());
    let mut all = last;
    for _ in 1..iterations {
        last = again(&last);
        all.iter_mut().zip(last).for_each(|(byte, next)| *byte ^= next);
    }
    all
}

/// The keys of a password. The salt is to be chosen at random for each.
pub fn keys(password: &[u8], salt: &[u8], iterations: u32) -> Scram {
    let salted = salted(password, salt, iterations);
    Scram {
        salt: Bytes::copy_from_slice(salt),
        iterations,
        stored: sha256(&hmac(&salted, b"Client Key")),
        server: hmac(&salted, b"Server Key"),
    }
}

/// Keys that nobody's password makes, with a salt that stays the same for a name as long as
/// `secret` does: a user who has none cannot be told from one who has.
pub fn decoy(secret: &[u8; 32], user: &str) -> Scram {
    let part = |what: &[u8]| hmac(secret, &[what, user.as_bytes()].concat());
    let salt = Bytes::copy_from_slice(&part(b"salt:")[..SALT_BYTES]);
    Scram { salt, iterations: ITERATIONS, stored: part(b"stored:"), server: part(b"server:") }
}
