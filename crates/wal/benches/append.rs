//! What the log costs: CPU for one record appended, and records a second through to the disk.
//! `cargo bench -p lockgate-wal [-- DIR]`; it measures nothing that a test relies on.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lockgate_wal::sim::SimDisk;
use lockgate_wal::{Disk, Level, Log, Options, OsDisk, Pos, Progress, Reader, Span, open};

/// User and system time of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum();
    // Linux counts in hundredths of a second on every platform we know.
    Duration::from_millis(ticks * 10)
}

fn log<D: Disk>(disk: D, level: Level) -> Log<D> {
    let options = Options { level, ..Options::default() };
    let recovery = open(Arc::new(disk), options).expect("opens");
    recovery.replay(|_| Ok::<(), ()>(())).expect("replays").0
}

/// Encoding and checksum alone: the log has no threads and nothing is flushed.
fn append_alone(out: &mut impl Write, size: usize) {
    let mut log = log(SimDisk::new(), Level::Memory);
    let body = vec![7u8; size];
    let count = (60usize << 20) / (size + 40);
    // The pages of the buffer are touched before, as they are when buffers are reused.
    log.append(1, |buf| {
        let len = buf.len();
        buf.resize(len + (70 << 20), 1);
        buf.truncate(len);
    });
    let begun = Instant::now();
    for _ in 0..count {
        log.append(1, |buf| buf.extend_from_slice(&body));
    }
    let each = begun.elapsed().as_secs_f64() * 1e9 / count as f64;
    let _ = writeln!(out, "append {size:>6} B: {each:.0} ns a record");
}

/// With the writer: batches of `turn` records, at most 16 MiB ahead of the disk.
fn through(out: &mut impl Write, dir: &str, level: Level, size: usize, turn: usize) {
    let path = format!("{dir}/wal-bench-{}", std::process::id());
    let mut log = log(OsDisk::open(&path).expect("a directory"), level);
    let done = Arc::new(AtomicU64::new(0));
    let commits = Arc::new(AtomicU64::new(0));
    let (seen, number) = (done.clone(), commits.clone());
    let main = std::thread::current();
    log.start(move |progress| match progress {
        Progress::Committed(pos) => {
            seen.store(pos.0, Ordering::Release);
            number.fetch_add(1, Ordering::Relaxed);
            main.unpark();
        }
        other => drop(other),
    })
    .expect("threads");
    let body = vec![7u8; size];
    let count = (400usize << 20) / (size + 29) / turn * turn;
    let (begun, cpu_begun) = (Instant::now(), cpu());
    let mut spans: Vec<Span> = Vec::with_capacity(count);
    for _ in 0..count / turn {
        for _ in 0..turn {
            spans.push(log.append(1, |buf| buf.extend_from_slice(&body)));
        }
        log.flush();
        while log.backlog() > 16 << 20 {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
    while Pos(done.load(Ordering::Acquire)) < log.end() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let (wall, used) = (begun.elapsed().as_secs_f64(), (cpu() - cpu_begun).as_secs_f64());
    let _ = writeln!(
        out,
        "{level:?} {size} B, {turn} a turn: {:.0} k records/s, {:.0} k per CPU second, {} commits",
        count as f64 / wall / 1e3,
        count as f64 / used.max(0.01) / 1e3,
        commits.load(Ordering::Relaxed),
    );
    read_back(out, &log.reader(), &spans);
    drop(log);
    let begun = cpu();
    let recovery = open(Arc::new(OsDisk::open(&path).expect("there")), Options::default());
    let mut bytes = 0;
    let visited = recovery.expect("opens").replay(|entry| {
        bytes += entry.body.len();
        Ok::<(), ()>(())
    });
    let records = visited.expect("replays").1.records;
    let used = (cpu() - begun).as_secs_f64().max(0.01);
    let _ = writeln!(out, "  recovered: {:.0} k per CPU second", records as f64 / used / 1e3);
    let _ = std::fs::remove_dir_all(&path);
}

fn read_back<D: Disk>(out: &mut impl Write, reader: &Reader<D>, spans: &[Span]) {
    let begun = cpu();
    for run in spans.chunks(256) {
        reader.read_many(run).expect("readable");
    }
    let used = (cpu() - begun).as_secs_f64().max(0.01);
    let _ = writeln!(out, "  read back: {:.0} k per CPU second", spans.len() as f64 / used / 1e3);
}

fn main() {
    let dir = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let dir = dir.unwrap_or_else(|| std::env::temp_dir().to_string_lossy().into_owned());
    let mut out = std::io::stdout().lock();
    for size in [16, 100, 1024, 16384] {
        append_alone(&mut out, size);
    }
    through(&mut out, &dir, Level::Fsync, 100, 64);
    for turn in [1, 64] {
        for level in [Level::Fsync, Level::Os] {
            through(&mut out, &dir, level, 1024, turn);
        }
    }
}
