//! Groups: records that a replay takes all of or none.

use super::Broker;
use crate::journal::Journal;
use crate::record::kind;

impl Broker {
    /// What follows happens whole or not at all, up to `end_group`. False if it is within a
    /// group already: then that one's end is the end.
    pub(super) fn begin_group(&mut self, journal: &mut impl Journal) -> bool {
        if self.grouped.is_some() {
            return false;
        }
        // Not part of it: what was settled before stays settled.
        self.log_settled(journal);
        self.grouped = Some(journal.append(kind::BEGIN, |_| {}).end());
        true
    }

    /// Ends the group; what was settled in it belongs to it. Says what its effects must
    /// wait for.
    pub(super) fn end_group(&mut self, journal: &mut impl Journal) -> u64 {
        self.log_settled(journal);
        let end = journal.append(kind::END, |_| {}).end();
        if let Some(begin) = self.grouped.take() {
            self.wait_together(begin, end);
            // What was seen in it counts when all of it is committed.
            self.marked = self.marked.max(end);
        }
        end
    }
}
