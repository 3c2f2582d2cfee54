//! What can be wrong with a log on disk, each with the place named.

use std::io;

use crate::{Pos, Span};

/// A place that held synced data and cannot be read as such any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log is damaged: {what} in {segment} at offset {offset}; positions {from} to {to} cannot be trusted"
)]
pub struct Damaged {
    /// What was found.
    pub what: &'static str,
    /// The file.
    pub segment: String,
    /// Offset of the bad place in that file.
    pub offset: u64,
    /// First position that cannot be read.
    pub from: Pos,
    /// Everything below this position had been synced, so the damage is not a torn tail.
    pub to: Pos,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that no log makes.
    #[error("{name} does not belong to a log; is this the right directory?")]
    Foreign {
        /// Its name.
        name: String,
    },
    /// Written by another version of this program.
    #[error("{name} has log format {found}; this program reads format {known}")]
    Version {
        /// The file that says so.
        name: String,
        /// The format it names.
        found: String,
        /// The format this program knows.
        known: u32,
    },
    /// Synced data is gone or changed.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A stream's segment file is not what it was.
    #[error(transparent)]
    Shelf(#[from] crate::ShelfError),
    /// The disk refused.
    #[error("cannot {action} {name}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        name: String,
        /// What the disk said.
        source: io::Error,
    },
}

impl OpenError {
    /// Wraps a disk's refusal with the action and file it met.
    pub(crate) fn io(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> OpenError {
        let name = name.to_owned();
        move |source| OpenError::Io { action, name, source }
    }
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError<E> {
    /// The visitor refused a record.
    #[error("the record at {pos} cannot be applied")]
    Visit {
        /// Which record.
        pos: Pos,
        /// Its reason.
        #[source]
        source: E,
    },
    /// The log itself is at fault.
    #[error(transparent)]
    Log(#[from] OpenError),
}

impl<E> From<Damaged> for ReplayError<E> {
    fn from(damaged: Damaged) -> Self {
        ReplayError::Log(OpenError::Damaged(damaged))
    }
}

/// Why a record cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Appended and not flushed yet, or never appended.
    #[error("nothing was flushed at {} yet", .0.pos)]
    NotFlushed(Span),
    /// Its segment has been released.
    #[error("the segment that held {} is gone", .0.pos)]
    Gone(Span),
    /// What stands there is not the record that was written.
    #[error(transparent)]
    Damaged(Damaged),
    /// The disk refused.
    #[error("cannot read {segment}: {source}")]
    Io {
        /// The file.
        segment: String,
        /// What the disk said.
        source: io::Error,
    },
}
