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

    /// The way that is to be made (or removed), and whether that lasts. None if it is there
    /// already (or not there): both are fine.
    pub(super) fn plan_bind(
        &self,
        session: SessionId,
        binding: &Binding,
        add: bool,
    ) -> Result<Option<(Way, bool)>, Refusal> {
        let vhost = self.vhost_of(session)?;
        let to_default = matches!(&binding.destination, Destination::Exchange(x) if x.is_empty());
        if binding.source.is_empty() || to_default {
            return Err(Refusal::DefaultExchange);
        }
        let ends = self.ends(session, vhost, binding);
        let (source, target, target_lasts) = match ends {
            // What leads from or to nothing is as unbound as can be.
            Err(_) if !add => return Ok(None),
            ends => ends?,
        };
        if add {
            check_binding(source.manner.chooses, binding).map_err(Refusal::Limit)?;
        }
        let (key, arguments) = (binding.key.clone(), binding.arguments.clone());
        let way = Way { source: source.id, target, key, arguments };
        let there = source.ways.contains(&way.identity());
        Ok((there != add).then_some((way, source.spec.durable && target_lasts)))
    }

    /// Adds (or removes) a binding.
    pub(super) fn bind(
        &mut self,
        session: SessionId,
        binding: &Binding,
        add: bool,
        journal: &mut impl Journal,
    ) -> Answered {
        let Some((way, lasting)) = self.plan_bind(session, binding, add)? else {
            return Ok((Answer::Done, 0));
        };
        let source = way.source;
        let change = if add { Change::Bound(way) } else { Change::Unbound(way) };
        let after = self.change(&change, lasting, journal);
        Ok((Answer::Done, after.max(self.prune(&[source], journal))))
    }
}
