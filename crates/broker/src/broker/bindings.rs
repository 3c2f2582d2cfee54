//! Binding and unbinding.

use super::kinds::check_binding;
use super::{Answered, Broker};
use crate::change::Change;
use crate::id::{Target, VhostId};
use crate::journal::Journal;
use crate::ledger::Exchange;
use crate::way::Way;
use lockgate_model::{Answer, Binding, Destination, Refusal, SessionId};

impl Broker {
    /// What a binding leads from, and to, and whether that lasts.
    fn ends(
        &self,
        session: SessionId,
        vhost: VhostId,
        binding: &Binding,
    ) -> Result<(&Exchange, Target, bool), Refusal> {
        let source = self.exchange(vhost, &binding.source)?;
        let (target, lasts) = match &binding.destination {
            Destination::Queue(name) => {
                let q = self.accessible(session, name)?;
                (Target::Queue(q.id), q.is_logged())
            }
            Destination::Exchange(name) => {
                let x = self.exchange(vhost, name)?;
                (Target::Exchange(x.id), x.spec.durable)
            }
        };
        Ok((source, target, lasts))
    }

    /// Adds (or removes) a binding. Adding one that is there and removing one that is not
    /// are both fine.
    pub(super) fn bind(
        &mut self,
        session: SessionId,
        binding: &Binding,
        add: bool,
        journal: &mut impl Journal,
    ) -> Answered {
        let vhost = self.vhost_of(session)?;
        let to_default = matches!(&binding.destination, Destination::Exchange(x) if x.is_empty());
        if binding.source.is_empty() || to_default {
            return Err(Refusal::DefaultExchange);
        }
        let ends = self.ends(session, vhost, binding);
        let (source, target, target_lasts) = match ends {
            // What leads from or to nothing is as unbound as can be.
            Err(_) if !add => return Ok((Answer::Done, 0)),
            ends => ends?,
        };
        if add {
            check_binding(source.spec.kind, binding).map_err(Refusal::Limit)?;
        }
        let (key, arguments) = (binding.key.clone(), binding.arguments.clone());
        let way = Way { source: source.id, target, key, arguments };
        let there = source.ways.contains(&way.identity());
        if there == add {
            return Ok((Answer::Done, 0));
        }
        let (lasting, source) = (source.spec.durable && target_lasts, source.id);
        let change = if add { Change::Bound(way) } else { Change::Unbound(way) };
        let after = self.change(&change, lasting, journal);
        Ok((Answer::Done, after.max(self.prune(&[source], journal))))
    }
}
