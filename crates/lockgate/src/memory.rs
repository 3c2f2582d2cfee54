//! How much memory there is: the machine's, or the container's where that is less.
//! Only read once, at the start.

use lockgate_config::MemoryMax;
use std::path::{Path, PathBuf};

/// Assumed where nothing can be read: small, so that the budget errs on the safe side.
const UNKNOWN_BYTES: u64 = 1 << 30;

/// The memory budget that a wish comes to here.
pub fn budget(wish: MemoryMax) -> u64 {
    budget_under(Path::new("/"), wish)
}

fn budget_under(root: &Path, wish: MemoryMax) -> u64 {
    match wish {
        MemoryMax::Bytes(bytes) => bytes.0,
        MemoryMax::Percent(share) => {
            available(root).unwrap_or(UNKNOWN_BYTES) / 100 * u64::from(share)
        }
    }
}

/// Has the system give memory by its smallest pages only. Large ones round up what we hold to
/// 2 MiB wherever it lies: 10,000 idle clients took 8.6 KiB each and take 6, and a broker that
/// has been busy holds 20 MiB where it held 60. Throughput is the same within what it varies,
/// a backlog comes and goes faster.
pub fn use_small_pages() {
    // Where the system has no such switch there is nothing to switch off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// What the machine has, or the tightest group of processes that we are in may use.
fn available(root: &Path) -> Option<u64> {
    [machine(root), group(root)].into_iter().flatten().min()
}

fn machine(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The least limit on the way up from our own group, in either version of them.
fn group(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounted = root.join("sys/fs/cgroup");
    let limits = text.lines().flat_map(|line| {
        // `hierarchy:controllers:path`; version 2 has no controllers.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (base, file) = if controllers.is_empty() {
            (mounted.clone(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (mounted.join("memory"), "memory.limit_in_bytes")
        } else {
            return Vec::new();
        };
        upwards(&base, path).into_iter().map(|dir| dir.join(file)).collect()
    });
    // `max` says that there is none, and so does an absurdly large number.
    limits
        .filter_map(|file| std::fs::read_to_string(file).ok()?.trim().parse().ok())
        .filter(|limit| *limit < 1 << 60)
        .min()
}

/// The group's folder and every one above it. In a container the path may be the
/// host's and lead nowhere here: the mount's own root is among them and counts.
fn upwards(base: &Path, path: &str) -> Vec<PathBuf> {
    let inner = Path::new(path.trim_start_matches('/'));
    inner.ancestors().map(|above| base.join(above)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_config::Size;

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal:        1000 kB\nMemFree: 1 kB\n");

    #[test]
    fn a_share_is_of_the_machine_where_no_group_limits_it() {
        let none =
            [MACHINE, ("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "max")];
        let root = system(&none);
        assert_eq!(budget_under(root.path(), MemoryMax::Percent(50)), 1000 * 1024 / 100 * 50);
        assert_eq!(budget_under(root.path(), MemoryMax::Bytes(Size(7))), 7);
    }

    #[test]
    fn the_tightest_group_above_us_counts() {
        let root = system(&[
            MACHINE,
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "500000\n"),
            ("sys/fs/cgroup/a/memory.max", "200000\n"),
        ]);
        assert_eq!(available(root.path()), Some(200_000));
    }

    #[test]
    fn version_1_is_read_where_its_path_is_the_hosts() {
        let root = system(&[
            MACHINE,
            ("proc/self/cgroup", "3:cpu:/x\n2:memory:/docker/abc\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "300000\n"),
        ]);
        assert_eq!(available(root.path()), Some(300_000));
        let unlimited = system(&[
            MACHINE,
            ("proc/self/cgroup", "2:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ]);
        assert_eq!(available(unlimited.path()), Some(1000 * 1024));
    }

    #[test]
    fn where_nothing_can_be_read_the_budget_is_small() {
        let root = system(&[]);
        assert_eq!(budget_under(root.path(), MemoryMax::Percent(100)), UNKNOWN_BYTES / 100 * 100);
    }
}
