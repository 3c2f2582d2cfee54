//! The log on a real directory, with its threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use lockgate_wal::sim::SimDisk;
use lockgate_wal::{Log, Options, OsDisk, Pages, Pos, Progress, Span, open, verify};

/// Starts the threads and hands back what they say.
fn started(log: &mut Log<OsDisk>) -> mpsc::Receiver<Progress> {
    let (tell, hear) = mpsc::channel();
    log.start(move |p| drop(tell.send(p))).expect("threads start");
    hear
}

fn await_committed(hear: &mpsc::Receiver<Progress>, end: Pos) {
    loop {
        match hear.recv().expect("the writer lives") {
            Progress::Committed(pos) if pos >= end => return,
            Progress::Failed(e) => panic!("{e}"),
            _ => {}
        }
    }
}

fn options() -> Options {
    Options { segment_bytes: 1 << 20, ..Options::default() }
}

#[test]
fn what_is_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(OsDisk::open(dir.path().join("log")).expect("open"));
    let mut spans: Vec<Span> = Vec::new();
    for round in 0u32..3 {
        let recovery = open(disk.clone(), options()).expect("opens");
        let mut seen = 0;
        let replayed = recovery.replay(|entry| {
            assert_eq!(entry.span, spans[seen]);
            assert_eq!(entry.body, body(seen as u32));
            seen += 1;
            Ok::<(), ()>(())
        });
        let (mut log, report) = replayed.expect("replays");
        assert_eq!(seen, spans.len());
        assert_eq!((report.clean, report.cut), (round == 2, None), "round {round}");
        let hear = started(&mut log);
        for _ in 0..2000 {
            let n = spans.len() as u32;
            spans.push(log.append(3, |buf| buf.extend_from_slice(&body(n))));
            if n.is_multiple_of(7) {
                log.flush();
            }
        }
        log.flush();
        let reader = log.reader();
        let all = reader.read_many(&spans).expect("readable before it is written");
        await_committed(&hear, log.end());
        assert_eq!(all, reader.read_many(&spans).expect("readable from the disk"));
        assert_eq!(log.backlog(), 0);
        assert!(log.segments().count() > 1);
        if round == 1 {
            log.close().expect("closes");
        }
    }
    assert!(verify(&*disk).expect("readable").is_whole());
}

fn body(n: u32) -> Vec<u8> {
    vec![n as u8; 100 + (n as usize * 37) % 2000]
}

#[test]
fn pages_stand_beside_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = Arc::new(OsDisk::open(dir.path()).expect("open"));
    let pages = Pages::open(disk.clone()).expect("pages");
    let slot = pages.put(&[5; 300_000]).expect("put");
    assert_eq!(pages.get(&slot).expect("get").len(), 300_000);
    let recovery = open(disk, options()).expect("the log does not mind page files");
    let (log, _) = recovery.replay(|_| Ok::<(), ()>(())).expect("replays");
    log.close().expect("closes");
    pages.free(slot);
}

/// The threads run and the power goes at any moment: what had been reported is there.
#[test]
fn a_power_cut_under_running_threads_loses_nothing_reported() {
    for seed in 0..150u64 {
        let disk = SimDisk::new();
        let recovery = open(Arc::new(disk.clone()), small()).expect("opens");
        let (mut log, _) = recovery.replay(|_| Ok::<(), ()>(())).expect("replays");
        let reported = Arc::new(AtomicU64::new(0));
        let seen = reported.clone();
        log.start(move |p| {
            if let Progress::Committed(pos) = p {
                seen.fetch_max(pos.0, Ordering::SeqCst);
            }
        })
        .expect("threads start");
        let mut spans = Vec::new();
        for n in 0..20 + seed as u32 {
            spans.push(log.append(1, |buf| buf.extend_from_slice(&body(n))));
            if (seed + u64::from(n)).is_multiple_of(5) {
                log.flush();
            }
            if n == 40 {
                log.checkpoint(Pos(4096), vec![1; 5000], Duration::ZERO);
            }
        }
        let promised = Pos(reported.load(Ordering::SeqCst));
        disk.crash(seed);
        drop(log);
        let recovery = open(Arc::new(disk.clone()), small()).expect("opens");
        let mut found = Vec::new();
        let replayed = recovery.replay(|entry| {
            assert_eq!(entry.body, body(found.len() as u32));
            found.push(entry.span);
            Ok::<(), ()>(())
        });
        replayed.expect("replays");
        assert_eq!(found[..], spans[..found.len()]);
        let lost = spans.get(found.len()).filter(|s| s.end() <= promised);
        assert_eq!(lost, None, "seed {seed}");
    }
}

fn small() -> Options {
    Options { segment_bytes: 64 << 10, ..Options::default() }
}
