//! Opening: the log is recovered into a broker, the threads are started.

use crate::engine::Engine;
use crate::journal::{Live, Replayed, Weights};
use crate::librarian::{Desk, Librarian};
use crate::settings::Settings;
use crate::shelver::Shelver;
use crate::state::{Desks, State};
use lockgate_broker::{Broker, Place};
use lockgate_model::{Malformed, Name};
use lockgate_wal::{
    Cut, Disk, Kept, Log, OpenError as LogError, Options, OsDisk, Pages, ReplayError, Report, Shelf,
};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What the opening found.
#[derive(Clone, Debug)]
pub struct Started {
    /// The last stop was orderly.
    pub clean: bool,
    /// A torn tail was cut from the log.
    pub cut: Option<Cut>,
    /// Records replayed.
    pub records: u64,
    /// Queues there are.
    pub queues: u64,
    /// Messages there are.
    pub messages: u64,
    /// Virtual hosts that were made because they were not there.
    pub vhosts: Vec<Name>,
}

/// Why the engine cannot start.
#[derive(Debug)]
pub enum OpenError {
    /// The log cannot be opened.
    Log(LogError),
    /// A record of the log means nothing to this version.
    Record {
        /// Where it is.
        pos: u64,
        /// What is wrong with it.
        why: Malformed,
    },
    /// A file or a thread could not be made.
    Io(io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Log(e) => e.fmt(f),
            OpenError::Record { pos, why } => {
                write!(f, "the log's record at {pos:#x} cannot be read: {why}")
            }
            OpenError::Io(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(e: io::Error) -> Self {
        OpenError::Io(e)
    }
}

impl Engine<OsDisk> {
    /// Opens the engine on a directory.
    pub fn open(dir: &Path, settings: Settings) -> Result<(Engine, Started), OpenError> {
        let open = |name| {
            std::fs::create_dir_all(dir.join(name))?;
            OsDisk::open(dir.join(name)).map(Arc::new)
        };
        Engine::open_on(open("log")?, open("pages")?, settings)
    }
}

impl<D: Disk> Engine<D> {
    /// Opens the engine on any disks: one for the log, one for what need not last.
    pub fn open_on(
        log: Arc<D>,
        pages: Arc<D>,
        settings: Settings,
    ) -> Result<(Engine<D>, Started), OpenError> {
        let broker = Broker::new(lockgate_broker::Settings {
            queue_resident: settings.queue_resident,
            // Half of the budget: the other half is what is under way.
            resident_max: settings.memory_max / 2,
            seed: settings.seed,
            group_header: settings.group_header.clone(),
            retained_max: settings.keeps.retained_max,
            retained_bytes_max: settings.keeps.retained_bytes_max,
            berths_messages_max: settings.keeps.berths_messages_max,
            berths_bytes_max: settings.keeps.berths_bytes_max,
        });
        let disk = Arc::clone(&log);
        let (mut broker, mut log, report, mut weights) = recover(broker, log, &settings)?;
        let kept: Vec<Kept> = broker
            .kept_segments()
            .into_iter()
            .map(|(stream, base, bytes)| Kept { stream: stream.0, base, bytes })
            .collect();
        let shelf = Shelf::open(disk, &kept).map_err(OpenError::Log)?;
        let mut journal = Live { log: &mut log, weights: &mut weights };
        broker.recovered(report.clean, settings.now, &mut journal);
        let fresh: Vec<Name> =
            settings.vhosts.iter().filter(|v| !broker.has_vhost(v)).cloned().collect();
        for name in &fresh {
            broker.make_vhost(name, &mut journal);
        }
        log.flush();
        let counts = broker.counts();
        let desk = Arc::new(Desk::default());
        let (reader, pages) = (log.reader(), Pages::open(pages)?);
        let librarian =
            Librarian { desk: Arc::clone(&desk), log: reader, pages, slots: HashMap::new() };
        let (memory_max, planted) = (settings.memory_max, settings.planted);
        let desks = Desks { librarian: desk, shelver: Arc::default() };
        let shelver = Shelver { desk: Arc::clone(&desks.shelver), shelf };
        let mut state =
            State::new(broker, log, weights, desks, memory_max, planted, settings.fault);
        state.post_accounts();
        let engine = Engine::new(state);
        engine.start(librarian, shelver)?;
        let started = Started {
            clean: report.clean,
            cut: report.cut,
            records: report.records,
            queues: counts.queues,
            messages: counts.messages,
            vhosts: fresh,
        };
        Ok((engine, started))
    }
}

fn recover<D: Disk>(
    mut broker: Broker,
    disk: Arc<D>,
    settings: &Settings,
) -> Result<(Broker, Log<D>, Report, Weights), OpenError> {
    let options = Options {
        segment_bytes: settings.segment_bytes,
        level: settings.level,
        flush_every: settings.os_flush,
        reserve_bytes: settings.disk_reserve,
    };
    let recovery = lockgate_wal::open(disk, options).map_err(OpenError::Log)?;
    let mut replayed = Replayed::default();
    if let Some((covers, snapshot)) = recovery.checkpoint() {
        let applied = broker.apply_snapshot(snapshot, &mut replayed);
        applied.map_err(|why| OpenError::Record { pos: covers.0, why })?;
    }
    let replay = recovery.replay(|entry| {
        let place = Place { pos: entry.span.pos.0, len: entry.span.len };
        broker.replay(entry.kind, entry.body, place, &mut replayed).map_err(|why| (place.pos, why))
    });
    let (log, report) = replay.map_err(|e| match e {
        ReplayError::Log(e) => OpenError::Log(e),
        ReplayError::Visit { source: (pos, why), .. } => OpenError::Record { pos, why },
    })?;
    let mut weights = Weights::default();
    log.segments().for_each(|s| weights.open(s.base));
    replayed.0.into_iter().for_each(|(pos, delta)| weights.add(pos, delta));
    Ok((broker, log, report, weights))
}
