//! Deliveries are laid out from what they have in common; what they do not have in
//! common must still be each one's own.

use crate::tongue::Amqp;
use crate::{Amqp091, Settings};
use bytes::Bytes;
use lockgate_front::script::Tongue;
use lockgate_front::{Front, Output, Peer, Session, Verdict};
use lockgate_model::{
    Answer, Command, Consumer, Delivery, Event, Lane, LeaseId, Name, Run, RunBuilder, Stamp, Time,
};
use proptest::prelude::*;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// A session with two consumers, `a` on channel 1 and `b` on channel 2.
fn consumers() -> (Box<dyn Session>, Output) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let mut s = Amqp091::new(Settings::default()).open(&Peer { address, seed: 1, now: Time(0) });
    let (mut out, mut tongue) = (Output::default(), Amqp::default());
    s.receive(&Bytes::from_static(b"AMQP\x00\x00\x09\x01"), Time(0), &mut out);
    let mut say = |lines: &[&str], s: &mut dyn Session, out: &mut Output| {
        let bytes: Vec<u8> = lines.iter().flat_map(|l| tongue.say(l).expect(l)).collect();
        s.receive(&Bytes::from(bytes), Time(0), out);
    };
    say(&["login PLAIN guest secret"], s.as_mut(), &mut out);
    s.admitted(Verdict::Admitted(Name::from("guest")), Time(0), &mut out);
    let tune = "0 connection.tune_ok channel_max=9 frame_max=4096";
    say(&[tune, "0 connection.open virtual_host=/"], s.as_mut(), &mut out);
    if let Some(Command::Ask { lane, ticket, .. }) = out.commands.pop() {
        let result = Ok(Answer::Done);
        s.events(&mut vec![Event::Answer { lane, ticket, result }], Time(0), &mut out);
    }
    let a = "1 basic.consume queue=q consumer_tag=a no_wait";
    let b = "2 basic.consume queue=q consumer_tag=b no_wait";
    say(&["1 channel.open", "2 channel.open", a, b], s.as_mut(), &mut out);
    out.bytes.take();
    (s, out)
}

/// One message: route, property list, body size.
type Message = (u8, u8, usize);

fn run(messages: &[Message]) -> Arc<Run> {
    let mut run = RunBuilder::default();
    for (route, head, size) in messages {
        let (exchange, key) =
            (["", "x"][usize::from(route / 2)], [b"k1", b"k2"][usize::from(route % 2)]);
        let head: &[u8] = [&[0, 0][..], &[0x10, 0, 1], &[0x10, 0, 2]][usize::from(*head)];
        run.push(exchange.as_bytes(), key, false, head, &vec![b'*'; *size], false, 0);
    }
    Arc::new(run.finish())
}

/// What a client must hear of one message.
fn lines(channel: u16, tag: u64, redelivered: bool, (route, head, size): Message) -> Vec<String> {
    let consumer = ["a", "b"][usize::from(channel) - 1];
    let redelivered = if redelivered { " redelivered" } else { "" };
    let exchange = ["", " exchange=\"x\""][usize::from(route / 2)];
    let key = ["k1", "k2"][usize::from(route % 2)];
    let head = ["", " properties=[10, 0, 1]", " properties=[10, 0, 2]"][usize::from(head)];
    let mut lines = vec![
        format!(
            "{channel} basic.deliver consumer_tag=\"{consumer}\" delivery_tag={tag}\
             {redelivered}{exchange} routing_key=\"{key}\""
        ),
        format!("{channel} header size={size}{head}"),
    ];
    let mut left = size;
    while left > 0 {
        let n = left.min(4088);
        lines.push(if n > 64 {
            format!("{channel} body {n} bytes")
        } else {
            format!("{channel} body \"{}\"", "*".repeat(n))
        });
        left -= n;
    }
    lines
}

fn message() -> impl Strategy<Value = Message> {
    let size =
        prop_oneof![3 => 0..4usize, 1 => 60..70usize, 1 => 4080..4100usize, 1 => 8170..8190usize];
    (0..4u8, 0..3u8, size)
}

proptest! {
    #[test]
    fn each_message_is_delivered_as_itself(
        deliveries in prop::collection::vec(
            (prop::collection::vec(message(), 1..8), 1..3u16, any::<bool>(), 1..4u32, 0..3u32),
            1..8,
        )
    ) {
        let (mut s, mut out) = consumers();
        let (mut tags, mut expected, mut events) = ([0u64; 2], Vec::new(), Vec::new());
        for (messages, channel, redelivered, step, first) in deliveries {
            let first = first.min(messages.len() as u32 - 1);
            let taken: Vec<Message> =
                messages.iter().copied().skip(first as usize).step_by(step as usize).collect();
            for m in &taken {
                let tag = &mut tags[usize::from(channel) - 1];
                *tag += 1;
                expected.extend(lines(channel, *tag, redelivered, *m));
            }
            events.push(Event::Deliver(Delivery {
                lane: Lane(channel),
                consumer: Consumer(channel.into()),
                run: run(&messages),
                first,
                step,
                count: taken.len() as u32,
                number: 0,
                lease: Some(LeaseId(events.len() as u32)),
                redelivered,
                stamp: Stamp::None,
                cost: 10,
            }));
        }
        let cost = 10 * events.len() as u64;
        s.events(&mut events, Time(0), &mut out);
        prop_assert_eq!(Amqp::default().hear(&out.bytes.take()), expected);
        prop_assert_eq!(out.delivered, cost);
    }
}

#[test]
fn a_stamp_is_a_header_and_counts_with_the_messages() {
    let said = |stamp: Stamp, step: u32| {
        let (mut s, mut out) = consumers();
        let delivery = Delivery {
            lane: Lane(1),
            consumer: Consumer(1),
            run: run(&[(0, 1, 1); 4]),
            first: 0,
            step,
            count: 4 / step,
            number: 0,
            lease: None,
            redelivered: false,
            stamp,
            cost: 1,
        };
        s.events(&mut vec![Event::Deliver(delivery)], Time(0), &mut out);
        let heard = Amqp::default().hear(&out.bytes.take());
        heard.into_iter().filter(|l| l.contains(" header ")).collect::<Vec<_>>()
    };
    let line = |name: &str, number: i64| {
        let mut head = Vec::new();
        lockgate_model::put_header(&[0x10, 0, 1], name, number, &mut head);
        format!("1 header size=1 properties={head:x?}")
    };
    let offsets = [line("x-stream-offset", 40), line("x-stream-offset", 42)];
    assert_eq!(said(Stamp::Offset(40), 2), offsets);
    assert_eq!(said(Stamp::Attempts(3), 2), [(); 2].map(|()| line("x-delivery-count", 3)));
    assert_eq!(said(Stamp::None, 4), ["1 header size=1 properties=[10, 0, 1]"]);
}
