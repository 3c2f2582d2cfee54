//! Releasing: what is due of one exchange's delayed messages, and what has been fetched of it.

use lockgate_model::Run;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How far one queue of delayed messages has come.
#[derive(Debug, Default)]
pub struct Releasing {
    /// Due and not on their way yet, in order: ranges of entries.
    pub due: VecDeque<(u64, u64)>,
    /// Asked of the disk, by the first entry: none until it is here.
    pub fetched: BTreeMap<u64, Option<Arc<Run>>>,
}
