//! What a RabbitMQ 3.10 built by hand has exported (`tests/vectors/definitions`, made by
//! `interop/definitions`) is read without a loss, and written again as it was.

use lockgate_definitions::{Product, Trouble, read, write};
use lockgate_model::{Holdings, Order, Scram};
use proptest::prelude::*;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

const PRODUCT: Product<'_> = Product { speaks: "3.13.7", version: "0" };

fn vector(name: &str) -> String {
    let path =
        format!("{}/../../tests/vectors/definitions/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// What a broker that did all orders would hold.
fn obeyed(orders: impl Iterator<Item = Order>) -> Holdings {
    let mut all = Holdings::default();
    for order in orders {
        match order {
            Order::MakeVhost(vhost) => all.vhosts.push(vhost),
            Order::SetUser(user) => all.users.push(user),
            Order::SetPermission(p) => all.permissions.push(p),
            Order::SetTopicPermission(p) => all.topic_permissions.push(p),
            Order::SetPolicy { vhost, tier, policy } => all.policies.push((vhost, tier, policy)),
            Order::SetParameter(p) => all.parameters.push(p),
            Order::DeclareExchange { vhost, spec } => all.exchanges.push((vhost, spec)),
            Order::DeclareQueue { vhost, spec } => all.queues.push((vhost, spec)),
            Order::Bind { vhost, binding } => all.bindings.push((vhost, binding)),
            other => panic!("{other:?}"),
        }
    }
    all
}

/// Where RabbitMQ writes one thing in two ways, one of them: a list of pairs is an object,
/// no tags are an empty list.
fn plain(json: &Json) -> Json {
    let pair = |json: &Json| match json.as_array().map(Vec::as_slice) {
        Some([Json::String(name), value]) => Some((name.clone(), plain(value))),
        _ => None,
    };
    match json {
        Json::Array(all) if !all.is_empty() && all.iter().all(|v| pair(v).is_some()) => {
            Json::Object(all.iter().filter_map(pair).collect())
        }
        Json::Array(all) => Json::Array(all.iter().map(plain).collect()),
        Json::Object(map) => {
            let mut map: Map<String, Json> =
                map.iter().map(|(k, v)| (k.clone(), plain(v))).collect();
            for (name, empty) in [("tags", Json::Array(vec![])), ("limits", Json::Array(vec![]))] {
                if matches!(map.get(name), Some(v) if *v == "" || *v == Json::Object(Map::new())) {
                    map.insert(name.into(), empty);
                }
            }
            Json::Object(map)
        }
        other => other.clone(),
    }
}

/// The objects of a list, in no order.
fn objects(text: &str, list: &str) -> BTreeSet<String> {
    let json: Json = serde_json::from_str(text).unwrap();
    json[list].as_array().unwrap().iter().map(|v| plain(v).to_string()).collect()
}

const LISTS: [&str; 10] = [
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "global_parameters",
    "policies",
    "queues",
    "exchanges",
    "bindings",
];

#[test]
fn what_rabbitmq_exports_comes_out_again_object_by_object() {
    for name in ["rabbitmq-3.10-fresh", "rabbitmq-3.10-estate"] {
        let theirs = vector(name);
        let read = read(theirs.as_bytes(), None).unwrap();
        let names = |all: &[Trouble]| -> BTreeSet<String> {
            all.iter().map(|t| t.article.name.clone()).collect()
        };
        assert_eq!(read.bad, [], "{name}");
        // RabbitMQ does not take queues of its own names in again.
        let skipped = names(&read.skipped);
        assert!(skipped.iter().all(|queue| queue.starts_with("amq.gen-")), "{skipped:?}");
        let ours = obeyed(read.items.into_iter().map(|item| item.order));
        let ours = write(&ours, None, PRODUCT).unwrap();
        for list in LISTS {
            let mut theirs = objects(&theirs, list);
            theirs.retain(|object| !skipped.iter().any(|queue| object.contains(queue)));
            assert_eq!(objects(&ours, list), theirs, "{list} of {name}");
        }
    }
}

#[test]
fn our_export_of_one_virtual_host_says_what_the_whole_one_says_of_it() {
    let read = |text: &str, into| read(text.as_bytes(), into).unwrap();
    let orders = read(&vector("rabbitmq-3.10-estate"), None).items;
    let all = obeyed(orders.into_iter().map(|item| item.order));
    assert_eq!(write(&all, Some("nowhere"), PRODUCT), None);
    let text = write(&all, Some("shop"), PRODUCT).unwrap();
    let again = read(&text, Some("shop"));
    assert_eq!((again.bad, again.skipped), (vec![], vec![]));
    let mut again = obeyed(again.items.into_iter().map(|item| item.order));
    // Once at the top and once among the parameters: the same.
    again.parameters.dedup();
    let mut part = all.clone();
    part.users.clear();
    part.permissions.clear();
    part.topic_permissions.clear();
    part.vhosts.retain(|v| v.name == "shop");
    part.parameters.retain(|p| p.vhost.as_ref().is_some_and(|v| v == "shop"));
    part.policies.retain(|(vhost, ..)| vhost == "shop");
    part.exchanges.retain(|(vhost, _)| vhost == "shop");
    part.queues.retain(|(vhost, _)| vhost == "shop");
    part.bindings.retain(|(vhost, _)| vhost == "shop");
    let sorted = |mut all: Holdings| {
        all.parameters.sort_by_key(|p| (p.component.clone(), p.name.clone()));
        all.parameters.dedup();
        all.policies.sort_by_key(|(_, tier, p)| (*tier, p.name.clone()));
        all
    };
    assert_eq!(sorted(again), sorted(part));
    assert!(!text.contains("\"vhost\""), "its objects name no virtual host");
}

#[test]
fn keys_of_scram_come_out_again() {
    let theirs = read(vector("rabbitmq-3.10-estate").as_bytes(), None).unwrap();
    let mut all = obeyed(theirs.items.into_iter().map(|item| item.order));
    let text = write(&all, None, PRODUCT).unwrap();
    assert!(!text.contains("scram"), "a user without keys is as RabbitMQ's are");
    let salt = b"salt"[..].into();
    let keys = Scram { salt, iterations: 4096, stored: [1; 32], server: [2; 32] };
    all.users[0].scram = Some(keys);
    let text = write(&all, None, PRODUCT).unwrap();
    let again = read(text.as_bytes(), None).unwrap();
    assert_eq!(again.bad, []);
    assert_eq!(obeyed(again.items.into_iter().map(|item| item.order)).users, all.users);
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, None);
    }

    #[test]
    fn no_edit_of_an_export_panics(at in 0..8_000usize, with in "[\\[\\]{}\":,a0-]{0,3}") {
        let mut text = vector("rabbitmq-3.10-estate");
        if let Some(at) = (at..text.len()).find(|n| text.is_char_boundary(*n)) {
            let end = (at + 1..=text.len()).find(|n| text.is_char_boundary(*n)).unwrap();
            text.replace_range(at..end, &with);
        }
        if let Ok(read) = read(text.as_bytes(), None) {
            read.bad.iter().for_each(|trouble| drop(trouble.to_string()));
            write(&obeyed(read.items.into_iter().map(|item| item.order)), None, PRODUCT);
        }
    }
}
