//! Whether a message is selected. What is not there is unknown, and so is what is made of it.

use super::{Node, Operator, Order, Piece, Selector};
use std::cmp::Ordering;

/// What a header holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the variants say it
pub enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// Finds a header.
type Find<'f, 'm> = &'f dyn Fn(&str) -> Option<Value<'m>>;

impl Selector {
    /// True, false, or unknown.
    pub fn truth(&self, find: Find<'_, '_>) -> Option<bool> {
        Judge { find, converts: self.converts }.truth(&self.node)
    }

    /// Only what is true selects.
    pub fn selects(&self, find: Find<'_, '_>) -> bool {
        self.truth(find) == Some(true)
    }
}

struct Judge<'f, 'm> {
    find: Find<'f, 'm>,
    converts: bool,
}

impl<'m> Judge<'_, 'm> {
    fn truth(&self, node: &Node) -> Option<bool> {
        match node {
            Node::Not(inner) => self.truth(inner).map(|truth| !truth),
            Node::And(a, b) => match (self.truth(a), self.truth(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Node::Or(a, b) => match (self.truth(a), self.truth(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Node::Compare(order, a, b) => self.compare(*order, self.value(a)?, self.value(b)?),
            Node::IsNull(inner) => Some(self.value(inner).is_none()),
            Node::Like(inner, pattern) => match self.value(inner)? {
                Value::Text(text) => Some(like(text, pattern)),
                _ => Some(false),
            },
            Node::In(inner, all) => match self.value(inner)? {
                Value::Text(text) => Some(all.iter().any(|one| **one == *text)),
                _ => Some(false),
            },
            Node::Bool(truth) => Some(*truth),
            // A header that is no truth makes no condition.
            Node::Name(_) => match self.value(node)? {
                Value::Bool(truth) => Some(truth),
                Value::Text(text) if self.converts => Some(text.eq_ignore_ascii_case("true")),
                _ => Some(false),
            },
            _ => None,
        }
    }

    fn value<'s>(&'s self, node: &'s Node) -> Option<Value<'s>>
    where
        'm: 's,
    {
        Some(match node {
            Node::Text(text) => Value::Text(text),
            Node::Int(n) => Value::Int(*n),
            Node::Float(n) => Value::Float(*n),
            Node::Name(name) => (self.find)(name)?,
            Node::Negative(inner) => match self.number(inner)? {
                Value::Int(n) => Value::Int(n.checked_neg()?),
                Value::Float(n) => Value::Float(-n),
                _ => return None,
            },
            Node::Sum(operator, a, b) => sum(*operator, self.number(a)?, self.number(b)?)?,
            condition => Value::Bool(self.truth(condition)?),
        })
    }

    /// A value to calculate with.
    fn number<'s>(&'s self, node: &'s Node) -> Option<Value<'s>>
    where
        'm: 's,
    {
        match self.value(node)? {
            Value::Text(text) if self.converts => number_of(text),
            Value::Text(_) | Value::Bool(_) => None,
            number => Some(number),
        }
    }

    /// Things of two kinds are neither equal nor ordered, unless texts are to be converted.
    fn compare(&self, order: Order, a: Value<'_>, b: Value<'_>) -> Option<bool> {
        let ordering = match (a, b) {
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => match order {
                Order::Equal | Order::Unequal => Some(a.cmp(&b)),
                _ => return Some(false),
            },
            (Value::Text(text), other) if self.converts => converted(text, other),
            (other, Value::Text(text)) if self.converts => {
                converted(text, other).map(Ordering::reverse)
            }
            (a, b) => ordered(a, b),
        };
        Some(match (order, ordering) {
            (Order::Unequal, other) => other != Some(Ordering::Equal),
            (_, None) => false,
            (Order::Equal, Some(is)) => is.is_eq(),
            (Order::Less, Some(is)) => is.is_lt(),
            (Order::LessOrEqual, Some(is)) => is.is_le(),
            (Order::Greater, Some(is)) => is.is_gt(),
            (Order::GreaterOrEqual, Some(is)) => is.is_ge(),
        })
    }
}

fn number_of(text: &str) -> Option<Value<'static>> {
    let text = text.trim();
    text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float)).ok()
}

fn converted(text: &str, other: Value<'_>) -> Option<Ordering> {
    match other {
        Value::Bool(truth) => Some(text.eq_ignore_ascii_case("true").cmp(&truth)),
        number => ordered(number_of(text)?, number),
    }
}

fn ordered(a: Value<'_>, b: Value<'_>) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(&b)),
        (Value::Int(a), Value::Float(b)) => (a as f64).partial_cmp(&b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(&b),
        _ => None,
    }
}

/// What cannot be calculated is unknown.
fn sum(operator: Operator, a: Value<'_>, b: Value<'_>) -> Option<Value<'static>> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return match operator {
            Operator::Plus => a.checked_add(b),
            Operator::Minus => a.checked_sub(b),
            Operator::Times => a.checked_mul(b),
            Operator::Over => a.checked_div(b),
        }
        .map(Value::Int);
    }
    let float = |value| match value {
        Value::Int(n) => Some(n as f64),
        Value::Float(n) => Some(n),
        _ => None,
    };
    let (a, b) = (float(a)?, float(b)?);
    Some(Value::Float(match operator {
        Operator::Plus => a + b,
        Operator::Minus => a - b,
        Operator::Times => a * b,
        Operator::Over => a / b,
    }))
}

/// Does a text match a pattern? Only the last `%` is ever taken back, so it takes no longer
/// than both are long together, multiplied.
fn like(text: &str, pattern: &[Piece]) -> bool {
    let (mut rest, mut at) = (text.chars(), 0);
    let mut back = None;
    loop {
        let before = rest.clone();
        match (pattern.get(at), rest.next()) {
            (Some(Piece::Many), _) => {
                at += 1;
                back = Some((before.clone(), at));
                rest = before;
            }
            (None, None) => return true,
            (Some(Piece::Any), Some(_)) => at += 1,
            (Some(Piece::Letter(wanted)), Some(letter)) if *wanted == letter => at += 1,
            _ => {
                let Some((mut from, piece)) = back.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                rest = from.clone();
                at = piece;
                back = Some((from, piece));
            }
        }
    }
}
