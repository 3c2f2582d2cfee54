//! A checkpoint file: the caller's state at a position, with the table of segments below it.
//! It never judges the body; it only knows whether the file is whole.
//!
//! ```text
//!  0       8         12    16       24       32         40
//!  | magic | version | crc | covers | synced | segments | (base u64, end u64) ... | body ...
//! ```
//! `crc` is over everything after it. `synced` is the log's synced position when the file was
//! made: damage below it is damage, not a torn tail. The name is a serial number in 16 hexadecimal
//! digits. Two generations are kept, so that one rotten file costs nothing.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::record::{checksum, u32_at, u64_at};
use crate::segment::{VERSION, hex16, write_whole};
use crate::shared::Shared;
use crate::{Pos, Progress};

const MAGIC: &[u8; 8] = b"LOCKGCKP";
const HEAD: usize = 40;
const SUFFIX: &str = ".checkpoint";

pub(crate) fn name(serial: u64) -> String {
    format!("{serial:016x}{SUFFIX}")
}

pub(crate) fn serial_of(name: &str) -> Option<u64> {
    hex16(name.strip_suffix(SUFFIX)?)
}

/// A checkpoint that is durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub serial: u64,
    pub covers: Pos,
}

/// A whole checkpoint, read into memory.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub covers: Pos,
    pub synced: Pos,
    /// Base and end of every segment that was sealed below `covers`.
    pub segments: Vec<(u64, Pos)>,
    bytes: Vec<u8>,
    body_at: usize,
}

impl Checkpoint {
    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.body_at..).unwrap_or_default()
    }
}

fn head(covers: Pos, synced: Pos, segments: &[(u64, Pos)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + segments.len() * 16);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&covers.0.to_le_bytes());
    out.extend_from_slice(&synced.0.to_le_bytes());
    out.extend_from_slice(&(segments.len() as u64).to_le_bytes());
    for (base, end) in segments {
        out.extend_from_slice(&base.to_le_bytes());
        out.extend_from_slice(&end.0.to_le_bytes());
    }
    out
}

/// Reads and checks a checkpoint. `Ok(None)`: the file is there and not whole.
pub(crate) fn load<D: Disk>(disk: &D, serial: u64) -> Result<Option<Checkpoint>, OpenError> {
    let name = name(serial);
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(&name)?;
        let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; size];
        let n = file.read_at(&mut bytes, 0)?;
        bytes.truncate(n);
        Ok(bytes)
    };
    let bytes = read().map_err(OpenError::io("read", &name))?;
    let crc_stands = bytes.len() >= HEAD
        && bytes.starts_with(MAGIC)
        && u32_at(&bytes, 12) == Some(checksum(bytes.get(16..).unwrap_or_default()));
    if !crc_stands {
        return Ok(None);
    }
    match u32_at(&bytes, 8) {
        Some(VERSION) => Ok(parse(bytes)),
        other => {
            let found = other.unwrap_or(0).to_string();
            Err(OpenError::Version { name, found, known: VERSION })
        }
    }
}

/// What an older checkpoint covers, by its header alone: enough to know what it still needs.
pub(crate) fn covers<D: Disk>(disk: &D, serial: u64) -> Option<Pos> {
    let mut head = [0; HEAD];
    let n = disk.open(&name(serial)).and_then(|file| file.read_at(&mut head, 0)).ok()?;
    let whole = n == HEAD && head.starts_with(MAGIC);
    whole.then(|| u64_at(&head, 16).map(Pos)).flatten()
}

fn parse(bytes: Vec<u8>) -> Option<Checkpoint> {
    let count = usize::try_from(u64_at(&bytes, 32)?).ok()?;
    let body_at = count.checked_mul(16)?.checked_add(HEAD)?;
    let table = bytes.get(HEAD..body_at)?;
    let segments = table
        .chunks_exact(16)
        .map(|row| Some((u64_at(row, 0)?, Pos(u64_at(row, 8)?))))
        .collect::<Option<Vec<_>>>()?;
    let (covers, synced) = (Pos(u64_at(&bytes, 16)?), Pos(u64_at(&bytes, 24)?));
    Some(Checkpoint { covers, synced, segments, bytes, body_at })
}

/// What the owner handed over to be made durable.
pub(crate) struct Request {
    pub covers: Pos,
    pub segments: Vec<(u64, Pos)>,
    pub body: Vec<u8>,
}

/// Writes one checkpoint and drops those that are older than the two newest. The caller has seen
/// to it that the log is synced up to `covers`.
pub(crate) fn store<D: Disk>(shared: &Arc<Shared<D>>, request: Request) -> io::Result<()> {
    let Request { covers, segments, body } = request;
    let mut head = head(covers, shared.synced(), &segments);
    let crc = crc32c::crc32c(head.get(16..).unwrap_or_default());
    let crc = crate::record::mask(crc32c::crc32c_append(crc, &body));
    head[12..16].copy_from_slice(&crc.to_le_bytes());
    let serial = shared.chores().next_serial();
    let parts = [IoSlice::new(&head), IoSlice::new(&body)];
    let result = match write_whole(&*shared.disk, &name(serial), &parts) {
        Ok(()) => {
            let forgotten = shared.chores().checkpoint_stands(Standing { serial, covers });
            for old in forgotten {
                // One that stays behind is removed at the next opening.
                let _ = shared.disk.remove(&name(old.serial));
            }
            Ok(covers)
        }
        Err(e) if no_space(&e) => Err(e),
        Err(e) => return Err(e),
    };
    shared.checkpoint_done();
    shared.report(Progress::Checkpoint(result));
    Ok(())
}

/// Lack of space is the only failure that may pass.
pub(crate) fn no_space(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
