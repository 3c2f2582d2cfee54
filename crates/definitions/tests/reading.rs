//! Reading definitions of every age, and what is bad in them.

use lockgate_definitions::{Definitions, read};
use lockgate_model::{Hashing, Order, Tier, Value};

fn from(text: &str) -> Definitions {
    read(text.as_bytes(), None).unwrap()
}

fn orders(text: &str) -> Vec<Order> {
    let read = from(text);
    assert_eq!(read.bad, []);
    read.items.into_iter().map(|item| item.order).collect()
}

fn bad(text: &str) -> Vec<String> {
    from(text).bad.iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_file_and_a_byte_order_mark_are_fine() {
    for text in ["", " \n", "\u{feff}", "\u{feff}{}", "{}", "{\"other\": 5, \"users\": []}"] {
        let read = read(text.as_bytes(), None).unwrap();
        assert!(read.items.is_empty() && read.bad.is_empty(), "{text:?}");
    }
}

#[test]
fn what_is_no_definitions_file_is_said_in_one_line() {
    for (text, why) in [
        ("[]", "no definitions: a JSON object is wanted"),
        ("{\"users\": [}", "no JSON: expected value at line 1 column 12"),
        ("{\"users\": [", "no JSON: EOF while parsing a list at line 1 column 11"),
        ("queues:", "no JSON: expected value at line 1 column 1"),
    ] {
        assert_eq!(read(text.as_bytes(), None).unwrap_err().to_string(), why);
    }
    let deep = "[".repeat(100_000);
    assert!(read(deep.as_bytes(), None).is_err());
    assert!(read(b"{\"a\": \"\xff\"}", None).is_err());
}

#[test]
fn the_order_is_that_of_rabbitmq() {
    let text = r#"{
        "bindings": [{"vhost": "/", "source": "x", "destination": "q"}],
        "queues": [{"vhost": "/", "name": "q"}],
        "parameters": [{"vhost": "/", "component": "shovel", "name": "s", "value": {}}],
        "policies": [{"vhost": "/", "name": "p", "pattern": "", "priority": 0,
                      "definition": {"expires": 1}}],
        "global_parameters": [{"name": "cluster_name", "value": "c"}],
        "topic_permissions": [{"user": "u", "vhost": "/", "exchange": "x", "write": "", "read": ""}],
        "exchanges": [{"vhost": "/", "name": "x", "type": "topic"}],
        "permissions": [{"user": "u", "vhost": "/", "configure": "", "write": "", "read": ""}],
        "vhosts": [{"name": "/"}],
        "users": [{"name": "u", "tags": ""}]
    }"#;
    let read = from(text);
    let kinds: Vec<&str> = read.items.iter().map(|item| item.article.kind).collect();
    let wanted = "user,vhost,permission,exchange,topic permission,global parameter,policy,\
                  parameter,queue,binding";
    assert_eq!(kinds.join(","), wanted);
}

#[test]
fn hashes_are_what_the_file_or_its_age_says() {
    let user = |version: &str, more: &str, bytes: usize| {
        // So many zero bytes in base64.
        let rest = (3 - bytes % 3) % 3;
        let hash = "A".repeat(bytes.div_ceil(3) * 4 - rest) + &"=".repeat(rest);
        format!(
            r#"{{"rabbit_version": "{version}", "users": [{{"name": "u", "tags": "",
                "password_hash": "{hash}"{more}}}]}}"#
        )
    };
    let hashing = |text: String| match &orders(&text)[..] {
        [Order::SetUser(user)] => (user.hash.hashing, user.hash.bytes.len()),
        other => panic!("{other:?}"),
    };
    let sha512 = r#", "hashing_algorithm": "rabbit_password_hashing_sha512""#;
    assert_eq!(hashing(user("3.13.7", "", 36)), (Hashing::Sha256, 36));
    assert_eq!(hashing(user("3.6.0", "", 36)), (Hashing::Sha256, 36));
    assert_eq!(hashing(user("3.5.8", "", 20)), (Hashing::Md5, 20));
    assert_eq!(hashing(user("3.5.8", sha512, 68)), (Hashing::Sha512, 68));
    assert_eq!(hashing(user("3.13.7", "", 0)), (Hashing::Sha256, 0), "no password at all");
    assert_eq!(
        bad(&user("3.13.7", "", 20)),
        ["user 'u': `password_hash` has 20 bytes, and its algorithm makes 36"]
    );
    let custom = r#", "hashing_algorithm": "my_hashing""#;
    let why = ["user 'u': hashing algorithm 'my_hashing' is not known"];
    assert_eq!(bad(&user("3.13.7", custom, 36)), why);
}

#[test]
fn keys_of_scram_are_whole_or_none() {
    let key = format!("{}=", "A".repeat(43));
    let good = format!(
        r#"{{"salt": "c2FsdA==", "iterations": 4096, "stored_key": "{key}", "server_key": "{key}"}}"#
    );
    let user = |more: &str, keys: &str| {
        format!(r#"{{"users": [{{"name": "u", "tags": ""{more}, "scram_sha_256": {keys}}}]}}"#)
    };
    assert!(matches!(&orders(&user("", &good))[..], [Order::SetUser(u)] if u.scram.is_some()));
    assert!(matches!(&orders(&user("", "null"))[..], [Order::SetUser(u)] if u.scram.is_none()));
    for (from, to, what) in [
        ("c2FsdA==", "", "salt"),
        ("c2FsdA==", "?", "salt"),
        ("4096", "4095", "iterations"),
        ("4096", "4294967296", "iterations"),
        ("AAA=\", \"server", "AA==\", \"server", "stored_key"),
        ("server_key", "server", "server_key"),
    ] {
        let why = format!("user 'u': `{what}` of `scram_sha_256` is missing or of no use");
        assert_eq!(bad(&user("", &good.replace(from, to))), [why], "{from}");
    }
    assert_eq!(bad(&user("", "\"key\"")).len(), 1);
    let why = ["user 'u': both `password` and `scram_sha_256` are given"];
    assert_eq!(bad(&user(r#", "password": "p""#, &good)), why);
}

#[test]
fn older_exports_say_the_same_otherwise() {
    let text = r#"{
        "users": [
            {"name": "a", "password_hash": "", "tags": "administrator, monitoring"},
            {"name": "b", "password_hash": "", "administrator": "true"},
            {"name": "c", "password": "clear", "tags": ["x"]}
        ],
        "vhosts": [{"name": "v", "description": "d", "tags": ["t"], "default_queue_type": "quorum",
                    "tracing": false, "limits": {"max-queues": 5}}]
    }"#;
    let read = from(text);
    assert_eq!(read.bad, []);
    let tags: Vec<Vec<String>> = (read.items.iter())
        .filter_map(|item| match &item.order {
            Order::SetUser(user) => Some(user.tags.iter().map(ToString::to_string).collect()),
            _ => None,
        })
        .collect();
    assert_eq!(tags, [vec!["administrator", "monitoring"], vec!["administrator"], vec!["x"]]);
    assert_eq!(read.items[2].password.as_deref(), Some("clear"));
    let Order::MakeVhost(vhost) = &read.items[3].order else { panic!("a virtual host") };
    let names: Vec<&str> = vhost.metadata.0.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["default_queue_type", "description", "tags"]);
    let Order::SetParameter(limits) = &read.items[4].order else { panic!("its limits") };
    assert_eq!((limits.component.as_str(), limits.name.as_str()), ("vhost-limits", "limits"));
}

#[test]
fn values_get_the_types_that_rabbitmq_gives_them() {
    let text = r#"{"queues": [{"vhost": "/", "name": "q", "arguments":
        {"a": 5, "b": 1.5, "c": true, "d": "x", "e": [1, "y"], "f": {"g": -1}}}]}"#;
    let [Order::DeclareQueue { spec, .. }] = &orders(text)[..] else { panic!("a queue") };
    let get = |name: &str| spec.arguments.get(name).cloned().unwrap();
    assert_eq!((get("a"), get("b")), (Value::I64(5), Value::F64(1.5)));
    assert_eq!((get("c"), get("d")), (Value::Bool(true), Value::text("x")));
    assert_eq!(get("e"), Value::Array(vec![Value::I64(1), Value::text("y")]));
    let Value::Table(inner) = get("f") else { panic!("a table") };
    assert_eq!(inner.get("g"), Some(&Value::I64(-1)));
}

#[test]
fn operator_policies_come_as_parameters() {
    let text = r#"{"parameters": [{"vhost": "v", "component": "operator_policy", "name": "o",
        "value": {"pattern": "^a", "definition": {"max-length": 1}, "priority": 3,
                  "apply-to": "queues"}}]}"#;
    let [Order::SetPolicy { vhost, tier, policy }] = &orders(text)[..] else { panic!("a policy") };
    assert_eq!((vhost.as_str(), *tier, policy.priority), ("v", Tier::Operator, 3));
}

#[test]
fn a_bad_object_is_named_and_harms_no_other() {
    let text = r#"{
        "users": [5, {"tags": ""}, {"name": "ok", "tags": []}, {"name": "no-tags"},
                  {"name": "b", "tags": "", "password_hash": "!"}],
        "vhosts": {"name": "v"},
        "exchanges": [{"vhost": "/", "name": "x", "type": "x-nothing"}, {"name": "y", "type": "topic"},
                      {"vhost": "/", "name": "z", "type": "fanout", "durable": 1}],
        "policies": [{"vhost": "/", "name": "p", "priority": 0, "definition": {}},
                     {"vhost": "/", "name": "p2", "pattern": "", "definition": {}},
                     {"vhost": "/", "name": "p3", "pattern": "", "priority": 1.5, "definition": {}},
                     {"vhost": "/", "name": "p4", "pattern": "", "priority": 1, "apply-to": "all of it",
                      "definition": {}}],
        "queues": [{"vhost": "/", "name": "q", "arguments": {"a": null}},
                   {"vhost": "/", "name": "q3", "arguments": {"a": 18446744073709551615}}],
        "bindings": [{"vhost": "/", "source": "x", "destination": "q", "destination_type": "z",
                      "routing_key": "k\u001b"}]
    }"#;
    let read = from(text);
    assert_eq!(read.items.iter().filter(|item| item.article.name == "ok").count(), 1);
    assert_eq!(
        bad(text),
        [
            "user 'users[0]': an object is wanted",
            "user '': `name` is missing",
            "user 'no-tags': `tags` is missing",
            "user 'b': `password_hash` is no base64",
            "vhost 'vhosts': `vhosts` should be a list",
            "exchange 'x' in vhost '/': unknown exchange type 'x-nothing'",
            "exchange 'y': `vhost` is missing",
            "exchange 'z' in vhost '/': `durable` should be true or false, actually was 1",
            "policy 'p' in vhost '/': pattern should be a binary but was undefined",
            "policy 'p2' in vhost '/': priority should be a number, actually was undefined",
            "policy 'p3' in vhost '/': priority should be a whole number, actually was 1.5",
            "policy 'p4' in vhost '/': apply-to 'all of it' unrecognised; should be 'queues', \
             'exchanges' or 'all'",
            "queue 'q' in vhost '/': argument 'a' is null, which is not allowed",
            "queue 'q3' in vhost '/': 18446744073709551615 is too large a number",
            "binding 'x -> q by k\\u{1b}' in vhost '/': unknown destination type 'z'",
        ]
    );
}

#[test]
fn what_rabbitmq_passes_over_is_passed_over() {
    let text = r#"{"queues": [{"vhost": "/", "name": "amq.gen-x"}],
        "exchanges": [{"vhost": "/", "name": "amq.topic", "type": "topic"},
                      {"vhost": "/", "name": "", "type": "direct"}]}"#;
    let read = from(text);
    assert_eq!((read.items.len(), read.bad.len(), read.skipped.len()), (0, 0, 3));
}

#[test]
fn an_export_of_one_virtual_host_goes_where_it_is_told() {
    let text = r#"{"rabbitmq_definition_format": "single_virtual_host",
        "original_vhost_name": "old", "metadata": {"description": "d"},
        "limits": {"max-queues": 9}, "queues": [{"name": "q"}],
        "policies": [{"name": "p", "pattern": "", "priority": 0, "definition": {"expires": 5}}],
        "users": [{"name": "u", "tags": ""}]}"#;
    let refused = read(text.as_bytes(), None).unwrap_err().to_string();
    assert_eq!(refused, "an export of the one virtual host 'old': say into which it is to go");
    let read = read(text.as_bytes(), Some("new")).unwrap();
    let shown: Vec<String> = read.items.iter().map(|i| i.article.to_string()).collect();
    let wanted = [
        "vhost 'new'",
        "parameter 'vhost-limits limits' in vhost 'new'",
        "policy 'p' in vhost 'new'",
        "queue 'q' in vhost 'new'",
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn of_a_whole_export_only_one_virtual_hosts_part_goes_into_one() {
    let text = r#"{"queues": [{"vhost": "a", "name": "qa"}, {"vhost": "b", "name": "qb"}],
        "users": [{"name": "u", "tags": ""}]}"#;
    let read = read(text.as_bytes(), Some("b")).unwrap();
    assert_eq!(read.items.len(), 1);
    assert_eq!(read.items[0].article.name, "qb");
}
