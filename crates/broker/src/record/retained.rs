//! What snapshots say of retained messages, and the topics that an `Enqueued` names.

use super::Record;
use super::put::{put_bytes, put32, put64};
use super::read::Reader;
use crate::id::QueueId;
use crate::ledger::Kept;
use lockgate_model::Malformed;

/// Stands for no moment.
const NEVER: u64 = u64::MAX;

/// Writes the body of a `Retained`.
pub fn write_retained<'a>(
    queue: QueueId,
    kept: impl ExactSizeIterator<Item = (&'a str, Kept)>,
    out: &mut Vec<u8>,
) {
    put32(out, queue.0);
    put32(out, kept.len() as u32);
    for (topic, kept) in kept {
        put64(out, kept.number);
        put64(out, kept.bytes);
        put64(out, kept.due.unwrap_or(NEVER));
        put_bytes(out, topic.as_bytes());
    }
}

/// The topics that the messages of an `Enqueued` were published to, and their sizes; none of
/// those that name no topic.
pub fn topics(body: &[u8]) -> Result<Vec<Option<(&str, u64)>>, Malformed> {
    let mut r = Reader(body);
    r.targets()?;
    r.u64()?;
    let count = r.count(10)?;
    let lengths = r.take(count * 10)?;
    let mut all = Vec::with_capacity(count);
    let mut topic = None;
    for h in lengths.chunks_exact(10) {
        let message = r.message(h)?;
        if let Some(fresh) = message.origin {
            topic = std::str::from_utf8(fresh).ok().filter(|t| !t.is_empty());
        }
        all.push(topic.map(|t| (t, message.size())));
    }
    Ok(all)
}

impl Reader<'_> {
    pub(super) fn retained(&mut self) -> Result<Record, Malformed> {
        let queue = QueueId(self.u32()?);
        let n = self.count(28)?;
        let kept = (0..n).map(|_| {
            let (number, bytes, due) = (self.u64()?, self.u64()?, self.u64()?);
            let due = Some(due).filter(|due| *due != NEVER);
            Ok((self.name()?, Kept { number, bytes, due, lasting: true }))
        });
        Ok(Record::Retained { queue, kept: kept.collect::<Result<_, Malformed>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{kind, read, write_enqueued};
    use lockgate_model::{Item, Names, Parts, RunBuilder, Time};

    #[test]
    fn what_is_retained_is_written_as_it_always_was() {
        let kept = [
            ("a/b", Kept { number: 7, bytes: 3, due: None, lasting: true }),
            ("c", Kept { number: 9, bytes: 4, due: Some(5), lasting: true }),
        ];
        let mut body = Vec::new();
        write_retained(QueueId(2), kept.into_iter(), &mut body);
        let golden = b"\x02\0\0\0\x02\0\0\0\
            \x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x03\0\0\0a/b\
            \x09\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x01\0\0\0c";
        assert_eq!(body, golden);
        let Ok(Record::Retained { queue, kept: again }) = read(kind::RETAINED, &body) else {
            panic!("what is retained")
        };
        assert_eq!(queue, QueueId(2));
        let again: Vec<_> = again.iter().map(|(topic, kept)| (topic.as_str(), *kept)).collect();
        assert_eq!(again, kept);
        for n in 0..body.len() {
            assert!(read(kind::RETAINED, &body[..n]).is_err(), "cut at {n}");
        }
    }

    #[test]
    fn a_record_tells_the_topic_of_each_message() {
        let mut run = RunBuilder::default();
        for (topic, native) in [("a/b", "N"), ("a/b", ""), ("", ""), ("c", "NN")] {
            let names =
                Names { exchange: b"x", key: b"k", topic: topic.as_bytes(), mandatory: false };
            let parts = Parts { head: &[0, 0], body: b"body", native: native.as_bytes() };
            run.push_like(Item::default(), names, parts);
        }
        let mut body = Vec::new();
        write_enqueued(&[(QueueId(2), 5)], Time(9), &run.finish(), 0, 4, &mut body);
        let told = [Some(("a/b", 7)), Some(("a/b", 6)), None, Some(("c", 8))];
        assert_eq!(topics(&body).unwrap(), told);
        for n in 0..body.len() {
            assert!(topics(&body[..n]).is_err(), "cut at {n}");
        }
    }
}
