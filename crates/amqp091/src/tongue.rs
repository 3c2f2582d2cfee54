//! AMQP 0-9-1 in words, for scripts and vectors: what a client says as a line of
//! text to bytes, and what the session sends back to lines. Made from the same table
//! of methods as decoder and encoder. Tests only.
//!
//! ```text
//! 1 queue.declare queue=q durable arguments=x-max-length:I:5
//! 1 publish EXCHANGE KEY BODY [mandatory] [mode=2] [expiration=10] [user=x] [split=4]
//! 1 header size=3 [class=60] [weight=0] | 1 body abc | heartbeat [channel]
//! frame TYPE CHANNEL hex [end=205]      | hex 414d5150 | text "GET / HTTP/1.1"
//! login PLAIN USER PASSWORD [capabilities]
//! ```

use crate::frame::{AROUND, Cut, HEADER, Kind};
use crate::packet::{Header, Method, RawTable, Secret, method_table};
use crate::{decode, encode, frame};
use bytes::Bytes;
use lockgate_front::script::{Tongue, Words};
use lockgate_model::{Properties, Table, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Speaks for a client.
#[derive(Debug, Default)]
pub(crate) struct Amqp {
    /// Bytes of a frame not heard to its end.
    rest: Vec<u8>,
}

/// Words of the form `name=value`, or `name` for a set bit.
struct Given(BTreeMap<String, String>);

impl Given {
    fn new(words: &[String]) -> Given {
        let pair = |word: &String| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (word.clone(), "1".to_owned()),
        };
        Given(words.iter().map(pair).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn number<T: TryFrom<u64>>(&self, name: &str) -> Result<T, String> {
        let text = self.get(name);
        let n: u64 = if text.is_empty() { 0 } else { text.parse().map_err(|_| name.to_owned())? };
        T::try_from(n).map_err(|_| format!("{name} is too large"))
    }

    fn octet(&self, name: &str) -> Result<u8, String> {
        self.number(name)
    }
    fn short(&self, name: &str) -> Result<u16, String> {
        self.number(name)
    }
    fn long(&self, name: &str) -> Result<u32, String> {
        self.number(name)
    }
    fn huge(&self, name: &str) -> Result<u64, String> {
        self.number(name)
    }
    fn bit(&self, name: &str) -> Result<bool, String> {
        Ok(!matches!(self.get(name), "" | "0"))
    }
    fn text(&self, name: &str) -> Result<&str, String> {
        Ok(self.get(name))
    }
    fn key(&self, name: &str) -> Result<&[u8], String> {
        Ok(self.get(name).as_bytes())
    }
    fn blob(&self, name: &str) -> Result<&[u8], String> {
        Ok(self.get(name).as_bytes())
    }
    fn secret(&self, name: &str) -> Result<Secret<'_>, String> {
        Ok(Secret(self.get(name).as_bytes()))
    }
    fn raw(&self, _: &str) -> Result<RawTable<'_>, String> {
        Ok(RawTable(b""))
    }
    fn args(&self, name: &str) -> Result<Table, String> {
        let mut table = Table::default();
        for field in self.get(name).split(',').filter(|f| !f.is_empty()) {
            let mut parts = field.splitn(3, ':');
            let (Some(key), Some(tag), Some(value)) = (parts.next(), parts.next(), parts.next())
            else {
                return Err(format!("no field: {field}"));
            };
            let number = || value.parse::<i64>().map_err(|_| format!("no number: {value}"));
            let value = match tag {
                "I" => Value::I32(number()? as i32),
                "l" => Value::I64(number()?),
                "t" => Value::Bool(value == "1"),
                "S" => Value::text(value),
                other => return Err(format!("no such type: {other}")),
            };
            table.set(key, value);
        }
        Ok(table)
    }
}

macro_rules! sayer {
    ($($class:literal $id:literal $name:literal $variant:ident { $($field:ident: $kind:ident),* })*) => {
        fn say_method(channel: u16, name: &str, given: &Given) -> Result<Vec<u8>, String> {
            let known: &[&str] = match name {
                $($name => &[$(stringify!($field)),*],)*
                _ => return Err(format!("no such method: {name}")),
            };
            if let Some(odd) = given.0.keys().find(|k| !known.contains(&k.as_str())) {
                return Err(format!("{name} has no field {odd}"));
            }
            let method = match name {
                $($name => Method::$variant { $($field: given.$kind(stringify!($field))?),* },)*
                _ => return Err(format!("no such method: {name}")),
            };
            let mut out = Vec::new();
            encode::method(&mut out, channel, &method);
            Ok(out)
        }
    };
}
method_table!(sayer);

/// A method's fields in words; what is 0, empty or false is left out.
struct Shown(String);

impl Shown {
    fn number(&mut self, name: &str, n: u64) {
        if n != 0 {
            let _ = write!(self.0, " {name}={n}");
        }
    }
    fn octet(&mut self, name: &str, n: &u8) {
        self.number(name, (*n).into());
    }
    fn short(&mut self, name: &str, n: &u16) {
        self.number(name, (*n).into());
    }
    fn long(&mut self, name: &str, n: &u32) {
        self.number(name, (*n).into());
    }
    fn huge(&mut self, name: &str, n: &u64) {
        self.number(name, *n);
    }
    fn bit(&mut self, name: &str, set: &bool) {
        if *set {
            let _ = write!(self.0, " {name}");
        }
    }
    fn key(&mut self, name: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(bytes);
            let _ = write!(self.0, " {name}=\"{text}\"");
        }
    }
    fn text(&mut self, name: &str, text: &str) {
        self.key(name, text.as_bytes());
    }
    fn blob(&mut self, name: &str, bytes: &[u8]) {
        self.key(name, bytes);
    }
    fn secret(&mut self, name: &str, _: &Secret<'_>) {
        let _ = write!(self.0, " {name}=<secret>");
    }
    fn raw(&mut self, name: &str, table: &RawTable<'_>) {
        self.number(name, table.0.len() as u64);
    }
    fn args(&mut self, name: &str, table: &Table) {
        if !table.is_empty() {
            let _ = write!(self.0, " {name}={:?}", table.0);
        }
    }
}

macro_rules! shower {
    ($($class:literal $id:literal $name:literal $variant:ident { $($field:ident: $kind:ident),* })*) => {
        fn show_fields(method: &Method<'_>, shown: &mut Shown) {
            match method {
                $(Method::$variant { $($field),* } => {
                    $(shown.$kind(stringify!($field), $field);)*
                })*
            }
        }
    };
}
method_table!(shower);

/// A method in words.
pub(crate) fn show(method: &Method<'_>) -> String {
    let mut shown = Shown(method.name().to_owned());
    show_fields(method, &mut shown);
    shown.0
}

/// Bytes written in hexadecimal, blanks between them or not.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).ok_or_else(|| format!("no hex digit: {c}")))
        .collect::<Result<_, _>>()?;
    Ok(digits.chunks(2).map(|d| d.iter().fold(0, |n, d| n * 16 + *d as u8)).collect())
}

fn body(text: &str) -> Vec<u8> {
    match text.strip_prefix('*').and_then(|n| n.parse().ok()) {
        Some(n) => vec![b'*'; n],
        None => text.as_bytes().to_vec(),
    }
}

fn publish(channel: u16, words: &[String]) -> Result<Vec<u8>, String> {
    let [exchange, key, text, rest @ ..] = words else {
        return Err("publish EXCHANGE KEY BODY".into());
    };
    let given = Given::new(rest);
    let mut out = Vec::new();
    let method = Method::BasicPublish {
        ticket: 0,
        exchange,
        routing_key: key.as_bytes(),
        mandatory: given.bit("mandatory")?,
        immediate: given.bit("immediate")?,
    };
    encode::method(&mut out, channel, &method);
    let word = |name: &str| match given.get(name) {
        "" => None,
        "empty" => Some(Bytes::new()),
        text => Some(Bytes::copy_from_slice(text.as_bytes())),
    };
    let mode = given.octet("mode")?;
    let headers = given.args("headers")?;
    let properties = Properties {
        delivery_mode: (mode != 0).then_some(mode),
        expiration: word("expiration"),
        user_id: word("user"),
        message_id: word("id"),
        reply_to: word("reply_to"),
        headers: (!headers.is_empty()).then_some(headers),
        ..Properties::default()
    };
    let mut head = Vec::new();
    properties.encode(&mut head);
    let body = body(text);
    header(&mut out, channel, body.len() as u64, &head);
    let split = given.number::<usize>("split")?;
    for chunk in body.chunks(if split == 0 { 131_064 } else { split }) {
        encode::frame(&mut out, Kind::Body, channel, |out| out.extend_from_slice(chunk));
    }
    Ok(out)
}

fn header(out: &mut Vec<u8>, channel: u16, body_size: u64, properties: &[u8]) {
    encode::header(out, channel, &Header { class: 60, weight: 0, body_size, properties });
}

fn login(words: &[String]) -> Result<Vec<u8>, String> {
    let [mechanism, user, password, rest @ ..] = words else {
        return Err("login MECHANISM USER PASSWORD".into());
    };
    let mut capabilities = Table::default();
    rest.iter().for_each(|name| capabilities.set(name, Value::Bool(true)));
    let mut properties = Table::default();
    properties.set("product", Value::text("script"));
    properties.set("capabilities", Value::Table(capabilities));
    let (mut table, mut response) = (Vec::new(), Vec::new());
    properties.encode(&mut table);
    if mechanism == "AMQPLAIN" {
        let mut pair = Table::default();
        pair.set("LOGIN", Value::text(user));
        pair.set("PASSWORD", Value::text(password));
        pair.encode(&mut response);
        response.drain(..4);
    } else {
        response.extend_from_slice(format!("\0{user}\0{password}").as_bytes());
    }
    let mut out = Vec::new();
    let start_ok = Method::ConnectionStartOk {
        client_properties: RawTable(&table[4..]),
        mechanism,
        response: Secret(&response),
        locale: "en_US",
    };
    encode::method(&mut out, 0, &start_ok);
    Ok(out)
}

fn raw_frame(words: &[String]) -> Result<Vec<u8>, String> {
    let [kind, channel, payload, rest @ ..] = words else {
        return Err("frame TYPE CHANNEL HEX".into());
    };
    let payload = unhex(payload)?;
    let channel: u16 = channel.parse().map_err(|_| "no channel")?;
    let mut out = vec![kind.parse().map_err(|_| "no type")?];
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&payload);
    let end = Given::new(rest).octet("end")?;
    out.push(if end == 0 { frame::END } else { end });
    Ok(out)
}

impl Tongue for Amqp {
    fn say(&mut self, line: &str) -> Result<Vec<u8>, String> {
        let mut words = Words::new(line);
        let first = words.need("a word")?;
        let Ok(channel) = first.parse::<u16>() else {
            let rest = words.rest();
            return match first.as_str() {
                "hex" => unhex(&rest.join("")),
                "text" => Ok(rest.join(" ").into_bytes()),
                "frame" => raw_frame(&rest),
                "login" => login(&rest),
                "heartbeat" => {
                    let channel = rest.first().map_or("0", String::as_str);
                    raw_frame(&["8".into(), channel.into(), String::new()])
                }
                other => Err(format!("no such word: {other}")),
            };
        };
        let what = words.need("a method")?;
        let rest = words.rest();
        let mut out = Vec::new();
        match what.as_str() {
            "publish" => return publish(channel, &rest),
            "header" => {
                let given = Given::new(&rest);
                let class =
                    if given.get("class").is_empty() { 60 } else { given.short("class")? };
                let (weight, body_size) = (given.short("weight")?, given.huge("size")?);
                let properties = match given.get("properties") {
                    "" => vec![0, 0],
                    hex => unhex(hex)?,
                };
                let head = Header { class, weight, body_size, properties: &properties };
                encode::header(&mut out, channel, &head);
            }
            "body" => {
                let text = rest.first().map_or("", String::as_str);
                encode::frame(&mut out, Kind::Body, channel, |out| out.extend(body(text)));
            }
            name => return say_method(channel, name, &Given::new(&rest)),
        }
        Ok(out)
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let mut at = 0;
        if self.rest.starts_with(b"AMQP") {
            lines.push(format!("header {:?}", &self.rest[4..8]));
            at = 8;
        }
        while let Ok(Cut::Whole(head)) = frame::cut(&self.rest[at..], usize::MAX) {
            let payload = &self.rest[at + HEADER..at + HEADER + head.size];
            lines.push(format!("{} {}", head.channel, shown(head.kind, payload)));
            at += AROUND + head.size;
        }
        self.rest.drain(..at);
        if !self.rest.is_empty() {
            lines.push(format!("{} bytes of no whole frame", self.rest.len()));
        }
        lines
    }
}

fn shown(kind: Kind, payload: &[u8]) -> String {
    match kind {
        Kind::Method => match decode::method(payload) {
            Ok(Method::ConnectionStart { mechanisms, .. }) => {
                format!("connection.start {}", String::from_utf8_lossy(mechanisms))
            }
            Ok(method) => show(&method),
            Err(e) => format!("method that cannot be read: {e}"),
        },
        Kind::Header => match decode::header(payload) {
            Ok(h) if h.properties == [0, 0] => format!("header size={}", h.body_size),
            Ok(h) => format!("header size={} properties={:x?}", h.body_size, h.properties),
            Err(e) => format!("header that cannot be read: {e}"),
        },
        Kind::Body if payload.len() > 64 => format!("body {} bytes", payload.len()),
        Kind::Body => format!("body \"{}\"", payload.escape_ascii()),
        Kind::Heartbeat => "heartbeat".to_owned(),
        Kind::Unknown(octet) => format!("frame of type {octet}"),
    }
}
