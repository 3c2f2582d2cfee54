//! Declaring and deleting exchanges.

use super::arguments::{check_exchange, compare};
use super::kinds::{COMPARED, check_kind};
use super::{Answered, Broker};
use crate::change::Change;
use crate::id::{ExchangeId, VhostId};
use crate::journal::Journal;
use crate::ledger::Exchange;
use lockgate_model::{Answer, ExchangeSpec, Name, Object, Refusal, SessionId};

impl Broker {
    pub(super) fn exchange(&self, vhost: VhostId, name: &Name) -> Result<&Exchange, Refusal> {
        self.ledger.exchange_named(vhost, name).ok_or_else(|| Refusal::Missing {
            object: Object::Exchange,
            name: name.clone(),
            vhost: self.ledger.vhost_name(vhost),
        })
    }

    pub(super) fn declare_exchange(
        &mut self,
        session: SessionId,
        spec: ExchangeSpec,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        if spec.name.is_empty() {
            return Err(Refusal::DefaultExchange);
        }
        if let Some(x) = self.ledger.exchange_named(vhost, &spec.name) {
            return match unlike_exchange(&spec, &x.spec) {
                None => Ok((Answer::Done, 0)),
                Some((field, received, current)) => Err(Refusal::Inequivalent {
                    object: Object::Exchange,
                    name: spec.name,
                    vhost: self.ledger.vhost_name(vhost),
                    field,
                    received,
                    current,
                }),
            };
        }
        self.unreserved(vhost, Object::Exchange, &spec.name)?;
        check_exchange(&spec.arguments).map_err(|why| {
            let vhost = self.ledger.vhost_name(vhost);
            Refusal::Limit(format!("{why} in exchange '{}' in vhost '{vhost}'", spec.name))
        })?;
        check_kind(&spec).map_err(Refusal::Limit)?;
        let (id, lasting) = (ExchangeId(self.ledger.fresh_id()), spec.durable);
        let after = self.change(&Change::ExchangeDeclared { vhost, id, spec }, lasting, journal);
        Ok((Answer::Done, after))
    }

    pub(super) fn find_exchange(&self, session: SessionId, name: &Name) -> Answered {
        if name.is_empty() {
            return Err(Refusal::DefaultExchange);
        }
        self.exchange(self.vhost_of(session)?, name)?;
        Ok((Answer::Done, 0))
    }

    pub(super) fn delete_exchange(
        &mut self,
        session: SessionId,
        name: &Name,
        if_unused: bool,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        self.unreserved(vhost, Object::Exchange, name)?;
        // What is not there need not be deleted.
        let Some(x) = self.ledger.exchange_named(vhost, name) else { return Ok((Answer::Done, 0)) };
        if if_unused && !x.ways.is_empty() {
            let vhost = self.ledger.vhost_name(vhost);
            return Err(Refusal::InUse { object: Object::Exchange, name: name.clone(), vhost });
        }
        let id = x.id;
        let after = self.drop_exchange(id, journal);
        Ok((Answer::Done, after))
    }

    /// Deletes an exchange, and those that it was the last way out of.
    pub(super) fn drop_exchange(&mut self, id: ExchangeId, journal: &mut impl Journal) -> u64 {
        let Some(x) = self.ledger.exchanges.get(&id) else { return 0 };
        let lasting = x.spec.durable;
        let mut sources: Vec<ExchangeId> = x.inbound.iter().map(|(source, _)| *source).collect();
        sources.sort_unstable();
        let after = self.change(&Change::ExchangeDeleted { id }, lasting, journal);
        after.max(self.prune(&sources, journal))
    }

    /// Deletes those auto-delete exchanges that no way leads out of any more.
    pub(super) fn prune(&mut self, sources: &[ExchangeId], journal: &mut impl Journal) -> u64 {
        let mut after = 0;
        for id in sources {
            let idle = |x: &Exchange| x.spec.auto_delete && x.ways.is_empty();
            if self.ledger.exchanges.get(id).is_some_and(idle) {
                after = after.max(self.drop_exchange(*id, journal));
            }
        }
        after
    }
}

/// The first thing in which two declarations of an exchange differ: field, received, current.
fn unlike_exchange(
    received: &ExchangeSpec,
    current: &ExchangeSpec,
) -> Option<(String, String, String)> {
    let quoted = |field: &str, r: &dyn std::fmt::Display, c: &dyn std::fmt::Display| {
        Some((field.to_string(), format!("'{r}'"), format!("'{c}'")))
    };
    if received.kind != current.kind {
        return quoted("type", &received.kind.name(), &current.kind.name());
    }
    let flags = [
        ("durable", received.durable, current.durable),
        ("auto_delete", received.auto_delete, current.auto_delete),
        ("internal", received.internal, current.internal),
    ];
    let argument = |spec: &ExchangeSpec, name: &str| spec.arguments.get(name).cloned();
    let unlike = |name: &&str| compare(name, argument(received, name), argument(current, name));
    flags
        .iter()
        .find(|(_, r, c)| r != c)
        .and_then(|(field, r, c)| quoted(field, r, c))
        .or_else(|| COMPARED.iter().find_map(unlike))
}
