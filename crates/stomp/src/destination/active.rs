//! Destinations as ActiveMQ's users write them. Names keep their slashes; several stand
//! between commas; a wildcard is a level of its own.
//!
//! ```text
//!  /queue/NAME  queue://NAME  NAME     a durable queue
//!  /topic/NAME  topic://NAME           a key of the topic exchange
//!  /temp-queue/NAME  /temp-topic/NAME  one of this connection
//!  /remote-temp-queue/REAL             another connection's, as its messages name it
//!  /remote-temp-topic/REAL
//! ```

use super::{Destination, invalid};
use crate::error::{Fault, shown};
use lockgate_model::limits::NAME_BYTES_MAX;
use std::borrow::Cow;

/// What ActiveMQ fans out to queues.
const VIRTUAL: &str = "VirtualTopic.";

/// What a temporary topic's key begins with.
pub const TEMP_TOPIC: &str = "ActiveMQ.Temp.";

/// Reads all that a `destination` names, one or more.
pub fn parse(text: &[u8]) -> Result<Vec<Destination<'_>>, Fault> {
    let all = std::str::from_utf8(text)
        .map_err(|_| invalid(format!("'{}' is not valid UTF-8\n", shown(text))))?;
    all.split(',').map(|one| read(one.trim(), text)).collect()
}

fn read<'a>(one: &'a str, whole: &[u8]) -> Result<Destination<'a>, Fault> {
    const KINDS: [&str; 8] = [
        "/queue/",
        "/topic/",
        "/temp-queue/",
        "/temp-topic/",
        "/remote-temp-queue/",
        "/remote-temp-topic/",
        "queue://",
        "topic://",
    ];
    let found = KINDS.iter().find_map(|kind| Some((*kind, one.strip_prefix(kind)?)));
    let (kind, name) = match found {
        Some(found) => found,
        None if one.starts_with('/') => {
            let text = format!(
                "Illegal destination name: [{}] -- ActiveMQ STOMP destinations must begin with \
                 one of: /queue/ /topic/ /temp-queue/ /temp-topic/\n",
                shown(whole)
            );
            return Err(Fault::new("Illegal destination name", text));
        }
        None => ("queue://", one),
    };
    // What may be said of a destination behind a question mark is said to Java's clients.
    let name = name.split_once('?').map_or(name, |(name, _)| name);
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let text = format!(
            "'{}' has a name that is empty or longer than {NAME_BYTES_MAX} bytes\n",
            shown(whole)
        );
        return Err(invalid(text));
    }
    let name = Cow::Borrowed(name);
    Ok(match kind {
        "/topic/" | "topic://" | "/remote-temp-topic/" => Destination::Topic(name),
        "/temp-queue/" => Destination::TempQueue(name),
        "/temp-topic/" => Destination::TempTopic(name),
        "/remote-temp-queue/" => Destination::ReplyQueue(name),
        _ => Destination::Queue(name),
    })
}

/// Does a name stand for several?
pub fn is_pattern(name: &str) -> bool {
    name.split('.').any(|level| matches!(level, "*" | ">"))
}

/// The topic exchange's binding key of a topic, or of a pattern. None for what would mean
/// something else there.
pub fn binding_key(name: &str) -> Option<String> {
    let levels: Vec<&str> = name.split('.').collect();
    let last = levels.len() - 1;
    let key = |(n, level): (usize, &&'_ str)| match *level {
        ">" if n == last => Some("#"),
        ">" | "#" => None,
        _ => Some(levels[n]),
    };
    let key: Option<Vec<&str>> = levels.iter().enumerate().map(key).collect();
    key.map(|levels| levels.join("."))
}

/// The virtual topic that a queue `Consumer.NAME.VirtualTopic.REST` reads.
pub fn virtual_topic(queue: &str) -> Option<&str> {
    let (_, topic) = queue.strip_prefix("Consumer.")?.split_once('.')?;
    topic.starts_with(VIRTUAL).then_some(topic)
}

/// Appends where a message was published to as a destination.
pub fn put(exchange: &[u8], key: &[u8], topics: &[u8], out: &mut Vec<u8>) {
    let (before, name): (&[u8], &[u8]) = if exchange.is_empty() {
        (b"/queue/", key)
    } else if exchange == topics && key.starts_with(TEMP_TOPIC.as_bytes()) {
        (b"/remote-temp-topic/", key)
    } else if exchange == topics {
        (b"/topic/", key)
    } else {
        (b"/exchange/", exchange)
    };
    out.extend_from_slice(before);
    out.extend_from_slice(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Destination<'_>> {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_keep_their_slashes_and_commas_part_them() {
        let queue = |name: &'static str| Destination::Queue(name.into());
        assert_eq!(read("/queue/a/b"), [queue("a/b")]);
        assert_eq!(read("a"), [queue("a")]);
        let three = [queue("a"), Destination::Topic("b".into()), queue("c")];
        assert_eq!(read("/queue/a, /topic/b,queue://c"), three);
        assert_eq!(read("/queue/a?consumer.prefetchSize=1"), [queue("a")]);
        assert_eq!(read("/remote-temp-queue/x"), [Destination::ReplyQueue("x".into())]);
        assert_eq!(read("/temp-topic/x"), [Destination::TempTopic("x".into())]);
        assert!(parse(b"/exchange/x").is_err() && parse(b"/queue/").is_err());
        assert!(parse(b"/queue/a,").is_err());
    }

    #[test]
    fn wildcards_are_levels() {
        assert_eq!(binding_key("a.*.>").as_deref(), Some("a.*.#"));
        assert_eq!(binding_key("a.b").as_deref(), Some("a.b"));
        assert_eq!(binding_key(">").as_deref(), Some("#"));
        assert_eq!((binding_key("a.>.b"), binding_key("a.#")), (None, None));
        assert!(is_pattern("a.*") && is_pattern(">") && !is_pattern("a*.b>"));
    }

    #[test]
    fn consumers_of_virtual_topics_are_told_by_name() {
        assert_eq!(virtual_topic("Consumer.A.VirtualTopic.x.y"), Some("VirtualTopic.x.y"));
        assert_eq!(virtual_topic("Consumer.A.x"), None);
        assert_eq!(virtual_topic("VirtualTopic.x"), None);
    }
}
