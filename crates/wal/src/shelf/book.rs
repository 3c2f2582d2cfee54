//! One segment file of a stream, open: where its chunks stand, as far as anybody asked. It never
//! reads beyond what is kept.

use std::io::{self, IoSlice};

use bytes::Bytes;

use super::chunk::{self, ChunkHead, HEAD, HEADER, Header};
use super::{Chunk, ShelfError};
use crate::disk::{Disk, DiskFile};
use crate::record::checksum;

/// Where a chunk stands.
#[derive(Clone, Copy, Debug)]
struct Spot {
    first: u64,
    /// The time of its last entry.
    last: u64,
    at: u64,
}

/// An open segment file.
pub(super) struct Book<F> {
    file: F,
    stream: u32,
    base: u64,
    /// Chunks from the first on, without a gap, up to `known`.
    spots: Vec<Spot>,
    known: u64,
    /// Counts uses of the shelf: who was used last.
    pub used: u64,
}

impl<F: DiskFile> Book<F> {
    /// Makes the file, in place of any of that name.
    pub fn create<D: Disk<File = F>>(disk: &D, stream: u32, base: u64) -> io::Result<Book<F>> {
        let file = disk.create(&super::name(stream, base))?;
        file.write_at(&[IoSlice::new(&chunk::write_head(stream, base))], 0)?;
        Ok(Book { file, stream, base, spots: Vec::new(), known: HEAD, used: 0 })
    }

    /// Opens a file that is there.
    pub fn open<D: Disk<File = F>>(
        disk: &D,
        stream: u32,
        base: u64,
    ) -> Result<Book<F>, ShelfError> {
        let name = super::name(stream, base);
        let io = |source| ShelfError::Io { name: name.clone(), source };
        let file = disk.open(&name).map_err(io)?;
        let mut head = [0; HEAD as usize];
        let n = file.read_at(&mut head, 0).map_err(io)?;
        if !chunk::is_head(stream, base, &head[..n]) {
            return Err(ShelfError::Damaged { name, what: "no head of a stream", offset: 0 });
        }
        Ok(Book { file, stream, base, spots: Vec::new(), known: HEAD, used: 0 })
    }

    /// Writes a chunk at `at`, where the last one ends. Returns where it ends itself.
    pub fn append(&mut self, at: u64, head: ChunkHead, body: &[u8]) -> io::Result<u64> {
        let header = chunk::write_header(self.stream, head, body);
        self.file.write_at(&[IoSlice::new(&header), IoSlice::new(body)], at)?;
        let end = at + (HEADER + body.len()) as u64;
        if self.known == at {
            self.spots.push(Spot { first: head.first, last: head.times.1, at });
            self.known = end;
        }
        Ok(end)
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Forgets chunks from `at` on: they were not written whole.
    pub fn forget(&mut self, at: u64) {
        self.spots.retain(|s| s.at < at);
        self.known = self.known.min(at);
    }

    /// The chunks from the one that holds `number` on, below `end`: at least one, and no more
    /// when `bytes_max` is reached.
    pub fn read(
        &mut self,
        number: u64,
        end: u64,
        bytes_max: usize,
    ) -> Result<Vec<Chunk>, ShelfError> {
        self.know(end, |spot| spot.first > number)?;
        let i = self.spots.partition_point(|s| s.first <= number);
        let Some(spot) = i.checked_sub(1).and_then(|i| self.spots.get(i)) else {
            return Err(self.damaged("not the chunk that was kept", HEAD));
        };
        let (mut at, mut chunks, mut bytes) = (spot.at, Vec::new(), 0);
        while at < end && (chunks.is_empty() || bytes < bytes_max) {
            let header = self.header(at, end)?;
            let chunk = self.chunk(at, header)?;
            bytes += chunk.body.len();
            chunks.push(chunk);
            if at == self.known {
                self.spots.push(Spot { first: header.head.first, last: header.head.times.1, at });
                self.known += header.size();
            }
            at += header.size();
        }
        Ok(chunks)
    }

    /// The first number of the first chunk below `end` whose last entry came at `time` or later.
    pub fn seek(&mut self, time: u64, end: u64) -> Result<Option<u64>, ShelfError> {
        self.know(end, |spot| spot.last >= time)?;
        let i = self.spots.partition_point(|s| s.last < time);
        Ok(self.spots.get(i).map(|s| s.first))
    }

    /// Looks at headers until one is enough.
    fn know(&mut self, end: u64, enough: impl Fn(&Spot) -> bool) -> Result<(), ShelfError> {
        while self.known < end && !self.spots.last().is_some_and(&enough) {
            let header = self.header(self.known, end)?;
            let spot = Spot { first: header.head.first, last: header.head.times.1, at: self.known };
            self.spots.push(spot);
            self.known += header.size();
        }
        Ok(())
    }

    fn header(&self, at: u64, end: u64) -> Result<Header, ShelfError> {
        let mut bytes = [0; HEADER];
        let n = self.file.read_at(&mut bytes, at).map_err(|e| self.io(e))?;
        let header = chunk::read_header(self.stream, &bytes[..n]);
        header
            .filter(|h| at.saturating_add(h.size()) <= end)
            .ok_or_else(|| self.damaged("a chunk's header is not what was written", at))
    }

    fn chunk(&self, at: u64, header: Header) -> Result<Chunk, ShelfError> {
        let mut body = vec![0; header.length as usize];
        let n = self.file.read_at(&mut body, at + HEADER as u64).map_err(|e| self.io(e))?;
        if n < body.len() || checksum(&body) != header.body_crc {
            return Err(self.damaged("a chunk's body is not what was written", at));
        }
        Ok(Chunk { head: header.head, body: Bytes::from(body) })
    }

    fn io(&self, source: io::Error) -> ShelfError {
        ShelfError::Io { name: super::name(self.stream, self.base), source }
    }

    fn damaged(&self, what: &'static str, offset: u64) -> ShelfError {
        ShelfError::Damaged { name: super::name(self.stream, self.base), what, offset }
    }

    /// Reads every chunk up to `end` and returns how many entries there are.
    pub fn verify(&mut self, end: u64) -> Result<u64, ShelfError> {
        let (mut at, mut next) = (HEAD, self.base);
        while at < end {
            let header = self.header(at, end)?;
            if header.head.first != next {
                return Err(self.damaged("chunks do not follow each other", at));
            }
            self.chunk(at, header)?;
            next = header.end();
            at += header.size();
        }
        Ok(next - self.base)
    }
}
