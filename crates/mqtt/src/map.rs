//! The table of properties between the worlds, both ways: what MQTT 5 says of a message, and
//! the neutral property list that other protocols are told. From MQTT to MQTT everything
//! goes beside it, as it was sent. What cannot be told is left out and counted; no message
//! is refused for its properties.
//!
//! ```text
//!  MQTT 5                    property list                       back
//!  Content Type              content_type, or x-content-type     both
//!  Correlation Data          correlation_id, or x-correlation-id both
//!  Response Topic            x-reply-to-topic, as a routing key  the same
//!  User Property             header, text; the first of a name   numbers, truth, void, text
//!  Message Expiry Interval   expiration in ms                    whole seconds
//!  Payload Format Indicator  nothing
//!  QoS 0; 1 and 2            delivery_mode 1; 2
//! ```

mod inward;
mod outward;
#[cfg(test)]
mod tests;

pub(crate) use inward::{Begins, Heads, heads};
pub(crate) use outward::{deadline, put_own};

/// The property lists of messages that say nothing of themselves, one for each delivery mode.
pub(crate) const BARE: [[u8; 3]; 2] = [[0x10, 0, 1], [0x10, 0, 2]];

/// The first byte of native properties of ours. Behind it stand the properties of version 5
/// as they are delivered; a Message Expiry Interval stands first, and what it says is not how
/// long but until when: whole seconds of `Time`.
const NATIVE: u8 = b'M';

/// The number of Message Expiry Interval.
const EXPIRY: u8 = 0x02;

const CONTENT_TYPE: &str = "x-content-type";
const CORRELATION: &str = "x-correlation-id";
const REPLY_TOPIC: &str = "x-reply-to-topic";
