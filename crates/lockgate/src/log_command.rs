//! `lockgate log verify` and `lockgate log dump`: what is in a log, for operators.
//! They only read, and only while no process serves from there.

use crate::cli::LogCommand;
use crate::fault::Fault;
use crate::log_streams::{self, Found};
use crate::{datadir, log_text};
use lockgate_broker::record;
use lockgate_wal::{Kept, OpenError, OsDisk, Pos, VerifyReport};
use std::fmt::Write as _;
use std::io::{self, BufWriter, ErrorKind, Write};
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
        OpenError::Shelf(lockgate_wal::ShelfError::Damaged { .. }) => Fault::damaged(error),
        OpenError::Shelf(lockgate_wal::ShelfError::Io { .. }) => Fault::directory(error),
        OpenError::Io { .. } => Fault::directory(error),
    }
}

fn verify(dir: &Path) -> Result<(), Fault> {
    let disk = open(dir)?;
    let report = lockgate_wal::verify(&disk).map_err(|e| fault_of(&e))?;
    let streams = log_streams::verify(&disk).map_err(|e| fault_of(&e))?;
    crate::print(&told(&report, &streams))?;
    let of_log = report.damage.first().map(ToString::to_string);
    let of_stream = streams.iter().find_map(|(_, found)| found.as_ref().err());
    match of_log.or_else(|| of_stream.map(ToString::to_string)) {
        Some(first) => Err(Fault::damaged(first)),
        None if report.is_whole() => Ok(()),
        None => Err(Fault::damaged("the log is damaged: a checkpoint is not whole")),
    }
}

fn told(report: &VerifyReport, streams: &[Found]) -> String {
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
    for (kept, found) in streams {
        let Kept { stream, base, bytes } = kept;
        let _ = match found {
            Ok(n) => writeln!(out, "stream     {stream} from {base}  {n} entries  {bytes} bytes"),
            Err(damage) => writeln!(out, "damage     {damage}"),
        };
    }
    let whole = report.is_whole() && streams.iter().all(|(_, found)| found.is_ok());
    let verdict = if whole { "whole" } else { "damaged" };
    let _ = writeln!(out, "{verdict}: {} segments, {records} records", report.segments.len());
    out
}

fn dump(dir: &Path, from: Option<Pos>) -> Result<(), Fault> {
    let disk = open(dir)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    // A recovery begins with the newest checkpoint: so does what is shown of all.
    let mut written = match from {
        Some(_) => Ok(()),
        None => match lockgate_wal::dump_checkpoint(&disk).map_err(|e| fault_of(&e))? {
            Some((covers, body)) => dump_checkpoint(&mut out, covers, &body),
            None => Ok(()),
        },
    };
    let each = |entry: lockgate_wal::Entry<'_>| {
        if written.is_ok() {
            let said = log_text::record(entry.kind, entry.body);
            written = writeln!(out, "{}  {said}", entry.span.pos);
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

fn dump_checkpoint(out: &mut impl Write, covers: Pos, body: &[u8]) -> io::Result<()> {
    writeln!(out, "checkpoint  covers all below {covers}")?;
    for entry in record::entries(body) {
        match entry {
            Ok((kind, body)) => writeln!(out, "checkpoint  {}", log_text::record(kind, body))?,
            Err(why) => writeln!(out, "checkpoint  unreadable from here: {why}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_told_as_far_as_it_can_be_read() {
        let mut body = vec![record::kind::SEEN, 12, 0, 0, 0];
        record::write_seen(lockgate_broker::QueueId(5), 7, &mut body);
        let told = |body: &[u8]| {
            let mut out = Vec::new();
            dump_checkpoint(&mut out, Pos(16), body).unwrap();
            String::from_utf8(out).unwrap()
        };
        let whole = "checkpoint  covers all below 0x10\ncheckpoint  seen queue 5: all below 7\n";
        assert_eq!(told(&body), whole);
        body.push(record::kind::END);
        assert_eq!(
            told(&body),
            format!("{whole}checkpoint  unreadable from here: record cut short\n")
        );
    }
}
