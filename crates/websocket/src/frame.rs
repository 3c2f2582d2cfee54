//! Frames (RFC 6455, 5.2): what their heads say, which of them a client may send when, and
//! the heads of ours. Sizes are checked before anything is made of them.
//!
//! ```text
//!  0       1       2                10             14
//!  | flags | size  | longer size    | mask         | payload ...
//!  |F RRR K|M  7   | 0, 2 or 8      | 4, to us     |
//! ```

use std::io::Cursor;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Largest payload of a control frame (5.5).
pub(crate) const CONTROL_BYTES_MAX: usize = 125;

/// The longest head of a client's frame.
pub(crate) const HEAD_BYTES_MAX: usize = 14;

/// What a message's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// What a frame brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brings {
    /// A message's first bytes, or all of it.
    Begin(Kind),
    /// More of the message that was begun.
    More,
    Close,
    Ping,
    Pong,
}

/// A client's frame, as its head announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) brings: Brings,
    /// It ends its message.
    pub(crate) last: bool,
    pub(crate) mask: [u8; 4],
    /// Bytes of its payload.
    pub(crate) size: u64,
    /// Bytes of the head itself.
    pub(crate) head: usize,
}

/// A rule that a peer broke, and what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) code: CloseCode,
    pub(crate) text: &'static str,
}

pub(crate) const fn broken(code: CloseCode, text: &'static str) -> Broken {
    Broken { code, text }
}

const fn protocol(text: &'static str) -> Broken {
    broken(CloseCode::Protocol, text)
}

/// A whole binary message that `bytes` begin with, in one frame of less than 64 KiB: its mask
/// and its payload. What nearly all frames are is told at a glance, and nothing if it is
/// anything else, right or wrong: `cut` has the rules.
#[inline]
pub(crate) fn whole(bytes: &[u8]) -> Option<([u8; 4], &[u8])> {
    let (size, rest) = match bytes {
        [0x82, size @ 0x80..=0xfd, rest @ ..] => (usize::from(size & 0x7f), rest),
        [0x82, 0xfe, high, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    if bytes[1] == 0xfe && size <= CONTROL_BYTES_MAX {
        return None;
    }
    let (mask, rest) = rest.split_first_chunk::<4>()?;
    Some((*mask, rest.get(..size)?))
}

/// The head that `bytes` begin with, if it is whole.
pub(crate) fn cut(bytes: &[u8]) -> Result<Option<Head>, Broken> {
    let mut cursor = Cursor::new(bytes);
    let parsed = FrameHeader::parse(&mut cursor);
    let parsed = parsed.map_err(|_| protocol("a reserved opcode (5.2)"))?;
    let Some((header, size)) = parsed else { return early(bytes).map(|()| None) };
    if header.rsv1 || header.rsv2 || header.rsv3 {
        return Err(protocol("a reserved bit, and no extension was agreed on (5.2)"));
    }
    let brings = match header.opcode {
        OpCode::Data(Data::Text) => Brings::Begin(Kind::Text),
        OpCode::Data(Data::Binary) => Brings::Begin(Kind::Binary),
        OpCode::Data(Data::Continue) => Brings::More,
        OpCode::Control(Control::Close) => Brings::Close,
        OpCode::Control(Control::Ping) => Brings::Ping,
        OpCode::Control(Control::Pong) => Brings::Pong,
        _ => return Err(protocol("a reserved opcode (5.2)")),
    };
    let Some(mask) = header.mask else {
        return Err(protocol("a client's frames are masked (5.1)"));
    };
    if size >> 63 != 0 {
        return Err(protocol("a size of 64 bits (5.2)"));
    }
    let head = cursor.position() as usize;
    if head != header.len(size) {
        return Err(protocol("a size in more bytes than it needs (5.2)"));
    }
    if matches!(brings, Brings::Close | Brings::Ping | Brings::Pong) {
        if !header.is_final {
            return Err(protocol("a control frame in fragments (5.5)"));
        }
        if size > CONTROL_BYTES_MAX as u64 {
            return Err(protocol("a control frame of more than 125 bytes (5.5)"));
        }
    }
    Ok(Some(Head { brings, last: header.is_final, mask, size, head }))
}

/// What is wrong already, though the head is not whole: such a peer need not be waited for.
fn early(bytes: &[u8]) -> Result<(), Broken> {
    match bytes {
        [flags, ..] if flags & 0x70 != 0 => {
            Err(protocol("a reserved bit, and no extension was agreed on (5.2)"))
        }
        [flags, ..] if matches!(flags & 0x0f, 3..=7 | 11..=15) => {
            Err(protocol("a reserved opcode (5.2)"))
        }
        [_, size, ..] if size & 0x80 == 0 => Err(protocol("a client's frames are masked (5.1)")),
        _ => Ok(()),
    }
}

/// Takes the mask off bytes of a payload; `at` is how many of its bytes went before.
#[inline]
pub(crate) fn unmask(bytes: &mut [u8], mask: [u8; 4], at: usize) {
    let turn = |n: usize| mask[(at + n) & 3];
    let mask = [turn(0), turn(1), turn(2), turn(3)];
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (n, byte) in rest.iter_mut().enumerate() {
        *byte ^= mask[n & 3];
    }
}

/// The head of a whole message of ours: no mask, no fragments.
pub(crate) fn head(kind: Kind, size: usize) -> ([u8; 10], usize) {
    let opcode = OpCode::Data(match kind {
        Kind::Text => Data::Text,
        Kind::Binary => Data::Binary,
    });
    formatted(opcode, size)
}

fn formatted(opcode: OpCode, size: usize) -> ([u8; 10], usize) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let (mut bytes, mut left) = ([0; 10], 10);
    let mut room = &mut bytes[..];
    // Ten bytes are room for any head without a mask.
    if header.format(size as u64, &mut room).is_ok() {
        left = room.len();
    }
    (bytes, 10 - left)
}

/// Appends a control frame; what is beyond its maximum is cut off.
pub(crate) fn control(out: &mut Vec<u8>, control: Control, payload: &[u8]) {
    let payload = &payload[..payload.len().min(CONTROL_BYTES_MAX)];
    let (bytes, n) = formatted(OpCode::Control(control), payload.len());
    out.extend_from_slice(&bytes[..n]);
    out.extend_from_slice(payload);
}

/// Appends a close frame.
pub(crate) fn close(out: &mut Vec<u8>, code: CloseCode, text: &str) {
    let mut payload = u16::from(code).to_be_bytes().to_vec();
    let mut end = text.len().min(CONTROL_BYTES_MAX - 2);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    payload.extend_from_slice(&text.as_bytes()[..end]);
    control(out, Control::Close, &payload);
}

/// The code that a peer's close frame gives, if any (5.5.1, 7.4).
pub(crate) fn closing(payload: &[u8]) -> Result<Option<CloseCode>, Broken> {
    match payload {
        [] => Ok(None),
        [_] => Err(protocol("a close frame with half a code (5.5.1)")),
        [high, low, text @ ..] => {
            let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
            if !code.is_allowed() {
                return Err(protocol("a close code that may not be sent (7.4)"));
            }
            match std::str::from_utf8(text) {
                Ok(_) => Ok(Some(code)),
                Err(_) => {
                    Err(broken(CloseCode::Invalid, "a close reason that is no UTF-8 (5.5.1)"))
                }
            }
        }
    }
}
