//! One connection over a pipe in memory, in the runtime's paused time. Each test is
//! one promise of the drive loop.

use super::*;
use crate::stats::Ending;
use crate::testkit::{FakeEngine, LineFront, delivery, door};
use lockgate_model::{Alarm, Command, Event};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, timeout};

mod bounds;
mod end;
mod flow;
mod time;

const SECOND: Duration = Duration::from_secs(1);

/// What takes this long does not happen: paused time passes only when nothing else does.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// A connection and what is around it.
struct Bench {
    house: Arc<House<FakeEngine>>,
    engine: FakeEngine,
    peer: DuplexStream,
    task: JoinHandle<()>,
}

fn house(settings: Settings) -> Arc<House<FakeEngine>> {
    Arc::new(House {
        engine: FakeEngine::default(),
        door: Arc::new(door),
        clock: Clock::start(),
        settings,
        stats: Arc::default(),
        roll: Arc::default(),
    })
}

fn settings() -> Settings {
    Settings { denied_delay: Duration::ZERO, ..Settings::default() }
}

fn driver<S>(stream: S, house: &Arc<House<FakeEngine>>) -> Driver<S, FakeEngine>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let address = "192.0.2.1:7".parse().expect("an address");
    let peer = Peer { address, seed: 1, now: house.clock.now() };
    let seat = house.roll.enter(100, 100).expect("a seat");
    Driver::new(stream, &LineFront, "lines".into(), peer, house.clone(), seat)
}

impl Bench {
    /// Not logged in; the pipe holds `pipe` bytes in each direction.
    fn stranger(pipe: usize, settings: Settings) -> Bench {
        let (ours, peer) = duplex(pipe);
        let house = house(settings);
        let engine = house.engine.clone();
        let task = tokio::spawn(driver(ours, &house));
        Bench { house, engine, peer, task }
    }

    async fn with(pipe: usize, settings: Settings) -> Bench {
        let mut bench = Bench::stranger(pipe, settings);
        bench.send("login joe secret\n").await;
        bench.expect("welcome joe\n").await;
        bench
    }

    async fn new() -> Bench {
        Bench::with(1 << 20, settings()).await
    }

    async fn send(&mut self, text: &str) {
        self.peer.write_all(text.as_bytes()).await.expect("a pipe that takes it");
    }

    async fn expect(&mut self, text: &str) {
        let mut got = vec![0; text.len()];
        timeout(NEVER, self.peer.read_exact(&mut got)).await.expect(text).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&got), text);
    }

    /// One line, without its end.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            match self.peer.read_u8().await.expect("a line") {
                b'\n' => return line,
                byte => line.push(byte.into()),
            }
        }
    }

    /// Everything until the end.
    async fn rest(&mut self) -> String {
        let mut got = Vec::new();
        timeout(NEVER, self.peer.read_to_end(&mut got)).await.expect("an end").expect("no error");
        String::from_utf8_lossy(&got).into_owned()
    }

    /// The connection ends, and this is how it was counted.
    async fn ends(self, ending: Ending) -> Arc<House<FakeEngine>> {
        timeout(NEVER, self.task).await.expect("an end").expect("no panic");
        let all = Ending::ALL.map(|e| (e.name(), self.house.stats.closed(e)));
        let expected = Ending::ALL.map(|e| (e.name(), u64::from(e == ending)));
        assert_eq!(all, expected);
        assert_eq!(self.house.roll.len(), 0);
        self.house
    }
}

/// Lets every other task do what it can.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
