//! Named cases: each fault at its place, and what the log says about it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use lockgate_wal::sim::{Fault, SimDisk};
use lockgate_wal::{
    Disk, Level, Log, OpenError, Options, Pos, Progress, ReadError, ReplayError, Report, Span,
    dump, open, verify,
};

type Bodies = Vec<Vec<u8>>;

fn options() -> Options {
    Options { segment_bytes: 16 << 10, reserve_bytes: 0, ..Options::default() }
}

fn start(disk: &SimDisk) -> Result<(Log<SimDisk>, Report, Bodies), OpenError> {
    let recovery = open(Arc::new(disk.clone()), options())?;
    let mut bodies = Vec::new();
    let replayed = recovery.replay(|e| {
        bodies.push(e.body.to_vec());
        Ok::<(), ()>(())
    });
    match replayed {
        Ok((log, report)) => Ok((log, report, bodies)),
        Err(ReplayError::Log(e)) => Err(e),
        Err(ReplayError::Visit { .. }) => unreachable!("nothing is refused"),
    }
}

fn fresh(disk: &SimDisk) -> Log<SimDisk> {
    start(disk).expect("opens").0
}

/// Appends, flushes and syncs one record.
fn put(log: &mut Log<SimDisk>, body: &[u8]) -> Span {
    let span = log.append(1, |buf| buf.extend_from_slice(body));
    log.flush();
    log.step(true);
    span
}

fn segment(base: u64) -> String {
    format!("{base:016x}.segment")
}

fn refused(disk: &SimDisk) -> String {
    match start(disk) {
        Ok(_) => panic!("it was opened"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn an_empty_log_opens_again_and_again() {
    let disk = SimDisk::new();
    for _ in 0..3 {
        let (_, report, bodies) = start(&disk).expect("opens");
        assert_eq!((report.cut, bodies.len()), (None, 0));
        disk.crash(3);
    }
}

#[test]
fn a_crash_at_any_moment_of_the_first_start_does_no_harm() {
    for writes in 0..4 {
        for syncs in 0..6 {
            for seed in 0..20 {
                let disk = SimDisk::new();
                disk.fail_writes(writes, Fault::Io);
                disk.fail_syncs(syncs, Fault::Io);
                drop(start(&disk));
                disk.crash(seed);
                let mut log = fresh(&disk);
                put(&mut log, b"first");
                drop(log);
                disk.crash(seed);
                let (_, _, bodies) = start(&disk).expect("opens");
                assert_eq!(bodies, [b"first"]);
            }
        }
    }
}

#[test]
fn foreign_files_and_other_versions_are_named() {
    let disk = SimDisk::new();
    disk.put("holiday.jpg", b"");
    assert!(refused(&disk).contains("holiday.jpg"));
    let disk = SimDisk::new();
    disk.put("format", b"lockgate log 99\n");
    assert!(refused(&disk).contains("format 99"));
    let disk = SimDisk::new();
    disk.put("format", b"some database\n");
    assert!(matches!(start(&disk), Err(OpenError::Foreign { .. })));
    let disk = SimDisk::new();
    drop(fresh(&disk));
    disk.remove("format").expect("removed");
    assert!(matches!(start(&disk), Err(OpenError::Version { .. })));
}

#[test]
fn a_hole_in_the_last_unsynced_batch_is_a_torn_tail() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    put(&mut log, b"synced");
    let torn = log.append(1, |buf| buf.extend_from_slice(&[1; 2000]));
    log.append(1, |buf| buf.extend_from_slice(&[2; 2000]));
    log.flush();
    log.step(true);
    drop(log);
    // The sectors of the first of the two records never came down.
    disk.edit(&segment(0), |data| {
        data[torn.pos.0 as usize..][..1000].fill(0);
        true
    });
    let (mut log, report, bodies) = start(&disk).expect("opens");
    assert_eq!(bodies, [b"synced"]);
    let cut = report.cut.expect("a cut");
    assert_eq!((cut.segment, cut.offset), (segment(0), torn.pos.0));
    assert_eq!(cut.bytes, u64::from(torn.len) * 2);
    // What is written now must never be mixed with what was cut.
    put(&mut log, &[3; 1000]);
    drop(log);
    let (_, report, bodies) = start(&disk).expect("opens");
    assert_eq!(report.cut, None);
    assert_eq!(bodies, [b"synced".to_vec(), vec![3; 1000]]);
}

#[test]
fn damage_below_what_was_synced_refuses_the_start_and_names_the_place() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    let bad = put(&mut log, &[1; 300]);
    put(&mut log, &[2; 300]);
    let last = put(&mut log, &[3; 300]);
    drop(log);
    disk.flip(&segment(0), bad.pos.0 * 8 + 900);
    match start(&disk) {
        Err(OpenError::Damaged(damaged)) => {
            assert_eq!((damaged.segment, damaged.offset), (segment(0), bad.pos.0));
            assert_eq!((damaged.from, damaged.to), (bad.pos, last.pos));
        }
        Err(e) => panic!("{e}"),
        Ok(_) => panic!("it was opened"),
    }
    let report = verify(&disk).expect("readable");
    assert!(!report.is_whole());
    assert_eq!(report.damage[0].offset, bad.pos.0);
}

#[test]
fn the_mark_of_a_close_that_opens_a_segment_counts() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    // Sized so that the second segment has no room left for the close.
    let bad = log.append(1, |buf| buf.resize(buf.len() + 20_257, 1));
    log.append(1, |buf| buf.resize(buf.len() + 100, 2));
    log.close().expect("closes");
    disk.flip(&segment(0x4000), (bad.pos.0 - 0x4000) * 8);
    assert!(refused(&disk).contains("a record is unreadable"));
}

#[test]
fn a_missing_segment_is_named() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    for i in 0..60u8 {
        put(&mut log, &[i; 1000]);
    }
    drop(log);
    disk.remove(&segment(0x8000)).expect("removed");
    assert!(refused(&disk).contains(&segment(0x8000)));
    assert!(!verify(&disk).expect("readable").is_whole());
    disk.remove(&segment(0)).expect("removed");
    assert!(refused(&disk).contains("missing"));
}

#[test]
fn a_record_larger_than_a_segment_has_one_of_its_own() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    let bodies = [vec![1; 10], vec![2; 100_000], vec![3; 10]];
    let spans: Vec<Span> = bodies.iter().map(|b| put(&mut log, b)).collect();
    let read = log.reader().read_many(&spans).expect("readable");
    assert!(read.iter().zip(&bodies).all(|(r, b)| r.body == b));
    drop(log);
    disk.crash(1);
    assert_eq!(start(&disk).expect("opens").2, bodies);
}

#[test]
fn a_recovery_reads_the_checkpoint_and_the_tail_only() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    for i in 0..200u8 {
        put(&mut log, &[i; 4000]);
    }
    assert!(log.checkpoint(log.end(), vec![9; 1000], Duration::ZERO));
    log.step(true);
    put(&mut log, b"tail");
    drop(log);
    let before = disk.counts().read_bytes;
    let recovery = open(Arc::new(disk.clone()), options()).expect("opens");
    assert_eq!(recovery.checkpoint().expect("there").1, [9; 1000]);
    let (log, report) = recovery.replay(|_| Ok::<(), ()>(())).expect("replays");
    assert_eq!(report.records, 1);
    assert_eq!(log.segments().filter(|s| s.sealed).count(), 66);
    assert!(log.segments().all(|s| s.end.0 - s.base.0 < 16 << 10), "the ends are known");
    // The last segment, the prepared one, the checkpoint with its table: of 1 MiB in all.
    assert!(disk.counts().read_bytes - before < 80_000, "{}", disk.counts().read_bytes - before);
}

#[test]
fn a_segment_goes_when_both_checkpoints_are_past_it() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    for i in 0..10u8 {
        put(&mut log, &[i; 4000]);
    }
    let exists = |base| disk.get(&segment(base)).is_some();
    log.release(Pos(0));
    log.step(true);
    assert!(exists(0), "no checkpoint covers it");
    for round in 0..2 {
        assert!(exists(0), "round {round}");
        assert!(log.checkpoint_due(Duration::from_secs(10 * (round + 1))));
        assert!(log.checkpoint(log.end(), vec![], Duration::from_secs(10 * (round + 1))));
        log.step(true);
    }
    assert!(!exists(0) && exists(0x4000));
    assert!(!log.checkpoint_due(Duration::from_secs(1000)), "nothing has changed since");
    let gone = Span { pos: Pos(4096), len: 4029 };
    assert!(matches!(log.reader().read(gone), Err(ReadError::Gone(_))));
    drop(log);
    disk.crash(5);
    let (log, ..) = start(&disk).expect("opens");
    assert_eq!(log.segments().next().expect("one").base, Pos(0x4000));
}

#[test]
fn a_rotten_checkpoint_costs_a_longer_tail_and_nothing_else() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    put(&mut log, b"one");
    log.checkpoint(log.end(), b"1".to_vec(), Duration::ZERO);
    log.step(true);
    put(&mut log, b"two");
    log.checkpoint(log.end(), b"2".to_vec(), Duration::ZERO);
    log.step(true);
    put(&mut log, b"three");
    drop(log);
    assert_eq!(start(&disk).expect("opens").2, [b"three"]);
    disk.flip("0000000000000002.checkpoint", 300);
    assert!(!verify(&disk).expect("readable").is_whole());
    let (_, report, bodies) = start(&disk).expect("opens");
    assert!(report.fallback);
    assert_eq!(bodies, [b"two".to_vec(), b"three".to_vec()]);
    disk.flip("0000000000000001.checkpoint", 300);
    let (_, report, bodies) = start(&disk).expect("the whole log is still there");
    assert!(report.fallback);
    assert_eq!(bodies.len(), 3);
}

#[test]
fn a_crash_at_any_moment_of_a_checkpoint_leaves_one_that_is_whole() {
    for syncs in 0..4 {
        for seed in 0..40 {
            let disk = SimDisk::new();
            let mut log = fresh(&disk);
            put(&mut log, b"one");
            log.checkpoint(log.end(), b"1".to_vec(), Duration::ZERO);
            log.step(true);
            put(&mut log, b"two");
            disk.fail_syncs(syncs, Fault::Io);
            log.checkpoint(log.end(), b"2".to_vec(), Duration::ZERO);
            log.step(true);
            drop(log);
            disk.crash(seed);
            let recovery = open(Arc::new(disk.clone()), options()).expect("opens");
            let (_, body) = recovery.checkpoint().expect("there");
            let expected = if body == b"1" { 1 } else { 0 };
            let (_, report) = recovery.replay(|_| Ok::<(), ()>(())).expect("replays");
            assert_eq!(report.records, expected);
        }
    }
}

#[test]
fn a_checkpoint_waits_until_the_log_is_synced_that_far() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    for i in 0..6u8 {
        log.append(1, |buf| buf.resize(buf.len() + (1 << 20), i));
        log.flush();
    }
    log.checkpoint(log.end(), b"six".to_vec(), Duration::ZERO);
    // One write takes no more than 4 MiB.
    let first = log.step(true);
    assert!(log.committed() < log.end());
    assert!(matches!(first[..], [Progress::Committed(_)]), "{first:?}");
    let second = log.step(true);
    assert_eq!(log.committed(), log.end());
    assert!(matches!(second[..], [Progress::Committed(_), Progress::Checkpoint(Ok(_))]));
}

#[test]
fn a_failed_sync_is_said_once_and_never_tried_again() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    let (tell, hear) = mpsc::channel();
    log.start(move |p| drop(tell.send(p))).expect("threads start");
    log.append(1, |buf| buf.extend_from_slice(b"good"));
    log.flush();
    let soon = Duration::from_secs(20);
    let Progress::Committed(good) = hear.recv_timeout(soon).expect("alive") else {
        panic!("the first thing said is a commit");
    };
    // A failed sync marks the pages clean: the next one would succeed, and mean nothing.
    disk.fail_syncs(0, Fault::Io);
    log.append(1, |buf| buf.extend_from_slice(b"lost"));
    log.flush();
    assert!(matches!(hear.recv_timeout(soon).expect("said"), Progress::Failed(_)));
    disk.heal();
    log.append(1, |buf| buf.extend_from_slice(b"after"));
    log.flush();
    assert_eq!(log.committed(), good);
    assert!(log.close().is_err());
    assert!(hear.recv().is_err(), "nothing more is said");
    disk.crash(1);
    let bodies = start(&disk).expect("opens").2;
    assert!(bodies.len() <= 2 && bodies[0] == b"good");
}

#[test]
fn a_full_disk_is_foreseen_and_a_start_does_without_space() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    put(&mut log, b"one");
    assert!(!log.space().low);
    disk.set_space(Some(40 << 10));
    put(&mut log, &[0; 8000]);
    put(&mut log, &[0; 8000]);
    assert!(log.space().low, "no further segment can be made ready");
    log.checkpoint(log.end(), vec![0; 50_000], Duration::ZERO);
    let said = log.step(true);
    assert!(matches!(said[..], [Progress::Checkpoint(Err(_))]), "{said:?}");
    put(&mut log, b"there is still room in the segment");
    let end = log.end();
    assert_eq!(log.committed(), end);
    drop(log);
    disk.crash(1);
    let (mut log, _, bodies) = start(&disk).expect("opens");
    assert_eq!(bodies.len(), 4);
    put(&mut log, b"settled");
    assert_eq!(log.committed(), log.end());
    disk.set_space(None);
    log.step(true);
    assert!(!log.space().low);
}

#[test]
fn the_lazy_levels_report_as_they_are_named() {
    for level in [Level::Os, Level::Memory] {
        let disk = SimDisk::new();
        let options = Options { level, ..options() };
        let recovery = open(Arc::new(disk.clone()), options).expect("opens");
        let (mut log, _) = recovery.replay(|_| Ok::<(), ()>(())).expect("replays");
        let span = log.append(1, |buf| buf.extend_from_slice(b"x"));
        assert!(matches!(log.reader().read(span), Err(ReadError::NotFlushed(_))));
        log.flush();
        log.step(false);
        assert_eq!(log.committed(), span.end());
        assert!(log.synced() < span.end());
        assert_eq!(log.written() < span.end(), level == Level::Memory);
        assert_eq!(log.backlog() > 0, level == Level::Memory);
        assert_eq!(&log.reader().read(span).expect("readable").body[..], b"x");
        log.step(true);
        assert_eq!((log.synced(), log.backlog()), (span.end(), 0));
    }
}

#[test]
fn a_dump_begins_where_it_is_asked_to() {
    let disk = SimDisk::new();
    let mut log = fresh(&disk);
    let spans: Vec<Span> = (0..20u8).map(|i| put(&mut log, &[i; 3000])).collect();
    log.close().expect("closes");
    let mut seen = Vec::new();
    dump(&disk, Some(spans[7].pos), |e| seen.push(e.span)).expect("readable");
    assert_eq!(seen, spans[7..]);
}
