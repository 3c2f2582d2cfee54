//! What ActiveMQ's dialect does otherwise: several destinations in one, temporary ones,
//! virtual topics, selectors, subscriptions that last by client and name, NACK to the queue
//! of dead letters. Asked for what it cannot do, it says so.

use super::ask::{LANE, Outcome, Steps, Then};
use super::send::{Target, To, required};
use super::subscribe::{Mode, Wish};
use super::{Connection, Span};
use crate::destination::{Destination, active};
use crate::error::{Fault, shown};
use crate::header::number;
use crate::map::{self, active::ReplyTo};
use crate::packet::{Frame, Version};
use crate::selector::Selector;
use lockgate_front::Output;
use lockgate_model::{
    Binding, Destination as Way, Name, Outcome as Fate, QueueSpec, Request, Run, RunBuilder, Step,
    Table, Value,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Where what was refused goes.
const DEAD: &str = "ActiveMQ.DLQ";

/// Most messages that a subscription has in flight where it does not say how many.
const PREFETCH_QUEUE: u32 = 1_000;
const PREFETCH_TOPIC: u32 = 32_766;
const PREFETCH_DURABLE: u32 = 100;

/// What a connection keeps for this dialect alone.
#[derive(Debug, Default)]
pub(super) struct Active {
    /// As CONNECT said it.
    pub(super) client_id: Option<Name>,
    /// To be told again in CONNECTED.
    pub(super) request_id: Option<Box<[u8]>>,
    /// Keys of temporary topics, by what the peer calls them.
    topics: BTreeMap<Box<str>, String>,
    /// Messages in flight, which a NACK would send on.
    held: VecDeque<Held>,
}

/// Messages that were delivered together.
#[derive(Debug)]
struct Held {
    tag: u64,
    count: u32,
    run: Arc<Run>,
    first: u32,
    step: u32,
}

impl Active {
    /// Remembers messages until they are settled.
    pub(super) fn hold(&mut self, tag: u64, count: u32, run: &Arc<Run>, first: u32, step: u32) {
        self.held.push_back(Held { tag, count, run: run.clone(), first, step });
    }

    /// Forgets what is settled.
    pub(super) fn release(&mut self, oldest: u64) {
        while self.held.front().is_some_and(|h| h.tag + u64::from(h.count) <= oldest) {
            self.held.pop_front();
        }
    }

    /// The run and the place in it of a message in flight.
    fn message(&self, tag: u64) -> Option<(&Run, usize)> {
        let at = self.held.partition_point(|h| h.tag + u64::from(h.count) <= tag);
        let held = self.held.get(at).filter(|h| h.tag <= tag)?;
        let n = u32::try_from(tag - held.tag).ok()?;
        Some((&held.run, (held.first + n * held.step) as usize))
    }
}

impl Connection {
    /// Where a SEND goes and is to be answered; none while something must be answered first.
    pub(super) fn active_whereto<'a>(
        &mut self,
        frame: &Frame<'a>,
        out: &mut Output,
    ) -> Result<Option<To<'a>>, Fault> {
        refuse_schedules(frame)?;
        let text = required(frame, "SEND")?;
        let Some(mut more) = self.active_targets(text, out)? else { return Ok(None) };
        let Some(reply) = self.active_reply_to(frame, out)? else { return Ok(None) };
        let first = more.remove(0);
        Ok(Some(To { first, more, reply }))
    }

    /// Everywhere that a SEND goes; at least one.
    fn active_targets<'a>(
        &mut self,
        text: &'a [u8],
        out: &mut Output,
    ) -> Result<Option<Vec<Target<'a>>>, Fault> {
        let mut targets = Vec::new();
        for destination in active::parse(text)? {
            targets.push(match destination {
                Destination::Queue(name) => {
                    if !self.declared.contains(&*name) {
                        let left = self.active_queue(&name);
                        let outcome = Outcome::Declared(Name::from(&*name));
                        self.walk(Steps { left, receipt: None, outcome }, out);
                        return Ok(None);
                    }
                    Target { exchange: None, key: name }
                }
                Destination::TempQueue(called) => match self.replies.get(&*called) {
                    Some(name) => Target { exchange: None, key: name.to_string().into() },
                    None => {
                        self.active_temp_queue(&called, out)?;
                        return Ok(None);
                    }
                },
                Destination::TempTopic(called) => {
                    let key = self.active_temp_topic(&called)?.into();
                    Target { exchange: Some(self.settings.topic_exchange.clone()), key }
                }
                Destination::Topic(key) if active::is_pattern(&key) => {
                    return Err(Fault::new(
                        "Invalid destination",
                        format!("'{}' stands for several topics\n", shown(key.as_bytes())),
                    ));
                }
                Destination::Topic(key) => {
                    Target { exchange: Some(self.settings.topic_exchange.clone()), key }
                }
                Destination::ReplyQueue(name)
                | Destination::AmqQueue(name)
                | Destination::Exchange { name, .. } => Target { exchange: None, key: name },
            });
        }
        Ok(Some(targets))
    }

    /// What `reply-to` means; the inner none while something must be answered first.
    fn active_reply_to(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Output,
    ) -> Result<Option<Option<ReplyTo>>, Fault> {
        let Some(text) = frame.get("reply-to") else { return Ok(Some(None)) };
        let first = active::parse(text)?.into_iter().next();
        Ok(match first {
            Some(Destination::TempQueue(called)) => match self.replies.get(&*called) {
                Some(name) => Some(Some(ReplyTo::Queue(name.clone()))),
                None => {
                    self.active_temp_queue(&called, out)?;
                    None
                }
            },
            Some(Destination::TempTopic(called)) => {
                Some(Some(ReplyTo::Topic(self.active_temp_topic(&called)?)))
            }
            Some(Destination::Topic(key)) => Some(Some(ReplyTo::Topic(key.into_owned()))),
            Some(Destination::Queue(name) | Destination::ReplyQueue(name)) => {
                Some(Some(ReplyTo::Queue(Name::from(&*name))))
            }
            _ => Some(None),
        })
    }

    /// Makes sure of a queue, and of the virtual topic that it reads, if it does.
    fn active_queue(&self, name: &str) -> VecDeque<Request> {
        let mut spec = QueueSpec::nameless(true);
        spec.name = Name::from(name);
        let mut left = VecDeque::from([Request::DeclareQueue(spec)]);
        if let Some(key) = active::virtual_topic(name).and_then(active::binding_key) {
            left.push_back(self.active_bind(Name::from(name), key));
        }
        left
    }

    fn active_bind(&self, queue: Name, key: String) -> Request {
        Request::Bind(Binding {
            source: self.settings.topic_exchange.clone(),
            destination: Way::Queue(queue),
            key: key.into_bytes().into(),
            arguments: Table::default(),
        })
    }

    /// A connection has no more of temporary destinations than of subscriptions.
    fn room_for_temp(&self) -> Result<(), Fault> {
        let max = self.settings.subscriptions_max;
        if self.replies.len() + self.active.topics.len() < max {
            return Ok(());
        }
        let text = format!("A connection may have {max}\n");
        Err(Fault::new("Too many temporary destinations", text))
    }

    /// Makes a queue of this connection alone.
    fn active_temp_queue(&mut self, called: &str, out: &mut Output) -> Result<(), Fault> {
        self.room_for_temp()?;
        let mut spec = QueueSpec::nameless(false);
        spec.exclusive = true;
        let left = [Request::DeclareQueue(spec)].into();
        let outcome = Outcome::Replies { called: called.into(), name: Name::default() };
        self.walk(Steps { left, receipt: None, outcome }, out);
        Ok(())
    }

    /// The key of a temporary topic.
    fn active_temp_topic(&mut self, called: &str) -> Result<String, Fault> {
        if let Some(key) = self.active.topics.get(called) {
            return Ok(key.clone());
        }
        self.room_for_temp()?;
        let key = format!("{}{}", active::TEMP_TOPIC, self.draw("topic"));
        self.active.topics.insert(called.into(), key.clone());
        Ok(key)
    }

    /// What a SUBSCRIBE wishes; none while something must be answered first.
    pub(super) fn active_wish(
        &mut self,
        frame: &Frame<'_>,
        mode: Mode,
        out: &mut Output,
    ) -> Result<Option<Wish>, Fault> {
        refuse_what_is_not_there(frame)?;
        let text = required(frame, "SUBSCRIBE")?;
        let mut all = active::parse(text)?.into_iter();
        let (Some(destination), None) = (all.next(), all.next()) else {
            return Err(not_there("several destinations in one SUBSCRIBE"));
        };
        let selector = frame.text("selector").filter(|text| !text.trim().is_empty());
        let selector = selector.map(Selector::parse).transpose().map_err(|why| {
            let selector = shown(frame.get("selector").unwrap_or_default());
            Fault::new("Invalid selector", format!("{selector}: {why}\n"))
        })?;
        let lasting = frame.text("activemq.subscriptionName");
        let (queue, left, prefetch) = match destination {
            Destination::Queue(name) if active::is_pattern(&name) && !is_virtual(&name) => {
                return Err(not_there("a wildcard among queues"));
            }
            Destination::Queue(name) => {
                (Name::from(&*name), self.active_queue(&name), PREFETCH_QUEUE)
            }
            Destination::ReplyQueue(name) => (Name::from(&*name), VecDeque::new(), PREFETCH_QUEUE),
            Destination::TempQueue(called) => match self.replies.get(&*called) {
                Some(name) => (name.clone(), VecDeque::new(), PREFETCH_QUEUE),
                None => {
                    self.active_temp_queue(&called, out)?;
                    return Ok(None);
                }
            },
            Destination::TempTopic(called) => {
                let key = self.active_temp_topic(&called)?;
                let (queue, left) = self.active_topic(None, key)?;
                (queue, left, PREFETCH_TOPIC)
            }
            Destination::Topic(name) => {
                let key = active::binding_key(&name).ok_or_else(|| {
                    let text = format!("'{}' has '>' or '#' where none can be\n", shown(text));
                    Fault::new("Invalid destination", text)
                })?;
                let (queue, left) = self.active_topic(lasting, key)?;
                let prefetch = if lasting.is_some() { PREFETCH_DURABLE } else { PREFETCH_TOPIC };
                (queue, left, prefetch)
            }
            Destination::AmqQueue(_) | Destination::Exchange { .. } => {
                return Err(not_there("this destination"));
            }
        };
        let alone = matches!(left.iter().last(), Some(Request::Bind(_))) && !is_virtual(&queue);
        if selector.is_some() && !alone {
            return Err(not_there("a selector on a queue, which others may read,"));
        }
        let limit = match frame.get("activemq.prefetchSize") {
            None => prefetch,
            Some(value) => {
                let count = number(value).and_then(|n| u32::try_from(n).ok());
                count.ok_or_else(|| map::no_number("activemq.prefetchSize", value))?.max(1)
            }
        };
        let mut arguments = Table::default();
        if let Some(value) = frame.get("activemq.priority") {
            let priority = number(value).and_then(|n| i32::try_from(n).ok());
            let priority = priority.ok_or_else(|| map::no_number("activemq.priority", value))?;
            arguments.set("x-priority", Value::I32(priority));
        }
        let limit = (mode != Mode::Auto).then_some(limit);
        Ok(Some(Wish { queue, left, limit, arguments, selector, durable: None }))
    }

    /// The queue of a subscription to a topic, made and bound.
    fn active_topic(
        &mut self,
        lasting: Option<&str>,
        key: String,
    ) -> Result<(Name, VecDeque<Request>), Fault> {
        let mut spec = QueueSpec::nameless(lasting.is_some());
        spec.name = match lasting {
            Some(name) => self.lasting_queue(name)?,
            None => Name::from(format!("stomp-subscription-{}", self.draw("subscription"))),
        };
        spec.auto_delete = lasting.is_none();
        let queue = spec.name.clone();
        let bind = self.active_bind(queue.clone(), key);
        Ok((queue, [Request::DeclareQueue(spec), bind].into()))
    }

    /// The queue of a subscription that lasts: it is known by client and name.
    fn lasting_queue(&self, name: &str) -> Result<Name, Fault> {
        let Some(client) = &self.active.client_id else {
            let text = "activemq.subscriptionName needs a client-id on CONNECT\n";
            return Err(Fault::new("Missing client-id", text));
        };
        let queue = format!("activemq-subscription-{client}:{name}");
        if queue.len() > lockgate_model::limits::NAME_BYTES_MAX {
            return Err(Fault::new("Invalid header", "activemq.subscriptionName is too long\n"));
        }
        Ok(Name::from(queue))
    }

    /// UNSUBSCRIBE of a subscription that is to last no longer.
    pub(super) fn active_forget(&self, frame: &Frame<'_>) -> Result<Option<Request>, Fault> {
        let Some(name) = frame.text("activemq.subscriptionName") else { return Ok(None) };
        let name = self.lasting_queue(name)?;
        Ok(Some(Request::DeleteQueue { name, if_unused: false, if_empty: false }))
    }

    /// NACK: the message goes to the queue of dead letters at once, if it is one that lasts.
    pub(super) fn active_nack(
        &mut self,
        tag: u64,
        spans: &mut Vec<Span>,
        transaction: Option<&[u8]>,
        receipt: Option<Box<[u8]>>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if self.version == Version::V10 {
            let text = "NACK is not there in version 1.0\n";
            return Err(Fault::new("Unknown STOMP action: NACK", text));
        }
        let mut steps = Vec::new();
        if let Some((run, at)) = self.active.message(tag)
            && let Some(item) = run.items.get(at).filter(|item| item.persistent)
        {
            let mut dead = RunBuilder::default();
            let (head, body) = (run.head(item), run.body(item));
            dead.push(b"", DEAD.as_bytes(), false, head, body, true, item.priority);
            steps.push(Step::Publish(Arc::new(dead.finish())));
            let mut spec = QueueSpec::nameless(true);
            spec.name = Name::from(DEAD);
            self.bid(Request::DeclareQueue(spec), out);
        }
        if let Some(name) = transaction {
            self.steps_later(name, steps);
            self.settle_later(name, spans, Fate::Accept);
            receipt.iter().for_each(|receipt| self.say_receipt(receipt, out));
            return Ok(());
        }
        self.flush_settled(out);
        if steps.is_empty() && receipt.is_none() {
            out.commands.extend(spans.drain(..).map(|span| span.settle(Fate::Accept)));
            return Ok(());
        }
        steps.extend(spans.drain(..).map(|span| span.step(Fate::Accept)));
        let receipts = receipt.into_iter().collect();
        debug_assert_eq!(LANE.0, 0);
        self.ask(Request::Commit(steps), Then::Committed(receipts), out);
        Ok(())
    }
}

/// Is it a queue that reads a virtual topic, whose name may hold wildcards?
fn is_virtual(name: &str) -> bool {
    active::virtual_topic(name).is_some()
}

fn not_there(what: &str) -> Fault {
    Fault::new("Not supported", format!("{what} is not supported\n"))
}

/// What would do something else than its user thinks.
fn refuse_what_is_not_there(frame: &Frame<'_>) -> Result<(), Fault> {
    for name in ["browser", "activemq.noLocal", "no-local", "activemq.exclusive"] {
        if frame.truth(name) == Some(true) {
            return Err(not_there(&format!("'{name}'")));
        }
    }
    Ok(())
}

/// A SEND that is to come later.
fn refuse_schedules(frame: &Frame<'_>) -> Result<(), Fault> {
    const LATER: [&str; 4] = [
        "AMQ_SCHEDULED_DELAY",
        "AMQ_SCHEDULED_PERIOD",
        "AMQ_SCHEDULED_REPEAT",
        "AMQ_SCHEDULED_CRON",
    ];
    match LATER.into_iter().find(|name| frame.get(name).is_some()) {
        Some(name) => Err(not_there(&format!("'{name}'"))),
        None => Ok(()),
    }
}
