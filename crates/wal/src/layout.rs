//! What lies in a log's directory, by the names alone. It changes nothing.

use std::collections::BTreeMap;

use crate::checkpoint::{self, Checkpoint};
use crate::disk::{Disk, DiskFile};
use crate::error::OpenError;
use crate::segment::{self, FORMAT, TEMPORARY};
use crate::{Pos, pages, shelf};

/// What the names in a directory say.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub has_format: bool,
    /// Base and size.
    pub segments: BTreeMap<u64, u64>,
    /// Serial numbers, oldest first.
    pub checkpoints: Vec<u64>,
    pub temporary: Vec<String>,
}

impl Layout {
    pub fn read<D: Disk>(disk: &D) -> Result<Layout, OpenError> {
        let mut layout = Layout::default();
        for name in disk.list().map_err(OpenError::io("list", "the log's directory"))? {
            if name == FORMAT {
                layout.has_format = true;
            } else if let Some(base) = segment::base_of(&name) {
                let size = disk.open(&name).and_then(|file| file.size());
                layout.segments.insert(base, size.map_err(OpenError::io("open", &name))?);
            } else if let Some(serial) = checkpoint::serial_of(&name) {
                layout.checkpoints.push(serial);
            } else if is_temporary(&name) {
                layout.temporary.push(name);
            } else if !(name == "lock"
                || name == "lost+found"
                || pages::is_page(&name)
                || shelf::segment_of(&name).is_some())
            {
                return Err(OpenError::Foreign { name });
            }
        }
        layout.checkpoints.sort_unstable();
        if layout.has_format {
            segment::check_format(disk)?;
        } else if !layout.segments.is_empty() || !layout.checkpoints.is_empty() {
            return Err(OpenError::Version {
                name: FORMAT.to_owned(),
                found: "no version at all".to_owned(),
                known: segment::VERSION,
            });
        }
        Ok(layout)
    }

    /// The segment that holds `pos`.
    pub fn holder(&self, pos: Pos) -> Option<u64> {
        let (base, size) = self.segments.range(..=pos.0).next_back()?;
        (pos.0 - base < *size).then_some(*base)
    }
}

fn is_temporary(name: &str) -> bool {
    let whole = name.strip_suffix(TEMPORARY);
    whole.is_some_and(|n| n == FORMAT || checkpoint::serial_of(n).is_some())
}

/// The newest checkpoint that is whole, and whether a newer one was not.
pub(crate) fn newest<D: Disk>(
    disk: &D,
    layout: &Layout,
) -> Result<(Option<(u64, Checkpoint)>, bool), OpenError> {
    let mut rotten = false;
    for serial in layout.checkpoints.iter().rev() {
        if let Some(found) = checkpoint::load(disk, *serial)? {
            return Ok((Some((*serial, found)), rotten));
        }
        rotten = true;
    }
    Ok((None, rotten))
}
