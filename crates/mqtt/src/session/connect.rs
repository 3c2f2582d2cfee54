//! From CONNECT to CONNACK (3.1, 3.2): who the client is, what it wants, what it gets.
//! Tells an unknown peer as little as it must.

use super::outbound::Terms;
use super::publish::check;
use super::topics;
use super::{Asked, Connection, Phase};
use crate::encode;
use crate::error::{DecodeError, Fault, refused};
use crate::map::{self, Begins};
use crate::packet::{Connack, Connect, Packet, Qos, Version, Will};
use crate::property::{Property, PropertyList};
use crate::reason::Reason;
use crate::topic;
use bytes::Bytes;
use lockgate_front::{Cause, Login, Output, Proof, Verdict};
use lockgate_model::{
    self as model, Attached, Attachment, Command, Item, Lasting, Name, Origin, Range, Refusal,
    Request, Retain, Run, Time,
};
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

/// Longest name of a client: with it the names of its queues are as long as AMQP can say.
const CLIENT_MAX: usize = model::limits::NAME_BYTES_MAX - "mqtt-subscription-qos0".len();

/// What CONNECT has said, until CONNACK is.
#[derive(Debug)]
pub(super) struct Entering {
    vhost: Name,
    attachment: Box<Attachment>,
    keep_alive: u16,
    /// What CONNACK says of it all, but for what is the same for everybody.
    told: PropertyList,
    terms: Terms,
}

impl Connection {
    /// The first packet is there.
    pub(super) fn connect(&mut self, c: &Connect<'_>, out: &mut Output) -> Result<(), Fault> {
        self.greeted = true;
        self.version = c.version;
        self.problems = c.properties.request_problem().unwrap_or(true);
        if let Some(max) = c.properties.maximum_packet_size() {
            self.packet_max = max.get() as usize;
        }
        if self.begins_exchange(c, out)? {
            return Ok(());
        }
        let (vhost, login) = self.login(c)?;
        self.prepare(c, vhost, PropertyList::default())?;
        self.phase = Phase::Login;
        self.judging = true;
        out.login = Some(login);
        Ok(())
    }

    /// Keeps what CONNECT asks for until the client is let in. `told` is what CONNACK says
    /// already.
    pub(super) fn prepare(
        &mut self,
        c: &Connect<'_>,
        vhost: Name,
        mut told: PropertyList,
    ) -> Result<(), Fault> {
        let client = self.client_name(c, &mut told)?;
        let lasting = self.lasting(c, &mut told);
        self.lasts = lasting.lasts();
        let keep_alive = self.keep_alive_of(c, &mut told);
        self.respond(c, &client, &mut told);
        self.dialect = self.shared.settings.dialect_of(&vhost);
        let will = c.will.map(|will| self.will(&will)).transpose()?;
        let settings = &self.shared.settings;
        let receive_maximum = c.properties.receive_maximum().map_or(u16::MAX, NonZeroU16::get);
        let in_flight_max = receive_maximum.min(settings.in_flight_max);
        let attachment = Box::new(Attachment {
            passing: Name::from(format!("mqtt-subscription-{client}qos0")),
            settling: Name::from(format!("mqtt-subscription-{client}qos1")),
            client,
            exchange: settings.exchange.clone(),
            fresh: c.clean,
            lasting,
            will,
            in_flight_max: in_flight_max.into(),
            caps: settings.caps,
        });
        let terms = Terms {
            version: c.version,
            dialect: self.dialect,
            packet_max: self.packet_max,
            alias_max: c.properties.topic_alias_maximum().unwrap_or(0).min(settings.alias_out_max),
            in_flight_max,
        };
        let entering = Entering { vhost, attachment, keep_alive, told, terms };
        self.entering = Some(Box::new(entering));
        Ok(())
    }

    /// The name of the client: its own, or one that we give it (3.1.3.1).
    fn client_name(&self, c: &Connect<'_>, told: &mut PropertyList) -> Result<Name, Fault> {
        let no = |text: &'static str, clause| Err(Fault::new(Reason::BadClientId, text, clause));
        match (c.client_id.len(), c.version) {
            (0, Version::V31) => no("no client identifier", "3.1 of 3.1"),
            (0, Version::V311) if !c.clean => {
                no("no client identifier, and no clean session", "MQTT-3.1.3-8 of 3.1.1")
            }
            (0, _) => {
                let name = format!("auto-{:016x}", self.seed);
                let _ = told.push(&Property::AssignedClientId(&name));
                Ok(Name::from(name))
            }
            (1..=CLIENT_MAX, _) => Ok(Name::from(c.client_id)),
            _ => no("a client identifier of more than 233 bytes", "MQTT-3.1.3-8"),
        }
    }

    /// How long the berth is kept.
    fn lasting(&self, c: &Connect<'_>, told: &mut PropertyList) -> Lasting {
        let settings = &self.shared.settings;
        match c.version {
            Version::V5 => {
                let asked = c.properties.session_expiry().unwrap_or(0);
                let lasting = settings.lasting(asked);
                let granted = match lasting {
                    Lasting::Not => 0,
                    Lasting::Seconds(seconds) => seconds,
                    Lasting::Always => u32::MAX,
                };
                if granted != asked {
                    let _ = told.push(&Property::SessionExpiry(granted));
                }
                lasting
            }
            _ if c.clean => Lasting::Not,
            _ => settings.session_expiry,
        }
    }

    /// Seconds of keep alive: version 5 can be told another number (3.2.2.3.14).
    fn keep_alive_of(&self, c: &Connect<'_>, told: &mut PropertyList) -> u16 {
        let most = self.shared.settings.keep_alive_max;
        let within = 1..=most;
        if c.version < Version::V5 || most == 0 || within.contains(&c.keep_alive) {
            return c.keep_alive;
        }
        let _ = told.push(&Property::ServerKeepAlive(most));
        most
    }

    /// Where answers to the client's requests may be published to (4.10).
    fn respond(&self, c: &Connect<'_>, client: &str, told: &mut PropertyList) {
        if c.properties.request_response() != Some(true) {
            return;
        }
        if let Some(prefix) = &self.shared.settings.response_prefix {
            let under = format!("{prefix}/{client}/");
            if topic::check_name(&under).is_ok() {
                let _ = told.push(&Property::ResponseInformation(&under));
            }
        }
    }

    /// The will as a message.
    fn will(&self, will: &Will<'_>) -> Result<model::Will, Fault> {
        let (shared, settings) = (&self.shared, &self.shared.settings);
        check(&will.properties, will.payload, settings.user_properties_max)?;
        topics::check(will.topic, self.dialect, shared).map_err(super::publish::Unfit::from)?;
        let mut beside = shared.beside.to_vec();
        let mut put = |write: &dyn Fn(&mut Vec<u8>)| {
            let at = beside.len();
            write(&mut beside);
            Range::beside(at, beside.len() - at)
        };
        let key = put(&|beside| self.dialect.key(will.topic, beside));
        let topic = put(&|beside| beside.extend_from_slice(will.topic.as_bytes()));
        let body = put(&|beside| beside.extend_from_slice(will.payload));
        let heads =
            map::heads(&will.properties, will.qos, Begins::Later, self.dialect, &mut beside);
        let item = Item {
            origin: 0,
            head: heads.head,
            body,
            native: heads.native,
            persistent: will.qos != Qos::AtMostOnce,
            exact: will.qos == Qos::ExactlyOnce,
            retain: if will.retain { Retain::Wished } else { Retain::Not },
            priority: 0,
        };
        let exchange = shared.exchange();
        let origins = vec![Origin { exchange, key, topic, mandatory: false }];
        let (bytes, beside) = (Bytes::new(), Bytes::from(beside));
        let run = Run { bytes, beside, origins, items: vec![item] };
        let delay = will.properties.will_delay().unwrap_or(0);
        Ok(model::Will { run: Arc::new(run), delay })
    }

    /// Who the client says it is, and the virtual host that it says so in.
    fn login(&self, c: &Connect<'_>) -> Result<(Name, Login), Fault> {
        let settings = &self.shared.settings;
        let password = c.password.map(|secret| secret.0.to_vec());
        let (said, password) = match (c.user, password, &settings.anonymous) {
            (Some(user), password, _) => (user, password.unwrap_or_default()),
            (None, Some(password), _) => ("", password),
            (None, None, Some(who)) => {
                let proof = Proof::Password(who.password.clone());
                return Ok((settings.vhost.clone(), Login { user: who.user.clone(), proof }));
            }
            (None, None, None) => {
                return Err(Fault::new(Reason::BadLogin, "no user name", "MQTT-3.1.4-2"));
            }
        };
        let (vhost, user) = self.named(said);
        let proof = Proof::Password(password);
        Ok((vhost, Login { user: Name::from(user), proof }))
    }

    /// The virtual host and the user of a name. It ends at the last colon, as RabbitMQ has it:
    /// names of virtual hosts may hold one, names of users not.
    pub(super) fn named<'n>(&self, said: &'n str) -> (Name, &'n str) {
        let settings = &self.shared.settings;
        let (vhost, user) = settings.naming().split(said);
        (vhost.map_or_else(|| settings.vhost.clone(), Name::from), user)
    }

    /// The driver has judged who the client is.
    pub(super) fn judged(&mut self, verdict: Verdict, out: &mut Output) {
        if !std::mem::take(&mut self.judging) || self.phase == Phase::Over {
            return;
        }
        if self.proving.is_some() {
            if let Err(fault) = self.exchanged(verdict, out) {
                self.fail(&fault, out);
            }
            return;
        }
        match verdict {
            Verdict::Admitted(user) => self.enter(user, out),
            Verdict::Denied(why) => {
                self.part(Reason::BadLogin, "", Cause::Denied(why.to_owned()), out);
            }
            Verdict::Challenge { .. } | Verdict::Proven { .. } => {
                let cause = Cause::Denied("a password is no conversation".to_owned());
                self.part(Reason::BadLogin, "", cause, out);
            }
        }
    }

    /// Asks for the virtual host and, in the same batch, for the berth.
    pub(super) fn enter(&mut self, user: Name, out: &mut Output) {
        let Some(entering) = &self.entering else { return };
        let open = Request::Open { vhost: entering.vhost.clone(), user };
        let attach = Request::Attach(entering.attachment.clone());
        self.phase = Phase::Entering;
        self.ask(open, None, out);
        self.ask(attach, Some(Asked::Enter), out);
    }

    /// The engine does not let the client in.
    pub(super) fn shut_out(&mut self, why: &Refusal, out: &mut Output) {
        let fault = refused(why);
        self.part(fault.reason, &fault.text, Cause::Denied(why.to_string()), out);
    }

    /// The berth is taken: everything may come.
    pub(super) fn entered(&mut self, attached: &Attached, now: Time, out: &mut Output) {
        let Some(entering) = self.entering.take() else { return };
        let Entering { keep_alive, mut told, terms, .. } = *entering;
        if self.version == Version::V5 {
            self.offer(&mut told);
        }
        let connack = Connack {
            session_present: attached.present,
            reason: Reason::Success,
            properties: told.properties(),
        };
        let packet = Packet::Connack(connack);
        if encode::packet(out.bytes.small(), self.version, self.packet_max, &packet).is_err() {
            let text = "the client takes no packet as large as CONNACK";
            let fault = Fault::new(Reason::PacketTooLarge, text, "MQTT-3.1.2-24");
            // It was never there, so it is not lost.
            out.commands.push(Command::Depart { will: false, lasting: None });
            return self.fail(&fault, out);
        }
        self.phase = Phase::Running;
        self.deadline = None;
        self.keep_alive.agree(keep_alive, now);
        if self.problems {
            self.answers.explain(self.packet_max);
        }
        self.answers.resume(attached.open.iter().map(|mark| mark.0));
        self.filter_bytes = attached.interests.iter().map(|(i, _)| i.filter.len() as u32).sum();
        self.outbound.attached(terms, attached, out);
    }

    /// What we take, the same for everybody; what is not said is as the protocol has it:
    /// every QoS, retained messages, wildcards, identifiers and shares of subscriptions.
    fn offer(&self, told: &mut PropertyList) {
        let settings = &self.shared.settings;
        let receive = NonZeroU16::new(settings.receive_max).map(Property::ReceiveMaximum);
        let packet = u32::try_from(settings.packet_max).ok().and_then(NonZeroU32::new);
        let packet = packet.map(Property::MaximumPacketSize);
        let alias = Some(Property::TopicAliasMaximum(settings.alias_max));
        for property in [receive, packet, alias].into_iter().flatten() {
            let _ = told.push(&property);
        }
    }

    /// A CONNECT that is none: what can be read of it says in which version to answer.
    pub(super) fn bad_connect(&mut self, body: &[u8], error: DecodeError) -> Fault {
        let version = match body {
            [0, 4, b'M', b'Q', b'T', b'T', 5..=255, ..] => Some(Version::V5),
            [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => Some(Version::V311),
            [0, 4, b'M', b'Q', b'T', b'T', _, ..] => Some(Version::V31),
            [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', _, ..] => Some(Version::V31),
            _ => None,
        };
        self.greeted = version.is_some();
        self.version = version.unwrap_or(self.version);
        Fault::from(error)
    }
}

/// What is no MQTT at all, by its first bytes; `None` if it may be.
pub(super) fn stranger(bytes: &[u8]) -> Option<&'static str> {
    let begins = |word: &[u8]| bytes.starts_with(word);
    Some(if begins(&[0x16, 3]) {
        "TLS handshake on a port that speaks plain MQTT"
    } else if [&b"GET "[..], b"HEAD", b"POST", b"PUT ", b"OPTI"].into_iter().any(begins) {
        "HTTP request on a port that speaks MQTT"
    } else if begins(b"AMQP") {
        "AMQP on a port that speaks MQTT"
    } else if begins(b"PROX") || begins(b"\r\n\r\n") {
        "PROXY protocol on a port that does without"
    } else if begins(b"CONN") || begins(b"STOM") {
        "STOMP on a port that speaks MQTT"
    } else {
        return None;
    })
}
