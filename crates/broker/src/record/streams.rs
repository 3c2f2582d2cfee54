//! What the log says of streams: which of their entries are in segments of their own by now.

use super::put::{put32, put64};
use super::read::Reader;
use super::{Record, kind};
use crate::id::QueueId;
use crate::ledger::{Segment, Stream};
use lockgate_model::{Malformed, Time};

fn put_segment(out: &mut Vec<u8>, s: &Segment) {
    for n in [s.base, s.end, s.bytes, s.from.0, s.to.0] {
        put64(out, n);
    }
}

/// Writes the body of a `Kept`.
pub fn write_kept(stream: QueueId, segment: &Segment, latest: u64, out: &mut Vec<u8>) {
    put32(out, stream.0);
    put64(out, latest);
    put_segment(out, segment);
}

/// Writes the body of a `Cut`.
pub fn write_cut(stream: QueueId, below: u64, out: &mut Vec<u8>) {
    put32(out, stream.0);
    put64(out, below);
}

/// Writes the body of a `Shelved`.
pub fn write_shelved(id: QueueId, stream: &Stream, out: &mut Vec<u8>) {
    put32(out, id.0);
    put64(out, stream.latest());
    put32(out, stream.segments().len() as u32);
    stream.segments().for_each(|s| put_segment(out, s));
    put32(out, stream.arrivals().len() as u32);
    for (first, at) in stream.arrivals() {
        put64(out, first);
        put64(out, at.0);
    }
}

impl Reader<'_> {
    fn segment(&mut self) -> Result<Segment, Malformed> {
        let (base, end, bytes) = (self.u64()?, self.u64()?, self.u64()?);
        Ok(Segment { base, end, bytes, from: Time(self.u64()?), to: Time(self.u64()?) })
    }

    /// A record of these kinds.
    pub(super) fn of_stream(&mut self, kind: u8) -> Result<Record, Malformed> {
        let stream = QueueId(self.u32()?);
        let number = self.u64()?;
        Ok(match kind {
            kind::KEPT => Record::Kept { stream, segment: self.segment()?, latest: number },
            kind::CUT => Record::Cut { stream, below: number },
            _ => {
                let n = self.count(40)?;
                let segments = (0..n).map(|_| self.segment());
                let segments = segments.collect::<Result<_, Malformed>>()?;
                let n = self.count(16)?;
                let arrivals = (0..n).map(|_| Ok((self.u64()?, Time(self.u64()?))));
                let arrivals = arrivals.collect::<Result<_, Malformed>>()?;
                Record::Shelved { stream, latest: number, segments, arrivals }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::read;

    /// Stores outlive versions.
    #[test]
    fn the_bytes_are_what_they_always_were() {
        let segment = Segment { base: 1, end: 2, bytes: 3, from: Time(4), to: Time(5) };
        let mut kept = Vec::new();
        write_kept(QueueId(9), &segment, 7, &mut kept);
        let golden = b"\x09\0\0\0\x07\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\
            \x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0";
        assert_eq!(kept, golden);
        let Ok(Record::Kept { stream, segment: back, latest }) = read(kind::KEPT, &kept) else {
            panic!("a segment")
        };
        assert_eq!((stream, back, latest), (QueueId(9), segment, 7));

        let mut cut = Vec::new();
        write_cut(QueueId(9), 8, &mut cut);
        assert_eq!(cut, b"\x09\0\0\0\x08\0\0\0\0\0\0\0");

        let mut stream = Stream::default();
        stream.keep(segment, 1).unwrap();
        stream.note(2, Time(6_000));
        let mut shelved = Vec::new();
        write_shelved(QueueId(9), &stream, &mut shelved);
        let mut golden = b"\x09\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0".to_vec();
        golden.extend_from_slice(&kept[12..]);
        golden.extend_from_slice(b"\x01\0\0\0\x02\0\0\0\0\0\0\0\x70\x17\0\0\0\0\0\0");
        assert_eq!(shelved, golden);
        for n in 0..shelved.len() {
            assert!(read(kind::SHELVED, &shelved[..n]).is_err(), "cut at {n}");
        }
    }
}
