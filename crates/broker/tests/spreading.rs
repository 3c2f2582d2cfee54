//! Exchanges that choose: by the hash of a message, by its key's remainder, by chance.

mod kit;

use bytes::Bytes;
use kit::{World, is_returned, table, texts, to};
use lockgate_model::*;
use std::sync::Arc;

const QUEUES: [&str; 3] = ["a", "b", "c"];

/// An exchange `x` of that kind with three queues bound by these keys.
fn world(kind: ExchangeKind, arguments: Table, keys: [&'static str; 3]) -> World {
    let mut w = World::with(&QUEUES);
    w.exchange("x", kind, arguments).unwrap();
    for (queue, key) in QUEUES.iter().zip(keys) {
        w.bind("x", to(queue), key);
    }
    w
}

/// What came to the queues since last asked.
fn counts(w: &mut World) -> [usize; 3] {
    QUEUES.map(|q| w.drain(q).len())
}

fn spread(w: &mut World, messages: usize) -> [usize; 3] {
    (0..messages).for_each(|n| drop(w.publish("x", &format!("key {n}"), None)));
    counts(w)
}

fn bind(w: &mut World, queue: &str, key: &[u8]) -> Result<Answer, Refusal> {
    let (key, arguments) = (Bytes::copy_from_slice(key), Table::default());
    w.ask(Request::Bind(Binding { source: "x".into(), destination: to(queue), key, arguments }))
}

#[test]
fn a_hash_spreads_keys_by_weight_and_keeps_each_to_one_queue() {
    let mut w = world(ExchangeKind::ConsistentHash, Table::default(), ["1", "2", "5"]);
    let got = spread(&mut w, 8_000);
    for (n, due) in got.iter().zip([1_000, 2_000, 5_000]) {
        assert!((*n as f64 / f64::from(due) - 1.0).abs() < 0.15, "{got:?}");
    }
    (0..50).for_each(|_| drop(w.publish("x", "the same", None)));
    let mut same = counts(&mut w);
    same.sort_unstable();
    assert_eq!(same, [0, 0, 50]);
}

#[test]
fn a_queue_that_goes_leaves_the_others_their_keys_and_finds_its_own_when_it_is_back() {
    let mut w = world(ExchangeKind::ConsistentHash, Table::default(), ["1", "1", "1"]);
    let whereabouts = |w: &mut World| -> Vec<Option<usize>> {
        let find = |n| {
            w.publish("x", &format!("key {n}"), None);
            counts(w).iter().position(|count| *count > 0)
        };
        (0..300).map(find).collect()
    };
    let before = whereabouts(&mut w);
    let (if_unused, if_empty) = (false, false);
    w.ask(Request::DeleteQueue { name: "b".into(), if_unused, if_empty }).unwrap();
    w.queue("b", Table::default()).unwrap();
    let without = whereabouts(&mut w);
    for (was, is) in before.iter().zip(&without) {
        assert!(is.is_some() && (was == is || *was == Some(1)), "{was:?} moved to {is:?}");
    }
    // Declared anew it has another id, and the same name.
    w.bind("x", to("b"), "1");
    assert_eq!(whereabouts(&mut w), before);
}

#[test]
fn a_hash_is_of_a_header_or_of_a_property_if_the_exchange_says_so() {
    let arguments =
        ["hash-header", "x-hash-on"].map(|name| table(&[(name, Value::text("customer"))]));
    for arguments in arguments {
        let mut w = world(ExchangeKind::ConsistentHash, arguments, ["1", "1", "1"]);
        for n in 0..40 {
            let customer = table(&[("customer", Value::text("one"))]);
            w.publish("x", &format!("key {n}"), Some(customer));
        }
        assert!(counts(&mut w).contains(&40));
        for n in 0..300 {
            w.publish("x", "key", Some(table(&[("customer", Value::I32(n))])));
        }
        assert!(counts(&mut w).iter().all(|n| *n > 50));
        (0..40).for_each(|n| drop(w.publish("x", &format!("key {n}"), None)));
        assert!(counts(&mut w).contains(&40), "without the header all go one way");
    }
    let arguments = table(&[("hash-property", Value::text("message_id"))]);
    let mut w = world(ExchangeKind::ConsistentHash, arguments, ["1", "1", "1"]);
    for n in 0..300 {
        let message_id = Some(Bytes::from(format!("id {}", n / 100)));
        let mut head = Vec::new();
        Properties { message_id, ..Properties::default() }.encode(&mut head);
        let run = Arc::new(Run::single("x", format!("key {n}").as_bytes(), &head, b"", false));
        w.run(Command::Publish { lane: Lane(1), run, confirm: None });
    }
    assert!(counts(&mut w).iter().all(|n| n % 100 == 0));
}

#[test]
fn what_a_hash_exchange_cannot_be_is_refused_in_rabbitmqs_words() {
    let mut w = World::with(&["a"]);
    let mut declared = |arguments: &[(&str, Value)]| {
        let declared = w.exchange("x", ExchangeKind::ConsistentHash, table(arguments));
        declared.err().map(|e| if let Refusal::Limit(text) = e { text } else { panic!("{e:?}") })
    };
    let text = Value::text;
    let both = "hash-header and hash-property are mutually exclusive";
    let header = ("hash-header", text("h"));
    assert_eq!(declared(&[header.clone(), ("hash-property", text("message_id"))]).unwrap(), both);
    let odd = declared(&[("hash-property", text("bogus"))]);
    assert_eq!(odd.unwrap(), "Unsupported property: bogus");
    let number = declared(&[("hash-header", Value::I32(5))]);
    assert_eq!(number.unwrap(), "invalid type 'signedint' for arg 'hash-header'");
    assert_eq!(declared(&[header]), None);
    let other = w.exchange("x", ExchangeKind::ConsistentHash, Table::default());
    assert!(
        matches!(other, Err(Refusal::Inequivalent { field, .. }) if field == "hash-header"),
        "the second would spread by something else"
    );
    let texts = [
        (&b""[..], "The binding key must be an integer: <<>>"),
        (b"x", "The binding key must be an integer: <<\"x\">>"),
        (b"1\xff", "The binding key must be an integer: <<49,255>>"),
        (b"0", "The binding key must be greater than 0"),
        (b"-1", "The binding key must be greater than 0"),
    ];
    for (key, text) in texts {
        assert_eq!(bind(&mut w, "a", key).unwrap_err(), Refusal::Limit(text.into()), "{key:?}");
    }
    assert!(bind(&mut w, "a", b"+2").is_ok());
}

#[test]
fn a_remainder_spreads_keys_and_every_binding_counts() {
    let mut w = world(ExchangeKind::ModulusHash, Table::default(), ["", "", ""]);
    assert!(spread(&mut w, 3_000).iter().all(|n| (900..1_100).contains(n)));
    w.bind("x", to("a"), "once more");
    let [a, b, c] = spread(&mut w, 4_000);
    assert!((1_850..2_150).contains(&a) && b.abs_diff(c) < 200, "{a} {b} {c}");
    (0..50).for_each(|_| drop(w.publish("x", "the same", None)));
    assert!(counts(&mut w).contains(&50));
}

#[test]
fn chance_gives_each_message_to_one_queue() {
    let mut w = world(ExchangeKind::Random, Table::default(), ["k", "l", "m"]);
    (0..3_000).for_each(|_| drop(w.publish("x", "the same", None)));
    let got = counts(&mut w);
    assert!(got.iter().all(|n| (900..1_100).contains(n)), "{got:?}");
    assert_eq!(got.iter().sum::<usize>(), 3_000);
}

#[test]
fn copies_do_not_make_a_choice_twice_and_nobody_to_choose_is_no_route() {
    use ExchangeKind::{ConsistentHash, ModulusHash, Random};
    for kind in [ConsistentHash, ModulusHash, Random] {
        let mut w = world(kind, Table::default(), ["1", "1", "1"]);
        let copies = table(&[("CC", texts(&["k1", "k2", "k3", "k4", "k5", "k6", "k7"]))]);
        assert!(!is_returned(&w.publish("x", "key", Some(copies))));
        assert_eq!(counts(&mut w).iter().sum::<usize>(), 1, "{kind:?}");
        w.exchange("alone", kind, Table::default()).unwrap();
        assert!(is_returned(&w.publish("alone", "key", None)));
        let arguments = table(&[("alternate-exchange", Value::text("x"))]);
        w.exchange("first", kind, arguments).unwrap();
        assert!(!is_returned(&w.publish("first", "key", None)), "the alternate takes it");
        w.exchange("behind", ExchangeKind::Fanout, Table::default()).unwrap();
        w.bind("behind", to("a"), "");
        w.bind("alone", Destination::Exchange("behind".into()), "3");
        assert!(!is_returned(&w.publish("alone", "key", None)), "{kind:?}");
    }
}

/// Chance is the seed's alone, however many roll the dice for one message.
#[test]
fn the_same_seed_chooses_the_same_behind_a_fanout() {
    let chosen = || {
        let mut w = World::with(&[]);
        w.exchange("all", ExchangeKind::Fanout, Table::default()).unwrap();
        for n in 0..12 {
            let random = format!("random-{n}");
            w.exchange(&random, ExchangeKind::Random, Table::default()).unwrap();
            w.bind("all", Destination::Exchange(random.as_str().into()), "");
            for side in ["left", "right"] {
                let queue = format!("{side}-{n}");
                w.queue(&queue, Table::default()).unwrap();
                w.bind(&random, to(&queue), "");
            }
        }
        w.publish("all", "", None);
        (0..12).map(|n| w.got(&format!("left-{n}")).0).collect::<Vec<_>>()
    };
    let first = chosen();
    (0..4).for_each(|_| assert_eq!(chosen(), first));
}
