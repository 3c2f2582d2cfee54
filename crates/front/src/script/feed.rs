//! What a script has the engine say: answers, refusals, events.

use super::words::Words;
use lockgate_model::{
    Alarm, Answer, CancelCause, Consumer, Deed, Delivery, Event, Got, Lane, LeaseId, Name, Object,
    Refusal, Run, RunBuilder, Stamp, Ticket, Verb,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// `10s`, `500ms`, `2m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let n: u64 = digits.parse().map_err(|_| format!("no duration: {text}"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(n)),
        "s" => Ok(Duration::from_secs(n)),
        "m" => Ok(Duration::from_secs(60 * n)),
        unit => Err(format!("no unit of time: {unit}")),
    }
}

/// `ok`, `counted`, `queue NAME MESSAGES CONSUMERS`, `removed N`, `none`,
/// `got WAITING [lease=N] [redelivered] MESSAGE`, `no REFUSAL`.
pub fn answer(w: &mut Words<'_>) -> Result<Result<Answer, Refusal>, String> {
    Ok(match w.need("an answer")?.as_str() {
        "ok" => Ok(Answer::Done),
        "counted" => Ok(Answer::Counted),
        "queue" => Ok(Answer::Queue {
            name: name(w)?,
            messages: w.number("messages")?,
            consumers: small(w.number("consumers")?)?,
        }),
        "removed" => Ok(Answer::Removed(w.number("a count")?)),
        "none" => Ok(Answer::Got(None)),
        "got" => {
            let waiting = w.number("waiting")?;
            let m = messages(w)?;
            let Messages { run, lease, redelivered, .. } = m;
            Ok(Answer::Got(Some(Got {
                run,
                item: 0,
                lease,
                redelivered,
                stamp: Stamp::None,
                waiting,
            })))
        }
        "no" => Err(refusal(w)?),
        other => return Err(format!("no such answer: {other}")),
    })
}

/// `confirmed LANE FIRST COUNT` and `rejected` (messages of the lane, counted from 1),
/// `returned LANE MESSAGE`, `broken LANE REFUSAL`, `deliver LANE CONSUMER MESSAGES`,
/// `cancelled LANE CONSUMER`, `alarm memory|disk on|off`, `expelled TEXT`, `pause`, `resume`.
pub fn event(w: &mut Words<'_>, tickets: &HashMap<Lane, Vec<Ticket>>) -> Result<Event, String> {
    let what = w.need("an event")?;
    Ok(match what.as_str() {
        "confirmed" | "rejected" => {
            let lane = lane(w)?;
            let nth = w.number("the first message")? as usize;
            let count = small(w.number("a count")?)?;
            let first = *tickets
                .get(&lane)
                .and_then(|t| t.get(nth.checked_sub(1)?))
                .ok_or("no such message was published")?;
            if what == "confirmed" {
                Event::Confirmed { lane, first, count }
            } else {
                Event::Rejected { lane, first, count }
            }
        }
        "returned" => {
            let lane = lane(w)?;
            Event::Returned { lane, run: messages(w)?.run, item: 0, ticket: None }
        }
        "broken" => Event::Broken { lane: lane(w)?, why: refusal(w)? },
        "deliver" => {
            let lane = lane(w)?;
            let consumer = Consumer(small(w.number("a consumer")?)?);
            let Messages { run, lease, redelivered } = messages(w)?;
            let count = run.items.len() as u32;
            let cost = u64::from(count);
            let (first, step) = (0, 1);
            Event::Deliver(Delivery {
                lane,
                consumer,
                run,
                first,
                step,
                count,
                number: 0,
                lease,
                redelivered,
                stamp: Stamp::None,
                cost,
            })
        }
        word @ ("cancelled" | "overdue") => Event::Cancelled {
            lane: lane(w)?,
            consumer: Consumer(small(w.number("a consumer")?)?),
            cause: match word {
                "overdue" => CancelCause::TimedOut,
                _ => CancelCause::QueueDeleted,
            },
        },
        "alarm" => {
            let alarm = match w.need("memory or disk")?.as_str() {
                "memory" => Alarm::Memory,
                "disk" => Alarm::Disk,
                other => return Err(format!("no such alarm: {other}")),
            };
            Event::Alarm { alarm, raised: w.need("on or off")? == "on" }
        }
        "expelled" => Event::Expelled { why: w.need("a text")? },
        "pause" => Event::Pause,
        "resume" => Event::Resume,
        other => return Err(format!("no such event: {other}")),
    })
}

struct Messages {
    run: Arc<Run>,
    lease: Option<LeaseId>,
    redelivered: bool,
}

/// `[lease=N] [redelivered] [mode=N] EXCHANGE KEY BODY...`, all messages of one route;
/// a body `*N` is N bytes.
fn messages(w: &mut Words<'_>) -> Result<Messages, String> {
    let (mut lease, mut redelivered, mut head) = (None, false, vec![0, 0]);
    let mut plain = Vec::new();
    for word in w.rest() {
        if let Some(n) = word.strip_prefix("lease=") {
            lease = Some(LeaseId(n.parse().map_err(|_| "no lease")?));
        } else if let Some(n) = word.strip_prefix("mode=") {
            head = vec![0x10, 0, n.parse().map_err(|_| "no mode")?];
        } else if word == "redelivered" {
            redelivered = true;
        } else {
            plain.push(word);
        }
    }
    let [exchange, key, bodies @ ..] = plain.as_slice() else {
        return Err("exchange and key are missing".into());
    };
    let mut run = RunBuilder::default();
    for body in bodies {
        let many = body.strip_prefix('*').and_then(|n| n.parse().ok());
        let body = many.map_or_else(|| body.clone().into_bytes(), |n| vec![b'*'; n]);
        run.push(exchange.as_bytes(), key.as_bytes(), false, &head, &body, false, 0);
    }
    Ok(Messages { run: Arc::new(run.finish()), lease, redelivered })
}

fn small(n: u64) -> Result<u32, String> {
    n.try_into().map_err(|_| format!("too large: {n}"))
}

fn lane(w: &mut Words<'_>) -> Result<Lane, String> {
    let n = w.number("a lane")?;
    n.try_into().map(Lane).map_err(|_| format!("no lane: {n}"))
}

fn name(w: &mut Words<'_>) -> Result<Name, String> {
    w.need("a name").map(Name::from)
}

fn object(w: &mut Words<'_>) -> Result<Object, String> {
    match w.need("queue or exchange")?.as_str() {
        "queue" => Ok(Object::Queue),
        "exchange" => Ok(Object::Exchange),
        other => Err(format!("neither queue nor exchange: {other}")),
    }
}

fn verb(w: &mut Words<'_>) -> Result<Verb, String> {
    match w.need("a right")?.as_str() {
        "configure" => Ok(Verb::Configure),
        "write" => Ok(Verb::Write),
        "read" => Ok(Verb::Read),
        other => Err(format!("no such right: {other}")),
    }
}

/// A refusal: its kind, then its fields in the order they are declared in.
fn refusal(w: &mut Words<'_>) -> Result<Refusal, String> {
    let kind = w.need("a refusal")?;
    Ok(match kind.as_str() {
        "missing" => Refusal::Missing { object: object(w)?, name: name(w)?, vhost: name(w)? },
        "no-vhost" => Refusal::NoVhost(name(w)?),
        "vhost-denied" => Refusal::VhostDenied { vhost: name(w)?, user: name(w)? },
        "denied" => Refusal::Denied {
            verb: verb(w)?,
            object: object(w)?,
            name: name(w)?,
            vhost: name(w)?,
            user: name(w)?,
        },
        "locked" => Refusal::Locked { name: name(w)?, vhost: name(w)? },
        "inequivalent" => Refusal::Inequivalent {
            object: object(w)?,
            name: name(w)?,
            vhost: name(w)?,
            field: w.need("a field")?,
            received: w.need("what was received")?,
            current: w.need("what is current")?,
        },
        "in-use" => Refusal::InUse { object: object(w)?, name: name(w)?, vhost: name(w)? },
        "not-empty" => Refusal::NotEmpty { name: name(w)?, vhost: name(w)? },
        "reserved" => Refusal::Reserved { object: object(w)?, name: name(w)?, vhost: name(w)? },
        "default-exchange" => Refusal::DefaultExchange,
        "internal" => Refusal::Internal { name: name(w)?, vhost: name(w)? },
        "exclusive-use" => Refusal::ExclusiveUse { name: name(w)?, vhost: name(w)? },
        "bad-argument" => Refusal::BadArgument {
            object: object(w)?,
            name: name(w)?,
            vhost: name(w)?,
            argument: w.need("an argument")?,
            reason: w.need("a reason")?,
        },
        "not-of-streams" => {
            let deed = match w.need("get, purge or unsettled")?.as_str() {
                "get" => Deed::Get,
                "purge" => Deed::Purge,
                "unsettled" => Deed::Unsettled,
                other => return Err(format!("no such deed: {other}")),
            };
            Refusal::NotOfStreams { deed, name: name(w)?, vhost: name(w)? }
        }
        "barred" => Refusal::Barred(w.need("a text")?),
        "limit" => Refusal::Limit(w.need("a text")?),
        "stopping" => Refusal::Stopping,
        other => return Err(format!("no such refusal: {other}")),
    })
}
