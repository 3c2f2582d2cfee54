//! Destinations as RabbitMQ's users write them, and back: where a SEND goes and what a
//! SUBSCRIBE reads. Only `%2F` is read as an escape; on the way out everything is escaped
//! that RabbitMQ escapes. Never asks whether what is named exists.
//!
//! ```text
//!  /queue/NAME  NAME          the queue, made if it is not there
//!  /topic/KEY                 the topic exchange
//!  /exchange/NAME[/KEY]       any exchange but the default one
//!  /amq/queue/NAME            a queue that must be there
//!  /reply-queue/NAME          the same, of a name that may hold slashes: for replies
//!  /temp-queue/NAME           a queue of this connection; only in reply-to
//! ```

pub mod active;

use crate::error::{Fault, shown};
use lockgate_model::limits::NAME_BYTES_MAX;
use std::borrow::Cow;

/// What destinations may begin with, as an ERROR lists them.
const PREFIXES: &str = "/temp-queue, /exchange, /topic, /queue, /amq/queue, /reply-queue/";

/// What a `reply-to` begins with that needs nothing in front.
pub const REPLY_PREFIXES: [&str; 5] =
    ["/exchange", "/topic", "/queue", "/amq/queue", "/reply-queue/"];

/// What a destination names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // drawn above
pub enum Destination<'a> {
    Queue(Cow<'a, str>),
    Topic(Cow<'a, str>),
    Exchange {
        name: Cow<'a, str>,
        key: Cow<'a, str>,
    },
    AmqQueue(Cow<'a, str>),
    ReplyQueue(Cow<'a, str>),
    TempQueue(Cow<'a, str>),
    /// Only by ActiveMQ's rules.
    TempTopic(Cow<'a, str>),
}

impl<'a> Destination<'a> {
    /// Reads a destination.
    pub fn parse(text: &'a [u8]) -> Result<Destination<'a>, Fault> {
        let Ok(all) = std::str::from_utf8(text) else {
            return Err(invalid(format!("'{}' is not valid UTF-8\n", shown(text))));
        };
        let found = Destination::read(all)?;
        let long = match &found {
            Destination::Exchange { name, key } => name.len().max(key.len()),
            Destination::Queue(name)
            | Destination::Topic(name)
            | Destination::AmqQueue(name)
            | Destination::ReplyQueue(name)
            | Destination::TempQueue(name)
            | Destination::TempTopic(name) => name.len(),
        };
        if long > NAME_BYTES_MAX {
            return Err(invalid(format!(
                "'{}' is longer than {NAME_BYTES_MAX} bytes\n",
                shown(text)
            )));
        }
        Ok(found)
    }

    fn read(all: &'a str) -> Result<Destination<'a>, Fault> {
        let Some(path) = all.strip_prefix('/') else {
            return match all {
                "" => Err(invalid("Destination cannot be blank".into())),
                name if name.contains('/') => Err(unknown(all)),
                name => Ok(Destination::Queue(unescape(name))),
            };
        };
        if let Some(name) = path.strip_prefix("reply-queue/") {
            return match name {
                "" => Err(not_a("reply_queue", "/")),
                name => Ok(Destination::ReplyQueue(unescape(name))),
            };
        }
        let (kind, rest) = match path.strip_prefix("amq/queue") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => ("amq/queue", rest),
            _ => path.split_at(path.find('/').unwrap_or(path.len())),
        };
        let name = rest.strip_prefix('/');
        match kind {
            "exchange" => exchange(rest),
            "queue" | "topic" | "temp-queue" | "amq/queue" => {
                let Some(name) = name.filter(|n| !n.is_empty() && !n.contains('/')) else {
                    return Err(not_a(word(kind), rest));
                };
                let name = unescape(name);
                Ok(match kind {
                    "queue" => Destination::Queue(name),
                    "topic" => Destination::Topic(name),
                    "temp-queue" => Destination::TempQueue(name),
                    _ => Destination::AmqQueue(name),
                })
            }
            _ => Err(unknown(all)),
        }
    }
}

/// `/NAME` or `/NAME/KEY`. The default exchange has another meaning for SEND than for
/// SUBSCRIBE and cannot be named so.
fn exchange(rest: &str) -> Result<Destination<'_>, Fault> {
    let refused = || Err(not_a("exchange", rest));
    let Some(path) = rest.strip_prefix('/') else { return refused() };
    let (name, key) = path.split_once('/').unwrap_or((path, ""));
    if name.is_empty() || key.contains('/') {
        return refused();
    }
    Ok(Destination::Exchange { name: unescape(name), key: unescape(key) })
}

/// A kind as RabbitMQ's texts name it.
fn word(kind: &str) -> &'static str {
    match kind {
        "queue" => "queue",
        "topic" => "topic",
        "temp-queue" => "temp_queue",
        _ => "amqqueue",
    }
}

fn invalid(text: String) -> Fault {
    Fault::new("Invalid destination", text)
}

fn not_a(kind: &str, rest: &str) -> Fault {
    invalid(format!("'{}' is not a valid {kind} destination\n", shown(rest.as_bytes())))
}

fn unknown(all: &str) -> Fault {
    let all = shown(all.as_bytes());
    Fault::new(
        "Unknown destination",
        format!("'{all}' is not a valid destination.\nValid destination types are: {PREFIXES}.\n"),
    )
}

/// A destination of the right form in the wrong place.
pub fn misplaced(text: &[u8], command: &str) -> Fault {
    invalid(format!("'{}' is not a valid destination for '{command}'\n", shown(text)))
}

fn unescape(text: &str) -> Cow<'_, str> {
    if text.contains("%2F") { Cow::Owned(text.replace("%2F", "/")) } else { Cow::Borrowed(text) }
}

/// Appends where a message was published to as a destination; `topics` is the exchange that
/// `/topic` stands for.
pub fn put(exchange: &[u8], key: &[u8], topics: &[u8], out: &mut Vec<u8>) {
    if exchange.is_empty() {
        out.extend_from_slice(b"/queue/");
        escape(key, out);
    } else if exchange == topics {
        put_topic(key, out);
    } else {
        out.extend_from_slice(b"/exchange/");
        escape(exchange, out);
        if !key.is_empty() {
            out.push(b'/');
            escape(key, out);
        }
    }
}

/// Appends a key of the topic exchange as a destination.
pub fn put_topic(key: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"/topic/");
    escape(key, out);
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b'/' | b'%' | ..32 | 128.. => {
                let digit = |n: u8| HEX[usize::from(n & 15)];
                out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
            }
            plain => out.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Destination<'_>, String> {
        Destination::parse(text.as_bytes()).map_err(|f| format!("{}: {}", f.message, f.text))
    }

    #[test]
    fn each_kind_is_told_by_its_prefix() {
        let of = |name: &'static str| Cow::Borrowed(name);
        assert_eq!(read("/queue/a"), Ok(Destination::Queue(of("a"))));
        assert_eq!(read("a"), Ok(Destination::Queue(of("a"))));
        assert_eq!(read("/queue/a%2Fb%2fc"), Ok(Destination::Queue("a/b%2fc".into())));
        assert_eq!(read("/topic/a.*.#"), Ok(Destination::Topic(of("a.*.#"))));
        let x = |key: &'static str| Destination::Exchange { name: of("x"), key: of(key) };
        assert_eq!(read("/exchange/x"), Ok(x("")));
        assert_eq!(read("/exchange/x/k"), Ok(x("k")));
        assert_eq!(read("/amq/queue/a"), Ok(Destination::AmqQueue(of("a"))));
        assert_eq!(read("/reply-queue/a/b"), Ok(Destination::ReplyQueue(of("a/b"))));
        assert_eq!(read("/temp-queue/a"), Ok(Destination::TempQueue(of("a"))));
    }

    #[test]
    fn what_is_none_is_told_in_the_words_of_rabbitmq() {
        let invalid = |what: &str, kind: &str| {
            Err(format!("Invalid destination: '{what}' is not a valid {kind} destination\n"))
        };
        assert_eq!(read("/queue"), invalid("", "queue"));
        assert_eq!(read("/queue/"), invalid("/", "queue"));
        assert_eq!(read("/queue/a/b"), invalid("/a/b", "queue"));
        assert_eq!(read("/topic/a/"), invalid("/a/", "topic"));
        assert_eq!(read("/exchange//k"), invalid("//k", "exchange"));
        assert_eq!(read("/exchange/x/k/z"), invalid("/x/k/z", "exchange"));
        assert_eq!(read("/temp-queue"), invalid("", "temp_queue"));
        assert_eq!(read("/amq/queue/"), invalid("/", "amqqueue"));
        assert!(read("/nowhere/a").unwrap_err().starts_with("Unknown destination: '/nowhere/a'"));
        assert!(read("a/b").unwrap_err().starts_with("Unknown destination"));
        assert!(read("/amq/queues/a").unwrap_err().starts_with("Unknown destination"));
        assert!(read("").unwrap_err().contains("cannot be blank"));
        assert!(read(&format!("/queue/{}", "a".repeat(256))).is_err());
    }

    #[test]
    fn a_message_says_where_it_was_published_to() {
        let said = |exchange: &str, key: &str| {
            let mut out = Vec::new();
            put(exchange.as_bytes(), key.as_bytes(), b"amq.topic", &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(said("", "a/b"), "/queue/a%2Fb");
        assert_eq!(said("amq.topic", "a.b"), "/topic/a.b");
        assert_eq!(said("x", ""), "/exchange/x");
        assert_eq!(said("x", "k%\u{e4}"), "/exchange/x/k%25%C3%A4");
    }
}
