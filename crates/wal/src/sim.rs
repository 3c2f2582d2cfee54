//! A disk in memory that behaves as badly as real ones may: until a sync, each sector of 512
//! bytes holds on its own any version written to it, each change of a name happens or not, and a
//! crash decides. Faults come on command. It never touches a real disk.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// What a simulated disk was asked to do so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes.
    pub writes: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Syncs of the directory.
    pub dir_syncs: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device fails.
    Io,
    /// No space is left.
    Full,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Io => io::Error::other("input/output error (simulated)"),
            Fault::Full => io::ErrorKind::StorageFull.into(),
        }
    }
}

#[derive(Clone, Debug)]
enum NameOp {
    Create(String, u64),
    Remove(String),
    Rename(String, String),
}

#[derive(Clone, Debug, Default)]
struct SimInode {
    /// What a read sees.
    data: Vec<u8>,
    /// What is durable for sure.
    durable: Vec<u8>,
    /// Versions written to a sector since the last sync.
    loose: BTreeMap<usize, Vec<[u8; SECTOR]>>,
}

#[derive(Debug, Default)]
struct State {
    inodes: HashMap<u64, SimInode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    loose_names: Vec<NameOp>,
    next_inode: u64,
    /// Handles from before a crash are dead.
    life: u64,
    counts: Counts,
    space: Option<u64>,
    write_fault: Option<(u64, Fault)>,
    sync_fault: Option<(u64, Fault)>,
}

/// The disk. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// A file on it.
#[derive(Debug)]
pub struct SimFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    life: u64,
}

/// The generator of all of a crash's decisions.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn crash(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        // Some crashes lose everything unsynced, some nothing, most a part.
        let keep = [0, 1, 8, 15, 16][dice.roll(5) as usize];
        let mut names = self.durable_names.clone();
        for op in std::mem::take(&mut self.loose_names) {
            if dice.roll(16) < keep {
                apply(&mut names, op);
            }
        }
        let mut inodes: Vec<u64> = self.inodes.keys().copied().collect();
        inodes.sort_unstable();
        for inode in inodes {
            if let Some(file) = self.inodes.get_mut(&inode) {
                file.crash(&mut dice, keep);
            }
        }
        self.inodes.retain(|inode, _| names.values().any(|n| n == inode));
        self.durable_names = names.clone();
        self.names = names;
        self.life += 1;
        self.write_fault = None;
        self.sync_fault = None;
    }
}

impl SimDisk {
    /// An empty disk without limits.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// A power cut: handles die, and of what was not synced any part is lost, as the seed says.
    pub fn crash(&self, seed: u64) {
        held(&self.state).crash(seed);
    }

    /// A power cut, and the machine comes back: the disk after it. Whoever still holds the
    /// old one finds it empty, as threads of a dead process find nothing at all.
    pub fn reboot(&self, seed: u64) -> SimDisk {
        let mut state = held(&self.state);
        state.crash(seed);
        SimDisk { state: Arc::new(Mutex::new(std::mem::take(&mut *state))) }
    }

    /// The process dies and the machine stays: nothing written is lost.
    pub fn kill(&self) {
        held(&self.state).life += 1;
    }

    /// After `after` more writes one fails, and so do all that follow.
    pub fn fail_writes(&self, after: u64, fault: Fault) {
        held(&self.state).write_fault = Some((after, fault));
    }

    /// After `after` more syncs one fails, and so do all that follow.
    pub fn fail_syncs(&self, after: u64, fault: Fault) {
        held(&self.state).sync_fault = Some((after, fault));
    }

    /// Takes faults away, as a broken kernel may: a retried sync would succeed and mean nothing.
    pub fn heal(&self) {
        let mut state = held(&self.state);
        (state.write_fault, state.sync_fault) = (None, None);
    }

    /// Bounds the sum of all file sizes.
    pub fn set_space(&self, bytes: Option<u64>) {
        held(&self.state).space = bytes;
    }

    /// Changes one bit of a file, durably. False if it is not there.
    pub fn flip(&self, name: &str, bit: u64) -> bool {
        self.edit(name, |data| {
            let byte = usize::try_from(bit / 8).ok().and_then(|i| data.get_mut(i));
            byte.map(|b| *b ^= 1 << (bit % 8)).is_some()
        })
    }

    /// Edits a file's content, durably. False if it is not there or `how` says so.
    pub fn edit(&self, name: &str, how: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let mut state = held(&self.state);
        let Some(&inode) = state.names.get(name) else {
            return false;
        };
        let Some(file) = state.inodes.get_mut(&inode) else {
            return false;
        };
        let done = how(&mut file.data);
        file.durable = file.data.clone();
        done
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, content: &[u8]) {
        let mut state = held(&self.state);
        let inode = state.new_inode();
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
        let (data, durable) = (content.to_vec(), content.to_vec());
        state.inodes.insert(inode, SimInode { data, durable, ..SimInode::default() });
    }

    /// A file's content, as a read would see it.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        let state = held(&self.state);
        let inode = state.names.get(name)?;
        Some(state.inodes.get(inode)?.data.clone())
    }

    /// A disk of its own with the same content, all of it durable.
    pub fn copy(&self) -> SimDisk {
        let copy = SimDisk::new();
        let state = held(&self.state);
        for (name, inode) in &state.names {
            if let Some(file) = state.inodes.get(inode) {
                copy.put(name, &file.data);
            }
        }
        drop(state);
        copy
    }

    /// What was asked of the disk so far.
    pub fn counts(&self) -> Counts {
        held(&self.state).counts
    }

    fn file(&self, state: &State, inode: u64) -> SimFile {
        SimFile { state: self.state.clone(), inode, life: state.life }
    }
}

fn apply(names: &mut BTreeMap<String, u64>, op: NameOp) {
    match op {
        NameOp::Create(name, inode) => {
            names.insert(name, inode);
        }
        NameOp::Remove(name) => {
            names.remove(&name);
        }
        NameOp::Rename(from, to) => {
            if let Some(inode) = names.remove(&from) {
                names.insert(to, inode);
            }
        }
    }
}

impl State {
    fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    fn used(&self) -> u64 {
        let sizes = self.names.values().filter_map(|i| self.inodes.get(i));
        sizes.map(|f| f.data.len() as u64).sum()
    }

    fn change_name(&mut self, op: NameOp) {
        apply(&mut self.names, op.clone());
        self.loose_names.push(op);
    }

    fn inode(&mut self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Counts down to a fault; once reached it stays.
fn strike(fault: &mut Option<(u64, Fault)>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some((0, kind)) => Err(kind.error()),
        Some((left, _)) => {
            *left -= 1;
            Ok(())
        }
    }
}

impl SimInode {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[offset..end].copy_from_slice(bytes);
        if bytes.is_empty() {
            return;
        }
        for sector in offset / SECTOR..=(end - 1) / SECTOR {
            let version = sector_of(&self.data, sector);
            self.loose.entry(sector).or_default().push(version);
        }
    }

    fn sync(&mut self) {
        for sector in std::mem::take(&mut self.loose).into_keys() {
            let (from, to) = (sector * SECTOR, ((sector + 1) * SECTOR).min(self.data.len()));
            if self.durable.len() < to {
                self.durable.resize(to, 0);
            }
            if from < to {
                self.durable[from..to].copy_from_slice(&self.data[from..to]);
            }
        }
        self.durable.resize(self.data.len(), 0);
    }

    fn crash(&mut self, dice: &mut Dice, keep: u64) {
        if dice.roll(16) < keep {
            self.durable.resize(self.data.len(), 0);
        }
        for (sector, versions) in std::mem::take(&mut self.loose) {
            let from = sector * SECTOR;
            if dice.roll(16) >= keep || from >= self.durable.len() {
                continue;
            }
            // The last version is the likely one, an earlier one is possible.
            let back = if dice.roll(4) == 0 { dice.roll(versions.len() as u64) } else { 0 };
            let version = &versions[versions.len() - 1 - back as usize];
            let len = SECTOR.min(self.durable.len() - from);
            self.durable[from..from + len].copy_from_slice(&version[..len]);
        }
        self.data = self.durable.clone();
    }
}

fn sector_of(data: &[u8], sector: usize) -> [u8; SECTOR] {
    let mut out = [0; SECTOR];
    let from = data.get(sector * SECTOR..).unwrap_or_default();
    let len = from.len().min(SECTOR);
    out[..len].copy_from_slice(&from[..len]);
    out
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let mut state = held(&self.state);
        if state.space.is_some_and(|space| state.used() >= space) {
            return Err(Fault::Full.error());
        }
        let inode = state.new_inode();
        state.inodes.insert(inode, SimInode::default());
        state.change_name(NameOp::Create(name.to_owned(), inode));
        Ok(self.file(&state, inode))
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let mut state = held(&self.state);
        let inode = state.inode(name)?;
        Ok(self.file(&state, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = held(&self.state);
        state.inode(from)?;
        state.change_name(NameOp::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = held(&self.state);
        state.inode(name)?;
        state.change_name(NameOp::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(held(&self.state).names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = held(&self.state);
        state.counts.dir_syncs += 1;
        strike(&mut state.sync_fault)?;
        state.durable_names = state.names.clone();
        state.loose_names.clear();
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = held(&self.state);
        Ok(state.space.map_or(u64::MAX, |space| space.saturating_sub(state.used())))
    }
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = held(&self.state);
        if state.life != self.life {
            return Err(io::Error::other("the machine this handle was on has crashed"));
        }
        act(&mut state)
    }

    fn inode<'s>(&self, state: &'s mut State) -> io::Result<&'s mut SimInode> {
        state.inodes.get_mut(&self.inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state| {
            let offset = usize::try_from(offset).map_err(io::Error::other)?;
            let data = &self.inode(state)?.data;
            let from = data.get(offset..).unwrap_or_default();
            let n = from.len().min(buf.len());
            buf[..n].copy_from_slice(&from[..n]);
            state.counts.read_bytes += n as u64;
            Ok(n)
        })
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.with(|state| {
            state.counts.writes += 1;
            strike(&mut state.write_fault)?;
            let mut at = usize::try_from(offset).map_err(io::Error::other)?;
            let end = at + bufs.iter().map(|b| b.len()).sum::<usize>();
            let grown = end.saturating_sub(self.inode(state)?.data.len()) as u64;
            let used = state.used();
            if grown > 0 && state.space.is_some_and(|space| used + grown > space) {
                return Err(Fault::Full.error());
            }
            let file = self.inode(state)?;
            for buf in bufs {
                file.write(buf, at);
                at += buf.len();
            }
            Ok(())
        })
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            let used = state.used();
            let space = state.space;
            let file = self.inode(state)?;
            let len = usize::try_from(len).map_err(io::Error::other)?;
            let grown = len.saturating_sub(file.data.len()) as u64;
            if space.is_some_and(|space| used + grown > space) {
                return Err(Fault::Full.error());
            }
            if grown > 0 {
                file.data.resize(len, 0);
            }
            Ok(())
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state| {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            self.inode(state)?.data.resize(len, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state| {
            state.counts.syncs += 1;
            let struck = strike(&mut state.sync_fault);
            let file = self.inode(state)?;
            if struck.is_err() {
                // The kernel calls the pages clean from here on, and they never were written.
                file.loose.clear();
                return struck;
            }
            file.sync();
            Ok(())
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|state| Ok(self.inode(state)?.data.len() as u64))
    }
}
