//! Definitions on the real binary: taken in at a start, on a running broker and on a stopped
//! one; who logs in then; what comes out again.

use crate::client::{Client, connect_to, soon};
use amqprs::channel::QueueDeclareArguments;
use lockgate_tests::broker::{Broker, Options, Process, run};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// What a RabbitMQ 3.10 built by hand exports; its users' passwords stand in
/// `interop/definitions/estate.py`.
fn estate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/definitions/rabbitmq-3.10-estate.json")
}

/// A file with these definitions.
fn file(folder: &tempfile::TempDir, json: &Json) -> String {
    let path = folder.path().join("definitions.json");
    std::fs::write(&path, json.to_string()).unwrap();
    path.to_str().unwrap().into()
}

/// Runs `lockgate definitions` on a broker's data.
fn definitions(data: &Path, words: &[&str]) -> (i32, String, String) {
    let mut all = vec!["definitions"];
    all.extend(words);
    all.extend(["--data-dir", data.to_str().unwrap()]);
    run(&all, &[])
}

fn export(data: &Path) -> Json {
    let (code, out, err) = definitions(data, &["export"]);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

/// Lists of pairs as objects, no tags as an empty list: RabbitMQ writes them both ways.
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
            let map = map.iter().map(|(k, v)| (k.clone(), plain(v)));
            let empty = |k: &str, v: &Json| {
                ["tags", "limits"].contains(&k) && (*v == "" || *v == Json::Object(Map::new()))
            };
            map.map(|(k, v)| if empty(&k, &v) { (k, json!([])) } else { (k, v) }).collect()
        }
        other => other.clone(),
    }
}

fn objects(json: &Json, list: &str) -> BTreeSet<String> {
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

/// Imports the estate, and says what of it is there then.
fn import_estate(data: &Path) -> Json {
    let (code, out, err) = definitions(data, &["import", estate().to_str().unwrap()]);
    assert_eq!(code, 0, "{out} {err}");
    let mut theirs: Json = serde_json::from_slice(&std::fs::read(estate()).unwrap()).unwrap();
    // RabbitMQ does not take queues of its own names in again.
    let own = |q: &Json| q["name"].as_str().unwrap().starts_with("amq.gen-");
    theirs["queues"].as_array_mut().unwrap().retain(|q| !own(q));
    theirs
}

#[test]
fn what_rabbitmq_exports_comes_out_again_object_by_object() {
    let broker = Broker::start(Options::default());
    let theirs = import_estate(broker.data());
    let ours = export(broker.data());
    for list in LISTS {
        assert_eq!(objects(&ours, list), objects(&theirs, list), "{list}");
    }
    broker.kill();
    let broker = broker.again();
    let ours = export(broker.data());
    for list in LISTS.into_iter().filter(|list| !["queues", "exchanges", "bindings"].contains(list))
    {
        assert_eq!(objects(&ours, list), objects(&theirs, list), "{list} after kill -9");
    }
    let durable = |list: &str| -> BTreeSet<String> {
        let all = theirs[list].as_array().unwrap().iter().filter(|v| v["durable"] == true);
        all.map(|v| plain(v).to_string()).collect()
    };
    for list in ["queues", "exchanges"] {
        assert_eq!(objects(&ours, list), durable(list), "{list} after kill -9");
    }
}

async fn comes_in(broker: &Broker, user: &str, password: &str, vhost: &str) -> bool {
    connect_to(broker, user, password, vhost).await.is_ok()
}

#[tokio::test]
async fn imported_users_come_in_with_their_old_passwords_and_only_where_they_may() {
    let flags = ["--load-definitions", estate().to_str().unwrap()].map(String::from);
    let broker = Broker::start(Options { flags: flags.into(), ..Options::default() });
    for (user, password, vhost) in [
        ("admin", "adm1n pässword", "shop"),
        ("monitor", "look, don't touch", "/"),
        ("veteran", "since 2011", "/"),
        ("guest", "guest", "/"),
    ] {
        assert!(comes_in(&broker, user, password, vhost).await, "{user}");
    }
    // At the same time: each is kept waiting, to slow guessing.
    let refused = tokio::join!(
        comes_in(&broker, "admin", "admin password", "/"),
        comes_in(&broker, "certificate", "", "shop"),
        comes_in(&broker, "certificate", "gone", "shop"),
        comes_in(&broker, "nowhere", "n", "/"),
        comes_in(&broker, "veteran", "since 2011", "shop"),
    );
    assert_eq!(refused, (false, false, false, false, false));
    broker.kill();
    let broker = broker.again_with(Options::default());
    assert!(comes_in(&broker, "veteran", "since 2011", "/").await);
    assert!(!comes_in(&broker, "nowhere", "n", "/").await);
}

/// The keys of SCRAM of each user of an export that has any.
fn keys(export: &Json) -> Vec<(String, String)> {
    let users = export["users"].as_array().unwrap().iter();
    let of = |user: &Json| {
        Some((user["name"].as_str()?.to_owned(), user.get("scram_sha_256")?.to_string()))
    };
    users.filter_map(of).collect()
}

#[tokio::test]
async fn who_told_a_password_has_keys_that_move_along_and_outlive_the_hash_alone() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(Options::default());
    let users = json!({"users": [
        {"name": "told", "password": "t", "tags": ""},
        {"name": "hashed", "tags": "", "password_hash": "A".repeat(48)},
    ]});
    let told = file(&folder, &users);
    assert_eq!(definitions(broker.data(), &["import", &told]).0, 0);
    let first = export(broker.data());
    let names: Vec<String> = keys(&first).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["guest", "told"], "of a hash there are none");
    broker.kill();
    let broker = broker.again();
    assert_eq!(keys(&export(broker.data())), keys(&first), "after kill -9");
    // RabbitMQ gives the hash back without them.
    let mut theirs = first.clone();
    for user in theirs["users"].as_array_mut().unwrap() {
        user.as_object_mut().unwrap().remove("scram_sha_256");
    }
    for again in [&theirs, &users] {
        assert_eq!(definitions(broker.data(), &["import", &file(&folder, again)]).0, 0);
        assert_eq!(keys(&export(broker.data())), keys(&first));
    }
    let other = Broker::start(Options::default());
    let ours = file(&folder, &first);
    assert_eq!(definitions(other.data(), &["import", &ours]).0, 0);
    assert_eq!(keys(&export(other.data())), keys(&first), "they move along");
}

async fn waiting(client: &Client, queue: &str) -> u32 {
    let arguments = QueueDeclareArguments::new(queue).passive(true).finish();
    soon(client.channel.queue_declare(arguments)).await.unwrap().unwrap().1
}

#[tokio::test]
async fn a_running_broker_takes_what_is_good_at_once_and_names_what_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(Options::default());
    let mut client = Client::new(&broker).await;
    client.confirms().await;
    let durable = QueueDeclareArguments::new("q").durable(true).finish();
    soon(client.channel.queue_declare(durable)).await.unwrap();
    for n in 0..5 {
        client.publish("q", &[n]).await;
    }
    client.confirmed(5).await;
    let file = file(
        &folder,
        &json!({
            "vhosts": [{"name": "new"}],
            "queues": [
                {"vhost": "/", "name": "q", "durable": true, "arguments": {"x-max-length": 9}},
                {"vhost": "nowhere", "name": "q", "durable": true, "arguments": {}},
                {"vhost": "new", "name": "fine", "durable": true, "arguments": {}},
            ],
            "policies": [
                {"vhost": "/", "name": "bad", "pattern": "(", "priority": 0,
                 "definition": {"max-length": 1}},
                {"vhost": "/", "name": "short", "pattern": "^q$", "priority": 0,
                 "definition": {"max-length": 2}},
            ],
        }),
    );
    let (code, out, err) = definitions(broker.data(), &["import", &file]);
    assert_eq!(code, 1, "{out}");
    assert_eq!(err, "lockgate: 3 definitions were not taken");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("bad: policy 'bad' in vhost '/': pattern should be regular"));
    assert_eq!(
        lines[1..],
        [
            "bad: queue 'q' in vhost '/': inequivalent arg 'x-max-length' for queue 'q' in vhost \
             '/': received the value '9' of type 'long' but current is none",
            "bad: queue 'q' in vhost 'nowhere': vhost 'nowhere' does not exist",
            "3 definitions are there",
        ]
    );
    assert_eq!(waiting(&client, "q").await, 2, "the policy holds at once");
    broker.kill();
    let broker = broker.again();
    let client = Client::new(&broker).await;
    assert_eq!(waiting(&client, "q").await, 2);
    let there = export(broker.data());
    let names: Vec<&str> =
        there["queues"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["q", "fine"]);
}

/// Imports an export of one virtual host into another: is it refused where that is not there,
/// and is it the same where it is?
fn one_vhost_copied(data: &Path, one: &str) -> (bool, bool) {
    let path = data.with_extension("one.json");
    std::fs::write(&path, one).unwrap();
    let into =
        |vhost: &str| definitions(data, &["import", path.to_str().unwrap(), "--vhost", vhost]);
    let (code, _, err) = into("copy");
    let refused = code == 1 && err == "lockgate: vhost 'copy' does not exist";
    let made = data.with_extension("made.json");
    std::fs::write(&made, json!({"vhosts": [{"name": "copy"}]}).to_string()).unwrap();
    assert_eq!(definitions(data, &["import", made.to_str().unwrap()]).0, 0);
    let (code, out, err) = into("copy");
    assert_eq!(code, 0, "{out} {err}");
    let (_, copy, _) = definitions(data, &["export", "--vhost", "copy"]);
    let of = |text: &str| {
        let mut json: Json = serde_json::from_str(text).unwrap();
        json["original_vhost_name"].take();
        json
    };
    (refused, of(&copy) == of(one))
}

#[test]
fn a_stopped_brokers_definitions_go_in_and_out_as_well() {
    let broker = Broker::start(Options::default());
    broker.stop();
    import_estate(broker.data());
    let stopped = export(broker.data());
    let broker = broker.again();
    // What does not last went with the process that imported it.
    let running = export(broker.data());
    assert!(stopped == running);
    let other = Broker::start(Options::default());
    let text = broker.data().with_extension("json");
    let (code, _, err) = definitions(broker.data(), &["export", text.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    let mode = std::fs::metadata(&text).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "password hashes are in it");
    let (code, out, err) = definitions(other.data(), &["import", text.to_str().unwrap()]);
    assert_eq!(code, 0, "{out} {err}");
    assert!(export(other.data()) == running, "there and back again");
    let (code, out, _) = definitions(other.data(), &["import", text.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    let (code, one, _) = definitions(other.data(), &["export", "--vhost", "shop"]);
    assert_eq!((code, one.contains("\"original_vhost_name\": \"shop\"")), (0, true));
    assert_eq!(one_vhost_copied(other.data(), &one), (true, true));
    let (code, _, err) = definitions(other.data(), &["export", "--vhost", "nowhere"]);
    assert_eq!((code, err.as_str()), (1, "lockgate: vhost 'nowhere' does not exist"));
}

#[test]
fn a_file_that_is_none_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = folder.path().join("definitions.json");
    let start = |why: &str| {
        let words = ["--listen", "amqp=127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
        let (code, out, err) =
            run(&[&words[..], &["--load-definitions", path.to_str().unwrap()]].concat(), &[]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        let last = err.lines().last().unwrap();
        assert!(last.starts_with("lockgate: load_definitions: ") && last.contains(why), "{err}");
    };
    start("No such file");
    std::fs::write(&path, "{\"queues\": [").unwrap();
    start("no JSON: EOF while parsing a list at line 1 column 12");
    std::fs::write(&path, "[]").unwrap();
    start("a JSON object is wanted");
}

#[tokio::test]
async fn the_configurations_user_is_made_only_where_nobody_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let users = json!({
        "vhosts": [{"name": "/"}],
        "users": [{"name": "app", "password": "first", "tags": ""}],
        "permissions": [{"user": "app", "vhost": "/", "configure": "", "write": "", "read": ""}],
    });
    let path = file(&folder, &users);
    let broker = Broker::start(Options::flags(&["--load-definitions", &path]));
    assert!(comes_in(&broker, "app", "first", "/").await);
    assert!(!comes_in(&broker, "guest", "guest", "/").await, "the file says who there is");
    let before = export(broker.data());
    broker.stop();
    let broker = broker.again();
    assert_eq!(export(broker.data()), before, "what is there already stays as it is");
    broker.stop();
    let mut changed = users.clone();
    changed["users"][0]["password"] = json!("second");
    std::fs::write(&path, changed.to_string()).unwrap();
    let broker = broker.again();
    assert!(!comes_in(&broker, "app", "first", "/").await);
    assert!(comes_in(&broker, "app", "second", "/").await);
    // A file without users leaves the first user to the configuration.
    std::fs::write(&path, json!({"vhosts": [{"name": "x"}]}).to_string()).unwrap();
    let broker = Broker::start(Options::flags(&["--load-definitions", &path]));
    assert!(comes_in(&broker, "guest", "guest", "/").await);
    assert!(!comes_in(&broker, "guest", "guest", "x").await, "its rights end there");
}

#[tokio::test]
async fn a_bad_object_of_the_configurations_file_is_logged_and_the_broker_serves() {
    let folder = tempfile::tempdir().unwrap();
    let bad = json!({"queues": [{"vhost": "/", "name": "bad", "arguments": {"x-expires": 0}},
                                {"vhost": "/", "name": "good", "arguments": {}}]});
    let path = file(&folder, &bad);
    let broker = Broker::start(Options::flags(&["--load-definitions", &path]));
    let line = broker.process.logged("definitions: queue 'bad'").unwrap();
    let why = "invalid arg 'x-expires' for queue 'bad' in vhost '/': {value_zero,0}";
    assert!(line.contains(why), "{line}");
    let client = Client::new(&broker).await;
    assert_eq!(waiting(&client, "good").await, 0);
}

#[test]
fn the_socket_is_its_users_alone_and_noise_harms_nobody() {
    let broker = Broker::start(Options::default());
    let folder = broker.data().join("admin");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("socket"))), (0o700, 0o600));
    let say = |text: &[u8]| {
        let mut peer = UnixStream::connect(folder.join("socket")).unwrap();
        peer.write_all(text).unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        // A request that is none may find the socket closed before it is read.
        let _ = peer.read_to_string(&mut answer);
        answer
    };
    assert!(say(b"noise\n").starts_with("{\"error\":\"no request: "));
    assert_eq!(say(b"{}\n"), "{\"error\":\"no such request\"}\n");
    assert_eq!(say(b"{\"do\":\"export\""), "", "a line has an end");
    assert!(say(b"{\"do\":\"import\",\"text\":\"[]\"}\n").contains("a JSON object is wanted"));
    assert!(export(broker.data())["users"].as_array().unwrap().len() == 1);
    broker.stop();
    assert!(!folder.join("socket").exists());
}

#[test]
fn a_data_directory_of_a_long_name_has_a_socket_too() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("x".repeat(200)).join("data");
    std::fs::create_dir_all(&data).unwrap();
    let broker = Broker::start_on(&data, Options::default());
    assert_eq!(export(&data)["vhosts"].as_array().unwrap().len(), 1);
    broker.stop();
}

#[test]
fn a_data_directory_that_another_process_holds_without_a_socket_is_named() {
    let broker = Broker::start(Options::default());
    std::fs::remove_file(broker.data().join("admin/socket")).unwrap();
    let (code, _, err) = definitions(broker.data(), &["export"]);
    assert_eq!(code, 6, "{err}");
    let process: &Process = &broker.process;
    assert!(err.ends_with(&format!("in use by process {}", process.id())), "{err}");
}
