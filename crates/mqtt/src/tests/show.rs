//! Packets in words, for vectors: what is false, 0, empty or not there is left out.

use crate::packet::*;
use crate::property::Properties;
use crate::reason::Reason;
use std::fmt::{Debug, Write};

struct Words(String);

impl Words {
    fn flag(&mut self, name: &str, set: bool) {
        if set {
            let _ = write!(self.0, " {name}");
        }
    }

    fn field(&mut self, name: &str, value: impl Debug) {
        let _ = write!(self.0, " {name}={value:?}");
    }

    fn qos(&mut self, qos: Qos) {
        if qos != Qos::AtMostOnce {
            self.field("qos", qos.bits());
        }
    }

    fn id(&mut self, id: PacketId) {
        self.field("id", id.0);
    }

    fn reason(&mut self, reason: Reason) {
        if reason != Reason::Success {
            self.field("reason", reason);
        }
    }

    fn properties(&mut self, properties: &Properties<'_>) {
        if !properties.is_empty() {
            let _ = write!(self.0, " {properties:?}");
        }
    }

    fn payload(&mut self, payload: &[u8]) {
        let _ = write!(self.0, " payload=\"{}\"", payload.escape_ascii());
    }
}

pub(crate) fn show(packet: &Packet<'_>) -> String {
    let mut w = Words(packet.kind().name().to_owned());
    match packet {
        Packet::Connect(c) => connect(&mut w, c),
        Packet::Connack(c) => {
            w.flag("session-present", c.session_present);
            w.reason(c.reason);
            w.properties(&c.properties);
        }
        Packet::Publish(p) => {
            w.flag("dup", p.dup);
            w.qos(p.qos);
            w.flag("retain", p.retain);
            if let Some(id) = p.id {
                w.id(id);
            }
            w.field("topic", p.topic);
            w.payload(p.payload);
            w.properties(&p.properties);
        }
        Packet::Puback(a) | Packet::Pubrec(a) | Packet::Pubrel(a) | Packet::Pubcomp(a) => {
            w.id(a.id);
            w.reason(a.reason);
            w.properties(&a.properties);
        }
        Packet::Subscribe(s) => {
            w.id(s.id);
            for Subscription { filter, options: o } in s.subscriptions.iter() {
                let _ = write!(w.0, " {filter:?}");
                w.qos(o.qos);
                w.flag("no-local", o.no_local);
                w.flag("as-published", o.retain_as_published);
                if o.retain_handling != RetainHandling::Always {
                    w.field("retained", o.retain_handling);
                }
            }
            w.properties(&s.properties);
        }
        Packet::Unsubscribe(s) => {
            w.id(s.id);
            let _ = write!(w.0, " {:?}", s.filters);
            w.properties(&s.properties);
        }
        Packet::Suback(r) | Packet::Unsuback(r) => {
            w.id(r.id);
            let _ = write!(w.0, " {:?}", r.reasons);
            w.properties(&r.properties);
        }
        Packet::Pingreq | Packet::Pingresp => {}
        Packet::Disconnect(e) | Packet::Auth(e) => {
            w.reason(e.reason);
            w.properties(&e.properties);
        }
    }
    w.0
}

fn connect(w: &mut Words, c: &Connect<'_>) {
    let _ = write!(w.0, " {:?}", c.version);
    w.flag("clean", c.clean);
    if c.keep_alive != 0 {
        w.field("keep-alive", c.keep_alive);
    }
    w.field("client", c.client_id);
    if let Some(will) = &c.will {
        w.0 += " will:";
        w.qos(will.qos);
        w.flag("retain", will.retain);
        w.field("topic", will.topic);
        w.payload(will.payload);
        w.properties(&will.properties);
        w.0 += ";";
    }
    if let Some(user) = c.user {
        w.field("user", user);
    }
    if let Some(password) = c.password {
        w.field("password", password);
    }
    w.properties(&c.properties);
}
