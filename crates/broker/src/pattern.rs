//! Patterns over names, as operators write them: regular expressions that match anywhere in
//! a name, in time linear to it. Also the one look-ahead that is common in RabbitMQ's world
//! and that no linear engine has: at the very beginning, as in `^(?!amq\.)`.

use regex::{Regex, RegexBuilder};

/// What one expression may take when it is compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What must match.
    body: Regex,
    /// What must match at the beginning, or must not.
    ahead: Vec<(bool, Regex)>,
}

impl Pattern {
    /// Reads a pattern; on a no, why.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let Some((mut ahead, rest)) = looks_ahead(text) else {
            return Ok(Pattern { body: compile(text)?, ahead: Vec::new() });
        };
        let mut read = Vec::new();
        for (wanted, inner) in ahead.drain(..) {
            read.push((wanted, compile(&format!("^(?:{inner})"))?));
        }
        Ok(Pattern { body: compile(&format!("^(?:{rest})"))?, ahead: read })
    }

    /// Does it match somewhere in the name?
    pub fn matches(&self, name: &str) -> bool {
        self.ahead.iter().all(|(wanted, ahead)| ahead.is_match(name) == *wanted)
            && self.body.is_match(name)
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    let text = literal_braces(text);
    RegexBuilder::new(&text).size_limit(COMPILED_BYTES_MAX).build().map_err(|e| {
        // Its last line says what is wrong, those before it draw where.
        let all = e.to_string();
        let last = all.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_string()
    })
}

/// A brace that begins no repetition is itself, as in RabbitMQ's `^{username}\.`.
fn literal_braces(text: &str) -> String {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _, _) in open_text(text).filter(|(_, c, _)| *c == '{') {
        let inner = text.get(at + 1..).and_then(|rest| rest.split_once('}')).map(|(i, _)| i);
        let counts = inner.is_some_and(|inner| {
            let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            !least.is_empty() && digits(least) && digits(most)
        });
        if !counts {
            out.push_str(text.get(from..at).unwrap_or_default());
            out.push_str("\\{");
            from = at + 1;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Look-aheads behind a leading `^`, each with whether it must match, and what follows them.
fn looks_ahead(text: &str) -> Option<(Vec<(bool, &str)>, &str)> {
    let mut rest = text.strip_prefix('^')?;
    let mut found = Vec::new();
    loop {
        let wanted = if rest.starts_with("(?=") {
            true
        } else if rest.starts_with("(?!") {
            false
        } else {
            break;
        };
        let end = closing(rest)?;
        found.push((wanted, rest.get(3..end)?));
        rest = rest.get(end + 1..)?;
    }
    // A choice at the top would leave the look-ahead to its first branch alone.
    (!found.is_empty() && !chooses(rest)).then_some((found, rest))
}

/// Each character that is none of a class and not escaped, with its place and depth.
fn open_text(text: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let (mut escaped, mut class, mut depth) = (false, false, 0);
    text.char_indices().filter_map(move |(at, c)| {
        if std::mem::take(&mut escaped) {
            return None;
        }
        match c {
            '\\' => escaped = true,
            '[' if !class => class = true,
            ']' if class => class = false,
            _ if class => {}
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                return Some((at, c, depth));
            }
            other => return Some((at, other, depth)),
        }
        None
    })
}

/// Where the bracket that a text begins with is closed.
fn closing(text: &str) -> Option<usize> {
    open_text(text).find(|(_, c, depth)| *c == ')' && *depth == 0).map(|(at, _, _)| at)
}

fn chooses(text: &str) -> bool {
    open_text(text).any(|(_, c, depth)| c == '|' && depth == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).unwrap().matches(name)
    }

    #[test]
    fn a_pattern_matches_anywhere_unless_it_is_tied() {
        assert!(matches("b", "abc") && matches("", "abc") && matches("^a.*c$", "abc"));
        assert!(!matches("^b", "abc") && !matches("b$", "abc"));
    }

    #[test]
    fn the_common_look_ahead_is_understood() {
        let not_ours = r"^(?!amq\.).*";
        assert!(matches(not_ours, "orders") && matches(not_ours, "x.amq.y"));
        assert!(!matches(not_ours, "amq.gen-1"));
        let two = r"^(?!amq\.)(?!.*[(|)]tmp$)(?=.*eu).+$";
        assert!(matches(two, "orders-eu"));
        assert!(!matches(two, "orders-us") && !matches(two, "amq.eu") && !matches(two, "eu|tmp"));
    }

    #[test]
    fn a_brace_that_counts_nothing_is_itself() {
        assert!(matches(r"^{username}\.x{2}[{]$", "{username}.xx{"));
        assert!(matches("^a{1,}{$", "aa{") && !matches("^a{2,3}$", "a"));
    }

    #[test]
    fn what_cannot_be_done_in_linear_time_is_refused() {
        for text in ["(", "[", "a(?!b)", r"(a)\1", "^(?!a)b|c", "^(?!a", "(a{1000}){1000}"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
    }
}
