//! WebSocket (RFC 6455) around the session of any other front, and ports that several
//! protocols share.
//!
//! In: the server's side of the handshake and of the framing, both strict; the inner front
//! chosen by sub-protocol, then by path, then by the first bytes; pages' origins. Not in:
//! extensions (permessage-deflate is never agreed to: a small frame could unpack to a large
//! one), HTTP/2 (RFC 8441), files. The handshake's and the frames' parts are tungstenite's;
//! its own socket is not used, since it would hold every message whole, in both directions.
//!
//! ```text
//!  peer                         WebSocket session                          inner session
//!
//!  GET ... Upgrade --> Request --101--> Choosing (until tokens, path or the
//!                         |                |      first bytes have told whose it is)
//!       <-- 4xx, 5xx -----+                v
//!  frames --unmask--> bytes as one stream, whatever messages they came in --> receive
//!  frames <--heads put in front of whole packets, where they stand --------- Output.bytes
//!                                          |                                 all else of
//!  close <-- close frame ----------------> Over                              Output: as it is
//! ```
//!
//! What the peer sends while the inner session wants nothing is left to whoever drives it:
//! the last byte is not said to be used until then, so that back-pressure is the driver's.

mod auto;
mod frame;
mod inner;
mod plain;
mod request;
mod session;
#[cfg(test)]
mod tests;
mod text;

pub use auto::Auto;
pub use inner::{Inner, Packet};

use lockgate_front::{Front, Peer, Session};
use lockgate_model::limits::BODY_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest message that a peer may send, of all its fragments.
    pub message_max: u64,
    /// Origins of pages that may connect: `https://example.org`, `https://*.example.org` or
    /// `*`. Without any, all may, except that a browser on this machine must show a page of
    /// this machine.
    pub origins: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { message_max: 2 * BODY_BYTES_MAX, origins: Vec::new() }
    }
}

/// The protocol: makes a session for each connection.
#[derive(Clone)]
pub struct WebSocket {
    shared: Arc<Shared>,
}

/// What all sessions of one listener share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) inners: Vec<Inner>,
}

impl WebSocket {
    /// WebSocket around these.
    pub fn new(settings: Settings, inners: Vec<Inner>) -> WebSocket {
        WebSocket { shared: Arc::new(Shared { settings, inners }) }
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.shared.inners.iter().map(|inner| inner.front.name())).finish()
    }
}

impl Front for WebSocket {
    fn name(&self) -> &'static str {
        "websocket"
    }

    fn open(&self, peer: &Peer) -> Box<dyn Session> {
        Box::new(session::Connection::new(self.shared.clone(), peer))
    }
}
