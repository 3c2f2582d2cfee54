//! What a connection's first bytes say of who speaks, for ports that several protocols
//! share. Each protocol is told by bytes that no other one begins with, and by nothing
//! less: few bytes make nobody guess.

/// Whether bytes begin a protocol's conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// They do not, whatever follows.
    No,
    /// They may: so many are needed, from the first on, before more can be said.
    More(usize),
    /// They do.
    Yes,
}

/// Tells a protocol by a connection's first bytes.
pub type Recognise = fn(&[u8]) -> First;

/// Line ends that may stand before a STOMP frame; one who sends more has nothing to say.
const LINE_ENDS_MAX: usize = 64;

/// AMQP, of any version: its header begins with its name.
pub fn amqp(bytes: &[u8]) -> First {
    begins(bytes, b"AMQP")
}

/// MQTT, of any version: a CONNECT packet and, behind its length, one of the two names
/// (3.1.2.1; MQIsdp is that of 3.1).
pub fn mqtt(bytes: &[u8]) -> First {
    const CONNECT: u8 = 0x10;
    let Some((&first, rest)) = bytes.split_first() else { return First::More(1) };
    if first != CONNECT {
        return First::No;
    }
    let Some(length) = rest.iter().take(4).position(|octet| octet & 0x80 == 0) else {
        return if rest.len() < 4 { First::More(bytes.len() + 1) } else { First::No };
    };
    let head = 2 + length;
    either(bytes.get(head..).unwrap_or_default(), &[b"\0\x04MQTT", b"\0\x06MQIsdp"], head)
}

/// STOMP, of any version: CONNECT or STOMP on a line of its own, perhaps behind line ends.
pub fn stomp(bytes: &[u8]) -> First {
    let before = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if before > LINE_ENDS_MAX {
        return First::No;
    }
    let rest = bytes.get(before..).unwrap_or_default();
    either(rest, &[b"CONNECT\n", b"CONNECT\r\n", b"STOMP\n", b"STOMP\r\n"], before)
}

/// HTTP/1: a method and a blank.
pub fn http(bytes: &[u8]) -> First {
    const METHODS: &[&[u8]] = &[
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"PATCH ",
        b"TRACE ",
        b"CONNECT ",
        b"PRI ",
    ];
    either(bytes, METHODS, 0)
}

/// TLS: a handshake record of version 3 (RFC 8446, 5.1) with a client's hello.
pub fn tls(bytes: &[u8]) -> First {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    match bytes {
        [HANDSHAKE, 3, 0..=4, _, _, CLIENT_HELLO, ..] => First::Yes,
        [] | [HANDSHAKE] | [HANDSHAKE, 3] => First::More(6),
        [HANDSHAKE, 3, 0..=4, ..] if bytes.len() < 6 => First::More(6),
        _ => First::No,
    }
}

fn begins(bytes: &[u8], word: &[u8]) -> First {
    if bytes.starts_with(word) {
        First::Yes
    } else if word.starts_with(bytes) {
        First::More(word.len())
    } else {
        First::No
    }
}

/// One of `words` behind `before` other bytes.
fn either(bytes: &[u8], words: &[&[u8]], before: usize) -> First {
    let mut least: Option<usize> = None;
    for word in words {
        match begins(bytes, word) {
            First::Yes => return First::Yes,
            First::More(n) => least = Some(least.map_or(n, |least| least.min(n))),
            First::No => {}
        }
    }
    least.map_or(First::No, |n| First::More(before + n))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, Recognise); 5] =
        [("amqp", amqp), ("mqtt", mqtt), ("stomp", stomp), ("http", http), ("tls", tls)];

    /// What clients begin with.
    const BEGUN: [(&str, &[u8]); 17] = [
        ("amqp", b"AMQP\0\0\x09\x01"),
        ("amqp", b"AMQP\x03\x01\0\0"),
        ("mqtt", b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0"),
        ("mqtt", b"\x10\xff\x01\0\x04MQTT\x05"),
        ("mqtt", b"\x10\xff\xff\xff\x7f\0\x06MQIsdp\x03"),
        ("stomp", b"CONNECT\naccept-version:1.2\n"),
        ("stomp", b"CONNECT\r\nhost:x\r\n"),
        ("stomp", b"\n\r\n\nSTOMP\n"),
        ("stomp", b"STOMP\r\n"),
        ("http", b"GET / HTTP/1.1\r\n"),
        ("http", b"POST /ws HTTP/1.1\r\n"),
        ("http", b"CONNECT example.org:443 HTTP/1.1\r\n"),
        ("http", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("http", b"OPTIONS * HTTP/1.1\r\n"),
        ("tls", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"),
        ("tls", b"\x16\x03\x03\0\xf4\x01\0"),
        ("tls", b"\x16\x03\0\0\x40\x01\0"),
    ];

    #[test]
    fn each_beginning_is_told_by_one_and_never_before_it_is_sure() {
        for (whose, bytes) in BEGUN {
            for n in 0..=bytes.len() {
                let begun = &bytes[..n];
                let yes: Vec<&str> =
                    ALL.iter().filter(|(_, is)| is(begun) == First::Yes).map(|(n, _)| *n).collect();
                assert!(yes.is_empty() || yes == [whose], "{begun:?}: {yes:?}");
                for (name, is) in ALL {
                    match is(begun) {
                        First::No => assert_ne!(name, whose, "{begun:?}"),
                        First::Yes => assert_eq!(is(bytes), First::Yes, "{begun:?}"),
                        First::More(need) => assert!(need > n, "{name} {begun:?}: {need}"),
                    }
                }
            }
            let (_, is) = ALL.iter().find(|(name, _)| *name == whose).unwrap();
            assert_eq!(is(bytes), First::Yes, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_none_of_them_is_told_to_be_none() {
        for bytes in [
            &b"HELO example.org\r\n"[..],
            b"AMQX",
            b"\x10\x80\x80\x80\x80\x01\0\x04MQTT",
            b"\x10\x0c\0\x04MQTX",
            b"\x10\x0c\0\x05MQTT",
            b"\x20\x02\0\0",
            b"CONNECTED\n",
            b"CONNECT:",
            b"SEND\n",
            b"GETX",
            b"get / HTTP/1.1",
            b"\x16\x03\x09\0\0\x01",
            b"\x16\x03\x01\0\x04\x02",
            b"\x15\x03\x01\0\x02",
            b"\0",
        ] {
            for (name, is) in ALL {
                assert_eq!(is(bytes), First::No, "{name} {bytes:?}");
            }
        }
    }

    #[test]
    fn line_ends_without_end_are_no_stomp() {
        assert!(matches!(stomp(&[b'\n'; LINE_ENDS_MAX]), First::More(_)));
        assert_eq!(stomp(&[b'\n'; LINE_ENDS_MAX + 1]), First::No);
    }
}
