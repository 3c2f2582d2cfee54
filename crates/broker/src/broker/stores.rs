//! The queues that exchanges own: made and deleted with them, in no list, under no name.

use super::Broker;
use crate::id::{ExchangeId, QueueId};
use crate::journal::Effect;
use crate::ledger::Store;
use lockgate_model::{Event, Object, Refusal};

impl Broker {
    /// An exchange was declared: so are its queues.
    pub(super) fn open_stores(&mut self, exchange: ExchangeId) {
        let Some(x) = self.ledger.exchanges.get(&exchange) else { return };
        for store in x.stores() {
            self.dispatch.desks.entry(store.id()).or_default();
        }
    }

    /// An exchange is being deleted: what it held back is lost with it, and counted.
    pub(super) fn close_stores(&mut self, exchange: ExchangeId) {
        let Some(x) = self.ledger.exchanges.get(&exchange) else { return };
        let stores: Vec<Store> = x.stores().collect();
        let (name, vhost) = (x.spec.name.clone(), self.ledger.vhost_name(x.vhost));
        for store in stores {
            let id = store.id();
            if let (Store::Delayed(_), Some(q)) = (store, self.ledger.queues.get(&id)) {
                self.delayed_lost += q.line.live();
            }
            self.forget_line(id);
            self.dispatch.desks.remove(&id);
            self.dispatch.releasing.remove(&id);
            for reminder in self.reminders.extract_if(.., |r| r.store == id) {
                let (name, vhost) = (name.clone(), vhost.clone());
                let missing = Refusal::Missing { object: Object::Exchange, name, vhost };
                let super::Asker { session, lane, ticket } = reminder.asker;
                let event = Event::Answer { lane, ticket, result: Err(missing) };
                self.farewells.push(Effect { session, after: 0, event });
            }
        }
    }

    /// A queue is being deleted: its memory counts no more.
    pub(super) fn forget_line(&mut self, queue: QueueId) {
        self.resident -= self.ledger.queues.get(&queue).map_or(0, |q| q.line.resident());
    }
}
