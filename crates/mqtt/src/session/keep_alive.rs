//! Keep alive (3.1.2.10), by the times that are passed in: a client that says nothing for one
//! and a half times as long as it promised is gone.

use lockgate_model::Time;
use std::time::Duration;

/// When the client was heard last, and how long it may be silent.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// Zero for any time.
    silence_max: Duration,
    heard: Time,
}

impl KeepAlive {
    pub(super) fn new(now: Time) -> KeepAlive {
        KeepAlive { silence_max: Duration::ZERO, heard: now }
    }

    /// From now on the client says something every so many seconds; 0 = when it likes.
    pub(super) fn agree(&mut self, seconds: u16, now: Time) {
        let silence_max = Duration::from_millis(u64::from(seconds) * 1_500);
        *self = KeepAlive { silence_max, heard: now };
    }

    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    /// When it has been silent for too long.
    pub(super) fn ends_at(&self) -> Option<Time> {
        (!self.silence_max.is_zero()).then(|| self.heard + self.silence_max)
    }
}
