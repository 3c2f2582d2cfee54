//! SCRAM-SHA-256 (RFC 5802, RFC 7677): the server's side. A client proves that it knows a
//! password without saying it, and learns that the server knows it too.
//!
//! ```text
//!   client                                               server
//!     n,,n=user,r=NONCE ---------------------------------->  First::read
//!     <------------------------ r=NONCE+ours,s=SALT,i=4096   Talk::begin
//!     c=biws,r=NONCE+ours,p=PROOF ------------------------>
//!     <--------------------------------------- v=SIGNATURE   Talk::finish
//! ```
//!
//! Nothing is kept between the two steps but a `Talk`, which whoever speaks with the client
//! carries. No channel binding. Names and passwords are taken as they come, in UTF-8: for
//! ASCII that is what SASLprep (RFC 4013) makes of them, and for other texts it is unless they
//! hold characters that NFKC writes otherwise.

mod keys;
mod message;

pub use keys::{ITERATIONS, ITERATIONS_MIN, decoy, keys};
pub use message::{First, Last, MESSAGE_BYTES_MAX};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keys::{hmac, sha256};
use lockgate_model::Scram;
use std::fmt;
use subtle::ConstantTimeEq;

/// A conversation that has begun: both first messages. What else it takes is looked up anew
/// when it ends.
#[derive(Clone, PartialEq, Eq)]
pub struct Talk {
    first: String,
    answer: String,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Talk(<secret>)")
    }
}

/// The client has proved nothing. Why is for the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unproven(pub &'static str);

/// Between the two messages of a talk that is written down; it stands in neither.
const SEAM: char = '\0';

impl Talk {
    /// Answers the client's first message. `nonce` is ours: printable, without a comma, and
    /// never the same again.
    pub fn begin(first: &First<'_>, keys: &Scram, nonce: &str) -> Talk {
        let salt = STANDARD.encode(&keys.salt);
        let answer = format!("r={}{nonce},s={salt},i={}", first.nonce, keys.iterations);
        Talk { first: first.whole().to_owned(), answer }
    }

    /// What the client is told first.
    pub fn challenge(&self) -> &str {
        &self.answer
    }

    /// The client's first message.
    pub fn first(&self) -> Result<First<'_>, Unproven> {
        First::read(self.first.as_bytes())
    }

    /// In bytes, for whoever carries it.
    pub fn write(&self) -> Vec<u8> {
        format!("{}{SEAM}{}", self.first, self.answer).into_bytes()
    }

    /// From those bytes.
    pub fn read(bytes: &[u8]) -> Option<Talk> {
        let (first, answer) = std::str::from_utf8(bytes).ok()?.split_once(SEAM)?;
        Some(Talk { first: first.to_owned(), answer: answer.to_owned() })
    }

    /// Judges the client's last message by the keys of the user that the first one named. What
    /// the client is told last, if it has proved itself.
    pub fn finish(&self, last: &[u8], keys: &Scram) -> Result<String, Unproven> {
        let (first, last) = (self.first()?, Last::read(last)?);
        // RFC 5802, 5.1: what was said of channel bindings is what was meant.
        if last.binding != first.gs2.as_bytes() {
            return Err(Unproven("another channel binding than at first"));
        }
        let nonce = self.answer.strip_prefix("r=").and_then(|rest| rest.split(',').next());
        if nonce != Some(last.nonce) {
            return Err(Unproven("another nonce than ours"));
        }
        let said = format!("{},{},{}", first.bare, self.answer, last.without_proof);
        let signature = hmac(&keys.stored, said.as_bytes());
        let mut client = last.proof;
        client.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        if !bool::from(sha256(&client).ct_eq(&keys.stored)) {
            return Err(Unproven("wrong password"));
        }
        Ok(format!("v={}", STANDARD.encode(hmac(&keys.server, said.as_bytes()))))
    }
}

/// A nonce of 144 bits that only who holds `secret` could have said before; another one for
/// each `seed`.
pub fn nonce(secret: &[u8; 32], seed: &[u8]) -> String {
    let mut all = STANDARD.encode(hmac(secret, &[b"nonce:", seed].concat()));
    all.truncate(24);
    all
}

#[cfg(test)]
mod tests;
