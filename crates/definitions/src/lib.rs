//! RabbitMQ's `definitions.json`: read into neutral orders, in the order in which RabbitMQ
//! imports, and written from what there is.
//!
//! Each object is read for itself: a bad one is named with its reason and harms no other.
//! Nothing is known here of the broker, of files or of how a password is hashed.

mod article;
mod object;
mod read;
mod secrets;
mod value;
mod write;

pub use article::{Article, Trouble};
pub use read::{Definitions, Item, Unreadable, read};
pub use write::{Product, write};
