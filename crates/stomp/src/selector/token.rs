//! A selector's words, one after the other.

use super::parse::Bad;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Text(String),
    Int(i64),
    Float(f64),
    /// A name, or a word of the language: those are told apart where they are expected.
    Word(&'a str),
    /// `= <> < <= > >= ( ) , + - * /`
    Sign(&'static str),
}

const SIGNS: [&str; 13] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/"];

/// Takes a selector apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Bad> {
    let (mut all, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, left) = if first == '\'' {
            quoted(rest)?
        } else if first.is_ascii_digit() || (first == '.' && begins_digit(&rest[1..])) {
            number(rest)?
        } else if is_of_name(first) && !first.is_ascii_digit() {
            let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            let (word, left) = rest.split_at(end);
            (Token::Word(word), left)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or_else(|| Bad(format!("unexpected `{first}`")))?;
            (Token::Sign(sign), &rest[sign.len()..])
        };
        all.push(token);
        rest = left.trim_start();
    }
    Ok(all)
}

/// As Java's identifiers, and what headers are often called beside.
fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | ':')
}

fn begins_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// `'text'`, in which two quotes are one.
fn quoted(rest: &str) -> Result<(Token<'_>, &str), Bad> {
    let mut text = String::new();
    let mut left = &rest[1..];
    loop {
        let Some(at) = left.find('\'') else {
            return Err(Bad("a text has no end".into()));
        };
        text.push_str(&left[..at]);
        left = &left[at + 1..];
        let Some(more) = left.strip_prefix('\'') else {
            return Ok((Token::Text(text), left));
        };
        text.push('\'');
        left = more;
    }
}

/// `12`, `12L`, `1.5`, `1e3`, `.5`.
fn number(rest: &str) -> Result<(Token<'_>, &str), Bad> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        let run = bytes.get(from..).unwrap_or_default();
        from + run.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let mut end = digits(0);
    let mut whole = true;
    if bytes.get(end) == Some(&b'.') {
        whole = false;
        end = digits(end + 1);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let power = digits(end + 1 + sign);
        if power > end + 1 + sign {
            (whole, end) = (false, power);
        }
    }
    let (text, left) = rest.split_at(end);
    let bad = || Bad(format!("`{text}` is no number"));
    let token = if whole {
        Token::Int(text.parse().map_err(|_| bad())?)
    } else {
        Token::Float(text.parse().map_err(|_| bad())?)
    };
    let left = left.strip_prefix(['L', 'l']).filter(|_| whole).unwrap_or(left);
    if left.starts_with(is_of_name) {
        return Err(Bad(format!("`{text}` runs into what follows it")));
    }
    Ok((token, left))
}
