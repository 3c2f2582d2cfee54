//! One record: its header, its checksum, and the judgement of bytes that claim to be one.
//! It never reads or writes a file.
//!
//! ```text
//!  0      4        8            12      16         24       28     29
//!  | crc  | length | generation | epoch | position | behind | kind | body ...
//! ```
//! All numbers are little-endian. `crc` is the masked crc32c of everything after it. `length`
//! counts the whole record. `generation` is the segment's own; a store's first one is random, so
//! that no client can put a forged record into a body. `behind` says how far below `position`
//! the log was known to be synced when the record was made (all ones: not known).

use crate::Pos;

/// The highest kind that a caller may use; those above are the log's own.
pub const KIND_MAX: u8 = 0xEF;
/// The longest record, header included.
pub const RECORD_MAX: u32 = 1 << 30;

pub(crate) const HEADER: usize = 29;
/// Ends a segment; its body is the base of the next one.
pub(crate) const SEAL: u8 = 0xFF;
/// Says that the log was closed in order and everything before is synced.
pub(crate) const CLOSE: u8 = 0xFE;
pub(crate) const SEAL_LEN: usize = HEADER + 8;

const BEHIND_UNKNOWN: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub length: u32,
    pub epoch: u32,
    pub pos: Pos,
    /// Everything below was synced when this record was made.
    pub synced: Pos,
    pub kind: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Judged {
    Good(Head),
    /// The header asks for this many bytes.
    Short(usize),
    Bad,
}

/// Checksums of data that contains checksums are weak; the mask keeps them apart.
#[inline]
pub(crate) fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    mask(crc32c::crc32c(bytes))
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// Fills in the header of a record whose body already stands behind `HEADER` bytes of room.
#[inline]
pub(crate) fn finish(
    record: &mut [u8],
    generation: u32,
    epoch: u32,
    pos: Pos,
    synced: Pos,
    kind: u8,
) {
    let length = record.len() as u32;
    let behind = u32::try_from(pos.0 - synced.0).unwrap_or(BEHIND_UNKNOWN);
    let mut head = [0u8; HEADER];
    head[4..8].copy_from_slice(&length.to_le_bytes());
    head[8..12].copy_from_slice(&generation.to_le_bytes());
    head[12..16].copy_from_slice(&epoch.to_le_bytes());
    head[16..24].copy_from_slice(&pos.0.to_le_bytes());
    head[24..28].copy_from_slice(&behind.to_le_bytes());
    head[28] = kind;
    record[..HEADER].copy_from_slice(&head);
    let crc = checksum(&record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
}

/// The length that a header at `pos` claims, if it looks like a record of this generation at all
/// (`None` stands for any generation). Cheap: the checksum is not looked at.
#[inline]
pub(crate) fn claims(bytes: &[u8], pos: Pos, generation: Option<u32>) -> Option<usize> {
    if u64_at(bytes, 16)? != pos.0 {
        return None;
    }
    let found = u32_at(bytes, 8)?;
    if generation.is_some_and(|wanted| wanted != found) {
        return None;
    }
    let length = u32_at(bytes, 4)?;
    let whole = (HEADER as u32..=RECORD_MAX).contains(&length);
    whole.then_some(length as usize)
}

/// Judges the bytes that stand at `pos`; more than one record may be given.
pub(crate) fn judge(bytes: &[u8], pos: Pos, generation: Option<u32>) -> Judged {
    let Some(length) = claims(bytes, pos, generation) else {
        return Judged::Bad;
    };
    let Some(record) = bytes.get(..length) else {
        return Judged::Short(length);
    };
    let fields = || {
        let head = Head {
            length: length as u32,
            epoch: u32_at(record, 12)?,
            pos,
            synced: match u32_at(record, 24)? {
                BEHIND_UNKNOWN => Pos(0),
                behind => Pos(pos.0.checked_sub(u64::from(behind))?),
            },
            kind: *record.get(28)?,
        };
        (u32_at(record, 0)? == checksum(record.get(4..)?)).then_some(head)
    };
    fields().map_or(Judged::Bad, Judged::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(body: &[u8]) -> Vec<u8> {
        let mut record = vec![0; HEADER];
        record.extend_from_slice(body);
        finish(&mut record, 7, 3, Pos(5000), Pos(4096), 9);
        record
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = sample(b"hello");
        let Judged::Good(head) = judge(&record, Pos(5000), Some(7)) else {
            panic!("not good");
        };
        assert_eq!((head.epoch, head.kind, head.length), (3, 9, record.len() as u32));
        assert_eq!(head.synced, Pos(4096));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let record = sample(b"hello");
        for bit in 0..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(judge(&bad, Pos(5000), Some(7)), Judged::Good(_)), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_place_or_generation_is_refused() {
        let record = sample(b"hello");
        assert!(matches!(judge(&record, Pos(5001), Some(7)), Judged::Bad));
        assert!(matches!(judge(&record, Pos(5000), Some(8)), Judged::Bad));
        assert!(matches!(judge(&record[..30], Pos(5000), Some(7)), Judged::Short(_)));
    }

    #[test]
    fn a_mark_too_far_behind_is_not_known() {
        let mut record = vec![0; HEADER];
        finish(&mut record, 7, 0, Pos(1 << 40), Pos(5), 1);
        let Judged::Good(head) = judge(&record, Pos(1 << 40), None) else {
            panic!("not good");
        };
        assert_eq!(head.synced, Pos(0));
    }
}
