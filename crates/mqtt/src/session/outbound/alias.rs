//! Numbers in place of topics on the way to the client (3.3.2.3.4): the first topics that
//! come get them, for as long as the connection lasts.

use std::num::NonZeroU16;

/// Most bytes of topics that have a number: what a connection holds is bounded.
const BYTES_MAX: usize = 4 * 1024;

/// A number saves nothing for a topic that is as short as the property that says it.
const WORTH_MIN: usize = 4;

/// How a topic is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Said {
    /// By its name alone.
    #[default]
    Name,
    /// By its name, which from then on has this number.
    Both(NonZeroU16),
    /// By this number alone.
    Number(NonZeroU16),
}

/// Topics that have a number, in its order.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    topics: Vec<Box<str>>,
    /// Most of them.
    max: u16,
    /// Theirs together.
    bytes: usize,
}

impl Aliases {
    pub(super) fn new(max: u16) -> Aliases {
        Aliases { max, ..Aliases::default() }
    }

    /// How a topic is to be said now.
    pub(super) fn of(&self, topic: &str) -> Said {
        if self.max == 0 || topic.len() < WORTH_MIN {
            return Said::Name;
        }
        let number = |at: usize| u16::try_from(at + 1).ok().filter(|n| *n <= self.max);
        if let Some(at) = self.topics.iter().position(|t| **t == *topic) {
            return number(at).and_then(NonZeroU16::new).map_or(Said::Name, Said::Number);
        }
        if self.bytes + topic.len() > BYTES_MAX {
            return Said::Name;
        }
        number(self.topics.len()).and_then(NonZeroU16::new).map_or(Said::Name, Said::Both)
    }

    /// The topic has been said with the next number.
    pub(super) fn told(&mut self, topic: &str) {
        self.topics.push(topic.into());
        self.bytes += topic.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_topics_get_numbers_and_keep_them() {
        let mut a = Aliases::new(2);
        let (one, two) = (NonZeroU16::MIN, NonZeroU16::MIN.saturating_add(1));
        assert_eq!(a.of("a/b/c"), Said::Both(one));
        assert_eq!(a.of("a/b/c"), Said::Both(one), "not said yet");
        a.told("a/b/c");
        assert_eq!((a.of("a/b/c"), a.of("d/e/f")), (Said::Number(one), Said::Both(two)));
        a.told("d/e/f");
        assert_eq!((a.of("d/e/f"), a.of("g/h/i")), (Said::Number(two), Said::Name));
    }

    #[test]
    fn what_saves_nothing_or_costs_too_much_has_no_number() {
        let a = Aliases::new(0);
        assert_eq!(a.of("a/b/c"), Said::Name);
        let mut a = Aliases::new(9);
        assert_eq!(a.of("a/b"), Said::Name);
        let long = "l".repeat(BYTES_MAX - 5);
        a.told(&long);
        assert_eq!((a.of("sixsix"), a.of(&long)), (Said::Name, Said::Number(NonZeroU16::MIN)));
        assert!(matches!(a.of("fives"), Said::Both(_)));
    }
}
