//! Requests to the engine and what follows their answers. At most one is awaited at a time,
//! and nothing is read meanwhile, so what takes several steps needs no other order.

use super::{Connection, Phase};
use crate::map;
use lockgate_front::Output;
use lockgate_model::{Answer, Command, Consumer, Lane, Name, Refusal, Request, Ticket, Time};
use std::collections::VecDeque;

/// STOMP has no strands.
pub(super) const LANE: Lane = Lane(0);

/// A request for its answer alone, which comes behind all that was said before: no
/// subscription has this handle.
pub(super) const BOUNDARY: Request = Request::Cancel(Consumer(0));

/// Tickets of requests have this bit, those of messages do not.
const ASK: u64 = 1 << 63;

/// A request that is to be answered before more is read.
#[derive(Debug)]
pub(super) struct Asked {
    ticket: Ticket,
    then: Then,
}

/// What follows an answer.
#[derive(Debug)]
pub(super) enum Then {
    /// The virtual host is entered.
    Enter,
    /// The strand is granted, where they are counted.
    Lane,
    /// The next step, and what the last one means.
    Steps(Steps),
    /// A transaction is committed, and with it these receipts are due.
    Committed(Vec<Box<[u8]>>),
    /// All that was said before is done; DISCONNECT may be answered.
    Farewell,
}

/// Several requests, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) left: VecDeque<Request>,
    /// Told at the end.
    pub(super) receipt: Option<Box<[u8]>>,
    pub(super) outcome: Outcome,
}

/// What is so when all steps are done.
#[derive(Debug, Default)]
pub(super) enum Outcome {
    #[default]
    Nothing,
    /// This queue is there.
    Declared(Name),
    /// A subscription stands. Were it refused, the queue that was made for it would stay.
    Subscribed { made: Option<Name> },
    /// A subscription is over.
    Unsubscribed(u32),
    /// A reply queue is made under a name of the broker's.
    Replies { called: Box<str>, name: Name },
}

impl Connection {
    /// Asks the engine; nothing more is read until it answers.
    pub(super) fn ask(&mut self, request: Request, then: Then, out: &mut Output) {
        debug_assert!(self.asked.is_none(), "one request at a time");
        self.asks += 1;
        let ticket = Ticket(ASK | self.asks);
        self.asked = Some(Asked { ticket, then });
        out.commands.push(Command::Ask { lane: LANE, ticket, request });
    }

    /// Asks without waiting; what is answered is not looked at.
    pub(super) fn bid(&mut self, request: Request, out: &mut Output) {
        self.asks += 1;
        let ticket = Ticket(ASK | self.asks);
        out.commands.push(Command::Ask { lane: LANE, ticket, request });
    }

    /// Takes the steps, or tells what they would, if there is none.
    pub(super) fn walk(&mut self, mut steps: Steps, out: &mut Output) {
        match steps.left.pop_front() {
            Some(request) => self.ask(request, Then::Steps(steps), out),
            None => self.arrived(steps, out),
        }
    }

    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        result: Result<Answer, Refusal>,
        now: Time,
        out: &mut Output,
    ) {
        let Some(asked) = self.asked.take_if(|a| a.ticket == ticket) else { return };
        self.heart.heard(now);
        match (asked.then, result) {
            (Then::Enter, Ok(Answer::Counted)) => self.ask(Request::OpenLane, Then::Lane, out),
            (Then::Enter | Then::Lane, Ok(_)) => self.entered(now, out),
            (Then::Enter | Then::Lane, Err(why)) => self.fail(map::shut_out(&why), None, out),
            (Then::Steps(steps), Ok(answer)) => self.stepped(steps, answer, out),
            (Then::Steps(steps), Err(why)) => {
                if let Outcome::Subscribed { made: Some(name) } = steps.outcome {
                    let request = Request::DeleteQueue { name, if_unused: true, if_empty: false };
                    self.bid(request, out);
                }
                self.fail(map::fault(&why), steps.receipt.as_deref(), out);
            }
            (Then::Committed(receipts), Ok(_)) => {
                receipts.iter().for_each(|receipt| self.say_receipt(receipt, out));
            }
            (Then::Committed(receipts), Err(why)) => {
                self.fail(map::fault(&why), receipts.last().map(|r| &**r), out);
            }
            (Then::Farewell, _) => {
                self.phase = Phase::Leaving;
                self.leave_if_told(out);
            }
        }
    }

    /// One step is done. A queue whose name the broker chose is the one to subscribe to.
    fn stepped(&mut self, mut steps: Steps, answer: Answer, out: &mut Output) {
        if let (Outcome::Replies { name, .. }, Answer::Queue { name: chosen, .. }) =
            (&mut steps.outcome, answer)
        {
            *name = chosen.clone();
            for request in &mut steps.left {
                if let Request::Subscribe(subscription) = request {
                    subscription.queue = chosen.clone();
                }
            }
        }
        self.walk(steps, out);
    }

    fn arrived(&mut self, steps: Steps, out: &mut Output) {
        match steps.outcome {
            Outcome::Nothing | Outcome::Subscribed { .. } => {}
            Outcome::Declared(name) => self.remember_declared(name),
            Outcome::Unsubscribed(handle) => self.subscriptions.forget(handle),
            Outcome::Replies { called, name } => {
                self.replies.insert(called, name);
            }
        }
        if let Some(receipt) = steps.receipt {
            self.say_receipt(&receipt, out);
        }
    }
}
