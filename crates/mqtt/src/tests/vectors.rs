//! The vectors of `tests/vectors/mqtt/*.vec`: name, version and clause, bytes, packet or
//! error. They are decoded, encoded back, and are what fuzzing begins with.

use super::show::show;
use crate::encode;
use crate::frame::{self, Cut};
use crate::packet::{Side, Version};
use crate::{decode, error::DecodeError};
use std::collections::BTreeSet;

/// `name | version [server] clause | hex | packet`, or `! REASON error`. A name that ends
/// in `(one way)` is of bytes that are encoded otherwise.
struct Vector {
    name: String,
    version: Version,
    from: Side,
    clause: String,
    bytes: Vec<u8>,
    says: String,
}

const FILES: [&str; 6] = ["connect", "publish", "acks", "subscribe", "ends", "properties"];

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let digit = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn vectors(file: &str) -> Vec<Vector> {
    let path = format!("{}/../../tests/vectors/mqtt/{file}.vec", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    lines.map(vector).collect()
}

fn vector(line: &str) -> Vector {
    let parts: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
    let [name, about, hex, says] = parts[..] else { panic!("{line}") };
    let (version, clause) = about.split_once(' ').expect(name);
    let version = match version {
        "3.1" => Version::V31,
        "3.1.1" => Version::V311,
        "5" => Version::V5,
        other => panic!("{name}: version {other}"),
    };
    let (from, clause) = match clause.strip_prefix("server ") {
        Some(clause) => (Side::Server, clause),
        None => (Side::Client, clause),
    };
    let bytes = unhex(hex).expect(name);
    Vector { name: name.into(), version, from, clause: clause.into(), bytes, says: says.into() }
}

fn decoded(v: &Vector) -> Result<String, DecodeError> {
    let cut = frame::cut(&v.bytes, usize::MAX);
    let Ok(Cut::Whole(head, body)) = cut else { panic!("{}: {cut:?}", v.name) };
    assert_eq!(head.total(), v.bytes.len(), "{}: one packet", v.name);
    let packet = decode::packet(v.from, v.version, head, body)?;
    let mut again = vec![7];
    encode::packet(&mut again, v.version, usize::MAX, &packet).expect(&v.name);
    assert_eq!(again[0], 7);
    let same = again[1..] == v.bytes;
    assert_eq!(same, !v.name.ends_with("(one way)"), "{} encoded again: {again:x?}", v.name);
    Ok(show(&packet))
}

#[test]
fn packets() {
    for v in FILES.iter().flat_map(|file| vectors(file)) {
        match decoded(&v) {
            Ok(said) => assert_eq!(said, v.says, "{}", v.name),
            Err(e) => {
                let said = format!("! {:#04x} {e}", e.reason().number());
                assert_eq!(said, v.says, "{}", v.name);
                assert_eq!(e.clause(), v.clause, "{}", v.name);
            }
        }
    }
}

/// Every kind of fault has a vector.
#[test]
fn every_fault_is_shown() {
    let name = |e: DecodeError| format!("{e:?}").split(['(', ' ']).next().map(str::to_owned);
    let shown: BTreeSet<String> = FILES
        .iter()
        .flat_map(|file| vectors(file))
        .filter_map(|v| decoded(&v).err())
        .filter_map(name)
        .collect();
    // As many as `DecodeError` has.
    assert_eq!(shown.len(), 37, "{shown:?}");
}

#[test]
fn frames() {
    for line in vectors_text("frame") {
        let parts: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        let [name, _clause, hex, says] = parts[..] else { panic!("{line}") };
        let got = match frame::cut(&unhex(hex).expect(name), 1000) {
            Ok(Cut::Whole(h, body)) => {
                assert_eq!(body.len(), h.size);
                format!("{} flags {} size {}", h.kind.name(), h.flags, h.size)
            }
            Ok(Cut::Part(h)) => format!("part of {} size {}", h.kind.name(), h.size),
            Ok(Cut::Nothing) => "nothing yet".to_owned(),
            Err(bad) => format!("! {:#04x} {bad:?}", bad.reason().number()),
        };
        assert_eq!(got, says, "{name}");
    }
}

fn vectors_text(file: &str) -> Vec<String> {
    let path = format!("{}/../../tests/vectors/mqtt/{file}.vec", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    text.lines()
        .filter(|l| !l.trim().is_empty() && !l.starts_with('#'))
        .map(str::to_owned)
        .collect()
}
