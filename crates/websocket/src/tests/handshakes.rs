//! Requests, good and hostile, and their answers.

use super::kit::{BINARY, Driver, frame, front, request};
use crate::Settings;
use lockgate_front::Cause;

/// What a request is answered.
fn answered(bytes: &[u8]) -> String {
    let mut driver = Driver::new(&front(Settings::default()));
    driver.read(bytes);
    let said = String::from_utf8(std::mem::take(&mut driver.said)).unwrap();
    assert_eq!(driver.close.is_none(), said.starts_with("HTTP/1.1 101 "), "{said}");
    if let Some(close) = driver.close {
        assert!(matches!(close.cause, Cause::Fault(_)), "{:?}", close.cause);
        let (head, body) = said.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{said}");
        assert!(body.contains("v1.toy") && body.contains("/ws/toy"), "{body}");
    }
    said
}

fn with(lines: &[&str]) -> String {
    answered(&request("/toy", lines))
}

/// The sample handshake without the header of this name.
fn without(name: &str) -> String {
    let text = String::from_utf8(request("/toy", &[])).unwrap();
    let lines = text.split_inclusive("\r\n").filter(|line| !line.starts_with(name));
    answered(lines.collect::<String>().as_bytes())
}

#[test]
fn the_sample_nonce_gets_the_sample_answer_4_2_2() {
    let said = with(&[]);
    let said = said.to_ascii_lowercase();
    assert!(said.starts_with("http/1.1 101 switching protocols\r\n"), "{said}");
    for line in [
        "\r\nupgrade: websocket\r\n",
        "\r\nconnection: upgrade\r\n",
        "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(said.ends_with("\r\n\r\n") && !said.contains("protocol:"), "{said}");
}

#[test]
fn headers_may_be_spelled_in_any_case_and_say_more_than_one_thing_4_2_1() {
    let text = String::from_utf8(request("/toy?x=1", &[])).unwrap();
    let text = text
        .replace("Upgrade: websocket", "UPGRADE: WebSocket")
        .replace("Connection: Upgrade", "connection: keep-alive, upgrade");
    assert!(answered(text.as_bytes()).starts_with("HTTP/1.1 101 "));
}

#[test]
fn the_first_token_that_is_known_is_echoed_as_it_was_offered_4_2_2() {
    for (offered, echoed) in
        [("v1.toy", "v1.toy"), ("nothing, TOY-9 , v1.toy", "TOY-9"), ("bin, v1.toy", "bin")]
    {
        let said = with(&[&format!("Sec-WebSocket-Protocol: {offered}")]);
        assert!(said.contains(&format!("sec-websocket-protocol: {echoed}\r\n")), "{said}");
    }
    let said = with(&["Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: v1.toy"]);
    assert!(said.contains("sec-websocket-protocol: v1.toy\r\n"), "{said}");
}

#[test]
fn tokens_of_which_none_is_known_are_refused_and_said_again() {
    let said = with(&["Sec-WebSocket-Protocol: soap, wamp"]);
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("`soap, wamp`"), "{said}");
}

#[test]
fn no_extension_is_agreed_on_9_1() {
    let said = with(&["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"]);
    assert!(said.starts_with("HTTP/1.1 101 "));
    assert!(!said.to_ascii_lowercase().contains("extensions"), "{said}");
}

#[test]
fn a_handshake_without_a_part_of_it_is_refused_4_2_1() {
    assert!(without("Host").starts_with("HTTP/1.1 400 "));
    assert!(without("Sec-WebSocket-Key").starts_with("HTTP/1.1 400 "));
    for name in ["Upgrade", "Connection"] {
        let said = without(name);
        assert!(said.starts_with("HTTP/1.1 426 ") && said.contains("\r\nUpgrade: websocket\r\n"));
    }
    let text = String::from_utf8(request("/toy", &[])).unwrap();
    for key in ["", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ==AA", "!!!!!!!!!!!!!!!!!!!!!!!!"] {
        let text = text.replace("dGhlIHNhbXBsZSBub25jZQ==", key);
        assert!(answered(text.as_bytes()).starts_with("HTTP/1.1 400 "), "{key}");
    }
}

#[test]
fn another_version_is_told_ours_4_4() {
    let text = String::from_utf8(request("/toy", &[])).unwrap();
    let said = answered(text.replace("Version: 13", "Version: 8").as_bytes());
    assert!(said.starts_with("HTTP/1.1 426 "), "{said}");
    assert!(said.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{said}");
    assert!(without("Sec-WebSocket-Version").starts_with("HTTP/1.1 426 "));
}

#[test]
fn http_without_an_upgrade_is_told_what_is_spoken() {
    for (line, status) in [
        ("GET / HTTP/1.1", "426 Upgrade Required"),
        ("GET /ws/ HTTP/1.1", "426 Upgrade Required"),
        ("GET /toy HTTP/1.1", "426 Upgrade Required"),
        ("GET /favicon.ico HTTP/1.1", "404 Not Found"),
        ("POST /toy HTTP/1.1", "405 Method Not Allowed"),
        ("DELETE /toy HTTP/1.1", "405 Method Not Allowed"),
        ("GET /toy HTTP/1.0", "505 HTTP Version Not Supported"),
        ("GET /toy HTTP/2.0", "505 HTTP Version Not Supported"),
        ("GET /toy", "400 Bad Request"),
        ("GET  HTTP/1.1", "400 Bad Request"),
        ("GET /a b HTTP/1.1", "400 Bad Request"),
    ] {
        let said = answered(format!("{line}\r\nHost: x\r\n\r\n").as_bytes());
        assert!(said.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{line}: {said}");
        assert!(said.contains("\r\nConnection: "), "{said}");
    }
}

#[test]
fn a_head_has_no_body() {
    let mut driver = Driver::new(&front(Settings::default()));
    driver.read(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    let said = String::from_utf8(driver.said).unwrap();
    assert!(said.starts_with("HTTP/1.1 405 ") && said.ends_with("\r\n\r\n"), "{said}");
}

#[test]
fn a_request_is_bounded_in_bytes_and_in_lines() {
    let long = "x".repeat(16 * 1024);
    let said = with(&[&format!("Cookie: {long}")]);
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    // The same while it has no end.
    let mut driver = Driver::new(&front(Settings::default()));
    driver.read(format!("GET /{long}").as_bytes());
    assert!(driver.said.starts_with(b"HTTP/1.1 431 "));
    let lines: Vec<String> = (0..200).map(|n| format!("X-{n}: 1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(with(&lines).starts_with("HTTP/1.1 431 "));
    assert!(with(&lines[..80]).starts_with("HTTP/1.1 101 "));
}

#[test]
fn bytes_that_make_no_sense_in_a_request_are_refused() {
    for line in ["a\0b: 1", "no colon", " folded: 1", "X: \x01", ": empty"] {
        let said = with(&[line]);
        assert!(said.starts_with("HTTP/1.1 400 "), "{line:?}: {said}");
    }
    // What a peer said is said again cut short, and never as it was.
    let said = answered(b"GET /\x1b]0;owned\x07 HTTP/1.0\r\n\r\n");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn what_is_no_http_is_told_to_the_operator() {
    for (bytes, cause) in [
        (&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], "a TLS hello"),
        (b"HELLO guest\n", "plain toy on a port that speaks WebSocket"),
        (b"\0\0\0\0", "no HTTP"),
        (b"GETX", "no HTTP"),
    ] {
        let mut driver = Driver::new(&front(Settings::default()));
        driver.read(bytes);
        let close = driver.close.expect("it goes on");
        assert!(format!("{:?}", close.cause).contains(cause), "{:?}", close.cause);
        assert!(driver.said.is_empty());
    }
}

fn from(address: &str, origins: &[&str], origin: &str) -> bool {
    let origins = origins.iter().map(|s| s.to_string()).collect();
    let mut driver = Driver::from(&front(Settings { origins, ..Settings::default() }), address);
    driver.read(&request("/toy", &[&format!("Origin: {origin}")]));
    let said = String::from_utf8(driver.said).unwrap();
    assert!(said.starts_with("HTTP/1.1 101 ") || said.starts_with("HTTP/1.1 403 "), "{said}");
    said.starts_with("HTTP/1.1 101 ")
}

#[test]
fn a_browser_on_this_machine_shows_a_page_of_this_machine_10_2() {
    let (near, far) = ("127.0.0.1:1", "192.0.2.7:1");
    for origin in
        ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:80", "http://app.localhost"]
    {
        assert!(from(near, &[], origin), "{origin}");
    }
    for origin in [
        "https://example.org",
        "null",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org",
        "x",
    ] {
        assert!(!from(near, &[], origin), "{origin}");
        assert!(from(far, &[], origin), "{origin}");
        assert!(from(near, &["*"], origin), "{origin}");
    }
}

#[test]
fn only_listed_origins_may_connect_once_any_is_listed() {
    let list = ["https://example.org", "https://*.example.com", "http://localhost:*"];
    for address in ["127.0.0.1:1", "192.0.2.7:1"] {
        for origin in ["https://Example.org", "https://a.b.example.com", "http://localhost:8080"] {
            assert!(from(address, &list, origin), "{origin}");
        }
        for origin in [
            "http://example.org",
            "https://example.org:8443",
            "https://example.org.evil.net",
            "https://.example.com.evil.net",
            "https://example.com",
            "http://localhost",
            "null",
        ] {
            assert!(!from(address, &list, origin), "{origin}");
        }
    }
}

#[test]
fn frames_that_come_with_the_request_are_not_lost() {
    let mut driver = Driver::new(&front(Settings::default()));
    let mut bytes = request("/toy", &[]);
    bytes.extend(frame(BINARY, b"echo early\n"));
    driver.read(&bytes);
    assert!(driver.said.ends_with(b"\x82\x06early\n"), "{:?}", driver.said.escape_ascii());
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let mut driver = Driver::new(&front(Settings::default()));
    let bytes = request("/toy", &[]);
    for byte in &bytes[..bytes.len() - 1] {
        driver.read(&[*byte]);
        assert!(driver.said.is_empty() && driver.close.is_none());
    }
    driver.read(b"\n");
    assert!(driver.said.starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn a_stop_before_the_handshake_just_ends_it() {
    let mut driver = Driver::new(&front(Settings::default()));
    driver.read(b"GET ");
    driver.session.stop(driver.now, &mut driver.out);
    driver.collect();
    assert_eq!(driver.close.map(|close| close.cause), Some(Cause::Stopped));
    assert!(driver.said.is_empty());
}
