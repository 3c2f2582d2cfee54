//! Where a frame ends. It is looked for once: what was searched is remembered until more
//! comes, so a body in a thousand pieces costs no more than in one. Sizes are checked
//! against a limit before anything is made of them.
//!
//! ```text
//!  \n \n  SEND\n destination:/queue/a\n content-length:3\n \n  abc  \0
//!  ^ beats, passed over   ^ lines                             ^ body ^ end
//! ```

use crate::decode;
use crate::error::Malformed;
use crate::header::number;

/// Longest command line. RabbitMQ takes as many; the longest there is has eleven letters.
const COMMAND_MAX: usize = 32;

/// What a frame may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of command and headers.
    pub lines_max: usize,
    /// Most headers.
    pub headers_max: usize,
    /// Most bytes of a body.
    pub body_max: usize,
}

/// A whole frame, counted from where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Command and header lines, without the empty one.
    pub lines: usize,
    /// Where the body begins.
    pub body: usize,
    /// How long the body is.
    pub size: usize,
    /// Where the frame ends.
    pub end: usize,
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A whole frame.
    Whole(Bounds),
    /// So many bytes show more of it.
    Part(usize),
}

/// How far a frame was searched that is not whole yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Everything before this was looked at.
    at: usize,
    /// Where the line at hand begins.
    line: usize,
    /// Lines that are complete, the command's among them.
    count: usize,
    /// What is known once the lines are whole.
    body: Option<Body>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Body {
    lines: usize,
    at: usize,
    /// As `content-length` says it.
    size: Option<usize>,
}

/// Bytes between frames: line ends, which are beats, and NULs, which some peers send twice.
pub fn idle(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        match bytes.get(at..) {
            Some([b'\n' | 0, ..]) => at += 1,
            Some([b'\r', b'\n', ..]) => at += 2,
            _ => return at,
        }
    }
}

/// How long the frame or beat is that bytes of ours begin, as far as they tell: where a body
/// follows, its length is said.
pub fn packet(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'\n') {
        return Some(1);
    }
    let limits =
        Limits { lines_max: usize::MAX, headers_max: usize::MAX - 1, body_max: usize::MAX };
    let mut scan = Scan::default();
    match scan.cut(bytes, &limits) {
        Ok(Cut::Whole(bounds)) => Some(bounds.end),
        Ok(Cut::Part(_)) => scan.body.and_then(|body| body.size.map(|n| body.at + n + 1)),
        Err(_) => None,
    }
}

impl Scan {
    /// True while not one line of the frame is whole.
    pub fn is_fresh(&self) -> bool {
        self.count == 0
    }

    /// Looks on where it stopped. `bytes` begin where the frame begins, every time.
    pub fn cut(&mut self, bytes: &[u8], limits: &Limits) -> Result<Cut, Malformed> {
        let body = match self.body {
            Some(body) => body,
            None => match self.lines(bytes, limits)? {
                Some(body) => *self.body.insert(body),
                None => return Ok(Cut::Part(bytes.len() + 1)),
            },
        };
        let end = match body.size {
            Some(size) => {
                let end = body.at + size;
                match bytes.get(end) {
                    Some(0) => end,
                    Some(_) => return Err(Malformed::NoEnd),
                    // No more than twice of what is here: a length is a claim so far.
                    None => return Ok(Cut::Part((end + 1).min(bytes.len() * 2 + 1))),
                }
            }
            None => {
                let from = self.at.max(body.at);
                let found = bytes.get(from..).and_then(|rest| memchr::memchr(0, rest));
                let end = found.map_or(bytes.len(), |n| from + n);
                if end - body.at.min(end) > limits.body_max {
                    return Err(Malformed::Body(limits.body_max));
                }
                self.at = end;
                if found.is_none() {
                    return Ok(Cut::Part(bytes.len() + 1));
                }
                end
            }
        };
        *self = Scan::default();
        Ok(Cut::Whole(Bounds {
            lines: body.lines,
            body: body.at,
            size: end - body.at,
            end: end + 1,
        }))
    }

    /// Looks for the empty line.
    fn lines(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Body>, Malformed> {
        loop {
            let found = bytes.get(self.at..).and_then(|rest| memchr::memchr(b'\n', rest));
            let end = found.map_or(bytes.len(), |n| self.at + n);
            if end > limits.lines_max {
                return Err(Malformed::HeaderBytes(limits.lines_max));
            }
            if self.count == 0 && end > COMMAND_MAX {
                return Err(Malformed::Command);
            }
            self.at = end;
            let Some(line) = found.and_then(|_| bytes.get(self.line..end)) else {
                return Ok(None);
            };
            let lines = self.line;
            self.at = end + 1;
            self.line = end + 1;
            if line.is_empty() || line == b"\r" {
                let size = match length(bytes.get(..lines).unwrap_or_default())? {
                    Some(size) if size > limits.body_max as u64 => {
                        return Err(Malformed::Body(limits.body_max));
                    }
                    size => size.map(|n| n as usize),
                };
                return Ok(Some(Body { lines, at: end + 1, size }));
            }
            self.count += 1;
            if self.count > limits.headers_max + 1 {
                return Err(Malformed::HeaderCount(limits.headers_max));
            }
        }
    }
}

/// What `content-length` says. Of a client's frames it counts on SEND alone: no other has a
/// body, and some clients repeat a message's length on its ACK.
fn length(lines: &[u8]) -> Result<Option<u64>, Malformed> {
    let mut lines = decode::lines(lines);
    if !matches!(lines.next(), Some(b"SEND" | b"MESSAGE" | b"ERROR")) {
        return Ok(None);
    }
    let value = lines.find_map(|line| line.strip_prefix(b"content-length:"));
    value.map(|value| number(value).ok_or(Malformed::Length)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { lines_max: 100, headers_max: 3, body_max: 20 };

    fn cut(bytes: &[u8]) -> Result<Cut, Malformed> {
        Scan::default().cut(bytes, &LIMITS)
    }

    fn whole(text: &[u8]) -> (usize, usize, usize) {
        match cut(text) {
            Ok(Cut::Whole(b)) => (b.body, b.size, b.end),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_ends_at_nul_or_where_its_length_says() {
        assert_eq!(whole(b"SEND\n\nabc\0rest"), (6, 3, 10));
        assert_eq!(whole(b"SEND\r\na:b\r\n\r\nabc\0"), (13, 3, 17));
        assert_eq!(whole(b"SEND\ncontent-length:3\n\na\0c\0x"), (23, 3, 27));
        assert_eq!(whole(b"SEND\ncontent-length: 3 \n\na\0c\0x"), (25, 3, 29));
        // An ACK has no body, whatever its headers say.
        assert_eq!(whole(b"ACK\ncontent-length:9\n\n\0"), (22, 0, 23));
    }

    #[test]
    fn every_limit_holds() {
        assert_eq!(cut(&[b'A'; 40]), Err(Malformed::Command));
        assert_eq!(cut(b"SEND\na:b\nc:d\ne:f\ng:h\n"), Err(Malformed::HeaderCount(3)));
        let long = [b"SEND\nname:".to_vec(), vec![b'x'; 100]].concat();
        assert_eq!(cut(&long), Err(Malformed::HeaderBytes(100)));
        assert_eq!(cut(b"SEND\ncontent-length:21\n\n"), Err(Malformed::Body(20)));
        let body = [b"SEND\n\n".to_vec(), vec![b'x'; 21]].concat();
        assert_eq!(cut(&body), Err(Malformed::Body(20)));
        for bad in ["-1", "x", "", "99999999999999999999"] {
            let text = format!("SEND\ncontent-length:{bad}\n\n");
            assert_eq!(cut(text.as_bytes()), Err(Malformed::Length), "{bad}");
        }
        assert_eq!(cut(b"SEND\ncontent-length:2\n\nabc\0"), Err(Malformed::NoEnd));
    }

    #[test]
    fn no_more_is_asked_for_than_is_already_there() {
        let limits = Limits { body_max: 1 << 30, ..LIMITS };
        let head = b"SEND\ncontent-length:1000000000\n\n";
        let cut = Scan::default().cut(head, &limits);
        assert_eq!(cut, Ok(Cut::Part(head.len() * 2 + 1)));
    }

    #[test]
    fn a_search_goes_on_where_it_stopped() {
        let limits = Limits { body_max: 1 << 20, ..LIMITS };
        let text = [b"SEND\n\n".to_vec(), vec![b'x'; 1000], vec![0]].concat();
        let mut scan = Scan::default();
        for n in 0..text.len() {
            assert!(matches!(scan.cut(&text[..n], &limits), Ok(Cut::Part(_))));
            assert!(scan.at >= n.saturating_sub(1), "{n}");
        }
        let Ok(Cut::Whole(bounds)) = scan.cut(&text, &limits) else { panic!() };
        assert_eq!(bounds.end, text.len());
        assert_eq!(scan, Scan::default());
    }

    #[test]
    fn beats_and_stray_nuls_are_passed_over() {
        assert_eq!(idle(b"\n\r\n\0\nSEND"), 5);
        assert_eq!(idle(b"\r"), 0);
        assert_eq!(idle(b"S"), 0);
    }
}
