//! The only room that names both worlds: the broker's refusals as ERROR frames, and message
//! headers as the neutral property list and back. Every refusal is matched, so a new one
//! does not compile until it is spelled here.
//!
//! ```text
//!  SEND                          property list            MESSAGE
//!  content-type -encoding        the same                 the same
//!  persistent:true               delivery_mode 2          persistent:true
//!  priority expiration           the same                 the same
//!  correlation-id timestamp      the same                 the same
//!  type user-id app-id           the same                 the same
//!  amqp-message-id               message_id               amqp-message-id
//!  reply-to                      reply_to                 reply-to, /reply-queue/ in front
//!  any other                     header, text             headers of text and numbers
//!  destination receipt           left out
//!  transaction content-length
//! ```

pub(crate) mod active;
mod inward;
mod outward;
#[cfg(test)]
mod tests;

pub(crate) use inward::{Sent, head, no_number};
pub(crate) use outward::put_headers;

use crate::error::Fault;
use lockgate_model::{Alarm, Deed, Refusal, Stamp, put_header};

/// The header by which MQTT's world knows where to answer: a key of the topic exchange.
const REPLY_TOPIC: &str = "x-reply-to-topic";

/// How an ERROR says a refusal: message and text are those that RabbitMQ's users know.
pub(crate) fn fault(why: &Refusal) -> Fault {
    let (name, text) = match why {
        Refusal::Missing { object, name, vhost } => {
            ("not_found", format!("no {} '{name}' in vhost '{vhost}'", object.word()))
        }
        Refusal::NoVhost(vhost) => ("not_allowed", format!("vhost {vhost} not found")),
        Refusal::VhostDenied { vhost, user } => {
            ("not_allowed", format!("access to vhost '{vhost}' refused for user '{user}'"))
        }
        Refusal::Denied { verb, object, name, vhost, user } => (
            "access_refused",
            format!(
                "{} access to {} '{}' in vhost '{vhost}' refused for user '{user}'",
                verb.word(),
                object.word(),
                if name.is_empty() { "amq.default" } else { name.as_str() }
            ),
        ),
        Refusal::Locked { name, vhost } => (
            "resource_locked",
            format!(
                "cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'. \
                 It could be originally declared on another connection or the exclusive \
                 property value does not match that of the original declaration."
            ),
        ),
        Refusal::Inequivalent { object, name, vhost, field, received, current } => (
            "precondition_failed",
            format!(
                "inequivalent arg '{field}' for {} '{name}' in vhost '{vhost}': \
                 received {received} but current is {current}",
                object.word()
            ),
        ),
        Refusal::InUse { object, name, vhost } => {
            ("precondition_failed", format!("{} '{name}' in vhost '{vhost}' in use", object.word()))
        }
        Refusal::NotEmpty { name, vhost } => {
            ("precondition_failed", format!("queue '{name}' in vhost '{vhost}' not empty"))
        }
        Refusal::Reserved { object, name, .. } => (
            "access_refused",
            format!("{} name '{name}' contains reserved prefix 'amq.*'", object.word()),
        ),
        Refusal::DefaultExchange => {
            ("access_refused", "operation not permitted on the default exchange".into())
        }
        Refusal::Internal { name, vhost } => (
            "access_refused",
            format!("cannot publish to internal exchange '{name}' in vhost '{vhost}'"),
        ),
        Refusal::ExclusiveUse { name, vhost } => {
            ("access_refused", format!("queue '{name}' in vhost '{vhost}' in exclusive use"))
        }
        Refusal::BadArgument { object, name, vhost, argument, reason } => (
            "precondition_failed",
            format!(
                "invalid arg '{argument}' for {} '{name}' in vhost '{vhost}': {reason}",
                object.word()
            ),
        ),
        Refusal::NotOfStreams { deed, name, vhost } => {
            let what = match deed {
                Deed::Get => "reading single messages is",
                Deed::Purge => "purging is",
                Deed::Unsettled => "ack:auto is",
            };
            let of = format!("queue '{name}' in vhost '{vhost}'");
            ("not_implemented", format!("{what} not supported by stream queues {of}"))
        }
        Refusal::Limit(text) | Refusal::Invalid(text) => ("precondition_failed", text.clone()),
        Refusal::Barred(text) => ("not_allowed", text.clone()),
        Refusal::NoUser(user) => ("not_found", format!("no user '{user}'")),
        Refusal::Stopping => ("connection_forced", STOPPING.into()),
    };
    amqp(name, &text)
}

/// What is told when the broker goes down.
pub(crate) const STOPPING: &str = "broker forced connection closure with reason 'shutdown'";

/// A fault by its name in AMQP, as RabbitMQ tells those of its own core. It ends the connection.
pub(crate) fn amqp(name: &str, text: &str) -> Fault {
    Fault::last(name, format!("{} - {text}", name.to_uppercase()))
}

/// How CONNECT is told that it may not enter.
pub(crate) fn shut_out(why: &Refusal) -> Fault {
    let text = match why {
        Refusal::NoVhost(vhost) | Refusal::VhostDenied { vhost, .. } => {
            format!("Virtual host '{vhost}' access denied")
        }
        other => format!("Connection refused: {}", fault(other).text),
    };
    Fault::last("Bad CONNECT", text)
}

/// The property list of a message with its stamp on it, if it has one; may be written to `into`.
pub(crate) fn stamped<'a>(head: &'a [u8], stamp: Stamp, into: &'a mut Vec<u8>) -> &'a [u8] {
    let name = match stamp {
        Stamp::None => return head,
        Stamp::Attempts(_) => "x-delivery-count",
        Stamp::Offset(_) => "x-stream-offset",
    };
    into.clear();
    put_header(head, name, stamp.number().unwrap_or_default(), into);
    into
}

/// The bit that stands for an alarm.
pub(crate) fn alarm_bit(alarm: Alarm) -> u8 {
    match alarm {
        Alarm::Memory => 1,
        Alarm::Disk => 2,
    }
}
