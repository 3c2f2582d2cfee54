//! How topics and routing keys are each other, both ways: by RabbitMQ's rules or by
//! ActiveMQ's. A topic without dots, stars and the like is the same key in both. From MQTT to
//! MQTT no topic goes this way, it stays as it is. Never cuts anything to make it fit.
//!
//! ```text
//!   MQTT       /   +   #   .   *   >      a/+/#      a.b/c
//!   RabbitMQ   .   *   #   .   *   >      a.*.#      a.b.c   (comes back as a/b/c)
//!   ActiveMQ   .   *   >   /   +   #      a.*.>      a/b.c
//! ```

use crate::topic::{self, BadTopic};
pub use lockgate_model::topic::is_plain;

/// Longest routing key that AMQP can say, in bytes. Topics may be longer: their keys are whole,
/// for MQTT to MQTT, and do not reach who could not be told them.
pub const KEY_MAX: usize = 255;

/// Whose rules are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/` becomes `.` and `+` becomes `*`, and the other way round.
    RabbitMq {
        /// The dot in Sparkplug's `spBv1.0/` becomes `___`, so that it comes back.
        sparkplug: bool,
    },
    /// `/` and `.`, `+` and `*`, `#` and `>` change places: everything comes back.
    ActiveMq,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect::RabbitMq { sparkplug: false }
    }
}

/// Why a key has no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// Keys may be any bytes.
    #[error("a routing key that is not UTF-8")]
    NotText,
    /// It would be no name that something can be published to.
    #[error("topic: {0}")]
    Topic(BadTopic),
}

impl Dialect {
    /// How long the routing key of a topic name is.
    pub fn key_size(self, name: &str) -> usize {
        name.len()
            + if self.sparkplug(name, ".", '/').is_some() { "___".len() - ".".len() } else { 0 }
    }

    /// Appends the routing key of a topic name to `key`; it may be longer than `KEY_MAX`.
    pub fn key(self, name: &str, key: &mut Vec<u8>) {
        self.put_key(name, key, |byte| self.down(byte));
    }

    /// Appends to `key` the binding key of a filter, without its share name, for a topic
    /// exchange: there `#` is the wildcard for all levels by either's rules. It may match more
    /// than the filter does where one of both is not plain (`is_plain`), and never less.
    pub fn binding_key(self, pattern: &str, key: &mut Vec<u8>) {
        self.put_key(pattern, key, |byte| if byte == b'#' { byte } else { self.down(byte) });
    }

    fn put_key(self, text: &str, key: &mut Vec<u8>, to: impl Fn(u8) -> u8) {
        let mut rest = text;
        if let Some((version, behind)) = self.sparkplug(text, ".", '/') {
            key.extend_from_slice(version.as_bytes());
            key.extend_from_slice(b"___");
            rest = behind;
        }
        key.extend(rest.bytes().map(to));
    }

    /// The topic name of a routing key, into `name`, which is emptied first. What would be no
    /// name that a subscriber can be told is refused.
    pub fn topic(self, key: &[u8], name: &mut String) -> Result<(), NoWay> {
        name.clear();
        let mut rest = std::str::from_utf8(key).map_err(|_| NoWay::NotText)?;
        if let Some((version, behind)) = self.sparkplug(rest, "___", '.') {
            name.push_str(version);
            name.push('.');
            rest = behind;
        }
        name.extend(rest.chars().map(|c| self.up(c)));
        topic::check_name(name).map_err(NoWay::Topic)
    }

    /// What a byte of a topic is in a key.
    fn down(self, byte: u8) -> u8 {
        match (self, byte) {
            (_, b'/') => b'.',
            (_, b'+') => b'*',
            (Dialect::ActiveMq, b'#') => b'>',
            (Dialect::ActiveMq, b'.') => b'/',
            (Dialect::ActiveMq, b'*') => b'+',
            (Dialect::ActiveMq, b'>') => b'#',
            (_, same) => same,
        }
    }

    /// What a letter of a key is in a topic.
    fn up(self, letter: char) -> char {
        match (self, letter) {
            (_, '.') => '/',
            (_, '*') => '+',
            (Dialect::ActiveMq, '>') => '#',
            (Dialect::ActiveMq, '/') => '.',
            (Dialect::ActiveMq, '+') => '*',
            (Dialect::ActiveMq, '#') => '>',
            (_, same) => same,
        }
    }

    /// `spAv1.0/` or `spBv1.0/`, with any numbers and these two signs: what stands before the
    /// first sign, and what stands behind it.
    fn sparkplug<'t>(self, text: &'t str, dot: &str, end: char) -> Option<(&'t str, &'t str)> {
        if self != (Dialect::RabbitMq { sparkplug: true }) {
            return None;
        }
        let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let (version, behind) = text.split_once(dot)?;
        let major = version.strip_prefix("spAv").or(version.strip_prefix("spBv"))?;
        let (minor, _) = behind.split_once(end)?;
        (number(major) && number(minor)).then_some((version, behind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RABBIT: Dialect = Dialect::RabbitMq { sparkplug: false };
    const SPARK: Dialect = Dialect::RabbitMq { sparkplug: true };
    const ACTIVE: Dialect = Dialect::ActiveMq;

    fn key(dialect: Dialect, name: &str) -> String {
        let mut key = vec![b'>'];
        dialect.key(name, &mut key);
        String::from_utf8(key).unwrap().split_off(1)
    }

    fn binding(dialect: Dialect, pattern: &str) -> String {
        let mut key = vec![b'>'];
        dialect.binding_key(pattern, &mut key);
        String::from_utf8(key).unwrap().split_off(1)
    }

    fn topic(dialect: Dialect, key: &[u8]) -> Result<String, NoWay> {
        let mut name = "before".to_owned();
        dialect.topic(key, &mut name).map(|()| name)
    }

    #[test]
    fn plain_topics_are_the_same_key_by_all_rules() {
        for dialect in [RABBIT, SPARK, ACTIVE] {
            assert_eq!(key(dialect, "a/b/ä"), "a.b.ä");
            assert_eq!(binding(dialect, "a/+/#"), "a.*.#");
            assert_eq!(topic(dialect, "a.b.ä".as_bytes()), Ok("a/b/ä".into()));
        }
        assert!(is_plain("a/+/#"));
        for odd in ["a.b", "a//b", "/a", "a/", "*", "a>", "$SYS/a", ""] {
            assert!(!is_plain(odd), "{odd}");
        }
    }

    #[test]
    fn rabbitmq_loses_dots_and_stars() {
        assert_eq!(key(RABBIT, "a.b/c*/>"), "a.b.c*.>");
        assert_eq!(topic(RABBIT, b"a.b.c>"), Ok("a/b/c>".into()));
        assert_eq!(key(RABBIT, "/a//b"), ".a..b");
        assert_eq!(topic(RABBIT, b".a..b"), Ok("/a//b".into()));
    }

    #[test]
    fn rabbitmq_keeps_the_dot_of_sparkplug_if_it_is_told_to() {
        assert_eq!(key(SPARK, "spBv1.0/g/x.y"), "spBv1___0.g.x.y");
        assert_eq!(binding(SPARK, "spAv10.12/+/#"), "spAv10___12.*.#");
        assert_eq!(topic(SPARK, b"spBv1___0.g.n"), Ok("spBv1.0/g/n".into()));
        assert_eq!(key(RABBIT, "spBv1.0/g"), "spBv1.0.g");
        assert_eq!(topic(RABBIT, b"spBv1___0.g"), Ok("spBv1___0/g".into()));
        for not in ["spCv1.0/g", "spBv1.0", "spBv.0/g", "spBv1./g", "spBv1.x/g", "xspBv1.0/g"] {
            assert_eq!(key(SPARK, not), key(RABBIT, not), "{not}");
        }
        for not in ["spBv1___0", "spBv___0.g", "spBv1___.g", "spBv1__0.g"] {
            assert_eq!(topic(SPARK, not.as_bytes()), topic(RABBIT, not.as_bytes()), "{not}");
        }
    }

    #[test]
    fn activemq_swaps_and_swaps_back() {
        assert_eq!(key(ACTIVE, "a.b/c"), "a/b.c");
        assert_eq!(topic(ACTIVE, b"a/b.c"), Ok("a.b/c".into()));
        assert_eq!(key(ACTIVE, "a*/>"), "a+.#");
        assert_eq!(topic(ACTIVE, b"a+.#"), Ok("a*/>".into()));
        assert_eq!(binding(ACTIVE, "a.b/+/#"), "a/b.*.#");
    }

    #[test]
    fn what_has_no_way_is_refused_and_not_cut() {
        let long = "a".repeat(crate::topic::LENGTH_MAX);
        assert_eq!(key(RABBIT, &long), long);
        let spark = format!("spBv1.0/{}", "a".repeat(KEY_MAX));
        assert_eq!(key(SPARK, &spark).len(), spark.len() + 2);
        for (dialect, name) in [(SPARK, &spark), (SPARK, &long), (RABBIT, &spark), (ACTIVE, &spark)]
        {
            assert_eq!(dialect.key_size(name), key(dialect, name).len());
        }
        assert_eq!(topic(RABBIT, b"a.\xff"), Err(NoWay::NotText));
        assert_eq!(topic(RABBIT, b"a.*"), Err(NoWay::Topic(BadTopic::Wildcard)));
        assert_eq!(topic(RABBIT, b"a.#"), Err(NoWay::Topic(BadTopic::Wildcard)));
        assert_eq!(topic(ACTIVE, b"a.>"), Err(NoWay::Topic(BadTopic::Wildcard)));
        assert_eq!(topic(RABBIT, b""), Err(NoWay::Topic(BadTopic::Empty)));
        assert_eq!(topic(RABBIT, b"a\0"), Err(NoWay::Topic(BadTopic::Null)));
    }
}
