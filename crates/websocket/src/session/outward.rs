//! From the inner session to frames: heads are put in front of its bytes where they stand.
//! A message holds whole packets: many in binary, up to a size, and one in text.

use super::{Connection, LINGER, State};
use crate::frame::{self, Kind};
use crate::inner::{Inner, Packet};
use crate::text::Utf8;
use lockgate_front::{Cause, Insert, Output, Spot, WriteBuffer};
use smallvec::SmallVec;
use tungstenite::protocol::frame::coding::CloseCode;

/// Packets share a message up to here: a head costs next to nothing then, and a client on a
/// slow line is not kept waiting for the last packet of many.
const SHARED_MAX: usize = 16 * 1024;

impl Connection {
    /// Puts frames around what was appended since, and a close frame behind it if it ends.
    pub(super) fn wrap(&mut self, spot: Spot, out: &mut Output) {
        let size = out.bytes.since(spot);
        if let (State::Inner(_, n), true) = (&self.state, size > 0)
            && let Some(inner) = self.shared.inners.get(*n)
        {
            let kind = self.kind.filter(|_| inner.text).unwrap_or(Kind::Binary);
            match kind {
                Kind::Binary if size <= SHARED_MAX => {
                    let (head, n) = frame::head(kind, size);
                    out.bytes.insert(spot, &[Insert::new(0, &head[..n])]);
                }
                kind => {
                    let heads = heads(inner, kind, &out.bytes, spot);
                    out.bytes.insert(spot, &heads);
                }
            }
        }
        if let Some(close) = &mut out.close {
            let (code, text) = said(&close.cause);
            frame::close(out.bytes.small(), code, text);
            close.linger = close.linger.max(LINGER);
            self.state = State::Over;
            self.plain.clear();
        }
    }
}

/// How the end of an inner session is told in a close frame.
fn said(cause: &Cause) -> (CloseCode, &str) {
    match cause {
        Cause::Agreed => (CloseCode::Normal, ""),
        Cause::Fault(_) => (CloseCode::Protocol, "the protocol's rules were broken"),
        Cause::Denied(_) => (CloseCode::Policy, "not let in"),
        Cause::Silent => (CloseCode::Policy, "nothing came for too long"),
        Cause::Displaced => (CloseCode::Policy, "another connection has taken its place"),
        Cause::Gone => (CloseCode::Normal, ""),
        Cause::Stopped => (CloseCode::Away, "the broker stops"),
    }
}

type Heads = SmallVec<[Insert; 4]>;

/// The heads of the messages that all of it makes.
fn heads(inner: &Inner, kind: Kind, bytes: &WriteBuffer, spot: Spot) -> Heads {
    let shared_max = if kind == Kind::Binary { SHARED_MAX } else { 0 };
    let mut heads = Messages { heads: Heads::new(), kind, shared_max, from: 0, to: 0 };
    let mut packet = Cutter { packet: inner.packet, left: 0 };
    let mut text = Utf8::default();
    let mut is_text = kind == Kind::Text;
    let mut size = 0;
    for mut piece in bytes.pieces(spot) {
        while !piece.is_empty() {
            let n = packet.take(piece);
            let (part, rest) = piece.split_at(n);
            if is_text {
                is_text = text.take(part).is_ok();
            }
            size += n;
            piece = rest;
            if packet.left == 0 {
                heads.packet(std::mem::take(&mut size), is_text && text.end().is_ok());
                (text, is_text) = (Utf8::default(), kind == Kind::Text);
            }
        }
    }
    if size > 0 {
        heads.packet(size, is_text && text.end().is_ok());
    }
    heads.close(kind);
    heads.heads
}

/// Finds the packets' ends in pieces.
struct Cutter {
    packet: Packet,
    /// Bytes of the open packet that are still to come; all that follow if its end is not known.
    left: usize,
}

impl Cutter {
    /// How much of a piece, which is not empty, belongs to the open packet, or to the one
    /// that begins with it.
    fn take(&mut self, piece: &[u8]) -> usize {
        if self.left == 0 {
            self.left = (self.packet)(piece).unwrap_or(usize::MAX).max(1);
        }
        let n = self.left.min(piece.len());
        if self.left != usize::MAX {
            self.left -= n;
        }
        n
    }
}

/// Messages in the making.
struct Messages {
    heads: Heads,
    kind: Kind,
    /// Packets share a message up to here.
    shared_max: usize,
    from: usize,
    to: usize,
}

impl Messages {
    /// A packet follows. What is no text can not be said in text, whatever was asked for.
    fn packet(&mut self, size: usize, is_text: bool) {
        let kind = if is_text { Kind::Text } else { Kind::Binary };
        if self.kind == Kind::Text {
            self.to += size;
            self.close(kind);
            return;
        }
        if self.to > self.from && self.to - self.from + size > self.shared_max {
            self.close(kind);
        }
        self.to += size;
    }

    fn close(&mut self, kind: Kind) {
        let size = self.to - self.from;
        if size > 0 {
            let (head, n) = frame::head(kind, size);
            self.heads.push(Insert::new(self.from, &head[..n]));
        }
        self.from = self.to;
    }
}
