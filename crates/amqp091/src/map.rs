//! The only file that names both worlds: the broker's refusals and AMQP's reply codes.
//! It matches every refusal, so a new one does not compile until it is spelled here.

use crate::error::{Code, Fault};
use lockgate_model::{Alarm, Deed, Refusal, Stamp, put_header};

/// `exchange.delete`, whose refusal of a reserved name has a text of its own.
const EXCHANGE_DELETE: (u16, u16) = (40, 20);

const CHANNEL_OPEN: (u16, u16) = (20, 10);

/// How AMQP says a refusal of method `id`: the texts are RabbitMQ's, since applications
/// search for them.
pub fn fault(why: &Refusal, id: (u16, u16)) -> Fault {
    let (code, text) = match why {
        Refusal::Missing { object, name, vhost } => {
            (Code::NotFound, format!("no {} '{name}' in vhost '{vhost}'", object.word()))
        }
        Refusal::NoVhost(vhost) => (Code::NotAllowed, format!("vhost {vhost} not found")),
        Refusal::VhostDenied { vhost, user } => {
            (Code::NotAllowed, format!("access to vhost '{vhost}' refused for user '{user}'"))
        }
        Refusal::Denied { verb, object, name, vhost, user } => (
            Code::AccessRefused,
            format!(
                "{} access to {} '{}' in vhost '{vhost}' refused for user '{user}'",
                verb.word(),
                object.word(),
                if name.is_empty() { "amq.default" } else { name.as_str() }
            ),
        ),
        Refusal::Locked { name, vhost } => (
            Code::ResourceLocked,
            format!(
                "cannot obtain exclusive access to locked queue '{name}' in vhost '{vhost}'. \
                 It could be originally declared on another connection or the exclusive \
                 property value does not match that of the original declaration."
            ),
        ),
        Refusal::Inequivalent { object, name, vhost, field, received, current } => (
            Code::PreconditionFailed,
            format!(
                "inequivalent arg '{field}' for {} '{name}' in vhost '{vhost}': \
                 received {received} but current is {current}",
                object.word()
            ),
        ),
        Refusal::InUse { object, name, vhost } => (
            Code::PreconditionFailed,
            format!("{} '{name}' in vhost '{vhost}' in use", object.word()),
        ),
        Refusal::NotEmpty { name, vhost } => {
            (Code::PreconditionFailed, format!("queue '{name}' in vhost '{vhost}' not empty"))
        }
        Refusal::Reserved { name, vhost, .. } if id == EXCHANGE_DELETE => (
            Code::AccessRefused,
            format!("deletion of system exchange '{name}' in vhost '{vhost}' not allowed"),
        ),
        Refusal::Reserved { object, name, .. } => (
            Code::AccessRefused,
            format!("{} name '{name}' contains reserved prefix 'amq.*'", object.word()),
        ),
        Refusal::DefaultExchange => {
            (Code::AccessRefused, "operation not permitted on the default exchange".into())
        }
        Refusal::Internal { name, vhost } => (
            Code::AccessRefused,
            format!("cannot publish to internal exchange '{name}' in vhost '{vhost}'"),
        ),
        Refusal::ExclusiveUse { name, vhost } => {
            (Code::AccessRefused, format!("queue '{name}' in vhost '{vhost}' in exclusive use"))
        }
        Refusal::BadArgument { object, name, vhost, argument, reason } => (
            Code::PreconditionFailed,
            format!(
                "invalid arg '{argument}' for {} '{name}' in vhost '{vhost}': {reason}",
                object.word()
            ),
        ),
        Refusal::NotOfStreams { deed, name, vhost } => {
            let what = match deed {
                Deed::Get => "basic.get",
                Deed::Purge => "queue.purge",
                Deed::Unsettled => "automatic acknowledgement",
            };
            let of = format!("queue '{name}' in vhost '{vhost}'");
            (Code::NotImplemented, format!("{what} not supported by stream queues {of}"))
        }
        Refusal::Limit(text) | Refusal::Invalid(text) => (Code::PreconditionFailed, text.clone()),
        // So RabbitMQ says it: a channel that is not is the connection's affair.
        Refusal::Barred(text) if id == CHANNEL_OPEN => {
            return Fault::nowhere(Code::NotAllowed, text.clone());
        }
        Refusal::Barred(text) => (Code::NotAllowed, text.clone()),
        Refusal::NoUser(user) => (Code::NotFound, format!("no user '{user}'")),
        Refusal::Stopping => (
            Code::ConnectionForced,
            "broker forced connection closure with reason 'shutdown'".into(),
        ),
    };
    Fault::new(code, text).at(id)
}

/// The header that a stamp is.
pub fn stamp_header(stamp: Stamp) -> Option<&'static str> {
    match stamp {
        Stamp::None => None,
        Stamp::Attempts(_) => Some("x-delivery-count"),
        Stamp::Offset(_) => Some("x-stream-offset"),
    }
}

/// Writes a property list with its stamp, if there is one, into `into`; returns the list
/// to send.
pub fn stamped<'a>(head: &'a [u8], stamp: Stamp, into: &'a mut Vec<u8>) -> &'a [u8] {
    match (stamp_header(stamp), stamp.number()) {
        (Some(name), Some(number)) => {
            into.clear();
            put_header(head, name, number, into);
            into
        }
        _ => head,
    }
}

/// The bit that stands for an alarm.
pub fn alarm_bit(alarm: Alarm) -> u8 {
    match alarm {
        Alarm::Memory => 1,
        Alarm::Disk => 2,
    }
}

/// What `connection.blocked` says of the alarms that are raised.
pub fn alarm_text(raised: u8) -> &'static str {
    let (memory, disk) = (alarm_bit(Alarm::Memory), alarm_bit(Alarm::Disk));
    match (raised & memory != 0, raised & disk != 0) {
        (true, true) => "low on memory & disk",
        (true, false) => "low on memory",
        _ => "low on disk",
    }
}
