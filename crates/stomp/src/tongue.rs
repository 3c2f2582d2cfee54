//! STOMP in words, for scripts: `COMMAND name:value ... | body`. The name of our session,
//! which is drawn, is written `session-*` both ways. A length that is right is not listed.

use crate::decode;
use crate::frame::{Cut, Limits, Scan};
use crate::packet::{Headers, Version};
use lockgate_front::script::{Tongue, Words};

/// How many letters a session's name has behind `session-`.
const DRAWN: usize = 22;

/// A client of any version.
#[derive(Debug, Default)]
pub struct Client {
    /// The session's name, once it is told.
    session: String,
    /// The version that was told.
    pub version: Version,
}

impl Tongue for Client {
    /// A frame; or `raw WORDS`, the bytes as they are.
    fn say(&mut self, line: &str) -> Result<Vec<u8>, String> {
        let line = match self.session.as_str() {
            "" => line.to_owned(),
            session => line.replace("session-*", session),
        };
        let (head, body) = match line.split_once(" | ") {
            Some((head, body)) => (head, Some(body)),
            None => (&*line, None),
        };
        let mut words = Words::new(head);
        let command = words.need("a command")?;
        if command == "raw" {
            return Ok(words.rest().concat().into_bytes());
        }
        let mut bytes = command.into_bytes();
        bytes.push(b'\n');
        for word in words {
            bytes.extend_from_slice(word.as_bytes());
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        if let Some(body) = body {
            bytes.extend_from_slice(Words::new(body).rest().join(" ").as_bytes());
        }
        bytes.push(0);
        Ok(bytes)
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<String> {
        let limits = Limits { lines_max: 1 << 20, headers_max: 1000, body_max: 1 << 30 };
        let mut lines = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'\n' {
                lines.push("beat".to_owned());
                at += 1;
                continue;
            }
            let rest = &bytes[at..];
            let cut = Scan::default().cut(rest, &limits);
            let Ok(Cut::Whole(bounds)) = cut else {
                lines.push(format!("no frame: {cut:?} {}", rest.escape_ascii()));
                break;
            };
            lines.push(self.show(&rest[..bounds.lines], &rest[bounds.body..bounds.end - 1]));
            at += bounds.end;
            // The line end behind a frame is no beat.
            at += usize::from(bytes.get(at) == Some(&b'\n'));
        }
        lines
    }
}

impl Client {
    fn show(&mut self, lines: &[u8], body: &[u8]) -> String {
        let mut headers = Headers::default();
        let frame = decode::frame(lines, body, Version::V10, &mut headers).unwrap();
        if frame.word == b"CONNECTED" {
            let session = frame.text("session").unwrap_or_default();
            if session.starts_with("session-") {
                self.session = session.to_owned();
                assert_eq!(session.len(), "session-".len() + DRAWN);
            }
            self.version = frame.get("version").and_then(Version::named).unwrap_or_default();
        }
        let mut text = String::from_utf8_lossy(frame.word).into_owned();
        for (name, value) in frame.iter() {
            if name == b"content-length" {
                assert_eq!(value, body.len().to_string().as_bytes(), "{text}");
                continue;
            }
            text += &format!(" {}:{}", escaped(name), escaped(value));
        }
        if body.len() > 64 && frame.word != b"ERROR" {
            text += &format!(" | {} bytes", body.len());
        } else if !body.is_empty() {
            text += &format!(" | {}", escaped(body));
        }
        if self.session.is_empty() { text } else { text.replace(&self.session, "session-*") }
    }
}

/// As it is in a script: quotes stand for themselves.
fn escaped(text: &[u8]) -> String {
    text.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\"")
}
