//! What fronts are known by where several share a port or stand within WebSocket: their
//! first bytes, sub-protocols and paths, and where their packets end.

use lockgate_amqp091::frame as amqp;
use lockgate_front::{Front, first};
use lockgate_mqtt::frame as mqtt;
use lockgate_stomp::frame as stomp;
use lockgate_websocket::Inner;
use std::sync::Arc;

/// Every front that others can stand beside or around.
pub fn inners(amqp: &Arc<dyn Front>, mqtt: &Arc<dyn Front>, stomp: &Arc<dyn Front>) -> Vec<Inner> {
    vec![
        Inner {
            front: amqp.clone(),
            first: first::amqp,
            tokens: &["amqp", "amqp*"],
            paths: &["/amqp", "/ws/amqp"],
            text: false,
            packet: amqp_packet,
        },
        Inner {
            front: mqtt.clone(),
            first: first::mqtt,
            // 6.0.0-3 and -4 of the specification; 3.1 has a name of its own.
            tokens: &["mqtt", "mqttv3.1", "mqtt*"],
            paths: &["/mqtt", "/ws/mqtt"],
            text: false,
            packet: mqtt_packet,
        },
        Inner {
            front: stomp.clone(),
            first: first::stomp,
            tokens: &["v12.stomp", "v11.stomp", "v10.stomp", "stomp"],
            paths: &["/stomp", "/ws/stomp"],
            text: true,
            packet: stomp::packet,
        },
    ]
}

/// A frame, or the header that answers a wrong one.
fn amqp_packet(bytes: &[u8]) -> Option<usize> {
    const HEADER: &[u8] = b"AMQP\0\0\x09\x01";
    if bytes.starts_with(b"AMQP") {
        return Some(HEADER.len());
    }
    match amqp::cut(bytes, usize::MAX) {
        Ok(amqp::Cut::Whole(head) | amqp::Cut::Part(head)) => Some(amqp::AROUND + head.size),
        _ => None,
    }
}

fn mqtt_packet(bytes: &[u8]) -> Option<usize> {
    match mqtt::cut(bytes, usize::MAX) {
        Ok(mqtt::Cut::Whole(head, _) | mqtt::Cut::Part(head)) => Some(head.total()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_end_where_they_say() {
        for (packet, bytes, size) in [
            (amqp_packet as fn(&[u8]) -> Option<usize>, &b"AMQP\0\0\x09\x01\x01"[..], Some(8)),
            (amqp_packet, b"\x08\0\0\0\0\0\0\xce\x01", Some(8)),
            (amqp_packet, b"\x03\0\x01\0\x01\0\0body", Some(65_544)),
            (amqp_packet, b"\x03\0\x01\0\x01\0", None),
            (mqtt_packet, b"\xd0\0\x30", Some(2)),
            (mqtt_packet, b"\x30\x80\x01\0\x01a", Some(131)),
            (mqtt_packet, b"\x30\x80", None),
            (stomp::packet, b"\nMESSAGE\n", Some(1)),
            (stomp::packet, b"RECEIPT\nreceipt-id:1\n\n\0MESS", Some(23)),
            (stomp::packet, b"MESSAGE\ncontent-length:9\n\nabc", Some(36)),
            (stomp::packet, b"MESSAGE\ncontent-le", None),
        ] {
            assert_eq!(packet(bytes), size, "{bytes:?}");
        }
    }
}
