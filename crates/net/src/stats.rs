//! Counters of connections. Plain atomics: whoever shows them reads them.

use lockgate_front::Skipped;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How connections ended, as counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As agreed between both sides.
    Agreed,
    /// The peer broke its protocol's rules.
    Fault,
    /// The peer was not let in.
    Denied,
    /// Nothing came for too long.
    Silent,
    /// Another connection took its place.
    Displaced,
    /// The broker goes down or was told to end it.
    Stopped,
    /// The peer went without a word, or the network did.
    Gone,
    /// The peer was not let in in time.
    Handshake,
    /// Our own fault: the session panicked.
    Panicked,
}

impl Ending {
    /// All of them, in the order they are counted.
    pub const ALL: [Ending; 9] = [
        Ending::Agreed,
        Ending::Fault,
        Ending::Denied,
        Ending::Silent,
        Ending::Displaced,
        Ending::Stopped,
        Ending::Gone,
        Ending::Handshake,
        Ending::Panicked,
    ];

    /// Its name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Agreed => "agreed",
            Ending::Fault => "fault",
            Ending::Denied => "denied",
            Ending::Silent => "silent",
            Ending::Displaced => "displaced",
            Ending::Stopped => "stopped",
            Ending::Gone => "gone",
            Ending::Handshake => "handshake",
            Ending::Panicked => "panicked",
        }
    }
}

/// Counters of one server. All only grow.
#[derive(Debug, Default)]
pub struct Stats {
    /// Connections taken.
    pub accepted: AtomicU64,
    /// Connections turned away because there were too many.
    pub refused: AtomicU64,
    /// Times that the system would not give us a connection.
    pub accept_errors: AtomicU64,
    /// Logins that were denied.
    pub logins_denied: AtomicU64,
    /// Messages that sessions dropped by themselves.
    pub dropped: AtomicU64,
    /// Properties of messages that no other protocol has words for, or not so many.
    pub untold: AtomicU64,
    /// What peers were not delivered, in the order of `Skipped`.
    skipped: [AtomicU64; 3],
    closed: [AtomicU64; Ending::ALL.len()],
    /// Bytes moved, counted apart by threads that would else wait for each other's cache line.
    moved: [Moved; SHARDS],
}

const SHARDS: usize = 8;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Moved {
    read: AtomicU64,
    written: AtomicU64,
}

impl Stats {
    /// Connections that ended that way.
    pub fn closed(&self, ending: Ending) -> u64 {
        self.closed[ending as usize].load(Relaxed)
    }

    /// What peers were not delivered, though it came for them.
    pub fn skipped(&self) -> Skipped {
        let [too_large, expired, nameless] =
            [0, 1, 2].map(|n: usize| self.skipped[n].load(Relaxed));
        Skipped { too_large, expired, nameless }
    }

    pub(crate) fn skip(&self, more: Skipped) {
        let Skipped { too_large, expired, nameless } = more;
        for (counter, n) in self.skipped.iter().zip([too_large, expired, nameless]) {
            if n > 0 {
                counter.fetch_add(n, Relaxed);
            }
        }
    }

    /// Bytes read from peers.
    pub fn bytes_read(&self) -> u64 {
        self.moved.iter().map(|m| m.read.load(Relaxed)).sum()
    }

    /// Bytes written to peers.
    pub fn bytes_written(&self) -> u64 {
        self.moved.iter().map(|m| m.written.load(Relaxed)).sum()
    }

    pub(crate) fn close(&self, ending: Ending) {
        self.closed[ending as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn moved(&self, read: u64, written: u64) {
        let shard = &self.moved[shard()];
        if read > 0 {
            shard.read.fetch_add(read, Relaxed);
        }
        if written > 0 {
            shard.written.fetch_add(written, Relaxed);
        }
    }
}

/// This thread's shard.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: Cell<usize> = Cell::new(NEXT.fetch_add(1, Relaxed) % SHARDS));
    MINE.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_counted_apart_and_bytes_together() {
        let stats = Stats::default();
        for (n, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, n);
            (0..=n).for_each(|_| stats.close(ending));
        }
        for (n, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(stats.closed(ending), n as u64 + 1, "{}", ending.name());
        }
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| stats.moved(3, 5));
            }
        });
        assert_eq!((stats.bytes_read(), stats.bytes_written()), (60, 100));
        let skipped = Skipped { too_large: 1, expired: 2, nameless: 3 };
        stats.skip(skipped);
        stats.skip(Skipped::default());
        assert_eq!(stats.skipped(), skipped);
    }
}
