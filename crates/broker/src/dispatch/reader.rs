//! A reader: a stream's subscriber, with a place of its own. What it is given stays where it is,
//! and nothing comes back from it; its leases only count what it may hold.

use super::serve::{Part, measure};
use super::{Dispatch, Lease};
use crate::journal::Effects;
use crate::ledger::Slice;
use bytes::Bytes;
use lockgate_model::{Delivery, Event, Glance, Run, Stamp, Table, Value};
use std::sync::Arc;

/// The header of messages that filters look at.
pub const FILTER_HEADER: &str = "x-stream-filter-value";

/// Where a reader stands.
#[derive(Debug, Default)]
pub struct Reader {
    /// The next entry it has not looked at.
    pub next: u64,
    /// What it wants; none wants all.
    pub filter: Option<Filter>,
    /// The segment in which the disk looks for its place, and whether it has been asked.
    pub seeks: Option<Seek>,
    /// Nothing leaves for it before the log is committed so far: what a power cut may take
    /// back must not be read, since other entries could get its numbers.
    pub after: u64,
}

/// A place that is sought by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seek {
    /// The segment's first entry.
    pub segment: u64,
    /// Entries that came at this time or later.
    pub time: lockgate_model::Time,
    /// The disk has been asked.
    pub asked: bool,
}

/// Which messages a reader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Those with one of these values.
    pub values: Vec<Bytes>,
    /// Those without a value too.
    pub unfiltered: bool,
}

impl Filter {
    /// Whether a message with this property list passes.
    pub fn passes(&self, head: &[u8]) -> bool {
        // Most that have no value have no table either, or none that holds the name.
        let name = FILTER_HEADER.as_bytes();
        if !head.windows(name.len()).any(|w| w == name) {
            return self.unfiltered;
        }
        let headers = Glance::of(head).ok().and_then(|g| g.headers);
        let headers = headers.and_then(|t| Table::decode(t).ok()).unwrap_or_default();
        match headers.get(FILTER_HEADER) {
            Some(Value::Text(value)) => self.values.contains(value),
            _ => self.unfiltered,
        }
    }

    /// The first items from `from` on that pass, without a gap, before `to`.
    fn stretch(&self, run: &Run, from: u32, to: u32) -> (u32, u32) {
        let passes = |n: &u32| run.items.get(*n as usize).is_some_and(|i| self.passes(run.head(i)));
        let first = (from..to).find(|n| passes(n)).unwrap_or(to);
        (first, (first..to).find(|n| !passes(n)).unwrap_or(to))
    }
}

impl Dispatch {
    /// Gives a reader entries of a slice from its front, as far as it can take them. Nothing
    /// leaves before the log is committed up to `after`.
    pub fn read_out(&mut self, id: usize, slice: &Slice, after: u64, out: &mut Effects) {
        let mut at = 0;
        while at < slice.count {
            let room = self.capacity(id);
            let Some(s) = self.subscribers.get_mut(id) else { return };
            let (session, lane, consumer, queue) = (s.session, s.lane, s.handle, s.queue);
            let Some(reader) = s.reader.as_mut().filter(|_| room > 0) else { return };
            let (item, end) = (slice.item + at, slice.item + slice.count);
            let filter = reader.filter.as_ref();
            let (from, to) = filter.map_or((item, end), |f| f.stretch(&slice.run, item, end));
            reader.after = reader.after.max(after);
            let after = reader.after;
            let mut part = Part { first: from, step: 1, count: (to - from).min(room) };
            let count = if from < to {
                let Some(state) = self.sessions.get_mut(&session) else { return };
                let cost = measure(&slice.run, 0, &mut part, state.window.max(0) as u64);
                state.window -= cost as i64;
                let first = slice.first + u64::from(from - slice.item);
                let lease = Lease::new(session, lane, Some(id), queue, first, 1, part.count);
                let delivery = Delivery {
                    lane,
                    consumer,
                    run: Arc::clone(&slice.run),
                    first: from,
                    step: 1,
                    count: part.count,
                    number: first,
                    lease: Some(self.lend(lease)),
                    redelivered: false,
                    stamp: Stamp::Offset(first),
                    cost,
                };
                out.after(after, session, Event::Deliver(delivery));
                part.count
            } else {
                0
            };
            at = from + count - slice.item;
            let reader = self.subscribers.get_mut(id).and_then(|s| s.reader.as_mut());
            let Some(reader) = reader else { return };
            reader.next = slice.first + u64::from(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_model::{Properties, RunBuilder};

    fn head(value: Option<Value>) -> Vec<u8> {
        let mut headers = Table::default();
        headers.set("other", Value::text("a"));
        if let Some(value) = value {
            headers.set(FILTER_HEADER, value);
        }
        let mut out = Vec::new();
        Properties { headers: Some(headers), ..Properties::default() }.encode(&mut out);
        out
    }

    #[test]
    fn a_filter_passes_its_values_and_no_others() {
        let values = vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let strict = Filter { values, unfiltered: false };
        let lax = Filter { unfiltered: true, ..strict.clone() };
        for (value, passes, none) in [
            (Some(Value::text("a")), true, false),
            (Some(Value::text("b")), true, false),
            (Some(Value::text("c")), false, false),
            (Some(Value::Bool(true)), false, true),
            (None, false, true),
        ] {
            let head = head(value.clone());
            assert_eq!(strict.passes(&head), passes, "{value:?}");
            assert_eq!(lax.passes(&head), passes || none, "{value:?}");
        }
        assert!(lax.passes(&[0, 0]) && !strict.passes(&[0, 0]) && lax.passes(&[]));
    }

    #[test]
    fn what_passes_is_found_in_stretches() {
        let mut run = RunBuilder::default();
        for value in ["a", "x", "a", "a", "x"] {
            run.push(b"", b"k", false, &head(Some(Value::text(value))), b"", false, 0);
        }
        let run = run.finish();
        let filter = Filter { values: vec![Bytes::from_static(b"a")], unfiltered: false };
        assert_eq!(filter.stretch(&run, 0, 5), (0, 1));
        assert_eq!(filter.stretch(&run, 1, 5), (2, 4));
        assert_eq!(filter.stretch(&run, 4, 5), (5, 5));
    }
}
