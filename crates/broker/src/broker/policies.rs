//! What policies may set, and how RabbitMQ says no (`rabbit_policies`,
//! `rabbit_mirror_queue_misc` and the plugins that register settings of their own).

use crate::ledger::age_seconds;
use crate::pattern::Pattern;
use lockgate_model::{Policy, Table, Tier, Value};

/// Whether a value is a good one.
type Good = fn(&Value) -> bool;

/// Every setting: its name, which values are good, and what others are not.
const SETTINGS: &[(&str, Good, &str)] = &[
    ("alternate-exchange", text, "alternate exchange name"),
    ("dead-letter-exchange", text, "dead letter exchange name"),
    ("dead-letter-routing-key", text, "dead letter routing key"),
    ("dead-letter-strategy", strategy, "dead letter strategy"),
    ("message-ttl", count, "message TTL"),
    ("expires", positive, "queue expiry"),
    ("max-length", count, "maximum length"),
    ("max-length-bytes", count, "maximum length in bytes"),
    ("max-in-memory-length", count, "maximum memory in bytes"),
    ("max-in-memory-bytes", count, "maximum memory in bytes"),
    ("queue-mode", mode, "queue-mode value"),
    ("queue-version", version, "queue-version value"),
    ("overflow", overflow, "overflow value"),
    ("delivery-limit", count, "delivery limit"),
    ("max-age", age, "max age"),
    ("queue-leader-locator", leader, "queue leader locator value"),
    ("queue-master-locator", master, "queue master locator"),
    ("initial-cluster-size", count, "cluster size"),
    ("target-group-size", count, "target count"),
    ("stream-max-segment-size-bytes", segment, "segment size"),
    ("stream-filter-size-bytes", filter, "filter size"),
    ("consumer-timeout", count, "consumer timeout"),
    ("delayed-retry-type", retry, "delayed retry type"),
    ("delayed-retry-min", count, "delayed retry minimum"),
    ("delayed-retry-max", count, "delayed retry maximum"),
    ("federation-upstream", text, "federation upstream"),
    ("federation-upstream-set", text, "federation upstream set"),
    ("federation-upstream-pattern", text, "federation upstream pattern"),
    ("shards-per-node", count, "number of shards"),
    ("routing-key", text, "routing key"),
    ("ha-mode", any, ""),
    ("ha-params", any, ""),
    ("ha-sync-mode", any, ""),
    ("ha-sync-batch-size", any, ""),
    ("ha-promote-on-shutdown", any, ""),
    ("ha-promote-on-failure", any, ""),
];

/// What operators may set.
const FOR_OPERATORS: &[&str] = &[
    "expires",
    "message-ttl",
    "max-length",
    "max-length-bytes",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "delivery-limit",
    "overflow",
    "queue-version",
    "target-group-size",
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-sync-batch-size",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
];

/// Checks a policy; on a no, why.
pub fn check(policy: &Policy, tier: Tier) -> Result<(), String> {
    if let Err(why) = Pattern::new(&policy.pattern) {
        return Err(format!("pattern should be regular expression but is invalid: {why}"));
    }
    let definition = &policy.definition;
    if definition.is_empty() {
        return Err("no policy provided".into());
    }
    let known = |key: &str| {
        SETTINGS.iter().any(|(name, _, _)| *name == key)
            && (tier == Tier::User || FOR_OPERATORS.contains(&key))
    };
    let strange: Vec<String> = (definition.0.iter())
        .filter(|(key, _)| !known(key))
        .map(|(key, value)| pair(key, value))
        .collect();
    for (key, value) in &definition.0 {
        let setting = SETTINGS.iter().find(|(name, _, _)| *name == &**key);
        if let Some((_, good, what)) = setting
            && !good(value)
        {
            return Err(format!("{} is not a valid {what}", term(value)));
        }
    }
    check_mirrors(definition)?;
    if strange.is_empty() {
        return Ok(());
    }
    Err(format!("[{}] are not recognised policy settings", strange.join(",")))
}

/// Settings of mirrored queues: kept and shown, and nothing else.
fn check_mirrors(definition: &Table) -> Result<(), String> {
    let of = |name: &str| definition.get(name);
    let word = |name: &str| of(name).and_then(Value::as_str);
    let others = ["ha-params", "ha-sync-mode", "ha-sync-batch-size"];
    let others = others.iter().chain(&["ha-promote-on-shutdown", "ha-promote-on-failure"]);
    let Some(mode) = of("ha-mode") else {
        return match others.clone().any(|name| of(name).is_some()) {
            true => Err("ha-mode must be specified to specify ha-params, ha-sync-mode or \
                         ha-promote-on-shutdown"
                .into()),
            false => Ok(()),
        };
    };
    let params = of("ha-params").map_or("none".into(), term);
    match mode.as_str() {
        Some("all") if of("ha-params").is_none() => {}
        Some("all") => return Err("ha-mode=\"all\" does not take parameters".into()),
        Some("exactly") if of("ha-params").and_then(Value::as_int).is_some_and(|n| n > 0) => {}
        Some("exactly") => {
            return Err(format!("ha-mode=\"exactly\" takes an integer, {params} given"));
        }
        Some("nodes") if matches!(of("ha-params"), Some(Value::Array(a)) if !a.is_empty()) => {}
        Some("nodes") => {
            return Err(format!(
                "ha-mode=\"nodes\" list must be a list of node names, {params} given"
            ));
        }
        _ => return Err(format!("{} is not a valid ha-mode value", term(mode))),
    }
    let one_of = |name: &str, a: &str, b: &str| match (of(name), word(name)) {
        (None, _) => Ok(()),
        (_, Some(w)) if w == a || w == b => Ok(()),
        (Some(v), _) => Err(format!("{name} must be \"{a}\" or \"{b}\", got {}", term(v))),
    };
    one_of("ha-sync-mode", "manual", "automatic")?;
    one_of("ha-promote-on-shutdown", "always", "when-synced")?;
    one_of("ha-promote-on-failure", "always", "when-synced")?;
    match of("ha-sync-batch-size") {
        Some(n) if n.as_int().is_none_or(|n| n <= 0) => {
            Err(format!("ha-sync-batch-size takes an integer greater than 0, {} given", term(n)))
        }
        _ => Ok(()),
    }
}

fn any(_: &Value) -> bool {
    true
}

fn text(value: &Value) -> bool {
    value.as_str().is_some()
}

fn count(value: &Value) -> bool {
    value.as_int().is_some_and(|n| n >= 0)
}

fn positive(value: &Value) -> bool {
    value.as_int().is_some_and(|n| n >= 1)
}

fn strategy(value: &Value) -> bool {
    matches!(value.as_str(), Some("at-most-once" | "at-least-once"))
}

fn mode(value: &Value) -> bool {
    matches!(value.as_str(), Some("default" | "lazy"))
}

fn version(value: &Value) -> bool {
    matches!(value.as_int(), Some(1 | 2))
}

fn overflow(value: &Value) -> bool {
    matches!(value.as_str(), Some("drop-head" | "reject-publish" | "reject-publish-dlx"))
}

fn age(value: &Value) -> bool {
    value.as_str().and_then(age_seconds).is_some()
}

fn leader(value: &Value) -> bool {
    matches!(value.as_str(), Some("client-local" | "balanced" | "random" | "least-leaders"))
}

fn master(value: &Value) -> bool {
    matches!(value.as_str(), Some("client-local" | "min-masters" | "random"))
}

fn segment(value: &Value) -> bool {
    value.as_int().is_some_and(|n| (0..=3_000_000_000).contains(&n))
}

fn filter(value: &Value) -> bool {
    value.as_int().is_some_and(|n| (16..=255).contains(&n))
}

fn retry(value: &Value) -> bool {
    matches!(value.as_str(), Some("disabled" | "all" | "failed" | "returned"))
}

/// A setting as RabbitMQ's texts print it.
pub fn pair(key: &str, value: &Value) -> String {
    format!("{{<<\"{key}\">>,{}}}", term(value))
}

/// A value as RabbitMQ's texts print it.
pub fn term(value: &Value) -> String {
    match value {
        Value::Text(_) => format!("<<\"{}\">>", value.as_str().unwrap_or_default()),
        Value::Bool(b) => b.to_string(),
        Value::F32(n) => format!("{n:?}"),
        Value::F64(n) => format!("{n:?}"),
        Value::Void => "null".into(),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().map(term).collect();
            format!("[{}]", all.join(","))
        }
        Value::Table(table) => {
            let all: Vec<String> =
                table.0.iter().map(|(k, v)| format!("<<\"{k}\">> => {}", term(v))).collect();
            format!("#{{{}}}", all.join(","))
        }
        other => other.as_int().map_or_else(|| format!("{other:?}"), |n| n.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockgate_model::ApplyTo;

    fn check_one(tier: Tier, pairs: &[(&str, Value)]) -> String {
        let definition = Table(pairs.iter().map(|(k, v)| ((*k).into(), v.clone())).collect());
        let (name, pattern, apply_to) = ("p".into(), String::new(), ApplyTo::All);
        let policy = Policy { name, pattern, apply_to, definition, priority: 0 };
        check(&policy, tier).err().unwrap_or_default()
    }

    #[test]
    fn a_bad_value_is_told_in_rabbitmqs_words() {
        let user = |key: &str, value: Value| check_one(Tier::User, &[(key, value)]);
        let text = Value::text;
        for (said, wanted) in [
            (user("max-length", Value::I64(-1)), "-1 is not a valid maximum length"),
            (user("max-length", text("x")), "<<\"x\">> is not a valid maximum length"),
            (user("max-length", Value::F64(1.5)), "1.5 is not a valid maximum length"),
            (user("expires", Value::I64(0)), "0 is not a valid queue expiry"),
            (user("max-age", text("5x")), "<<\"5x\">> is not a valid max age"),
            (user("queue-version", Value::I64(3)), "3 is not a valid queue-version value"),
            (
                user("foo", Value::Array(vec![Value::I64(1), text("a")])),
                "[{<<\"foo\">>,[1,<<\"a\">>]}] are not recognised policy settings",
            ),
            (user("ha-mode", text("exactly")), "ha-mode=\"exactly\" takes an integer, none given"),
            (
                user("ha-params", Value::I64(1)),
                "ha-mode must be specified to specify ha-params, ha-sync-mode or \
                 ha-promote-on-shutdown",
            ),
            (check_one(Tier::User, &[]), "no policy provided"),
        ] {
            assert_eq!(said, wanted);
        }
        assert_eq!(user("ha-mode", text("all")), "");
    }

    #[test]
    fn operators_set_less() {
        let key = |key: &str, value| check_one(Tier::Operator, &[(key, value)]);
        assert_eq!(key("max-length", Value::I64(1)), "");
        let refused = "[{<<\"alternate-exchange\">>,<<\"x\">>}] are not recognised policy settings";
        assert_eq!(key("alternate-exchange", Value::text("x")), refused);
    }
}
