//! Policies: settings for whatever a pattern matches, and how they, the operators' and the
//! arguments of a declaration become one.
//!
//! ```text
//!  policy of the highest priority --+-- the lower number --+-- as `Stands` says --> arguments
//!  operator policy, likewise     --+                      |    that count
//!  arguments of the declaration  -------------------------+
//! ```

use super::rules::Kind;
use crate::pattern::Pattern;
use lockgate_model::{ApplyTo, Name, Policy, Table, Tier, Value};
use std::borrow::Cow;
use std::cmp::Reverse;

/// A policy with its pattern read. One that this version cannot read matches nothing.
#[derive(Debug)]
struct Standing {
    policy: Policy,
    pattern: Option<Pattern>,
}

/// What a policy is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A queue of this kind.
    Queue(Kind),
    /// An exchange.
    Exchange,
}

/// The policies of one virtual host, each tier in the order in which they count.
#[derive(Debug, Default)]
pub struct Policies {
    user: Vec<Standing>,
    operator: Vec<Standing>,
}

/// Which policies count for something, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The users' policy.
    pub user: Option<Name>,
    /// The operators'.
    pub operator: Option<Name>,
}

impl Policies {
    fn tier(&mut self, tier: Tier) -> &mut Vec<Standing> {
        match tier {
            Tier::User => &mut self.user,
            Tier::Operator => &mut self.operator,
        }
    }

    /// Sets a policy, in place of the one of that name.
    pub fn set(&mut self, tier: Tier, policy: &Policy) {
        let pattern = Pattern::new(&policy.pattern).ok();
        let all = self.tier(tier);
        all.retain(|s| s.policy.name != policy.name);
        all.push(Standing { policy: policy.clone(), pattern });
        all.sort_by(|a, b| {
            let order = |p: &Policy| (Reverse(p.priority), p.name.clone());
            order(&a.policy).cmp(&order(&b.policy))
        });
    }

    /// Takes a policy away.
    pub fn clear(&mut self, tier: Tier, name: &str) {
        self.tier(tier).retain(|s| s.policy.name != name);
    }

    /// The policy of that name.
    pub fn get(&self, tier: Tier, name: &str) -> Option<&Policy> {
        self.iter().find(|(t, p)| *t == tier && p.name == name).map(|(_, p)| p)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Tier, &Policy)> {
        let user = self.user.iter().map(|s| (Tier::User, &s.policy));
        user.chain(self.operator.iter().map(|s| (Tier::Operator, &s.policy)))
    }

    /// Those that count for something of this name: one of each tier.
    pub fn of(&self, subject: Subject, name: &str) -> (Option<&Policy>, Option<&Policy>) {
        // The broker's own queues are no user's or operator's affair.
        if name.starts_with("amq.rabbitmq.") {
            return (None, None);
        }
        let first = |all: &'_ [Standing]| all.iter().position(|s| s.applies(subject, name));
        (
            first(&self.user).map(|at| &self.user[at].policy),
            first(&self.operator).map(|at| &self.operator[at].policy),
        )
    }
}

impl Standing {
    fn applies(&self, subject: Subject, name: &str) -> bool {
        let meant = match (subject, self.policy.apply_to) {
            (_, ApplyTo::All)
            | (Subject::Exchange, ApplyTo::Exchanges)
            | (Subject::Queue(_), ApplyTo::Queues)
            | (Subject::Queue(Kind::Classic), ApplyTo::ClassicQueues)
            | (Subject::Queue(Kind::Quorum), ApplyTo::QuorumQueues)
            | (Subject::Queue(Kind::Stream), ApplyTo::Streams) => true,
            (_, _) => false,
        };
        let foreign: &[&str] = match subject {
            Subject::Exchange => &[],
            Subject::Queue(Kind::Classic) => NOT_CLASSIC,
            Subject::Queue(Kind::Quorum) => NOT_QUORUM,
            Subject::Queue(Kind::Stream) => NOT_STREAM,
        };
        meant
            && !self.policy.definition.0.iter().any(|(key, _)| foreign.contains(&&**key))
            && self.pattern.as_ref().is_some_and(|p| p.matches(name))
    }
}

// A policy that sets what a kind of queue does not have is passed over for it, whole, as
// RabbitMQ does it (`unsupported_policies` of its kinds).
const NOT_CLASSIC: &[&str] = &[
    "max-age",
    "stream-max-segment-size-bytes",
    "initial-cluster-size",
    "delivery-limit",
    "dead-letter-strategy",
];
const NOT_QUORUM: &[&str] = &[
    "queue-mode",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "queue-master-locator",
    "max-age",
    "stream-max-segment-size-bytes",
    "initial-cluster-size",
];
const NOT_STREAM: &[&str] = &[
    "expires",
    "message-ttl",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "dead-letter-strategy",
    "max-length",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "overflow",
    "queue-mode",
    "delivery-limit",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
    "queue-master-locator",
];

/// How a policy's setting stands beside the argument of the same meaning.
enum Stands {
    /// The lower number counts.
    Lower,
    /// The argument counts.
    Below,
    /// The policy counts.
    Above,
}

fn stands(key: &str, kind: Kind) -> Stands {
    match key {
        "message-ttl"
        | "expires"
        | "max-length"
        | "max-length-bytes"
        | "max-in-memory-length"
        | "max-in-memory-bytes"
        | "delivery-limit"
        | "max-age"
        | "consumer-timeout" => Stands::Lower,
        "overflow" if kind == Kind::Quorum => Stands::Above,
        _ => Stands::Below,
    }
}

/// The arguments that count for a queue: its own, and what policies add to them.
pub fn effective<'a>(
    arguments: &'a Table,
    kind: Kind,
    policy: Option<&Policy>,
    operator: Option<&Policy>,
) -> Cow<'a, Table> {
    if policy.is_none() && operator.is_none() {
        return Cow::Borrowed(arguments);
    }
    let mut all = arguments.clone();
    for (key, value) in merged(policy, operator).0 {
        let name = format!("x-{key}");
        let counts = match (all.get(&name), stands(&key, kind)) {
            (None, _) | (Some(_), Stands::Above) => Some(value),
            (Some(_), Stands::Below) => None,
            (Some(own), Stands::Lower) => (amount(&value) < amount(own)).then_some(value),
        };
        if let Some(value) = counts {
            all.set(&name, value);
        }
    }
    Cow::Owned(all)
}

/// What a policy and an operator's say together.
pub fn merged(policy: Option<&Policy>, operator: Option<&Policy>) -> Table {
    let mut all = policy.map(|p| p.definition.clone()).unwrap_or_default();
    for (key, value) in operator.iter().flat_map(|p| &p.definition.0) {
        let kept = all.get(key).is_some_and(|own| match (amount(own), amount(value)) {
            (Some(own), Some(theirs)) => own <= theirs,
            _ => false,
        });
        if !kept {
            all.set(key, value.clone());
        }
    }
    all
}

/// A number, or an age in seconds such as `7D`.
fn amount(value: &Value) -> Option<i64> {
    value.as_int().or_else(|| age_seconds(value.as_str()?))
}

/// How long `7D` or `30m` is, in seconds. None if it is no age.
pub fn age_seconds(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "Y" => 365 * 86_400,
        "M" => 30 * 86_400,
        "D" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let digits = number.bytes().all(|b| b.is_ascii_digit());
    number.parse::<i64>().ok().filter(|n| digits && *n > 0)?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, priority: i64, pairs: &[(&str, Value)]) -> Policy {
        let definition = Table(pairs.iter().map(|(k, v)| ((*k).into(), v.clone())).collect());
        let (pattern, apply_to) = ("^q".into(), ApplyTo::Queues);
        Policy { name: name.into(), pattern, apply_to, definition, priority }
    }

    fn table(pairs: &[(&str, Value)]) -> Table {
        Table(pairs.iter().map(|(k, v)| ((*k).into(), v.clone())).collect())
    }

    #[test]
    fn of_those_that_match_the_highest_priority_counts_and_it_alone() {
        let mut p = Policies::default();
        p.set(Tier::User, &policy("a-low", 1, &[("max-length", Value::I64(1))]));
        p.set(Tier::User, &policy("b-high", 2, &[("expires", Value::I64(1))]));
        p.set(Tier::Operator, &policy("op", 0, &[("expires", Value::I64(1))]));
        let name = |p: &Policies, subject, name: &str| {
            let (user, operator) = p.of(subject, name);
            (user.map(|p| p.name.to_string()), operator.is_some())
        };
        let queue = Subject::Queue(Kind::Classic);
        assert_eq!(name(&p, queue, "q1"), (Some("b-high".into()), true));
        assert_eq!(name(&p, queue, "x"), (None, false));
        assert_eq!(name(&p, Subject::Exchange, "q1"), (None, false));
        p.clear(Tier::User, "b-high");
        assert_eq!(name(&p, queue, "q1"), (Some("a-low".into()), true));
    }

    #[test]
    fn a_policy_for_another_kind_is_passed_over() {
        let mut p = Policies::default();
        p.set(Tier::User, &policy("limit", 0, &[("delivery-limit", Value::I64(1))]));
        assert!(p.of(Subject::Queue(Kind::Classic), "q").0.is_none());
        assert!(p.of(Subject::Queue(Kind::Quorum), "q").0.is_some());
        p.set(Tier::User, &Policy { apply_to: ApplyTo::Streams, ..policy("limit", 0, &[]) });
        assert!(p.of(Subject::Queue(Kind::Quorum), "q").0.is_none());
        assert!(p.of(Subject::Queue(Kind::Stream), "q").0.is_some());
    }

    #[test]
    fn the_lower_number_counts_and_else_the_argument() {
        let own = table(&[
            ("x-max-length", Value::I32(5)),
            ("x-message-ttl", Value::I64(9)),
            ("x-dead-letter-exchange", Value::text("own")),
            ("x-overflow", Value::text("drop-head")),
        ]);
        let policy = policy(
            "p",
            0,
            &[
                ("max-length", Value::I64(7)),
                ("message-ttl", Value::I64(3)),
                ("dead-letter-exchange", Value::text("policy")),
                ("overflow", Value::text("reject-publish")),
                ("expires", Value::I64(4)),
            ],
        );
        let all = effective(&own, Kind::Classic, Some(&policy), None);
        let int = |name: &str| all.get(name).and_then(Value::as_int);
        assert_eq!(
            (int("x-max-length"), int("x-message-ttl"), int("x-expires")),
            (Some(5), Some(3), Some(4))
        );
        assert_eq!(all.get("x-dead-letter-exchange"), Some(&Value::text("own")));
        assert_eq!(all.get("x-overflow"), Some(&Value::text("drop-head")));
        let quorum = effective(&own, Kind::Quorum, Some(&policy), None);
        assert_eq!(quorum.get("x-overflow"), Some(&Value::text("reject-publish")));
    }

    #[test]
    fn the_operators_lower_number_counts_and_what_only_one_sets() {
        let user = policy("u", 0, &[("max-length", Value::I64(5)), ("expires", Value::I64(5))]);
        let operator = policy(
            "o",
            0,
            &[
                ("max-length", Value::I64(9)),
                ("expires", Value::I64(2)),
                ("message-ttl", Value::I64(1)),
            ],
        );
        let all = merged(Some(&user), Some(&operator));
        let int = |name: &str| all.get(name).and_then(Value::as_int);
        assert_eq!(
            (int("max-length"), int("expires"), int("message-ttl")),
            (Some(5), Some(2), Some(1))
        );
    }

    #[test]
    fn ages_compare_as_times() {
        assert_eq!((age_seconds("7D"), age_seconds("1h")), (Some(604_800), Some(3_600)));
        for text in ["", "7", "D", "-1h", "+1h", "0s", "5x", "99999999999999999Y"] {
            assert_eq!(age_seconds(text), None, "{text}");
        }
    }
}
