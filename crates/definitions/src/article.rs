//! What an entry of a definitions file is about, and what was wrong with it.

use lockgate_model::Name;
use std::fmt;

/// One object of a definitions file, as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    /// `queue`, `user` and so on.
    pub kind: &'static str,
    /// Its name, or what stands for one.
    pub name: String,
    /// Where it is, if it is in a virtual host.
    pub vhost: Option<Name>,
}

impl fmt::Display for Article {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names are anybody's choice: what would move a terminal's cursor is spelt out.
        write!(f, "{} '{}'", self.kind, self.name.escape_debug())?;
        match &self.vhost {
            None => Ok(()),
            Some(vhost) => write!(f, " in vhost '{}'", vhost.escape_debug()),
        }
    }
}

/// An object that could not be read, ordered or taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which.
    pub article: Article,
    /// Why, in one line.
    pub why: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.split_whitespace().collect::<Vec<_>>().join(" ");
        write!(f, "{}: {why}", self.article)
    }
}
