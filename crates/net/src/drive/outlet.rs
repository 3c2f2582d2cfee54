//! Bytes on their way to the peer. Two buffers take turns: one is written while the
//! other is filled, so that a buffer is always written to its end and then starts
//! anew, however slow the peer is.

use super::flow::Window;
use super::scratch::Scratch;
use lockgate_front::WriteBuffer;
use std::io::{self, IoSlice};
use std::mem::swap;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// One connection's output.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    /// Being written.
    sending: WriteBuffer,
    /// What stands behind it between polls; during one it is the scratch's output. Only a peer
    /// that reads slowly has it.
    behind: Option<Box<WriteBuffer>>,
    /// What the stream may still hold back.
    unflushed: bool,
    /// Costs of deliveries among it.
    pub(super) window: Window,
}

/// Slices of one vectored write.
const SLICES: usize = 64;

/// Writes of one round: a peer that reads as fast as we write is not to keep others waiting.
const WRITES: usize = 8;

impl Outlet {
    /// Before a poll: what stands behind goes to where the session appends.
    pub(super) fn unpack(&mut self, s: &mut Scratch) {
        if let Some(mut behind) = self.behind.take() {
            swap(&mut *behind, &mut s.out.bytes);
            s.put_by(&mut behind);
        }
    }

    /// After a poll: keeps what is left to write, and gives memory back to the thread.
    pub(super) fn pack(&mut self, s: &mut Scratch) {
        if self.sending.is_empty() && !s.out.bytes.is_empty() {
            swap(&mut self.sending, &mut s.out.bytes);
        }
        if !s.out.bytes.is_empty() {
            self.behind = Some(Box::new(std::mem::take(&mut s.out.bytes)));
        }
        if self.sending.is_empty() {
            s.put_by(&mut self.sending);
        }
    }

    /// Bytes that wait to be written.
    #[inline]
    pub(super) fn waiting(&self, s: &Scratch) -> usize {
        self.sending.len() + s.out.bytes.len()
    }

    /// Writes what the stream takes; returns how much that was.
    pub(super) fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        s: &mut Scratch,
    ) -> io::Result<usize> {
        let mut total = 0;
        for _ in 0..WRITES {
            if self.sending.is_empty() {
                if s.out.bytes.is_empty() {
                    break;
                }
                swap(&mut self.sending, &mut s.out.bytes);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let n = self.sending.slices(&mut slices);
            let n = match Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..n]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => written?,
            };
            self.window.wrote(n, self.waiting(s));
            self.sending.advance(n);
            self.unflushed = true;
            total += n;
        }
        if self.sending.is_empty() {
            // Its memory is the likeliest to be in the cache: filled again at once.
            s.put_by(&mut self.sending);
        }
        if self.unflushed && self.waiting(s) == 0 {
            self.unflushed = match Pin::new(stream).poll_flush(cx) {
                Poll::Pending => true,
                Poll::Ready(flushed) => flushed.map(|()| false)?,
            };
        }
        Ok(total)
    }

    /// True when the stream has taken everything.
    pub(super) fn is_done(&self, s: &Scratch) -> bool {
        self.waiting(s) == 0 && !self.unflushed
    }

    /// Bytes of memory held between polls.
    #[cfg(test)]
    pub(super) fn held(&mut self) -> usize {
        let behind = self.behind.as_mut().map_or(0, |behind| behind.small().capacity());
        self.sending.small().capacity() + behind
    }
}
