//! Streams against a plain list: whatever the disk does when, and whenever the power goes,
//! readers are given exactly what was published from where they began, in order.

mod shore;
mod wishes;

use lockgate_model::*;
use proptest::prelude::*;
use shore::{Shore, value};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Step {
    Publish { count: u64, size: usize },
    Subscribe { reader: u32, from: u64, limit: u32, filter: u8 },
    Settle { reader: u32, outcome: usize },
    Cancel { reader: u32 },
    Work { jobs: usize },
    Commit,
    Tick { secs: u64 },
    Checkpoint,
    Compact,
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..30u64, 8..6000usize).prop_map(|(count, size)| Step::Publish { count, size }),
        3 => (0..4u32, 0..300u64, 1..60u32, 0..4u8)
            .prop_map(|(reader, from, limit, filter)| Step::Subscribe { reader, from, limit, filter }),
        4 => (0..4u32, 0..3usize).prop_map(|(reader, outcome)| Step::Settle { reader, outcome }),
        1 => (0..4u32).prop_map(|reader| Step::Cancel { reader }),
        6 => (1..6usize).prop_map(|jobs| Step::Work { jobs }),
        4 => Just(Step::Commit),
        2 => (0..20u64).prop_map(|secs| Step::Tick { secs }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Compact),
        1 => Just(Step::Crash),
    ]
}

/// What a reader asked for.
struct Wish {
    from: u64,
    limit: u32,
    filter: u8,
}

struct Run {
    shore: Shore,
    /// The number of each entry, and where its record ends.
    all: Vec<(u64, u64)>,
    published: u64,
    wishes: [Option<Wish>; 4],
}

impl Run {
    fn new(arguments: &[(&str, Value)]) -> Run {
        let mut shore = Shore::new();
        shore.declare("s", arguments).expect("declared");
        Run { shore, all: Vec::new(), published: 0, wishes: [None, None, None, None] }
    }

    fn step(&mut self, step: Step) {
        let session = |reader: u32| SessionId(10 + reader);
        match step {
            Step::Publish { count, size } => {
                self.shore.publish("s", self.published, count, size);
                let end = self.shore.log.records.iter().rev().find(|r| r.0 == 2).map(|r| r.2.end());
                let numbers = self.published..self.published + count;
                self.all.extend(numbers.map(|n| (n, end.expect("a record"))));
                self.published += count;
            }
            Step::Subscribe { reader, from, limit, filter } => {
                if self.wishes[reader as usize].is_some() {
                    return;
                }
                let values = [&["0"][..], &["0"], &["1", "0"], &["nothing"]][filter as usize];
                let values = Value::Array(values.iter().map(|v| Value::text(v)).collect());
                let unfiltered = Value::Bool(filter == 1);
                let more = [("x-stream-filter", values), ("x-stream-match-unfiltered", unfiltered)];
                let more = if filter == 0 { &[][..] } else { &more };
                let offset = Value::I64(from as i64);
                self.shore.subscribe(session(reader), "s", offset, limit, more).expect("a reader");
                self.wishes[reader as usize] = Some(Wish { from, limit, filter });
            }
            Step::Settle { reader, outcome } => {
                let outcomes = [Outcome::Accept, Outcome::Requeue, Outcome::Discard];
                self.shore.settle(session(reader), outcomes[outcome]);
            }
            Step::Cancel { reader } => {
                if self.wishes[reader as usize].take().is_some() {
                    self.check_reader(reader);
                    self.shore.run(session(reader), Command::Gone);
                    self.shore.readers.remove(&session(reader));
                }
            }
            Step::Work { jobs } => (0..jobs).for_each(|_| _ = self.shore.work()),
            Step::Commit => self.shore.commit(),
            Step::Tick { secs } => self.shore.tick(Duration::from_secs(secs)),
            Step::Checkpoint => self.shore.checkpoint(),
            Step::Compact => self.shore.compact(),
            Step::Crash => {
                self.check();
                let committed = self.shore.log.committed;
                self.all.retain(|(_, end)| *end <= committed);
                self.wishes = [None, None, None, None];
                self.shore.crash();
            }
        }
        self.check();
    }

    fn passes(wish: &Wish, n: u64) -> bool {
        let value = value(n);
        match wish.filter {
            0 => true,
            1 => value.is_none_or(|v| v == "0"),
            2 => value.is_some(),
            _ => false,
        }
    }

    /// What a reader has seen is a part of what it should see without a gap, but for what was
    /// cut before it came there.
    fn check_reader(&self, reader: u32) {
        let Some(wish) = &self.wishes[reader as usize] else { return };
        let Some(r) = self.shore.readers.get(&SessionId(10 + reader)) else { return };
        assert!(r.held <= wish.limit, "{} in flight of {}", r.held, wish.limit);
        let mut next = wish.from;
        for (offset, number) in &r.seen {
            assert!(*offset >= next, "{offset} after {next}");
            let (expected, end) = self.all[*offset as usize];
            assert_eq!(*number, expected, "at {offset}");
            assert!(end <= self.shore.log.committed, "{offset} is not committed");
            assert!(Run::passes(wish, *number));
            next = offset + 1;
        }
    }

    fn check(&mut self) {
        (0..4).for_each(|reader| self.check_reader(reader));
        // To ask would be to wait for the log.
        assert!(self.shore.broker.counts().messages <= self.all.len() as u64);
    }

    /// At the end everybody has seen everything that was there when they came, and is there.
    fn end(&mut self) {
        self.shore.calm_down();
        self.check();
        let first = self.all.len() as u64 - self.shore.count("s");
        for reader in 0..4 {
            let Some(wish) = &self.wishes[reader as usize] else { continue };
            let seen = &self.shore.readers[&SessionId(10 + reader)].seen;
            let from = wish.from.max(first);
            let expected: Vec<(u64, u64)> = (from..self.all.len() as u64)
                .map(|o| (o, self.all[o as usize].0))
                .filter(|(_, n)| Run::passes(wish, *n))
                .collect();
            let seen: Vec<_> = seen.iter().copied().filter(|(o, _)| *o >= from).collect();
            assert_eq!(seen, expected, "reader {reader} from {from}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn readers_see_what_was_published(steps in prop::collection::vec(step(), 1..60), limits in 0..4u8) {
        let (bytes, age) = (Value::I64(100_000), Value::text("40s"));
        let segment = ("x-stream-max-segment-size-bytes", Value::I64(20_000));
        let arguments = match limits {
            0 => vec![],
            1 => vec![segment],
            2 => vec![segment, ("x-max-length-bytes", bytes)],
            _ => vec![segment, ("x-max-age", age)],
        };
        let mut run = Run::new(&arguments);
        steps.into_iter().for_each(|s| run.step(s));
        run.end();
    }
}

#[test]
fn retention_takes_whole_segments_and_never_the_newest() {
    let mut s = Shore::new();
    let segment = ("x-stream-max-segment-size-bytes", Value::I64(20_000));
    s.declare("s", &[segment, ("x-max-length-bytes", Value::I64(100_000))]).expect("declared");
    for n in 0..100 {
        s.publish("s", n * 10, 10, 1000);
        s.calm_down();
    }
    let kept: u64 = s.broker.kept_segments().iter().map(|(_, _, bytes)| bytes).sum();
    assert!((60_000..=100_000).contains(&kept), "{kept}");
    assert_eq!(s.files.len(), s.broker.kept_segments().len(), "the files are gone, too");
    let count = s.count("s");
    assert!((60..=100).contains(&count), "{count}");
    s.subscribe(SessionId(5), "s", Value::text("first"), 1000, &[]).expect("a reader");
    s.calm_down();
    let seen = &s.readers[&SessionId(5)].seen;
    assert_eq!((seen[0].0, seen.len() as u64), (1000 - count, count));
}

#[test]
fn what_is_old_goes_though_little_comes() {
    let mut s = Shore::new();
    s.declare("s", &[("x-max-age", Value::text("1m"))]).expect("declared");
    for n in 0..200 {
        s.publish("s", n, 1, 100);
        s.tick(Duration::from_secs(1));
        s.calm_down();
    }
    // A quarter of the age each, and one that is being filled.
    let count = s.count("s");
    assert!((60..=60 + 2 * 16).contains(&count), "{count}");
    s.tick(Duration::from_secs(1000));
    s.calm_down();
    s.tick(Duration::from_secs(1000));
    s.calm_down();
    assert!((1..=17).contains(&s.count("s")), "the newest segment stays");
}

#[test]
fn times_lead_to_the_first_chunk_that_is_not_older() {
    let mut s = Shore::new();
    let segment = ("x-stream-max-segment-size-bytes", Value::I64(20_000));
    s.declare("s", &[segment]).expect("declared");
    for n in 0..100 {
        s.publish("s", n, 1, 3000);
        s.tick(Duration::from_secs(10));
        s.calm_down();
    }
    s.checkpoint();
    s.crash();
    let start = 1_000;
    for (reader, (after, ago)) in
        [(0, "2000s"), (305, "695s"), (990, "10s"), (1000, "1s")].iter().enumerate()
    {
        let session = SessionId(20 + reader as u32 * 2);
        s.subscribe(session, "s", Value::Timestamp(start + after), 1000, &[]).expect("a reader");
        let by_ago = SessionId(21 + reader as u32 * 2);
        s.subscribe(by_ago, "s", Value::text(ago), 1000, &[]).expect("a reader");
        s.calm_down();
        let due = u64::div_ceil(*after, 10);
        for session in [session, by_ago] {
            let first = s.readers[&session].seen.first().map_or(100, |(o, _)| *o);
            // A chunk is seven entries here.
            assert!(first <= due && due - first < 8, "{first} for {after} s, {ago}");
        }
    }
}
