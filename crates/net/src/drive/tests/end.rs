//! The ends a connection can come to.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_closed_connection_lingers_until_the_peer_has_read_why() {
    let mut bench = Bench::with(1024, settings()).await;
    bench.send("echo last words\nclose 5000\n").await;
    assert_eq!(bench.rest().await, "last words\n");
    assert!(bench.engine.desk(0, |desk| desk.gone), "the engine knows at once");
    // What still comes is read and dropped, well beyond what the pipe holds.
    for _ in 0..100 {
        bench.send(&"publish never\n".repeat(100)).await;
    }
    let start = Instant::now();
    assert!(!bench.task.is_finished());
    let engine = bench.engine.clone();
    bench.ends(Ending::Agreed).await;
    assert!((4900..5010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert!(engine.desk(0, |desk| desk.batches.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn lingering_ends_when_the_peer_closes() {
    let mut bench = Bench::new().await;
    bench.send("close 5000\n").await;
    bench.rest().await;
    let start = Instant::now();
    drop(std::mem::replace(&mut bench.peer, duplex(1).0));
    bench.ends(Ending::Agreed).await;
    assert!(start.elapsed() < SECOND);
}

#[tokio::test(start_paused = true)]
async fn last_words_that_nobody_reads_are_given_up() {
    let mut bench = Bench::with(64, settings()).await;
    bench.send(&format!("echo {}\nclose 1000\n", "x".repeat(1000))).await;
    let start = Instant::now();
    bench.ends(Ending::Agreed).await;
    assert!((5000..5010).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_in_the_end_does_not_change_why_it_ended() {
    let mut bench = Bench::with(64, settings()).await;
    bench.send(&format!("echo {}\nfault\n", "x".repeat(1000))).await;
    settle().await;
    assert!(!bench.task.is_finished(), "last words wait to be read");
    drop(std::mem::replace(&mut bench.peer, duplex(1).0));
    bench.ends(Ending::Fault).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_the_end_reaches_the_engine() {
    for end in ["close\n", "fault\n", ""] {
        let mut bench = Bench::new().await;
        bench.send(&format!("publish x\nsettle\n{end}")).await;
        bench.peer.shutdown().await.expect("shut down");
        bench.engine.until(0, |desk| desk.gone).await;
        assert_eq!(bench.engine.desk(0, |desk| desk.batches.iter().flatten().count()), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_goes_without_a_word_still_gets_its_answers() {
    let mut bench = Bench::new().await;
    bench.send("echo one\necho two\n").await;
    bench.peer.shutdown().await.expect("shut down");
    assert_eq!(bench.rest().await, "one\ntwo\n");
    bench.ends(Ending::Gone).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_own_connection_only() {
    let mut bench = Bench::new().await;
    let mut other = tokio::spawn(driver(duplex(64).0, &bench.house));
    settle().await;
    bench.send("echo one\n").await;
    bench.expect("one\n").await;
    bench.send("panic\n").await;
    bench.rest().await;
    bench.engine.until(0, |desk| desk.gone).await;
    assert_eq!(bench.house.stats.closed(Ending::Panicked), 1);
    assert!(timeout(SECOND, &mut other).await.is_err() || other.is_finished());
    let mut next = Bench::new().await;
    next.send("echo as ever\n").await;
    next.expect("as ever\n").await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_told_and_the_deaf_are_cut() {
    let mut bench = Bench::new().await;
    bench.house.roll.announce(Stage::Stopping);
    assert_eq!(bench.rest().await, "bye\n");
    bench.ends(Ending::Stopped).await;

    let mut bench = Bench::new().await;
    bench.send("deaf\n").await;
    settle().await;
    bench.house.roll.announce(Stage::Stopping);
    bench.expect("bye\n").await;
    settle().await;
    assert!(!bench.task.is_finished());
    bench.house.roll.announce(Stage::Cut);
    bench.ends(Ending::Stopped).await;
}
