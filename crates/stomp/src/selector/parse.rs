//! From a selector's words to its conditions, by descent, no deeper than it may be.

use super::token::{Token, tokens};
use super::{BYTES_MAX, NESTING_MAX, Node, Operator, Order, Piece};
use std::fmt;

/// ActiveMQ's prefix of selectors in which texts are compared with numbers as numbers.
const CONVERTS: &str = "convert_string_expressions:";
/// And of those in which they are not, as without either.
const CONVERTS_NOT: &str = "no_convert_string_expressions:";

/// Why a selector is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad(pub String);

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A selector that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    pub(super) node: Node,
    /// Texts are compared with numbers as numbers.
    pub(super) converts: bool,
}

impl Selector {
    /// Reads a selector.
    pub fn parse(text: &str) -> Result<Selector, Bad> {
        if text.len() > BYTES_MAX {
            return Err(Bad(format!("longer than {BYTES_MAX} bytes")));
        }
        let text = text.trim_start();
        let plain = text.strip_prefix(CONVERTS_NOT).unwrap_or(text);
        let (converts, text) = match text.strip_prefix(CONVERTS) {
            Some(rest) => (true, rest),
            None => (false, plain),
        };
        let all = tokens(text)?;
        let mut reader = Reader { rest: &all, depth: 0 };
        let node = reader.or()?;
        if let Some(token) = reader.rest.first() {
            return Err(unexpected(Some(token)));
        }
        if !node.is_condition() {
            return Err(Bad("not a condition".into()));
        }
        Ok(Selector { node, converts })
    }
}

impl Node {
    /// Can it be true or false?
    fn is_condition(&self) -> bool {
        !matches!(
            self,
            Node::Text(_) | Node::Int(_) | Node::Float(_) | Node::Negative(_) | Node::Sum(..)
        )
    }
}

fn unexpected(token: Option<&Token<'_>>) -> Bad {
    Bad(match token {
        None => "it ends too early".into(),
        Some(Token::Word(word)) => format!("unexpected `{word}`"),
        Some(Token::Sign(sign)) => format!("unexpected `{sign}`"),
        Some(Token::Text(text)) => format!("unexpected '{text}'"),
        Some(Token::Int(n)) => format!("unexpected {n}"),
        Some(Token::Float(n)) => format!("unexpected {n}"),
    })
}

/// Words that name nothing.
const RESERVED: [&str; 11] =
    ["NOT", "AND", "OR", "BETWEEN", "LIKE", "IN", "IS", "ESCAPE", "NULL", "TRUE", "FALSE"];

struct Reader<'t, 'a> {
    rest: &'t [Token<'a>],
    depth: usize,
}

impl<'t, 'a> Reader<'t, 'a> {
    fn take(&mut self) -> Result<&'t Token<'a>, Bad> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| unexpected(None))?;
        self.rest = rest;
        Ok(first)
    }

    fn has_word(&mut self, wanted: &str) -> bool {
        let is =
            matches!(self.rest.first(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(wanted));
        if is {
            self.rest = &self.rest[1..];
        }
        is
    }

    fn has_sign(&mut self, wanted: &str) -> bool {
        let is = matches!(self.rest.first(), Some(Token::Sign(sign)) if *sign == wanted);
        if is {
            self.rest = &self.rest[1..];
        }
        is
    }

    fn need(&mut self, is_there: bool) -> Result<(), Bad> {
        if is_there { Ok(()) } else { Err(unexpected(self.rest.first())) }
    }

    fn text(&mut self) -> Result<&'t str, Bad> {
        match self.take()? {
            Token::Text(text) => Ok(text),
            other => Err(unexpected(Some(other))),
        }
    }

    /// Goes one level down.
    fn deeper(&mut self) -> Result<(), Bad> {
        self.depth += 1;
        if self.depth > NESTING_MAX { Err(Bad("nested too deep".into())) } else { Ok(()) }
    }

    fn or(&mut self) -> Result<Node, Bad> {
        self.deeper()?;
        let mut node = self.and()?;
        while self.has_word("OR") {
            self.deeper()?;
            node = Node::Or(Box::new(node), Box::new(self.and()?));
        }
        self.depth -= 1;
        Ok(node)
    }

    fn and(&mut self) -> Result<Node, Bad> {
        let mut node = self.not()?;
        while self.has_word("AND") {
            node = Node::And(Box::new(node), Box::new(self.not()?));
        }
        Ok(node)
    }

    fn not(&mut self) -> Result<Node, Bad> {
        if !self.has_word("NOT") {
            return self.test();
        }
        self.deeper()?;
        let node = Node::Not(Box::new(self.not()?));
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, Bad> {
        let left = self.sum()?;
        if self.has_word("IS") {
            let not = self.has_word("NOT");
            let is_null = self.has_word("NULL");
            self.need(is_null)?;
            return Ok(negated(not, Node::IsNull(Box::new(left))));
        }
        let not = self.has_word("NOT");
        if self.has_word("BETWEEN") {
            let low = self.sum()?;
            let and = self.has_word("AND");
            self.need(and)?;
            let high = self.sum()?;
            let above = Node::Compare(Order::GreaterOrEqual, Box::new(left.clone()), Box::new(low));
            let below = Node::Compare(Order::LessOrEqual, Box::new(left), Box::new(high));
            return Ok(negated(not, Node::And(Box::new(above), Box::new(below))));
        }
        if self.has_word("LIKE") {
            let pattern = self.text()?;
            let escape =
                if self.has_word("ESCAPE") { Some(one_letter(self.text()?)?) } else { None };
            return Ok(negated(not, Node::Like(Box::new(left), pieces(pattern, escape)?)));
        }
        if self.has_word("IN") {
            return Ok(negated(not, Node::In(Box::new(left), self.list()?)));
        }
        self.need(!not)?;
        let Some(Token::Sign(sign)) = self.rest.first() else { return Ok(left) };
        let order = match *sign {
            "=" => Order::Equal,
            "<>" => Order::Unequal,
            "<" => Order::Less,
            "<=" => Order::LessOrEqual,
            ">" => Order::Greater,
            ">=" => Order::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.take()?;
        let right = self.sum()?;
        Ok(Node::Compare(order, Box::new(left), Box::new(right)))
    }

    /// `('x', 'y')`
    fn list(&mut self) -> Result<Box<[Box<str>]>, Bad> {
        let open = self.has_sign("(");
        self.need(open)?;
        let mut all = vec![Box::from(self.text()?)];
        while self.has_sign(",") {
            all.push(Box::from(self.text()?));
        }
        let close = self.has_sign(")");
        self.need(close)?;
        Ok(all.into())
    }

    fn sum(&mut self) -> Result<Node, Bad> {
        let mut node = self.term()?;
        loop {
            let operator = match () {
                () if self.has_sign("+") => Operator::Plus,
                () if self.has_sign("-") => Operator::Minus,
                () => return Ok(node),
            };
            node = Node::Sum(operator, Box::new(node), Box::new(self.term()?));
        }
    }

    fn term(&mut self) -> Result<Node, Bad> {
        let mut node = self.sign()?;
        loop {
            let operator = match () {
                () if self.has_sign("*") => Operator::Times,
                () if self.has_sign("/") => Operator::Over,
                () => return Ok(node),
            };
            node = Node::Sum(operator, Box::new(node), Box::new(self.sign()?));
        }
    }

    fn sign(&mut self) -> Result<Node, Bad> {
        let minus = self.has_sign("-");
        if !minus && !self.has_sign("+") {
            return self.leaf();
        }
        self.deeper()?;
        let node = self.sign()?;
        self.depth -= 1;
        Ok(if minus { Node::Negative(Box::new(node)) } else { node })
    }

    fn leaf(&mut self) -> Result<Node, Bad> {
        Ok(match self.take()? {
            Token::Text(text) => Node::Text(text.as_str().into()),
            Token::Int(n) => Node::Int(*n),
            Token::Float(n) => Node::Float(*n),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => Node::Bool(true),
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => Node::Bool(false),
            Token::Word(word) if !RESERVED.iter().any(|r| word.eq_ignore_ascii_case(r)) => {
                Node::Name((*word).into())
            }
            Token::Sign("(") => {
                let node = self.or()?;
                let close = self.has_sign(")");
                self.need(close)?;
                node
            }
            other => return Err(unexpected(Some(other))),
        })
    }
}

fn negated(not: bool, node: Node) -> Node {
    if not { Node::Not(Box::new(node)) } else { node }
}

fn one_letter(text: &str) -> Result<char, Bad> {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Ok(letter),
        _ => Err(Bad("ESCAPE is followed by one letter".into())),
    }
}

fn pieces(pattern: &str, escape: Option<char>) -> Result<Box<[Piece]>, Bad> {
    let mut all = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        all.push(match letter {
            _ if Some(letter) == escape => match letters.next() {
                Some(next) => Piece::Letter(next),
                None => return Err(Bad("nothing follows the letter of ESCAPE".into())),
            },
            '_' => Piece::Any,
            '%' => Piece::Many,
            plain => Piece::Letter(plain),
        });
    }
    Ok(all.into())
}
