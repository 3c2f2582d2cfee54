//! Pressure: who publishes faster than is stored is not read for a while; when memory
//! or disk run short, all are told.

use lockgate_model::{Alarm, Event, SessionId};

/// Bytes on their way to the disk at which publishers pause; they go on at half of it.
/// A disk that writes 500 MB/s takes a fifteenth of a second for them.
const UNDER_WAY_MAX: u64 = 32 * 1024 * 1024;

/// What is under way and what is short.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Too much is under way.
    pressed: bool,
    /// Sessions that are not read.
    paused: Vec<SessionId>,
    /// Memory is short.
    memory: bool,
    /// The disk is short.
    disk: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    /// Bytes on their way to log and pages.
    pub under_way: u64,
    /// Bytes of messages in memory.
    pub resident: u64,
    /// What they may take.
    pub resident_max: u64,
    /// The disk is nearly full.
    pub disk_low: bool,
}

impl Pressure {
    /// Takes a new measure. Events for single sessions go to `one`, for all to `all`.
    pub fn measure(
        &mut self,
        load: Load,
        mut one: impl FnMut(SessionId, Event),
        mut all: impl FnMut(Event),
    ) {
        self.pressed =
            load.under_way > if self.pressed { UNDER_WAY_MAX / 2 } else { UNDER_WAY_MAX };
        if !self.pressed {
            self.paused.drain(..).for_each(|s| one(s, Event::Resume));
        }
        // Once raised it stays until a tenth is free again, so that it does not flutter.
        let limit = if self.memory { load.resident_max / 10 * 9 } else { load.resident_max };
        let memory = load.resident > limit;
        if std::mem::replace(&mut self.memory, memory) != memory {
            all(Event::Alarm { alarm: Alarm::Memory, raised: memory });
        }
        if std::mem::replace(&mut self.disk, load.disk_low) != load.disk_low {
            all(Event::Alarm { alarm: Alarm::Disk, raised: load.disk_low });
        }
    }

    /// A session has published. True if it must pause now.
    pub fn pauses(&mut self, session: SessionId) -> bool {
        let fresh = self.pressed && !self.paused.contains(&session);
        if fresh {
            self.paused.push(session);
        }
        fresh
    }

    /// A session is gone.
    pub fn forget(&mut self, session: SessionId) {
        self.paused.retain(|s| *s != session);
    }

    /// The alarms that stand: a new session is told.
    pub fn standing(&self) -> impl Iterator<Item = Alarm> {
        let memory = self.memory.then_some(Alarm::Memory);
        memory.into_iter().chain(self.disk.then_some(Alarm::Disk))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(p: &mut Pressure, load: Load) -> (Vec<SessionId>, Vec<Event>) {
        let (mut resumed, mut alarms) = (Vec::new(), Vec::new());
        p.measure(load, |s, _| resumed.push(s), |e| alarms.push(e));
        (resumed, alarms)
    }

    #[test]
    fn publishers_pause_above_the_limit_and_go_on_at_half_of_it() {
        let mut p = Pressure::default();
        let load = |under_way| Load { under_way, resident_max: 1, ..Load::default() };
        assert!(!p.pauses(SessionId(1)));
        told(&mut p, load(UNDER_WAY_MAX + 1));
        assert!(p.pauses(SessionId(1)));
        assert!(!p.pauses(SessionId(1)), "told once");
        assert_eq!(told(&mut p, load(UNDER_WAY_MAX / 2 + 1)).0, []);
        assert_eq!(told(&mut p, load(UNDER_WAY_MAX / 2)).0, [SessionId(1)]);
    }

    #[test]
    fn a_memory_alarm_is_raised_once_and_lifted_with_room_to_spare() {
        let mut p = Pressure::default();
        let load = |resident| Load { resident, resident_max: 1000, ..Load::default() };
        assert_eq!(told(&mut p, load(1000)).1.len(), 0);
        assert_eq!(told(&mut p, load(1001)).1.len(), 1);
        assert_eq!(p.standing().count(), 1);
        assert_eq!(told(&mut p, load(950)).1.len(), 0);
        assert_eq!(told(&mut p, load(900)).1.len(), 1);
        assert_eq!(p.standing().count(), 0);
    }
}
