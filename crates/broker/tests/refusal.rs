//! Records with sound checksums that no broker of ours can have written: replay refuses
//! them, and what it takes, whatever it says, does no harm.

use bytes::Bytes;
use lockgate_broker::record::{self, Change, kind};
use lockgate_broker::{Broker, NoJournal, Place, QueueId, Settings};
use lockgate_model::*;

const QUEUE: QueueId = QueueId(8);

fn broker() -> Broker {
    let settings = Settings {
        queue_resident: 100_000,
        resident_max: 1_000_000,
        seed: 7,
        ..Settings::default()
    };
    let mut broker = Broker::new(settings);
    broker.make_vhost("/", &mut NoJournal);
    // The vhost has the lowest id: a queue in it, as the log says it.
    let (vhost, _) = broker.vhosts().next().expect("one was made");
    let spec = QueueSpec {
        name: "q".into(),
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments: Table::default(),
    };
    let change = Change::QueueDeclared { vhost, id: QUEUE, spec, owner: None };
    let mut body = Vec::new();
    record::write_change(&change, &mut body);
    assert!(replay(&mut broker, kind::MADE, &body));
    broker
}

fn replay(broker: &mut Broker, kind: u8, body: &[u8]) -> bool {
    let place = Place { pos: 5_000, len: body.len() as u32 + 29 };
    broker.replay(kind, body, place, &mut NoJournal).is_ok()
}

fn enqueued(targets: &[(QueueId, u64)], expiration: &str) -> Vec<u8> {
    let mut head = Vec::new();
    let expiration = Some(Bytes::copy_from_slice(expiration.as_bytes()));
    Properties { expiration, ..Properties::default() }.encode(&mut head);
    let mut body = Vec::new();
    let run = Run::single("", b"q", &head, b"body", false);
    record::write_enqueued(targets, Time(9), &run, 0, 1, &mut body);
    body
}

#[test]
fn entries_go_up_and_never_beyond_what_a_log_can_hold() {
    let mut b = broker();
    assert!(replay(&mut b, kind::ENQUEUED, &enqueued(&[(QUEUE, 5)], "10")));
    assert!(!replay(&mut b, kind::ENQUEUED, &enqueued(&[(QUEUE, 5)], "10")), "twice the same");
    assert!(replay(&mut b, kind::ENQUEUED, &enqueued(&[(QUEUE, 6)], "10")));
    assert!(!replay(&mut b, kind::ENQUEUED, &enqueued(&[(QUEUE, u64::MAX)], "10")));
    assert_eq!(b.counts().messages, 2);
}

#[test]
fn entries_move_to_where_entries_can_be() {
    let mut b = broker();
    let moved = |first| [&[0; 12][..], &enqueued(&[(QUEUE, first)], "10")].concat();
    assert!(replay(&mut b, kind::MOVED, &moved(0)), "what is gone has not moved");
    assert!(!replay(&mut b, kind::MOVED, &moved(u64::MAX)));
}

#[test]
fn a_snapshot_holds_no_more_than_a_queue_can() {
    let held = |next: u64, count: u32, skip: u32, bytes: u64| {
        let mut body = QUEUE.0.to_le_bytes().to_vec();
        body.extend(next.to_le_bytes());
        body.extend(1u32.to_le_bytes());
        body.extend(3u64.to_le_bytes());
        body.extend([count.to_le_bytes(), skip.to_le_bytes()].concat());
        body.extend([&[0; 12][..], &[0xff; 4], &bytes.to_le_bytes(), &[0; 4]].concat());
        body
    };
    assert!(replay(&mut broker(), kind::HELD, &held(9, 4, 0, 100)));
    for odd in [held(9, 0, 0, 100), held(9, u32::MAX, 0, 100), held(9, 4, u32::MAX, 100)] {
        assert!(!replay(&mut broker(), kind::HELD, &odd));
    }
    assert!(!replay(&mut broker(), kind::HELD, &held(9, 4, 0, u64::MAX)));
    assert!(!replay(&mut broker(), kind::HELD, &held(u64::MAX, 4, 0, 100)));
}

#[test]
fn a_message_may_wish_to_live_for_ever() {
    let mut b = broker();
    let longest = u64::MAX.to_string();
    assert!(replay(&mut b, kind::ENQUEUED, &enqueued(&[(QUEUE, 0)], &longest)));
    b.recovered(true, Time(10), &mut NoJournal);
    b.tick(Time(1 << 60), &mut NoJournal, &mut Default::default());
    assert_eq!(b.counts().messages, 1, "it is not due");
}

#[test]
fn a_record_that_names_a_queue_twice_moves_whole() {
    let mut b = broker();
    let body = enqueued(&[(QUEUE, 0), (QUEUE, 1)], "10");
    assert!(replay(&mut b, kind::ENQUEUED, &body));
    b.recovered(true, Time(10), &mut NoJournal);
    let place = Place { pos: 5_000, len: body.len() as u32 + 29 };
    b.relocate(kind::ENQUEUED, &body.into(), place, &mut NoJournal).expect("it is sound");
    assert!(b.live_places(5_000, 5_001).is_empty(), "none is left behind");
}
