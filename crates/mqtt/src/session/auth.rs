//! Enhanced authentication (4.12): a client proves who it is in a conversation by a method
//! that CONNECT names, and again whenever it likes. What is said means nothing here: the door
//! judges it, and this carries it there and back.
//!
//! ```text
//!  CONNECT method, data --> door --> AUTH 0x18 --> client --> AUTH 0x18 --> door --> CONNACK
//!  AUTH 0x19 ------------->                       (likewise)                     --> AUTH 0x00
//! ```

use super::{Connection, Phase};
use crate::error::Fault;
use crate::frame::{self, Cut};
use crate::packet::{Connect, End, Packet, Secret, Side, Version};
use crate::property::{Property, PropertyList};
use crate::reason::Reason;
use crate::{decode, encode};
use lockgate_front::{Cause, Login, Mechanism, Memo, Output, Proof, Verdict};
use lockgate_model::{Name, Time};

/// How a client that named a method proves who it is.
#[derive(Debug)]
pub(super) struct Proving {
    mechanism: Mechanism,
    stage: Stage,
    /// CONNECT, until it is known who has sent it.
    connect: Vec<u8>,
    /// The virtual host and the user that it has proved to be.
    proven: Option<(Name, Name)>,
    /// When a client that proves itself again has taken too long.
    ends_at: Option<Time>,
}

/// Whose turn it is.
#[derive(Debug, Default)]
enum Stage {
    /// The client's, if it likes.
    #[default]
    Rest,
    /// The client's, who has named its method and said nothing yet.
    Begun,
    /// The client's, who is to answer.
    Challenged(Memo),
}

impl Connection {
    /// A CONNECT that names a method. True if it is taken from here: the client is let in when
    /// the conversation is over.
    pub(super) fn begins_exchange(
        &mut self,
        c: &Connect<'_>,
        out: &mut Output,
    ) -> Result<bool, Fault> {
        let Some(method) = c.properties.auth_method() else { return Ok(false) };
        let Some(mechanism) = Mechanism::named(method) else {
            let text = format!("authentication method {}", method.escape_debug());
            return Err(Fault::new(Reason::BadAuthenticationMethod, text, "MQTT-4.12.0-1"));
        };
        let mut connect = Vec::new();
        let written = encode::packet(&mut connect, c.version, usize::MAX, &Packet::Connect(*c));
        debug_assert!(written.is_ok(), "what was read can be written");
        let (stage, proven, ends_at) = (Stage::Rest, None, None);
        self.proving = Some(Box::new(Proving { mechanism, stage, connect, proven, ends_at }));
        self.phase = Phase::Login;
        self.open(mechanism, c.properties.auth_data(), out)?;
        Ok(true)
    }

    /// AUTH has come.
    pub(super) fn auth(
        &mut self,
        auth: &End<'_>,
        now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let no = |text, clause| Err(Fault::new(Reason::Protocol, text, clause));
        let Some(proving) = &mut self.proving else {
            return no("AUTH, and CONNECT named no method", "MQTT-4.12.0-7");
        };
        let (mechanism, data) = (proving.mechanism, auth.properties.auth_data());
        if auth.properties.auth_method() != Some(mechanism.name()) {
            return no("AUTH of another method than CONNECT", "MQTT-4.12.0-5");
        }
        match (auth.reason, std::mem::take(&mut proving.stage)) {
            (Reason::ContinueAuthentication, Stage::Begun) => {
                self.open(mechanism, Some(data.unwrap_or(Secret(b""))), out)
            }
            (Reason::ContinueAuthentication, Stage::Challenged(memo)) => {
                let data = data.map(|data| data.0.to_vec()).unwrap_or_default();
                self.ask_the_door(Proof::Answer { memo, data }, out);
                Ok(())
            }
            (Reason::Reauthenticate, Stage::Rest) if self.phase == Phase::Running => {
                proving.ends_at = Some(now + self.shared.settings.handshake_max);
                self.open(mechanism, data, out)
            }
            (Reason::Reauthenticate, _) => {
                no("AUTH 0x19 while the client proves itself", "MQTT-4.12.1-1")
            }
            _ => no("AUTH 0x18, and nothing was asked", "MQTT-4.12.0-3"),
        }
    }

    /// The first that the client says; if that is nothing, it is asked for it.
    fn open(
        &mut self,
        mechanism: Mechanism,
        data: Option<Secret<'_>>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let Some(data) = data else {
            self.at_stage(Stage::Begun);
            return self.say_auth(Reason::ContinueAuthentication, None, out);
        };
        let naming = self.shared.settings.naming();
        self.ask_the_door(Proof::Opening { mechanism, naming, data: data.0.to_vec() }, out);
        Ok(())
    }

    fn ask_the_door(&mut self, proof: Proof, out: &mut Output) {
        self.judging = true;
        out.login = Some(Login { user: Name::default(), proof });
    }

    fn at_stage(&mut self, stage: Stage) {
        if let Some(proving) = &mut self.proving {
            proving.stage = stage;
        }
    }

    /// The door has judged what the client said.
    pub(super) fn exchanged(&mut self, verdict: Verdict, out: &mut Output) -> Result<(), Fault> {
        match verdict {
            Verdict::Challenge { data, memo } => {
                self.at_stage(Stage::Challenged(memo));
                self.say_auth(Reason::ContinueAuthentication, Some(&data), out)
            }
            Verdict::Proven { user, vhost, data } => {
                let vhost = vhost.unwrap_or_else(|| self.shared.settings.vhost.clone());
                match self.phase {
                    Phase::Login => self.proved(vhost, user, &data, out),
                    _ => self.proved_again(vhost, user, &data, out),
                }
            }
            Verdict::Denied(why) => {
                self.part(Reason::NotAuthorized, "", Cause::Denied(why.to_owned()), out);
                Ok(())
            }
            Verdict::Admitted(_) => {
                debug_assert!(false, "a conversation ends with a proof");
                self.part(Reason::Unspecified, "", Cause::Denied("no proof".to_owned()), out);
                Ok(())
            }
        }
    }

    /// The client is who it says: CONNECT goes on.
    fn proved(
        &mut self,
        vhost: Name,
        user: Name,
        data: &[u8],
        out: &mut Output,
    ) -> Result<(), Fault> {
        let Some(proving) = &mut self.proving else { return Ok(()) };
        proving.proven = Some((vhost.clone(), user.clone()));
        let (connect, method) = (std::mem::take(&mut proving.connect), proving.mechanism.name());
        let packet = match frame::cut(&connect, usize::MAX) {
            Ok(Cut::Whole(head, body)) => decode::packet(Side::Client, Version::V5, head, body)?,
            _ => return Err(Fault::new(Reason::Unspecified, "CONNECT is lost", "")),
        };
        let Packet::Connect(c) = packet else { return Ok(()) };
        if c.user.is_some_and(|said| self.named(said) != (vhost.clone(), &*user)) {
            let text = "the user name is not the one that was proved";
            return Err(Fault::new(Reason::BadLogin, text, "4.12"));
        }
        let mut told = PropertyList::default();
        push(&mut told, method, Some(data))?;
        self.prepare(&c, vhost, told)?;
        self.enter(user, out);
        Ok(())
    }

    /// The client has proved itself once more (4.12.1).
    fn proved_again(
        &mut self,
        vhost: Name,
        user: Name,
        data: &[u8],
        out: &mut Output,
    ) -> Result<(), Fault> {
        let Some(proving) = &mut self.proving else { return Ok(()) };
        proving.ends_at = None;
        if proving.proven != Some((vhost, user)) {
            let text = "another user than before";
            self.part(Reason::NotAuthorized, text, Cause::Denied(text.to_owned()), out);
            return Ok(());
        }
        self.say_auth(Reason::Success, Some(data), out)
    }

    fn say_auth(
        &mut self,
        reason: Reason,
        data: Option<&[u8]>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let Some(proving) = &self.proving else { return Ok(()) };
        let mut list = PropertyList::default();
        push(&mut list, proving.mechanism.name(), data)?;
        let packet = Packet::Auth(End { reason, properties: list.properties() });
        let said = encode::packet(out.bytes.small(), self.version, self.packet_max, &packet);
        said.map_err(|_| {
            let text = "the client takes no packet as large as AUTH";
            Fault::new(Reason::PacketTooLarge, text, "MQTT-3.1.2-24")
        })
    }

    /// When a client that proves itself again has taken too long.
    pub(super) fn proof_ends_at(&self) -> Option<Time> {
        self.proving.as_ref().and_then(|proving| proving.ends_at)
    }

    /// Nothing was read from the client for a while: that is not its fault.
    pub(super) fn excuse_proof(&mut self, now: Time) {
        if let Some(ends_at) = self.proving.as_mut().and_then(|p| p.ends_at.as_mut()) {
            *ends_at = now + self.shared.settings.handshake_max;
        }
    }

    /// It has.
    pub(super) fn proof_is_late(&mut self, out: &mut Output) {
        let text = "the proof did not come in time";
        self.part(Reason::NotAuthorized, text, Cause::Denied(text.to_owned()), out);
    }
}

fn push(list: &mut PropertyList, method: &str, data: Option<&[u8]>) -> Result<(), Fault> {
    let data = data.map(|data| Property::AuthData(Secret(data)));
    for property in [Some(Property::AuthMethod(method)), data].into_iter().flatten() {
        let pushed = list.push(&property);
        // What is longer than a property can be.
        pushed.map_err(|_| Fault::new(Reason::Unspecified, "too much to say", ""))?;
    }
    Ok(())
}
