//! What scripts do not show: the data of an authentication, byte by byte.

use crate::frame::{self, Cut};
use crate::packet::{Packet, Side, Version};
use crate::{Mqtt, Settings, decode, tongue};
use bytes::Bytes;
use lockgate_front::script::Tongue;
use lockgate_front::{Front, Memo, Output, Peer, Proof, Session, Verdict};
use lockgate_model::{Answer, Attached, Command, Event, Lane, Request, Time};
use std::net::{Ipv4Addr, SocketAddr};

const NOW: Time = Time(1_700_000_000_000_000);

fn open() -> Box<dyn Session> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    Mqtt::new(Settings::default()).open(&Peer { address, seed: 7, now: NOW })
}

/// The data of the one packet that the session has said.
fn said(out: &mut Output) -> Option<Vec<u8>> {
    let bytes = out.bytes.take();
    let Ok(Cut::Whole(head, body)) = frame::cut(&bytes, bytes.len()) else {
        panic!("{bytes:?} is no packet")
    };
    assert_eq!(head.total(), bytes.len());
    let data = match decode::packet(Side::Server, Version::V5, head, body).unwrap() {
        Packet::Auth(auth) => auth.properties.auth_data(),
        Packet::Connack(connack) => connack.properties.auth_data(),
        other => panic!("{other:?}"),
    };
    data.map(|data| data.0.to_vec())
}

#[test]
fn what_door_and_client_say_is_carried_as_it_is() {
    let (mut session, mut out) = (open(), Output::default());
    let mut tongue = tongue::Mqtt::default();
    let mut say = |line: &str| Bytes::from(tongue.say(line).unwrap());
    let connect = say("connect v5 client=c clean method=SCRAM-SHA-256 data=first");
    session.receive(&connect, NOW, &mut out);
    let Some(Proof::Opening { data, .. }) = out.login.take().map(|login| login.proof) else {
        panic!("no opening")
    };
    assert_eq!(data, b"first");
    assert!(!session.wants_input(), "the door is asked");
    let memo = Memo(b"memo".to_vec());
    let challenge = Verdict::Challenge { data: b"\0challenge\xff".to_vec(), memo: memo.clone() };
    session.admitted(challenge, NOW, &mut out);
    assert_eq!(said(&mut out).as_deref(), Some(&b"\0challenge\xff"[..]));
    session.receive(&say("auth reason=0x18 method=SCRAM-SHA-256 data=last"), NOW, &mut out);
    let Some(Proof::Answer { memo: given, data }) = out.login.take().map(|login| login.proof)
    else {
        panic!("no answer")
    };
    assert_eq!((given, &data[..]), (memo, &b"last"[..]));
    let (user, vhost) = ("u".into(), None);
    session.admitted(Verdict::Proven { user, vhost, data: b"final".to_vec() }, NOW, &mut out);
    let mut events: Vec<Event> = std::mem::take(&mut out.commands).into_iter().map(enter).collect();
    assert_eq!(events.len(), 2);
    session.events(&mut events, NOW, &mut out);
    assert_eq!(said(&mut out).as_deref(), Some(&b"final"[..]));
}

fn enter(command: Command) -> Event {
    let Command::Ask { ticket, request, .. } = command else { panic!("{command:?}") };
    let result = Ok(match request {
        Request::Attach(_) => Answer::Attached(Attached::default().into()),
        _ => Answer::Done,
    });
    Event::Answer { lane: Lane(0), ticket, result }
}
