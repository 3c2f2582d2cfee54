//! Lines to frames, and nothing else: whether the frame makes sense is the session's affair.

use crate::error::Malformed;
use crate::header::{Escapes, unescape};
use crate::packet::{Command, Frame, Headers, Place, Version};
use nom::bytes::complete::take_till;
use nom::character::complete::char;
use nom::combinator::rest;
use nom::sequence::separated_pair;
use nom::{IResult, Parser};

/// The lines of some bytes, without their ends.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut left = bytes;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let (line, more) = match memchr::memchr(b'\n', left) {
            Some(at) => (left.get(..at)?, left.get(at + 1..)?),
            None => (left, &[][..]),
        };
        left = more;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// `name:value`; a value may hold colons, which many peers do not escape.
fn pair(line: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    separated_pair(take_till(|b| b == b':'), char(':'), rest).parse(line)
}

/// Reads command and headers. The bodies of frames are not looked at.
pub fn frame<'a>(
    lines_of: &'a [u8],
    body: &'a [u8],
    version: Version,
    into: &'a mut Headers,
) -> Result<Frame<'a>, Malformed> {
    into.all.clear();
    into.unescaped.clear();
    let mut lines = lines(lines_of);
    let word = lines.next().unwrap_or_default();
    let command = Command::named(word);
    // 1.2: these two are never escaped, to stay readable for 1.0.
    let escapes = match (command, version) {
        (Command::Connect, _) | (_, Version::V10) => Escapes::None,
        (_, version) => Escapes::Of(version),
    };
    let trims = version == Version::V10;
    for line in lines {
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return Err(Malformed::Control);
        }
        let (_, (name, value)) = pair(line).map_err(|_| Malformed::NoColon)?;
        // Peers of 1.0 are used to write a blank behind the colon.
        let value = if trims { value.trim_ascii_start() } else { value };
        let name = place(lines_of, name, escapes, &mut into.unescaped)?;
        let value = place(lines_of, value, escapes, &mut into.unescaped)?;
        if !has(lines_of, into, name) {
            into.all.push((name, value));
        }
    }
    Ok(Frame { command, word, lines: lines_of, headers: into, body })
}

/// Is there a header of this name?
fn has(lines: &[u8], headers: &Headers, name: Place) -> bool {
    let wanted = headers.slice(lines, name);
    headers.all.iter().any(|(n, _)| n.len == name.len && headers.slice(lines, *n) == wanted)
}

/// Where a part of `lines` lies, or what it stands for.
fn place(
    lines: &[u8],
    part: &[u8],
    escapes: Escapes,
    unescaped: &mut Vec<u8>,
) -> Result<Place, Malformed> {
    if let Escapes::Of(version) = escapes
        && memchr::memchr(b'\\', part).is_some()
    {
        let at = unescaped.len();
        unescape(part, version, unescaped)?;
        let len = (unescaped.len() - at) as u32;
        return Ok(Place { at: at as u32, len, apart: true });
    }
    let at = part.as_ptr().addr().wrapping_sub(lines.as_ptr().addr());
    Ok(Place { at: at as u32, len: part.len() as u32, apart: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, version: Version) -> Result<Vec<(String, String)>, Malformed> {
        let mut headers = Headers::default();
        let frame = frame(text.as_bytes(), b"", version, &mut headers)?;
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Ok(frame.iter().map(|(n, v)| (text(n), text(v))).collect())
    }

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect()
    }

    #[test]
    fn the_first_of_a_name_counts() {
        let got = read("SEND\nfoo:World\nfoo:Hello\n", Version::V12).unwrap();
        assert_eq!(got, pairs(&[("foo", "World")]));
        let got = read("SEND\na\\cb:1\na\\cb:2\n", Version::V12).unwrap();
        assert_eq!(got, pairs(&[("a:b", "1")]));
    }

    #[test]
    fn connect_is_never_escaped_and_1_0_has_no_escapes() {
        let got = read("CONNECT\npasscode:a\\nb\n", Version::V12).unwrap();
        assert_eq!(got, pairs(&[("passcode", "a\\nb")]));
        let got = read("SEND\npath: C:\\temp\n", Version::V10).unwrap();
        assert_eq!(got, pairs(&[("path", "C:\\temp")]));
        let got = read("SEND\npath: C:\\ntemp\n", Version::V11).unwrap();
        assert_eq!(got, pairs(&[("path", " C:\ntemp")]));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(read("SEND\nfoo\n", Version::V12), Err(Malformed::NoColon));
        assert_eq!(read("SEND\nfoo:a\rb\n", Version::V12), Err(Malformed::Control));
        assert_eq!(read("SEND\nfoo:a\0b\n", Version::V10), Err(Malformed::Control));
        assert_eq!(read("SEND\nfoo:a\r\n", Version::V11).unwrap(), pairs(&[("foo", "a")]));
    }
}
