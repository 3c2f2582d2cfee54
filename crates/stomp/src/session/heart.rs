//! Heart-beats both ways ("Heart-beating" in 1.1 and 1.2), by the times that are passed in:
//! one is sent when nothing was for half of what was promised, and twice what the peer
//! promised in silence is the end. RabbitMQ counts in whole seconds, and so the peer is told.

use crate::error::{Fault, shown};
use crate::header::number;
use lockgate_front::Output;
use lockgate_model::Time;
use std::time::Duration;

/// Longer than this nobody waits; it keeps sums of times in range.
const INTERVAL_MAX: u64 = 24 * 3_600;

/// When what was last heard and said.
#[derive(Debug)]
pub(super) struct Heart {
    /// How often something is sent at least; zero for never.
    pub(super) sends: Duration,
    /// How often the peer sends something at least; zero for never.
    pub(super) hears: Duration,
    heard: Time,
    said: Time,
    /// Nothing is read from the peer, so its silence means nothing.
    suspended: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A heart-beat is to be sent.
    Beat,
    /// The peer is gone.
    Silence,
}

impl Heart {
    pub(super) fn new(now: Time) -> Heart {
        let none = Duration::ZERO;
        Heart { sends: none, hears: none, heard: now, said: now, suspended: false }
    }

    /// What the peer can send and wants to get, in milliseconds: `CX,CY`.
    pub(super) fn agree(&mut self, header: &[u8]) -> Result<(), Fault> {
        let parts = header.iter().position(|b| *b == b',').map(|at| header.split_at(at));
        let numbers = parts.and_then(|(x, y)| Some((number(x)?, number(y.get(1..)?)?)));
        let Some((x, y)) = numbers else {
            let text = format!(
                "heart-beat must be two numbers of milliseconds, such as 10000,10000, not '{}'\n",
                shown(header)
            );
            return Err(Fault::last("Bad CONNECT", text));
        };
        (self.hears, self.sends) = (whole(x), whole(y));
        Ok(())
    }

    /// The times begin: both sides know what was agreed.
    pub(super) fn begin(&mut self, now: Time) {
        (self.heard, self.said) = (now, now);
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    /// Notes that something was said, if more waits to be written than `before`.
    pub(super) fn wrote(&mut self, before: usize, now: Time, out: &Output) {
        if out.bytes.len() > before {
            self.said = now;
        }
    }

    pub(super) fn suspend(&mut self) {
        self.suspended = true;
    }

    pub(super) fn resume(&mut self, now: Time) {
        self.suspended = false;
        self.heard = now;
    }

    fn beat_at(&self) -> Option<Time> {
        (!self.sends.is_zero()).then(|| self.said + self.sends / 2)
    }

    fn silent_at(&self, reading: bool) -> Option<Time> {
        let counts = reading && !self.suspended && !self.hears.is_zero();
        counts.then(|| self.heard + self.hears * 2)
    }

    /// When something will be due; silence only counts while the peer is read.
    pub(super) fn wake_at(&self, reading: bool) -> Option<Time> {
        match (self.beat_at(), self.silent_at(reading)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn due(&self, now: Time, reading: bool) -> Due {
        if self.silent_at(reading).is_some_and(|at| now >= at) {
            Due::Silence
        } else if self.beat_at().is_some_and(|at| now >= at) {
            Due::Beat
        } else {
            Due::Nothing
        }
    }
}

/// Whole seconds, at least one if it is any.
fn whole(millis: u64) -> Duration {
    let seconds = match millis {
        0 => 0,
        1..1_000 => 1,
        _ => (millis / 1_000).min(INTERVAL_MAX),
    };
    Duration::from_secs(seconds)
}
