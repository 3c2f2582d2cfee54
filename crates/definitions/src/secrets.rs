//! What a file says of a user's password: RabbitMQ's hash and, under a name that RabbitMQ
//! passes over, the keys of SCRAM. Neither is ever part of what is said of a trouble.

use crate::object::Object;
use crate::value::{base64, unbase64};
use lockgate_model::{Hash, Hashing, Scram};
use serde_json::{Value as Json, json};

/// The keys of SCRAM.
const KEYS: &str = "scram_sha_256";

/// RFC 7677, 4: the least that a password is hashed.
const ITERATIONS_MIN: u32 = 4096;

/// Longest salt that is taken.
const SALT_BYTES_MAX: usize = 255;

const HASHINGS: [(Hashing, &str, usize); 3] = [
    (Hashing::Sha256, "rabbit_password_hashing_sha256", 36),
    (Hashing::Sha512, "rabbit_password_hashing_sha512", 68),
    (Hashing::Md5, "rabbit_password_hashing_md5", 20),
];

/// The hash of a user; `otherwise` where its hashing is not said.
pub fn hash(o: Object<'_>, otherwise: Hashing) -> Result<Hash, String> {
    let named = o.optional_text("hashing_algorithm")?;
    let found = match named {
        None => HASHINGS.iter().find(|(hashing, ..)| *hashing == otherwise),
        Some(named) => HASHINGS.iter().find(|(_, name, _)| *name == named),
    };
    let Some((hashing, _, wanted)) = found else {
        return Err(format!("hashing algorithm '{}' is not known", named.unwrap_or_default()));
    };
    let text = o.optional_text("password_hash")?;
    if text.is_some() && o.optional_text("password")?.is_some() {
        return Err("both `password` and `password_hash` are given".into());
    }
    let bytes = unbase64(text.unwrap_or_default()).ok_or("`password_hash` is no base64")?;
    if !bytes.is_empty() && bytes.len() != *wanted {
        return Err(format!(
            "`password_hash` has {} bytes, and its algorithm makes {wanted}",
            bytes.len()
        ));
    }
    Ok(Hash { hashing: *hashing, bytes })
}

/// The keys of a user, if there are any.
pub fn scram(o: Object<'_>) -> Result<Option<Scram>, String> {
    let Some(json) = o.get(KEYS) else { return Ok(None) };
    if o.get("password").is_some() {
        return Err(format!("both `password` and `{KEYS}` are given"));
    }
    let wrong = |what: &str| format!("`{what}` of `{KEYS}` is missing or of no use");
    let bytes = |what: &str| json[what].as_str().and_then(unbase64).ok_or_else(|| wrong(what));
    let key = |what| <[u8; 32]>::try_from(&bytes(what)?[..]).map_err(|_| wrong(what));
    let salt = bytes("salt")?;
    if salt.is_empty() || salt.len() > SALT_BYTES_MAX {
        return Err(wrong("salt"));
    }
    let iterations = json["iterations"].as_u64().and_then(|n| u32::try_from(n).ok());
    let iterations = iterations.filter(|n| *n >= ITERATIONS_MIN);
    let iterations = iterations.ok_or_else(|| wrong("iterations"))?;
    Ok(Some(Scram { salt, iterations, stored: key("stored_key")?, server: key("server_key")? }))
}

/// Writes both into a user's object.
pub fn write(hash: &Hash, scram: Option<&Scram>, into: &mut Json) {
    let named = HASHINGS.iter().find(|(hashing, ..)| *hashing == hash.hashing);
    into["password_hash"] = base64(&hash.bytes).into();
    into["hashing_algorithm"] = named.map(|(_, name, _)| *name).into();
    if let Some(keys) = scram {
        into[KEYS] = json!({
            "salt": base64(&keys.salt),
            "iterations": keys.iterations,
            "stored_key": base64(&keys.stored),
            "server_key": base64(&keys.server),
        });
    }
}
