//! Read buffers: a few blocks per thread that all its connections read into, one
//! behind the other. A connection holds none; what was read is a slice of the
//! block, so a thin read pins no more than its share of one, and no read allocates
//! once the thread has as many blocks as are in flight.
//!
//! ```text
//!  block  [read of A][read of B][read of A]......... spare .........
//!          ^ Bytes    ^ Bytes    ^ Bytes             ^ the next read goes here
//! ```

use bytes::BytesMut;

/// How much one read takes at most: 16 KiB costs up to a tenth of the throughput,
/// more than 64 KiB gains little.
pub(crate) const READ_MAX: usize = 64 * 1024;

/// A block takes a full read behind the longest leftover that is carried over.
const BLOCK: usize = 2 * READ_MAX;

/// Full blocks that a thread remembers until nobody refers to them any longer.
/// What exceeds this is freed by whoever lets go last.
const LENT_MAX: usize = 8;

/// A thread's read buffers.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Being filled; its bytes so far are split off, so it is empty between reads.
    open: Option<BytesMut>,
    /// Filled, and perhaps still referred to.
    lent: Vec<BytesMut>,
}

impl Blocks {
    /// An empty buffer with room for at least `room` bytes, `BLOCK` at most.
    pub(crate) fn room(&mut self, room: usize) -> &mut BytesMut {
        debug_assert!(room <= BLOCK);
        let mut block = self.open.take().unwrap_or_else(|| BytesMut::with_capacity(BLOCK));
        block.clear();
        if block.capacity() < room {
            self.lent.push(block);
            block = self.reclaimed().unwrap_or_else(|| BytesMut::with_capacity(BLOCK));
        }
        self.open.insert(block)
    }

    /// The most recently filled block that nobody refers to: it is the likeliest
    /// to be in the cache still.
    fn reclaimed(&mut self) -> Option<BytesMut> {
        let free = self.lent.iter_mut().rposition(|block| block.try_reclaim(BLOCK));
        if free.is_none() && self.lent.len() > LENT_MAX {
            self.lent.remove(0);
        }
        free.map(|at| self.lent.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn read(blocks: &mut Blocks, n: usize) -> Bytes {
        let block = blocks.room(READ_MAX);
        block.resize(n, 7);
        block.split().freeze()
    }

    #[test]
    fn thin_reads_share_a_block() {
        let mut blocks = Blocks::default();
        let first = read(&mut blocks, 100);
        let second = read(&mut blocks, 100);
        assert_eq!(first.as_ptr().wrapping_add(100), second.as_ptr());
    }

    #[test]
    fn a_block_that_nobody_refers_to_is_used_again() {
        let mut blocks = Blocks::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            seen.insert(read(&mut blocks, READ_MAX).as_ptr());
        }
        assert_eq!(seen.len(), 2, "one block of two reads");
        let kept: Vec<_> = (0..4).map(|_| read(&mut blocks, READ_MAX)).collect();
        for _ in 0..1000 {
            seen.insert(read(&mut blocks, READ_MAX).as_ptr());
        }
        assert!(seen.len() <= 6, "{} places", seen.len());
        assert!(kept.iter().all(|b| b.iter().all(|x| *x == 7)));
    }

    #[test]
    fn blocks_that_stay_referred_to_are_forgotten() {
        let mut blocks = Blocks::default();
        let kept: Vec<_> = (0..200).map(|_| read(&mut blocks, READ_MAX)).collect();
        assert!(blocks.lent.len() <= LENT_MAX);
        drop(kept);
    }
}
