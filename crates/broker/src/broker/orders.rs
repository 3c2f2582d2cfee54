//! What orders must be like, whatever is there: known settings, patterns that can be read,
//! values that can be kept. The words are RabbitMQ's where it has any.

use super::policies;
use crate::pattern::Pattern;
use lockgate_model::limits::NAME_BYTES_MAX;
use lockgate_model::{Destination, Name, Order, Parameter, Refusal, Table, User, Value, VhostSpec};

/// What a parameter can be of.
const COMPONENTS: &[&str] =
    &["vhost-limits", "shovel", "federation-upstream", "federation-upstream-set", "federation"];

/// Checks an order.
pub fn check(order: &Order) -> Result<(), Refusal> {
    match order {
        Order::MakeVhost(spec) => check_vhost(spec),
        Order::SetUser(user) => check_user(user),
        Order::SetPermission(p) => {
            named(&[&p.user, &p.vhost])?;
            [&p.configure, &p.write, &p.read].into_iter().try_for_each(|text| regexp(text))
        }
        Order::SetTopicPermission(p) => {
            named(&[&p.user, &p.vhost, &p.exchange])?;
            [&p.write, &p.read].into_iter().try_for_each(|text| regexp(text))
        }
        Order::SetPolicy { policy, tier, .. } => {
            named(&[&policy.name])?;
            keepable(&policy.definition)?;
            policies::check(policy, *tier).map_err(Refusal::Invalid)
        }
        Order::SetParameter(parameter) => check_parameter(parameter),
        Order::DeclareExchange { spec, .. } => {
            named(&[&spec.name])?;
            keepable(&spec.arguments)
        }
        Order::DeclareQueue { spec, .. } => {
            named(&[&spec.name])?;
            if spec.name.is_empty() {
                return Err(Refusal::Invalid("a queue needs a name".into()));
            }
            keepable(&spec.arguments)
        }
        Order::Bind { binding, .. } => {
            let (Destination::Queue(to) | Destination::Exchange(to)) = &binding.destination;
            named(&[&binding.source, to])?;
            if binding.key.len() > NAME_BYTES_MAX {
                let text = format!("the routing key is longer than {NAME_BYTES_MAX} bytes");
                return Err(Refusal::Invalid(text));
            }
            keepable(&binding.arguments)
        }
        _ => Ok(()),
    }
}

fn named(names: &[&Name]) -> Result<(), Refusal> {
    match names.iter().find(|name| name.len() > NAME_BYTES_MAX) {
        None => Ok(()),
        Some(_) => Err(Refusal::Invalid(format!("the name is longer than {NAME_BYTES_MAX} bytes"))),
    }
}

/// Values must come back from the log as they went.
fn keepable(table: &Table) -> Result<(), Refusal> {
    let mut bytes = Vec::new();
    table.encode(&mut bytes);
    match Table::decode(&bytes) {
        Ok(again) if again == *table => Ok(()),
        Ok(_) => Err(Refusal::Invalid("a key is longer than 255 bytes".into())),
        Err(why) => Err(Refusal::Invalid(format!("values that cannot be kept: {why}"))),
    }
}

fn regexp(text: &str) -> Result<(), Refusal> {
    // The empty one grants nothing.
    Pattern::new(text)
        .map(|_| ())
        .map_err(|why| Refusal::Invalid(format!("regular expression '{text}' is invalid: {why}")))
}

fn check_vhost(spec: &VhostSpec) -> Result<(), Refusal> {
    named(&[&spec.name])?;
    keepable(&spec.metadata)?;
    if spec.name.is_empty() {
        return Err(Refusal::Invalid("a virtual host needs a name".into()));
    }
    match spec.metadata.get("default_queue_type") {
        None => Ok(()),
        Some(kind) if matches!(kind.as_str(), Some("classic" | "quorum" | "stream")) => Ok(()),
        // RabbitMQ writes it so where there is none.
        Some(kind) if matches!(kind.as_str(), Some("undefined")) => Ok(()),
        Some(kind) => {
            let text = format!("{} is not a valid default queue type", policies::term(kind));
            Err(Refusal::Invalid(text))
        }
    }
}

fn check_user(user: &User) -> Result<(), Refusal> {
    named(&[&user.name])?;
    user.tags.iter().try_for_each(|tag| named(&[tag]))?;
    keepable(&user.limits)?;
    if user.name.is_empty() {
        return Err(Refusal::Invalid("a user needs a name".into()));
    }
    limits(&user.limits, "user-limits", &["max-connections", "max-channels"])
}

fn limits(table: &Table, whose: &str, known: &[&str]) -> Result<(), Refusal> {
    for (name, value) in &table.0 {
        if !known.contains(&&**name) {
            let term = policies::pair(name, value);
            return Err(Refusal::Invalid(format!("Unrecognised terms [{term}] in {whose}")));
        }
        if value.as_int().is_none() {
            let term = policies::term(value);
            let text = format!("{name} should be a number, actually was {term}");
            return Err(Refusal::Invalid(text));
        }
    }
    Ok(())
}

fn check_parameter(p: &Parameter) -> Result<(), Refusal> {
    named(&[&p.component, &p.name])?;
    keepable(&Table(vec![("value".into(), p.value.clone())]))?;
    if p.vhost.is_none() {
        return Ok(());
    }
    if !COMPONENTS.contains(&p.component.as_str()) {
        return Err(Refusal::Invalid(format!("component {} not found", p.component)));
    }
    if p.component != "vhost-limits" {
        return Ok(());
    }
    match &p.value {
        Value::Table(table) => limits(table, &p.name, &["max-connections", "max-queues"]),
        other => Err(Refusal::Invalid(format!("{} not a list {}", p.name, policies::term(other)))),
    }
}
