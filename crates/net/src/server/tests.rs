//! Real sockets on loopback.

use super::*;
use crate::Ending;
use crate::testkit::{FakeEngine, LineFront, door};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

fn listener(address: &str) -> Listener {
    let address = address.parse().expect("an address");
    Listener { address, front: Arc::new(LineFront), kind: "lines".into() }
}

fn settings() -> Settings {
    Settings { denied_delay: Duration::ZERO, ..Settings::default() }
}

struct Running {
    address: SocketAddr,
    engine: FakeEngine,
    stats: Arc<Stats>,
    stop: CancellationToken,
    task: JoinHandle<io::Result<Stopped>>,
}

fn serve(at: &str, settings: Settings) -> Running {
    let server = Server::bind(vec![listener(at)], settings).expect("bound");
    let address = server.addresses()[0].1;
    let (engine, stats, stop) = (FakeEngine::default(), server.stats(), CancellationToken::new());
    let task =
        tokio::spawn(server.run(engine.clone(), Arc::new(door), Clock::start(), stop.clone()));
    Running { address, engine, stats, stop, task }
}

async fn login(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(b"login joe secret\n").await.expect("sent");
    expect(&mut stream, "welcome joe\n").await;
    stream
}

async fn expect(stream: &mut TcpStream, text: &str) {
    let mut got = vec![0; text.len()];
    stream.read_exact(&mut got).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&got), text);
}

async fn ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
}

#[tokio::test]
async fn peers_are_served_and_told_to_go() {
    for at in ["127.0.0.1:0", "[::1]:0"] {
        let running = serve(at, settings());
        let mut one = login(running.address).await;
        let mut two = login(running.address).await;
        one.write_all(b"echo one\n").await.expect("sent");
        expect(&mut one, "one\n").await;
        running.stop.cancel();
        expect(&mut one, "bye\n").await;
        expect(&mut two, "bye\n").await;
        assert!(ended(&mut one).await && ended(&mut two).await);
        let stopped = running.task.await.expect("no panic").expect("served");
        assert_eq!(stopped, Stopped { cut: 0 });
        assert_eq!(running.stats.closed(Ending::Stopped), 2);
        assert!(running.engine.ticks() > 0);
        assert!(TcpStream::connect(running.address).await.is_err(), "no longer taken");
        assert_eq!(running.stats.bytes_read(), 17 * 2 + 9);
        assert_eq!(running.stats.bytes_written(), 12 * 2 + 4 + 4 * 2);
    }
}

#[tokio::test]
async fn who_does_not_end_in_time_is_cut() {
    let stop = Duration::from_millis(50);
    let running = serve("127.0.0.1:0", Settings { stop, ..settings() });
    let mut deaf = login(running.address).await;
    deaf.write_all(b"deaf\n echo\n").await.expect("sent");
    expect(&mut deaf, "what?\n").await;
    running.stop.cancel();
    expect(&mut deaf, "bye\n").await;
    assert!(ended(&mut deaf).await);
    let stopped = running.task.await.expect("no panic").expect("served");
    assert_eq!(stopped, Stopped { cut: 1 });
}

#[tokio::test]
async fn too_many_are_refused_and_room_comes_back() {
    let running = serve("127.0.0.1:0", Settings { connections_max: 2, ..settings() });
    let one = login(running.address).await;
    let mut two = login(running.address).await;
    let mut three = TcpStream::connect(running.address).await.expect("taken by the system");
    assert!(ended(&mut three).await);
    assert_eq!(running.stats.refused.load(Relaxed), 1);
    drop(one);
    two.write_all(b"close\n").await.expect("sent");
    assert!(ended(&mut two).await);
    while running.stats.closed(Ending::Gone) == 0 {
        tokio::task::yield_now().await;
    }
    login(running.address).await;
}

#[tokio::test]
async fn strangers_have_a_limit_of_their_own() {
    let running = serve("127.0.0.1:0", Settings { unauthenticated_max: 1, ..settings() });
    let mut first = TcpStream::connect(running.address).await.expect("taken");
    first.write_all(b"echo x\n").await.expect("sent");
    expect(&mut first, "x\n").await;
    let mut second = TcpStream::connect(running.address).await.expect("taken by the system");
    assert!(ended(&mut second).await);
    first.write_all(b"login joe secret\n").await.expect("sent");
    expect(&mut first, "welcome joe\n").await;
    login(running.address).await;
}

#[tokio::test]
async fn a_port_in_use_is_one_line_before_anything_is_served() {
    let taken = Server::bind(vec![listener("127.0.0.1:0")], settings()).expect("bound");
    let address = taken.addresses()[0].1.to_string();
    let both = vec![listener("127.0.0.1:0"), listener(&address)];
    let error = Server::bind(both, settings()).expect_err("in use").to_string();
    assert_eq!(error, format!("cannot listen for lines on {address}: the address is in use"));
}

#[tokio::test]
async fn a_wildcard_of_each_family_can_share_a_port() {
    let first = Server::bind(vec![listener("0.0.0.0:0")], settings()).expect("bound");
    let port = first.addresses()[0].1.port();
    drop(first);
    let both = vec![listener(&format!("0.0.0.0:{port}")), listener(&format!("[::]:{port}"))];
    let server = Server::bind(both, settings()).expect("both bound");
    assert!(server.addresses().iter().all(|(kind, a)| kind == "lines" && a.port() == port));
}

/// Tells who comes: peers of either family by their own address.
struct WhoFront(std::sync::Mutex<Vec<Peer>>);

impl Front for WhoFront {
    fn name(&self) -> &'static str {
        "who"
    }

    fn open(&self, peer: &Peer) -> Box<dyn lockgate_front::Session> {
        self.0.lock().expect("no panic").push(peer.clone());
        LineFront.open(peer)
    }
}

#[tokio::test]
async fn an_ipv4_peer_on_an_ipv6_socket_is_an_ipv4_peer_and_seeds_differ() {
    let who = Arc::new(WhoFront(Default::default()));
    let mut listener = listener("[::]:0");
    listener.front = who.clone();
    let server = Server::bind(vec![listener], settings()).expect("bound");
    let port = server.addresses()[0].1.port();
    let engine = FakeEngine::default();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(engine, Arc::new(door), Clock::start(), stop.clone()));
    login(SocketAddr::from(([127, 0, 0, 1], port))).await;
    login(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], port))).await;
    let peers = who.0.lock().expect("no panic").clone();
    assert!(peers.iter().all(|p| p.address.ip().is_loopback()), "{peers:?}");
    assert!(peers[0].address.is_ipv4() && peers[1].address.is_ipv6());
    assert_ne!(peers[0].seed, peers[1].seed);
    stop.cancel();
}

/// Sends lines of all lengths in pieces of all sizes, reads them back at its own pace.
async fn chatter(address: SocketAddr, seed: u64) {
    const LINES: u64 = 120;
    let length = move |n: u64| ((n * 7919 + seed * 104_729) % 2039).pow(2) as usize / 64;
    let (mut read, mut write) = login(address).await.into_split();
    let writer = tokio::spawn(async move {
        let mut text = Vec::new();
        for n in 0..LINES {
            text.extend_from_slice(b"echo ");
            text.resize(text.len() + length(n), b'a' + (n % 26) as u8);
            text.push(b'\n');
            if n % 5 == seed % 5 || n == LINES - 1 {
                for piece in text.chunks(1 + length(n + 1)) {
                    write.write_all(piece).await.expect("taken");
                }
                text.clear();
            }
        }
        write
    });
    for n in 0..LINES {
        let mut line = vec![0; length(n) + 1];
        read.read_exact(&mut line).await.expect("a line");
        assert_eq!(line.pop(), Some(b'\n'));
        assert!(line.iter().all(|b| *b == b'a' + (n % 26) as u8), "line {n} of {seed}");
    }
    drop(writer.await.expect("written"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_peers_at_once_each_get_their_own_and_all_of_it() {
    let running = serve("127.0.0.1:0", settings());
    let mut peers = JoinSet::new();
    for seed in 0..20 {
        peers.spawn(chatter(running.address, seed));
    }
    while let Some(done) = peers.join_next().await {
        done.expect("no panic");
    }
    running.stop.cancel();
    running.task.await.expect("no panic").expect("served");
}
