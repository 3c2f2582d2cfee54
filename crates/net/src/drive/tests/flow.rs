//! Pause, resume, alarms, and the way back of what deliveries cost.

use super::*;

fn alarm(alarm: Alarm, raised: bool) -> Event {
    Event::Alarm { alarm, raised }
}

/// The peer says something and the engine hears it, or not.
async fn is_read(bench: &mut Bench) -> bool {
    let before = bench.engine.desk(0, |desk| desk.batches.len());
    bench.send("settle\n").await;
    settle().await;
    bench.engine.desk(0, |desk| desk.batches.len()) > before
}

#[tokio::test(start_paused = true)]
async fn a_paused_peer_is_not_read_until_resumed() {
    let mut bench = Bench::new().await;
    assert!(is_read(&mut bench).await);
    bench.engine.tell(0, Event::Pause);
    settle().await;
    assert!(!is_read(&mut bench).await);
    bench.engine.tell(0, delivery(b"still delivered"));
    bench.expect("still delivered\n").await;
    bench.engine.tell(0, Event::Resume);
    bench.engine.until(0, |desk| desk.batches.len() == 2).await;
    assert!(is_read(&mut bench).await);
}

#[tokio::test(start_paused = true)]
async fn an_alarm_stops_those_who_have_published_and_is_told() {
    let mut bench = Bench::new().await;
    bench.engine.tell(0, alarm(Alarm::Disk, true));
    bench.expect("blocked\n").await;
    assert!(is_read(&mut bench).await, "a peer that only settles");
    bench.send("publish x\n").await;
    settle().await;
    assert!(!is_read(&mut bench).await);
    bench.engine.tell(0, alarm(Alarm::Disk, false));
    bench.expect("free\n").await;
    assert!(is_read(&mut bench).await);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_given_back_to_the_engine() {
    const BODY: usize = 1000;
    const BODIES: usize = 600;
    let mut bench = Bench::with(16 * 1024, settings()).await;
    for _ in 0..BODIES {
        bench.engine.tell(0, delivery(&[b'x'; BODY]));
    }
    settle().await;
    assert_eq!(given_back(&bench), 0, "nothing is read, so little is written");
    let mut got = vec![0; 1001];
    for _ in 0..BODIES {
        bench.peer.read_exact(&mut got).await.expect("a body");
    }
    settle().await;
    let left = (BODY * BODIES) as u64 - given_back(&bench);
    assert!(left < 16 * 1024, "{left} kept back");
    // What is kept leaves along with whatever is submitted next.
    assert!(is_read(&mut bench).await);
    assert_eq!(given_back(&bench), (BODY * BODIES) as u64);
    let commands = bench.engine.desk(0, |desk| desk.batches.len());
    assert!(commands <= 8, "{commands} batches for {BODIES} bodies");
}

fn given_back(bench: &Bench) -> u64 {
    bench.engine.desk(0, |desk| {
        let costs = desk.batches.iter().flatten().filter_map(|command| match command {
            Command::Window(cost) => Some(*cost),
            _ => None,
        });
        costs.sum()
    })
}
