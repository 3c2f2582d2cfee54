//! MQTT in words, for scripts: what a client says as a line of text to bytes, and what the
//! session sends back to lines, in the words of `tests/show.rs`. Tests only.
//!
//! ```text
//! connect v5 [client=ID] [clean] [keep-alive=10] [user=U] [password=P] [PROPERTY...]
//!         [will=TOPIC] [will-payload=P] [will-qos=1] [will-retain] [w.PROPERTY...]
//! publish TOPIC PAYLOAD [qos=1] [id=3] [retain] [dup] [PROPERTY...]    PAYLOAD *N: N bytes
//! puback 3 [reason=0x10]      pubrec, pubrel, pubcomp
//! subscribe 3 FILTER [qos=1] [no-local] [as-published] [retained=1] FILTER... [PROPERTY...]
//! unsubscribe 3 FILTER...     pingreq     disconnect [reason=4] [PROPERTY...]     auth ...
//! hex [v5] 1000                  text "GET / HTTP/1.1"
//! ```
//!
//! PROPERTY: format=1 expiry=10 type=T response=T correlation=B label=7 alias=3 user.K=V
//! session-expiry=10 receive-maximum=3 alias-maximum=3 packet-maximum=99 problems=0 responses=1
//! will-delay=5 method=M data=D

use crate::frame::{self, Cut};
use crate::packet::*;
use crate::property::{Properties, Property, PropertyList};
use crate::reason::Reason;
use crate::tests::show::show;
use crate::{decode, encode};
use lockgate_front::script::{Tongue, Words};
use std::num::{NonZeroU16, NonZeroU32};
use std::str::FromStr;

/// Speaks for a client.
#[derive(Debug)]
pub(crate) struct Mqtt {
    version: Version,
    /// Bytes of a packet not heard to its end.
    rest: Vec<u8>,
}

impl Default for Mqtt {
    fn default() -> Self {
        Mqtt { version: Version::V311, rest: Vec::new() }
    }
}

/// The words of a line; each is to be asked for.
struct Given(Vec<String>);

impl Given {
    /// The value of `name=value`.
    fn take(&mut self, name: &str) -> Option<String> {
        let of = |word: &String| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        let (at, value) = self.0.iter().enumerate().find_map(|(at, word)| Some((at, of(word)?)))?;
        self.0.remove(at);
        Some(value)
    }

    fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|word| word == name);
        at.map(|at| self.0.remove(at)).is_some()
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        self.take(name).map(|n| parse(&n)).transpose()
    }

    /// The first word that is left.
    fn first(&mut self, what: &str) -> Result<String, String> {
        if self.0.is_empty() { Err(format!("{what} is missing")) } else { Ok(self.0.remove(0)) }
    }

    fn nothing_left(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("no such words: {:?}", self.0)) }
    }

    /// All properties whose names begin so.
    fn properties(&mut self, prefix: &str) -> Result<PropertyList, String> {
        let mut list = PropertyList::default();
        let mut left = Vec::new();
        for word in std::mem::take(&mut self.0) {
            let one = word.strip_prefix(prefix).and_then(|w| w.split_once('='));
            let known = match one {
                Some((name, value)) => property(name, value, &mut list)?,
                None => false,
            };
            if !known {
                left.push(word);
            }
        }
        self.0 = left;
        Ok(list)
    }
}

fn version(word: &str) -> Option<Version> {
    Some(match word {
        "v3.1" => Version::V31,
        "v3.1.1" => Version::V311,
        "v5" => Version::V5,
        _ => return None,
    })
}

fn parse<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("no number: {text}"))
}

fn some16(text: &str) -> Result<NonZeroU16, String> {
    parse(text)
}

fn some32(text: &str) -> Result<NonZeroU32, String> {
    parse(text)
}

/// Appends a property; false if there is none of that name.
fn property(name: &str, value: &str, list: &mut PropertyList) -> Result<bool, String> {
    let property = match name {
        "format" => Property::PayloadFormat(value == "1"),
        "expiry" => Property::MessageExpiry(parse(value)?),
        "type" => Property::ContentType(value),
        "response" => Property::ResponseTopic(value),
        "correlation" => Property::CorrelationData(value.as_bytes()),
        "label" => Property::SubscriptionId(some32(value)?),
        "alias" => Property::TopicAlias(some16(value)?),
        "session-expiry" => Property::SessionExpiry(parse(value)?),
        "receive-maximum" => Property::ReceiveMaximum(some16(value)?),
        "alias-maximum" => Property::TopicAliasMaximum(parse(value)?),
        "packet-maximum" => Property::MaximumPacketSize(some32(value)?),
        "problems" => Property::RequestProblem(value == "1"),
        "responses" => Property::RequestResponse(value == "1"),
        "will-delay" => Property::WillDelay(parse(value)?),
        "method" => Property::AuthMethod(value),
        "data" => Property::AuthData(Secret(value.as_bytes())),
        _ => match name.strip_prefix("user.") {
            Some(key) => Property::UserProperty((key, value)),
            None => return Ok(false),
        },
    };
    list.push(&property).map_err(|e| e.to_string())?;
    Ok(true)
}

fn payload(text: String) -> Vec<u8> {
    let many = text.strip_prefix('*').and_then(|n| n.parse().ok());
    let hex = text.strip_prefix("hex:").map(unhex);
    many.map(|n| vec![b'*'; n]).or(hex).unwrap_or_else(|| text.into_bytes())
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn id(text: &str) -> Result<PacketId, String> {
    some16(text).map(PacketId)
}

fn qos(given: &mut Given, name: &str) -> Result<Qos, String> {
    let bits = given.number(name)?.unwrap_or(0);
    Qos::of(bits).ok_or_else(|| format!("no such QoS: {bits}"))
}

fn reason(given: &mut Given, place: Place) -> Result<Reason, String> {
    let Some(text) = given.take("reason") else { return Ok(Reason::Success) };
    let number = match text.strip_prefix("0x") {
        Some(hex) => u8::from_str_radix(hex, 16).map_err(|_| text.clone())?,
        None => parse(&text)?,
    };
    Reason::of(place, number).ok_or_else(|| format!("no such reason: {text}"))
}

impl Mqtt {
    fn put(&self, packet: &Packet<'_>) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        encode::packet(&mut out, self.version, usize::MAX, packet).map_err(|e| e.to_string())?;
        Ok(out)
    }

    fn connect(&mut self, mut given: Given) -> Result<Vec<u8>, String> {
        let word = given.first("a version")?;
        self.version = version(&word).ok_or_else(|| format!("no such version: {word}"))?;
        let will_properties = given.properties("w.")?;
        let will_qos = qos(&mut given, "will-qos")?;
        let will_retain = given.flag("will-retain");
        let will_payload = payload(given.take("will-payload").unwrap_or_default());
        let will_topic = given.take("will");
        let client = given.take("client").unwrap_or_default();
        let (user, password) = (given.take("user"), given.take("password"));
        let keep_alive = given.number("keep-alive")?.unwrap_or(0);
        let clean = given.flag("clean");
        let properties = given.properties("")?;
        given.nothing_left()?;
        let will = will_topic.as_ref().map(|topic| Will {
            qos: will_qos,
            retain: will_retain,
            topic,
            payload: &will_payload,
            properties: will_properties.properties(),
        });
        self.put(&Packet::Connect(Connect {
            version: self.version,
            clean,
            keep_alive,
            client_id: &client,
            will,
            user: user.as_deref(),
            password: password.as_ref().map(|p| Secret(p.as_bytes())),
            properties: properties.properties(),
        }))
    }

    fn publish(&self, mut given: Given) -> Result<Vec<u8>, String> {
        let topic = given.first("a topic")?;
        let payload = payload(given.first("a payload")?);
        let id = given.take("id").map(|n| id(&n)).transpose()?;
        let qos = qos(&mut given, "qos")?;
        let (dup, retain) = (given.flag("dup"), given.flag("retain"));
        let list = given.properties("")?;
        given.nothing_left()?;
        let properties = list.properties();
        let (topic, payload) = (topic.as_str(), payload.as_slice());
        self.put(&Packet::Publish(Publish { dup, qos, retain, topic, id, properties, payload }))
    }

    fn ack(&self, kind: &str, mut given: Given) -> Result<Vec<u8>, String> {
        let id = id(&given.first("an identifier")?)?;
        let place = match kind {
            "puback" => Place::Puback,
            "pubrec" => Place::Pubrec,
            "pubrel" => Place::Pubrel,
            _ => Place::Pubcomp,
        };
        let reason = reason(&mut given, place)?;
        given.nothing_left()?;
        let ack = Ack { id, reason, properties: Properties::NONE };
        self.put(&match place {
            Place::Puback => Packet::Puback(ack),
            Place::Pubrec => Packet::Pubrec(ack),
            Place::Pubrel => Packet::Pubrel(ack),
            _ => Packet::Pubcomp(ack),
        })
    }

    fn subscribe(&self, mut given: Given) -> Result<Vec<u8>, String> {
        let id = id(&given.first("an identifier")?)?;
        let list = given.properties("")?;
        let mut bytes = Vec::new();
        while let Ok(filter) = given.first("") {
            let mut options = Options::default();
            while let Some(word) = given.0.first().cloned() {
                match word.as_str() {
                    "no-local" => options.no_local = true,
                    "as-published" => options.retain_as_published = true,
                    "retained=1" => options.retain_handling = RetainHandling::IfNew,
                    "retained=2" => options.retain_handling = RetainHandling::Never,
                    word => match word.strip_prefix("qos=") {
                        Some(n) => options.qos = Qos::of(parse(n)?).ok_or("no QoS")?,
                        None => break,
                    },
                }
                given.0.remove(0);
            }
            let one = Subscription { filter: &filter, options };
            encode::subscription(&mut bytes, self.version, &one).map_err(|e| e.to_string())?;
        }
        let subscriptions = Subscriptions { version: self.version, bytes: &bytes };
        let properties = list.properties();
        self.put(&Packet::Subscribe(Subscribe { id, properties, subscriptions }))
    }

    fn unsubscribe(&self, mut given: Given) -> Result<Vec<u8>, String> {
        let id = id(&given.first("an identifier")?)?;
        let mut bytes = Vec::new();
        for filter in &given.0 {
            encode::filter(&mut bytes, filter).map_err(|e| e.to_string())?;
        }
        let (properties, filters) = (Properties::NONE, Filters(&bytes));
        self.put(&Packet::Unsubscribe(Unsubscribe { id, properties, filters }))
    }

    fn end(&self, kind: &str, mut given: Given) -> Result<Vec<u8>, String> {
        let auth = kind == "auth";
        let place = if auth { Place::ClientAuth } else { Place::ClientDisconnect };
        let reason = reason(&mut given, place)?;
        let list = given.properties("")?;
        given.nothing_left()?;
        let end = End { reason, properties: list.properties() };
        self.put(&if auth { Packet::Auth(end) } else { Packet::Disconnect(end) })
    }
}

impl Tongue for Mqtt {
    fn say(&mut self, line: &str) -> Result<Vec<u8>, String> {
        let mut words = Words::new(line);
        let kind = words.need("what is said")?;
        let given = Given(words.rest());
        match kind.as_str() {
            "connect" => self.connect(given),
            "publish" => self.publish(given),
            "puback" | "pubrec" | "pubrel" | "pubcomp" => self.ack(&kind, given),
            "subscribe" => self.subscribe(given),
            "unsubscribe" => self.unsubscribe(given),
            "pingreq" => self.put(&Packet::Pingreq),
            "disconnect" | "auth" => self.end(&kind, given),
            "hex" => {
                let version = given.0.first().and_then(|word| version(word));
                self.version = version.unwrap_or(self.version);
                let digits = given.0.iter().skip(usize::from(version.is_some()));
                Ok(digits.flat_map(|hex| unhex(hex)).collect())
            }
            "text" => Ok(given.0.join(" ").into_bytes()),
            other => Err(format!("no such packet: {other}")),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let mut at = 0;
        while let Ok(Cut::Whole(head, body)) = frame::cut(&self.rest[at..], usize::MAX) {
            lines.push(match decode::packet(Side::Server, self.version, head, body) {
                Ok(packet) => show(&packet),
                Err(e) => format!("{} that is none: {e}", head.kind.name()),
            });
            at += head.total();
        }
        self.rest.drain(..at);
        lines
    }
}
