//! What stands between a stream and `Session::receive`: keeps the beginning of a
//! frame whose rest has not come yet, and sees to it that a large frame is read
//! into one buffer of the right size. Between polls a connection keeps exactly the
//! bytes that are not used yet, nothing more.

use crate::block::{Blocks, READ_MAX};
use bytes::{BufMut, Bytes, BytesMut};
use lockgate_front::Received;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt};

/// One connection's unused input.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    /// What the session left, in front of what comes next.
    rest: Bytes,
    /// `rest` is a slice of a thread's block, to be copied before the thread moves on.
    lent: bool,
    /// In place of `rest`: a frame that is longer than a read, filled where it stands.
    large: BytesMut,
    /// Bytes that the session's next step needs; fewer are not handed over.
    need: usize,
    /// The session stopped by itself: `rest` is to be handed over again as it is.
    again: bool,
}

/// The session waits for more than it may hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMuch;

/// What one read brought.
#[derive(Debug)]
pub(crate) enum Read {
    /// The stream's end.
    End,
    /// So many bytes, not yet as many as the session needs.
    Some(usize),
    /// So many bytes, which with those before make this for the session.
    Enough(usize, Bytes),
}

impl Intake {
    /// What the session left because it wanted no more, if that is how it stopped.
    pub(crate) fn again(&mut self) -> Option<Bytes> {
        std::mem::take(&mut self.again).then(|| std::mem::take(&mut self.rest))
    }

    /// Reads once, `most` bytes at most.
    pub(crate) fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        blocks: &mut Blocks,
        most: usize,
    ) -> Poll<io::Result<Read>> {
        if !self.large.is_empty() {
            let n = ready!(poll_into(stream, cx, &mut self.large, most))?;
            return Poll::Ready(Ok(match n {
                0 => Read::End,
                _ if self.large.len() < self.need => Read::Some(n),
                _ => Read::Enough(n, std::mem::take(&mut self.large).freeze()),
            }));
        }
        let block = blocks.room(self.rest.len() + READ_MAX);
        block.extend_from_slice(&self.rest);
        let n = ready!(poll_into(stream, cx, block, most))?;
        if n == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        let input = block.split().freeze();
        if input.len() < self.need {
            self.keep(input);
            return Poll::Ready(Ok(Read::Some(n)));
        }
        self.keep(Bytes::new());
        Poll::Ready(Ok(Read::Enough(n, input)))
    }

    /// Takes back what the session did not use; `most` bounds what is kept and waited for.
    pub(crate) fn left(
        &mut self,
        input: Bytes,
        received: Received,
        wants_more: bool,
        most: usize,
    ) -> Result<(), TooMuch> {
        let rest = input.slice(received.used.min(input.len())..);
        self.again = !wants_more && !rest.is_empty();
        self.need = if wants_more && !rest.is_empty() { received.need } else { 0 };
        let wanted = self.need.max(rest.len());
        if wanted > most {
            return Err(TooMuch);
        }
        if wants_more && wanted > READ_MAX {
            // Room for one more read behind it, so that the bytes that follow the
            // frame cost no extra call. Where its length is not known yet, it doubles.
            let room = self.need.max(rest.len().saturating_mul(2)).saturating_add(READ_MAX);
            self.large = BytesMut::with_capacity(room);
            self.large.extend_from_slice(&rest);
            self.keep(Bytes::new());
        } else {
            self.keep(rest);
        }
        Ok(())
    }

    fn keep(&mut self, rest: Bytes) {
        self.lent = !rest.is_empty();
        self.rest = rest;
    }

    /// To be called when nothing more is done for now: lets go of the thread's block.
    pub(crate) fn park(&mut self) {
        if std::mem::take(&mut self.lent) {
            self.rest = Bytes::copy_from_slice(&self.rest);
        }
    }

    /// Bytes of memory held between polls.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let pinned = !self.rest.is_empty() && !self.rest.is_unique();
        self.rest.len() + self.large.capacity() + if pinned { READ_MAX } else { 0 }
    }
}

/// One read, as a poll, of `most` bytes and `READ_MAX` at most.
pub(crate) fn poll_into<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    into: &mut BytesMut,
    most: usize,
) -> Poll<io::Result<usize>> {
    let mut limited = into.limit(most.min(READ_MAX));
    pin!(stream.read_buf(&mut limited)).poll(cx)
}
