//! The log on a real directory, with its threads.

use std::sync::{Arc, mpsc};

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
