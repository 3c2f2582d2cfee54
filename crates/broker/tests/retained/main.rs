//! What topics retain: who comes later is told the last message of each.

#[path = "../kit/mod.rs"]
mod kit;
#[path = "../berths/quay.rs"]
mod quay;

mod announcing;
mod bounds;
mod keeping;
mod model;

mod telling;

use bytes::Bytes;
use lockgate_model::*;
use quay::{Heard, Quay, message};
use std::sync::Arc;

/// A message that its topic is to retain, of a lifetime in milliseconds if it has one.
fn wished(topic: &str, body: &str, level: u8, lifetime: Option<u64>) -> Run {
    let expiration = lifetime.map(|ms| Bytes::from(ms.to_string()));
    let mut head = Vec::new();
    Properties { expiration, ..Properties::default() }.encode(&mut head);
    let like = message(topic, body, level);
    let item = Item { retain: Retain::Wished, ..like.items[0] };
    let mut run = RunBuilder::default();
    let names = like.names(&like.items[0]);
    run.push_like(item, names, Parts { head: &head, ..like.parts(&like.items[0]) });
    run.finish()
}

fn retain(quay: &mut Quay, session: SessionId, topic: &str, body: &str, level: u8) {
    publish(quay, session, wished(topic, body, level, None));
}

fn publish(quay: &mut Quay, session: SessionId, run: Run) {
    let (run, confirm) = (Arc::new(run), Some(Ticket(77)));
    quay.send(session, Command::Publish { lane: Lane(0), run, confirm });
}

/// What a session was told that had been retained, by topic.
fn replayed(heard: Vec<Heard>) -> Vec<(String, String)> {
    let replayed = heard.into_iter().filter(|h| h.retain == Retain::Replayed);
    let mut all: Vec<_> = replayed.map(|h| (h.topic, h.body)).collect();
    all.sort();
    all
}

/// What somebody who comes now is told by a filter.
fn told(quay: &mut Quay, filter: &str) -> Vec<(String, String)> {
    let session = quay.brief("who comes later");
    quay.follow(session, quay::interest(filter, 1));
    let heard = quay.taken(session);
    quay.lose(session);
    replayed(heard)
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(t, b)| (t.to_string(), b.to_string())).collect()
}
