//! Ports that several protocols share.

use super::kit::{Driver, front, inners, request};
use crate::{Auto, Settings};
use lockgate_front::Cause;
use std::sync::Arc;

fn driver() -> Driver {
    Driver::new(&Auto::new(&inners(), Arc::new(front(Settings::default()))))
}

#[test]
fn the_first_bytes_choose_and_are_the_session_s_own() {
    for cut in [1, 4, 5, 12] {
        let mut driver = driver();
        for part in b"HELLO guest\n".chunks(cut) {
            driver.read(part);
        }
        assert_eq!(driver.said, b"welcome guest\n");
        driver.read(b"echo a\n");
        assert!(driver.said.ends_with(b"a\n"));
    }
}

#[test]
fn http_is_websocket() {
    let mut driver = driver();
    request("/toy", &[]).chunks(7).for_each(|part| driver.read(part));
    assert!(driver.said.starts_with(b"HTTP/1.1 101 "));
    let mut driver = self::driver();
    driver.read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(driver.said.starts_with(b"HTTP/1.1 426 "));
}

#[test]
fn nobody_guesses_on_too_few_bytes() {
    for few in [&b"H"[..], b"HELL", b"G", b"GET", b"\x16", b"\x16\x03\x01\0"] {
        let mut driver = driver();
        driver.read(few);
        assert!(driver.close.is_none() && driver.said.is_empty(), "{few:?}");
        driver.session.stop(driver.now, &mut driver.out);
        driver.collect();
        assert_eq!(driver.close.map(|close| close.cause), Some(Cause::Stopped));
    }
}

#[test]
fn what_is_none_of_them_is_said_to_the_operator() {
    for (bytes, cause) in [
        (&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], "a TLS hello on a port without TLS"),
        (b"EHLO \x1b", "it begins with `EHLO \\x1b`, which is none of toy, toy, websocket"),
    ] {
        let mut driver = driver();
        driver.read(bytes);
        let close = driver.close.expect("it goes on");
        assert!(matches!(&close.cause, Cause::Fault(text) if text.contains(cause)), "{close:?}");
        assert!(driver.said.is_empty());
    }
}
