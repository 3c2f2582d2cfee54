//! The queues that the model knows, each with a rule of its own.

use lockgate_model::*;

/// The first is transient, the others last. Two are plain, one has priorities, one holds so
/// much and no more, one lets nothing come back twice, and one takes what fits; what dies of
/// all that goes to the last one.
pub const QUEUES: usize = 8;
pub const RANKED: usize = 3;
pub const PRIORITY_MAX: u8 = 2;
pub const BOUNDED: usize = 4;
pub const LENGTH_MAX: usize = 12;
pub const LIMITED: usize = 5;
pub const ATTEMPTS_MAX: u32 = 1;
pub const HEAVY: usize = 6;
pub const FITS: usize = 5;
pub const GRAVE: usize = 7;
pub const BODY: usize = 9_000;

/// Where a message stands in its queue: by rank, then by its id, which counts up.
pub type Spot = (u8, u32);

pub fn order(queue: usize, priority: u8, id: u32) -> Spot {
    let rank = if queue == RANKED { PRIORITY_MAX - priority.min(PRIORITY_MAX) } else { 0 };
    (rank, id)
}

pub fn name(queue: usize) -> Name {
    format!("q{queue}").into()
}

pub fn arguments(queue: usize) -> Table {
    let mut arguments = Table::default();
    match queue {
        RANKED => arguments.set("x-max-priority", Value::U8(PRIORITY_MAX)),
        BOUNDED => arguments.set("x-max-length", Value::I64(LENGTH_MAX as i64)),
        LIMITED => arguments.set("x-delivery-limit", Value::I64(ATTEMPTS_MAX.into())),
        HEAVY => {
            arguments.set("x-max-length-bytes", Value::I64((FITS * BODY) as i64));
            arguments.set("x-overflow", Value::text("reject-publish"));
        }
        _ => {}
    }
    if matches!(queue, BOUNDED | LIMITED) {
        arguments.set("x-dead-letter-exchange", Value::text(""));
        arguments.set("x-dead-letter-routing-key", Value::text(&name(GRAVE)));
    }
    arguments
}

/// What is written on a message that came back so often.
pub fn stamp(attempts: u32) -> Stamp {
    if attempts == 0 { Stamp::None } else { Stamp::Attempts(attempts) }
}

pub fn durable(queue: usize) -> bool {
    queue != 0
}
