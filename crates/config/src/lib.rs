//! Every setting, declared once (`keys.rs`), merged from defaults, file,
//! environment and flags in that order, checked once and passed by value.
//!
//! Nothing is read here: whoever starts the broker brings the file's text, the
//! environment and the flags. What a setting does is not known here either.

mod error;
mod keys;
mod listener;
mod load;
mod nearest;
mod show;
mod value;
mod words;

pub use error::ConfigError;
pub use keys::{
    Amqp, Auth, Config, KEYS, Key, Limits, Logging, Memory, Mqtt, Stomp, Storage, Websocket,
};
pub use listener::{Kind, Listener};
pub use load::{FileText, Loaded, Sources};
pub use value::{Given, MemoryMax, Secret, Setting, Size, Span};
pub use words::{Dialect, Durability, LogFormat, LogLevel, Origin, VhostDialect};
