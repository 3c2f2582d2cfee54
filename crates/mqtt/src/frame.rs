//! Where a packet ends. Its length is checked against a limit before anything is made of
//! it; what is inside is not looked at.
//!
//! ```text
//!   7   6   5   4   3   2   1   0
//!  +---------------+---------------+
//!  | type          | flags         |  octet 1
//!  +---+---------------------------+
//!  | 1 | lowest 7 bits of length   |  1 to 4 octets, the top bit says that
//!  | 0 | highest 7 bits            |  one more follows
//!  +---+---------------------------+
//!  | as many octets as length says |
//!  +-------------------------------+
//! ```

use crate::packet::Kind;
use lockgate_model::Range;

/// Most octets before a packet's body.
pub const HEAD_MAX: usize = 5;

/// What four octets of seven bits can say.
pub const LENGTH_MAX: usize = 268_435_455;

/// The largest packet of a peer that is not let in: what such a peer may cost at most.
pub const BEFORE_LOGIN_MAX: usize = 64 * 1024;

/// What the first octets of a packet announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its type.
    pub kind: Kind,
    /// The lower four bits of the first octet.
    pub flags: u8,
    /// Octets before its body: 2 to 5.
    pub header: usize,
    /// Octets of its body.
    pub size: usize,
}

impl Head {
    /// Octets of the whole packet.
    pub fn total(&self) -> usize {
        self.header + self.size
    }
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// Type 0, which is reserved (2.1.2).
    Reserved,
    /// The fourth octet of the length says that a fifth follows (1.5.5).
    Length,
    /// Larger than is taken.
    TooLarge {
        /// Its type.
        kind: Kind,
        /// The whole packet.
        total: usize,
        /// The largest packet that is taken.
        max: usize,
    },
}

/// What `bytes` begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// A whole packet and its body.
    Whole(Head, &'a [u8]),
    /// A packet that goes on behind the end of the bytes.
    Part(Head),
    /// Not even its length.
    Nothing,
}

/// Looks at the packet that `bytes` begin with. `max` is the largest packet, with its head,
/// as version 5 counts its Maximum Packet Size.
#[inline]
pub fn cut(bytes: &[u8], max: usize) -> Result<Cut<'_>, BadFrame> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(Cut::Nothing) };
    let kind = Kind::of(first >> 4).ok_or(BadFrame::Reserved)?;
    let Some((size, used)) = number(rest).map_err(|_| BadFrame::Length)? else {
        return Ok(Cut::Nothing);
    };
    let head = Head { kind, flags: first & 0x0f, header: 1 + used, size: size as usize };
    if head.total() > max {
        return Err(BadFrame::TooLarge { kind, total: head.total(), max });
    }
    match bytes.get(head.header..head.total()) {
        Some(body) => Ok(Cut::Whole(head, body)),
        None => Ok(Cut::Part(head)),
    }
}

/// A variable byte integer that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endless;

/// The variable byte integer (1.5.5) that `bytes` begin with, and how many octets it takes;
/// nothing if it goes on behind their end.
#[inline]
pub fn number(bytes: &[u8]) -> Result<Option<(u32, usize)>, Endless> {
    let mut value = 0;
    for (n, octet) in bytes.iter().take(4).enumerate() {
        value |= u32::from(octet & 0x7f) << (7 * n);
        if octet & 0x80 == 0 {
            return Ok(Some((value, n + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(Endless) }
}

/// How many octets a number takes, at least.
pub fn number_size(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// Appends a number that is at most `LENGTH_MAX`.
pub fn put_number(out: &mut Vec<u8>, mut value: usize) {
    debug_assert!(value <= LENGTH_MAX);
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Where in `whole` its part `part` lies; nothing if it does not lie there.
pub fn range_in(whole: &[u8], part: &[u8]) -> Option<Range> {
    let at = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    let inside = at.checked_add(part.len())? <= whole.len().min(u32::MAX as usize);
    inside.then(|| Range::new(at, part.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_ends_where_its_length_says() {
        let packet = [0x32, 3, 9, 8, 7];
        let head = Head { kind: Kind::Publish, flags: 2, header: 2, size: 3 };
        assert_eq!(cut(&packet, 5), Ok(Cut::Whole(head, &[9, 8, 7])));
        assert_eq!(cut(&[&packet[..], &[1]].concat(), 5), Ok(Cut::Whole(head, &[9, 8, 7])));
        for n in 0..2 {
            assert_eq!(cut(&packet[..n], 5), Ok(Cut::Nothing));
        }
        for n in 2..5 {
            assert_eq!(cut(&packet[..n], 5), Ok(Cut::Part(head)));
        }
    }

    #[test]
    fn a_length_is_refused_before_its_bytes_are_there() {
        let total = LENGTH_MAX + HEAD_MAX;
        let claimed = [0x10, 0xff, 0xff, 0xff, 0x7f];
        let bad = BadFrame::TooLarge { kind: Kind::Connect, total, max: BEFORE_LOGIN_MAX };
        assert_eq!(cut(&claimed, BEFORE_LOGIN_MAX), Err(bad));
        assert!(matches!(cut(&claimed, total), Ok(Cut::Part(_))));
        assert!(matches!(cut(&[0x30, 3, 1], 4), Err(BadFrame::TooLarge { .. })));
    }

    #[test]
    fn a_length_of_five_octets_is_refused_at_the_fourth() {
        assert_eq!(cut(&[0x10, 0x80, 0x80, 0x80, 0x80], 99), Err(BadFrame::Length));
        assert_eq!(cut(&[0x10, 0x80, 0x80, 0x80], 99), Ok(Cut::Nothing));
        assert_eq!(cut(&[0x0f], 99), Err(BadFrame::Reserved));
    }

    #[test]
    fn numbers_come_back_in_as_few_octets_as_can_be() {
        for value in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, LENGTH_MAX] {
            let mut out = Vec::new();
            put_number(&mut out, value);
            assert_eq!(out.len(), number_size(value));
            assert_eq!(number(&out), Ok(Some((value as u32, out.len()))));
            assert_eq!(number(&out[..out.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn a_part_is_found_where_it_lies() {
        let whole = [1, 2, 3, 4];
        assert_eq!(range_in(&whole, &whole[1..3]), Some(Range::new(1, 2)));
        assert_eq!(range_in(&whole, &whole[2..]), Some(Range::new(2, 2)));
        assert_eq!(range_in(&whole[1..], &whole[..2]), None);
        assert_eq!(range_in(&whole[..2], &whole[1..]), None);
    }
}
