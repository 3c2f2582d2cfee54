//! A queue: its declaration and its entries.

use super::attempts::Attempts;
use super::berth::Hearing;
use super::expiry::Expiry;
use super::line::{Cursors, Line, Rank};
use super::manner::Store;
use super::policies::Applied;
use super::retained::Retained;
use super::rules::{Kind, Rules};
use super::stream::Stream;
use super::window::Known;
use crate::few::Few;
use crate::id::{ExchangeId, PageId, QueueId, VhostId};
use crate::journal::Journal;
use crate::way::WayKey;
use lockgate_model::{Item, QueueSpec, SessionId, Stamp};

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// Its id.
    pub id: QueueId,
    /// Where it is.
    pub vhost: VhostId,
    /// As declared.
    pub spec: QueueSpec,
    /// What its arguments and the policies ask of it.
    pub rules: Rules,
    /// Those policies.
    pub policies: Applied,
    /// The session it is exclusive to.
    pub owner: Option<SessionId>,
    /// What it is for if an exchange owns it: then it has no name and nobody sees it.
    pub store: Option<Store>,
    /// What it is for berths, if anything.
    pub hearing: Option<Hearing>,
    /// What it has had, if it takes nothing twice.
    pub known: Option<Box<Known>>,
    /// Its entries.
    pub line: Line,
    /// When its entries are due.
    pub expiry: Expiry,
    /// How often its entries came back.
    pub attempts: Attempts,
    /// Replay only: what the last stop said may have been delivered.
    pub seen: Cursors,
    /// What only a stream has.
    pub stream: Option<Box<Stream>>,
    /// What only a store of what topics retain has.
    pub retained: Option<Box<Retained>>,
    /// Ways that lead here.
    pub inbound: Few<(ExchangeId, WayKey)>,
}

impl Queue {
    /// An empty queue.
    pub fn new(id: QueueId, vhost: VhostId, spec: QueueSpec) -> Queue {
        Queue {
            id,
            vhost,
            spec,
            rules: Rules::default(),
            policies: Applied::default(),
            owner: None,
            store: None,
            hearing: None,
            known: None,
            line: Line::default(),
            attempts: Attempts::default(),
            seen: Cursors::default(),
            expiry: Expiry::default(),
            stream: None,
            retained: None,
            inbound: Few::default(),
        }
    }

    /// Entries `from..to` of one rank are done with. Returns how many there were.
    pub fn settle(
        &mut self,
        from: u64,
        to: u64,
        journal: &mut impl Journal,
        pages: &mut Vec<PageId>,
    ) -> u64 {
        self.attempts.forget(from, to);
        if let Some(known) = &mut self.known {
            known.forget(from, to);
        }
        if let Some(retained) = &mut self.retained {
            retained.forget(from, to);
        }
        self.line.settle(from, to, journal, pages)
    }

    /// From now on these rules hold.
    pub fn obey(&mut self, rules: Rules) {
        if rules.bytes_max.is_some() {
            self.line.measure();
        }
        if rules.kind == Kind::Stream {
            self.stream.get_or_insert_default();
        }
        self.rules = rules;
    }

    /// What is to be written on the entry `from` as it is handed out, and the end of those
    /// up to `to` that are alike in it.
    pub fn stamp(&self, from: u64, to: u64) -> (Stamp, u64) {
        if self.attempts.is_empty() {
            return (Stamp::None, to);
        }
        match self.attempts.alike(from, to) {
            (0, end) => (Stamp::None, end),
            (count, end) => (Stamp::Attempts(count), end),
        }
    }

    /// True if it is in the log: what dies with its session never is.
    pub fn is_logged(&self) -> bool {
        self.spec.durable && self.owner.is_none()
    }

    /// Is an entry delivered only when it is committed? What is delivered once is: else another
    /// one could come under its number, which is all that its subscriber knows it by.
    pub fn is_careful(&self, item: &Item) -> bool {
        let once = item.exact && matches!(self.hearing, Some(Hearing::Settling(_)));
        self.rules.kind == Kind::Quorum || once
    }

    /// True if it is for a group that nobody is in.
    pub fn is_forsaken_group(&self) -> bool {
        matches!(self.hearing, Some(Hearing::Group { members: 0, .. }))
    }

    /// True if a message goes to the log before it is stored. What must be safe when it is
    /// delivered, and what topics retain, goes there whatever its sender says.
    pub fn logs(&self, persistent: bool) -> bool {
        let always = self.rules.kind != Kind::Classic || self.retained.is_some();
        (persistent || always) && self.is_logged()
    }

    /// Entries there are.
    pub fn messages(&self) -> u64 {
        let (first, next) = self.span();
        if self.stream.is_some() { next - first } else { self.line.live() }
    }

    /// A stream's first entry that can be read, and the next one's number.
    pub fn span(&self) -> (u64, u64) {
        let head = self.line.ranks().first().map_or(0, Rank::head);
        let first = self.stream.as_ref().and_then(|s| s.first());
        (first.unwrap_or(head), self.line.next(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of very many clients has one: what few queues need stands in boxes.
    #[test]
    fn an_empty_queue_costs_little() {
        assert!(size_of::<Queue>() <= 512, "{}", size_of::<Queue>());
    }
}
