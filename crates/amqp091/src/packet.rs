//! The nouns: every method of AMQP 0-9-1 and of RabbitMQ's extensions, one row
//! each, in one table that the decoder, the encoder and the scripts are made from.

use lockgate_model::Table;
use std::fmt;

/// Hands the table of all methods to the macro `$then`.
///
/// A row is: class id, method id, wire name, variant, fields in wire order.
/// Kinds: octet u8, short u16, long u32, huge u64, bit, text (short string, UTF-8),
/// key (short string, any bytes), blob (long string), secret (long string, never
/// printed), raw (table, checked but not decoded), args (table).
macro_rules! method_table {
    ($then:ident) => {
        $then! {
            10 10 "connection.start" ConnectionStart {
                version_major: octet, version_minor: octet, server_properties: raw,
                mechanisms: blob, locales: blob
            }
            10 11 "connection.start_ok" ConnectionStartOk {
                client_properties: raw, mechanism: text, response: secret, locale: text
            }
            10 20 "connection.secure" ConnectionSecure { challenge: blob }
            10 21 "connection.secure_ok" ConnectionSecureOk { response: secret }
            10 30 "connection.tune" ConnectionTune {
                channel_max: short, frame_max: long, heartbeat: short
            }
            10 31 "connection.tune_ok" ConnectionTuneOk {
                channel_max: short, frame_max: long, heartbeat: short
            }
            10 40 "connection.open" ConnectionOpen {
                virtual_host: text, capabilities: text, insist: bit
            }
            10 41 "connection.open_ok" ConnectionOpenOk { known_hosts: text }
            10 50 "connection.close" ConnectionClose {
                reply_code: short, reply_text: key, class_id: short, method_id: short
            }
            10 51 "connection.close_ok" ConnectionCloseOk {}
            10 60 "connection.blocked" ConnectionBlocked { reason: text }
            10 61 "connection.unblocked" ConnectionUnblocked {}
            10 70 "connection.update_secret" ConnectionUpdateSecret {
                new_secret: secret, reason: text
            }
            10 71 "connection.update_secret_ok" ConnectionUpdateSecretOk {}
            20 10 "channel.open" ChannelOpen { out_of_band: text }
            20 11 "channel.open_ok" ChannelOpenOk { channel_id: blob }
            20 20 "channel.flow" ChannelFlow { active: bit }
            20 21 "channel.flow_ok" ChannelFlowOk { active: bit }
            20 40 "channel.close" ChannelClose {
                reply_code: short, reply_text: key, class_id: short, method_id: short
            }
            20 41 "channel.close_ok" ChannelCloseOk {}
            30 10 "access.request" AccessRequest {
                realm: text, exclusive: bit, passive: bit, active: bit, write: bit, read: bit
            }
            30 11 "access.request_ok" AccessRequestOk { ticket: short }
            40 10 "exchange.declare" ExchangeDeclare {
                ticket: short, exchange: text, kind: text, passive: bit, durable: bit,
                auto_delete: bit, internal: bit, no_wait: bit, arguments: args
            }
            40 11 "exchange.declare_ok" ExchangeDeclareOk {}
            40 20 "exchange.delete" ExchangeDelete {
                ticket: short, exchange: text, if_unused: bit, no_wait: bit
            }
            40 21 "exchange.delete_ok" ExchangeDeleteOk {}
            40 30 "exchange.bind" ExchangeBind {
                ticket: short, destination: text, source: text, routing_key: key,
                no_wait: bit, arguments: args
            }
            40 31 "exchange.bind_ok" ExchangeBindOk {}
            40 40 "exchange.unbind" ExchangeUnbind {
                ticket: short, destination: text, source: text, routing_key: key,
                no_wait: bit, arguments: args
            }
            40 51 "exchange.unbind_ok" ExchangeUnbindOk {}
            50 10 "queue.declare" QueueDeclare {
                ticket: short, queue: text, passive: bit, durable: bit, exclusive: bit,
                auto_delete: bit, no_wait: bit, arguments: args
            }
            50 11 "queue.declare_ok" QueueDeclareOk {
                queue: text, message_count: long, consumer_count: long
            }
            50 20 "queue.bind" QueueBind {
                ticket: short, queue: text, exchange: text, routing_key: key, no_wait: bit,
                arguments: args
            }
            50 21 "queue.bind_ok" QueueBindOk {}
            50 30 "queue.purge" QueuePurge { ticket: short, queue: text, no_wait: bit }
            50 31 "queue.purge_ok" QueuePurgeOk { message_count: long }
            50 40 "queue.delete" QueueDelete {
                ticket: short, queue: text, if_unused: bit, if_empty: bit, no_wait: bit
            }
            50 41 "queue.delete_ok" QueueDeleteOk { message_count: long }
            50 50 "queue.unbind" QueueUnbind {
                ticket: short, queue: text, exchange: text, routing_key: key, arguments: args
            }
            50 51 "queue.unbind_ok" QueueUnbindOk {}
            60 10 "basic.qos" BasicQos { prefetch_size: long, prefetch_count: short, global: bit }
            60 11 "basic.qos_ok" BasicQosOk {}
            60 20 "basic.consume" BasicConsume {
                ticket: short, queue: text, consumer_tag: text, no_local: bit, no_ack: bit,
                exclusive: bit, no_wait: bit, arguments: args
            }
            60 21 "basic.consume_ok" BasicConsumeOk { consumer_tag: text }
            60 30 "basic.cancel" BasicCancel { consumer_tag: text, no_wait: bit }
            60 31 "basic.cancel_ok" BasicCancelOk { consumer_tag: text }
            60 40 "basic.publish" BasicPublish {
                ticket: short, exchange: text, routing_key: key, mandatory: bit, immediate: bit
            }
            60 50 "basic.return" BasicReturn {
                reply_code: short, reply_text: key, exchange: text, routing_key: key
            }
            60 60 "basic.deliver" BasicDeliver {
                consumer_tag: text, delivery_tag: huge, redelivered: bit, exchange: text,
                routing_key: key
            }
            60 70 "basic.get" BasicGet { ticket: short, queue: text, no_ack: bit }
            60 71 "basic.get_ok" BasicGetOk {
                delivery_tag: huge, redelivered: bit, exchange: text, routing_key: key,
                message_count: long
            }
            60 72 "basic.get_empty" BasicGetEmpty { cluster_id: text }
            60 80 "basic.ack" BasicAck { delivery_tag: huge, multiple: bit }
            60 90 "basic.reject" BasicReject { delivery_tag: huge, requeue: bit }
            60 100 "basic.recover_async" BasicRecoverAsync { requeue: bit }
            60 110 "basic.recover" BasicRecover { requeue: bit }
            60 111 "basic.recover_ok" BasicRecoverOk {}
            60 120 "basic.nack" BasicNack { delivery_tag: huge, multiple: bit, requeue: bit }
            85 10 "confirm.select" ConfirmSelect { no_wait: bit }
            85 11 "confirm.select_ok" ConfirmSelectOk {}
            90 10 "tx.select" TxSelect {}
            90 11 "tx.select_ok" TxSelectOk {}
            90 20 "tx.commit" TxCommit {}
            90 21 "tx.commit_ok" TxCommitOk {}
            90 30 "tx.rollback" TxRollback {}
            90 31 "tx.rollback_ok" TxRollbackOk {}
        }
    };
}
pub(crate) use method_table;

/// The type of a field's kind.
macro_rules! kind_type {
    (octet) => { u8 };
    (short) => { u16 };
    (long) => { u32 };
    (huge) => { u64 };
    (bit) => { bool };
    (text) => { &'a str };
    (key) => { &'a [u8] };
    (blob) => { &'a [u8] };
    (secret) => { Secret<'a> };
    (raw) => { RawTable<'a> };
    (args) => { Table };
}

macro_rules! define {
    ($($class:literal $id:literal $name:literal $variant:ident { $($field:ident: $kind:ident),* })*) => {
        /// A method, in either direction.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)] // named as the specification names them
        pub enum Method<'a> {
            $($variant { $($field: kind_type!($kind)),* },)*
        }

        impl Method<'_> {
            /// Class and method id.
            pub fn id(&self) -> (u16, u16) {
                match self { $(Method::$variant { .. } => ($class, $id),)* }
            }

            /// `class.method`, as the specification and RabbitMQ's texts name it.
            pub fn name(&self) -> &'static str {
                match self { $(Method::$variant { .. } => $name,)* }
            }
        }

        /// `class.method` by its ids.
        pub fn method_name(class: u16, id: u16) -> Option<&'static str> {
            match (class, id) {
                $(($class, $id) => Some($name),)*
                _ => None,
            }
        }
    };
}
method_table!(define);

/// Bytes that may be a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a [u8]);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A field table as it stands on the wire, without its length: known to be well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawTable<'a>(pub &'a [u8]);

/// A content header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The class whose content it is.
    pub class: u16,
    /// Unused, must be zero.
    pub weight: u16,
    /// Bytes of the body that follows.
    pub body_size: u64,
    /// The property list (see `lockgate_model::Properties`).
    pub properties: &'a [u8],
}
