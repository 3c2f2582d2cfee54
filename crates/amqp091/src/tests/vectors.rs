//! The vectors of `tests/vectors/amqp091/*.vec`: name, clause, bytes, packet or error.
//! They are decoded, encoded back, and are what fuzzing begins with.

use crate::frame::{self, Cut, HEADER, Kind};
use crate::tongue::{show, unhex};
use crate::{decode, encode};
use lockgate_model::{Properties, Table};

/// One line: `name | clause | hex | packet` or `name | clause | hex | ! error`.
struct Vector {
    name: String,
    bytes: Vec<u8>,
    says: String,
}

fn vectors(file: &str) -> Vec<Vector> {
    let path = format!("{}/../../tests/vectors/amqp091/{file}.vec", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
            let [name, _clause, hex, says] = parts[..] else {
                panic!("{file}.vec: {line}");
            };
            Vector { name: name.into(), bytes: unhex(hex).expect(name), says: says.into() }
        })
        .collect()
}

#[test]
fn frames() {
    for Vector { name, bytes, says } in vectors("frame") {
        let got = match frame::cut(&bytes, 4096) {
            Ok(Cut::Whole(h)) => format!("{:?} channel {} size {}", h.kind, h.channel, h.size),
            Ok(Cut::Part(h)) => format!("part of {:?} size {}", h.kind, h.size),
            Ok(Cut::Nothing) => "nothing yet".to_owned(),
            Err(bad) => format!("! {bad:?}"),
        };
        assert_eq!(got, says, "{name}");
    }
}

#[test]
fn methods() {
    for Vector { name, bytes, says } in vectors("method") {
        match decode::method(&bytes) {
            Ok(method) => {
                assert_eq!(show(&method), says, "{name}");
                let mut again = Vec::new();
                encode::method(&mut again, 0, &method);
                assert_eq!(again[HEADER..again.len() - 1], bytes, "{name} encoded again");
            }
            Err(e) => assert_eq!(format!("! {e}"), says, "{name}"),
        }
    }
}

#[test]
fn tables() {
    for Vector { name, bytes, says } in vectors("table") {
        match Table::decode(&bytes) {
            Ok(table) => {
                assert_eq!(format!("{:?}", table.0), says, "{name}");
                let mut again = Vec::new();
                table.encode(&mut again);
                if !name.ends_with("(one way)") {
                    assert_eq!(again, bytes, "{name} encoded again");
                }
            }
            Err(e) => assert_eq!(format!("! {e}"), says, "{name}"),
        }
        assert_eq!(
            crate::table::check(&bytes),
            Table::decode(&bytes).map(|_| ()),
            "{name} checked where it lies"
        );
    }
}

#[test]
fn headers() {
    for Vector { name, bytes, says } in vectors("header") {
        let got = decode::header(&bytes).map_err(|e| e.to_string()).and_then(|h| {
            let p = Properties::decode(h.properties).map_err(|e| e.to_string())?;
            let mut again = Vec::new();
            encode::header(&mut again, 0, &h);
            assert_eq!(again[HEADER..again.len() - 1], bytes, "{name} encoded again");
            Ok(format!("class {} size {} {}", h.class, h.body_size, properties(&p)))
        });
        assert_eq!(got.unwrap_or_else(|e| format!("! {e}")).trim(), says, "{name}");
    }
    assert_eq!(Kind::Header.octet(), 2);
}

/// What is there, in words.
fn properties(p: &Properties) -> String {
    let text = |b: &bytes::Bytes| b.escape_ascii().to_string();
    let fields = [
        ("content_type", p.content_type.as_ref().map(text)),
        ("content_encoding", p.content_encoding.as_ref().map(text)),
        ("headers", p.headers.as_ref().map(|t| format!("{:?}", t.0))),
        ("delivery_mode", p.delivery_mode.map(|n| n.to_string())),
        ("priority", p.priority.map(|n| n.to_string())),
        ("correlation_id", p.correlation_id.as_ref().map(text)),
        ("reply_to", p.reply_to.as_ref().map(text)),
        ("expiration", p.expiration.as_ref().map(text)),
        ("message_id", p.message_id.as_ref().map(text)),
        ("timestamp", p.timestamp.map(|n| n.to_string())),
        ("type", p.kind.as_ref().map(text)),
        ("user_id", p.user_id.as_ref().map(text)),
        ("app_id", p.app_id.as_ref().map(text)),
        ("cluster_id", p.cluster_id.as_ref().map(text)),
    ];
    let there = fields.into_iter().filter_map(|(n, v)| v.map(|v| format!("{n}={v}")));
    there.collect::<Vec<_>>().join(" ")
}
