//! What can be done to a broker, at random.

use super::QUEUES;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Step {
    Publish { queue: usize, count: usize, persistent: bool },
    Subscribe { session: usize, queue: usize, settled: bool, limit: u32 },
    Cancel { pick: usize },
    Settle { pick: usize, from: u32, count: u32, requeue: bool },
    Get { session: usize, queue: usize, settled: bool },
    Purge { queue: usize },
    Gone { session: usize },
    Snapshot,
    Compact,
    Restart,
}

pub fn step() -> impl Strategy<Value = Step> {
    let queue = 0..QUEUES;
    let session = 0..3usize;
    prop_oneof![
        8 => (queue.clone(), 1..12usize, any::<bool>())
            .prop_map(|(queue, count, persistent)| Step::Publish { queue, count, persistent }),
        4 => (session.clone(), queue.clone(), any::<bool>(), 0..8u32)
            .prop_map(|(session, queue, settled, limit)| Step::Subscribe { session, queue, settled, limit }),
        1 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        8 => (any::<usize>(), 0..6u32, 1..9u32, any::<bool>())
            .prop_map(|(pick, from, count, requeue)| Step::Settle { pick, from, count, requeue }),
        2 => (session.clone(), queue.clone(), any::<bool>())
            .prop_map(|(session, queue, settled)| Step::Get { session, queue, settled }),
        1 => queue.prop_map(|queue| Step::Purge { queue }),
        1 => session.prop_map(|session| Step::Gone { session }),
        1 => Just(Step::Snapshot),
        2 => Just(Step::Compact),
        1 => Just(Step::Restart),
    ]
}
