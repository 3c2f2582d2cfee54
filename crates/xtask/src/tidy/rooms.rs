//! The walls: which room may import which, held against `cargo metadata`.
//! Imports only point down; results climb as values.

use super::Finding;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// One room and what it may import.
pub(super) struct Room {
    /// The folder under `crates/`.
    pub name: &'static str,
    /// Rooms of ours that it may import.
    pub rooms: &'static [&'static str],
    /// What it must not import, of all that is not ours.
    pub never: &'static [&'static str],
    /// What its sources must not even name.
    pub unspoken: &'static [&'static str],
}

/// Runtimes and whatever brings sockets.
const RUNTIMES: &[&str] =
    &["tokio", "tokio-util", "async-std", "smol", "mio", "socket2", "hyper", "futures"];
const RUNTIMES_AND_NOM: &[&str] = &["tokio", "tokio-util", "mio", "socket2", "hyper", "nom"];
/// And whatever brings a clock or chance.
const PURE: &[&str] =
    &["tokio", "tokio-util", "mio", "socket2", "hyper", "nom", "rand", "getrandom", "humantime"];

/// Whatever touches the world.
const WORLD: &[&str] = &[
    "tokio",
    "std::net::Tcp",
    "std::net::Udp",
    "std::os",
    "std::fs",
    "std::process",
    "std::thread",
    "Instant",
    "SystemTime",
];
const NO_TOKIO: &[&str] = &["tokio"];
const NO_SOCKETS: &[&str] = &["tokio", "std::net"];

const fn front(name: &'static str) -> Room {
    Room { name, rooms: &["model", "front"], never: RUNTIMES, unspoken: WORLD }
}

/// The table. `lockgate` and `tests` may import all and so do not stand here.
pub(super) const ROOMS: &[Room] = &[
    Room { name: "model", rooms: &[], never: PURE, unspoken: WORLD },
    Room { name: "front", rooms: &["model"], never: RUNTIMES_AND_NOM, unspoken: WORLD },
    front("amqp091"),
    front("mqtt"),
    front("stomp"),
    front("amqp10"),
    front("openwire"),
    front("http"),
    front("sqs"),
    front("sns"),
    front("kinesis"),
    front("kafka"),
    Room { name: "websocket", rooms: &["front", "model"], never: RUNTIMES, unspoken: WORLD },
    Room { name: "broker", rooms: &["model"], never: PURE, unspoken: WORLD },
    Room { name: "definitions", rooms: &["model"], never: PURE, unspoken: WORLD },
    Room { name: "wal", rooms: &[], never: RUNTIMES_AND_NOM, unspoken: NO_SOCKETS },
    Room { name: "replica", rooms: &["wal"], never: RUNTIMES_AND_NOM, unspoken: WORLD },
    Room {
        name: "engine",
        rooms: &["model", "broker", "wal", "replica"],
        never: RUNTIMES_AND_NOM,
        unspoken: NO_SOCKETS,
    },
    Room { name: "auth", rooms: &["model"], never: RUNTIMES_AND_NOM, unspoken: NO_SOCKETS },
    Room { name: "config", rooms: &["model"], never: RUNTIMES_AND_NOM, unspoken: NO_TOKIO },
    Room {
        name: "net",
        rooms: &["model", "front", "engine", "replica", "auth"],
        never: &["nom"],
        unspoken: &[],
    },
    Room { name: "admin", rooms: &["model", "engine", "auth"], never: &["nom"], unspoken: &[] },
    Room {
        name: "sim",
        rooms: &[
            "model",
            "front",
            "amqp091",
            "mqtt",
            "stomp",
            "websocket",
            "broker",
            "wal",
            "replica",
            "engine",
            "auth",
            "config",
        ],
        never: RUNTIMES,
        unspoken: WORLD,
    },
    Room { name: "xtask", rooms: &[], never: RUNTIMES, unspoken: &[] },
];

/// Rooms that may import all.
const ROOFS: [&str; 2] = ["lockgate", "lockgate-tests"];

/// Every import that a wall forbids.
pub(super) fn check(root: &Path) -> Vec<Finding> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output();
    let parsed = match &output {
        Ok(output) if output.status.success() => serde_json::from_slice(&output.stdout).ok(),
        _ => None,
    };
    match parsed {
        Some(metadata) => judge(&metadata),
        None => vec![Finding::new("Cargo.toml", 0, "`cargo metadata` does not answer")],
    }
}

fn judge(metadata: &Value) -> Vec<Finding> {
    let list = |value: &Value, field: &str| value[field].as_array().cloned().unwrap_or_default();
    let mut findings = Vec::new();
    for package in list(metadata, "packages") {
        let name = package["name"].as_str().unwrap_or_default();
        if ROOFS.contains(&name) {
            continue;
        }
        let short = name.strip_prefix("lockgate-").unwrap_or_default();
        let manifest = format!("crates/{short}/Cargo.toml");
        let Some(room) = ROOMS.iter().find(|room| room.name == short) else {
            let text = format!("the room `{name}` has no line in the table of rooms");
            findings.push(Finding::new(manifest, 0, text));
            continue;
        };
        for import in list(&package, "dependencies") {
            // What tests import is no wall: a test may drive a room with anything.
            if import["kind"].as_str() == Some("dev") {
                continue;
            }
            let import = import["name"].as_str().unwrap_or_default();
            let forbidden = match import.strip_prefix("lockgate-") {
                Some(other) => !room.rooms.contains(&other),
                None => import == "lockgate" || room.never.contains(&import),
            };
            if forbidden {
                let text = format!("`{short}` must not import `{import}`");
                findings.push(Finding::new(manifest.clone(), 0, text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(name: &str, imports: &[(&str, Option<&str>)]) -> Vec<String> {
        let imports: Vec<Value> = imports
            .iter()
            .map(|(name, kind)| serde_json::json!({ "name": name, "kind": kind }))
            .collect();
        let package = serde_json::json!({ "name": name, "dependencies": imports });
        let metadata = serde_json::json!({ "packages": [package] });
        judge(&metadata).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn an_import_that_points_up_is_found() {
        assert!(judged("lockgate-engine", &[("lockgate-wal", None), ("bytes", None)]).is_empty());
        assert_eq!(
            judged("lockgate-broker", &[("lockgate-wal", None), ("tokio", Some("build"))]),
            ["`broker` must not import `lockgate-wal`", "`broker` must not import `tokio`"]
        );
        assert_eq!(judged("lockgate-net", &[("lockgate-amqp091", None)]).len(), 1);
        assert_eq!(judged("lockgate-net", &[("lockgate", None)]).len(), 1);
    }

    #[test]
    fn what_tests_import_is_no_wall() {
        assert!(judged("lockgate-model", &[("tokio", Some("dev"))]).is_empty());
    }

    #[test]
    fn a_room_must_stand_in_the_table() {
        assert_eq!(judged("lockgate-attic", &[]).len(), 1);
        assert!(judged("lockgate-tests", &[("lockgate-broker", None)]).is_empty());
    }

    #[test]
    fn the_table_names_no_room_twice_and_only_rooms_it_has() {
        for (n, room) in ROOMS.iter().enumerate() {
            assert!(ROOMS[..n].iter().all(|other| other.name != room.name), "{}", room.name);
            for import in room.rooms {
                assert!(ROOMS.iter().any(|other| other.name == *import), "{import}");
            }
        }
    }
}
