//! Dead letters: what dies goes where its queue says, and tells of it.

mod kit;

use bytes::Bytes;
use kit::{NOW, World, table, texts};
use lockgate_broker::{Effects, Io, NoJournal, Settings};
use lockgate_model::*;
use std::collections::HashMap;
use std::sync::Arc;

/// A queue `q` whose dead letters go to the queue `dead`, and what else it is to have.
fn world(more: &[(&str, Value)]) -> World {
    let mut w = World::with(&["dead"]);
    let mut arguments = table(&[
        ("x-dead-letter-exchange", Value::text("")),
        ("x-dead-letter-routing-key", Value::text("dead")),
    ]);
    more.iter().for_each(|(name, value)| arguments.set(name, value.clone()));
    w.queue("q", arguments).unwrap();
    w
}

/// Takes the first message of a queue and refuses it.
fn refuse(w: &mut World, queue: &str) {
    let get = Request::Get { queue: queue.into(), settled: false };
    let Ok(Answer::Got(Some(got))) = w.ask(get) else { panic!("there is one") };
    let lease = got.lease.unwrap();
    w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Discard });
}

fn later(w: &mut World, millis: u64) {
    let mut out = Effects::default();
    w.0.tick(Time(NOW.0 + millis * 1000), &mut NoJournal, &mut out);
    w.0.deliver(&mut NoJournal, &mut out);
}

fn deaths(headers: &Table) -> Vec<Table> {
    let Some(Value::Array(deaths)) = headers.get("x-death") else { panic!("no x-death") };
    let table = |v: &Value| if let Value::Table(t) = v { t.clone() } else { panic!("{v:?}") };
    deaths.iter().map(table).collect()
}

#[test]
fn a_refused_message_tells_who_refused_it_and_where_it_came_from() {
    let mut w = world(&[]);
    w.exchange("x", ExchangeKind::Direct, Table::default()).unwrap();
    w.bind("x", kit::to("q"), "key");
    w.publish("x", "key", Some(table(&[("own", Value::I32(1)), ("CC", texts(&["other"]))])));
    refuse(&mut w, "q");
    let (count, headers) = w.got("dead");
    let headers = headers.unwrap();
    assert_eq!(count, 1);
    assert_eq!(headers.get("own"), Some(&Value::I32(1)));
    assert_eq!(headers.get("CC"), None, "a new key leaves no copies");
    for when in ["first", "last"] {
        for (what, text) in [("reason", "rejected"), ("queue", "q"), ("exchange", "x")] {
            let name = format!("x-{when}-death-{what}");
            assert_eq!(headers.get(&name), Some(&Value::text(text)), "{name}");
        }
    }
    let death = &deaths(&headers)[0];
    assert_eq!(death.get("count"), Some(&Value::I64(1)));
    assert_eq!(death.get("routing-keys"), Some(&texts(&["key", "other"])));
    assert_eq!(death.get("time"), Some(&Value::Timestamp(NOW.secs())));
    assert_eq!(w.got("q").0, 0);
}

#[test]
fn without_a_key_a_letter_keeps_its_own() {
    let mut w = World::with(&["same"]);
    w.exchange("dlx", ExchangeKind::Direct, Table::default()).unwrap();
    w.bind("dlx", kit::to("same"), "q");
    w.queue("q", table(&[("x-dead-letter-exchange", Value::text("dlx"))])).unwrap();
    w.publish("", "q", None);
    refuse(&mut w, "q");
    assert_eq!(w.got("same").0, 1);
}

#[test]
fn what_expires_goes_too_and_does_not_expire_again() {
    let mut w = world(&[]);
    let expiration = Some(Bytes::from_static(b"100"));
    let mut head = Vec::new();
    Properties { expiration, ..Properties::default() }.encode(&mut head);
    let run = Arc::new(Run::single("", b"q", &head, b"body", false));
    w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    later(&mut w, 99);
    assert_eq!(w.got("dead").0, 0);
    later(&mut w, 120);
    let get = Request::Get { queue: "dead".into(), settled: true };
    let Ok(Answer::Got(Some(got))) = w.ask(get) else { panic!("a letter") };
    let p = Properties::decode(got.run.head(&got.run.items[got.item as usize])).unwrap();
    assert_eq!(p.expiration, None);
    let death = &deaths(&p.headers.unwrap())[0];
    assert_eq!(death.get("reason"), Some(&Value::text("expired")));
    assert_eq!(death.get("original-expiration"), Some(&Value::text("100")));
}

#[test]
fn a_full_queue_sends_its_oldest_or_what_it_does_not_take() {
    for (overflow, died) in [("drop-head", 0u8), ("reject-publish-dlx", 2)] {
        let mut w =
            world(&[("x-max-length", Value::I32(2)), ("x-overflow", Value::text(overflow))]);
        for n in 0..3u8 {
            w.send("q", &[n], 1);
        }
        assert_eq!(w.drain("dead"), [vec![died]], "{overflow}");
        assert_eq!(w.drain("q").len(), 2);
    }
    let mut w =
        world(&[("x-max-length", Value::I32(0)), ("x-overflow", Value::text("reject-publish"))]);
    assert!(matches!(w.send("q", b"x", 1)[..], [Event::Rejected { .. }]));
    assert_eq!(w.got("dead").0, 0, "reject-publish alone keeps nothing");
}

#[test]
fn the_same_death_again_is_counted_and_a_new_one_comes_first() {
    let mut w = World::with(&[]);
    // Refused in `work`, waits in `wait`, and comes back: the usual way to try again later.
    let letters = |to: &str| {
        [
            ("x-dead-letter-exchange", Value::text("")),
            ("x-dead-letter-routing-key", Value::text(to)),
        ]
    };
    w.queue("work", table(&letters("wait"))).unwrap();
    let mut wait = letters("work").to_vec();
    wait.push(("x-message-ttl", Value::I32(100)));
    w.queue("wait", table(&wait)).unwrap();
    w.publish("", "work", None);
    for round in 1..=3 {
        refuse(&mut w, "work");
        later(&mut w, round * 200);
    }
    let (count, headers) = w.got("work");
    assert_eq!(count, 1);
    let deaths = deaths(&headers.unwrap());
    let said: Vec<_> = deaths
        .iter()
        .map(|d| (d.get("queue").cloned().unwrap(), d.get("count").cloned().unwrap()))
        .collect();
    let three = |q: &str| (Value::text(q), Value::I64(3));
    assert_eq!(said, [three("wait"), three("work")]);
}

#[test]
fn a_letter_that_would_go_round_for_ever_is_dropped_and_counted() {
    let mut w = World::with(&[]);
    let own = [
        ("x-dead-letter-exchange", Value::text("")),
        ("x-dead-letter-routing-key", Value::text("q")),
        ("x-message-ttl", Value::I32(100)),
    ];
    w.queue("q", table(&own)).unwrap();
    w.publish("", "q", None);
    later(&mut w, 200);
    assert_eq!((w.got("q").0, w.0.counts().letters_lost), (0, 1));
    assert_eq!(w.0.counts().messages, 0);
}

#[test]
fn an_exchange_that_is_not_there_loses_the_letter_and_says_so() {
    let mut w = World::with(&[]);
    w.queue("q", table(&[("x-dead-letter-exchange", Value::text("nowhere"))])).unwrap();
    w.publish("", "q", None);
    refuse(&mut w, "q");
    assert_eq!((w.0.counts().messages, w.0.counts().letters_lost), (0, 1));
}

#[test]
fn what_is_held_when_its_time_runs_out_dies_when_it_comes_back() {
    let mut w = world(&[("x-message-ttl", Value::I32(100))]);
    w.publish("", "q", None);
    let get = Request::Get { queue: "q".into(), settled: false };
    let Ok(Answer::Got(Some(got))) = w.ask(get) else { panic!("there is one") };
    later(&mut w, 200);
    assert_eq!(w.got("dead").0, 0, "it is in somebody's hands");
    let lease = got.lease.unwrap();
    w.run(Command::Settle { lease, from: 0, count: 1, outcome: Outcome::Requeue });
    assert_eq!((w.got("dead").0, w.got("q").0), (1, 0));
}

#[test]
fn arguments_that_make_no_sense_are_refused_in_rabbitmqs_words() {
    let mut w = World::with(&[]);
    let key = w.queue("a", table(&[("x-dead-letter-routing-key", Value::text("k"))]));
    assert!(
        matches!(key, Err(Refusal::BadArgument { reason, .. }) if reason == "routing_key_but_no_dlx_defined")
    );
    let odd = w.queue("a", table(&[("x-dead-letter-exchange", Value::I32(5))]));
    let text =
        "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'a' in vhost '/'";
    assert_eq!(odd.unwrap_err(), Refusal::Limit(text.into()));
}

#[test]
fn two_declarations_must_agree_on_where_letters_go() {
    let mut w = world(&[]);
    let other = table(&[
        ("x-dead-letter-exchange", Value::text("other")),
        ("x-dead-letter-routing-key", Value::text("dead")),
    ]);
    let Err(Refusal::Inequivalent { field, received, current, .. }) = w.queue("q", other) else {
        panic!("refused")
    };
    let said = (field.as_str(), received.as_str(), current.as_str());
    assert_eq!(said, ("x-dead-letter-exchange", "'other'", "''"));
}

/// The clock of commands alone moves on: no timer has looked at the queue yet.
#[test]
fn what_is_due_is_given_to_nobody_even_before_it_is_buried() {
    let mut w = world(&[("x-message-ttl", Value::I32(100))]);
    w.publish("", "q", None);
    w.publish("", "q", None);
    let mut out = Effects::default();
    let request = Request::Get { queue: "q".into(), settled: true };
    let ask = Command::Ask { lane: Lane(1), ticket: Ticket(99), request };
    w.0.handle(kit::ME, ask, Time(NOW.0 + 200_000), &mut NoJournal, &mut out);
    let got = out.events.into_iter().next().map(|e| e.event);
    assert!(matches!(got, Some(Event::Answer { result: Ok(Answer::Got(None)), .. })), "{got:?}");
    // Dying and not yet buried: a purge leaves them to their fate.
    let purge =
        Command::Ask { lane: Lane(1), ticket: Ticket(100), request: Request::Purge("q".into()) };
    let mut out = Effects::default();
    w.0.handle(kit::ME, purge, Time(NOW.0 + 200_000), &mut NoJournal, &mut out);
    let purged = out.events.into_iter().next().map(|e| e.event);
    assert!(
        matches!(purged, Some(Event::Answer { result: Ok(Answer::Removed(0)), .. })),
        "{purged:?}"
    );
    later(&mut w, 300);
    let Ok(Answer::Queue { messages, .. }) = w.ask(Request::FindQueue("q".into())) else {
        panic!("q")
    };
    assert_eq!((messages, w.got("dead").0), (0, 2));
}

#[test]
fn a_letter_that_must_arrive_waits_until_somebody_takes_it() {
    let mut w = World::with(&[]);
    let arguments = table(&[
        ("x-dead-letter-exchange", Value::text("")),
        ("x-dead-letter-routing-key", Value::text("dead")),
        ("x-dead-letter-strategy", Value::text("at-least-once")),
        ("x-overflow", Value::text("reject-publish")),
        ("x-max-length", Value::I32(1)),
    ]);
    w.queue("q", arguments).unwrap();
    w.send("q", b"one", 1);
    refuse(&mut w, "q");
    assert_eq!(w.got("q").0, 0, "nobody gets it");
    assert_eq!(w.0.counts().messages, 1, "and it is not lost");
    let told = w.send("q", b"two", 2);
    assert!(told.iter().any(|e| matches!(e, Event::Rejected { .. })), "it takes its room");
    later(&mut w, 2000);
    assert_eq!(w.0.counts().messages, 1);
    let full =
        table(&[("x-max-length", Value::I32(0)), ("x-overflow", Value::text("reject-publish"))]);
    w.queue("dead", full).unwrap();
    later(&mut w, 4000);
    assert_eq!(w.0.counts().messages, 1, "a full queue takes nothing either");
    w.ask(Request::DeleteQueue { name: "dead".into(), if_unused: false, if_empty: false }).unwrap();
    w.queue("dead", Table::default()).unwrap();
    later(&mut w, 6000);
    assert_eq!(w.drain("dead"), [b"one"]);
    assert_eq!(w.0.counts().letters_lost, 0);
}

/// Much waits on the disk, and what is due lies scattered about it: that alone is read, and
/// what is read does not stay.
#[test]
fn what_dies_of_age_on_the_disk_is_read_alone_and_put_away_again() {
    let least = 256 * 1024;
    let settings =
        Settings { queue_resident: least, resident_max: 1 << 30, seed: 1, ..Default::default() };
    let mut w = World::made(settings, &[]);
    let letters = [
        ("x-dead-letter-exchange", Value::text("")),
        ("x-dead-letter-routing-key", Value::text("dead")),
    ];
    w.queue("dead", table(&[("x-max-length", Value::I32(1))])).unwrap();
    w.queue("q", table(&letters)).unwrap();
    let mut pages = HashMap::new();
    // About sixty messages a block of 64 KiB, one in 200 of them with a lifetime.
    for n in 0..8_000 {
        let expiration = (n % 200 == 100).then(|| Bytes::from_static(b"100"));
        let mut head = Vec::new();
        Properties { expiration, ..Properties::default() }.encode(&mut head);
        let run = Arc::new(Run::single("", b"q", &head, &[0; 1_000], false));
        let (_, io) = w.both(Command::Publish { lane: Lane(1), run, confirm: None });
        for io in io {
            let Io::Store { page, run } = io else { panic!("only stored so far") };
            pages.insert(page, run);
        }
    }
    let full = w.0.resident();
    let (mut out, mut reads, mut most) = (Effects::default(), 0, 0);
    w.0.tick(Time(NOW.0 + 200_000), &mut NoJournal, &mut out);
    w.0.deliver(&mut NoJournal, &mut out);
    while !out.io.is_empty() {
        for io in std::mem::take(&mut out.io) {
            match io {
                Io::Store { page, run } => drop(pages.insert(page, run)),
                Io::LoadPage { key, page } => {
                    reads += 1;
                    w.0.loaded(key, pages[&page].clone());
                }
                Io::Free(page) => drop(pages.remove(&page)),
                _ => panic!("nothing is in the log, and there is no stream"),
            }
        }
        w.0.deliver(&mut NoJournal, &mut out);
        most = most.max(w.0.resident());
    }
    assert_eq!(w.0.counts().expired, 40);
    assert!(reads <= 40, "{reads} blocks were read for 40 messages");
    assert!(most <= full + (2 << 20), "{most} bytes in memory, after {full}");
    assert!(w.0.resident() <= full + (1 << 17));
}
