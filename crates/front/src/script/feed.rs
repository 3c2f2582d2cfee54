//! What a script has the engine say: answers, refusals, events.

use super::words::Words;
use super::{Sort, Tickets};
use bytes::Bytes;
use lockgate_model::{
    Alarm, Answer, Attached, CancelCause, Consumer, Deed, Delivery, Event, Followed, Got, Interest,
    Item, Lane, LeaseId, Mark, Name, Names, Object, Parts, Refusal, Replay, Retain, Run,
    RunBuilder, Stamp, Ticket, Verb,
};
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
/// `got WAITING [lease=N] [redelivered] MESSAGE`, `no REFUSAL`;
/// `attached [present] [open=1,2] [received=3] [FILTER LEVEL CONSUMER]...`,
/// `followed CONSUMER|denied|full...`, `unfollowed yes|no...`.
pub fn answer(w: &mut Words<'_>) -> Result<Result<Answer, Refusal>, String> {
    Ok(match w.need("an answer")?.as_str() {
        "ok" => Ok(Answer::Done),
        "counted" => Ok(Answer::Counted),
        "queue" => Ok(Answer::Queue {
            name: name(w)?,
            messages: w.number("messages")?,
            consumers: small(w.number("consumers")?)?,
        }),
        "attached" => Ok(Answer::Attached(Box::new(attached(w)?))),
        "followed" => Ok(Answer::Followed(w.rest().iter().map(|w| followed(w)).collect())),
        "unfollowed" => Ok(Answer::Unfollowed(w.rest().iter().map(|w| w == "yes").collect())),
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

fn attached(w: &mut Words<'_>) -> Result<Attached, String> {
    let mut attached = Attached::default();
    while let Some(word) = w.next() {
        if word == "present" {
            attached.present = true;
        } else if let Some(list) = word.strip_prefix("open=") {
            attached.open = marks(list)?;
        } else if let Some(list) = word.strip_prefix("received=") {
            attached.received = marks(list)?;
        } else {
            let level = small(w.number("a level")?)? as u8;
            let consumer = Consumer(small(w.number("a consumer")?)?);
            attached.interests.push((interest(&word, level), consumer));
        }
    }
    Ok(attached)
}

/// An interest as if it had been asked for without any wishes.
fn interest(filter: &str, level: u8) -> Interest {
    let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    let pattern = shared.map_or(filter, |(_, pattern)| pattern);
    let key = pattern.replace('/', ".").replace('+', "*");
    Interest {
        filter: Name::from(filter),
        pattern_at: (filter.len() - pattern.len()) as u16,
        group: shared.map(|_| Name::from(filter)),
        key: Bytes::from(key.into_bytes()),
        level,
        not_own: false,
        as_published: false,
        replay: Replay::Always,
        label: 0,
    }
}

fn marks(list: &str) -> Result<Vec<Mark>, String> {
    let mark = |n: &str| n.parse().map(Mark).map_err(|_| format!("no mark: {n}"));
    list.split(',').map(mark).collect()
}

fn followed(word: &str) -> Result<Followed, Refusal> {
    match word.parse() {
        Ok(n) => Ok(Followed { new: true, consumer: Consumer(n) }),
        Err(_) if word == "denied" => Err(Refusal::Denied {
            verb: Verb::Read,
            object: Object::Exchange,
            name: Name::from("amq.topic"),
            vhost: Name::from("/"),
            user: Name::from("guest"),
        }),
        Err(_) => Err(Refusal::Limit(word.to_owned())),
    }
}

/// `confirmed LANE FIRST COUNT` and `rejected` (messages of the lane, counted from 1),
/// `released` and `received` (confirmed; counted for themselves),
/// `returned LANE [ticket=N] MESSAGE`, `broken LANE REFUSAL`, `deliver LANE CONSUMER MESSAGES`,
/// `cancelled LANE CONSUMER`, `alarm memory|disk on|off`, `expelled TEXT`, `displaced`, `pause`,
/// `resume`.
pub fn event(w: &mut Words<'_>, tickets: &Tickets) -> Result<Event, String> {
    let what = w.need("an event")?;
    Ok(match what.as_str() {
        "confirmed" | "rejected" | "released" | "received" => {
            let lane = lane(w)?;
            let nth = w.number("the first message")?;
            let count = small(w.number("a count")?)?;
            let sort = match what.as_str() {
                "released" => Sort::Released,
                "received" => Sort::Received,
                _ => Sort::Published,
            };
            let first = ticket(tickets, sort, lane, nth)?;
            if what == "rejected" {
                Event::Rejected { lane, first, count }
            } else {
                Event::Confirmed { lane, first, count }
            }
        }
        "returned" => {
            let lane = lane(w)?;
            let Messages { run, nth, .. } = messages(w)?;
            let of = |nth| ticket(tickets, Sort::Published, lane, nth);
            Event::Returned { lane, run, item: 0, ticket: nth.map(of).transpose()? }
        }
        "broken" => Event::Broken { lane: lane(w)?, why: refusal(w)? },
        "deliver" => {
            let lane = lane(w)?;
            let consumer = Consumer(small(w.number("a consumer")?)?);
            let Messages { run, lease, redelivered, number, .. } = messages(w)?;
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
                number,
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
        "displaced" => Event::Displaced,
        "pause" => Event::Pause,
        "resume" => Event::Resume,
        other => return Err(format!("no such event: {other}")),
    })
}

fn ticket(tickets: &Tickets, sort: Sort, lane: Lane, nth: u64) -> Result<Ticket, String> {
    let of = |t: &Vec<Ticket>| t.get(usize::try_from(nth).ok()?.checked_sub(1)?).copied();
    tickets.get(&(sort, lane)).and_then(of).ok_or_else(|| "no such message was published".into())
}

struct Messages {
    run: Arc<Run>,
    lease: Option<LeaseId>,
    redelivered: bool,
    /// The first one's number in its queue.
    number: u64,
    /// Which of those that were published it is.
    nth: Option<u64>,
}

/// `[lease=N] [redelivered] [mode=N] [number=N] [ticket=N] [topic=T] [native=T] [exact]
/// [wished|replayed] EXCHANGE KEY BODY...`, all messages of one route; a body `*N` is N bytes.
fn messages(w: &mut Words<'_>) -> Result<Messages, String> {
    let (mut lease, mut redelivered, mut head) = (None, false, vec![0, 0]);
    let (mut number, mut nth, mut item) = (0, None, Item::default());
    let (mut topic, mut native) = (String::new(), String::new());
    let mut plain = Vec::new();
    for word in w.rest() {
        let count = |n: &str| n.parse::<u64>().map_err(|_| format!("no number: {word}"));
        if let Some(n) = word.strip_prefix("lease=") {
            lease = Some(LeaseId(n.parse().map_err(|_| "no lease")?));
        } else if let Some(n) = word.strip_prefix("mode=") {
            let mode = n.parse().map_err(|_| "no mode")?;
            item.persistent = mode == 2;
            head = vec![0x10, 0, mode];
        } else if let Some(n) = word.strip_prefix("number=") {
            number = count(n)?;
        } else if let Some(n) = word.strip_prefix("ticket=") {
            nth = Some(count(n)?);
        } else if let Some(text) = word.strip_prefix("topic=") {
            topic = text.to_owned();
        } else if let Some(text) = word.strip_prefix("native=") {
            native = text.to_owned();
        } else {
            match word.as_str() {
                "redelivered" => redelivered = true,
                "exact" => item.exact = true,
                "wished" => item.retain = Retain::Wished,
                "replayed" => item.retain = Retain::Replayed,
                _ => plain.push(word),
            }
        }
    }
    let [exchange, key, bodies @ ..] = plain.as_slice() else {
        return Err("exchange and key are missing".into());
    };
    let (exchange, key) = (exchange.as_bytes(), key.as_bytes());
    let names = Names { exchange, key, topic: topic.as_bytes(), mandatory: false };
    let mut run = RunBuilder::default();
    for body in bodies {
        let many = body.strip_prefix('*').and_then(|n| n.parse().ok());
        let body = many.map_or_else(|| body.clone().into_bytes(), |n| vec![b'*'; n]);
        run.push_like(item, names, Parts { head: &head, body: &body, native: native.as_bytes() });
    }
    Ok(Messages { run: Arc::new(run.finish()), lease, redelivered, number, nth })
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
