//! Topics that a client publishes to: the numbers it gives them (3.3.2.3.4), and what they
//! are as origins of messages, remembered from read to read: whoever publishes to the same
//! few topics has them checked and translated once.

use crate::Shared;
use crate::dialect::Dialect;
use crate::error::Fault;
use crate::packet::Publish;
use crate::reason::Reason;
use crate::topic;
use bytes::Bytes;
use lockgate_model::{Origin, Range};

/// Topics that are remembered, at most.
const KNOWN_MAX: usize = 8;

/// Bytes that are kept for them between two reads, at most.
const KEPT_MAX: usize = 1024;

/// Bytes of all topics that one client gives numbers to, at most: four of the longest.
const NUMBERED_MAX: usize = 4 * topic::LENGTH_MAX;

/// The numbers that a client has given to topics.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    topics: Vec<Option<Box<str>>>,
    bytes: usize,
}

impl Aliases {
    /// The topic of a message; a number that it brings is noted.
    pub(super) fn topic<'a>(&'a mut self, p: &Publish<'a>, most: u16) -> Result<&'a str, Fault> {
        if p.properties.is_empty() {
            return Ok(p.topic);
        }
        let Some(alias) = p.properties.topic_alias() else { return Ok(p.topic) };
        let alias = alias.get();
        if alias > most {
            let text = format!("Topic Alias {alias}, and the maximum is {most}");
            return Err(Fault::new(Reason::TopicAliasInvalid, text, "MQTT-3.3.2-9"));
        }
        let at = usize::from(alias) - 1;
        if p.topic.is_empty() {
            return self.topics.get(at).and_then(|topic| topic.as_deref()).ok_or_else(|| {
                let text = format!("Topic Alias {alias} stands for no topic");
                Fault::new(Reason::Protocol, text, "3.3.2.3.4")
            });
        }
        if self.topics.len() <= at {
            self.topics.resize(at + 1, None);
        }
        if let Some(slot) = self.topics.get_mut(at)
            && slot.as_deref() != Some(p.topic)
        {
            self.bytes -= slot.as_ref().map_or(0, |topic| topic.len());
            self.bytes += p.topic.len();
            if self.bytes > NUMBERED_MAX {
                let text = format!("topics of more than {NUMBERED_MAX} bytes have numbers");
                return Err(Fault::new(Reason::QuotaExceeded, text, ""));
            }
            *slot = Some(p.topic.into());
        }
        Ok(p.topic)
    }
}

/// Why nobody may publish to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unpublishable {
    /// It is the broker's own.
    Reserved,
    /// It has too many levels.
    Deep,
    /// Its key would be longer than any topic.
    Long,
}

/// May a client publish to a topic of this name?
pub(super) fn check(topic: &str, dialect: Dialect, shared: &Shared) -> Result<(), Unpublishable> {
    if dialect.key_size(topic) > topic::LENGTH_MAX {
        return Err(Unpublishable::Long);
    }
    if topic.starts_with('$') && topic.split('/').next() == Some("$SYS") {
        return Err(Unpublishable::Reserved);
    }
    let levels_max = shared.settings.levels_max;
    if topic.len() >= levels_max && topic::levels(topic) > levels_max {
        return Err(Unpublishable::Deep);
    }
    Ok(())
}

/// A topic that stands in what is beside a run.
#[derive(Clone, Copy, Debug)]
struct Known {
    origin: Origin,
    /// Where its name begins, and where it ends.
    from: usize,
    end: usize,
}

/// What stands beside a run while it is gathered: topics in words that all understand, and
/// properties.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// As it was after an earlier read; copied before something is added.
    kept: Bytes,
    /// In its place, once something is added.
    grown: Vec<u8>,
    /// By age; all of them stand in `grown`, or in `kept` where nothing is added.
    known: Vec<Known>,
}

impl Beside {
    fn bytes(&self) -> &[u8] {
        if self.grown.is_empty() { &self.kept } else { &self.grown }
    }

    /// Where something can be added.
    pub(super) fn grow(&mut self, shared: &Shared) -> &mut Vec<u8> {
        if self.grown.is_empty() {
            let before = if self.kept.is_empty() { &shared.beside } else { &self.kept };
            self.grown.reserve(before.len() + 128);
            self.grown.extend_from_slice(before);
        }
        &mut self.grown
    }

    /// The origin of what is published to a topic.
    #[inline]
    pub(super) fn origin(
        &mut self,
        topic: &str,
        mandatory: bool,
        dialect: Dialect,
        shared: &Shared,
    ) -> Result<Origin, Unpublishable> {
        let bytes = self.bytes();
        let same = |k: &&Known| {
            k.origin.mandatory == mandatory && bytes.get(k.from..k.end) == Some(topic.as_bytes())
        };
        if let Some(known) = self.known.iter().rev().find(same) {
            return Ok(known.origin);
        }
        check(topic, dialect, shared)?;
        Ok(self.learn(topic, mandatory, dialect, shared))
    }

    fn learn(&mut self, topic: &str, mandatory: bool, dialect: Dialect, shared: &Shared) -> Origin {
        let beside = self.grow(shared);
        let key_at = beside.len();
        dialect.key(topic, beside);
        let from = beside.len();
        beside.extend_from_slice(topic.as_bytes());
        let end = beside.len();
        let origin = Origin {
            exchange: shared.exchange(),
            key: Range::beside(key_at, from - key_at),
            topic: Range::beside(from, end - from),
            mandatory,
        };
        if self.known.len() == KNOWN_MAX {
            self.known.remove(0);
        }
        self.known.push(Known { origin, from, end });
        origin
    }

    /// The bytes for a run, and what of them is remembered. `mixed`: there are properties
    /// among them, which nobody will ask for again.
    pub(super) fn finish(&mut self, mixed: bool, dialect: Dialect, shared: &Shared) -> Bytes {
        if self.grown.is_empty() {
            return if self.kept.is_empty() { shared.beside.clone() } else { self.kept.clone() };
        }
        let bytes = Bytes::from(std::mem::take(&mut self.grown));
        if !mixed && bytes.len() <= KEPT_MAX {
            self.kept = bytes.clone();
            return bytes;
        }
        let Some(Known { origin, from, end }) = self.known.last().copied() else { return bytes };
        if end <= self.kept.len() {
            return bytes;
        }
        // The last topic is the likely one; the others are as good as gone.
        (self.kept, self.known) = (Bytes::new(), Vec::new());
        let name = bytes.get(from..end).and_then(|name| std::str::from_utf8(name).ok());
        if let Some(topic) = name.filter(|topic| topic.len() <= KEPT_MAX / 4) {
            self.learn(topic, origin.mandatory, dialect, shared);
            self.kept = Bytes::from(std::mem::take(&mut self.grown));
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use lockgate_model::{Item, Run};
    use proptest::prelude::*;

    proptest! {
        /// Whatever stood there before, each message has its own topic and key.
        #[test]
        fn a_topic_is_itself_however_it_is_remembered(
            reads in prop::collection::vec(
                prop::collection::vec((0..14usize, any::<bool>(), any::<bool>()), 1..12),
                1..12,
            ),
        ) {
            let shared = Shared::new(Settings::default());
            let name = |n: usize| match n {
                12 => format!("long/{}", "l".repeat(300)),
                13 => format!("long/{}", "m".repeat(2_000)),
                n => format!("topic/{n}"),
            };
            let mut beside = Beside::default();
            for read in reads {
                let (mut origins, mut mixed) = (Vec::new(), false);
                for (n, mandatory, properties) in &read {
                    let dialect = Dialect::default();
                    origins.push(beside.origin(&name(*n), *mandatory, dialect, &shared).unwrap());
                    if *properties {
                        mixed = true;
                        beside.grow(&shared).extend_from_slice(b"Mproperties");
                    }
                }
                let bytes = beside.finish(mixed, Dialect::default(), &shared);
                prop_assert!(beside.kept.len() <= KEPT_MAX && beside.known.len() <= KNOWN_MAX);
                let run = Run { beside: bytes, origins, ..Run::default() };
                for (at, (n, mandatory, _)) in read.iter().enumerate() {
                    let item = Item { origin: at as u32, ..Item::default() };
                    let names = run.names(&item);
                    let (topic, key) = (name(*n), name(*n).replace('/', "."));
                    prop_assert_eq!((names.topic, names.key), (topic.as_bytes(), key.as_bytes()));
                    prop_assert_eq!((names.exchange, names.mandatory), (&b"amq.topic"[..], *mandatory));
                }
            }
        }
    }

    #[test]
    fn one_topic_is_translated_once() {
        let shared = Shared::new(Settings::default());
        let mut beside = Beside::default();
        let mut read = |topic: &str| {
            beside.origin(topic, false, Dialect::default(), &shared).unwrap();
            beside.finish(false, Dialect::default(), &shared)
        };
        let first = read("a/b");
        assert_eq!(read("a/b").as_ptr(), first.as_ptr());
        assert_ne!(read("a/c").as_ptr(), first.as_ptr());
    }

    #[test]
    fn the_last_topic_is_remembered_whatever_stood_beside_it() {
        let shared = Shared::new(Settings::default());
        let mut beside = Beside::default();
        for topic in ["a", "b", "b", "a", "a"] {
            beside.origin(topic, false, Dialect::default(), &shared).unwrap();
            beside.grow(&shared).extend_from_slice(b"Mproperties");
            beside.finish(true, Dialect::default(), &shared);
            assert!(beside.grown.is_empty() && beside.known.len() == 1);
            // It is found in what was kept.
            beside.origin(topic, false, Dialect::default(), &shared).unwrap();
            assert!(beside.grown.is_empty(), "{topic}");
        }
    }
}
