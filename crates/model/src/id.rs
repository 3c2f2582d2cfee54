//! Ids: each a type of its own, so that none can be taken for another.

/// One connection's conversation with the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// One strand inside a session whose commands stand and fall together:
/// an AMQP channel, 0 for protocols that have no such thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub u16);

/// What a front wants to see again with the answer. The engine never looks inside,
/// but counts up from it where one command carries many messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A front's own handle for one of its subscriptions, unique in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Consumer(pub u32);

/// A set of entries handed out together, to be settled whole or in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u32);
