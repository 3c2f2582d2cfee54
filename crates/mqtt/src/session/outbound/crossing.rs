//! Topics of messages that have none of their own: what their routing keys are in MQTT. The
//! last one is kept.

use crate::dialect::Dialect;

/// A key longer than this is not kept: idle clients hold little.
const KEEP_MAX: usize = 512;

/// A key and its topic.
#[derive(Debug, Default)]
pub(super) struct Crossing {
    key: Vec<u8>,
    name: String,
    /// `name` is what `key` is; else it has to be found anew.
    known: bool,
}

impl Crossing {
    /// The topic of this key; none if it is no name that a client can be told.
    pub(super) fn topic(&mut self, dialect: Dialect, key: &[u8]) -> Option<&str> {
        if !self.known || self.key != key {
            self.known = dialect.topic(key, &mut self.name).is_ok();
            if !self.known {
                return None;
            }
            self.key.clear();
            self.key.extend_from_slice(key);
        }
        if self.name.len() > KEEP_MAX {
            self.known = false;
        }
        Some(&self.name)
    }
}
