//! What happens when, in paused time.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_session_gets_its_ticks() {
    let mut bench = Bench::new().await;
    bench.send("beat 100\n").await;
    let start = Instant::now();
    for _ in 0..10 {
        bench.expect("beat\n").await;
    }
    let took = start.elapsed();
    assert!((1000..1050).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_moves_on_is_kept_and_one_that_comes_nearer_too() {
    let mut bench = Bench::new().await;
    bench.send("silence 1000\n").await;
    for _ in 0..20 {
        advance(SECOND / 2).await;
        bench.send("echo x\n").await;
        bench.expect("x\n").await;
    }
    bench.send("beat 200\n").await;
    let start = Instant::now();
    bench.expect("beat\nbeat\n").await;
    assert!(start.elapsed() < SECOND / 2);
    bench.rest().await;
    assert!((1000..1100).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    bench.ends(Ending::Silent).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_read_is_not_called_silent() {
    let mut bench = Bench::new().await;
    bench.send("silence 1000\n").await;
    settle().await;
    bench.engine.tell(0, Event::Pause);
    tokio::time::sleep(60 * SECOND).await;
    assert!(!bench.task.is_finished());
    bench.engine.tell(0, Event::Resume);
    let start = Instant::now();
    bench.rest().await;
    assert!(start.elapsed() >= SECOND / 2);
    bench.ends(Ending::Silent).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_frame_is_long_on_its_way_is_not_called_silent() {
    let mut bench = Bench::new().await;
    bench.send("silence 1000\ndata 200000\n").await;
    for _ in 0..20 {
        tokio::time::sleep(SECOND * 9 / 10).await;
        bench.peer.write_all(&[b'x'; 10_000]).await.expect("room");
    }
    bench.expect("got 200000\n").await;
    bench.rest().await;
    bench.ends(Ending::Silent).await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_told_at_once_and_the_connection_kept() {
    let mut bench = Bench::stranger(4096, Settings::default());
    let start = Instant::now();
    bench.send("login joe wrong\n").await;
    bench.expect("denied\n").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    // What comes meanwhile is read and dropped.
    bench.send(&"login joe secret\n".repeat(1000)).await;
    let mut other = Bench::with(4096, settings()).await;
    other.send("echo quick\n").await;
    other.expect("quick\n").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(bench.rest().await, "");
    assert!((3000..3010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert_eq!(bench.engine.ports(), 0);
    let house = bench.ends(Ending::Denied).await;
    assert_eq!(house.stats.logins_denied.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_lets_a_peer_try_again_lets_it_try_no_faster() {
    let mut bench = Bench::stranger(4096, Settings::default());
    let start = Instant::now();
    bench.send("patient\nlogin joe wrong\nlogin joe wrong\nlogin joe secret\n").await;
    bench.expect("denied\n").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    bench.expect("denied\n").await;
    assert_eq!(start.elapsed().as_secs(), 3);
    bench.expect("welcome joe\n").await;
    assert_eq!(start.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_lets_in_when_it_has_come_to_its_end() {
    let mut bench = Bench::stranger(4096, Settings::default());
    bench.send("open sesame\n").await;
    bench.expect("who?\n").await;
    assert_eq!(bench.house.roll.enter(100, 1).err(), Some(crate::roll::Full::Unauthenticated));
    assert_eq!(bench.engine.ports(), 0);
    bench.send("answer sesame\n").await;
    bench.expect("welcome talker\n").await;
    assert_eq!(bench.engine.ports(), 1);
    assert!(bench.house.roll.enter(100, 1).is_ok());
    assert_eq!(bench.house.stats.logins_denied.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_that_comes_to_nothing_is_counted_and_the_next_one_waits() {
    let mut bench = Bench::stranger(4096, Settings::default());
    let start = Instant::now();
    bench.send("patient\nopen sesame\nanswer sesam\n").await;
    bench.expect("who?\ndenied\n").await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(bench.house.stats.logins_denied.load(Relaxed), 1);
    bench.send("open sesame\n").await;
    bench.expect("who?\n").await;
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_no_way_to_stay() {
    let mut bench = Bench::stranger(4096, settings());
    let start = Instant::now();
    for _ in 0..9 {
        bench.send("open sesame\n").await;
        bench.expect("who?\n").await;
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(bench.rest().await, "");
    assert_eq!(start.elapsed().as_secs(), 10);
    bench.ends(Ending::Handshake).await;
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_holds_a_seat_till_it_goes() {
    let mut bench = Bench::stranger(4096, Settings::default());
    bench.send("login joe wrong\n").await;
    bench.expect("denied\n").await;
    assert_eq!(bench.house.roll.enter(100, 1).err(), Some(crate::roll::Full::Unauthenticated));
    drop(std::mem::replace(&mut bench.peer, duplex(1).0));
    bench.ends(Ending::Denied).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_log_in_is_dropped_in_time() {
    for text in ["", "echo x\n", "login"] {
        let mut bench = Bench::stranger(4096, settings());
        bench.send(text).await;
        let start = Instant::now();
        bench.rest().await;
        assert_eq!(start.elapsed().as_secs(), 10);
        bench.ends(Ending::Handshake).await;
    }
}
