//! Writes what the fuzzers begin with, made from the vectors and scripts beside:
//! `cargo run --bin seeds` in this folder, then `corpus/TARGET/*` is there.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let vectors = here.join("../vectors/amqp091");
    let mut written = 0;
    for (file, target) in
        [("frame", "frame"), ("method", "method"), ("header", "method"), ("table", "table")]
    {
        let text = fs::read_to_string(vectors.join(format!("{file}.vec")))?;
        for (n, bytes) in text.lines().filter_map(bytes).enumerate() {
            write(here, target, &format!("{file}-{n}"), &bytes)?;
            // A method's payload, framed, on channel 1 and on channel 0 of a session that
            // has shaken hands.
            if file == "method" {
                write(here, "session", &format!("{file}-{n}"), &framed(1, 1, &bytes))?;
                write(here, "session", &format!("{file}-{n}-0"), &framed(1, 0, &bytes))?;
            } else if file == "frame" {
                write(here, "session", &format!("{file}-{n}"), &[&[1][..], &bytes].concat())?;
            }
            written += 1;
        }
    }
    written += mqtt(here)?;
    written += stomp(here)?;
    write(here, "session", "hello", b"\0AMQP\x00\x00\x09\x01")?;
    write(here, "session", "publish", &publish())?;
    written += websocket(here)?;
    write(here, "scram", "rfc-7677", SCRAM)?;
    #[allow(clippy::print_stdout)] // what a command line tool is for
    {
        println!("{written} vectors");
    }
    Ok(())
}

/// A handshake, frames behind one, and what a shared port is told by.
fn websocket(here: &Path) -> std::io::Result<usize> {
    let request = b"\0\0\x07GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Protocol: echo\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x82\x81\0\0\0\0E";
    let frames: [(&str, &[u8]); 5] = [
        ("handshake", request),
        ("text", b"\x01\0\x03\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("fragments", b"\x01\0\x01\x02\x81\0\0\0\0L\x89\x80\0\0\0\0\x80\x82\0\0\0\0?\x04"),
        ("close", b"\x01\x01\x02\x82\xfe\0\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8"),
        ("shared", b"\x02\0\x01Echo?L\x04"),
    ];
    for (name, bytes) in &frames {
        write(here, "websocket", name, bytes)?;
    }
    Ok(frames.len())
}

/// RFC 7677, 3.
const SCRAM: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO\n\
    c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

/// MQTT's vectors, with a byte in front that says the version and the side.
fn mqtt(here: &Path) -> std::io::Result<usize> {
    let mut written = 0;
    for file in ["connect", "publish", "acks", "subscribe", "ends", "properties", "frame"] {
        let text = fs::read_to_string(here.join(format!("../vectors/mqtt/{file}.vec")))?;
        for (n, line) in text.lines().enumerate() {
            let about = line.split('|').nth(1).unwrap_or_default().trim();
            let version = match about.split(' ').next() {
                Some("3.1") => 0,
                Some("5") => 4,
                _ => 2,
            };
            let how = version | u8::from(about.contains(" server "));
            if let Some(bytes) = bytes(line) {
                let bytes = [&[how][..], &bytes].concat();
                write(here, "packet", &format!("{file}-{n}"), &bytes)?;
                // The same to a session whose client is let in, or not yet.
                let spoken = version / 2 | if file == "connect" { 0 } else { 4 };
                let bytes = [&[spoken], &bytes[1..]].concat();
                write(here, "berth", &format!("{file}-{n}"), &bytes)?;
                written += 1;
            }
        }
    }
    Ok(written)
}

/// STOMP's vectors, to be said by who is connected and by who is not.
fn stomp(here: &Path) -> std::io::Result<usize> {
    let text = fs::read_to_string(here.join("../vectors/stomp/frames.vec"))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let written = lines.filter_map(|line| line.splitn(4, " | ").nth(2)).map(unescaped);
    let mut count = 0;
    for (n, bytes) in written.enumerate() {
        for how in [0, 1] {
            write(here, "stomp", &format!("{how}-{n}"), &[&[how][..], &bytes].concat())?;
        }
        count += 1;
    }
    Ok(count)
}

/// What its escapes stand for.
fn unescaped(text: &str) -> Vec<u8> {
    let mut letters = text.bytes();
    let mut bytes = Vec::new();
    while let Some(letter) = letters.next() {
        bytes.push(match letter {
            b'\\' => match letters.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'0') => 0,
                other => other.unwrap_or(b'\\'),
            },
            plain => plain,
        });
    }
    bytes
}

/// The bytes of a vector's line, written in hexadecimal in its third column.
fn bytes(line: &str) -> Option<Vec<u8>> {
    if line.starts_with('#') {
        return None;
    }
    let hex: String = line.split('|').nth(2)?.chars().filter(|c| !c.is_whitespace()).collect();
    let digit = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn framed(how: u8, channel: u8, payload: &[u8]) -> Vec<u8> {
    let size = (payload.len() as u32).to_be_bytes();
    [&[how, 1, 0, channel][..], &size, payload, &[0xCE]].concat()
}

/// A few whole messages, some of them in more than one frame.
fn publish() -> Vec<u8> {
    let mut all = vec![1];
    for split in [5, 2, 1] {
        all.extend([1, 0, 1, 0, 0, 0, 11, 0, 60, 0, 40, 0, 0, 1, b'x', 1, b'k', 1, 0xCE]);
        all.extend([2, 0, 1, 0, 0, 0, 15, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0x10, 0, 2, 0xCE]);
        for part in b"hello".chunks(split) {
            all.extend([3, 0, 1, 0, 0, 0, part.len() as u8]);
            all.extend(part);
            all.push(0xCE);
        }
    }
    all
}

fn write(here: &Path, target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = here.join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
