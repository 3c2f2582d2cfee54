//! From the inner session to frames: heads are put in front of its bytes where they stand.
//! A message holds whole packets: many in binary, up to a size, and one in text.

use super::{Connection, LINGER, State};
use crate::frame::{self, Kind};
use crate::inner::Packet;
use crate::text::Utf8;
use lockgate_front::{Cause, Insert, Output, Spot, WriteBuffer};
use lockgate_model::{Event, Time};
use smallvec::SmallVec;
use tungstenite::protocol::frame::coding::CloseCode;

/// What is said at once is one message up to here, about a full read's worth handed on.
const MESSAGE_MAX: usize = 128 * 1024;

/// What is said of several events at once is one message from here on, and where more than
/// `MESSAGE_MAX` is said of one event its packets share messages up to here: a head costs next
/// to nothing then, and a client on a slow line is not kept waiting for the last packet of many.
const SHARED_MAX: usize = 32 * 1024;

/// Where a message begins, and how much room was left for its head.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    spot: Spot,
    room: usize,
}

impl Connection {
    /// Before the inner session says something.
    #[inline]
    pub(super) fn open(&self, out: &mut Output) -> Opened {
        let spot = out.bytes.spot();
        let room = if self.speaks() == Some(Kind::Binary) { self.room.into() } else { 0 };
        let small = out.bytes.small();
        small.resize(small.len() + room, 0);
        Opened { spot, room }
    }

    /// The kind of messages that the inner session's words go out in, if there is one.
    fn speaks(&self) -> Option<Kind> {
        let State::Inner(_, n) = self.state else { return None };
        let inner = self.shared.inners.get(n)?;
        Some(self.kind.filter(|_| inner.text).unwrap_or(Kind::Binary))
    }

    /// After it: puts frames around what it said, and a close frame behind it if it ends.
    pub(super) fn wrap(&mut self, opened: Opened, out: &mut Output) {
        let Opened { spot, room } = opened;
        let size = out.bytes.since(spot) - room;
        match (&self.state, self.speaks()) {
            (State::Inner(..), Some(Kind::Binary)) if (1..=MESSAGE_MAX).contains(&size) => {
                let (head, n) = frame::head(Kind::Binary, size);
                out.bytes.head(spot, room, &head[..n]);
                self.room = n as u8;
            }
            (State::Inner(_, n), Some(kind)) if size > 0 => {
                let Some(inner) = self.shared.inners.get(*n) else { return };
                let behind = spot.behind(room);
                let mut heads = match kind {
                    Kind::Binary => binary(inner.packet, &out.bytes, behind),
                    Kind::Text => text(inner.packet, &out.bytes, behind),
                };
                if room > 0 && !heads.is_empty() {
                    // The room that was left is the first head's.
                    let first = heads.remove(0);
                    self.room = first.bytes().len() as u8;
                    out.bytes.insert(behind, &heads);
                    out.bytes.head(spot, room, first.bytes());
                } else {
                    out.bytes.insert(behind, &heads);
                }
            }
            _ => out.bytes.head(spot, room, &[]),
        }
        if let Some(close) = &mut out.close {
            let (code, text) = said(&close.cause);
            frame::close(out.bytes.small(), code, text);
            close.linger = close.linger.max(LINGER);
            self.state = State::Over;
            self.plain.clear();
        }
    }

    /// Hands on events, as many at once as make a message of a fair size.
    pub(super) fn hand_on(&mut self, events: &mut Vec<Event>, now: Time, out: &mut Output) {
        let mut opened = self.open(out);
        if events.len() > 1 {
            // What is no delivery stays together: sessions say it together.
            let mut some = Vec::with_capacity(events.len());
            for event in events.drain(..) {
                let delivers = matches!(event, Event::Deliver(_));
                some.push(event);
                let State::Inner(session, _) = &mut self.state else { return };
                if !delivers {
                    continue;
                }
                session.events(&mut some, now, out);
                if out.close.is_some() || out.bytes.since(opened.spot) > SHARED_MAX {
                    self.wrap(opened, out);
                    opened = self.open(out);
                }
            }
            events.append(&mut some);
        }
        if let (State::Inner(session, _), false) = (&mut self.state, events.is_empty()) {
            session.events(events, now, out);
        }
        self.wrap(opened, out);
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

fn put(heads: &mut Heads, kind: Kind, from: usize, to: usize) {
    if to > from {
        let (head, n) = frame::head(kind, to - from);
        heads.push(Insert::new(from, &head[..n]));
    }
}

/// Heads of messages in binary, that hold as many packets as there is room for.
fn binary(packet: Packet, bytes: &WriteBuffer, spot: Spot) -> Heads {
    let mut heads = Heads::new();
    // Where the open message begins, this piece, and the next packet.
    let (mut from, mut base, mut next) = (0, 0, 0usize);
    for piece in bytes.pieces(spot) {
        let end = base + piece.len();
        while next < end {
            let size = packet(&piece[next - base..]).unwrap_or(usize::MAX).max(1);
            let to = next.saturating_add(size);
            if to - from > SHARED_MAX {
                put(&mut heads, Kind::Binary, from, next);
                from = next;
            }
            next = to;
        }
        base = end;
    }
    put(&mut heads, Kind::Binary, from, base);
    heads
}

/// Heads of messages in text, of one packet each. What is no text can not be said in text,
/// whatever was asked for.
fn text(packet: Packet, bytes: &WriteBuffer, spot: Spot) -> Heads {
    let mut heads = Heads::new();
    let (mut from, mut base, mut next) = (0, 0, 0usize);
    let (mut text, mut is_text) = (Utf8::default(), true);
    let mut close = |from: usize, to: usize, text: &mut Utf8, is_text: &mut bool| {
        let is_text = std::mem::replace(is_text, true) & std::mem::take(text).end().is_ok();
        put(&mut heads, if is_text { Kind::Text } else { Kind::Binary }, from, to);
    };
    for piece in bytes.pieces(spot) {
        let end = base + piece.len();
        let mut at = base;
        while at < end {
            if next == at && at > from && piece[at - base] == b'\n' {
                // A line end behind a packet goes with it: alone it would be a message.
                next += 1;
            } else if next == at {
                close(from, at, &mut text, &mut is_text);
                from = at;
                let size = packet(&piece[at - base..]).unwrap_or(usize::MAX).max(1);
                next = at.saturating_add(size);
            }
            let to = next.min(end);
            is_text = is_text && text.take(&piece[at - base..to - base]).is_ok();
            at = to;
        }
        base = end;
    }
    close(from, base, &mut text, &mut is_text);
    heads
}
