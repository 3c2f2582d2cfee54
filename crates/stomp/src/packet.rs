//! The nouns of the protocol: versions, commands, and a frame as it was read. A frame owns
//! nothing: its headers are places in what was read, or in a scratch buffer where an
//! escape had to be written out.

/// The versions of STOMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Version {
    #[default]
    V10,
    V11,
    V12,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Version; 3] = [Version::V10, Version::V11, Version::V12];

    /// As it is written in `accept-version`.
    pub fn word(self) -> &'static str {
        match self {
            Version::V10 => "1.0",
            Version::V11 => "1.1",
            Version::V12 => "1.2",
        }
    }

    /// The version of that name.
    pub fn named(word: &[u8]) -> Option<Version> {
        Version::ALL.into_iter().find(|v| v.word().as_bytes() == word)
    }
}

/// What a client may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    /// `CONNECT`, and `STOMP` which is the same.
    Connect,
    Send,
    Subscribe,
    Unsubscribe,
    Ack,
    Nack,
    Begin,
    Commit,
    Abort,
    Disconnect,
    /// Anything else; the session says what it thinks of it.
    Unknown,
}

impl Command {
    /// The command of that name.
    pub fn named(word: &[u8]) -> Command {
        match word {
            b"SEND" => Command::Send,
            b"ACK" => Command::Ack,
            b"NACK" => Command::Nack,
            b"SUBSCRIBE" | b"SUB" => Command::Subscribe,
            b"UNSUBSCRIBE" | b"UNSUB" => Command::Unsubscribe,
            b"BEGIN" => Command::Begin,
            b"COMMIT" => Command::Commit,
            b"ABORT" => Command::Abort,
            b"DISCONNECT" => Command::Disconnect,
            b"CONNECT" | b"STOMP" => Command::Connect,
            _ => Command::Unknown,
        }
    }
}

/// Where a name or a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: u32,
    pub(crate) len: u32,
    /// Among what escapes stand for, not in the lines.
    pub(crate) apart: bool,
}

/// The headers of one frame, each name once: the first of a name counts (1.2, "Repeated
/// Header Entries"). Kept from frame to frame for its memory.
#[derive(Debug, Default)]
pub struct Headers {
    /// Names and values, in order.
    pub(crate) all: Vec<(Place, Place)>,
    /// What escapes stand for; places apart are in here.
    pub(crate) unescaped: Vec<u8>,
}

/// Scratch larger than this gives its memory back: idle connections hold none.
const KEEP_MAX: usize = 64;

impl Headers {
    /// Gives memory back that an idle connection need not hold.
    pub(crate) fn rest(&mut self) {
        if self.all.capacity() > KEEP_MAX || self.unescaped.capacity() > KEEP_MAX {
            *self = Headers::default();
        }
    }

    /// What stands at a place.
    #[inline]
    pub(crate) fn slice<'a>(&'a self, lines: &'a [u8], place: Place) -> &'a [u8] {
        let buffer = if place.apart { &self.unescaped } else { lines };
        let at = place.at as usize;
        buffer.get(at..at + place.len as usize).unwrap_or_default()
    }
}

/// A frame over the bytes that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it asks for.
    pub command: Command,
    /// The command as it was written.
    pub word: &'a [u8],
    /// The lines that most places are in.
    pub lines: &'a [u8],
    /// Its headers.
    pub headers: &'a Headers,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// What stands at a place of it.
    fn slice(&self, place: Place) -> &'a [u8] {
        self.headers.slice(self.lines, place)
    }

    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| value)
    }

    /// The value of a header, if it is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// `true` and `false`, as RabbitMQ reads them; anything else is not there.
    pub fn truth(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(truth)
    }

    /// All headers.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let frame = *self;
        self.headers.all.iter().map(move |(name, value)| (frame.slice(*name), frame.slice(*value)))
    }
}

/// A header's value as truth.
pub fn truth(value: &[u8]) -> Option<bool> {
    match value {
        b"true" | b"True" => Some(true),
        b"false" | b"False" => Some(false),
        _ => None,
    }
}
