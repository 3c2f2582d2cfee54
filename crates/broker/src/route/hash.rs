//! The hash by which messages are spread: it is part of what is promised, since the same key
//! must go to the same queue after a restart, on a standby and in a later version.

use super::Heading;
use crate::dice::mix;
use lockgate_model::{Properties, Table, Value};

/// Hashes bytes: FNV-1a, and then every bit of it counts everywhere.
pub fn hash(bytes: &[u8]) -> u64 {
    hash_from(0xcbf2_9ce4_8422_2325, bytes)
}

/// The same from another beginning: a second hash that knows nothing of the first.
pub fn hash_from(seed: u64, bytes: &[u8]) -> u64 {
    let step = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(bytes.iter().fold(seed, step))
}

/// What of a message is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// Its routing key.
    Key,
    /// A header.
    Header(Box<str>),
    /// The property `correlation_id`.
    CorrelationId,
    /// The property `message_id`.
    MessageId,
    /// The property `timestamp`.
    Timestamp,
}

impl HashOn {
    /// Reads an exchange's arguments; the properties are named as RabbitMQ names them.
    pub fn of(arguments: &Table) -> HashOn {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let property = text("hash-property").and_then(HashOn::property);
        let header = text("hash-header").or_else(|| text("x-hash-on"));
        property.or_else(|| Some(HashOn::Header(header?.into()))).unwrap_or(HashOn::Key)
    }

    /// The property of that name, if it can be hashed.
    pub fn property(name: &str) -> Option<HashOn> {
        match name {
            "correlation_id" => Some(HashOn::CorrelationId),
            "message_id" => Some(HashOn::MessageId),
            "timestamp" => Some(HashOn::Timestamp),
            _ => None,
        }
    }

    /// The hash of a message. What is missing hashes like nothing: all such messages go the
    /// same way.
    pub fn digest(&self, message: &Heading<'_>) -> u64 {
        let of = |read: fn(Properties) -> Option<Vec<u8>>| {
            let properties = Properties::decode(message.head).unwrap_or_default();
            hash(&read(properties).unwrap_or_default())
        };
        match self {
            HashOn::Key => hash(message.key()),
            HashOn::Header(name) => {
                hash(&message.headers().get(name).map(plain).unwrap_or_default())
            }
            HashOn::CorrelationId => of(|p| p.correlation_id.map(|id| id.to_vec())),
            HashOn::MessageId => of(|p| p.message_id.map(|id| id.to_vec())),
            HashOn::Timestamp => of(|p| p.timestamp.map(|t| t.to_string().into_bytes())),
        }
    }
}

/// A value as bytes: texts as they are, integers of any width as their digits.
pub fn plain(value: &Value) -> Vec<u8> {
    match (value, value.as_int()) {
        (Value::Text(text) | Value::Binary(text), _) => text.to_vec(),
        (_, Some(n)) => n.to_string().into_bytes(),
        (other, None) => {
            let mut bytes = Vec::new();
            Table(vec![("".into(), other.clone())]).encode(&mut bytes);
            bytes
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who changes these numbers sends every key of every store to another queue.
    #[test]
    fn the_hash_is_what_it_always_was() {
        assert_eq!(hash(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash(b"key"), 0x487e_b6f7_e0ea_7e7c);
        let headers = Table(vec![("h".into(), Value::I32(5)), ("t".into(), Value::text("5"))]);
        let mut head = Vec::new();
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut head);
        let on = |name: &str| HashOn::Header(name.into()).digest(&Heading::new(&[b"k"], &head));
        assert_eq!(on("h"), on("t"), "a number and its digits go the same way");
        assert_eq!(on("none"), hash(b""));
    }
}
