//! What a peer did wrong: bytes that are no frame, and frames that cannot be done. Never the
//! broker's own faults, and never more about its inside than the peer said itself.

/// Why bytes are no frame. What follows them can no longer be told into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line is longer than any command.
    #[error("command too long")]
    Command,
    /// The header lines are longer than they may be.
    #[error("headers larger than {0} bytes")]
    HeaderBytes(usize),
    /// There are more of them than there may be.
    #[error("more than {0} headers")]
    HeaderCount(usize),
    /// The body is larger than it may be.
    #[error("body larger than {0} bytes")]
    Body(usize),
    /// A line without a colon.
    #[error("header without a colon")]
    NoColon,
    /// A carriage return that ends no line, or a NUL among the headers.
    #[error("unexpected character in a header")]
    Control,
    /// An escape that there is not.
    #[error("undefined escape sequence")]
    Escape(Option<u8>),
    /// A content-length that is no number.
    #[error("invalid content-length")]
    Length,
    /// The octet behind a body of that length is not NUL.
    #[error("no NUL after content-length bytes of body")]
    NoEnd,
}

/// What is told in an ERROR frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The `message` header.
    pub message: String,
    /// The body.
    pub text: String,
    /// The connection does not go on.
    pub closes: bool,
}

impl Fault {
    /// Something that could not be done; the connection goes on.
    pub fn new(message: impl Into<String>, text: impl Into<String>) -> Fault {
        Fault { message: message.into(), text: text.into(), closes: false }
    }

    /// The same, and the connection ends.
    pub fn last(message: impl Into<String>, text: impl Into<String>) -> Fault {
        Fault { message: message.into(), text: text.into(), closes: true }
    }

    /// For the log.
    pub fn cause(&self) -> String {
        let text = self.text.trim_end().replace('\n', " ");
        format!("{}: {text}", self.message)
    }
}

impl From<Malformed> for Fault {
    fn from(why: Malformed) -> Fault {
        Fault::last("Malformed frame", format!("{why}\n"))
    }
}

/// Bytes of a peer in a text, cut to what a line holds.
pub fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..512).unwrap_or(bytes);
    String::from_utf8_lossy(cut).chars().filter(|c| !c.is_control()).collect()
}
