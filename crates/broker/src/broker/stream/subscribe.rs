//! Subscribing to a stream: where a reader begins, and what it wants.

use super::super::Broker;
use super::super::arguments::{kind, refusal, text};
use crate::dispatch::{Filter, Reader, Seek};
use crate::ledger::{Kind, Queue, age_seconds};
use bytes::Bytes;
use lockgate_model::{Deed, Object, Refusal, Subscription, Time, Value};

/// Where a reader begins.
enum Start {
    First,
    Last,
    Next,
    Number(u64),
    /// With what came then or later.
    Since(Time),
}

impl Broker {
    /// The reader that a subscription to a stream asks for; none for any other queue.
    pub(in super::super) fn reader(
        &self,
        q: &Queue,
        wish: &Subscription,
    ) -> Result<Option<Box<Reader>>, Refusal> {
        let vhost = self.ledger.vhost_name(q.vhost);
        super::check_consumer_kind(q, &wish.arguments, &vhost)?;
        if q.rules.kind != Kind::Stream {
            return Ok(None);
        }
        let name = &wish.queue;
        if wish.settled {
            self.not_of_streams(q, Deed::Unsettled)?;
        }
        if wish.limit.is_none() {
            return Err(Refusal::Limit(format!(
                "consumer prefetch count is not set for 'queue '{name}' in vhost '{vhost}''"
            )));
        }
        let bad = |fault| refusal(Object::Queue, name, vhost.clone(), fault);
        let start = self.start(wish.arguments.get("x-stream-offset")).map_err(bad)?;
        let bad = |fault| refusal(Object::Queue, name, vhost.clone(), fault);
        let filter = filter(wish).map_err(bad)?;
        let mut reader = Reader { filter, ..Reader::default() };
        place(q, start, &mut reader);
        Ok(Some(Box::new(reader)))
    }

    fn start(&self, offset: Option<&Value>) -> Result<Start, (String, String)> {
        let Some(offset) = offset else { return Ok(Start::Next) };
        let fault = || {
            let value = match offset {
                Value::Text(_) => format!("<<\"{}\">>", text(offset)),
                other => text(other),
            };
            let reason = format!("{{invalid_stream_offset_arg,{{{},{value}}}}}", kind(offset));
            ("x-stream-offset".to_string(), reason)
        };
        if let Value::Timestamp(secs) = offset {
            return Ok(Start::Since(Time(secs.saturating_mul(1_000_000))));
        }
        if let Some(n) = offset.as_int() {
            return Ok(Start::Number(u64::try_from(n).unwrap_or(0)));
        }
        match offset.as_str() {
            Some("first") => Ok(Start::First),
            Some("last") => Ok(Start::Last),
            Some("next") => Ok(Start::Next),
            Some(other) => {
                let ago = age_seconds(other).and_then(|secs| u64::try_from(secs).ok());
                let ago = ago.ok_or_else(fault)?.saturating_mul(1_000_000);
                Ok(Start::Since(Time(self.now.0.saturating_sub(ago))))
            }
            None => Err(fault()),
        }
    }
}

/// Puts a reader to where it begins.
fn place(q: &Queue, start: Start, reader: &mut Reader) {
    let Some(stream) = &q.stream else { return };
    let (first, next) = q.span();
    reader.next = match start {
        Start::First => first,
        Start::Last => stream.latest().clamp(first, next),
        Start::Next => next,
        Start::Number(n) => n.max(first),
        Start::Since(time) => match stream.segment_at(time) {
            Some(segment) if time > segment.from => {
                let segment = segment.base;
                reader.seeks = Some(Seek { segment, time, asked: false });
                segment
            }
            Some(segment) => segment.base,
            None => stream.arrived_at(time).map_or(next, |n| n.max(stream.kept_end())),
        },
    };
}

/// What a subscription wants to see.
fn filter(wish: &Subscription) -> Result<Option<Filter>, (String, String)> {
    let bad = |name: &str, value: &Value| {
        (name.to_string(), format!("{{unacceptable_type,{}}}", kind(value)))
    };
    let one = |value: &Value| -> Result<Bytes, (String, String)> {
        match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(bad("x-stream-filter", other)),
        }
    };
    let values = match wish.arguments.get("x-stream-filter") {
        None => None,
        Some(Value::Array(values)) => Some(values.iter().map(one).collect::<Result<_, _>>()?),
        Some(value) => Some(vec![one(value)?]),
    };
    let unfiltered = match wish.arguments.get("x-stream-match-unfiltered") {
        None => false,
        Some(Value::Bool(all)) => *all,
        Some(other) => return Err(bad("x-stream-match-unfiltered", other)),
    };
    Ok(values.map(|values| Filter { values, unfiltered }))
}
