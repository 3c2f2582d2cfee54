//! Berths in records: tags 21 to 25 of a `Made`, and the marks that open and close.

use super::messages::{read_run, write_run};
use super::put::{flags, put_bytes, put16, put32, put64};
use super::read::Reader;
use super::{Change, Record, tag};
use crate::change::BerthSpec;
use crate::id::{BerthId, ExchangeId, VhostId};
use bytes::Bytes;
use lockgate_model::{Caps, Interest, Lasting, Malformed, Mark, Replay, Will};
use std::sync::Arc;

/// What becomes of marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as the commands that do it
pub enum MarkDeed {
    Opened,
    Released,
    Received,
    Completed,
}

const DEEDS: [MarkDeed; 4] =
    [MarkDeed::Opened, MarkDeed::Released, MarkDeed::Received, MarkDeed::Completed];

const REPLAYS: [Replay; 3] = [Replay::Always, Replay::IfNew, Replay::Never];

/// Writes the body of a `Marks`.
pub fn write_mark_deed(berth: BerthId, deed: MarkDeed, marks: &[Mark], out: &mut Vec<u8>) {
    put32(out, berth.0);
    out.push(deed as u8);
    put32(out, marks.len() as u32);
    marks.iter().for_each(|mark| put16(out, mark.0));
}

/// Writes a change that is one of a berth.
pub fn write(change: &Change, out: &mut Vec<u8>) {
    match change {
        Change::BerthTaken(spec) => write_spec(spec, out),
        Change::BerthLeft { id, at, lasting, will } => {
            out.push(tag::BERTH_LEFT);
            put32(out, id.0);
            out.push(flags(&[at.is_some(), *will]));
            put64(out, at.unwrap_or_default());
            put_lasting(*lasting, out);
        }
        Change::BerthEnded { id } => {
            out.push(tag::NO_BERTH);
            put32(out, id.0);
        }
        Change::Followed { id, interest } => write_interest(*id, interest, out),
        Change::Unfollowed { id, filter } => {
            out.push(tag::NO_INTEREST);
            put32(out, id.0);
            put_bytes(out, filter.as_bytes());
        }
        _ => {}
    }
}

fn write_spec(spec: &BerthSpec, out: &mut Vec<u8>) {
    out.push(tag::BERTH);
    put32(out, spec.id.0);
    put32(out, spec.vhost.0);
    put32(out, spec.exchange.0);
    [&spec.client, &spec.passing, &spec.settling]
        .iter()
        .for_each(|name| put_bytes(out, name.as_bytes()));
    put_lasting(spec.lasting, out);
    let Caps { messages_max, bytes_max, passing_bytes_max } = spec.caps;
    [messages_max, bytes_max, passing_bytes_max].iter().for_each(|n| put64(out, *n));
    out.push(u8::from(spec.will.is_some()));
    if let Some(will) = &spec.will {
        put32(out, will.delay);
        let mut message = Vec::new();
        write_run(&will.run, 0, will.run.items.len().min(1), &mut message);
        put_bytes(out, &message);
    }
}

fn write_interest(id: BerthId, i: &Interest, out: &mut Vec<u8>) {
    out.push(tag::INTEREST);
    put32(out, id.0);
    put_bytes(out, i.filter.as_bytes());
    put16(out, i.pattern_at);
    out.push(flags(&[i.group.is_some(), i.not_own, i.as_published]));
    if let Some(group) = &i.group {
        put_bytes(out, group.as_bytes());
    }
    put_bytes(out, &i.key);
    out.push(i.level);
    out.push(i.replay as u8);
    put32(out, i.label);
}

fn put_lasting(lasting: Lasting, out: &mut Vec<u8>) {
    let (kind, seconds) = match lasting {
        Lasting::Not => (0, 0),
        Lasting::Seconds(n) => (1, n),
        Lasting::Always => (2, 0),
    };
    out.push(kind);
    put32(out, seconds);
}

impl Reader<'_> {
    /// Reads a `Marks`.
    pub(super) fn mark_deed(&mut self) -> Result<Record, Malformed> {
        let (berth, deed) = (BerthId(self.u32()?), self.u8()?);
        let deed = *DEEDS.get(usize::from(deed)).ok_or(Malformed("unknown deed"))?;
        let n = self.count(2)?;
        let marks = (0..n).map(|_| Ok(Mark(self.u16()?))).collect::<Result<_, Malformed>>()?;
        Ok(Record::Marks { berth, deed, marks })
    }

    /// Reads one of these changes, its tag read already.
    pub(super) fn moored(&mut self, tag: u8) -> Result<Change, Malformed> {
        Ok(match tag {
            tag::BERTH => Change::BerthTaken(Box::new(self.berth()?)),
            tag::BERTH_LEFT => {
                let (id, flags, at) = (BerthId(self.u32()?), self.u8()?, self.u64()?);
                let at = (flags & 1 != 0).then_some(at);
                Change::BerthLeft { id, at, lasting: self.lasting()?, will: flags & 2 != 0 }
            }
            tag::NO_BERTH => Change::BerthEnded { id: BerthId(self.u32()?) },
            tag::INTEREST => {
                let id = BerthId(self.u32()?);
                Change::Followed { id, interest: self.interest()? }
            }
            tag::NO_INTEREST => {
                Change::Unfollowed { id: BerthId(self.u32()?), filter: self.name()? }
            }
            _ => return Err(Malformed("unknown change")),
        })
    }

    fn berth(&mut self) -> Result<BerthSpec, Malformed> {
        let (id, vhost) = (BerthId(self.u32()?), VhostId(self.u32()?));
        let exchange = ExchangeId(self.u32()?);
        let (client, passing, settling) = (self.name()?, self.name()?, self.name()?);
        let lasting = self.lasting()?;
        let (messages_max, bytes_max) = (self.u64()?, self.u64()?);
        let caps = Caps { messages_max, bytes_max, passing_bytes_max: self.u64()? };
        let will = if self.u8()? == 0 {
            None
        } else {
            let delay = self.u32()?;
            let run = read_run(&Bytes::copy_from_slice(self.bytes()?))?;
            if run.items.len() != 1 {
                return Err(Malformed("a will of other than one message"));
            }
            Some(Will { run: Arc::new(run), delay })
        };
        Ok(BerthSpec {
            id,
            vhost,
            client,
            exchange,
            passing,
            settling,
            lasting,
            caps,
            will,
            logged: true,
        })
    }

    fn interest(&mut self) -> Result<Interest, Malformed> {
        let (filter, pattern_at, flags) = (self.name()?, self.u16()?, self.u8()?);
        let group = if flags & 1 != 0 { Some(self.name()?) } else { None };
        let (key, level) = (Bytes::copy_from_slice(self.bytes()?), self.u8()?);
        let replay = REPLAYS.get(usize::from(self.u8()?));
        let replay = *replay.ok_or(Malformed("unknown replay"))?;
        let (not_own, as_published) = (flags & 2 != 0, flags & 4 != 0);
        let label = self.u32()?;
        Ok(Interest { filter, pattern_at, group, key, level, not_own, as_published, replay, label })
    }

    fn lasting(&mut self) -> Result<Lasting, Malformed> {
        let (kind, seconds) = (self.u8()?, self.u32()?);
        Ok(match kind {
            0 => Lasting::Not,
            1 => Lasting::Seconds(seconds),
            2 => Lasting::Always,
            _ => return Err(Malformed("unknown lasting")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{kind, read, write_change};
    use super::*;
    use lockgate_model::Run;

    fn all() -> Vec<Change> {
        let id = BerthId(7);
        let run = Run::single("x", b"k", &[0, 0], b"gone", false);
        let will = Some(Will { run: Arc::new(run), delay: 9 });
        let lasting = Lasting::Seconds(60);
        let spec = BerthSpec {
            id,
            vhost: VhostId(1),
            exchange: ExchangeId(2),
            client: "c".into(),
            passing: "p".into(),
            settling: "s".into(),
            lasting,
            caps: Caps { messages_max: 1, bytes_max: 2, passing_bytes_max: 3 },
            will,
            logged: true,
        };
        let interest = Interest {
            filter: "$share/g/a/+".into(),
            pattern_at: 9,
            group: Some("q".into()),
            key: "a.*".into(),
            level: 2,
            not_own: true,
            as_published: true,
            replay: Replay::IfNew,
            label: 5,
        };
        vec![
            Change::BerthTaken(Box::new(spec)),
            Change::BerthLeft { id, at: Some(3), lasting, will: true },
            Change::BerthLeft { id, at: None, lasting: Lasting::Always, will: false },
            Change::Followed { id, interest },
            Change::Unfollowed { id, filter: "a/+".into() },
            Change::BerthEnded { id },
        ]
    }

    #[test]
    fn changes_of_berths_come_back_as_they_went_and_no_cut_of_them_does() {
        for change in all() {
            let mut body = Vec::new();
            write_change(&change, &mut body);
            let Ok(Record::Made(back)) = read(kind::MADE, &body) else { panic!("{change:?}") };
            assert_eq!(back, change);
            for n in 0..body.len() {
                assert!(read(kind::MADE, &body[..n]).is_err(), "{change:?} cut at {n}");
            }
        }
    }

    #[test]
    fn marks_are_written_as_they_always_were() {
        let mut body = Vec::new();
        write_mark_deed(BerthId(7), MarkDeed::Received, &[Mark(1), Mark(0x0203)], &mut body);
        assert_eq!(body, b"\x07\0\0\0\x02\x02\0\0\0\x01\0\x03\x02");
        let Ok(Record::Marks { berth, deed, marks }) = read(kind::MARKS, &body) else {
            panic!("marks")
        };
        assert_eq!(
            (berth, deed, marks),
            (BerthId(7), MarkDeed::Received, vec![Mark(1), Mark(515)])
        );
    }
}
