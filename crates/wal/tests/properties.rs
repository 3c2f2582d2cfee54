//! The log against a model, on the simulated disk: random work, crashes at any point, and the
//! promises as checks. Everything runs without threads, so a failing case repeats.

use std::sync::Arc;
use std::time::Duration;

use lockgate_wal::sim::{Fault, SimDisk};
use lockgate_wal::{
    Entry, Level, Log, OpenError, Options, Pos, Progress, ReplayError, Span, dump, open, verify,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Append(usize),
    Flush,
    Step {
        sync: bool,
    },
    Checkpoint,
    Release(usize),
    Crash(u64),
    /// A crash in the middle of a step: the disk stops after so many writes and syncs.
    CrashDuring {
        writes: u64,
        syncs: u64,
        seed: u64,
    },
    Kill,
    Close,
    Read(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (0usize..900).prop_map(Op::Append),
        1 => (3000usize..40_000).prop_map(Op::Append),
        6 => Just(Op::Flush),
        6 => any::<bool>().prop_map(|sync| Op::Step { sync }),
        1 => Just(Op::Checkpoint),
        1 => (0usize..4).prop_map(Op::Release),
        1 => any::<u64>().prop_map(Op::Crash),
        1 => (0u64..6, 0u64..6, any::<u64>())
            .prop_map(|(writes, syncs, seed)| Op::CrashDuring { writes, syncs, seed }),
        1 => Just(Op::Kill),
        1 => Just(Op::Close),
        3 => any::<usize>().prop_map(Op::Read),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Wrote {
    span: Span,
    kind: u8,
    epoch: u32,
    body: Vec<u8>,
}

/// The log under test beside what it should hold.
struct World {
    disk: SimDisk,
    options: Options,
    log: Option<Log<SimDisk>>,
    /// Everything appended in the order it was, but for what a crash has taken.
    wrote: Vec<Wrote>,
    /// What the log said is committed.
    committed: Pos,
    /// What a mere kill may not lose.
    written: Pos,
    /// Below this segments have been released: reading back is not promised.
    released: Pos,
    clock: Duration,
    next: u64,
}

type Checked<T = ()> = Result<T, String>;

fn options(level: Level) -> Options {
    Options { segment_bytes: 16 << 10, level, ..Options::default() }
}

fn boxed(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// A checkpoint's body: how many records the state holds.
fn state(count: usize) -> Vec<u8> {
    let mut body = (count as u64).to_le_bytes().to_vec();
    body.resize(100, 7);
    body
}

/// What a start finds: how many records its checkpoint stands for, and the tail.
fn recovered(
    disk: &SimDisk,
    level: Level,
) -> Result<(Log<SimDisk>, usize, Vec<Wrote>, bool), OpenError> {
    let recovery = open(Arc::new(disk.clone()), options(level))?;
    let base = recovery.checkpoint().map_or(0, |(_, body)| {
        u64::from_le_bytes(body[..8].try_into().expect("eight bytes")) as usize
    });
    let mut tail = Vec::new();
    let replayed = recovery.replay(|e: Entry<'_>| {
        tail.push(Wrote { span: e.span, kind: e.kind, epoch: e.epoch, body: e.body.to_vec() });
        Ok::<(), ()>(())
    });
    match replayed {
        Ok((log, report)) => Ok((log, base, tail, report.clean)),
        Err(ReplayError::Log(e)) => Err(e),
        Err(ReplayError::Visit { .. }) => unreachable!("the visitor never refuses"),
    }
}

impl World {
    fn new(level: Level) -> World {
        let mut world = World {
            disk: SimDisk::new(),
            options: options(level),
            log: None,
            wrote: Vec::new(),
            committed: Pos(0),
            written: Pos(0),
            released: Pos(0),
            clock: Duration::ZERO,
            next: 0,
        };
        world.start(Pos(0), false).expect("an empty disk opens");
        world
    }

    fn log(&mut self) -> &mut Log<SimDisk> {
        self.log.as_mut().expect("a log is open")
    }

    /// Recovers; everything below `promised` must be there, and nothing that was not appended.
    fn start(&mut self, promised: Pos, clean: bool) -> Checked {
        let whole = verify(&self.disk).map_err(boxed)?;
        if !whole.is_whole() {
            return Err(format!("a crash looks like damage: {whole:?}"));
        }
        let found = recovered(&self.disk, self.options.level).map_err(boxed)?;
        let (log, base, tail, was_clean) = found;
        let held = base + tail.len();
        let expected = self.wrote.get(base..held);
        if expected != Some(&tail[..]) {
            return Err(format!("the tail from record {base} on is not what was appended"));
        }
        let lost = self.wrote.get(held..).unwrap_or_default();
        if let Some(first) = lost.first().filter(|w| w.span.end() <= promised) {
            return Err(format!("lost {:?} below {promised}", first.span));
        }
        if clean && !was_clean {
            return Err("closed in order and not called clean".to_owned());
        }
        self.wrote.truncate(held);
        self.committed = log.committed();
        self.written = log.written();
        let mut log = log;
        log.set_epoch(log.epoch() + 1);
        self.log = Some(log);
        self.read_all()
    }

    fn read_all(&mut self) -> Checked {
        let spans: Vec<Span> = self
            .wrote
            .iter()
            .filter(|w| w.span.pos >= self.released && w.span.end() <= self.written)
            .map(|w| w.span)
            .collect();
        let skip = self.wrote.iter().take_while(|w| w.span.pos < self.released).count();
        let reader = self.log().reader();
        let entries = reader.read_many(&spans).map_err(boxed)?;
        for (entry, wrote) in entries.iter().zip(&self.wrote[skip..]) {
            if entry.body != wrote.body || entry.kind != wrote.kind || entry.epoch != wrote.epoch {
                return Err(format!("a wrong body at {:?}", wrote.span));
            }
        }
        Ok(())
    }

    fn step(&mut self, sync: bool) {
        for said in self.log().step(sync) {
            match said {
                Progress::Committed(pos) => self.committed = self.committed.max(pos),
                Progress::Checkpoint(_) | Progress::Failed(_) => {}
            }
        }
        self.written = self.log().written();
    }

    fn act(&mut self, op: &Op) -> Checked {
        match *op {
            Op::Append(len) => {
                self.next += 1;
                let (next, epoch) = (self.next, self.log().epoch());
                let body: Vec<u8> = (0..len).map(|i| (next as usize + i / 3) as u8).collect();
                let kind = (next % 0xF0) as u8;
                let span = self.log().append(kind, |buf| buf.extend_from_slice(&body));
                self.wrote.push(Wrote { span, kind, epoch, body });
            }
            Op::Flush => self.log().flush(),
            Op::Step { sync } => self.step(sync),
            Op::Checkpoint => {
                let (covers, body) = (self.log().end(), state(self.wrote.len()));
                let now = self.clock;
                self.log().checkpoint(covers, body, now);
                self.clock += Duration::from_secs(1);
            }
            Op::Release(count) => {
                let sealed = self.log().segments().filter(|s| s.sealed);
                let dying: Vec<_> = sealed.take(count).collect();
                for segment in dying {
                    self.released = self.released.max(Pos(segment.end.0 + 1));
                    self.log().release(segment.base);
                }
            }
            Op::Crash(seed) => return self.crash(seed),
            Op::CrashDuring { writes, syncs, seed } => {
                self.disk.fail_writes(writes, Fault::Io);
                self.disk.fail_syncs(syncs, Fault::Io);
                self.log().flush();
                self.step(true);
                return self.crash(seed);
            }
            Op::Kill => {
                let promised = self.written;
                self.log = None;
                self.disk.kill();
                return self.start(promised, false);
            }
            Op::Close => {
                let end = self.log().end();
                let closed = self.log.take().expect("a log is open").close();
                if closed.is_ok() {
                    self.disk.crash(self.next);
                    return self.start(end, true);
                }
                return self.crash(self.next);
            }
            Op::Read(which) => return self.read(which),
        }
        Ok(())
    }

    fn crash(&mut self, seed: u64) -> Checked {
        let promised = self.committed;
        self.log = None;
        self.disk.crash(seed);
        self.start(promised, false)
    }

    fn read(&mut self, which: usize) -> Checked {
        if self.wrote.is_empty() {
            return Ok(());
        }
        let wrote = self.wrote[which % self.wrote.len()].clone();
        match self.log().reader().read(wrote.span) {
            Ok(entry) if entry.body == wrote.body => Ok(()),
            Ok(_) => Err(format!("a wrong body at {:?}", wrote.span)),
            // What is released, or not flushed, may be refused.
            Err(_) if wrote.span.pos < self.released || wrote.span.pos >= self.written => Ok(()),
            Err(e) => Err(boxed(e)),
        }
    }
}

fn live(level: Level, ops: &[Op]) -> Checked<World> {
    let mut world = World::new(level);
    for op in ops {
        world.act(op).map_err(|e| format!("{op:?}: {e}"))?;
    }
    Ok(world)
}

/// Appends and crashes only: enough to catch a log that lies about what is durable.
fn rough_life(seed: u64) -> Vec<Op> {
    let mut ops = Vec::new();
    for i in 0..12u64 {
        let len = (seed.wrapping_mul(31).wrapping_add(i * 97) % 700) as usize;
        ops.extend([Op::Append(len), Op::Flush, Op::Step { sync: false }]);
    }
    ops.push(Op::Crash(seed));
    ops
}

/// A failing case becomes a test of its own, not a file of seeds. `PROPTEST_CASES` asks for more.
fn cases(least: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok());
    let cases = asked.unwrap_or(least);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn what_is_committed_survives_any_crash(ops in prop::collection::vec(op(), 1..120)) {
        if let Err(e) = live(Level::Fsync, &ops) {
            return Err(TestCaseError::fail(e));
        }
    }

    /// One bit anywhere in a log that was closed in order: nothing is lost or changed, or the
    /// place is named.
    #[test]
    fn a_flipped_bit_is_harmless_or_named(
        ops in prop::collection::vec(op(), 1..80),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 12),
    ) {
        let mut ops = ops;
        ops.push(Op::Append(100));
        ops.push(Op::Close);
        let mut world = match live(Level::Fsync, &ops) {
            Ok(world) => world,
            Err(e) => return Err(TestCaseError::fail(e)),
        };
        world.log = None;
        let names = lockgate_wal::Disk::list(&world.disk).expect("names");
        for (name, at) in &flips {
            let name = &names[name.index(names.len())];
            let size = world.disk.get(name).expect("there").len();
            if size == 0 {
                continue;
            }
            let disk = world.disk.copy();
            disk.flip(name, at.index(size * 8) as u64);
            let _ = verify(&disk);
            let _ = dump(&disk, None, |_| {});
            match recovered(&disk, Level::Fsync) {
                Ok((_, base, tail, _)) => {
                    prop_assert_eq!(base + tail.len(), world.wrote.len(), "lost by {}", name);
                    prop_assert_eq!(&world.wrote[base..], &tail[..]);
                }
                Err(e) => prop_assert!(!e.to_string().is_empty()),
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn the_lazy_levels_lose_at_most_the_unsynced(
        ops in prop::collection::vec(op(), 1..80),
        memory in any::<bool>(),
    ) {
        let level = if memory { Level::Memory } else { Level::Os };
        let mut world = World::new(level);
        for op in &ops {
            // Here only what is synced is promised to survive a power cut.
            let synced = world.log().synced();
            let result = match *op {
                Op::Crash(seed) => {
                    world.committed = synced;
                    world.crash(seed)
                }
                Op::CrashDuring { .. } => Ok(()),
                _ => world.act(op),
            };
            if let Err(e) = result {
                return Err(TestCaseError::fail(format!("{op:?}: {e}")));
            }
        }
    }
}

/// The checker is worth nothing if it cannot fail: a log that says "committed" before the sync
/// must be caught.
#[test]
fn the_checker_catches_a_log_that_confirms_before_the_sync() {
    let caught = |level| (0..50).filter(|seed| live(level, &rough_life(*seed)).is_err()).count();
    assert_eq!(caught(Level::Fsync), 0);
    assert!(caught(Level::Os) > 20, "{}", caught(Level::Os));
    assert!(caught(Level::Memory) > 20, "{}", caught(Level::Memory));
}
