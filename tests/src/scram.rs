//! A client of SCRAM-SHA-256 (RFC 5802, RFC 7677), written from the texts and from nothing of
//! the broker's, so that both can be held against each other.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Who proves to be whom.
#[derive(Clone, Debug)]
pub struct Scram {
    /// The name as it is said, with whatever stands in it for a virtual host.
    pub user: String,
    /// The password.
    pub password: String,
    /// The client's nonce.
    pub nonce: String,
}

/// What a client says last, and what it then expects to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// `client-final-message`.
    pub last: String,
    /// `server-final-message`.
    pub expected: String,
}

impl Scram {
    /// A client with a nonce of its own.
    pub fn new(user: &str, password: &str) -> Scram {
        Scram {
            user: user.into(),
            password: password.into(),
            nonce: "fyko+d2lbbFgONRv9qkxdawL".into(),
        }
    }

    fn bare(&self) -> String {
        let name = self.user.replace('=', "=3D").replace(',', "=2C");
        format!("n={name},r={}", self.nonce)
    }

    /// `client-first-message`.
    pub fn first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    /// Answers a `server-first-message`.
    pub fn answer(&self, challenge: &str) -> Proof {
        let part = |name: &str| {
            let found = challenge.split(',').find_map(|part| part.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {challenge}"))
        };
        let nonce = part("r=");
        assert!(nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce), "{challenge}");
        let salt = STANDARD.decode(part("s=")).expect("base64");
        let iterations: u32 = part("i=").parse().expect("a number");
        let salted = self.salted(&salt, iterations);
        let client_key = hmac(&salted, b"Client Key");
        let stored_key = Sha256::digest(&client_key);
        let without_proof = format!("c=biws,r={nonce}");
        let said = format!("{},{challenge},{without_proof}", self.bare());
        let signature = hmac(&stored_key, said.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        let server_key = hmac(&salted, b"Server Key");
        Proof {
            last: format!("{without_proof},p={}", STANDARD.encode(proof)),
            expected: format!("v={}", STANDARD.encode(hmac(&server_key, said.as_bytes()))),
        }
    }

    /// RFC 2898's PBKDF2, its first block.
    fn salted(&self, salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut block = hmac(self.password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
        let mut all = block.clone();
        for _ in 1..iterations {
            block = hmac(self.password.as_bytes(), &block);
            all.iter_mut().zip(&block).for_each(|(a, b)| *a ^= b);
        }
        all
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.chain_update(data).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_the_example_of_rfc_7677_says() {
        let nonce = "rOprNGfwEbeRWgbNEkqO".into();
        let client = Scram { user: "user".into(), password: "pencil".into(), nonce };
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let proof = client.answer(
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        );
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(proof.last, last);
        assert_eq!(proof.expected, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
