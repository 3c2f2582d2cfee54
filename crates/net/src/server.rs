//! The server: binds all listeners, takes connections, calls the engine when time
//! demands it, and stops in order. What a connection does is `drive`'s.

use crate::door::Doorkeeper;
use crate::drive::{Driver, House};
use crate::engine::Engine;
use crate::listen::{self, BindError, Listener};
use crate::roll::{Roll, Stage};
use crate::{Clock, Settings, Stats};
use lockgate_front::{Front, Peer};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

#[cfg(test)]
mod tests;

/// Bound listeners, and all that is needed to serve on them.
#[derive(Debug)]
pub struct Server {
    bound: Vec<Bound>,
    settings: Settings,
    stats: Arc<Stats>,
}

#[derive(Debug)]
struct Bound {
    socket: std::net::TcpListener,
    address: SocketAddr,
    listener: Listener,
}

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that did not end in time and were cut.
    pub cut: usize,
}

/// After time is up, what is left gets this long to be dropped.
const CUT_WAIT: Duration = Duration::from_secs(1);

/// When the system gives us no connections, it is asked again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The same trouble of a listener is said this often.
const SAY_AGAIN: Duration = Duration::from_secs(10);

impl Server {
    /// Binds all listeners or none. Needs no runtime yet.
    pub fn bind(listeners: Vec<Listener>, settings: Settings) -> Result<Server, BindError> {
        let all: Vec<SocketAddr> = listeners.iter().map(|l| l.address).collect();
        let bound = listeners.into_iter().map(|listener| {
            let at = listener.address;
            // A wildcard of each family on one port would else be in each other's way.
            let both = !all.iter().any(|a| a.is_ipv4() && a.port() == at.port());
            let bound = listen::bind(at, both, &settings)
                .and_then(|socket| Ok((socket.local_addr()?, socket)));
            match bound {
                Ok((address, socket)) => Ok(Bound { socket, address, listener }),
                Err(source) => Err(BindError { kind: listener.kind, address: at, source }),
            }
        });
        let bound = bound.collect::<Result<_, _>>()?;
        Ok(Server { bound, settings, stats: Arc::default() })
    }

    /// Each listener's kind and address, as bound, in the order given.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.bound.iter().map(|b| (b.listener.kind.clone(), b.address)).collect()
    }

    /// The counters.
    pub fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Serves until `shutdown` is cancelled and all connections have ended, or time is
    /// up for them. The engine lives on: what follows its last commands is its owner's.
    pub async fn run<E: Engine>(
        self,
        engine: E,
        door: Arc<dyn Doorkeeper>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> io::Result<Stopped> {
        let roll = Arc::new(Roll::default());
        let house = Arc::new(House {
            engine,
            door,
            clock,
            settings: self.settings,
            stats: self.stats,
            roll: roll.clone(),
        });
        // Dropped with this future: nothing of it outlives the server.
        let mut tasks = JoinSet::new();
        let seeds = Arc::new(Seeds::default());
        for bound in self.bound {
            let acceptor = Acceptor {
                socket: TcpListener::from_std(bound.socket)?,
                front: bound.listener.front,
                kind: bound.listener.kind.into(),
                house: house.clone(),
                seeds: seeds.clone(),
                said: None,
            };
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                shutdown.run_until_cancelled(acceptor.accept()).await;
            });
        }
        let ticker = tokio::spawn(tick(house.clone()));
        let ticker = tokio_util::task::AbortOnDropHandle::new(ticker);

        shutdown.cancelled().await;
        while tasks.join_next().await.is_some() {}
        roll.announce(Stage::Stopping);
        let mut cut = 0;
        if timeout(house.settings.stop, roll.empty()).await.is_err() {
            cut = roll.len();
            warn!(connections = cut, "connections did not end in time and are cut");
            roll.announce(Stage::Cut);
            // A task stuck in a poll can not be waited for.
            let _ = timeout(CUT_WAIT, roll.empty()).await;
        }
        ticker.abort();
        Ok(Stopped { cut })
    }
}

/// Calls the engine when it wants to be called.
async fn tick<E: Engine>(house: Arc<House<E>>) {
    loop {
        let now = house.clock.now();
        let next = house.engine.tick(now);
        let wait = next.map_or(house.settings.tick, |at| at.since(now));
        sleep(wait.max(Duration::from_millis(1))).await;
    }
}

/// Seeds that nobody can guess: a keyed hash, whose key is the process's own, of a counter.
#[derive(Debug, Default)]
struct Seeds {
    key: RandomState,
    next: AtomicU64,
}

impl Seeds {
    fn next(&self) -> u64 {
        self.key.hash_one(self.next.fetch_add(1, Relaxed))
    }
}

struct Acceptor<E: Engine> {
    socket: TcpListener,
    front: Arc<dyn Front>,
    kind: Arc<str>,
    house: Arc<House<E>>,
    seeds: Arc<Seeds>,
    /// When trouble was last said.
    said: Option<tokio::time::Instant>,
}

impl<E: Engine> Acceptor<E> {
    async fn accept(mut self) {
        loop {
            match self.socket.accept().await {
                Ok((stream, address)) => self.take(stream, address),
                Err(e) if is_theirs(&e) => {}
                Err(e) => {
                    self.house.stats.accept_errors.fetch_add(1, Relaxed);
                    if self.may_say() {
                        error!(kind = &*self.kind, cause = %e, "cannot accept connections");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn take(&mut self, stream: TcpStream, address: SocketAddr) {
        let settings = &self.house.settings;
        let (most, strangers) = (settings.connections_max, settings.unauthenticated_max);
        let seat = match self.house.roll.enter(most, strangers) {
            Ok(seat) => seat,
            Err(full) => {
                self.house.stats.refused.fetch_add(1, Relaxed);
                if self.may_say() {
                    warn!(kind = &*self.kind, limit = ?full, "too many: connection refused");
                }
                return;
            }
        };
        if let Err(e) = listen::prepare(&stream, settings) {
            // It is gone already; nothing else makes these calls fail.
            info!(kind = &*self.kind, peer = %address, cause = %e, "connection lost");
            return;
        }
        // Who is on loopback is judged by this: an IPv4 peer on an IPv6 socket is an IPv4 peer.
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let peer = Peer { address, seed: self.seeds.next(), now: self.house.clock.now() };
        let (kind, house) = (self.kind.clone(), self.house.clone());
        tokio::spawn(Driver::new(stream, &*self.front, kind, peer, house, seat));
    }

    /// True if trouble was not said lately.
    fn may_say(&mut self) -> bool {
        let now = tokio::time::Instant::now();
        let say = self.said.is_none_or(|said| now.duration_since(said) >= SAY_AGAIN);
        if say {
            self.said = Some(now);
        }
        say
    }
}

/// The connection failed before it was accepted: no reason to pause.
fn is_theirs(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
