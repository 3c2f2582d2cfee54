//! Is the house in order? Imports point down (`rooms`), every file keeps the
//! habits (`text`), and everything lies where it belongs (`layout`).

mod layout;
mod rooms;
mod text;

use std::fmt;
use std::path::Path;

/// Something out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder, from the root.
    pub path: String,
    /// The line, from 1; 0 where the whole is meant.
    pub line: usize,
    /// What is wrong.
    pub text: String,
    /// False for what is only a smell.
    pub fails: bool,
}

impl Finding {
    fn new(path: impl Into<String>, line: usize, text: impl Into<String>) -> Finding {
        Finding { path: path.into(), line, text: text.into(), fails: true }
    }

    fn smell(self) -> Finding {
        Finding { fails: false, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.fails { "error" } else { "warning" };
        match self.line {
            0 => write!(f, "{kind}: {}: {}", self.path, self.text),
            line => write!(f, "{kind}: {}:{line}: {}", self.path, self.text),
        }
    }
}

/// Everything that is out of order in the workspace at `root`.
pub fn check(root: &Path) -> Vec<Finding> {
    let files = layout::files(root);
    let mut findings = layout::check(&files);
    findings.extend(rooms::check(root));
    findings.extend(text::check(root, &files));
    findings
}
