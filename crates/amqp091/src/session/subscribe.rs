//! Subscriptions: qos, consume, cancel in both directions.

use super::{Connection, Reply, Subscribed, mailbox};
use crate::error::{Code, Fault};
use crate::packet::Method;
use lockgate_front::Output;
use lockgate_model::{CancelCause, Consumer, Name, Request, Subscription, Table, Time};

impl Connection {
    pub(super) fn subscription_method(
        &mut self,
        n: u16,
        method: Method<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let id = method.id();
        match method {
            Method::BasicQos { prefetch_size, prefetch_count, global } => {
                self.qos(n, id, prefetch_size, prefetch_count, global, out)
            }
            Method::BasicConsume {
                queue,
                consumer_tag,
                no_ack,
                exclusive,
                no_wait,
                arguments,
                ..
            } => {
                let wanted = Wanted { no_ack, exclusive, no_wait, arguments };
                self.consume(n, id, queue, consumer_tag, wanted, out)
            }
            Method::BasicCancel { consumer_tag, no_wait } => {
                self.cancel(n, id, consumer_tag, no_wait, out)
            }
            _ => Err(Fault::new(Code::CommandInvalid, "unimplemented method")),
        }
    }

    /// RabbitMQ's reading: `global` is the whole channel, else each consumer to come.
    fn qos(
        &mut self,
        n: u16,
        id: (u16, u16),
        size: u32,
        count: u16,
        global: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if size != 0 {
            return Err(Fault::new(Code::NotImplemented, format!("prefetch_size!=0 ({size})")));
        }
        let limit = (count != 0).then_some(u32::from(count));
        if global {
            self.ask(n, id, Request::ShareLimit(limit), Some(Reply::Limited), out);
        } else {
            self.channel(n)?.prefetch = limit;
            return self.answer(n, id, Reply::Limited, out);
        }
        Ok(())
    }

    fn consume(
        &mut self,
        n: u16,
        id: (u16, u16),
        queue: &str,
        tag: &str,
        wanted: Wanted,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let replies = queue == mailbox::REPLY_TO;
        let queue = self.queue_named(n, queue)?;
        self.handles = self.handles.wrapping_add(1).max(1);
        let handle = self.handles;
        let tag = if tag.is_empty() { mailbox::tag(self.seed, handle) } else { Name::from(tag) };
        let channel = self.channel(n)?;
        if channel.tags.contains_key(&tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Fault::new(Code::NotAllowed, text));
        }
        let mut subscription = Subscription {
            queue,
            consumer: Consumer(handle),
            tag: tag.clone(),
            settled: wanted.no_ack,
            exclusive: wanted.exclusive,
            limit: channel.prefetch,
            arguments: wanted.arguments,
        };
        if replies {
            self.open_mailbox(n, id, &mut subscription, out)?;
        }
        self.channel(n)?.tags.insert(tag.clone(), handle);
        let request = Request::Subscribe(subscription);
        self.consumers.insert(handle, Subscribed { channel: n, tag: tag.clone() });
        let reply = (!wanted.no_wait).then_some(Reply::Subscribed(tag));
        self.ask(n, id, request, reply, out);
        Ok(())
    }

    /// An unknown tag is fine (section 1.8.3.5).
    fn cancel(
        &mut self,
        n: u16,
        id: (u16, u16),
        tag: &str,
        no_wait: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let channel = self.channel(n)?;
        if let Some(&consumer) = channel.tags.get(tag) {
            let reply = Reply::Unsubscribed { consumer, tag: Name::from(tag), silent: no_wait };
            self.ask(n, id, Request::Cancel(Consumer(consumer)), Some(reply), out);
            return Ok(());
        }
        if no_wait {
            return Ok(());
        }
        let reply = Reply::Unsubscribed { consumer: 0, tag: Name::from(tag), silent: false };
        self.answer(n, id, reply, out)
    }

    pub(super) fn unsubscribed(
        &mut self,
        n: u16,
        consumer: u32,
        tag: Name,
        silent: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        self.forget(consumer);
        if !silent {
            self.send(n, &Method::BasicCancelOk { consumer_tag: &tag }, out);
        }
        Ok(())
    }

    /// A subscription ended by itself: said to clients that want to know. Who held
    /// something for too long is told in any case, or it would wait for ever.
    pub(super) fn cancelled(
        &mut self,
        consumer: Consumer,
        cause: CancelCause,
        now: Time,
        out: &mut Output,
    ) {
        let Some(gone) = self.forget(consumer.0) else { return };
        let n = gone.channel;
        if self.client.cancel_notify {
            let cancel = Method::BasicCancel { consumer_tag: &gone.tag, no_wait: true };
            self.send(n, &cancel, out);
        } else if cause == CancelCause::TimedOut {
            let why = format!("delivery acknowledgement on channel {n} timed out");
            self.fail(n, Fault::new(Code::PreconditionFailed, why), now, out);
        }
    }

    fn forget(&mut self, consumer: u32) -> Option<Subscribed> {
        let gone = self.consumers.remove(&consumer)?;
        if let Some(channel) = self.slots.open(gone.channel) {
            channel.tags.remove(&gone.tag);
            channel.mailbox.take_if(|m| m.consumer == consumer);
        }
        Some(gone)
    }
}

/// What a consumer asked for beside its queue.
struct Wanted {
    no_ack: bool,
    exclusive: bool,
    no_wait: bool,
    arguments: Table,
}
