//! From CONNECT to CONNECTED: version, heart-beats, login, virtual host. Tells an unknown
//! peer as little as it must.

use super::ask::Then;
use super::{Connection, Phase};
use crate::encode;
use crate::error::{Fault, shown};
use crate::header::Escapes;
use crate::packet::{Frame, Version};
use crate::settings::Dialect;
use lockgate_front::{Cause, Login, Output, Proof, Verdict};
use lockgate_model::limits::NAME_BYTES_MAX;
use lockgate_model::{Name, Request, Time};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A frame before CONNECT.
pub(super) fn illegal() -> Fault {
    Fault::new("Illegal command", "You must log in using CONNECT first")
}

/// CONNECT after CONNECT.
pub(super) fn again() -> Fault {
    Fault::last("Illegal command", "You are connected already\n")
}

/// A frame that there is not.
pub(super) fn unknown(word: &[u8]) -> Fault {
    Fault::new("Bad command", format!("Could not interpret command \"{}\"\n", shown(word)))
}

impl Connection {
    /// Bytes that begin another protocol: the log should say which.
    pub(super) fn foreign(&mut self, bytes: &[u8], out: &mut Output) -> bool {
        let why = match bytes {
            [0x16, 3, ..] => "TLS handshake on a port that speaks plain STOMP",
            [b'A', b'M', b'Q', b'P', ..] => "AMQP on a port that speaks STOMP",
            [b'G', b'E', b'T', b' ', ..] | [b'P', b'O', b'S', b'T', b' ', ..] => {
                "HTTP request on a port that speaks STOMP"
            }
            _ => return false,
        };
        self.end(Duration::ZERO, Cause::Fault(why.to_owned()), out);
        true
    }

    /// CONNECT or STOMP.
    pub(super) fn connect(
        &mut self,
        frame: &Frame<'_>,
        _now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        self.version = negotiate(frame.get("accept-version").unwrap_or(b"1.0"))?;
        let value = |name| {
            let value = frame.get(name)?;
            // Peers of 1.0 pad their values; what was read before knew no version yet.
            Some(if self.version == Version::V10 { value.trim_ascii_start() } else { value })
        };
        let default = self.settings.default_user.clone();
        let (user, password) = (value("login"), value("passcode"));
        let user = user.map(name_of).or_else(|| Some(default.as_ref()?.user.clone()));
        let password = password.map(<[u8]>::to_vec).or_else(|| Some(default?.password));
        let (Some(user), Some(password)) = (user, password) else {
            return Err(Fault::last("Bad CONNECT", "Missing login or passcode header(s)"));
        };
        // By ActiveMQ's rules `host` is a name of the broker, and means nothing.
        let host = value("host").filter(|_| self.settings.dialect == Dialect::RabbitMq);
        let vhost = host.map_or_else(|| self.settings.vhost.clone(), name_of);
        self.active.client_id = value("client-id").filter(|id| !id.is_empty()).map(name_of);
        self.active.request_id = value("request-id").map(Into::into);
        for (name, value) in [("login", &user), ("host", &vhost)] {
            if value.len() > NAME_BYTES_MAX {
                let text = format!("'{name}' is longer than {NAME_BYTES_MAX} bytes\n");
                return Err(Fault::last("Bad CONNECT", text));
            }
        }
        self.heart.agree(value("heart-beat").unwrap_or(b"0,0"))?;
        self.log_in(user, password, vhost, out);
        Ok(())
    }

    /// A first frame that is no CONNECT, where that is let in.
    pub(super) fn connect_implicitly(&mut self, out: &mut Output) -> Result<(), Fault> {
        let Some(default) = self.settings.default_user.clone() else {
            return Err(Fault::last("Bad CONNECT", "Missing login or passcode header(s)"));
        };
        self.implicit = true;
        let vhost = self.settings.vhost.clone();
        self.log_in(default.user, default.password, vhost, out);
        Ok(())
    }

    fn log_in(&mut self, user: Name, password: Vec<u8>, vhost: Name, out: &mut Output) {
        self.user = user.clone();
        self.vhost = vhost;
        self.judging = true;
        self.phase = Phase::Login;
        out.login = Some(Login { user, proof: Proof::Password(password) });
    }

    pub(super) fn judged(&mut self, verdict: Verdict, out: &mut Output) {
        if !std::mem::take(&mut self.judging) || self.phase != Phase::Login {
            return;
        }
        match verdict {
            Verdict::Admitted(user) | Verdict::Proven { user, .. } => {
                self.user = user.clone();
                self.phase = Phase::Entering;
                let request = Request::Open { vhost: self.vhost.clone(), user };
                self.ask(request, Then::Enter, out);
            }
            // A password asks nothing back.
            Verdict::Challenge { .. } => self.refuse("a password was asked back", out),
            Verdict::Denied(why) => self.refuse(why, out),
        }
    }

    /// The peer is told no more than who it said it is; the log is told why.
    fn refuse(&mut self, why: &str, out: &mut Output) {
        let user = shown(self.user.as_bytes());
        let text = format!("Access refused for user '{user}'\n");
        self.fail(Fault::last("Bad CONNECT", text), None, out);
        if let Some(close) = &mut out.close {
            close.cause = Cause::Denied(why.to_owned());
        }
    }

    /// The engine let us in.
    pub(super) fn entered(&mut self, now: Time, out: &mut Output) {
        self.phase = Phase::Running;
        self.deadline = None;
        self.limits = self.settings.limits;
        self.dialect = self.settings.dialect_of(&self.vhost);
        self.session = format!("session-{}", self.draw("session"));
        self.heart.begin(now);
        if self.implicit {
            return;
        }
        let millis = |d: Duration| d.as_millis().to_string();
        let beats = format!("{},{}", millis(self.heart.sends), millis(self.heart.hears));
        let active = self.dialect == Dialect::ActiveMq;
        let server = match active {
            true => &self.settings.active_server,
            false => &self.settings.server,
        };
        let server = server.as_ref().map(|text| ("server", text.as_bytes()));
        let client = self.active.client_id.as_ref().filter(|_| active);
        let session = client.cloned().unwrap_or_else(|| Name::from(&*self.session));
        let request = self.active.request_id.take().filter(|_| active);
        let headers = server.into_iter().chain([
            ("session", session.as_bytes()),
            ("heart-beat", beats.as_bytes()),
            ("version", self.version.word().as_bytes()),
        ]);
        let headers = headers.chain(request.as_deref().map(|id| ("response-id", id)));
        let behind = self.behind();
        encode::frame(out.bytes.small(), "CONNECTED", headers, b"", Escapes::None, behind);
    }

    /// 22 letters that nobody can tell who does not know the seed, whatever others drawn
    /// from it he has seen: the hash cannot be turned around.
    pub(super) fn draw(&mut self, what: &str) -> String {
        self.draws += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.draws.to_be_bytes());
        hash.update(what);
        letters(&hash.finalize(), 22)
    }
}

/// The first `n` letters of a digest: base64 as it goes into names.
pub(super) fn letters(digest: &[u8], n: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bit = |at: usize| digest.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let letter = |at: usize| (0..6).fold(0, |all, n| all << 1 | bit(at * 6 + n));
    (0..n).map(|at| char::from(LETTERS[usize::from(letter(at) & 63)])).collect()
}

/// The highest version of both sides.
fn negotiate(accepted: &[u8]) -> Result<Version, Fault> {
    let words = accepted.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    words
        .filter_map(Version::named)
        .max()
        .ok_or_else(|| Fault::last("Version mismatch", "Supported versions are 1.0,1.1,1.2\n"))
}

/// Names are text; what is none names nothing that there is.
fn name_of(value: &[u8]) -> Name {
    Name::from(&*String::from_utf8_lossy(value))
}
