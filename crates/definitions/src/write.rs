//! Writing: what there is, as RabbitMQ would export it.

use crate::secrets;
use crate::value::{json, json_table, text};
use lockgate_model::{
    Binding, Destination, ExchangeSpec, Holdings, Parameter, Policy, QueueSpec, Tier, User, Value,
    VhostSpec,
};
use serde_json::{Map, Value as Json, json};

/// Whose export it is.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a> {
    /// The version of RabbitMQ that is spoken.
    pub speaks: &'a str,
    /// The version of Lockgate.
    pub version: &'a str,
}

/// All of it as JSON, or only what is in one virtual host, in the form of such exports. None
/// if there is no such virtual host.
pub fn write(all: &Holdings, vhost: Option<&str>, product: Product<'_>) -> Option<String> {
    let json = match vhost {
        None => whole(all, product),
        Some(name) => of_one(all, all.vhosts.iter().find(|v| v.name == name)?, product),
    };
    serde_json::to_string_pretty(&json).ok().map(|text| text + "\n")
}

fn head(product: Product<'_>) -> Map<String, Json> {
    [
        ("rabbit_version", product.speaks),
        ("rabbitmq_version", product.speaks),
        ("product_name", "Lockgate"),
        ("product_version", product.version),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_string(), value.into()))
    .collect()
}

fn whole(all: &Holdings, product: Product<'_>) -> Json {
    let mut top = head(product);
    let mut put = |name: &str, list: Vec<Json>| top.insert(name.into(), Json::Array(list));
    let within = |vhost: &str, mut item: Json| {
        item["vhost"] = vhost.into();
        item
    };
    put("users", all.users.iter().map(user).collect());
    put("vhosts", all.vhosts.iter().map(|v| vhost(all, v)).collect());
    let permission = |p: &lockgate_model::Permission| {
        json!({"user": &*p.user, "vhost": &*p.vhost, "configure": p.configure,
               "write": p.write, "read": p.read})
    };
    put("permissions", all.permissions.iter().map(permission).collect());
    let topic = |p: &lockgate_model::TopicPermission| {
        json!({"user": &*p.user, "vhost": &*p.vhost, "exchange": &*p.exchange,
               "write": p.write, "read": p.read})
    };
    put("topic_permissions", all.topic_permissions.iter().map(topic).collect());
    let global = all.parameters.iter().filter(|p| p.vhost.is_none());
    // Names of one broker mean nothing to another.
    let global = global.filter(|p| !p.name.starts_with("internal"));
    let global = global.map(|p| json!({"name": &*p.name, "value": json(&p.value)}));
    put("global_parameters", global.collect());
    let parameters =
        all.parameters.iter().filter_map(|p| Some(within(p.vhost.as_ref()?, parameter(p))));
    let operators = all.policies.iter().filter(|(_, tier, _)| *tier == Tier::Operator);
    let operators = operators.map(|(vhost, _, p)| within(vhost, operator_policy(p)));
    put("parameters", parameters.chain(operators).collect());
    let users = all.policies.iter().filter(|(_, tier, _)| *tier == Tier::User);
    put("policies", users.map(|(vhost, _, p)| within(vhost, named_policy(p))).collect());
    put("exchanges", all.exchanges.iter().map(|(v, x)| within(v, exchange(x))).collect());
    put("queues", all.queues.iter().map(|(v, q)| within(v, queue(q))).collect());
    put("bindings", all.bindings.iter().map(|(v, b)| within(v, binding(b))).collect());
    Json::Object(top)
}

fn of_one(all: &Holdings, v: &VhostSpec, product: Product<'_>) -> Json {
    let mut top = head(product);
    top.insert("rabbitmq_definition_format".into(), "single_virtual_host".into());
    top.insert("original_vhost_name".into(), (*v.name).into());
    let about = vhost(all, v);
    top.insert("metadata".into(), about["metadata"].clone());
    top.insert("limits".into(), about["limits"].clone());
    for name in ["description", "default_queue_type"] {
        if let Some(value) = about["metadata"].get(name) {
            top.insert(name.into(), value.clone());
        }
    }
    let mut put = |name: &str, list: Vec<Json>| top.insert(name.into(), Json::Array(list));
    let parameters = all.parameters.iter().filter(|p| p.vhost.as_ref() == Some(&v.name));
    let here = all.policies.iter().filter(|(vhost, _, _)| *vhost == v.name);
    let operators = here.clone().filter(|(_, tier, _)| *tier == Tier::Operator);
    let operators = operators.map(|(_, _, p)| operator_policy(p));
    put("parameters", parameters.map(parameter).chain(operators).collect());
    let users = here.filter(|(_, tier, _)| *tier == Tier::User);
    put("policies", users.map(|(_, _, p)| named_policy(p)).collect());
    let exchanges = all.exchanges.iter().filter(|(vhost, _)| *vhost == v.name);
    put("exchanges", exchanges.map(|(_, x)| exchange(x)).collect());
    let queues = all.queues.iter().filter(|(vhost, _)| *vhost == v.name);
    put("queues", queues.map(|(_, q)| queue(q)).collect());
    let bindings = all.bindings.iter().filter(|(vhost, _)| *vhost == v.name);
    put("bindings", bindings.map(|(_, b)| binding(b)).collect());
    Json::Object(top)
}

fn user(user: &User) -> Json {
    let tags: Vec<&str> = user.tags.iter().map(|tag| tag.as_str()).collect();
    let mut all = json!({
        "name": &*user.name,
        "tags": tags,
        "limits": json_table(&user.limits),
    });
    secrets::write(&user.hash, user.scram.as_ref(), &mut all);
    all
}

fn vhost(all: &Holdings, v: &VhostSpec) -> Json {
    let limits = all.parameters.iter().find(|p| {
        p.vhost.as_ref() == Some(&v.name) && p.component == "vhost-limits" && p.name == "limits"
    });
    let limits = match limits.map(|p| &p.value) {
        Some(Value::Table(limits)) if !limits.is_empty() => json_table(limits),
        // So Erlang writes what is empty.
        _ => json!([]),
    };
    json!({"name": &*v.name, "metadata": json_table(&v.metadata), "limits": limits})
}

fn parameter(p: &Parameter) -> Json {
    json!({"component": &*p.component, "name": &*p.name, "value": json(&p.value)})
}

fn policy(p: &Policy) -> Json {
    json!({
        "pattern": p.pattern,
        "apply-to": p.apply_to.word(),
        "definition": json_table(&p.definition),
        "priority": p.priority,
    })
}

fn named_policy(p: &Policy) -> Json {
    let mut all = policy(p);
    all["name"] = (*p.name).into();
    all
}

fn operator_policy(p: &Policy) -> Json {
    json!({"component": "operator_policy", "name": &*p.name, "value": policy(p)})
}

fn exchange(x: &ExchangeSpec) -> Json {
    let mut all = json!({
        "name": &*x.name,
        "type": x.kind.name(),
        "durable": x.durable,
        "auto_delete": x.auto_delete,
        "arguments": json_table(&x.arguments),
    });
    if x.internal {
        all["internal"] = true.into();
    }
    all
}

fn queue(q: &QueueSpec) -> Json {
    let kind = q.arguments.get("x-queue-type").and_then(Value::as_str).unwrap_or("classic");
    json!({
        "name": &*q.name,
        "type": kind,
        "durable": q.durable,
        "auto_delete": q.auto_delete,
        "arguments": json_table(&q.arguments),
    })
}

fn binding(b: &Binding) -> Json {
    let (to, kind) = match &b.destination {
        Destination::Queue(name) => (name, "queue"),
        Destination::Exchange(name) => (name, "exchange"),
    };
    json!({
        "source": &*b.source,
        "destination": &**to,
        "destination_type": kind,
        "routing_key": text(&b.key),
        "arguments": json_table(&b.arguments),
    })
}
