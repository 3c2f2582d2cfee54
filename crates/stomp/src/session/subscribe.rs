//! SUBSCRIBE and UNSUBSCRIBE: the queue that a destination means is made, bound and read, one
//! step behind the other, and the receipt is told when the last one is done.

use super::arguments::{consumer_arguments, durable_name, spec};
use super::ask::{Outcome, Steps};
use super::send::required;
use super::{Connection, Done};
use crate::destination::{Destination, misplaced};
use crate::error::{Fault, shown};
use crate::header::number;
use crate::map;
use crate::packet::Frame;
use crate::selector::Selector;
use crate::settings::{Dialect, Settings};
use lockgate_front::Output;
use lockgate_model::limits::NAME_BYTES_MAX;
use lockgate_model::{
    Binding, Consumer, Destination as To, Name, QueueSpec, Request, Subscription, Table,
};
use std::collections::{BTreeMap, VecDeque};

/// How messages of a subscription are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Delivered is done.
    Auto,
    /// By ACK, each with all before it.
    Cumulative,
    /// By ACK, each on its own.
    Individual,
}

/// A subscription of this connection.
#[derive(Debug)]
pub(super) struct Subscribed {
    /// `T_` and its id, or `Q_` and its destination where it has none.
    pub(super) tag: Name,
    pub(super) mode: Mode,
    /// The queue to delete, if UNSUBSCRIBE says that the subscription is not to last.
    durable: Option<Name>,
    /// Which messages it wants, if not all.
    pub(super) selector: Option<Box<Selector>>,
    /// What it reads.
    pub(super) queue: Name,
}

/// What a SUBSCRIBE comes to.
#[derive(Debug)]
pub(super) struct Wish {
    /// What is read.
    pub(super) queue: Name,
    /// What must be asked for before.
    pub(super) left: VecDeque<Request>,
    /// Most messages in flight.
    pub(super) limit: Option<u32>,
    pub(super) arguments: Table,
    pub(super) selector: Option<Selector>,
    /// The queue to delete when the subscription is not to last any longer.
    pub(super) durable: Option<Name>,
}

impl Subscribed {
    /// Its id as its subscriber gave it.
    pub(super) fn id(&self) -> Option<&str> {
        self.tag.strip_prefix("T_")
    }

    /// As RabbitMQ's texts speak of it.
    fn description(tag: &str) -> String {
        match tag.strip_prefix("T_") {
            Some(id) => format!("id='{id}'"),
            None => format!("destination='{}'", tag.strip_prefix("Q_").unwrap_or(tag)),
        }
    }
}

/// The subscriptions of a connection, by handle and by tag. A handle is never used twice.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_handle: BTreeMap<u32, Subscribed>,
    by_tag: BTreeMap<Name, u32>,
    last: u32,
}

impl Subscriptions {
    #[inline]
    pub(super) fn get(&self, handle: u32) -> Option<&Subscribed> {
        self.by_handle.get(&handle)
    }

    fn add(&mut self, tag: Name, mode: Mode, settings: &Settings) -> Result<u32, Fault> {
        self.check_new(&tag, settings)?;
        self.last += 1;
        self.by_tag.insert(tag.clone(), self.last);
        let (durable, selector, queue) = (None, None, Name::default());
        self.by_handle.insert(self.last, Subscribed { tag, mode, durable, selector, queue });
        Ok(self.last)
    }

    /// Is there room for one more, of this tag?
    fn check_new(&self, tag: &Name, settings: &Settings) -> Result<(), Fault> {
        if self.by_tag.contains_key(tag) {
            let text = format!("A subscription identified by '{tag}' already exists.");
            return Err(Fault::last("Duplicated subscription identifier", text));
        }
        if self.by_handle.len() >= settings.subscriptions_max {
            let text = format!("A connection may have {}\n", settings.subscriptions_max);
            return Err(Fault::new("Too many subscriptions", text));
        }
        Ok(())
    }

    /// A subscription to a reply queue, whose id is what its owner calls the queue.
    pub(super) fn add_replies(
        &mut self,
        id: &str,
        settings: &Settings,
    ) -> Result<(u32, Name), Fault> {
        let tag = Name::from(format!("T_{id}"));
        let handle = self.add(tag.clone(), Mode::Auto, settings)?;
        Ok((handle, tag))
    }

    pub(super) fn forget(&mut self, handle: u32) {
        if let Some(gone) = self.by_handle.remove(&handle) {
            self.by_tag.remove(&gone.tag);
        }
    }
}

impl Connection {
    pub(super) fn subscribe(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<Done, Fault> {
        let tag = tag(frame, "SUBSCRIBE");
        let mode = mode(frame)?;
        let (wish, old) = match self.dialect {
            Dialect::RabbitMq => (self.wish(frame)?, None),
            Dialect::ActiveMq => match self.active_wish(frame, mode, out)? {
                Some(wish) => (wish, self.subscriptions.by_tag.get(&tag.clone()?).copied()),
                None => return Ok(Done::Later),
            },
        };
        let tag = tag?;
        let Wish { queue, mut left, limit, arguments, selector, durable } = wish;
        if let Some(old) = old {
            // The same id again takes the place of the old one.
            self.subscriptions.forget(old);
            left.push_front(Request::Cancel(Consumer(old)));
        }
        let handle = self.subscriptions.add(tag.clone(), mode, &self.settings)?;
        if let Some(subscribed) = self.subscriptions.by_handle.get_mut(&handle) {
            subscribed.durable = durable;
            subscribed.selector = selector.map(Box::new);
            subscribed.queue = queue.clone();
        }
        let binds = left.iter().any(|request| matches!(request, Request::Bind(_)));
        let declares = left.iter().any(|request| matches!(request, Request::DeclareQueue(_)));
        left.push_back(Request::Subscribe(Subscription {
            queue: queue.clone(),
            consumer: Consumer(handle),
            tag,
            settled: mode == Mode::Auto,
            exclusive: false,
            limit,
            arguments,
        }));
        let receipt = frame.get("receipt").map(Into::into);
        let made = (binds && declares).then(|| queue.clone());
        self.walk(Steps { left, receipt, outcome: Outcome::Subscribed { made } }, out);
        if declares && !binds {
            // Were it refused, the connection would be over.
            self.remember_declared(queue);
        }
        Ok(Done::Taken)
    }

    /// What a SUBSCRIBE wishes by RabbitMQ's rules.
    fn wish(&mut self, frame: &Frame<'_>) -> Result<Wish, Fault> {
        check_durable(frame)?;
        let destination = Destination::parse(required(frame, "SUBSCRIBE")?)?;
        if let Some(selector) = frame.get("selector") {
            let text =
                format!("'selector' is not supported on 'SUBSCRIBE': '{}'.\n", shown(selector));
            return Err(Fault::new("Invalid header", text));
        }
        let limit = match frame.get("prefetch-count") {
            None => None,
            Some(value) => {
                let count = number(value).and_then(|n| u32::try_from(n).ok());
                let count = count.ok_or_else(|| map::no_number("prefetch-count", value))?;
                Some(count).filter(|n| *n > 0)
            }
        };
        let arguments = consumer_arguments(frame)?;
        // Before anything is drawn or made for one that will be refused.
        if let Ok(tag) = tag(frame, "SUBSCRIBE") {
            self.subscriptions.check_new(&tag, &self.settings)?;
        }
        let Reading { queue, declare, binding, durable } = self.reading(frame, &destination)?;
        let mut left: VecDeque<Request> = declare.map(Request::DeclareQueue).into_iter().collect();
        left.extend(binding.map(Request::Bind));
        Ok(Wish { queue, left, limit, arguments, selector: None, durable })
    }

    /// What is to be read for a destination, and what must be made before.
    fn reading(
        &mut self,
        frame: &Frame<'_>,
        destination: &Destination<'_>,
    ) -> Result<Reading, Fault> {
        let (exchange, key) = match destination {
            Destination::Queue(name) => {
                let declare = match self.declared.contains(&**name) {
                    true => None,
                    false => {
                        let lasts = truth_of_durable(frame).unwrap_or(true);
                        Some(spec(frame, Name::from(&**name), lasts, !lasts, !lasts)?)
                    }
                };
                let queue = Name::from(&**name);
                return Ok(Reading { queue, declare, binding: None, durable: None });
            }
            Destination::AmqQueue(name) | Destination::ReplyQueue(name) => {
                let queue = Name::from(&**name);
                return Ok(Reading { queue, declare: None, binding: None, durable: None });
            }
            Destination::TempQueue(_) | Destination::TempTopic(_) => {
                let text = frame.get("destination").unwrap_or_default();
                return Err(misplaced(text, "SUBSCRIBE"));
            }
            Destination::Topic(key) => (self.settings.topic_exchange.clone(), key),
            Destination::Exchange { name, key } => (Name::from(&**name), key),
        };
        let lasts = truth_of_durable(frame).unwrap_or(false);
        let queue = match (frame.text("x-queue-name"), frame.get("id")) {
            (Some(name), _) => Name::from(name),
            (None, Some(id)) if lasts => Name::from(durable_name(key.as_bytes(), id)),
            _ => Name::from(format!("stomp-subscription-{}", self.draw("subscription"))),
        };
        if queue.is_empty() || queue.len() > NAME_BYTES_MAX {
            let text = format!("'x-queue-name' is empty or longer than {NAME_BYTES_MAX} bytes.\n");
            return Err(Fault::new("Invalid header", text));
        }
        let spec = spec(frame, queue.clone(), lasts, false, true)?;
        let binding = Binding {
            source: exchange,
            destination: To::Queue(queue.clone()),
            key: key.as_bytes().to_vec().into(),
            arguments: Table::default(),
        };
        let durable =
            matches!(destination, Destination::Topic(_)).then(|| queue.clone()).filter(|_| lasts);
        Ok(Reading { queue, declare: Some(spec), binding: Some(binding), durable })
    }

    pub(super) fn unsubscribe(&mut self, frame: &Frame<'_>, out: &mut Output) -> Result<(), Fault> {
        let active = self.dialect == Dialect::ActiveMq;
        let lasting = if active { self.active_forget(frame)? } else { None };
        if !active {
            check_durable(frame)?;
        }
        let tag = match (tag(frame, "UNSUBSCRIBE"), lasting.is_some()) {
            // A subscription that lasts can end without being there.
            (Err(_), true) => Name::default(),
            (tag, _) => tag?,
        };
        let found = self.subscriptions.by_tag.get(&tag).copied();
        if let (None, Some(request)) = (found, lasting.clone()) {
            let receipt = frame.get("receipt").map(Into::into);
            let left = [request].into();
            self.walk(Steps { left, receipt, outcome: Outcome::Nothing }, out);
            return Ok(());
        }
        let Some(handle) = found else {
            let what = Subscribed::description(&tag);
            let text = format!(
                "UNSUBSCRIBE must refer to an existing subscription.\n\
                 Subscription to \"{}\" not found.\n",
                shown(what.as_bytes())
            );
            return Err(Fault::new("No subscription found", text));
        };
        let mut left = VecDeque::from([Request::Cancel(Consumer(handle))]);
        left.extend(lasting);
        if !active
            && truth_of_durable(frame) == Some(true)
            && let Some(name) = self.subscriptions.get(handle).and_then(|s| s.durable.clone())
        {
            left.push_back(Request::DeleteQueue { name, if_unused: false, if_empty: false });
        }
        let receipt = frame.get("receipt").map(Into::into);
        self.walk(Steps { left, receipt, outcome: Outcome::Unsubscribed(handle) }, out);
        Ok(())
    }

    /// A subscription ended by itself.
    pub(super) fn cancelled(&mut self, consumer: Consumer, out: &mut Output) {
        let Some(gone) = self.subscriptions.get(consumer.0) else { return };
        let what = Subscribed::description(&gone.tag);
        let id = gone.tag.get(2..).unwrap_or_default().to_owned();
        let text = format!(
            "The server has canceled a subscription.\n\
             No more messages will be delivered for \"{what}\".\n"
        );
        self.subscriptions.forget(consumer.0);
        let fault = Fault::new("Server cancelled subscription", text);
        self.say_error(&fault, Some(("subscription", id.as_bytes())), out);
    }
}

/// What is to be read.
struct Reading {
    queue: Name,
    declare: Option<QueueSpec>,
    binding: Option<Binding>,
    durable: Option<Name>,
}

/// The same subscription again is the same queue again, so a durable one must have an id.
fn check_durable(frame: &Frame<'_>) -> Result<(), Fault> {
    let durable = ["durable", "persistent"].iter().any(|name| frame.get(name) == Some(b"true"));
    if durable && frame.get("id").is_none() {
        let text = "Header 'id' is required for durable subscriptions";
        return Err(Fault::new("Missing Header", text));
    }
    Ok(())
}

/// `durable`, and its other name.
fn truth_of_durable(frame: &Frame<'_>) -> Option<bool> {
    match (frame.truth("durable"), frame.truth("persistent")) {
        (Some(a), Some(b)) => Some(a || b),
        (a, b) => a.or(b),
    }
}

fn mode(frame: &Frame<'_>) -> Result<Mode, Fault> {
    match frame.get("ack") {
        None | Some(b"auto") => Ok(Mode::Auto),
        Some(b"client") => Ok(Mode::Cumulative),
        Some(b"client-individual") => Ok(Mode::Individual),
        Some(other) => {
            let text = format!(
                "'{}' is not a valid 'ack': auto, client or client-individual.\n",
                shown(other)
            );
            Err(Fault::new("Invalid header", text))
        }
    }
}

/// What a subscription is known by.
fn tag(frame: &Frame<'_>, command: &str) -> Result<Name, Fault> {
    let text = |prefix: &str, value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) if text.len() + 2 <= NAME_BYTES_MAX => Ok(Name::from(format!("{prefix}{text}"))),
        _ => {
            let text = format!("{command} 'id' is too long or not UTF-8\n");
            Err(Fault::new("Invalid id", text))
        }
    };
    match (frame.get("id"), frame.get("destination")) {
        (Some(id), _) if id.starts_with(b"/temp-queue/") => {
            let text = format!("{command} 'id' may not start with /temp-queue/\n");
            Err(Fault::new("Invalid id", text))
        }
        (Some(id), _) => text("T_", id),
        (None, Some(destination)) => text("Q_", destination),
        (None, None) => {
            let text = format!("{command} must include a 'destination' or 'id' header");
            Err(Fault::new("Missing destination or id", text))
        }
    }
}
