//! MQTT 3.1, 3.1.1 (OASIS, 29 October 2014) and 5.0 (OASIS, 7 March 2019): the codec and
//! the grammars.
//!
//! In: all fifteen packets and all properties, both directions, checked strictly; topic names
//! and filters with shared subscriptions; topics as AMQP routing keys and back. Not in: any
//! conversation. Nothing here does IO, reads a clock or keeps anything between two packets.
//!
//! ```text
//!  bytes --frame::cut--> head, body --decode::packet--> Packet<'_>, a view of the bytes
//!                                                          |
//!  bytes <-----------------encode::packet------------------+
//! ```
//!
//! Clauses are those of version 5.0 unless it is said. Where 3.1 or 3.1.1 are more lenient,
//! what they let pass passes: lengths in more bytes than they need (both), and in 3.1 flags
//! that mean nothing, DUP on whatever is sent again, and a user name that is announced but
//! missing.

pub mod decode;
pub mod dialect;
pub mod encode;
pub mod error;
pub mod frame;
pub mod packet;
pub mod property;
pub mod reason;
#[cfg(test)]
mod tests;
pub mod topic;
