//! Reminding: who is bound to an exchange that remembers gets the last messages first, in
//! their order, and then what follows. The binding is made when all of that is at hand: what
//! is published meanwhile is remembered as well, and comes in its turn.

use super::backlog::read;
use super::{Answered, Asker, Broker};
use crate::id::{QueueId, Target};
use crate::journal::{Effects, Journal};
use crate::ledger::{Slice, Store};
use crate::route::Heading;
use lockgate_model::Binding;

/// A binding that waits for the disk.
#[derive(Debug)]
pub struct Reminder {
    pub asker: Asker,
    binding: Binding,
    pub store: QueueId,
    /// Entries below it were given.
    at: u64,
}

impl Broker {
    /// Makes a binding, after what its exchange remembers has gone that way. Nothing yet if
    /// that is on its way from the disk.
    pub(super) fn bind_and_remind(
        &mut self,
        asker: Asker,
        binding: Binding,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Option<Answered> {
        let remembers = self.plan_bind(asker.session, &binding, true);
        let way = remembers.ok().flatten().map(|(way, _)| way);
        let source = way.and_then(|way| self.ledger.exchanges.get(&way.source));
        match source.filter(|x| x.manner.keeps.is_some()) {
            None => Some(self.bind(asker.session, &binding, true, journal)),
            Some(x) => {
                let store = Store::Kept(x.id).id();
                self.remind(Reminder { asker, binding, store, at: 0 }, journal, out)
            }
        }
    }

    /// Gives what is remembered as far as it is at hand, and when that is all, binds.
    fn remind(
        &mut self,
        mut reminder: Reminder,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) -> Option<Answered> {
        let Reminder { asker, store, .. } = reminder;
        // No further than it reaches now: what is given may come round and be remembered anew.
        let upto = self.ledger.queues.get(&store).map_or(0, |q| q.line.next(0));
        loop {
            // Whatever was declared or deleted meanwhile has its say.
            let planned = self.plan_bind(asker.session, &reminder.binding, true);
            let Some(target) = planned.ok().flatten().map(|(way, _)| way.target) else { break };
            let Some(q) = self.ledger.queues.get_mut(&store) else { break };
            let next = q.line.next_live(reminder.at).filter(|next| *next < upto);
            let Some(from) = next else { break };
            let resident = &mut self.resident;
            let Some(slice) = read(store, &mut q.line, resident, from, upto, out) else {
                self.reminders.push(reminder);
                return None;
            };
            reminder.at = from + u64::from(slice.count);
            self.give(target, &slice, journal, out);
            self.shed(store, from, out);
        }
        Some(self.bind(asker.session, &reminder.binding, true, journal))
    }

    /// Goes on with the bindings that wait for this queue.
    pub(super) fn go_on_reminding(
        &mut self,
        store: QueueId,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        let waiting: Vec<Reminder> = self.reminders.extract_if(.., |r| r.store == store).collect();
        for reminder in waiting {
            let asker = reminder.asker;
            if !self.dispatch.sessions.contains_key(&asker.session) {
                continue;
            }
            if let Some(answered) = self.remind(reminder, journal, out) {
                self.answer(asker, answered, out);
            }
        }
    }

    /// Gives remembered messages to one target.
    fn give(
        &mut self,
        target: Target,
        slice: &Slice,
        journal: &mut impl Journal,
        out: &mut Effects,
    ) {
        for i in slice.item as usize..(slice.item + slice.count) as usize {
            let (run, item) = (&slice.run, &slice.run.items[i]);
            let (keys, head) = ([run.key(item)], run.head(item));
            let message = Heading::new(&keys, head).named(run.topic(item));
            let reach = match target {
                Target::Queue(queue) => self.reach_queues(vec![queue], &message),
                Target::Exchange(exchange) => self.reach(exchange, &message),
            };
            self.send(&reach, run, None, (i, i + 1), journal, out);
        }
    }
}
