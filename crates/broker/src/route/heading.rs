//! What routing looks at of a message: its keys, and its headers when somebody asks.

use lockgate_model::{Glance, Table};
use std::cell::OnceCell;

/// The outside of one message.
#[derive(Debug)]
pub struct Heading<'a> {
    /// Its routing key, and those of its copies.
    pub keys: &'a [&'a [u8]],
    /// Its topic, if its publisher named one.
    pub topic: Option<&'a [u8]>,
    /// Its property list.
    pub head: &'a [u8],
    headers: OnceCell<Table>,
}

impl<'a> Heading<'a> {
    /// A message with these keys (its own first) and this property list.
    pub fn new(keys: &'a [&'a [u8]], head: &'a [u8]) -> Heading<'a> {
        Heading { keys, topic: None, head, headers: OnceCell::new() }
    }

    /// The same, of a topic.
    pub fn named(self, topic: Option<&'a [u8]>) -> Heading<'a> {
        Heading { topic, ..self }
    }

    /// Its own routing key.
    pub fn key(&self) -> &'a [u8] {
        self.keys.first().copied().unwrap_or_default()
    }

    /// Its headers, read when they are first asked for.
    pub fn headers(&self) -> &Table {
        self.headers.get_or_init(|| {
            let table = Glance::of(self.head).ok().and_then(|g| g.headers);
            table.and_then(|t| Table::decode(t).ok()).unwrap_or_default()
        })
    }
}
