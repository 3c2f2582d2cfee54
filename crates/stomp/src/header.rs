//! Header lines: the escapes of each version, both ways, and numbers as peers write them.
//!
//! ```text
//!            1.0     1.1         1.2         CONNECT, CONNECTED
//!  read      none    \n \c \\    \n \c \\ \r none
//!  written   \n      \n \c \\    \n \c \\ \r none
//! ```
//!
//! A line end inside of a value would let its sender write headers of his own, so 1.0 is
//! sent `\n` for it, as RabbitMQ does, though 1.0 knows no escapes.

use crate::error::Malformed;
use crate::packet::Version;

/// Which escapes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// None at all.
    None,
    /// Those of a version.
    Of(Version),
}

/// Appends what a text with escapes stands for. An escape that the version does not know is
/// fatal (1.1 and 1.2, "Value Encoding").
pub fn unescape(text: &[u8], version: Version, into: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        into.extend_from_slice(plain);
        into.push(match escape.get(1) {
            Some(b'n') => b'\n',
            Some(b'c') => b':',
            Some(b'\\') => b'\\',
            Some(b'r') if version == Version::V12 => b'\r',
            Some(other) => return Err(Malformed::Escape(Some(*other))),
            None => return Err(Malformed::Escape(None)),
        });
        rest = &escape[2..];
    }
    into.extend_from_slice(rest);
    Ok(())
}

/// Appends a name or a value as it is written in a version.
pub fn escape(text: &[u8], escapes: Escapes, into: &mut Vec<u8>) {
    let from = into.len();
    into.extend_from_slice(text);
    if !text.iter().any(|b| matches!(b, b'\n' | b':' | b'\\' | b'\r' | 0)) {
        return;
    }
    into.truncate(from);
    let known = |escaped: &[Version]| match escapes {
        Escapes::None => false,
        Escapes::Of(version) => escaped.contains(&version),
    };
    const SINCE_11: &[Version] = &[Version::V11, Version::V12];
    for &byte in text {
        match byte {
            b'\n' => into.extend_from_slice(b"\\n"),
            b':' if known(SINCE_11) => into.extend_from_slice(b"\\c"),
            b'\\' if known(SINCE_11) => into.extend_from_slice(b"\\\\"),
            b'\r' if known(&[Version::V12]) => into.extend_from_slice(b"\\r"),
            // A reader that looks for the frame's end would find it here.
            0 => into.push(b' '),
            other => into.push(other),
        }
    }
}

/// A number as peers write it: digits, blanks around them.
pub fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Appends a number in digits.
#[inline]
pub fn put_number(mut n: u64, into: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, version: Version) -> Result<String, Malformed> {
        let mut out = Vec::new();
        unescape(text.as_bytes(), version, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_version_has_its_escapes_and_others_are_fatal() {
        assert_eq!(read(r"a\nb\cc\\d", Version::V11).unwrap(), "a\nb:c\\d");
        assert_eq!(read(r"\r\n", Version::V12).unwrap(), "\r\n");
        assert_eq!(read(r"\r", Version::V11), Err(Malformed::Escape(Some(b'r'))));
        assert_eq!(read(r"\t", Version::V12), Err(Malformed::Escape(Some(b't'))));
        assert_eq!(read("a\\", Version::V12), Err(Malformed::Escape(None)));
    }

    #[test]
    fn no_version_is_sent_a_line_end_inside_of_a_header() {
        for escapes in [Escapes::None, Escapes::Of(Version::V10), Escapes::Of(Version::V11)] {
            let mut out = Vec::new();
            escape(b"a\nb\0:\\", escapes, &mut out);
            assert!(!out.contains(&b'\n') && !out.contains(&0), "{escapes:?}");
        }
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        assert_eq!(number(b" 12 "), Some(12));
        for bad in ["", "-1", "+1", "1x", "0x1", "18446744073709551616", "1 2"] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
        for n in [0, 9, 10, 1_234_567, u64::MAX] {
            let mut out = Vec::new();
            put_number(n, &mut out);
            assert_eq!(out, n.to_string().into_bytes());
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in prop::collection::vec(1..=255u8, 0..40), v in 1..3usize) {
            let version = Version::ALL[v];
            prop_assume!(version == Version::V12 || !text.contains(&b'\r'));
            let (mut line, mut back) = (Vec::new(), Vec::new());
            escape(&text, Escapes::Of(version), &mut line);
            prop_assert!(!line.contains(&b'\n') && !line.contains(&b':'));
            unescape(&line, version, &mut back).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
