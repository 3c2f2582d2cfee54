//! The fronts that a WebSocket can be put around, and which of them a peer means.

use lockgate_front::Front;
use lockgate_front::first::Recognise;
use std::sync::Arc;

/// How long the packet is that these bytes begin, as far as they tell.
pub type Packet = fn(&[u8]) -> Option<usize>;

/// A front that WebSocket is put around.
#[derive(Clone)]
pub struct Inner {
    /// Makes the sessions.
    pub front: Arc<dyn Front>,
    /// Tells it by a conversation's first bytes.
    pub first: Recognise,
    /// Its sub-protocols; `mqtt*` is every one that begins so. The case does not matter.
    pub tokens: &'static [&'static str],
    /// Its paths.
    pub paths: &'static [&'static str],
    /// Messages in text are taken, and answered with text.
    pub text: bool,
    /// Where its packets end: a message out holds whole ones.
    pub packet: Packet,
}

impl Inner {
    fn takes(&self, token: &str) -> bool {
        self.tokens.iter().any(|known| match known.strip_suffix('*') {
            Some(begin) => {
                token.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin))
            }
            None => known.eq_ignore_ascii_case(token),
        })
    }
}

/// Which inner front a handshake asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    /// This one, in whose name the token was offered.
    Token(usize, &'a str),
    /// This one, by its path.
    Path(usize),
    /// It does not say: the first bytes will.
    Open,
    /// None that is here: nothing that was offered can be answered.
    Unknown,
}

/// Chooses: by the first token that is known (they are offered in the order of preference,
/// RFC 6455, 1.9), then by the path.
pub(crate) fn choose<'a>(inners: &[Inner], tokens: &[&'a str], path: &str) -> Choice<'a> {
    for token in tokens {
        if let Some(n) = inners.iter().position(|inner| inner.takes(token)) {
            return Choice::Token(n, token);
        }
    }
    if !tokens.is_empty() {
        return Choice::Unknown;
    }
    by_path(inners, path).map_or(Choice::Open, Choice::Path)
}

fn by_path(inners: &[Inner], path: &str) -> Option<usize> {
    let path = path.trim_end_matches('/');
    inners.iter().position(|inner| inner.paths.iter().any(|p| p.eq_ignore_ascii_case(path)))
}

/// True if a WebSocket is looked for there.
pub(crate) fn is_place(inners: &[Inner], path: &str) -> bool {
    matches!(path.trim_end_matches('/'), "" | "/ws") || by_path(inners, path).is_some()
}
