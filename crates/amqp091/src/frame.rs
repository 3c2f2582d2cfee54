//! Where a frame ends. Sizes are checked against a limit before anything is
//! made of them; what is inside is not looked at.
//!
//! ```text
//!  0      1         3             7                  size+7 size+8
//!  | type | channel | size        | payload ...      | 0xCE |
//! ```

/// Octets that close every frame.
pub const END: u8 = 0xCE;

/// Bytes before the payload.
pub const HEADER: usize = 7;

/// Bytes of a frame beside its payload.
pub const AROUND: usize = HEADER + 1;

/// Frame types (section 2.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Method,
    Header,
    Body,
    Heartbeat,
    Unknown(u8),
}

impl Kind {
    /// The octet on the wire.
    pub fn octet(self) -> u8 {
        match self {
            Kind::Method => 1,
            Kind::Header => 2,
            Kind::Body => 3,
            Kind::Heartbeat => 8,
            Kind::Unknown(octet) => octet,
        }
    }

    fn of(octet: u8) -> Kind {
        match octet {
            1 => Kind::Method,
            2 => Kind::Header,
            3 => Kind::Body,
            8 => Kind::Heartbeat,
            other => Kind::Unknown(other),
        }
    }
}

/// What the first bytes of a frame announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its type.
    pub kind: Kind,
    /// Its channel.
    pub channel: u16,
    /// Bytes of its payload.
    pub size: usize,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrame {
    /// Larger than was negotiated.
    TooLarge {
        /// The announced size.
        size: usize,
        /// The type octet.
        kind: u8,
        /// The largest payload.
        max: usize,
    },
    /// The last octet is not 0xCE.
    End {
        /// What stands there.
        octet: u8,
        /// The frame.
        head: Head,
    },
}

/// What `bytes` begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole frame, `AROUND + size` bytes long.
    Whole(Head),
    /// A frame that goes on behind the end of the bytes.
    Part(Head),
    /// Not even its head.
    Nothing,
}

/// Looks at the frame that `bytes` begin with. `max` is the largest payload.
#[inline]
pub fn cut(bytes: &[u8], max: usize) -> Result<Cut, BadFrame> {
    let Some(&[octet, c0, c1, s0, s1, s2, s3]) = bytes.first_chunk::<HEADER>() else {
        return Ok(Cut::Nothing);
    };
    let channel = u16::from_be_bytes([c0, c1]);
    let size = u32::from_be_bytes([s0, s1, s2, s3]) as usize;
    if size > max {
        return Err(BadFrame::TooLarge { size, kind: octet, max });
    }
    let head = Head { kind: Kind::of(octet), channel, size };
    match bytes.get(HEADER + size) {
        None => Ok(Cut::Part(head)),
        Some(&END) => Ok(Cut::Whole(head)),
        Some(&last) => Err(BadFrame::End { octet: last, head }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: [u8; 10] = [1, 0, 7, 0, 0, 0, 2, 9, 9, END];

    #[test]
    fn a_frame_ends_where_its_size_says() {
        let head = Head { kind: Kind::Method, channel: 7, size: 2 };
        assert_eq!(cut(&FRAME, 2), Ok(Cut::Whole(head)));
        for n in 0..HEADER {
            assert_eq!(cut(&FRAME[..n], 2), Ok(Cut::Nothing));
        }
        for n in HEADER..FRAME.len() {
            assert_eq!(cut(&FRAME[..n], 2), Ok(Cut::Part(head)));
        }
    }

    #[test]
    fn a_size_is_refused_before_its_bytes_are_there() {
        assert!(matches!(cut(&FRAME[..HEADER], 1), Err(BadFrame::TooLarge { size: 2, .. })));
        let huge = [3, 0, 1, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(cut(&huge, 131_064), Err(BadFrame::TooLarge { .. })));
    }

    #[test]
    fn end_marks_are_checked() {
        let mut bad = FRAME;
        bad[9] = 0;
        assert!(matches!(cut(&bad, 9), Err(BadFrame::End { octet: 0, .. })));
    }
}
