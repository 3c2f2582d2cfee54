//! A segment file: its name, its header block, how one is made ready, and the `format` file.
//! It never looks at records.
//!
//! ```text
//!  0         8         12           16     24    28              4096
//!  | magic   | version | generation | base | crc | zeros ...     | records ...
//! ```
//! The name is the base position in 16 hexadecimal digits. The header has a block of its own so
//! that writing records never rewrites it. Offset in the file = position - base.

use std::io::{self, IoSlice};

use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::record::{SEAL_LEN, checksum, u32_at, u64_at};

/// The version of everything in the directory.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a segment before its first record.
pub(crate) const BLOCK: u64 = 4096;
pub(crate) const FORMAT: &str = "format";
const FORMAT_LINE: &str = "lockgate log ";
const MAGIC: &[u8; 8] = b"LOCKGSEG";
const SUFFIX: &str = ".segment";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub generation: u32,
    pub base: u64,
}

pub(crate) fn name(base: u64) -> String {
    format!("{base:016x}{SUFFIX}")
}

pub(crate) fn base_of(name: &str) -> Option<u64> {
    hex16(name.strip_suffix(SUFFIX)?)
}

/// Exactly 16 lower-case digits, as our own names have them.
pub(crate) fn hex16(digits: &str) -> Option<u64> {
    let ours = digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if ours { u64::from_str_radix(digits, 16).ok() } else { None }
}

/// The size of a segment whose first record is `record` bytes long.
pub(crate) fn capacity_for(segment_bytes: u64, record: usize) -> u64 {
    let needed = BLOCK + record as u64 + SEAL_LEN as u64;
    segment_bytes.max(needed).next_multiple_of(BLOCK)
}

fn encode(head: SegmentHead) -> [u8; 28] {
    let mut out = [0u8; 28];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&head.generation.to_le_bytes());
    out[16..24].copy_from_slice(&head.base.to_le_bytes());
    let crc = checksum(&out[..24]);
    out[24..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads a header. `Ok(None)`: there is none, or it is not whole, or it is of another segment.
pub(crate) fn read_head<F: DiskFile>(
    file: &F,
    base: u64,
) -> Result<Option<SegmentHead>, OpenError> {
    let mut bytes = [0u8; 28];
    let name = name(base);
    let n = file.read_at(&mut bytes, 0).map_err(OpenError::io("read", &name))?;
    let whole = n == bytes.len()
        && bytes.starts_with(MAGIC)
        && u32_at(&bytes, 24) == Some(checksum(&bytes[..24]));
    if !whole {
        return Ok(None);
    }
    let version = u32_at(&bytes, 8).unwrap_or(0);
    if version != VERSION {
        return Err(OpenError::Version { name, found: version.to_string(), known: VERSION });
    }
    let head = SegmentHead {
        generation: u32_at(&bytes, 12).unwrap_or(0),
        base: u64_at(&bytes, 16).unwrap_or(0),
    };
    Ok((head.base == base).then_some(head))
}

/// Makes a segment ready: space reserved, header written, file and directory synced. Whatever
/// fails leaves no file behind.
pub(crate) fn prepare<D: Disk>(disk: &D, head: SegmentHead, capacity: u64) -> io::Result<D::File> {
    let name = name(head.base);
    let made = disk.create(&name).and_then(|file| {
        file.allocate(capacity)?;
        file.write_at(&[IoSlice::new(&encode(head))], 0)?;
        file.sync_data()?;
        disk.sync_dir()?;
        Ok(file)
    });
    if made.is_err() {
        let _ = disk.remove(&name);
    }
    made
}

/// Writes a small file as a whole or not at all.
pub(crate) fn write_whole<D: Disk>(disk: &D, name: &str, parts: &[IoSlice<'_>]) -> io::Result<()> {
    let temporary = format!("{name}{TEMPORARY}");
    let made = disk.create(&temporary).and_then(|file| {
        file.write_at(parts, 0)?;
        file.sync_data()
    });
    if let Err(e) = made {
        let _ = disk.remove(&temporary);
        return Err(e);
    }
    disk.rename(&temporary, name)?;
    disk.sync_dir()
}

/// What [`write_whole`] calls a file until it is whole.
pub(crate) const TEMPORARY: &str = ".tmp";

pub(crate) fn write_format<D: Disk>(disk: &D) -> io::Result<()> {
    let line = format!("{FORMAT_LINE}{VERSION}\n");
    write_whole(disk, FORMAT, &[IoSlice::new(line.as_bytes())])
}

pub(crate) fn check_format<D: Disk>(disk: &D) -> Result<(), OpenError> {
    let mut bytes = [0u8; 64];
    let n = disk
        .open(FORMAT)
        .and_then(|file| file.read_at(&mut bytes, 0))
        .map_err(OpenError::io("read", FORMAT))?;
    let text = String::from_utf8_lossy(bytes.get(..n).unwrap_or_default()).into_owned();
    match text.strip_prefix(FORMAT_LINE).map(str::trim_end) {
        None => Err(OpenError::Foreign { name: FORMAT.to_owned() }),
        Some(found) if found == VERSION.to_string() => Ok(()),
        Some(found) => Err(OpenError::Version {
            name: FORMAT.to_owned(),
            found: found.to_owned(),
            known: VERSION,
        }),
    }
}
