//! A log in memory, which watches that no more weight goes than came.

use bytes::Bytes;
use lockgate_broker::{Journal, Place};
use std::collections::BTreeMap;

/// A log in memory.
#[derive(Default)]
pub struct Memory {
    pub records: BTreeMap<u64, (u8, Bytes)>,
    pub end: u64,
    pub weight: i64,
}

impl Journal for Memory {
    fn append(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let mut body = Vec::new();
        write(&mut body);
        let place = Place { pos: self.end, len: body.len() as u32 + 1 };
        self.records.insert(self.end, (kind, body.into()));
        self.end += u64::from(place.len);
        place
    }

    fn weigh(&mut self, _: Place, delta: i64) {
        self.weight += delta;
        assert!(self.weight >= 0, "more weight went than came");
    }
}
