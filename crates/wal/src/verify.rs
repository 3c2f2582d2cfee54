//! For operators: is the log whole, and what is in it. It only reads, and goes on behind damage as
//! far as that makes sense, so that all of it is named.

use crate::checkpoint;
use crate::disk::Disk;
use crate::error::{Damaged, OpenError};
use crate::layout::{Layout, newest};
use crate::record::KIND_MAX;
use crate::recover::{Cut, Entry};
use crate::scan::{Scan, Step, survey};
use crate::segment::{self, BLOCK};
use crate::{Pos, Span};

/// One segment, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file.
    pub name: String,
    /// Its first position.
    pub base: Pos,
    /// Its size.
    pub size: u64,
    /// Whole records before its end or its first bad place.
    pub records: u64,
    /// The position there.
    pub end: Pos,
    /// It ends with a seal.
    pub sealed: bool,
}

/// One checkpoint, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The file.
    pub name: String,
    /// The position it covers; `None`: it is not whole.
    pub covers: Option<Pos>,
    /// Length of its body.
    pub bytes: u64,
}

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// All segments, oldest first.
    pub segments: Vec<SegmentReport>,
    /// All checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointReport>,
    /// Every place where synced data is gone or changed.
    pub damage: Vec<Damaged>,
    /// A torn tail, which the next start will cut.
    pub cut: Option<Cut>,
}

impl VerifyReport {
    /// Nothing that was promised is lost.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.checkpoints.iter().all(|c| c.covers.is_some())
    }
}

/// What one segment looks like, and the marks behind the place where it stops.
struct Look {
    report: SegmentReport,
    next: Option<u64>,
    readable: bool,
    synced: Pos,
    used: u64,
}

/// Reads the whole log and names all damage.
pub fn verify<D: Disk>(disk: &D) -> Result<VerifyReport, OpenError> {
    let layout = Layout::read(disk)?;
    let mut report = VerifyReport::default();
    let (mut synced, mut covers) = (Pos(0), Pos(0));
    for serial in &layout.checkpoints {
        let found = checkpoint::load(disk, *serial)?;
        synced = found.as_ref().map_or(synced, |c| synced.max(c.synced));
        covers = found.as_ref().map_or(covers, |c| c.covers);
        report.checkpoints.push(CheckpointReport {
            name: checkpoint::name(*serial),
            covers: found.as_ref().map(|c| c.covers),
            bytes: found.as_ref().map_or(0, |c| c.body().len() as u64),
        });
    }
    let looks = layout.segments.iter().map(|(&base, &size)| look(disk, base, size));
    let looks = looks.collect::<Result<Vec<Look>, OpenError>>()?;
    for (i, look) in looks.iter().enumerate() {
        let behind = looks.get(i + 1..).unwrap_or_default();
        let synced = behind.iter().map(|l| l.synced).fold(synced.max(look.synced), Pos::max);
        let offset = look.report.end.0 - look.report.base.0;
        let begun = look.report.records > 0 || look.used > offset;
        // Below the checkpoint a segment may have been released.
        let missing =
            look.next.filter(|next| *next > covers.0 && !layout.segments.contains_key(next));
        let what = if !look.readable && begun {
            Some("the header is unreadable")
        } else if missing.is_some_and(|next| synced.0 > next) {
            Some("the segment after it is missing")
        } else if !look.report.sealed && synced > look.report.end {
            Some("a record is unreadable")
        } else {
            None
        };
        if let Some(what) = what {
            let segment = look.report.name.clone();
            let (from, to) = (look.report.end, synced.max(look.report.end));
            report.damage.push(Damaged { what, segment, offset, from, to });
        } else if !look.report.sealed && look.used > offset && report.cut.is_none() {
            let segment = look.report.name.clone();
            report.cut = Some(Cut { segment, offset, bytes: look.used - offset });
        }
    }
    report.segments = looks.into_iter().map(|l| l.report).collect();
    Ok(report)
}

fn look<D: Disk>(disk: &D, base: u64, size: u64) -> Result<Look, OpenError> {
    let name = segment::name(base);
    let io = |action| OpenError::io(action, &name);
    let file = disk.open(&name).map_err(io("open"))?;
    let head = segment::read_head(&file, base)?;
    let mut report = SegmentReport {
        name: name.clone(),
        base: Pos(base),
        size,
        records: 0,
        end: Pos(base + BLOCK),
        sealed: false,
    };
    let mut next = None;
    let mut synced = Pos(0);
    if let Some(head) = head {
        let mut scan = Scan::new(&file, base, head.generation, BLOCK).map_err(io("read"))?;
        loop {
            match scan.next().map_err(io("read"))? {
                Step::Record(head, _) => {
                    report.records += 1;
                    synced = synced.max(head.synced);
                }
                Step::Seal(base) => {
                    next = Some(base);
                    break;
                }
                Step::Stop => break,
            }
        }
        report.end = Pos(base + scan.at);
        report.sealed = next.is_some();
    }
    let generation = head.map(|h| h.generation);
    let behind = if report.sealed {
        Default::default()
    } else {
        survey(&file, base, generation, report.end.0 - base).map_err(io("read"))?
    };
    let synced = synced.max(behind.synced);
    Ok(Look { report, next, readable: head.is_some(), synced, used: behind.used })
}

/// Shows the records from `from` on (or all), in order, to the end of each segment or its first
/// bad place.
pub fn dump<D: Disk>(
    disk: &D,
    from: Option<Pos>,
    mut each: impl FnMut(Entry<'_>),
) -> Result<(), OpenError> {
    let layout = Layout::read(disk)?;
    let from = from.unwrap_or_default();
    let first = layout.holder(from).unwrap_or(from.0);
    for &base in layout.segments.range(first..).map(|(base, _)| base) {
        let name = segment::name(base);
        let io = |action| OpenError::io(action, &name);
        let file = disk.open(&name).map_err(io("open"))?;
        let Some(head) = segment::read_head(&file, base)? else {
            continue;
        };
        let mut scan = Scan::new(&file, base, head.generation, BLOCK).map_err(io("read"))?;
        while let Step::Record(head, body) = scan.next().map_err(io("read"))? {
            if head.pos >= from && head.kind <= KIND_MAX {
                let span = Span { pos: head.pos, len: head.length };
                each(Entry { span, epoch: head.epoch, kind: head.kind, body });
            }
        }
    }
    Ok(())
}

/// The body of the newest whole checkpoint and what it covers.
pub fn dump_checkpoint<D: Disk>(disk: &D) -> Result<Option<(Pos, Vec<u8>)>, OpenError> {
    let layout = Layout::read(disk)?;
    let (found, _) = newest(disk, &layout)?;
    Ok(found.map(|(_, c)| (c.covers, c.body().to_vec())))
}
