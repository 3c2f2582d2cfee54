//! What is read, in which pieces, and what it may cost.

use super::*;
use std::task::Waker;

#[tokio::test(start_paused = true)]
async fn a_conversation_is_the_same_however_it_is_cut() {
    let text =
        "login joe secret\necho one\ndata 5\n12345ask\nask\necho two\ndata 0\nclose\necho no\n";
    let answer = "welcome joe\none\ngot 5\nanswered\nanswered\ntwo\ngot 0\n";
    for cut in 0..text.len() {
        let mut bench = Bench::stranger(1 << 20, settings());
        bench.send(&text[..cut]).await;
        settle().await;
        // The end of it may find the connection closed already.
        let _ = bench.peer.write_all(&text.as_bytes()[cut..]).await;
        assert_eq!(bench.rest().await, answer, "cut at {cut}");
    }
    let bench = Bench::stranger(1, settings());
    let (mut read, mut write) = tokio::io::split(bench.peer);
    let writer = tokio::spawn(async move {
        let _ = write.write_all(text.as_bytes()).await;
    });
    let mut got = String::new();
    read.read_to_string(&mut got).await.expect("an end");
    assert_eq!(got, answer);
    writer.await.expect("written");
}

#[tokio::test(start_paused = true)]
async fn what_one_read_brings_is_one_batch() {
    let mut bench = Bench::new().await;
    bench.send(&"publish x\n".repeat(1000)).await;
    bench.engine.until(0, |desk| !desk.batches.is_empty()).await;
    let batches =
        bench.engine.desk(0, |desk| desk.batches.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(batches, [1000]);
}

#[tokio::test(start_paused = true)]
async fn a_large_frame_is_handed_over_once_and_whole() {
    const LARGE: usize = 3 * 1024 * 1024;
    let mut bench = Bench::with(16 * 1024, settings()).await;
    bench.send(&format!("data {LARGE}\n")).await;
    settle().await;
    bench.peer.write_all(&vec![b'x'; LARGE]).await.expect("room");
    bench.send("echo after\ncalls\n").await;
    bench.expect(&format!("got {LARGE}\nafter\n")).await;
    // The login, the frame's head, and the frame with or without what follows.
    let calls: usize = bench.line().await.parse().expect("a number");
    assert!(calls <= 5, "{calls} calls");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_holds_no_buffer() {
    assert!(size_of::<Driver<tokio::net::TcpStream, FakeEngine>>() <= 512);
    let (ours, mut peer) = duplex(4 << 20);
    let house = house(settings());
    let mut driver = Box::pin(driver(ours, &house));
    let mut poll = |text: String| {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(std::pin::pin!(peer.write_all(text.as_bytes())).poll(&mut cx).is_ready());
        for _ in 0..20 {
            assert!(driver.as_mut().poll(&mut cx).is_pending());
        }
        (driver.intake.held(), driver.outlet.held())
    };
    let body = "x".repeat(10_000);
    assert_eq!(poll("login joe secret\n".into()), (0, 0));
    assert_eq!(poll(format!("echo {body}\n").repeat(50)), (0, 0));
    assert_eq!(poll(format!("data 300000\n{}", body.repeat(30))), (0, 0));
    assert_eq!(poll("echo par".into()), (8, 0), "the beginning of a line is kept, and only that");
    assert_eq!(poll("tial\n".into()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_may_send_64_kib_in_all_and_costs_the_engine_nothing() {
    for text in ["echo x\n".repeat(20_000), "x".repeat(200_000), "data 70000\n".into()] {
        let mut bench = Bench::stranger(1 << 20, settings());
        bench.send(&text).await;
        assert!(bench.rest().await.len() < 64 * 1024);
        assert_eq!(bench.engine.ports(), 0);
        let house = bench.ends(Ending::Fault).await;
        assert!(house.stats.bytes_read() <= (1 << 20) + 64 * 1024, "the rest is only dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_that_sends_ahead_is_served_once_let_in() {
    let ahead = format!("login joe secret\n{}", "echo 1234567\n".repeat(20_000));
    let mut bench = Bench::stranger(1 << 20, settings());
    bench.send(&ahead).await;
    bench.expect("welcome joe\n").await;
    bench.expect(&"1234567\n".repeat(20_000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_not_read_either() {
    let mut bench = Bench::with(4096, settings()).await;
    let line = format!("echo {}\n", "x".repeat(1000));
    let mut sent = 0;
    while timeout(SECOND, bench.send(&line)).await.is_ok() {
        sent += line.len();
        assert!(sent < 2 << 20, "no bound");
    }
    assert!(sent > 1 << 20, "only {sent} bytes were taken");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_reader_is_bounded_and_loses_nothing() {
    let mut bench = Bench::with(4096, settings()).await;
    const EVENTS: usize = 100;
    for n in 0..EVENTS {
        bench.engine.tell(0, delivery(&vec![b'a' + (n % 26) as u8; 100_000]));
    }
    settle().await;
    let left = bench.engine.desk(0, |desk| desk.events.len());
    assert!((EVENTS - 12..=EVENTS - 10).contains(&left), "{left} left with the engine");
    for n in 0..EVENTS {
        let mut body = vec![0; 100_001];
        bench.peer.read_exact(&mut body).await.expect("a body");
        assert!(body[..100_000].iter().all(|b| *b == b'a' + (n % 26) as u8), "body {n}");
    }
}
