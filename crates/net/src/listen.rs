//! Sockets: how they are bound, and how what comes from them is set up.

use crate::Settings;
use lockgate_front::Front;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A place where peers of one front are awaited.
#[derive(Clone)]
pub struct Listener {
    /// Where; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Makes the sessions.
    pub front: Arc<dyn Front>,
    /// What operators call it: `amqp`, `mqtts`, ...
    pub kind: String,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({} {}, {})", self.kind, self.address, self.front.name())
    }
}

/// A listener that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {kind} on {address}: {}", cause(.source))]
pub struct BindError {
    /// The listener's kind.
    pub kind: String,
    /// Where it was to be.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// The common causes in words; the system's own for the others.
fn cause(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::AddrInUse => "the address is in use".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => "not permitted (ports below 1024 need a right)".into(),
        _ => e.to_string(),
    }
}

/// Binds one listener. `both` lets an IPv6 wildcard take IPv4 peers as well.
pub(crate) fn bind(
    address: SocketAddr,
    both: bool,
    settings: &Settings,
) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!both)?;
    }
    // Connections of the process before us may linger in the system for a minute.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Between probes of a silent peer's machine, which is given up after `PROBES`.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBES: u32 = 6;

/// Sets up an accepted connection: small writes leave at once, dead machines are found out.
pub(crate) fn prepare(stream: &tokio::net::TcpStream, settings: &Settings) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(settings.keepalive)
        .with_interval(PROBE_INTERVAL)
        .with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    if let Some(timeout) = settings.unacknowledged {
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(timeout))?;
        #[cfg(not(target_os = "linux"))]
        let _ = timeout;
    }
    Ok(())
}
