//! The handshake (RFC 6455, 4.2): what a request says and how it is answered. Whoever does
//! not ask for a WebSocket is told in plain HTTP what is spoken here, and the connection ends.

use crate::inner::{Choice, Inner, choose, is_place};
use crate::{Settings, Shared};
use std::net::IpAddr;
use tungstenite::Error;
use tungstenite::error::ProtocolError;
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, Response, create_response, write_response};
use tungstenite::http::header::{HOST, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tungstenite::http::{HeaderMap, Uri};

/// Longest request; browsers send cookies along, servers commonly take 8 to 16 KiB.
pub(crate) const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Most header lines; tungstenite takes up to 124.
const HEADERS_MAX: usize = 100;

/// Longest part of what a peer said that is said again, in the log or to itself.
const QUOTED_MAX: usize = 80;

/// How a request is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// With the switch; the inner front is chosen, or will be by the first bytes.
    Switch { response: Vec<u8>, inner: Option<usize> },
    /// With a refusal, after which the connection ends; `cause` is for the log.
    Refuse { response: Vec<u8>, cause: String },
}

/// Where the request ends in `bytes`, of which `seen` were looked at before.
pub(crate) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let rest = bytes.get(from..)?;
    let lines = rest.iter().enumerate().filter(|(_, b)| **b == b'\n');
    for (n, _) in lines {
        match rest.get(n + 1..) {
            Some([b'\n', ..]) => return Some(from + n + 2),
            Some([b'\r', b'\n', ..]) => return Some(from + n + 3),
            _ => {}
        }
    }
    None
}

/// Answers a whole request.
pub(crate) fn answer(shared: &Shared, head: &[u8], from: IpAddr) -> Answer {
    let inners = &shared.inners;
    if head.iter().filter(|b| **b == b'\n').count() > HEADERS_MAX + 2 {
        return refuse(inners, "431 Request Header Fields Too Large", "", "too many headers");
    }
    let request = match parse(head) {
        Ok(request) => request,
        Err(status) => return refuse(inners, status, "", &quoted(first_line(head))),
    };
    let path = request.uri().path();
    let mut response = match create_response(&request) {
        Ok(response) => response,
        Err(error) => return no_upgrade(inners, path, &error),
    };
    if request.headers().get(HOST).is_none() {
        return refuse(inners, "400 Bad Request", "", "no Host header (RFC 6455, 4.2.1)");
    }
    if let Some(origin) = foreign(&shared.settings, request.headers(), from) {
        let cause = format!(
            "a page of {} may not connect; it may if it stands in websocket.origins",
            quoted(&origin)
        );
        return refuse(inners, "403 Forbidden", "", &cause);
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offered = offered.iter().filter_map(|value| value.to_str().ok());
    let tokens = offered.flat_map(|list| list.split(',')).map(str::trim);
    let tokens: Vec<&str> = tokens.filter(|token| !token.is_empty()).collect();
    let inner = match choose(inners, &tokens, path) {
        Choice::Token(n, token) => {
            if let Ok(token) = HeaderValue::from_str(token) {
                response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, token);
            }
            Some(n)
        }
        Choice::Path(n) => Some(n),
        Choice::Open => None,
        Choice::Unknown => {
            let offered = quoted(&tokens.join(", "));
            let cause = format!("no sub-protocol that is spoken here: {offered}");
            return refuse(inners, "400 Bad Request", "", &cause);
        }
    };
    switch(inners, &response, inner)
}

fn parse(head: &[u8]) -> Result<Request, &'static str> {
    const BAD: &str = "400 Bad Request";
    let line = first_line(head);
    if !line.ends_with(" HTTP/1.1") {
        let http = line.rsplit_once(' ').is_some_and(|(_, last)| last.starts_with("HTTP/"));
        return Err(if http { "505 HTTP Version Not Supported" } else { BAD });
    }
    match Request::try_parse(head) {
        Ok(Some((_, request))) => Ok(request),
        Err(Error::Protocol(ProtocolError::WrongHttpMethod)) => Err("405 Method Not Allowed"),
        _ => Err(BAD),
    }
}

fn first_line(head: &[u8]) -> &str {
    let line = head.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    std::str::from_utf8(line).unwrap_or_default()
}

/// An HTTP request that asks for no WebSocket, or for one that we do not speak.
fn no_upgrade(inners: &[Inner], path: &str, error: &Error) -> Answer {
    const REQUIRED: &str = "426 Upgrade Required";
    let cause = match error {
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => {
            // 4.4: the versions that would be understood.
            let versions = "Sec-WebSocket-Version: 13\r\n";
            return refuse(inners, REQUIRED, versions, "a WebSocket of another version than 13");
        }
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) if is_place(inners, path) => {
            return refuse(inners, REQUIRED, "", "an HTTP request that asks for no WebSocket");
        }
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => {
            let cause = format!("nothing is at {}", quoted(path));
            return refuse(inners, "404 Not Found", "", &cause);
        }
        other => other.to_string(),
    };
    refuse(inners, "400 Bad Request", "", &cause)
}

fn switch(inners: &[Inner], response: &Response, inner: Option<usize>) -> Answer {
    let mut bytes = Vec::with_capacity(256);
    match write_response(&mut bytes, response) {
        Ok(()) => Answer::Switch { response: bytes, inner },
        Err(_) => refuse(inners, "400 Bad Request", "", "a request that cannot be answered"),
    }
}

/// A refusal that says what would be answered; headers end with their line's.
pub(crate) fn refuse(inners: &[Inner], status: &str, headers: &str, cause: &str) -> Answer {
    let list = |of: fn(&Inner) -> &'static [&'static str]| {
        let all = inners.iter().flat_map(of).filter(|name| !name.ends_with('*'));
        all.copied().collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "{status}: {cause}.\n\n\
         This port speaks WebSocket (version 13).\n\
         Sub-protocols: {}\n\
         Paths: {}; at any other path, or without a sub-protocol, the first bytes tell the protocol.\n",
        list(|inner| inner.tokens),
        list(|inner| inner.paths),
    );
    let more = match status.get(..3) {
        Some("405") => "Allow: GET\r\n",
        Some("426") => "Upgrade: websocket\r\n",
        _ => "",
    };
    let connection = if more.starts_with("Upgrade") { "Upgrade, close" } else { "close" };
    let response = format!(
        "HTTP/1.1 {status}\r\nConnection: {connection}\r\n{more}{headers}\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n\r\n{text}",
        text.len()
    );
    Answer::Refuse { response: response.into_bytes(), cause: format!("{status}: {cause}") }
}

/// The origin of the page that connects, if it may not. Who is no browser sends none.
fn foreign(settings: &Settings, headers: &HeaderMap, from: IpAddr) -> Option<String> {
    const OLD: HeaderName = HeaderName::from_static("sec-websocket-origin");
    let origin = headers.get(ORIGIN).or_else(|| headers.get(OLD))?;
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let allowed = match settings.origins.is_empty() {
        // What is served on this machine may be let in as guest from this machine: a page from
        // elsewhere must not make use of that through a browser that happens to run here.
        true => !from.is_loopback() || is_of_this_machine(&origin),
        false => settings.origins.iter().any(|pattern| matches(pattern, &origin)),
    };
    (!allowed).then_some(origin)
}

fn is_of_this_machine(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
}

/// A pattern's `*` is anything but a slash: origins have none behind their scheme.
fn matches(pattern: &str, origin: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let (pattern, origin) = (pattern.to_ascii_lowercase(), origin.to_ascii_lowercase());
    let pattern = pattern.trim_end_matches('/');
    match pattern.split_once('*') {
        None => pattern == origin,
        Some((before, behind)) => origin
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(behind))
            .is_some_and(|part| !part.is_empty() && !part.contains('/')),
    }
}

/// What a peer said, fit for a line of text.
fn quoted(text: &str) -> String {
    let cut: String = text.chars().take(QUOTED_MAX).collect();
    format!("`{}`", cut.escape_debug())
}
