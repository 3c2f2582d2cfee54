//! The vectors of `tests/vectors/stomp/frames.vec`: bytes, and the frame or error that they
//! are. They are decoded, written again, and are what fuzzing begins with.

use crate::error::Malformed;
use crate::frame::{Cut, Limits, Scan};
use crate::header::Escapes;
use crate::packet::{Headers, Version};
use crate::{decode, encode};

const LIMITS: Limits = Limits { lines_max: 1_000, headers_max: 10, body_max: 1_000 };

/// What a line's escapes stand for.
fn bytes(text: &str) -> Vec<u8> {
    let (mut out, mut chars) = (Vec::new(), text.bytes());
    while let Some(byte) = chars.next() {
        out.push(match byte {
            b'\\' => match chars.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'0') => 0,
                other => other.expect("an escape has a letter"),
            },
            plain => plain,
        });
    }
    out
}

/// `COMMAND name=value ... : body`.
fn show(bytes: &[u8], version: Version, again: &mut Vec<u8>) -> Result<String, Malformed> {
    let Cut::Whole(bounds) = Scan::default().cut(bytes, &LIMITS)? else {
        panic!("not whole: {}", bytes.escape_ascii());
    };
    assert_eq!(bounds.end, bytes.len());
    let body = &bytes[bounds.body..bounds.body + bounds.size];
    let mut headers = Headers::default();
    let frame = decode::frame(&bytes[..bounds.lines], body, version, &mut headers)?;
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let mut said = text(frame.word);
    for (name, value) in frame.iter() {
        said += &format!(" {}={}", text(name), text(value));
    }
    if !body.is_empty() {
        said += &format!(" : {}", text(body));
    }
    let others: Vec<(String, &[u8])> = frame
        .iter()
        .filter(|(name, _)| *name != b"content-length")
        .map(|(name, value)| (text(name), value))
        .collect();
    let headers = others.iter().map(|(name, value)| (name.as_str(), *value));
    encode::frame(again, &text(frame.word), headers, body, Escapes::Of(version), b"");
    Ok(said)
}

#[test]
fn every_vector_is_the_frame_or_error_that_it_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/stomp/frames.vec");
    let text = std::fs::read_to_string(path).expect(path);
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        let parts: Vec<&str> = line.splitn(4, " | ").collect();
        let [name, about, written, says] = parts[..] else { panic!("{line}") };
        let version = about.split(' ').next().and_then(|v| Version::named(v.as_bytes()));
        let (written, mut again) = (bytes(written), Vec::new());
        let got = show(&written, version.expect(name), &mut again);
        match says.strip_prefix("! ") {
            Some(error) => assert_eq!(got.map_err(|e| e.to_string()), Err(error.into()), "{name}"),
            None => {
                let says = says.replace("\\x00", "\\0");
                let says = String::from_utf8(bytes(&says)).unwrap();
                assert_eq!(got, Ok(says), "{name}");
                let same = again == written;
                assert_eq!(same, !name.ends_with("(one way)"), "{name}: {}", again.escape_ascii());
            }
        }
    }
}
