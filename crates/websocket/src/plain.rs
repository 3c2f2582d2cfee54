//! The inner protocol's bytes: unmasked, put together, and kept until its session has used
//! them. Between calls exactly what is not used yet is kept.

use crate::frame::unmask;
use bytes::{Buf, Bytes, BytesMut};
use lockgate_front::Received;

/// Unmasked bytes that the inner session has not used.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    /// What the session left.
    rest: Bytes,
    /// In place of `rest`: it, and what came behind it.
    filling: BytesMut,
    /// Bytes that the session's next step needs; fewer are not handed over.
    need: usize,
    /// To be handed over: something was appended, or the session stopped by itself.
    due: bool,
}

/// Unmasked and masked while it is in the fastest cache.
const PIECE: usize = 16 * 1024;

impl Plain {
    /// Appends a piece of a payload; `at` is how many of its bytes went before, `follow` how
    /// many bytes are likely to be appended next.
    pub(crate) fn append(&mut self, masked: &[u8], mask: [u8; 4], at: usize, follow: usize) {
        if self.filling.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let room = self.need.max(rest.len() + masked.len() + follow);
            self.filling = BytesMut::with_capacity(room);
            self.filling.extend_from_slice(&rest);
        } else if self.need > self.filling.capacity() {
            self.filling.reserve(self.need - self.filling.len());
        }
        for (n, piece) in masked.chunks(PIECE).enumerate() {
            let from = self.filling.len();
            self.filling.extend_from_slice(piece);
            unmask(&mut self.filling[from..], mask, at.wrapping_add(n * PIECE));
        }
        self.due = true;
    }

    /// The last bytes that were appended.
    pub(crate) fn last(&self, n: usize) -> &[u8] {
        &self.filling[self.filling.len() - n..]
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.rest.len() + self.filling.len()
    }

    /// All of it, to be looked at.
    pub(crate) fn peek(&self) -> &[u8] {
        if self.filling.is_empty() { &self.rest } else { &self.filling }
    }

    /// All of it, if it is due, and enough for the session's next step.
    pub(crate) fn enough(&mut self) -> Option<Bytes> {
        if !self.due || self.len() < self.need {
            return None;
        }
        self.due = false;
        Some(match self.filling.is_empty() {
            true => std::mem::take(&mut self.rest),
            false => std::mem::take(&mut self.filling).freeze(),
        })
    }

    /// Takes back what the session did not use. False if it waits for more than `most`.
    pub(crate) fn left(
        &mut self,
        mut input: Bytes,
        received: Received,
        wants_more: bool,
        most: usize,
    ) -> bool {
        input.advance(received.used.min(input.len()));
        self.due = !wants_more && !input.is_empty();
        self.need = if wants_more && !input.is_empty() { received.need } else { 0 };
        self.rest = input;
        self.need.max(self.rest.len()) <= most
    }

    /// To be called when nothing more comes for now: keeps the bytes and not what they are in.
    pub(crate) fn park(&mut self) {
        if self.rest.is_empty() || self.due {
            return;
        }
        self.filling = match std::mem::take(&mut self.rest).try_into_mut() {
            // A large packet's: copied with each read it would cost more than it does.
            Ok(own) if own.len().max(self.need) > own.capacity() / 2 => own,
            Ok(own) => BytesMut::from(&own[..]),
            Err(shared) => BytesMut::from(&shared[..]),
        };
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self) {
        *self = Plain::default();
    }
}
