//! The request, until it is answered.

use super::{Connection, LINGER, State};
use crate::request::{self, Answer, REQUEST_BYTES_MAX};
use bytes::Bytes;
use lockgate_front::first::{self, First};
use lockgate_front::{Cause, Output, Received};
use lockgate_model::Time;
use std::time::Duration;

impl Connection {
    /// Looks at what has come of the request, and answers it when it is whole.
    pub(super) fn request(&mut self, input: &Bytes, now: Time, out: &mut Output) -> Received {
        let State::Request { seen } = self.state else { return Received::default() };
        if let First::No = first::http(input) {
            return self.not_http(input, out);
        }
        let Some(end) = request::end(input, seen) else {
            if input.len() > REQUEST_BYTES_MAX {
                return self.too_long(input, out);
            }
            self.state = State::Request { seen: input.len() };
            return Received { used: 0, need: input.len() + usize::from(!input.is_empty()) };
        };
        if end > REQUEST_BYTES_MAX {
            return self.too_long(input, out);
        }
        match request::answer(&self.shared, &input[..end], self.peer.address.ip()) {
            Answer::Switch { response, inner } => {
                out.bytes.small().extend_from_slice(&response);
                self.state = State::Choosing;
                if let Some(n) = inner {
                    self.enter(n);
                }
                self.frames(input, end, now, out)
            }
            refused => self.refused(refused, input, out),
        }
    }

    /// The inner session of the front of this number.
    pub(super) fn enter(&mut self, n: usize) {
        if let Some(inner) = self.shared.inners.get(n) {
            self.state = State::Inner(inner.front.open(&self.peer), n);
        }
    }

    fn too_long(&mut self, input: &Bytes, out: &mut Output) -> Received {
        let status = "431 Request Header Fields Too Large";
        let cause = format!("a request of more than {REQUEST_BYTES_MAX} bytes");
        let refused = request::refuse(&self.shared.inners, status, "", &cause);
        self.refused(refused, input, out)
    }

    fn refused(&mut self, answer: Answer, input: &Bytes, out: &mut Output) -> Received {
        if let Answer::Refuse { response, cause } = answer {
            // 9110, 9.3.2: who asks for a head gets no body.
            let head = if input.starts_with(b"HEAD ") { request::end(&response, 0) } else { None };
            let response = response.get(..head.unwrap_or(response.len())).unwrap_or_default();
            out.bytes.small().extend_from_slice(response);
            self.over(LINGER, Cause::Fault(cause), out);
        }
        Received { used: input.len(), need: 0 }
    }

    /// Whoever it is could not read an answer in HTTP; the operator is told instead.
    fn not_http(&mut self, input: &Bytes, out: &mut Output) -> Received {
        let begins = |is: fn(&[u8]) -> First| !matches!(is(input), First::No);
        let inners = &self.shared.inners;
        let cause = if begins(first::tls) {
            "a TLS hello on a WebSocket port without TLS".to_owned()
        } else if let Some(inner) = inners.iter().find(|inner| begins(inner.first)) {
            format!("plain {} on a port that speaks WebSocket", inner.front.name())
        } else {
            "no HTTP on a port that speaks WebSocket".to_owned()
        };
        self.over(Duration::ZERO, Cause::Fault(cause), out);
        Received { used: input.len(), need: 0 }
    }
}
