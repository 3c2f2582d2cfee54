//! The wiring: settings become an engine, a door, fronts and listeners; and all of
//! it stops in order: no new connections, sessions told, log synced.

use crate::datadir::DataDir;
use crate::door::Door;
use crate::fault::Fault;
use crate::office::{self, Desk, Founding, Office};
use crate::sys::Sys;
use crate::{banner, fronts, log_command, logs, memory, print, random, settings, signals};
use lockgate_config::{Config, Durability, Kind, Loaded};
use lockgate_definitions::Definitions;
use lockgate_engine::{Engine, Keeps, Level, OpenError};
use lockgate_model::{Name, Time};
use lockgate_net::{Clock, Server};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Serves until it is told to stop.
pub fn serve(loaded: &Loaded) -> Result<(), Fault> {
    let config = &loaded.config;
    memory::use_small_pages();
    logs::start(&config.logging);
    loaded.notes.iter().for_each(|note| warn!("{note}"));
    let files = lockgate_net::raise_open_files_max();
    let data = DataDir::hold(&config.data_dir)?;
    let shutdown = CancellationToken::new();
    let listeners = fronts::listeners(config)?;
    let clock = Clock::start();
    let definitions = config.load_definitions.as_deref().map(office::load).transpose()?;
    let (engine, founding) = open(config, data.path(), clock.now())?;
    if let Err(fault) = furnish(&engine, config, definitions, &founding, clock) {
        let _ = engine.stop();
        return Err(fault);
    }
    let server = Server::bind(listeners, net_settings(config)).map_err(Fault::listener);
    let server = match server {
        Ok(server) => server,
        Err(fault) => {
            // Nothing was served: a failure to close is told by the next start.
            let _ = engine.stop();
            return Err(fault);
        }
    };
    signals::watch(shutdown.clone()).map_err(|e| Fault::other(format!("no signals: {e}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("worker")
        .build()
        .map_err(|e| Fault::other(format!("cannot start the threads: {e}")))?;
    let desk = Desk { engine: engine.clone(), clock, speaks: config.amqp.version.clone() };
    let office = Office::open(data.path(), desk)
        .map_err(|e| Fault::directory(format!("no socket for operators: {e}")))?;
    info!(version = env!("CARGO_PKG_VERSION"), files, "serving");
    print(&banner::banner(&bound(&server), &data.shown()))?;
    let (accounts, secret) = (engine.clone(), random()?);
    let door = Arc::new(Door::new(&config.auth, secret, move || accounts.accounts()));
    let sys = Sys {
        engine: engine.clone(),
        stats: server.stats(),
        clock,
        exchange: config.mqtt.exchange.as_str().into(),
        every: config.mqtt.sys_interval.0,
    };
    runtime.spawn(sys.run());
    let run = server.run(engine.clone(), door, clock, shutdown);
    let stopped = runtime.block_on(run).map_err(|e| Fault::other(format!("cannot serve: {e}")))?;
    drop(office);
    // Whatever tasks are left hang, and must not come between the log and its last sync.
    runtime.shutdown_background();
    engine.stop().map_err(|e| Fault::disk(format!("the log cannot be closed: {e}")))?;
    info!(cut = stopped.cut, "stopped");
    Ok(())
}

/// Takes in the definitions that the configuration names, and the first user.
fn furnish(
    engine: &Engine,
    config: &Config,
    definitions: Option<Definitions>,
    founding: &Founding,
    clock: Clock,
) -> Result<(), Fault> {
    if let Some(definitions) = definitions {
        let report = office::apply(engine, definitions, || clock.now()).map_err(Fault::other)?;
        report.skipped.iter().for_each(|line| info!("definitions: passed over: {line}"));
        report.bad.iter().for_each(|line| warn!("definitions: {line}"));
        info!(taken = report.taken, bad = report.bad.len(), "definitions loaded");
    }
    office::found(engine, config, founding, clock.now())
}

/// Opens the engine on the data directory, and says what it found.
pub fn open(config: &Config, data: &Path, now: Time) -> Result<(Engine, Founding), Fault> {
    let started = std::time::Instant::now();
    let (engine, found) =
        Engine::open(data, engine_settings(config, now)?).map_err(|error| match &error {
            OpenError::Log(e) => log_command::fault_of(e),
            OpenError::Record { .. } => Fault::damaged(&error),
            OpenError::Io(_) => Fault::directory(&error),
        })?;
    if let Some(cut) = &found.cut {
        warn!(
            segment = cut.segment,
            offset = cut.offset,
            bytes = cut.bytes,
            "a torn tail was cut from the log: it had not been confirmed"
        );
    }
    info!(
        clean = found.clean,
        records = found.records,
        queues = found.queues,
        messages = found.messages,
        took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "the log is open"
    );
    let founding = Founding::look(&engine, found.vhosts);
    Ok((engine, founding))
}

fn engine_settings(config: &Config, now: Time) -> Result<lockgate_engine::Settings, Fault> {
    let storage = &config.storage;
    Ok(lockgate_engine::Settings {
        level: match storage.durability {
            Durability::Fsync => Level::Fsync,
            Durability::Os => Level::Os,
            Durability::Memory => Level::Memory,
        },
        segment_bytes: storage.segment.0,
        os_flush: storage.os_flush.0,
        disk_reserve: storage.reserve.0,
        memory_max: memory::budget(config.memory.max),
        queue_resident: config.memory.queue_resident.0,
        group_header: config.queues.group_header.as_str().into(),
        keeps: Keeps {
            retained_max: config.mqtt.retained_max.into(),
            retained_bytes_max: config.mqtt.retained_bytes_max.0,
            berths_messages_max: config.mqtt.sessions_messages_max.into(),
            berths_bytes_max: config.mqtt.sessions_bytes_max.0,
        },
        vhosts: config.vhosts.iter().map(|name| Name::from(name.as_str())).collect(),
        seed: u64::from_ne_bytes(random()?),
        now,
        planted: planted(),
        fault: Arc::new(die),
    })
}

/// The one bug that can be planted, so that a test can show that it would be caught.
/// A release build has no ear for it.
fn planted() -> bool {
    cfg!(debug_assertions)
        && std::env::var_os("LOCKGATE_PLANT").is_some_and(|name| name == "confirm-before-sync")
}

/// Ends the process when nothing can be promised any more. No destructor runs: the
/// log must not be touched again.
fn die(why: &str) {
    let fault = Fault::disk(why);
    let _ = writeln!(io::stderr(), "lockgate: {}", fault.cause);
    std::process::exit(i32::from(fault.code));
}

fn net_settings(config: &Config) -> lockgate_net::Settings {
    let mut settings = lockgate_net::Settings::default();
    let wished = usize::try_from(config.limits.connections_max).unwrap_or(usize::MAX);
    // No more than the system gives files for.
    settings.connections_max = wished.min(settings.connections_max);
    settings.handshake = config.limits.handshake.0;
    settings
}

/// The listeners as they are bound, with their kinds.
fn bound(server: &Server) -> Vec<(Kind, SocketAddr)> {
    let kind = |word: &str| settings::SERVED.iter().copied().find(|kind| kind.word() == word);
    let all = server.addresses().into_iter();
    all.filter_map(|(word, address)| Some((kind(&word)?, address))).collect()
}
