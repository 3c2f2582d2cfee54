//! From the protocol header to an open virtual host, and what else is said on
//! channel 0: update-secret, close, blocked. Tells an unknown peer as little as it must.

use super::{Client, Connection, Phase, Reply, Step};
use crate::FRAME_MIN;
use crate::error::{Code, Fault};
use crate::frame::BadFrame;
use crate::packet::{Method, RawTable};
use crate::table::{Fields, RawValue};
use lockgate_front::{Cause, Login, Output, Proof, Verdict};
use lockgate_model::{Name, Request, Time};
use std::time::Duration;

/// The protocol header of what we speak.
pub(super) const PROTOCOL_HEADER: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// What 0-9 clients send; they mean 0-9-1.
const OLDER_HEADER: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

/// How long a denied peer may take to read why.
const DENIED_WAIT: Duration = Duration::from_secs(3);

impl Connection {
    pub(super) fn protocol_header(&mut self, bytes: &[u8], out: &mut Output) -> Step {
        let Some(header) = bytes.first_chunk::<8>() else {
            return Step::Need(8);
        };
        match header {
            &PROTOCOL_HEADER | &OLDER_HEADER => {
                out.bytes.small().extend_from_slice(&self.shared.greeting);
                self.phase = Phase::StartOk;
                return Step::Took(8);
            }
            [0x16, 3, ..] => {
                self.refuse_header("TLS handshake on a port that speaks plain AMQP", out);
            }
            [b'G', b'E', b'T', b' ', ..]
            | [b'H', b'E', b'A', b'D', b' ', ..]
            | [b'P', b'O', b'S', b'T', b' ', ..]
            | [b'P', b'U', b'T', b' ', ..] => {
                self.refuse_header("HTTP request on a port that speaks AMQP", out);
            }
            other => {
                // 4.2.2: a header that we do not speak is answered with one that we do.
                out.bytes.small().extend_from_slice(&PROTOCOL_HEADER);
                self.refuse_header(&format!("bad protocol header {}", other.escape_ascii()), out);
            }
        }
        Step::Took(bytes.len())
    }

    fn refuse_header(&mut self, why: &str, out: &mut Output) {
        self.end(Duration::ZERO, Cause::Fault(why.to_owned()), out);
    }

    /// A method on channel 0.
    pub(super) fn connection_method(
        &mut self,
        method: Method<'_>,
        now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        match (self.phase, method) {
            (
                Phase::StartOk,
                Method::ConnectionStartOk { client_properties, mechanism, response, .. },
            ) => self.start(client_properties, mechanism, response.0, out),
            (Phase::TuneOk, Method::ConnectionTuneOk { channel_max, frame_max, heartbeat }) => {
                self.tune(channel_max, frame_max, heartbeat, now)
            }
            (Phase::Open, Method::ConnectionOpen { virtual_host, .. }) => {
                self.client.vhost = Name::from(virtual_host);
                self.phase = Phase::Entering;
                let request = Request::Open {
                    vhost: self.client.vhost.clone(),
                    user: self.client.user.clone(),
                };
                self.ask(0, (10, 40), request, Some(Reply::Enter), out);
                Ok(())
            }
            (Phase::Running, Method::ConnectionUpdateSecret { new_secret, .. }) => {
                self.judging = true;
                let proof = Proof::Password(new_secret.0.to_vec());
                out.login = Some(Login { user: self.client.user.clone(), proof });
                Ok(())
            }
            (Phase::TuneOk | Phase::Open | Phase::Running, Method::ConnectionClose { .. }) => {
                self.closed_by_peer(out);
                Ok(())
            }
            _ => Err(Fault::new(
                Code::ChannelError,
                format!("unexpected method in connection state {}", self.state()),
            )),
        }
    }

    fn state(&self) -> &'static str {
        match self.phase {
            Phase::Header | Phase::StartOk | Phase::Login => "starting",
            Phase::TuneOk => "tuning",
            Phase::Open | Phase::Entering => "opening",
            Phase::Running => "running",
            Phase::Closing { .. } => "closing",
            Phase::Over => "closed",
        }
    }

    fn start(
        &mut self,
        properties: RawTable<'_>,
        mechanism: &str,
        response: &[u8],
        out: &mut Output,
    ) -> Result<(), Fault> {
        let (name, login) = match mechanism {
            "PLAIN" => ("PLAIN", plain(response)),
            "AMQPLAIN" => ("AMQPLAIN", amqplain(response)),
            other => {
                return Err(Fault::new(
                    Code::CommandInvalid,
                    format!("unknown authentication mechanism '{}'", other.escape_debug()),
                ));
            }
        };
        let (user, password) = login
            .ok_or_else(|| Fault::new(Code::SyntaxError, format!("malformed {name} response")))?;
        self.client = capabilities(properties);
        self.client.mechanism = name;
        self.judging = true;
        self.phase = Phase::Login;
        out.login =
            Some(Login { user: Name::from(user), proof: Proof::Password(password.to_vec()) });
        Ok(())
    }

    pub(super) fn judged(&mut self, verdict: Verdict, now: Time, out: &mut Output) {
        if !std::mem::take(&mut self.judging) {
            return;
        }
        match (self.phase, verdict) {
            (Phase::Login, Verdict::Admitted(user)) => {
                self.client.user = user;
                self.phase = Phase::TuneOk;
                let settings = &self.shared.settings;
                let tune = Method::ConnectionTune {
                    channel_max: settings.channel_max,
                    frame_max: settings.frame_max,
                    heartbeat: seconds(settings.heartbeat),
                };
                self.send(0, &tune, out);
            }
            (Phase::Login, Verdict::Denied(why)) => self.denied(why, out),
            (Phase::Running, Verdict::Admitted(_)) => {
                self.heart.heard(now);
                self.send(0, &Method::ConnectionUpdateSecretOk {}, out);
            }
            (Phase::Running, Verdict::Denied(_)) => {
                let text = "New secret was refused by one of the backends";
                self.fail(0, Fault::new(Code::NotAllowed, text).at((10, 70)), now, out);
            }
            _ => {}
        }
    }

    fn denied(&mut self, why: &'static str, out: &mut Output) {
        let mut linger = Duration::ZERO;
        if self.client.denial {
            let text = format!(
                "Login was refused using authentication mechanism {}. \
                 For details see the broker logfile.",
                self.client.mechanism
            );
            let text = Fault::new(Code::AccessRefused, text).reply_text();
            let close = Method::ConnectionClose {
                reply_code: Code::AccessRefused.number(),
                reply_text: text.as_bytes(),
                class_id: 0,
                method_id: 0,
            };
            self.send(0, &close, out);
            linger = DENIED_WAIT;
        }
        self.end(linger, Cause::Denied(why.to_owned()), out);
    }

    /// What the peer chose must lie between the least and what we offered;
    /// 0 means no limit, which is more than any.
    fn tune(
        &mut self,
        channel_max: u16,
        frame_max: u32,
        heartbeat: u16,
        now: Time,
    ) -> Result<(), Fault> {
        let settings = &self.shared.settings;
        negotiated("frame_max", frame_max, FRAME_MIN, settings.frame_max)?;
        negotiated("channel_max", channel_max.into(), 1, settings.channel_max.into())?;
        self.frame_max = frame_max as usize;
        self.channel_max = channel_max;
        self.heart.agree(Duration::from_secs(heartbeat.into()), now);
        self.phase = Phase::Open;
        Ok(())
    }

    /// The engine let us into the virtual host.
    pub(super) fn entered(&mut self, out: &mut Output) -> Result<(), Fault> {
        self.phase = Phase::Running;
        self.deadline = None;
        self.send(0, &Method::ConnectionOpenOk { known_hosts: "" }, out);
        Ok(())
    }

    /// Tells a publisher that alarms hold it up, or no longer do. What is not read
    /// cannot be heard, so its silence does not count meanwhile.
    pub(super) fn tell_alarms(&mut self, out: &mut Output) {
        let blocked = self.alarms != 0 && self.publishes;
        if blocked {
            self.heart.suspend();
        }
        if !self.client.blocked || self.phase != Phase::Running {
            return;
        }
        if blocked && !self.blocked {
            let reason = crate::map::alarm_text(self.alarms);
            self.send(0, &Method::ConnectionBlocked { reason }, out);
        } else if !blocked && self.blocked {
            self.send(0, &Method::ConnectionUnblocked {}, out);
        }
        self.blocked = blocked;
    }
}

/// A fault of the bytes themselves.
pub(super) fn bad_frame(bad: BadFrame) -> Fault {
    let text = match bad {
        BadFrame::TooLarge { size, kind, max } => {
            // The limit that RabbitMQ names; it takes eight bytes more, and so do we.
            let named = max.saturating_sub(crate::frame::AROUND);
            format!("type {kind}, all octets = <<>>: {{frame_too_large,{size},{named}}}")
        }
        BadFrame::End { octet, head } => {
            let kind = head.kind.octet();
            format!("type {kind}: {{invalid_frame_end_marker,{octet}}}")
        }
    };
    Fault::nowhere(Code::FrameError, text)
}

fn negotiated(name: &str, value: u32, least: u32, most: u32) -> Result<(), Fault> {
    let text = if value != 0 && value < least {
        format!("negotiated {name} = {value} is lower than the minimum allowed value ({least})")
    } else if value == 0 || value > most {
        let unlimited = if value == 0 { " (no limit)" } else { "" };
        format!(
            "negotiated {name} = {value}{unlimited} is higher than the maximum allowed value ({most})"
        )
    } else {
        return Ok(());
    };
    Err(Fault::new(Code::NotAllowed, text))
}

fn seconds(d: Duration) -> u16 {
    u16::try_from(d.as_secs()).unwrap_or(u16::MAX)
}

/// RFC 4616: `NUL user NUL password`.
fn plain(response: &[u8]) -> Option<(&str, &[u8])> {
    let mut parts = response.splitn(3, |b| *b == 0);
    // Nobody may act for somebody else here, so RabbitMQ wants no authzid at all.
    let ([], user, password) = (parts.next()?, parts.next()?, parts.next()?) else {
        return None;
    };
    Some((std::str::from_utf8(user).ok()?, password))
}

/// A table without its length, with LOGIN and PASSWORD.
fn amqplain(response: &[u8]) -> Option<(&str, &[u8])> {
    let field = |wanted: &[u8]| {
        Fields(response).find(|(name, v)| *name == wanted && v.tag == b'S').map(|(_, v)| v.bytes)
    };
    Some((std::str::from_utf8(field(b"LOGIN")?).ok()?, field(b"PASSWORD")?))
}

/// What the client says that it understands.
fn capabilities(properties: RawTable<'_>) -> Client {
    let mut client = Client::default();
    let table = Fields(properties.0)
        .find(|(name, v)| *name == b"capabilities" && v.tag == b'F')
        .map_or(&[][..], |(_, v)| v.bytes);
    for (name, value) in Fields(table) {
        let yes = value == RawValue { tag: b't', bytes: &[1] };
        match name {
            b"consumer_cancel_notify" => client.cancel_notify = yes,
            b"connection.blocked" => client.blocked = yes,
            b"authentication_failure_close" => client.denial = yes,
            _ => {}
        }
    }
    client
}
