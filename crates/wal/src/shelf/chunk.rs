//! A chunk of a stream's segment file, and the file's head: how they stand on the disk. It never
//! looks into a body and touches no file.
//!
//! ```text
//!  head   0 magic | 8 version | 12 stream | 16 base | 24 crc | 28 zero, up to 32
//!  chunk  0 crc of the rest of the header | 4 crc of the body | 8 length of the body | 12 count
//!         16 stream | 20 zero | 24 first number | 32 first time | 40 last time | 48 body ...
//! ```
//! All numbers are little-endian, times microseconds since 1970, checksums as in the log.

use crate::record::{checksum, u32_at, u64_at};

/// The version of these files.
pub(super) const VERSION: u32 = 1;
/// Bytes of a file before its first chunk.
pub(super) const HEAD: u64 = 32;
/// Bytes of a chunk before its body.
pub(super) const HEADER: usize = 48;
/// No chunk of ours has a longer body: one that claims to is damaged.
pub(super) const BODY_MAX: u32 = 1 << 30;
const MAGIC: &[u8; 8] = b"LOCKSTRM";

/// What a chunk says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// The first entry's number.
    pub first: u64,
    /// How many entries.
    pub count: u32,
    /// When the first and the last of them came.
    pub times: (u64, u64),
}

/// A header as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub head: ChunkHead,
    pub length: u32,
    pub body_crc: u32,
}

impl Header {
    /// Bytes of the whole chunk.
    pub fn size(&self) -> u64 {
        HEADER as u64 + u64::from(self.length)
    }

    /// The number behind its last entry.
    pub fn end(&self) -> u64 {
        self.head.first.saturating_add(u64::from(self.head.count))
    }
}

/// The header of a chunk with this body.
pub(super) fn write_header(stream: u32, head: ChunkHead, body: &[u8]) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    out[4..8].copy_from_slice(&checksum(body).to_le_bytes());
    out[8..12].copy_from_slice(&(body.len() as u32).to_le_bytes());
    out[12..16].copy_from_slice(&head.count.to_le_bytes());
    out[16..20].copy_from_slice(&stream.to_le_bytes());
    out[24..32].copy_from_slice(&head.first.to_le_bytes());
    out[32..40].copy_from_slice(&head.times.0.to_le_bytes());
    out[40..48].copy_from_slice(&head.times.1.to_le_bytes());
    let crc = checksum(&out[4..]);
    out[..4].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Reads a header; none if these bytes are not one of this stream.
pub(super) fn read_header(stream: u32, bytes: &[u8]) -> Option<Header> {
    let bytes = bytes.get(..HEADER)?;
    let whole = u32_at(bytes, 0)? == checksum(&bytes[4..]) && u32_at(bytes, 16)? == stream;
    let head = ChunkHead {
        first: u64_at(bytes, 24)?,
        count: u32_at(bytes, 12)?,
        times: (u64_at(bytes, 32)?, u64_at(bytes, 40)?),
    };
    let header = Header { head, length: u32_at(bytes, 8)?, body_crc: u32_at(bytes, 4)? };
    (whole && header.length <= BODY_MAX && head.count > 0).then_some(header)
}

/// The head of a file.
pub(super) fn write_head(stream: u32, base: u64) -> [u8; HEAD as usize] {
    let mut out = [0; HEAD as usize];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&VERSION.to_le_bytes());
    out[12..16].copy_from_slice(&stream.to_le_bytes());
    out[16..24].copy_from_slice(&base.to_le_bytes());
    let crc = checksum(&out[..24]);
    out[24..28].copy_from_slice(&crc.to_le_bytes());
    out
}

/// Whether these bytes are the head of that file.
pub(super) fn is_head(stream: u32, base: u64, bytes: &[u8]) -> bool {
    bytes == write_head(stream, base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_as_it_was_written_and_no_other_way() {
        let head = ChunkHead { first: 7, count: 3, times: (1, 9) };
        let bytes = write_header(5, head, b"body");
        let read = read_header(5, &bytes).expect("a header");
        assert_eq!((read.head, read.length), (head, 4));
        assert_eq!((read.end(), read.size()), (10, 52));
        assert_eq!(read_header(6, &bytes), None, "of another stream");
        for bit in 0..HEADER * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_header(5, &bad), None, "bit {bit}");
        }
    }

    /// Stores outlive versions.
    #[test]
    fn the_bytes_are_what_they_always_were() {
        let head = ChunkHead { first: 7, count: 3, times: (1, 9) };
        assert_eq!(&write_header(5, head, b"body")[8..], b"\x04\0\0\0\x03\0\0\0\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0");
        assert_eq!(&write_head(5, 6)[..24], b"LOCKSTRM\x01\0\0\0\x05\0\0\0\x06\0\0\0\0\0\0\0");
    }
}
