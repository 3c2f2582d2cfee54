//! The nouns that every room of Lockgate shares: names, values, messages, the
//! commands that climb down from a protocol front and the events that climb back.
//!
//! This crate does nothing: it has no clock, no IO, no protocol and no policy.
//! Whatever is here can be understood without knowing any other room.

mod berth;
mod command;
mod event;
mod id;
pub mod limits;
mod name;
mod order;
mod properties;
mod refusal;
mod run;
mod stamp;
mod time;
pub mod topic;
mod topology;
mod value;

pub use berth::{
    Attached, Attachment, Caps, Followed, Interest, Lasting, Mark, PASSING, Replay, SETTLING, Will,
};
pub use command::{Command, Outcome, Request, Step, Subscription};
pub use event::{Alarm, Answer, CancelCause, Delivery, Event, Got};
pub use id::{Consumer, Lane, LeaseId, SessionId, Ticket};
pub use name::Name;
pub use order::{
    ApplyTo, Hash, Hashing, Holdings, Order, Parameter, Permission, Policy, Scram, Tier,
    TopicPermission, User, VhostSpec,
};
pub use properties::{Glance, Properties};
pub use refusal::{Deed, Object, Refusal, Verb};
pub use run::{Item, Names, Origin, Parts, Range, Retain, Run, RunBuilder};
pub use stamp::{Stamp, put_header};
pub use time::Time;
pub use topology::{Binding, Destination, ExchangeKind, ExchangeSpec, QueueSpec};
pub use value::{Malformed, Table, Value};
