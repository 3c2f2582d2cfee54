//! Virtual hosts, and what every request meets first: where it is, and which names are
//! not for clients.

use super::Broker;
use crate::change::Change;
use crate::id::{ExchangeId, VhostId};
use crate::journal::Journal;
use lockgate_model::{ExchangeKind, ExchangeSpec, Name, Object, Refusal, SessionId, Table};

/// The exchanges that every virtual host has from the start.
const PREDECLARED: &[(&str, ExchangeKind, bool)] = &[
    ("amq.direct", ExchangeKind::Direct, false),
    ("amq.fanout", ExchangeKind::Fanout, false),
    ("amq.headers", ExchangeKind::Headers, false),
    ("amq.match", ExchangeKind::Headers, false),
    ("amq.rabbitmq.trace", ExchangeKind::Topic, true),
    ("amq.topic", ExchangeKind::Topic, false),
];

impl Broker {
    /// Makes a virtual host with its predeclared exchanges, unless it is there. Says what
    /// must be committed before it is made.
    pub fn make_vhost(&mut self, name: &str, journal: &mut impl Journal) -> u64 {
        let mut after = 0;
        if self.ledger.vhost(name).is_some() {
            return after;
        }
        let vhost = VhostId(self.ledger.fresh_id());
        self.change(&Change::VhostMade { id: vhost, name: name.into() }, true, journal);
        for (name, kind, internal) in PREDECLARED {
            let spec = ExchangeSpec {
                name: (*name).into(),
                kind: *kind,
                durable: true,
                auto_delete: false,
                internal: *internal,
                arguments: Table::default(),
            };
            let id = ExchangeId(self.ledger.fresh_id());
            after = self.change(&Change::ExchangeDeclared { vhost, id, spec }, true, journal);
        }
        after
    }

    /// Is there such a virtual host?
    pub fn has_vhost(&self, name: &str) -> bool {
        self.ledger.vhost(name).is_some()
    }

    pub(super) fn vhost_of(&self, session: SessionId) -> Result<VhostId, Refusal> {
        let vhost = self.dispatch.sessions.get(&session).and_then(|s| s.vhost);
        vhost.ok_or_else(|| Refusal::NoVhost(Name::default()))
    }

    /// Names that clients may neither make nor delete.
    pub(super) fn unreserved(
        &self,
        vhost: VhostId,
        object: Object,
        name: &Name,
    ) -> Result<(), Refusal> {
        if object == Object::Exchange && name.is_empty() {
            return Err(Refusal::DefaultExchange);
        }
        if name.starts_with("amq.") {
            let vhost = self.ledger.vhost_name(vhost);
            return Err(Refusal::Reserved { object, name: name.clone(), vhost });
        }
        Ok(())
    }
}
