//! Maxima that more than one room must agree on.

/// Longest name or routing key, in bytes: what AMQP's short string can carry,
/// and so what every protocol can be told.
pub const NAME_BYTES_MAX: usize = 255;

/// How deep tables and arrays may nest. Stock clients use three at most;
/// beyond this a decoder's stack is what an attacker is after.
pub const NESTING_MAX: usize = 16;

/// Most values in one table, nested ones counted: bounds what a small frame of
/// one-byte values can make us allocate.
pub const VALUES_MAX: usize = 16_384;

/// Largest message body. RabbitMQ 3.x allows 128 MiB and applications rely on it.
pub const BODY_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// What a peer may make us hold before it has logged in.
pub const UNAUTHENTICATED_BYTES_MAX: usize = 64 * 1024;

/// What a message costs beside its own bytes, when buffers and windows are measured.
pub const MESSAGE_OVERHEAD_BYTES: usize = 64;
