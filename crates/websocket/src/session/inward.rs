//! From frames to the inner session: heads judged, payloads unmasked into one stream,
//! control frames answered where they stand.

use super::{Connection, State};
use crate::frame::{self, Brings, Broken, HEAD_BYTES_MAX, Head, Kind, broken};
use crate::text::{NotText, Utf8};
use bytes::Bytes;
use lockgate_front::first::First;
use lockgate_front::{Cause, Output, Received, Session};
use lockgate_model::Time;
use tungstenite::protocol::frame::coding::{CloseCode, Control};

/// How far the frames have been read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Payload bytes of the open frame that have not come.
    left: u64,
    mask: [u8; 4],
    /// Bytes of its payload that went before, as far as the mask cares.
    at: usize,
    /// The open frame ends its message.
    last: bool,
    /// The open message, in one frame or several.
    message: Option<Kind>,
    /// Bytes of its frames so far, the open one's announced ones included.
    size: u64,
    text: Utf8,
}

/// What a step came to.
enum Step {
    /// So many bytes are done with.
    Took(usize),
    /// So many are needed.
    Need(usize),
    /// The inner session must use what it has before anything more is looked at.
    Wait,
}

const BINARY_ONLY: Broken =
    broken(CloseCode::Unsupported, "this protocol is spoken in binary messages");
const NOT_TEXT: Broken = broken(CloseCode::Invalid, "a text message that is no UTF-8 (8.1)");

impl Connection {
    /// Takes frames from `from` on.
    pub(super) fn frames(
        &mut self,
        input: &Bytes,
        from: usize,
        now: Time,
        out: &mut Output,
    ) -> Received {
        if input.is_empty() {
            // Nothing is brought: we are told that the peer is not silent.
            self.heard = false;
            self.inside(out, |session, out| {
                session.receive(input, now, out);
            });
            return Received::default();
        }
        let mut at = from + std::mem::take(&mut self.done);
        let need = loop {
            let bytes = &input[at..];
            let step = match self.reader.left {
                0 => match self.at_once(bytes) {
                    0 => self.begin(bytes, now, out),
                    n => Ok(Step::Took(n)),
                },
                _ => self.payload(bytes),
            };
            match step {
                Ok(Step::Took(0)) => break 0,
                Ok(Step::Took(n)) => at += n,
                Ok(Step::Need(n)) => break n,
                Ok(Step::Wait) => break 0,
                Err(broken) => {
                    if broken.code != CloseCode::Invalid {
                        // What came before it comes first.
                        self.feed(now, out);
                    }
                    if !matches!(self.state, State::Over) {
                        self.fail(broken, out);
                    }
                }
            }
            if matches!(self.state, State::Over) {
                return Received { used: input.len(), need: 0 };
            }
        };
        self.feed(now, out);
        if !self.is_stopped() {
            return Received { used: at, need };
        }
        // What the inner session has not used is not used: whoever drives us is to come back.
        self.done = usize::from(at == input.len() && at > 0);
        Received { used: at - self.done, need: 0 }
    }

    /// True while the inner session wants nothing, and has not used what it was given.
    fn is_stopped(&self) -> bool {
        match &self.state {
            State::Inner(session, _) => !session.wants_input() && self.plain.len() > 0,
            _ => false,
        }
    }

    /// Takes a whole message of somebody who was let in, whose conversation is known, if that
    /// is what comes: the way of nearly all messages. Returns the bytes of its frame.
    #[inline]
    fn at_once(&mut self, bytes: &[u8]) -> usize {
        if !self.let_in || self.reader.message.is_some() {
            return 0;
        }
        let Some((mask, payload)) = frame::whole(bytes) else { return 0 };
        if payload.len() as u64 > self.shared.settings.message_max {
            return 0;
        }
        let used = 6 + payload.len() + if payload.len() > frame::CONTROL_BYTES_MAX { 2 } else { 0 };
        self.kind = Some(Kind::Binary);
        if !payload.is_empty() {
            self.plain.append(payload, mask, 0, bytes.len() - used);
            self.heard = true;
        }
        used
    }

    /// A frame's head, and all of it if it is a control frame.
    fn begin(&mut self, bytes: &[u8], now: Time, out: &mut Output) -> Result<Step, Broken> {
        let Some(head) = frame::cut(bytes)? else {
            return Ok(Step::Need(match bytes.len() {
                0 => 0,
                n => (n + 1).min(HEAD_BYTES_MAX),
            }));
        };
        match head.brings {
            Brings::Begin(kind) => self.message(Some(kind), head, now, out),
            Brings::More => self.message(None, head, now, out),
            Brings::Close | Brings::Ping | Brings::Pong => self.control(head, bytes, now, out),
        }
    }

    fn message(
        &mut self,
        begins: Option<Kind>,
        head: Head,
        now: Time,
        out: &mut Output,
    ) -> Result<Step, Broken> {
        let protocol = |text| broken(CloseCode::Protocol, text);
        let (message, before) = match (begins, self.reader.message) {
            (Some(Kind::Text), None) if !self.takes_text() => return Err(BINARY_ONLY),
            (Some(kind), None) => (kind, 0),
            (None, Some(kind)) => (kind, self.reader.size),
            (Some(_), Some(_)) => return Err(protocol("a message within another one (5.4)")),
            (None, None) => return Err(protocol("the rest of a message that was not begun (5.4)")),
        };
        let size = before.saturating_add(head.size);
        if size > self.message_max() && !self.let_in {
            // Whoever is let in by what came before it may send it.
            self.feed(now, out);
            if !self.wants_input() {
                return Ok(Step::Wait);
            }
        }
        if size > self.message_max() {
            return Err(broken(CloseCode::Size, "a message larger than may be sent"));
        }
        self.kind = Some(message);
        let reader = &mut self.reader;
        (reader.message, reader.size) = (Some(message), size);
        (reader.left, reader.mask, reader.at, reader.last) = (head.size, head.mask, 0, head.last);
        if reader.left == 0 {
            reader.ended().map_err(|NotText| NOT_TEXT)?;
        }
        Ok(Step::Took(head.head))
    }

    fn message_max(&self) -> u64 {
        let most = self.shared.settings.message_max;
        if self.let_in { most } else { most.min(self.held_max() as u64) }
    }

    /// While it is not known whose messages these are, either kind is taken.
    fn takes_text(&self) -> bool {
        match self.state {
            State::Inner(_, n) => self.shared.inners.get(n).is_some_and(|inner| inner.text),
            _ => true,
        }
    }

    /// Payload of the open frame.
    fn payload(&mut self, bytes: &[u8]) -> Result<Step, Broken> {
        let left = usize::try_from(self.reader.left).unwrap_or(usize::MAX);
        let n = bytes.len().min(left);
        let Some(piece) = bytes.get(..n).filter(|piece| !piece.is_empty()) else {
            return Ok(Step::Took(0));
        };
        let reader = &mut self.reader;
        self.plain.append(piece, reader.mask, reader.at, bytes.len() - n);
        self.heard = true;
        reader.at = (reader.at + n) & 3;
        reader.left -= n as u64;
        if reader.message == Some(Kind::Text) {
            reader.text.take(self.plain.last(n)).map_err(|NotText| NOT_TEXT)?;
        }
        if reader.left == 0 {
            reader.ended().map_err(|NotText| NOT_TEXT)?;
        }
        if matches!(self.state, State::Choosing) {
            self.choose()?;
        }
        Ok(Step::Took(n))
    }

    /// Whose conversation begins like this?
    fn choose(&mut self) -> Result<(), Broken> {
        let bytes = self.plain.peek();
        let mut open = false;
        for (n, inner) in self.shared.inners.iter().enumerate() {
            match (inner.first)(bytes) {
                First::Yes if self.kind == Some(Kind::Text) && !inner.text => {
                    return Err(BINARY_ONLY);
                }
                First::Yes => {
                    self.enter(n);
                    return Ok(());
                }
                First::More(_) => open = true,
                First::No => {}
            }
        }
        let text =
            "no sub-protocol, and the first bytes are none of a protocol that is spoken here";
        if open { Ok(()) } else { Err(broken(CloseCode::Policy, text)) }
    }

    fn control(
        &mut self,
        head: Head,
        bytes: &[u8],
        now: Time,
        out: &mut Output,
    ) -> Result<Step, Broken> {
        // `cut` has seen to it that this is no more than a control frame may have.
        let all = head.head + head.size as usize;
        let Some(masked) = bytes.get(head.head..all) else { return Ok(Step::Need(all)) };
        let mut payload = [0; frame::CONTROL_BYTES_MAX];
        let payload = &mut payload[..masked.len()];
        payload.copy_from_slice(masked);
        frame::unmask(payload, head.mask, 0);
        match head.brings {
            Brings::Ping => frame::control(out.bytes.small(), Control::Pong, payload),
            Brings::Close => {
                let code = frame::closing(payload)?;
                // What came before it comes first.
                self.feed(now, out);
                if self.is_stopped() {
                    return Ok(Step::Wait);
                }
                if !matches!(self.state, State::Over) {
                    self.goodbye(code, out);
                }
            }
            _ => {}
        }
        Ok(Step::Took(all))
    }

    /// The peer closes: it is answered with its own code (5.5.1).
    fn goodbye(&mut self, code: Option<CloseCode>, out: &mut Output) {
        match code {
            Some(code) => frame::close(out.bytes.small(), code, ""),
            None => frame::control(out.bytes.small(), Control::Close, &[]),
        }
        self.over(super::LINGER, Cause::Gone, out);
    }

    /// Hands the inner session what it has not used yet, if that is enough.
    pub(super) fn feed(&mut self, now: Time, out: &mut Output) {
        let most = self.held_max();
        loop {
            if !matches!(&self.state, State::Inner(session, _) if session.wants_input()) {
                return;
            }
            let Some(bytes) = self.plain.enough() else { return };
            self.heard = false;
            let opened = self.open(out);
            let State::Inner(session, _) = &mut self.state else { return };
            let received = session.receive(&bytes, now, out);
            let wants_more = session.wants_input();
            let fits = self.plain.left(bytes, received, wants_more, most);
            self.wrap(opened, out);
            if !fits && !matches!(self.state, State::Over) {
                self.fail(broken(CloseCode::Size, "a packet larger than may be held for it"), out);
            }
        }
    }
}

impl Reader {
    /// The open frame is at its end.
    fn ended(&mut self) -> Result<(), NotText> {
        if self.last && self.message.take() == Some(Kind::Text) {
            return self.text.end();
        }
        Ok(())
    }
}
