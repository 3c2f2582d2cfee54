//! What is known of the broker from outside, by the system's own books, and the table that
//! it all ends in.

use rustix::param::clock_ticks_per_second;
use std::fmt::Write;
use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// The processes of a broker: one and all that descend from it. Without any nothing is known.
#[derive(Clone, Copy)]
pub struct Books(pub Option<i32>);

impl Books {
    fn family(self) -> Vec<i32> {
        let mut all: Vec<i32> = self.0.into_iter().collect();
        let mut at = 0;
        while let Some(pid) = all.get(at) {
            let children = read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
            at += 1;
        }
        all
    }

    /// CPU time so far, of user and system.
    pub fn cpu(self) -> Duration {
        let ticks: u64 = self.family().into_iter().filter_map(ticks).sum();
        Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64)
    }

    /// Memory in use, in bytes.
    pub fn resident(self) -> Option<u64> {
        self.0?;
        Some(self.family().into_iter().filter_map(resident).sum())
    }
}

fn ticks(pid: i32) -> Option<u64> {
    let stat = read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; user and system time are 12th and 13th after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

fn resident(pid: i32) -> Option<u64> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A moment: the time, how many had been delivered (or whatever is counted), the CPU time.
#[derive(Clone, Copy)]
pub struct Sample {
    at: Instant,
    count: u64,
    cpu: Duration,
}

impl Sample {
    pub fn now(count: u64, books: Books) -> Sample {
        Sample { at: Instant::now(), count, cpu: books.cpu() }
    }

    /// How much of a core the broker has used since.
    pub fn share(self, books: Books) -> String {
        let cpu = books.cpu().saturating_sub(self.cpu);
        let share = 100.0 * cpu.as_secs_f64() / self.at.elapsed().as_secs_f64();
        format!("{share:.1} % of a core")
    }
}

/// A line of the table; what was not measured stays empty.
#[derive(Default)]
pub struct Row {
    pub workload: String,
    /// A second.
    pub rate: Option<f64>,
    /// A CPU second of the broker.
    pub per_cpu: Option<f64>,
    pub resident: Option<u64>,
    pub remark: String,
}

impl Row {
    pub fn new(workload: impl Into<String>, resident: Option<u64>) -> Row {
        Row { workload: workload.into(), resident, ..Row::default() }
    }

    /// With what went between two moments.
    pub fn between(mut self, from: Sample, to: Sample) -> Row {
        let count = (to.count - from.count) as f64;
        let cpu = (to.cpu.saturating_sub(from.cpu)).as_secs_f64();
        self.rate = Some(count / (to.at - from.at).as_secs_f64());
        self.per_cpu = (cpu > 0.0).then(|| count / cpu);
        self
    }

    pub fn remark(mut self, remark: impl Into<String>) -> Row {
        self.remark = remark.into();
        self
    }
}

/// The table, in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut out = String::from("| workload | messages/s | a broker CPU second | RSS | |\n");
    out.push_str("|---|---:|---:|---:|---|\n");
    for row in rows {
        let number = |n: Option<f64>| n.map(short).unwrap_or_default();
        let resident = row.resident.map(|bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            row.workload,
            number(row.rate),
            number(row.per_cpu),
            resident.unwrap_or_default(),
            row.remark
        );
    }
    out
}

/// A number of which three digits mean something.
fn short(n: f64) -> String {
    match n {
        n if n >= 1e6 => format!("{:.2}M", n / 1e6),
        n if n >= 1e4 => format!("{:.0}k", n / 1e3),
        n if n >= 1e3 => format!("{:.1}k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// The value that the fraction `of` of all stay below, in microseconds.
pub fn percentile(sorted: &[Duration], of: f64) -> String {
    let at = (sorted.len() as f64 * of) as usize;
    let value = sorted.get(at.min(sorted.len().saturating_sub(1)));
    value.map_or("-".into(), |v| format!("{} us", v.as_micros()))
}
