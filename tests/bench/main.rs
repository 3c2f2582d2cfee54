//! The project's own benchmark: a release build of the broker under loads over raw sockets on
//! loopback, and one table. It judges nothing and never fails for being slow; see README.md.

mod load;
mod mqtt;
mod queues;
mod report;
mod waiting;
mod workloads;

use lockgate_tests::{Broker, Options, binary};
use report::{Books, Row, table};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, Error};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "cargo bench -p lockgate-tests -- [NAME...] [--seconds N] \
                     [--addr HOST:PORT [--pid PID]]";

/// What the command line says.
struct Bench {
    names: Vec<String>,
    /// How long each load is measured.
    seconds: Duration,
    /// Somebody else's broker, instead of one of our own for each workload.
    theirs: Option<SocketAddr>,
    pid: Option<i32>,
}

/// A broker under measurement.
struct Peer {
    address: SocketAddr,
    books: Books,
    /// Ours: killed when it is dropped, and before its data go.
    broker: Option<(Broker, tempfile::TempDir)>,
}

impl Bench {
    fn from(mut arguments: impl Iterator<Item = String>) -> Result<Bench, String> {
        let seconds = Duration::from_secs(5);
        let mut bench = Bench { names: Vec::new(), seconds, theirs: None, pid: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            let wrong = |e: &dyn std::fmt::Display| format!("{argument}: {e}");
            match argument.as_str() {
                // Cargo says it to every benchmark.
                "--bench" => {}
                "--addr" => bench.theirs = Some(value()?.parse().map_err(|e| wrong(&e))?),
                "--pid" => bench.pid = Some(value()?.parse().map_err(|e| wrong(&e))?),
                "--seconds" => {
                    let seconds = value()?.parse().map_err(|e| wrong(&e))?;
                    bench.seconds = Duration::from_secs(seconds);
                }
                name if workloads::ALL.iter().any(|(known, _)| *known == name) => {
                    bench.names.push(argument);
                }
                other => {
                    let known: Vec<&str> = workloads::ALL.iter().map(|(name, _)| *name).collect();
                    return Err(format!("`{other}`? {USAGE}\nNAMEs: {}", known.join(" ")));
                }
            }
        }
        Ok(bench)
    }

    /// A broker to be measured: a fresh one, or theirs.
    fn peer(&self) -> io::Result<Peer> {
        if let Some(address) = self.theirs {
            return Ok(Peer { address, books: Books(self.pid), broker: None });
        }
        // Not in the system's folder for temporary files: syncs would cost nothing there
        // where that is memory.
        let home = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
        let broker = Broker::start_on(&home.path().join("data"), Options::default());
        let books = Books(Some(broker.process.id()));
        Ok(Peer { address: broker.amqp, books, broker: Some((broker, home)) })
    }

    fn run(&self) -> io::Result<Vec<Row>> {
        if self.theirs.is_none() {
            binary::path();
        }
        let mut rows = Vec::new();
        for (name, measure) in workloads::ALL {
            if self.names.is_empty() || self.names.iter().any(|wanted| wanted == name) {
                eprintln!("{name} ...");
                let measured = measure(self);
                rows.extend(measured.map_err(|e| Error::other(format!("{name}: {e}")))?);
            }
        }
        Ok(rows)
    }
}

/// Room for a thousand sockets, and sleeps that end when they should.
fn prepare() {
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    // Threads inherit it. Without it a sleep may take 50 us longer than asked for, and that
    // would count as the broker's latency.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}

#[allow(clippy::print_stdout)] // the table is what it is run for
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if cfg!(debug_assertions) || !arguments.iter().any(|argument| argument == "--bench") {
        // `cargo test --benches`, say: it is built, and measures nothing.
        eprintln!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    prepare();
    let rows = Bench::from(arguments.into_iter()).and_then(|b| b.run().map_err(|e| e.to_string()));
    match rows {
        Ok(rows) => {
            print!("{}", table(&rows));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
