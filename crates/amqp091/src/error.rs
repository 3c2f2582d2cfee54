//! What a peer did wrong, by the reply codes of AMQP 0-9-1 (section 1.2 of the
//! specification's XML), and what the decoder may complain of. Never the broker's own faults.

use lockgate_model::Malformed;

/// A reply code, soft (closes a channel) or hard (closes the connection).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named as the specification names them
pub enum Code {
    ContentTooLarge,
    NoRoute,
    AccessRefused,
    NotFound,
    ResourceLocked,
    PreconditionFailed,
    ConnectionForced,
    FrameError,
    SyntaxError,
    CommandInvalid,
    ChannelError,
    UnexpectedFrame,
    ResourceError,
    NotAllowed,
    NotImplemented,
    InternalError,
}

impl Code {
    /// The number on the wire.
    pub fn number(self) -> u16 {
        self.facts().0
    }

    /// The name that reply texts begin with.
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// True if the connection cannot go on.
    pub fn is_hard(self) -> bool {
        self.facts().2
    }

    fn facts(self) -> (u16, &'static str, bool) {
        match self {
            Code::ContentTooLarge => (311, "CONTENT_TOO_LARGE", false),
            Code::NoRoute => (312, "NO_ROUTE", false),
            Code::AccessRefused => (403, "ACCESS_REFUSED", false),
            Code::NotFound => (404, "NOT_FOUND", false),
            Code::ResourceLocked => (405, "RESOURCE_LOCKED", false),
            Code::PreconditionFailed => (406, "PRECONDITION_FAILED", false),
            Code::ConnectionForced => (320, "CONNECTION_FORCED", true),
            Code::FrameError => (501, "FRAME_ERROR", true),
            Code::SyntaxError => (502, "SYNTAX_ERROR", true),
            Code::CommandInvalid => (503, "COMMAND_INVALID", true),
            Code::ChannelError => (504, "CHANNEL_ERROR", true),
            Code::UnexpectedFrame => (505, "UNEXPECTED_FRAME", true),
            Code::ResourceError => (506, "RESOURCE_ERROR", true),
            Code::NotAllowed => (530, "NOT_ALLOWED", true),
            Code::NotImplemented => (540, "NOT_IMPLEMENTED", true),
            Code::InternalError => (541, "INTERNAL_ERROR", true),
        }
    }
}

/// A broken rule: what a close method says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The reply code.
    pub code: Code,
    /// The explanation, without the code's name.
    pub text: String,
    /// Class and method that failed, where that was said; 0, 0 is none in particular.
    pub at: Option<(u16, u16)>,
}

impl Fault {
    /// A fault of the method at hand.
    pub fn new(code: Code, text: impl Into<String>) -> Fault {
        Fault { code, text: text.into(), at: None }
    }

    /// A fault of no method at all.
    pub fn nowhere(code: Code, text: impl Into<String>) -> Fault {
        Fault::new(code, text).at((0, 0))
    }

    /// The same fault, of this method if none was said before.
    pub fn at(mut self, id: (u16, u16)) -> Fault {
        self.at.get_or_insert(id);
        self
    }

    /// Class and method for the wire.
    pub fn place(&self) -> (u16, u16) {
        self.at.unwrap_or_default()
    }

    /// `CODE_NAME - explanation`, cut to what a short string holds and marked as cut.
    pub fn reply_text(&self) -> String {
        let mut text = format!("{} - {}", self.code.name(), self.text);
        if text.len() > 255 {
            let mut end = 252;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            text += "...";
        }
        text
    }
}

/// Why a method's bytes are not that method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field is cut short.
    #[error("method cut short")]
    Short,
    /// Bytes are left over.
    #[error("bytes after the method's last field")]
    Trailing,
    /// A name that is no UTF-8.
    #[error("Malformed UTF-8 in shortstr")]
    NotText,
    /// A table that is none.
    #[error("{0}")]
    Table(Malformed),
    /// No such method.
    #[error("unknown method {class}.{method}")]
    Unknown {
        /// Class id.
        class: u16,
        /// Method id.
        method: u16,
    },
}

/// Bytes as RabbitMQ's texts print them: `<<"abc">>` or `<<1,2,255>>`, no more than
/// what a reply text could hold.
pub fn octets(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(128)];
    if !shown.is_empty() && shown.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        return format!("<<\"{}\">>", shown.escape_ascii());
    }
    let numbers: Vec<String> = shown.iter().map(u8::to_string).collect();
    format!("<<{}>>", numbers.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_at_a_character_and_fits_a_short_string() {
        let fault = Fault::new(Code::NotFound, "ä".repeat(200));
        let text = fault.reply_text();
        assert!(text.starts_with("NOT_FOUND - ä"));
        assert!(text.ends_with("ä..."));
        assert!(text.len() >= 254 && text.len() <= 255);
    }
}
