//! Topic names and filters (4.7), shared subscriptions (4.8), and what matches what. A level
//! is what stands between two `/`, and may be empty. Never changes a name.

pub use lockgate_model::topic::matches;

/// Longest name or filter, in bytes: what a length of two bytes can say.
pub const LENGTH_MAX: usize = 65_535;

/// What a filter begins with that many subscribers share.
const SHARE: &str = "$share/";

/// Why a text is no topic name or filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the texts say it
pub enum BadTopic {
    #[error("empty")]
    Empty,
    #[error("longer than 65535 bytes")]
    Long,
    #[error("holds U+0000")]
    Null,
    #[error("a wildcard in a name")]
    Wildcard,
    #[error("# is not alone in the last level")]
    Multi,
    #[error("+ is not alone in its level")]
    Single,
    #[error("a share name that is empty or holds + or #")]
    Group,
    #[error("a share name and no filter")]
    NoFilter,
}

impl BadTopic {
    /// The statement of the specification of version 5 that it breaks.
    pub fn clause(self) -> &'static str {
        match self {
            BadTopic::Empty => "MQTT-4.7.3-1",
            BadTopic::Null => "MQTT-4.7.3-2",
            BadTopic::Long => "MQTT-4.7.3-3",
            BadTopic::Wildcard => "MQTT-4.7.1-1",
            BadTopic::Multi => "MQTT-4.7.1-1",
            BadTopic::Single => "MQTT-4.7.1-2",
            BadTopic::Group => "MQTT-4.8.2-1",
            BadTopic::NoFilter => "MQTT-4.8.2-2",
        }
    }
}

/// Is it the name of a topic that something can be published to?
#[inline]
pub fn check_name(name: &str) -> Result<(), BadTopic> {
    // One pass without a branch: nearly every name is good.
    let odd = name.bytes().fold(false, |odd, b| odd | (b == 0) | (b == b'+') | (b == b'#'));
    if !odd && (1..=LENGTH_MAX).contains(&name.len()) {
        return Ok(());
    }
    check_text(name).and(Err(BadTopic::Wildcard))
}

#[inline]
fn check_text(text: &str) -> Result<(), BadTopic> {
    match text.len() {
        0 => Err(BadTopic::Empty),
        1..=LENGTH_MAX if text.bytes().any(|b| b == 0) => Err(BadTopic::Null),
        1..=LENGTH_MAX => Ok(()),
        _ => Err(BadTopic::Long),
    }
}

/// A filter that can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// As it was sent.
    pub whole: &'a str,
    /// Who shares the subscription.
    pub group: Option<&'a str>,
    /// What names are matched with.
    pub pattern: &'a str,
}

impl<'a> Filter<'a> {
    /// The filter that `whole` is.
    pub fn of(whole: &'a str) -> Result<Filter<'a>, BadTopic> {
        check_text(whole)?;
        let (group, pattern) = match whole.strip_prefix(SHARE) {
            None if whole == "$share" => return Err(BadTopic::Group),
            None => (None, whole),
            Some(rest) => {
                let (group, pattern) = rest.split_once('/').unwrap_or((rest, ""));
                if group.is_empty() || group.contains(['+', '#']) {
                    return Err(BadTopic::Group);
                }
                if pattern.is_empty() {
                    return Err(BadTopic::NoFilter);
                }
                (Some(group), pattern)
            }
        };
        let mut levels = pattern.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(BadTopic::Multi);
            }
            if level.contains('+') && level != "+" {
                return Err(BadTopic::Single);
            }
        }
        Ok(Filter { whole, group, pattern })
    }

    /// Does it match more than one name?
    pub fn is_wild(&self) -> bool {
        self.pattern.contains(['+', '#'])
    }

    /// Does it match this name?
    pub fn matches(&self, name: &str) -> bool {
        matches(self.pattern, name)
    }
}

/// How many levels a name or filter has.
pub fn levels(text: &str) -> usize {
    text.split('/').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_no_wildcards_and_are_not_empty() {
        for good in ["a", "/", "a//b", " ", "$SYS/x", "a.b*>c", "ä/\u{feff}"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_name(""), Err(BadTopic::Empty));
        assert_eq!(check_name("a/+"), Err(BadTopic::Wildcard));
        assert_eq!(check_name("a#"), Err(BadTopic::Wildcard));
        assert_eq!(check_name("a\0"), Err(BadTopic::Null));
        assert_eq!(check_name(&"a".repeat(65_535)), Ok(()));
        assert_eq!(check_name(&"a".repeat(65_536)), Err(BadTopic::Long));
    }

    #[test]
    fn wildcards_stand_alone_mqtt_4_7_1_1_and_4_7_1_2() {
        for good in ["#", "+", "a/#", "+/+", "/+", "a/+/b", "$SYS/#", "$shared/a", "+/a/#"] {
            assert!(Filter::of(good).is_ok(), "{good}");
        }
        for bad in ["a#", "a/#/b", "#/", "##", "#a"] {
            assert_eq!(Filter::of(bad), Err(BadTopic::Multi), "{bad}");
        }
        for bad in ["a+", "+a/b", "a/++"] {
            assert_eq!(Filter::of(bad), Err(BadTopic::Single), "{bad}");
        }
        assert_eq!(Filter::of(""), Err(BadTopic::Empty));
    }

    #[test]
    fn a_share_has_a_name_and_a_filter_mqtt_4_8_2() {
        let f = Filter::of("$share/g/a/+/#").unwrap();
        assert_eq!((f.group, f.pattern, f.whole), (Some("g"), "a/+/#", "$share/g/a/+/#"));
        assert_eq!(Filter::of("$share/g//a").map(|f| f.pattern), Ok("/a"));
        assert_eq!(Filter::of("$share/g//").map(|f| f.pattern), Ok("/"));
        for bad in ["$share", "$share/", "$share//a", "$share/+/a", "$share/g#/a"] {
            assert_eq!(Filter::of(bad), Err(BadTopic::Group), "{bad}");
        }
        for bad in ["$share/g", "$share/g/"] {
            assert_eq!(Filter::of(bad), Err(BadTopic::NoFilter), "{bad}");
        }
        assert_eq!(Filter::of("$share/g/#a"), Err(BadTopic::Multi));
    }

    #[test]
    fn what_the_specification_says_matches_matches() {
        // 4.7.1.2, 4.7.1.3 and 4.7.2, with their examples.
        let yes = [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("#", "a//b"),
            ("sport/tennis/+", "sport/tennis/player1"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/monitor/Clients"),
            ("$SYS/monitor/+", "$SYS/monitor/Clients"),
            ("a/+/#", "a/b"),
            ("a/#", "a/$x"),
        ];
        let no = [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/x"),
            ("+/monitor/Clients", "$SYS/monitor/Clients"),
            ("ACCOUNTS", "Accounts"),
            ("a", "a/"),
            ("a/", "a"),
            ("a/+/#", "a"),
        ];
        for (pattern, name) in yes {
            assert!(matches(pattern, name), "{pattern} {name}");
            assert!(Filter::of(pattern).is_ok_and(|f| f.matches(name)));
        }
        for (pattern, name) in no {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn levels_are_counted() {
        assert_eq!([levels("a"), levels("/"), levels("a//b")], [1, 2, 3]);
        assert!(!Filter::of("a/b").unwrap().is_wild());
        assert!(Filter::of("a/+").unwrap().is_wild());
    }
}
