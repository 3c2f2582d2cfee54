//! Heartbeats both ways (section 4.2.7), by the times that are passed in: one is sent
//! when nothing was for half the interval, and two intervals of silence are the end.

use lockgate_front::Output;
use lockgate_model::Time;
use std::time::Duration;

/// When what was last heard and said.
#[derive(Debug)]
pub(super) struct Heart {
    /// As agreed; zero for none.
    interval: Duration,
    heard: Time,
    said: Time,
    /// Nothing is read from the peer, so its silence means nothing.
    suspended: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// A heartbeat is to be sent.
    Beat,
    /// The peer is gone.
    Silence,
}

impl Heart {
    pub(super) fn new(now: Time) -> Heart {
        Heart { interval: Duration::ZERO, heard: now, said: now, suspended: false }
    }

    pub(super) fn agree(&mut self, interval: Duration, now: Time) {
        *self = Heart { interval, heard: now, said: now, suspended: self.suspended };
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

    fn beat_at(&self) -> Time {
        self.said + self.interval / 2
    }

    fn silent_at(&self) -> Time {
        self.heard + self.interval * 2
    }

    /// When something will be due; silence only counts while the peer is read.
    pub(super) fn wake_at(&self, reading: bool) -> Option<Time> {
        if self.interval.is_zero() {
            None
        } else if reading && !self.suspended {
            Some(self.beat_at().min(self.silent_at()))
        } else {
            Some(self.beat_at())
        }
    }

    pub(super) fn due(&self, now: Time, reading: bool) -> Due {
        if self.interval.is_zero() {
            Due::Nothing
        } else if reading && !self.suspended && now >= self.silent_at() {
            Due::Silence
        } else if now >= self.beat_at() {
            Due::Beat
        } else {
            Due::Nothing
        }
    }
}
