//! SCRAM-SHA-256 over MQTT 5 on the real binary, by a client that is written from the texts:
//! who proves itself comes in and learns who the broker is, who does not learns nothing.

use lockgate_mqtt::frame::{self, Cut};
use lockgate_mqtt::packet::{Connect, End, Packet, Publish, Qos, Secret, Side, Version};
use lockgate_mqtt::property::{Properties, Property, PropertyList};
use lockgate_mqtt::reason::Reason;
use lockgate_mqtt::{decode, encode, packet::PacketId};
use lockgate_tests::PATIENCE;
use lockgate_tests::broker::{Broker, Options, run};
use lockgate_tests::scram::Scram;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU16;

const METHOD: &str = "SCRAM-SHA-256";

/// What the broker says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Auth(Reason, String),
    Connack(Reason, String),
    Puback(u16),
    Disconnect(Reason),
    End,
}

/// A client on a bare socket.
struct Peer {
    stream: TcpStream,
    unread: Vec<u8>,
}

fn list(method: &str, data: Option<&str>) -> PropertyList {
    let mut list = PropertyList::default();
    list.push(&Property::AuthMethod(method)).unwrap();
    if let Some(data) = data {
        list.push(&Property::AuthData(Secret(data.as_bytes()))).unwrap();
    }
    list
}

impl Peer {
    /// Says CONNECT with a method.
    fn new(broker: &Broker, method: &str, data: Option<&str>) -> Peer {
        let stream = TcpStream::connect(broker.mqtt).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Peer { stream, unread: Vec::new() };
        peer.say(&Packet::Connect(Connect {
            version: Version::V5,
            clean: true,
            keep_alive: 60,
            client_id: "",
            will: None,
            user: None,
            password: None,
            properties: list(method, data).properties(),
        }));
        peer
    }

    fn say(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        encode::packet(&mut bytes, Version::V5, usize::MAX, packet).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    fn auth(&mut self, reason: Reason, data: &str) {
        let list = list(METHOD, Some(data));
        self.say(&Packet::Auth(End { reason, properties: list.properties() }));
    }

    fn publish(&mut self, id: u16) {
        self.say(&Packet::Publish(Publish {
            dup: false,
            qos: Qos::AtLeastOnce,
            retain: false,
            topic: "a/b",
            id: NonZeroU16::new(id).map(PacketId),
            properties: Properties::NONE,
            payload: b"x",
        }));
    }

    fn hear(&mut self) -> Said {
        loop {
            if let Ok(Cut::Whole(head, body)) = frame::cut(&self.unread, usize::MAX) {
                let packet = decode::packet(Side::Server, Version::V5, head, body).unwrap();
                let data = |p: Properties<'_>, reason: Reason| {
                    assert_eq!(p.auth_method(), (!reason.is_error()).then_some(METHOD));
                    let data = p.auth_data().map(|data| data.0.to_vec());
                    (reason, String::from_utf8(data.unwrap_or_default()).unwrap())
                };
                let said = match packet {
                    Packet::Auth(auth) => {
                        let (reason, data) = data(auth.properties, auth.reason);
                        Said::Auth(reason, data)
                    }
                    Packet::Connack(connack) => {
                        let (reason, data) = data(connack.properties, connack.reason);
                        Said::Connack(reason, data)
                    }
                    Packet::Puback(ack) => Said::Puback(ack.id.0.get()),
                    Packet::Disconnect(end) => Said::Disconnect(end.reason),
                    other => panic!("{other:?}"),
                };
                self.unread.drain(..head.total());
                return said;
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).expect("it says something or closes") {
                0 => return Said::End,
                n => self.unread.extend_from_slice(&bytes[..n]),
            }
        }
    }

    fn challenge(&mut self) -> String {
        match self.hear() {
            Said::Auth(Reason::ContinueAuthentication, challenge) => challenge,
            other => panic!("{other:?}"),
        }
    }
}

/// A client that has said who it is and what the broker answers it in the end.
fn tried(broker: &Broker, user: &str, password: &str) -> (Peer, Said, String) {
    let scram = Scram::new(user, password);
    let mut peer = Peer::new(broker, METHOD, Some(&scram.first()));
    let proof = scram.answer(&peer.challenge());
    peer.auth(Reason::ContinueAuthentication, &proof.last);
    let said = peer.hear();
    (peer, said, proof.expected)
}

fn comes_in(broker: &Broker, user: &str, password: &str) -> Peer {
    let (peer, said, expected) = tried(broker, user, password);
    assert_eq!(said, Said::Connack(Reason::Success, expected), "{user}");
    peer
}

fn is_refused(broker: &Broker, user: &str, password: &str) {
    let (mut peer, said, _) = tried(broker, user, password);
    assert_eq!(said, Said::Connack(Reason::NotAuthorized, String::new()), "{user}");
    assert_eq!(peer.hear(), Said::End);
}

/// Has a broker import users and their rights.
fn import(broker: &Broker, definitions: &serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("definitions.json");
    std::fs::write(&file, definitions.to_string()).unwrap();
    let data = broker.data().to_str().unwrap();
    let words = ["definitions", "import", file.to_str().unwrap(), "--data-dir", data];
    let (code, _, err) = run(&words, &[]);
    assert_eq!(code, 0, "{err}");
}

fn told(password: &str) -> serde_json::Value {
    let all = |vhost: &str| json!({"user": "told", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
    json!({
        "users": [{"name": "told", "password": password, "tags": ""}],
        "vhosts": [{"name": "v"}, {"name": "other"}],
        "permissions": [all("/"), all("v")],
    })
}

#[test]
fn who_knows_the_password_comes_in_and_hears_that_the_broker_does_too() {
    let broker = Broker::start(Options::default());
    let mut peer = comes_in(&broker, "guest", "guest");
    peer.publish(1);
    assert_eq!(peer.hear(), Said::Puback(1));
    let broker = {
        broker.kill();
        broker.again()
    };
    comes_in(&broker, "guest", "guest");
    // Who names its method only is asked for the rest.
    let scram = Scram::new("guest", "guest");
    let mut peer = Peer::new(&broker, METHOD, None);
    assert_eq!(peer.challenge(), "");
    peer.auth(Reason::ContinueAuthentication, &scram.first());
    let proof = scram.answer(&peer.challenge());
    peer.auth(Reason::ContinueAuthentication, &proof.last);
    assert_eq!(peer.hear(), Said::Connack(Reason::Success, proof.expected));
}

#[test]
fn a_client_proves_itself_again_while_it_works() {
    let broker = Broker::start(Options::default());
    import(&broker, &told("before"));
    let mut peer = comes_in(&broker, "told", "before");
    let again = |peer: &mut Peer, password: &str| {
        let scram = Scram::new("told", password);
        peer.auth(Reason::Reauthenticate, &scram.first());
        peer.publish(7);
        let (mut challenge, mut acknowledged) = (None, false);
        while challenge.is_none() || !acknowledged {
            match peer.hear() {
                Said::Auth(Reason::ContinueAuthentication, data) => challenge = Some(data),
                Said::Puback(7) => acknowledged = true,
                other => panic!("{other:?}"),
            }
        }
        let proof = scram.answer(&challenge.unwrap());
        peer.auth(Reason::ContinueAuthentication, &proof.last);
        (peer.hear(), proof.expected)
    };
    let (said, expected) = again(&mut peer, "before");
    assert_eq!(said, Said::Auth(Reason::Success, expected));
    import(&broker, &told("after"));
    assert_eq!(again(&mut peer, "before").0, Said::Disconnect(Reason::NotAuthorized));
    assert_eq!(peer.hear(), Said::End);
    comes_in(&broker, "told", "after");
}

#[test]
fn who_does_not_is_refused_whoever_it_says_it_is() {
    let broker = Broker::start(Options::default());
    import(
        &broker,
        &json!({"users": [
            {"name": "hashed", "tags": "", "password_hash": "A".repeat(48)},
            {"name": "none", "tags": "", "password_hash": ""},
        ]}),
    );
    // At the same time: each is kept waiting, to slow guessing.
    std::thread::scope(|scope| {
        for user in ["guest", "nobody", "none", "hashed"] {
            let broker = &broker;
            scope.spawn(move || is_refused(broker, user, "wrong"));
        }
    });
    for why in ["wrong password", "no such user", "this user has no password", "only a hash of"] {
        assert!(broker.process.logged(why).is_some(), "{why}");
    }
    // Nothing in what is said tells the known from the unknown, nor does it change.
    let challenge = |user: &str| {
        let scram = Scram::new(user, "");
        let said = Peer::new(&broker, METHOD, Some(&scram.first())).challenge();
        said.split(',').skip(1).map(String::from).collect::<Vec<_>>()
    };
    let (known, unknown) = (challenge("guest"), challenge("nobody"));
    assert_eq!(unknown, challenge("nobody"));
    assert_ne!(unknown, challenge("somebody"));
    assert_eq!(known[1], unknown[1], "iterations");
    assert_eq!(known[0].len(), unknown[0].len(), "salts");
}

#[test]
fn the_name_says_the_virtual_host_and_rights_hold_there() {
    let broker = Broker::start(Options::default());
    import(&broker, &told("t"));
    comes_in(&broker, "v:told", "t");
    for vhost in ["other", "nowhere"] {
        let (_, said, _) = tried(&broker, &format!("{vhost}:told"), "t");
        assert!(matches!(said, Said::Connack(reason, _) if reason.is_error()), "{said:?}");
    }
}

#[test]
fn other_methods_and_channel_binding_are_refused() {
    let broker = Broker::start(Options::default());
    let first = Scram::new("guest", "guest").first();
    let refused = |method: &str, data: &str| Peer::new(&broker, method, Some(data)).hear();
    for method in ["SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "PLAIN", ""] {
        let said = Said::Connack(Reason::BadAuthenticationMethod, String::new());
        assert_eq!(refused(method, &first), said, "{method}");
    }
    let bound = first.replace("n,,", "p=tls-exporter,,");
    assert_eq!(refused(METHOD, &bound), Said::Connack(Reason::NotAuthorized, String::new()));
}
