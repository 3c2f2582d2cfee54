//! Where messages go: kinds of exchanges, exchanges behind exchanges, alternates, copies.

mod kit;

use kit::{World, is_returned, table, texts, to};
use lockgate_model::*;
use std::sync::Arc;

#[test]
fn a_message_comes_once_however_many_ways_lead_to_its_queue() {
    let mut w = World::with(&["q"]);
    w.exchange("first", ExchangeKind::Topic, Table::default()).unwrap();
    w.exchange("second", ExchangeKind::Fanout, Table::default()).unwrap();
    w.bind("first", to("q"), "a.*");
    w.bind("first", to("q"), "#");
    w.bind("first", Destination::Exchange("second".into()), "a.b");
    w.bind("second", to("q"), "");
    // Exchanges may lead to each other in a circle.
    w.bind("second", Destination::Exchange("first".into()), "");
    w.publish("first", "a.b", None);
    assert_eq!(w.got("q").0, 1);
}

#[test]
fn what_takes_no_way_goes_to_the_alternate_and_then_to_its_alternate() {
    let mut w = World::with(&["q", "lost"]);
    let behind = |name: &str| table(&[("alternate-exchange", Value::text(name))]);
    w.exchange("last", ExchangeKind::Fanout, Table::default()).unwrap();
    w.exchange("second", ExchangeKind::Direct, behind("last")).unwrap();
    w.exchange("first", ExchangeKind::Direct, behind("second")).unwrap();
    w.bind("first", to("q"), "known");
    w.bind("last", to("lost"), "");
    w.publish("first", "known", None);
    assert!(!is_returned(&w.publish("first", "unknown", None)));
    assert_eq!((w.got("q").0, w.got("lost").0), (1, 1));
}

#[test]
fn an_alternate_that_is_not_there_takes_nothing_until_it_is() {
    let mut w = World::with(&["lost"]);
    w.exchange("x", ExchangeKind::Direct, table(&[("alternate-exchange", Value::text("later"))]))
        .unwrap();
    assert!(is_returned(&w.publish("x", "k", None)));
    w.exchange("later", ExchangeKind::Fanout, Table::default()).unwrap();
    w.bind("later", to("lost"), "");
    assert!(!is_returned(&w.publish("x", "k", None)), "no stale route is remembered");
    assert_eq!(w.got("lost").0, 1);
}

#[test]
fn an_alternate_is_part_of_what_two_declarations_must_agree_on() {
    let mut w = World::with(&[]);
    let alternate = |v: Value| table(&[("alternate-exchange", v)]);
    w.exchange("x", ExchangeKind::Direct, alternate(Value::text("a"))).unwrap();
    let refused = |r: Result<Answer, Refusal>| match r {
        Err(Refusal::Inequivalent { field, received, current, .. }) => (field, received, current),
        other => panic!("{other:?}"),
    };
    let field = "alternate-exchange".to_string();
    assert_eq!(
        refused(w.exchange("x", ExchangeKind::Direct, alternate(Value::text("b")))),
        (field.clone(), "'b'".into(), "'a'".into())
    );
    assert_eq!(
        refused(w.exchange("x", ExchangeKind::Direct, Table::default())),
        (field, "none".into(), "the value 'a' of type 'longstr'".into())
    );
    let odd = w.exchange("y", ExchangeKind::Direct, alternate(Value::I32(5)));
    let text = "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'y' in vhost '/'";
    assert_eq!(odd.unwrap_err(), Refusal::Limit(text.into()));
}

#[test]
fn copies_go_to_every_key_and_blind_ones_are_not_shown() {
    let mut w = World::with(&["a", "b", "c"]);
    let headers =
        table(&[("CC", texts(&["b"])), ("BCC", texts(&["c", "nowhere"])), ("kept", Value::I32(7))]);
    w.publish("", "a", Some(headers));
    for queue in ["a", "b", "c"] {
        let (count, headers) = w.got(queue);
        let headers = headers.unwrap();
        assert_eq!(count, 1, "{queue}");
        assert_eq!(headers.get("BCC"), None, "{queue}");
        assert_eq!(headers.get("CC"), Some(&texts(&["b"])));
        assert_eq!(headers.get("kept"), Some(&Value::I32(7)));
    }
}

#[test]
fn copies_are_routed_by_the_exchange_too_and_each_queue_gets_one() {
    let mut w = World::with(&["q", "r"]);
    w.exchange("x", ExchangeKind::Topic, Table::default()).unwrap();
    w.bind("x", to("q"), "news.*");
    w.bind("x", to("r"), "sport.*");
    let headers = table(&[("CC", texts(&["news.b", "sport.c"]))]);
    w.publish("x", "news.a", Some(headers));
    assert_eq!((w.got("q").0, w.got("r").0), (1, 1));
}

#[test]
fn copies_that_are_no_list_break_the_strand() {
    let mut w = World::with(&["a"]);
    let told = w.publish("", "a", Some(table(&[("CC", Value::text("b"))])));
    let text = "invalid message: {unacceptable_type_in_header,\"CC\",longstr}";
    assert!(
        matches!(&told[..], [Event::Broken { why: Refusal::Limit(t), .. }] if t == text),
        "{told:?}"
    );
    assert_eq!(w.got("a").0, 0);
}

#[test]
fn a_transaction_that_cannot_be_done_whole_does_nothing() {
    let mut w = World::with(&["a"]);
    let step = |exchange: &str| {
        Step::Publish(Arc::new(Run::single(exchange, b"a", &[0, 0], b"body", false)))
    };
    let refused = w.ask(Request::Commit(vec![step(""), step("nowhere")]));
    assert!(matches!(refused, Err(Refusal::Missing { .. })), "{refused:?}");
    assert_eq!(w.got("a").0, 0);
    w.ask(Request::Commit(vec![step(""), step("")])).unwrap();
    assert_eq!(w.got("a").0, 2);
}
