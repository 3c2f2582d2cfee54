//! The data directory: makes it, marks it as ours, and holds it against every
//! other process for as long as this one lives.
//!
//! ```text
//!  DIR/lockgate   the marker: whose this is, and its version
//!  DIR/lock       held while a process serves from here; its number inside
//!  DIR/log/       the log; the engine makes it, and other folders beside it
//! ```

use crate::fault::Fault;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MARKER: &str = "lockgate";
const LOCK: &str = "lock";
const LOG: &str = "log";
/// What the marker says. The number rises when an older version must stay away.
const MARK: &str = "lockgate data 1\n";
/// Found in an empty file system, and nobody's.
const OF_THE_FILE_SYSTEM: &str = "lost+found";

/// A data directory that this process holds.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holding it open is what holds the directory.
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is not there, and takes hold of it.
    pub fn hold(path: &Path) -> Result<DataDir, Fault> {
        let unusable = |e| Fault::directory(format!("cannot use {}: {e}", path.display()));
        fs::create_dir_all(path).map_err(unusable)?;
        mark(path)?;
        let lock = lock(path)?;
        Ok(DataDir { path: path.to_path_buf(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, as an operator finds it from anywhere.
    pub fn shown(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }
}

/// Where the log is in a directory that somebody names: a data directory or a log's own.
pub fn log_in(path: &Path) -> PathBuf {
    let log = path.join(LOG);
    if log.is_dir() { log } else { path.to_path_buf() }
}

/// Makes sure that no process serves from a directory that is to be looked at.
pub fn nobody_serves(path: &Path) -> Result<(), Fault> {
    match File::open(path.join(LOCK)) {
        Ok(mut file) => take(path, &mut file, FlockOperation::NonBlockingLockShared),
        // Not a data directory, or never served from: the log says more.
        Err(_) => Ok(()),
    }
}

/// Makes sure that the directory is ours: marked so, or empty and marked now.
fn mark(path: &Path) -> Result<(), Fault> {
    let unusable =
        |e: std::io::Error| Fault::directory(format!("cannot use {}: {e}", path.display()));
    let marker = path.join(MARKER);
    match fs::read(&marker) {
        Ok(found) if found == MARK.as_bytes() => return Ok(()),
        // A crash while it was first written leaves it cut short.
        Ok(found) if MARK.as_bytes().starts_with(&found) => {}
        Ok(found) => return Err(not_ours(path, &found)),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let mut names = fs::read_dir(path).map_err(unusable)?;
            let other = names.find_map(|entry| match entry {
                Ok(entry) if entry.file_name() == OF_THE_FILE_SYSTEM => None,
                Ok(entry) => Some(Ok(entry.file_name())),
                Err(e) => Some(Err(e)),
            });
            if let Some(name) = other.transpose().map_err(unusable)? {
                return Err(Fault::foreign(format!(
                    "{} holds {} and was not made by lockgate; name an empty directory",
                    path.display(),
                    name.to_string_lossy()
                )));
            }
        }
        Err(e) => return Err(unusable(e)),
    }
    fs::write(&marker, MARK).map_err(unusable)?;
    File::open(&marker).and_then(|file| file.sync_all()).map_err(unusable)?;
    File::open(path).and_then(|dir| dir.sync_all()).map_err(unusable)
}

fn not_ours(path: &Path, found: &[u8]) -> Fault {
    let first = String::from_utf8_lossy(found);
    let version = first.strip_prefix("lockgate data ").and_then(|rest| rest.lines().next());
    match version {
        Some(version) => Fault::damaged(format!(
            "{} was made by a newer lockgate (data version {version})",
            path.display()
        )),
        None => Fault::foreign(format!("{} was not made by lockgate", path.display())),
    }
}

fn lock(path: &Path) -> Result<File, Fault> {
    let unusable =
        |e: std::io::Error| Fault::directory(format!("cannot use {}: {e}", path.display()));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .map_err(unusable)?;
    wait_for_the_dead(&file);
    take(path, &mut file, FlockOperation::NonBlockingLockExclusive)?;
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(unusable)?;
    Ok(file)
}

/// How long a process that was killed may take to let go: it does so only when its last
/// write has come back from the disk, and whoever restarts it may be faster than that.
const LETTING_GO_MAX: Duration = Duration::from_secs(3);

/// Waits while the lock is held by a process that is dying; not for one that lives.
fn wait_for_the_dead(mut file: &File) {
    let begun = Instant::now();
    while begun.elapsed() < LETTING_GO_MAX
        && let Err(rustix::io::Errno::WOULDBLOCK) =
            flock(file, FlockOperation::NonBlockingLockExclusive)
    {
        let mut holder = String::new();
        let read = file.rewind().and_then(|()| file.read_to_string(&mut holder));
        if read.is_ok() && holder.trim().parse().is_ok_and(is_serving) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = file.rewind();
}

/// Whether a process goes on: it is there and no signal has ended it yet.
fn is_serving(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state stands behind the name, which may hold anything, brackets too.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X'))
}

/// Takes the lock, or says who has it. It is given back when the file is closed.
fn take(path: &Path, file: &mut File, how: FlockOperation) -> Result<(), Fault> {
    match flock(&*file, how) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_string(),
                number => format!("process {number}"),
            };
            Err(Fault::held(format!("{} is in use by {holder}", path.display())))
        }
        Err(e) => Err(Fault::directory(format!("cannot use {}: {e}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_made_and_marked_and_taken_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        for _ in 0..2 {
            DataDir::hold(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(path.join(MARKER)).unwrap(), MARK);
        assert_eq!(log_in(&path), path);
        fs::create_dir(path.join(LOG)).unwrap();
        assert_eq!(log_in(&path), path.join(LOG));
    }

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("diary.txt"), "x").unwrap();
        let fault = DataDir::hold(root.path()).unwrap_err();
        assert_eq!(fault.code, 5);
        assert!(fault.cause.contains("diary.txt"), "{}", fault.cause);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing was put there");
    }

    #[test]
    fn a_file_system_of_its_own_counts_as_empty() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(OF_THE_FILE_SYSTEM)).unwrap();
        DataDir::hold(root.path()).unwrap();
    }

    #[test]
    fn a_marker_cut_short_by_a_crash_is_written_again() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(MARKER), "lock").unwrap();
        DataDir::hold(root.path()).unwrap();
        assert_eq!(fs::read_to_string(root.path().join(MARKER)).unwrap(), MARK);
    }

    #[test]
    fn another_version_or_owner_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let marker = root.path().join(MARKER);
        fs::write(&marker, "lockgate data 2\n").unwrap();
        assert_eq!(DataDir::hold(root.path()).unwrap_err().code, 7);
        fs::write(&marker, "my own\n").unwrap();
        assert_eq!(DataDir::hold(root.path()).unwrap_err().code, 5);
    }

    #[test]
    fn a_held_directory_names_its_holder() {
        let root = tempfile::tempdir().unwrap();
        let held = DataDir::hold(root.path()).unwrap();
        let holder = format!("process {}", std::process::id());
        for fault in
            [DataDir::hold(root.path()).unwrap_err(), nobody_serves(root.path()).unwrap_err()]
        {
            assert_eq!(fault.code, 6);
            assert!(fault.cause.ends_with(&holder), "{}", fault.cause);
        }
        drop(held);
        assert!(nobody_serves(root.path()).is_ok());
    }
}
