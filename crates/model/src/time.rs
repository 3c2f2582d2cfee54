//! `Time`: a moment, always passed in, never asked for.

use std::time::Duration;

/// Microseconds since 1970, on a clock that never runs backwards within a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// Whole milliseconds since 1970.
    pub fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since 1970, as message timestamps count.
    pub fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;
    fn add(self, d: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)))
    }
}
