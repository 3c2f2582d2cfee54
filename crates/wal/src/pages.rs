//! Page files: bodies that need not last, put out of memory. Never synced, wiped at opening; a
//! file goes when nothing in it lives. What is read back is checked.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::disk::{Disk, DiskFile};
use crate::record::checksum;
use crate::segment::hex16;

/// A file that has grown to this size takes no more.
const FILE_MAX: u32 = 64 << 20;
/// Bodies are gathered up to this size before they are written.
const GATHER: usize = 256 << 10;
const PREFIX: &str = "page-";

pub(crate) fn is_page(name: &str) -> bool {
    name.strip_prefix(PREFIX).and_then(hex16).is_some()
}

fn name(number: u32) -> String {
    format!("{PREFIX}{number:016x}")
}

/// Where a body was put. It is given back by [`Pages::free`]; a slot that is dropped instead
/// keeps its file for good.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Slot {
    file: u32,
    offset: u32,
    len: u32,
    crc: u32,
}

impl Slot {
    /// Length of the body.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the body is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

struct Page<F> {
    file: Arc<F>,
    live: u64,
}

struct Inner<F> {
    pages: BTreeMap<u32, Page<F>>,
    /// The page that takes bodies; all others only lose them.
    current: u32,
    /// Where `gathered` belongs in it.
    written: u32,
    gathered: Vec<u8>,
}

/// The page files of one directory. It may be shared between threads.
pub struct Pages<D: Disk> {
    disk: Arc<D>,
    inner: Mutex<Inner<D::File>>,
}

impl<D: Disk> Pages<D> {
    /// Wipes what an earlier run left and begins anew.
    pub fn open(disk: Arc<D>) -> io::Result<Pages<D>> {
        for old in disk.list()?.iter().filter(|n| is_page(n)) {
            disk.remove(old)?;
        }
        let inner = Inner { pages: BTreeMap::new(), current: 0, written: 0, gathered: Vec::new() };
        Ok(Pages { disk, inner: Mutex::new(inner) })
    }

    /// Puts a body out of memory.
    pub fn put(&self, body: &[u8]) -> io::Result<Slot> {
        let len = u32::try_from(body.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut inner = self.lock();
        let gathered = inner.gathered.len() as u32;
        let at = inner.written.saturating_add(gathered);
        let full = at > 0 && at.saturating_add(len) > FILE_MAX;
        if full || !inner.pages.contains_key(&inner.current) {
            self.turn_page(&mut inner)?;
        } else if inner.gathered.len() + body.len() > GATHER {
            inner.write_out()?;
        }
        let offset = inner.written + inner.gathered.len() as u32;
        if body.len() > GATHER {
            inner.write_out()?;
            inner.page()?.file.write_at(&[IoSlice::new(body)], u64::from(offset))?;
            inner.written += len;
        } else {
            inner.gathered.extend_from_slice(body);
        }
        let file = inner.current;
        inner.page()?.live += 1;
        Ok(Slot { file, offset, len, crc: checksum(body) })
    }

    /// Reads a body back.
    pub fn get(&self, slot: &Slot) -> io::Result<Bytes> {
        let inner = self.lock();
        if slot.file == inner.current && slot.offset >= inner.written {
            let from = (slot.offset - inner.written) as usize;
            let held = inner.gathered.get(from..from + slot.len()).unwrap_or_default();
            return checked(Bytes::copy_from_slice(held), slot);
        }
        let page = inner.pages.get(&slot.file).ok_or(io::ErrorKind::NotFound)?;
        let file = page.file.clone();
        drop(inner);
        let mut bytes = vec![0; slot.len()];
        let n = file.read_at(&mut bytes, u64::from(slot.offset))?;
        bytes.truncate(n);
        checked(Bytes::from(bytes), slot)
    }

    /// Gives a body's place back.
    pub fn free(&self, slot: Slot) {
        let mut inner = self.lock();
        let is_current = slot.file == inner.current;
        let Some(page) = inner.pages.get_mut(&slot.file) else {
            return;
        };
        page.live = page.live.saturating_sub(1);
        if page.live > 0 {
            return;
        }
        inner.pages.remove(&slot.file);
        if is_current {
            inner.gathered.clear();
        }
        // A file that cannot be removed is wiped at the next opening.
        let _ = self.disk.remove(&name(slot.file));
    }

    /// How many page files there are.
    pub fn files(&self) -> usize {
        self.lock().pages.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner<D::File>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_page(&self, inner: &mut Inner<D::File>) -> io::Result<()> {
        if inner.pages.contains_key(&inner.current) {
            inner.write_out()?;
        }
        let next = inner.current.wrapping_add(1);
        let file = Arc::new(self.disk.create(&name(next))?);
        inner.pages.insert(next, Page { file, live: 0 });
        (inner.current, inner.written) = (next, 0);
        inner.gathered.clear();
        Ok(())
    }
}

impl<F: DiskFile> Inner<F> {
    fn page(&mut self) -> io::Result<&mut Page<F>> {
        let page = self.pages.get_mut(&self.current);
        page.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.gathered);
        let at = u64::from(self.written);
        let result = self.page()?.file.write_at(&[IoSlice::new(&gathered)], at);
        self.gathered = gathered;
        result?;
        self.written += self.gathered.len() as u32;
        self.gathered.clear();
        Ok(())
    }
}

fn checked(body: Bytes, slot: &Slot) -> io::Result<Bytes> {
    let whole = body.len() == slot.len() && checksum(&body) == slot.crc;
    if whole { Ok(body) } else { Err(io::Error::other("a page file has changed on the disk")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimDisk;

    #[test]
    fn bodies_come_back_and_files_go() {
        let disk = Arc::new(SimDisk::new());
        let pages = Pages::open(disk.clone()).expect("open");
        let bodies: Vec<Vec<u8>> =
            (0..40u8).map(|i| vec![i; 1 + 20_000 * (i as usize % 17)]).collect();
        let slots: Vec<Slot> = bodies.iter().map(|b| pages.put(b).expect("put")).collect();
        for (body, slot) in bodies.iter().zip(&slots) {
            assert_eq!(pages.get(slot).expect("get"), body);
        }
        assert_eq!(pages.files(), 1);
        slots.into_iter().for_each(|s| pages.free(s));
        assert_eq!(pages.files(), 0);
        assert!(disk.list().expect("list").is_empty());
        let slot = pages.put(b"again").expect("put");
        assert_eq!(&pages.get(&slot).expect("get")[..], b"again");
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_dies_alone() {
        let disk = Arc::new(SimDisk::new());
        let pages = Pages::open(disk.clone()).expect("open");
        let big = vec![7u8; 40 << 20];
        let first = pages.put(&big).expect("put");
        let second = pages.put(&big).expect("put");
        assert_eq!(pages.files(), 2);
        pages.free(first);
        assert_eq!(pages.files(), 1);
        assert_eq!(pages.get(&second).expect("get").len(), big.len());
    }

    #[test]
    fn a_changed_body_is_refused_and_a_new_run_starts_empty() {
        let disk = Arc::new(SimDisk::new());
        let pages = Pages::open(disk.clone()).expect("open");
        let slot = pages.put(&vec![1u8; GATHER + 1]).expect("put");
        disk.flip(&name(slot.file), 8 * 1000);
        assert!(pages.get(&slot).is_err());
        drop(pages);
        let pages = Pages::open(disk.clone()).expect("open");
        assert!(disk.list().expect("list").is_empty());
        assert!(pages.get(&slot).is_err());
    }
}
