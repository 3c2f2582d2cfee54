//! What can be set about connections, with defaults that fit most machines.

use std::time::Duration;

/// Limits and times of all connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most connections at a time; one more is refused.
    pub connections_max: usize,
    /// Most connections at a time that have not logged in yet.
    pub unauthenticated_max: usize,
    /// How long a peer may take until it is let in.
    pub handshake: Duration,
    /// How long a connection is kept after a login was refused, and waits for the next
    /// attempt: slows guessing. It counts as one that has not logged in meanwhile.
    pub denied_delay: Duration,
    /// How long the last bytes may take to leave.
    pub flush: Duration,
    /// How long sessions may take to end when the broker stops.
    pub stop: Duration,
    /// Bytes that may wait for a peer to read them; beyond this nothing more is
    /// read from it and nothing more is fetched for it.
    pub output_max: usize,
    /// Connections that may wait to be accepted.
    pub backlog: u32,
    /// A silent peer's machine is probed after this.
    pub keepalive: Duration,
    /// How long sent bytes may stay unacknowledged, or unsent because the peer does
    /// not read; none leaves it to the system (15 minutes for a dead peer, for ever
    /// for one that lives and does not read).
    pub unacknowledged: Option<Duration>,
    /// When the engine is called again if it does not say when.
    pub tick: Duration,
}

/// Files kept free for the log and whatever else the process opens.
const FILES_RESERVED: usize = 256;

impl Default for Settings {
    fn default() -> Settings {
        let files = open_files_max();
        let connections_max = files.saturating_sub(FILES_RESERVED).max(files / 2);
        Settings {
            connections_max,
            unauthenticated_max: (connections_max / 2).min(4096),
            handshake: Duration::from_secs(10),
            // RabbitMQ's pause.
            denied_delay: Duration::from_secs(3),
            flush: Duration::from_secs(5),
            stop: Duration::from_secs(10),
            output_max: 1024 * 1024,
            backlog: 4096,
            keepalive: Duration::from_secs(60),
            unacknowledged: None,
            tick: Duration::from_millis(100),
        }
    }
}

/// How many files the process may open.
pub fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(usize::MAX / 2, |n| usize::try_from(n).unwrap_or(usize::MAX / 2)).min(1 << 24)
}

/// Raises the number of files that the process may open to what the system lets
/// it have, and returns it. Call before `Settings::default`.
pub fn raise_open_files_max() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // A refusal leaves the limit as it was, which is then what is reported.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    open_files_max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_log() {
        let settings = Settings::default();
        assert!(settings.connections_max < raise_open_files_max());
        assert!(settings.connections_max > 0 && settings.unauthenticated_max > 0);
    }
}
