//! The story that a dead letter tells: the header `x-death`, the newest death first, and what
//! was the first and the last of them, in RabbitMQ's words.

use crate::dispatch::Reason;
use crate::ledger::DeadLetter;
use lockgate_model::{Name, Properties, Run, RunBuilder, Table, Value};

/// A message's properties with what they tell of its deaths, the newest first.
pub struct Story {
    properties: Properties,
    headers: Table,
    deaths: Vec<Table>,
    exchange: String,
    /// Its routing key, and its copies'.
    keys: Vec<Vec<u8>>,
}

impl Story {
    pub fn of(run: &Run, i: usize) -> Story {
        let item = &run.items[i];
        let mut properties = Properties::decode(run.head(item)).unwrap_or_default();
        let headers = properties.headers.take().unwrap_or_default();
        let tables = |v: &Value| if let Value::Table(t) = v { Some(t.clone()) } else { None };
        let deaths = match headers.get("x-death") {
            Some(Value::Array(deaths)) => deaths.iter().filter_map(tables).collect(),
            _ => Vec::new(),
        };
        let mut keys = vec![run.key(item).to_vec()];
        if let Some(Value::Array(copies)) = headers.get("CC") {
            let text = |v: &Value| if let Value::Text(t) = v { Some(t.to_vec()) } else { None };
            keys.extend(copies.iter().filter_map(text));
        }
        Story { properties, headers, deaths, exchange: run.exchange(item).to_string(), keys }
    }

    /// One more death: in front of the others, counted up if it died there of this before.
    pub fn add(&mut self, queue: &Name, reason: Reason, now: u64, keeps_keys: bool) {
        let is =
            |t: &Table, name: &str, text: &str| t.get(name).and_then(Value::as_str) == Some(text);
        let before = self
            .deaths
            .iter()
            .position(|t| is(t, "queue", queue) && is(t, "reason", reason.word()));
        let mut death = before.map(|at| self.deaths.remove(at)).unwrap_or_default();
        let count = death.get("count").and_then(Value::as_int).unwrap_or(0);
        if death.is_empty() {
            let keys = self.keys.iter().map(|k| Value::Text(k.clone().into())).collect();
            death.set("count", Value::I64(0));
            death.set("reason", Value::text(reason.word()));
            death.set("queue", Value::text(queue));
            death.set("time", Value::Timestamp(now));
            death.set("exchange", Value::text(&self.exchange));
            death.set("routing-keys", Value::Array(keys));
        }
        death.set("count", Value::I64(count + 1));
        // It must not expire again where it goes; what it wished for is told.
        if let Some(expiration) = self.properties.expiration.take() {
            death.set("original-expiration", Value::Text(expiration));
        }
        self.deaths.insert(0, death);
        let told =
            [("reason", reason.word()), ("queue", queue.as_str()), ("exchange", &self.exchange)];
        let is_first = self.headers.get("x-first-death-reason").is_none();
        for (what, text) in told {
            if is_first {
                self.headers.set(&format!("x-first-death-{what}"), Value::text(text));
            }
            self.headers.set(&format!("x-last-death-{what}"), Value::text(text));
        }
        if !keeps_keys {
            self.headers.0.retain(|(name, _)| &**name != "CC");
        }
    }

    /// True if it would come back to a queue that it left, with no consumer's refusal in between:
    /// it would go round for ever.
    pub fn goes_round(&self, queue: &Name) -> bool {
        let text = |t: &Table, name: &str| t.get(name).and_then(Value::as_str).map(str::to_string);
        let there = self.deaths.iter().position(|t| text(t, "queue").as_deref() == Some(queue));
        there.is_some_and(|at| {
            let rejected = |t: &Table| text(t, "reason").as_deref() == Some("rejected");
            !self.deaths[..=at].iter().any(rejected)
        })
    }

    /// The letter, and the keys it is routed by.
    pub fn letter(&self, run: &Run, i: usize, to: &DeadLetter) -> (Run, Vec<Vec<u8>>) {
        let item = &run.items[i];
        let keys = match &to.key {
            Some(key) => vec![key.to_vec()],
            None => self.keys.clone(),
        };
        let mut headers = self.headers.clone();
        let deaths = self.deaths.iter().map(|t| Value::Table(t.clone())).collect();
        headers.set("x-death", Value::Array(deaths));
        let mut head = Vec::new();
        Properties { headers: Some(headers), ..self.properties.clone() }.encode(&mut head);
        let mut letter = RunBuilder::default();
        let exchange = to.exchange.as_bytes();
        letter.push(
            exchange,
            &keys[0],
            false,
            &head,
            run.body(item),
            item.persistent,
            item.priority,
        );
        (letter.finish(), keys)
    }
}
