//! Exchanges, queues and bindings: each method is one request, each answer one reply.

use super::channel::clean;
use super::{Connection, Reply, mailbox, short_count};
use crate::error::{Code, Fault};
use crate::packet::Method;
use bytes::Bytes;
use lockgate_front::Output;
use lockgate_model::{
    Binding, Destination, ExchangeKind, ExchangeSpec, Name, QueueSpec, Request, Table,
};

impl Connection {
    pub(super) fn exchange_method(
        &mut self,
        n: u16,
        method: Method<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let id = method.id();
        let (request, reply, no_wait) = match method {
            Method::ExchangeDeclare { exchange, passive: true, no_wait, .. } => {
                (Request::FindExchange(clean(exchange)), Reply::ExchangeDeclared, no_wait)
            }
            Method::ExchangeDeclare {
                exchange,
                kind,
                durable,
                auto_delete,
                internal,
                no_wait,
                arguments,
                ..
            } => {
                let kind = exchange_kind(kind)?;
                let name = clean(exchange);
                let spec = ExchangeSpec { name, kind, durable, auto_delete, internal, arguments };
                (Request::DeclareExchange(spec), Reply::ExchangeDeclared, no_wait)
            }
            Method::ExchangeDelete { exchange, if_unused, no_wait, .. } => {
                let request = Request::DeleteExchange { name: clean(exchange), if_unused };
                (request, Reply::ExchangeDeleted, no_wait)
            }
            Method::ExchangeBind {
                destination, source, routing_key, no_wait, arguments, ..
            } => {
                let binding = exchange_binding(destination, source, routing_key, arguments);
                (Request::Bind(binding), Reply::ExchangeBound, no_wait)
            }
            Method::ExchangeUnbind {
                destination, source, routing_key, no_wait, arguments, ..
            } => {
                let binding = exchange_binding(destination, source, routing_key, arguments);
                (Request::Unbind(binding), Reply::ExchangeUnbound, no_wait)
            }
            _ => return Err(Fault::new(Code::CommandInvalid, "unimplemented method")),
        };
        self.ask(n, id, request, (!no_wait).then_some(reply), out);
        Ok(())
    }

    pub(super) fn queue_method(
        &mut self,
        n: u16,
        method: Method<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let id = method.id();
        let (request, reply, no_wait) = match method {
            Method::QueueDeclare { queue, passive, no_wait, .. } => {
                let name = clean(queue);
                if let Some(done) = self.declare_mailbox(n, id, &name, no_wait, out) {
                    return done;
                }
                let request = if passive {
                    Request::FindQueue(name.clone())
                } else {
                    Request::DeclareQueue(queue_spec(name.clone(), method))
                };
                return self.declare_queue(n, id, name, request, no_wait, out);
            }
            Method::QueueBind { queue, exchange, routing_key, no_wait, arguments, .. } => {
                mailbox::unbindable(queue)?;
                let binding = self.queue_binding(n, queue, exchange, routing_key, arguments)?;
                (Request::Bind(binding), Reply::QueueBound, no_wait)
            }
            Method::QueueUnbind { queue, exchange, routing_key, arguments, .. } => {
                let binding = self.queue_binding(n, queue, exchange, routing_key, arguments)?;
                (Request::Unbind(binding), Reply::QueueUnbound, false)
            }
            Method::QueuePurge { queue, no_wait, .. } => {
                (Request::Purge(self.queue_named(n, queue)?), Reply::QueuePurged, no_wait)
            }
            Method::QueueDelete { queue, if_unused, if_empty, no_wait, .. } => {
                let name = self.queue_named(n, queue)?;
                let request = Request::DeleteQueue { name, if_unused, if_empty };
                (request, Reply::QueueDeleted, no_wait)
            }
            _ => return Err(Fault::new(Code::CommandInvalid, "unimplemented method")),
        };
        self.ask(n, id, request, (!no_wait).then_some(reply), out);
        Ok(())
    }

    /// A name that the broker is to choose must be known before anything else is read,
    /// even if nobody waits for it: the next method may mean it by an empty name.
    fn declare_queue(
        &mut self,
        n: u16,
        id: (u16, u16),
        name: Name,
        request: Request,
        no_wait: bool,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let reply = if no_wait && !name.is_empty() {
            self.channel(n)?.last_queue = Some(name);
            None
        } else {
            Some(Reply::QueueDeclared { silent: no_wait })
        };
        self.ask(n, id, request, reply, out);
        Ok(())
    }

    pub(super) fn queue_declared(
        &mut self,
        n: u16,
        silent: bool,
        name: Name,
        messages: u64,
        consumers: u32,
        out: &mut Output,
    ) -> Result<(), Fault> {
        self.channel(n)?.last_queue = Some(name.clone());
        if !silent {
            let method = Method::QueueDeclareOk {
                queue: &name,
                message_count: short_count(messages),
                consumer_count: consumers,
            };
            self.send(n, &method, out);
        }
        Ok(())
    }

    /// With neither queue nor key, the key is the queue's name (RabbitMQ's shorthand).
    fn queue_binding(
        &mut self,
        n: u16,
        queue: &str,
        exchange: &str,
        key: &[u8],
        arguments: Table,
    ) -> Result<Binding, Fault> {
        let name = self.queue_named(n, queue)?;
        let key = if queue.is_empty() && key.is_empty() {
            Bytes::copy_from_slice(name.as_bytes())
        } else {
            Bytes::copy_from_slice(key)
        };
        let (source, destination) = (clean(exchange), Destination::Queue(name));
        Ok(Binding { source, destination, key, arguments })
    }
}

fn queue_spec(name: Name, declare: Method<'_>) -> QueueSpec {
    let mut spec = QueueSpec {
        name,
        durable: false,
        exclusive: false,
        auto_delete: false,
        arguments: Table::default(),
    };
    if let Method::QueueDeclare { durable, exclusive, auto_delete, arguments, .. } = declare {
        spec = QueueSpec { durable, exclusive, auto_delete, arguments, ..spec };
    }
    spec
}

fn exchange_binding(destination: &str, source: &str, key: &[u8], arguments: Table) -> Binding {
    Binding {
        source: clean(source),
        destination: Destination::Exchange(clean(destination)),
        key: Bytes::copy_from_slice(key),
        arguments,
    }
}

/// A kind that we do not know ends the channel with 406, as in RabbitMQ from 3.13 on.
fn exchange_kind(name: &str) -> Result<ExchangeKind, Fault> {
    ExchangeKind::named(name).ok_or_else(|| {
        let what = if name.is_empty() { "invalid" } else { "unknown" };
        Fault::new(Code::PreconditionFailed, format!("{what} exchange type '{name}'"))
    })
}
