//! The one place where time is asked for: everyone else is told.
//!
//! Wall time is read once, at the start; from then on only the monotonic clock
//! counts, so a step of the wall clock neither fires nor delays any timer.

use lockgate_model::Time;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Wall time at the start plus what has passed since. Never runs backwards.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// What `start` is called.
    origin: Time,
}

impl Clock {
    /// A clock that begins at the system's wall time.
    pub fn start() -> Clock {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), origin: Time(0) + unix }
    }

    /// Now.
    #[inline]
    pub fn now(&self) -> Time {
        self.origin + self.start.elapsed()
    }

    /// The runtime's instant for a moment; a past one is the start. What lies too
    /// far ahead for the runtime is cut: timers are looked at again when they fire.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        self.start + at.since(self.origin).min(FAR)
    }
}

/// Beyond any process's life, and safe to add to any instant.
const FAR: std::time::Duration = std::time::Duration::from_secs(30 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn it_moves_with_the_runtime_and_maps_back() {
        let clock = Clock::start();
        let then = clock.now();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().since(then), Duration::from_millis(1500));
        assert_eq!(clock.instant(clock.now()), Instant::now());
        clock.instant(Time(u64::MAX));
    }
}
