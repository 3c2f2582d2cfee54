//! What the client answers, and what is left when any order of it is over.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

#[test]
fn qos_1_is_settled_by_puback_and_unknown_ones_are_passed_over() {
    let mut b = Bench::new(TERMS, &[interest("a", 2, 0)]);
    let all: Vec<Message> = (0..4).map(|_| Message::new("a", 1, "x")).collect();
    b.deliver(&delivery(SETTLING, &all));
    for id in [1, 2, 3] {
        b.outbound.puback(id_of(id), Reason::Success, &mut b.out).unwrap();
    }
    assert_eq!(b.turn(), ["! Accept 0+3"]);
    assert!(b.puback(1, Reason::Success).is_empty());
    assert_eq!(b.puback(4, Reason::Unspecified), ["! Discard 3+1"], "[MQTT-4.8.2-6]");
}

#[test]
fn qos_2_is_released_when_its_reception_is_safe_mqtt_4_3_3() {
    let mut b = Bench::new(TERMS, &[interest("a", 2, 0)]);
    let all: Vec<Message> = (0..4).map(|_| Message::new("a", 2, "x")).collect();
    b.deliver(&delivery(SETTLING, &all));
    b.outbound.pubrec(id_of(1), Reason::Success, &mut b.out).unwrap();
    b.outbound.pubrec(id_of(2), Reason::NoMatchingSubscribers, &mut b.out).unwrap();
    assert_eq!(b.turn(), ["! received 0 [1, 2] as 0"]);
    assert!(b.pubrec(1, Reason::Success).is_empty(), "not safe yet");
    assert_eq!(b.confirmed(0, 2), ["PUBREL 1", "PUBREL 2"]);
    assert_eq!(b.pubrec(1, Reason::Success), ["PUBREL 1"], "it had not come");
    assert_eq!(b.pubcomp(1), ["! completed 1"]);
    assert!(b.pubcomp(1).is_empty());
    assert_eq!(b.pubrec(1, Reason::Success), ["PUBREL 1 PacketIdNotFound"]);
    assert_eq!(b.pubrec(3, Reason::QuotaExceeded), ["! Discard 2+1"]);
    assert!(b.puback(4, Reason::Success).is_empty() && b.pubcomp(4).is_empty());
    assert_eq!(b.pubrec(4, Reason::Success), ["! received 3 [4] as 2"]);
}

#[test]
fn a_client_of_3_1_1_is_told_to_go_on_with_what_is_not_known() {
    let mut b = Bench::new(Terms { version: Version::V311, ..TERMS }, &[]);
    assert_eq!(b.pubrec(9, Reason::Success), ["PUBREL 9"]);
}

#[test]
fn what_was_received_before_is_released_again_first_mqtt_4_4_0_1() {
    let terms = Terms { in_flight_max: 3, ..TERMS };
    let mut b = Bench::resumed(terms, &[interest("a", 2, 0)], &[2, 40_000]);
    assert_eq!(b.turn(), ["PUBREL 2", "PUBREL 40000"]);
    let again: Vec<Message> = (0..3).map(|n| Message::new("a", 2, &n.to_string())).collect();
    let d = Delivery { redelivered: true, ..delivery(SETTLING, &again) };
    assert_eq!(b.deliver(&d), ["a 0 q2 1 dup"], "2 is in use");
    assert_eq!(b.pubcomp(2), ["a 1 q2 2 dup", "! completed 2"]);
    assert_eq!(b.pubrec(40_000, Reason::Success), ["PUBREL 40000"]);
    assert_eq!(b.pubcomp(40_000), ["a 2 q2 3 dup", "! completed 40000"]);
}

#[test]
fn a_shared_message_with_qos_2_is_received_like_any_other() {
    let mut b = Bench::new(TERMS, &[interest("$share/g/a", 2, 0)]);
    let d = delivery(Consumer(2), &[Message::new("a", 2, "x")]);
    assert_eq!(b.deliver(&d), ["a x q2 44072"]);
    assert_eq!(b.pubrec(44_072, Reason::Success), ["! received 0 [44072] as 0"]);
    assert_eq!(b.confirmed(0, 1), ["PUBREL 44072"]);
    assert_eq!(b.pubcomp(44_072), ["! completed 44072"]);
}

/// What a client has of a packet identifier.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Open {
    One,
    Two,
    Rec,
    Rel,
}

/// A client and a broker of the simplest kind.
#[derive(Default)]
struct Both {
    /// By identifier.
    open: BTreeMap<u16, Open>,
    /// Tickets of receptions that are not confirmed.
    asked: VecDeque<(u64, u32)>,
    /// Entries that are done with, by lease.
    done: BTreeSet<(u32, u32)>,
    /// The last message of each consumer.
    last: BTreeMap<bool, u32>,
}

impl Both {
    /// Takes in what was sent and asked.
    fn hear(&mut self, b: &mut Bench, max: usize) {
        b.outbound.flush(NOW, &mut b.out);
        let bytes = b.out.bytes.take();
        packets(&bytes, Version::V5, |packet| match packet {
            Packet::Publish(p) => {
                let shared = p.topic == "s";
                let number: u32 = std::str::from_utf8(p.payload).unwrap().parse().unwrap();
                assert!(self.last.insert(shared, number).is_none_or(|last| last < number));
                let Some(id) = p.id else { return };
                let open = if p.qos.bits() == 2 { Open::Two } else { Open::One };
                assert!(self.open.insert(id.0.get(), open).is_none(), "in use twice");
                assert!(self.open.len() <= max);
                assert_eq!(id.0.get() > Mark::OWN, shared);
            }
            Packet::Pubrel(a) => {
                assert_eq!(a.reason, Reason::Success);
                // One that was asked for again may come when all is over.
                if let Some(open) = self.open.get_mut(&a.id.0.get()) {
                    assert!(matches!(open, Open::Rec | Open::Rel));
                    *open = Open::Rel;
                }
            }
            other => panic!("{other:?}"),
        });
        for command in b.out.commands.drain(..) {
            match command {
                Command::Settle { lease, from, count, outcome } => {
                    assert_eq!(outcome, Outcome::Accept);
                    self.settle(lease, from, count);
                }
                Command::Received { lease, from, marks, confirm, .. } => {
                    self.settle(lease, from, marks.len() as u32);
                    self.asked.push_back((confirm.0 & !RECEIVED, marks.len() as u32));
                }
                Command::Completed(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn settle(&mut self, lease: LeaseId, from: u32, count: u32) {
        for at in from..from + count {
            assert!(self.done.insert((lease.0, at)), "settled twice");
        }
    }

    fn answer(&mut self, b: &mut Bench, step: u8, n: usize) {
        if step == 0 {
            if let Some((first, count)) = self.asked.pop_front() {
                // They may come in parts.
                b.outbound.confirmed(Ticket(RECEIVED | first), 1, &mut b.out);
                if count > 1 {
                    self.asked.push_front((first + 1, count - 1));
                }
            }
            return;
        }
        let Some((&id, &open)) = self.open.iter().nth(n % self.open.len().max(1)) else { return };
        let (outbound, out) = (&mut b.outbound, &mut b.out);
        match open {
            Open::One => {
                self.open.remove(&id);
                outbound.puback(id_of(id), Reason::Success, out).unwrap();
            }
            Open::Two | Open::Rec => {
                self.open.insert(id, Open::Rec);
                outbound.pubrec(id_of(id), Reason::Success, out).unwrap();
            }
            Open::Rel if step == 1 => outbound.pubrec(id_of(id), Reason::Success, out).unwrap(),
            Open::Rel => {
                self.open.remove(&id);
                outbound.pubcomp(id_of(id), Reason::Success, out).unwrap();
            }
        }
    }
}

proptest! {
    #[test]
    fn any_order_of_answers_settles_each_entry_once_and_uses_no_identifier_twice(
        steps in prop::collection::vec((0..6u8, 0..8usize, 0..3u8), 1..200),
        max in 1..6u16,
    ) {
        let interests = [interest("a", 2, 0), interest("$share/g/s", 2, 0)];
        let mut b = Bench::new(Terms { in_flight_max: max, ..TERMS }, &interests);
        let (mut both, mut sent, mut costs) = (Both::default(), 0_u32, 0);
        let mut leased = BTreeSet::new();
        for (lease, (step, n, qos)) in (0..).zip(steps) {
            if step >= 3 {
                let (topic, handle) = if step == 5 { ("s", Consumer(3)) } else { ("a", SETTLING) };
                let mut message = || {
                    sent += 1;
                    Message::new(topic, (qos + (sent % 3) as u8) % 3, &sent.to_string())
                };
                let all: Vec<Message> = (0..=n % 4).map(|_| message()).collect();
                // Few marks, so that they meet.
                let number = u64::from(lease % 3) * 2 + u64::from(Mark::OWN) * u64::from(lease);
                let lease_id = LeaseId(lease);
                let d = Delivery { number, lease: Some(lease_id), ..delivery(handle, &all) };
                leased.extend((0..d.count).map(|at| (lease, at)));
                costs += d.cost;
                b.outbound.deliver(&d, NOW, &mut b.out);
            } else {
                both.answer(&mut b, step, n);
            }
            if n % 2 == 0 {
                both.hear(&mut b, max.into());
            }
        }
        // Once everything is answered, everything is done with, once.
        for n in 0..5_000 {
            both.hear(&mut b, max.into());
            if both.open.is_empty() && both.asked.is_empty() && b.outbound.waiting.is_empty() {
                break;
            }
            both.answer(&mut b, if n % 2 == 0 { 0 } else { 2 }, n);
        }
        prop_assert_eq!(both.done, leased);
        prop_assert_eq!(b.out.delivered, costs);
    }
}
