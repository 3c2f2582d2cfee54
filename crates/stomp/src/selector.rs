//! Selectors: the conditions of SQL-92 that JMS chose (Jakarta Messaging 3.0, 3.8.1), over a
//! message's headers. Three-valued: what speaks of a header that is not there is unknown, and
//! only what is true selects. Read once, at SUBSCRIBE; evaluated without allocating.
//!
//! ```text
//!  or      and (OR and)*            and   not (AND not)*         not  NOT not | test
//!  test    sum [= <> < <= > >= sum | IS [NOT] NULL | [NOT] BETWEEN sum AND sum
//!              | [NOT] LIKE 'x' [ESCAPE 'c'] | [NOT] IN ('x', ...)]
//!  sum     term ((+|-) term)*       term  sign ((*|/) sign)*     sign (+|-)* leaf
//!  leaf    'text' | 12 | 1.5e3 | TRUE | FALSE | NAME | (or)
//! ```

mod eval;
mod parse;
mod token;

pub use eval::Value;
pub use parse::{Bad, Selector};

/// Longest selector, in bytes.
const BYTES_MAX: usize = 8 * 1024;

/// How deep conditions may nest: beyond this a reader's stack is what somebody is after.
const NESTING_MAX: usize = 64;

/// A condition, or part of one.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Text(Box<str>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Name(Box<str>),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Negative(Box<Node>),
    Sum(Operator, Box<Node>, Box<Node>),
    Compare(Order, Box<Node>, Box<Node>),
    IsNull(Box<Node>),
    Like(Box<Node>, Box<[Piece]>),
    In(Box<Node>, Box<[Box<str>]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What stands in a pattern of LIKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// `_`
    Any,
    /// `%`
    Many,
    Letter(char),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `condition | headers | true, false, unknown or ! why`.
    #[test]
    fn every_case_of_the_table_holds() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/stomp/selector.cases");
        let table = std::fs::read_to_string(path).expect(path);
        for line in table.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
            let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
            let [condition, headers, wanted] = parts[..] else { panic!("{line}") };
            let selector = match Selector::parse(condition) {
                Ok(selector) => selector,
                Err(Bad(why)) => {
                    assert_eq!(format!("! {why}"), wanted, "{line}");
                    continue;
                }
            };
            let headers: Vec<(&str, &str)> =
                headers.split(' ').filter_map(|pair| pair.split_once('=')).collect();
            let find = |name: &str| {
                let value = headers.iter().find(|(n, _)| *n == name)?.1;
                Some(match value.strip_prefix('\'') {
                    Some(text) => Value::Text(text.trim_end_matches('\'')),
                    None if value == "true" || value == "false" => Value::Bool(value == "true"),
                    None => match value.parse() {
                        Ok(n) => Value::Int(n),
                        Err(_) => Value::Float(value.parse().expect(line)),
                    },
                })
            };
            let got = match selector.truth(&find) {
                Some(true) => "true",
                Some(false) => "false",
                None => "unknown",
            };
            assert_eq!(got, wanted, "{line}");
            assert_eq!(selector.selects(&find), got == "true");
        }
    }

    #[test]
    fn neither_length_nor_depth_is_without_bounds() {
        assert!(Selector::parse(&"(".repeat(10_000)).is_err());
        assert!(Selector::parse(&format!("{}a = 1", "NOT ".repeat(1_000))).is_err());
        assert!(Selector::parse(&format!("{}1 = 1", "-".repeat(1_000))).is_err());
        assert!(Selector::parse(&format!("a = '{}'", "x".repeat(9_000))).is_err());
        // A pattern that would take for ever if every way were tried.
        let like = Selector::parse(&format!("a LIKE '{}b'", "%a".repeat(100))).unwrap();
        let text = "a".repeat(5_000);
        assert_eq!(like.truth(&|_| Some(Value::Text(&text))), Some(false));
    }
}
