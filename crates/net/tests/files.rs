//! When the process may open no more files: a test of its own process, since the
//! limit is everybody's.

#[path = "../src/testkit.rs"]
mod testkit;

use lockgate_net::{Clock, Engine, Listener, Port, Server, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use testkit::{FakeEngine, LineFront, delivery, door};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn without_files_accepting_pauses_and_goes_on_when_there_are_some() {
    let address = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener { address, front: Arc::new(LineFront), kind: "lines".into() };
    let server = Server::bind(vec![listener], Settings::default()).expect("bound");
    let (address, stats) = (server.addresses()[0].1, server.stats());
    let engine = FakeEngine::default();
    let stop = CancellationToken::new();
    tokio::spawn(server.run(engine.clone(), Arc::new(door), Clock::start(), stop));

    let limit = getrlimit(Resource::Nofile);
    let client: std::net::TcpStream =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket")
            .into();
    // The next file would be the connection's: there is none.
    let next = std::fs::File::open("/dev/null").expect("a file");
    let current = Some(std::os::fd::AsRawFd::as_raw_fd(&next) as u64);
    drop(next);
    setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }).expect("a limit");
    socket2::SockRef::from(&client).connect(&address.into()).expect("taken by the system");
    let start = Instant::now();
    while stats.accept_errors.load(Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    assert!(start.elapsed() >= Duration::from_millis(200), "it spins");
    setrlimit(Resource::Nofile, limit).expect("the old limit");

    client.set_nonblocking(true).expect("set");
    let mut client = TcpStream::from_std(client).expect("a stream");
    client.write_all(b"login joe secret\n").await.expect("sent");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"welcome joe\n");
    engine.tell(0, delivery(b"hello"));
    let mut answer = [0; 6];
    client.read_exact(&mut answer).await.expect("a delivery");
    assert_eq!(&answer, b"hello\n");
}
