//! Effects that wait for the log.

use lockgate_model::{Event, SessionId};
use std::collections::VecDeque;

/// Events, each with the position that must be committed before it leaves.
#[derive(Debug, Default)]
pub struct Held(VecDeque<(u64, SessionId, Event)>);

impl Held {
    /// Holds an event. One that could leave earlier than those before it waits for them.
    pub fn push(&mut self, after: u64, session: SessionId, event: Event) {
        self.0.push_back((after, session, event));
    }

    /// The next event that may leave when everything below `committed` is.
    pub fn pop(&mut self, committed: u64) -> Option<(SessionId, Event)> {
        let (after, _, _) = self.0.front()?;
        if *after > committed {
            return None;
        }
        self.0.pop_front().map(|(_, session, event)| (session, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_before_its_position_or_its_elders() {
        let mut held = Held::default();
        for (after, session) in [(10, 1), (30, 2), (20, 3)] {
            held.push(after, SessionId(session), Event::Resume);
        }
        let mut leave = |committed| held.pop(committed).map(|(s, _)| s.0);
        assert_eq!(leave(9), None);
        assert_eq!(leave(10), Some(1));
        assert_eq!(leave(29), None, "30 is not committed, and 20 waits behind it");
        assert_eq!((leave(30), leave(30), leave(30)), (Some(2), Some(3), None));
    }
}
