//! `lockgate log verify` and `lockgate log dump`: what is in a log, for operators.
//! They only read, and only while no process serves from there.

use crate::cli::LogCommand;
use crate::datadir;
use crate::fault::Fault;
use lockgate_wal::{OpenError, OsDisk, Pos, VerifyReport};
use std::fmt::Write as _;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

/// Does what the command asks.
pub fn run(command: LogCommand) -> Result<(), Fault> {
    match command {
        LogCommand::Verify { dir } => verify(&dir),
        LogCommand::Dump { dir, from } => dump(&dir, from.map(Pos)),
    }
}

fn open(dir: &Path) -> Result<OsDisk, Fault> {
    let unusable = |e| Fault::directory(format!("cannot read {}: {e}", dir.display()));
    datadir::nobody_serves(dir)?;
    let log = datadir::log_in(dir);
    std::fs::read_dir(&log).map_err(unusable)?;
    OsDisk::open(&log).map_err(unusable)
}

/// What keeps a log from being opened, as the end of the process.
pub fn fault_of(error: &OpenError) -> Fault {
    match error {
        OpenError::Foreign { .. } => Fault::foreign(error),
        OpenError::Version { .. } | OpenError::Damaged(_) => Fault::damaged(error),
        OpenError::Io { .. } => Fault::directory(error),
    }
}

fn verify(dir: &Path) -> Result<(), Fault> {
    let disk = open(dir)?;
    let report = lockgate_wal::verify(&disk).map_err(|e| fault_of(&e))?;
    crate::print(&told(&report))?;
    if report.is_whole() {
        return Ok(());
    }
    let first = report.damage.first().map_or_else(
        || "the log is damaged: a checkpoint is not whole".to_string(),
        ToString::to_string,
    );
    Err(Fault::damaged(first))
}

fn told(report: &VerifyReport) -> String {
    let mut out = String::new();
    let mut records = 0;
    for segment in &report.segments {
        records += segment.records;
        let state = if segment.sealed { "sealed" } else { "open" };
        let _ = writeln!(
            out,
            "segment    {}  {} to {}  {} records  {state}",
            segment.name, segment.base, segment.end, segment.records
        );
    }
    for checkpoint in &report.checkpoints {
        let covers = checkpoint.covers.map_or("not whole".into(), |pos| format!("covers {pos}"));
        let _ =
            writeln!(out, "checkpoint {}  {covers}  {} bytes", checkpoint.name, checkpoint.bytes);
    }
    for damage in &report.damage {
        let _ = writeln!(out, "damage     {damage}");
    }
    if let Some(cut) = &report.cut {
        let _ = writeln!(
            out,
            "torn tail  {} at offset {}, {} bytes: never confirmed, the next start cuts it",
            cut.segment, cut.offset, cut.bytes
        );
    }
    let verdict = if report.is_whole() { "whole" } else { "damaged" };
    let _ = writeln!(out, "{verdict}: {} segments, {records} records", report.segments.len());
    out
}

fn dump(dir: &Path, from: Option<Pos>) -> Result<(), Fault> {
    let disk = open(dir)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let each = |entry: lockgate_wal::Entry<'_>| {
        if written.is_ok() {
            written = writeln!(
                out,
                "{}  epoch {}  kind {}  {} bytes",
                entry.span.pos,
                entry.epoch,
                entry.kind,
                entry.body.len()
            );
        }
    };
    lockgate_wal::dump(&disk, from, each).map_err(|e| fault_of(&e))?;
    match written.and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(Fault::other(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}
