//! What can be asked of a stream, and in which words the rest is refused.

use super::shore::{PUBLISHER, Shore};
use lockgate_model::*;

fn said(result: Result<Answer, Refusal>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(Refusal::Limit(text)) => text,
        Err(Refusal::NotOfStreams { deed, .. }) => format!("no stream does {deed:?}"),
        Err(Refusal::BadArgument { argument, reason, .. }) => format!("{argument}: {reason}"),
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn what_makes_no_sense_on_a_stream_is_refused_as_rabbitmq_does() {
    let mut s = Shore::new();
    let of = |arg: &str| {
        format!("invalid arg '{arg}' for queue 's' in vhost '/' of queue type rabbit_stream_queue")
    };
    for arg in [
        "x-message-ttl",
        "x-expires",
        "x-max-length",
        "x-max-priority",
        "x-delivery-limit",
        "x-dead-letter-exchange",
        "x-single-active-consumer",
        "x-overflow",
        "x-queue-mode",
    ] {
        assert_eq!(said(s.declare("s", &[(arg, Value::I32(1))])), of(arg));
    }
    let text = Value::text;
    for (arg, value, reason) in [
        ("x-max-age", text("5"), "invalid_max_age"),
        ("x-max-age", text("0s"), "invalid_max_age"),
        ("x-max-age", text("abc"), "invalid_max_age"),
        ("x-max-age", Value::I32(5), "{unacceptable_type,signedint}"),
        ("x-max-length-bytes", Value::I32(-1), "{value_negative,-1}"),
        ("x-max-length-bytes", text("a"), "\"expected integer, got longstr\""),
        ("x-stream-max-segment-size-bytes", Value::I32(-1), "{value_negative,-1}"),
        ("x-initial-cluster-size", Value::I32(0), "{value_zero,0}"),
        ("x-queue-leader-locator", text("foo"), "invalid_queue_locator_arg"),
    ] {
        assert_eq!(said(s.declare("s", &[(arg, value)])), format!("{arg}: {reason}"));
    }
    let large = Value::I64(4_000_000_000);
    assert_eq!(
        said(s.declare("s", &[("x-stream-max-segment-size-bytes", large)])),
        "Exceeded max value for x-stream-max-segment-size-bytes"
    );
    assert_eq!(
        said(s.declare("", &[])),
        "Cannot declare a server-named queue for type rabbit_stream_queue"
    );
    let good = [
        ("x-max-age", text("7D")),
        ("x-max-length-bytes", Value::I32(1000)),
        ("x-stream-max-segment-size-bytes", Value::I32(0)),
        ("x-stream-filter-size-bytes", Value::I32(16)),
        ("x-initial-cluster-size", Value::I32(3)),
        ("x-queue-leader-locator", text("client-local")),
        ("x-anything", Value::Bool(true)),
    ];
    assert_eq!(said(s.declare("good", &good)), "ok");
    assert_eq!(said(s.declare("good", &good)), "ok");
    assert!(said(s.declare("good", &good[1..])).contains("field: \"x-max-age\""));
}

#[test]
fn a_stream_is_durable_and_nobodys_own() {
    let mut s = Shore::new();
    let mut declare = |durable, exclusive, auto_delete| {
        let arguments = Table(vec![("x-queue-type".into(), Value::text("stream"))]);
        let name = "s".into();
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        said(s.ask(PUBLISHER, Request::DeclareQueue(spec)))
    };
    let bad = |p: &str| format!("invalid property '{p}' for queue 's' in vhost '/'");
    assert_eq!(declare(false, false, false), bad("non-durable"));
    assert_eq!(declare(false, true, false), bad("exclusive-owner"));
    assert_eq!(declare(true, false, true), bad("auto-delete"));
    assert_eq!(declare(true, false, false), "ok");
}

#[test]
fn a_stream_is_read_by_subscription_with_a_limit_alone() {
    let mut s = Shore::new();
    s.declare("s", &[]).expect("declared");
    let not = |deed: Deed| format!("no stream does {deed:?}");
    let get = Request::Get { queue: "s".into(), settled: true };
    assert_eq!(said(s.ask(PUBLISHER, get)), not(Deed::Get));
    assert_eq!(said(s.ask(PUBLISHER, Request::Purge("s".into()))), not(Deed::Purge));
    let wish = |settled, limit, argument: Option<(&str, Value)>| {
        let mut arguments = Table::default();
        argument.into_iter().for_each(|(n, v)| arguments.set(n, v));
        let (queue, consumer, tag) = ("s".into(), Consumer(1), "t".into());
        let exclusive = false;
        Request::Subscribe(Subscription {
            queue,
            consumer,
            tag,
            settled,
            exclusive,
            limit,
            arguments,
        })
    };
    let mut ask = |settled, limit, argument| said(s.ask(PUBLISHER, wish(settled, limit, argument)));
    assert_eq!(ask(true, Some(1), None), not(Deed::Unsettled));
    assert_eq!(
        ask(false, None, None),
        "consumer prefetch count is not set for 'queue 's' in vhost '/''"
    );
    for (value, shown) in [
        (Value::text("foo"), "{longstr,<<\"foo\">>}"),
        (Value::text("1x"), "{longstr,<<\"1x\">>}"),
        (Value::text("10"), "{longstr,<<\"10\">>}"),
        (Value::text(""), "{longstr,<<\"\">>}"),
        (Value::Bool(true), "{bool,true}"),
    ] {
        let expected = format!("x-stream-offset: {{invalid_stream_offset_arg,{shown}}}");
        assert_eq!(ask(false, Some(1), Some(("x-stream-offset", value))), expected);
    }
    assert_eq!(
        ask(false, Some(1), Some(("x-stream-filter", Value::I32(5)))),
        "x-stream-filter: {unacceptable_type,signedint}"
    );
    assert_eq!(
        ask(false, Some(1), Some(("x-priority", Value::I32(5)))),
        "invalid arg 'x-priority' for queue 's' in vhost '/' of queue type rabbit_stream_queue"
    );
    assert_eq!(ask(false, Some(1), None), "ok");
}

#[test]
fn readers_begin_where_they_ask() {
    let mut s = Shore::new();
    s.declare("s", &[]).expect("declared");
    s.publish("s", 0, 10, 10);
    s.publish("s", 10, 3, 10);
    s.commit();
    let text = Value::text;
    let starts = [
        (text("first"), 0),
        (text("last"), 10),
        (text("next"), 13),
        (Value::I32(7), 7),
        (Value::I32(-5), 0),
        (Value::I64(14), 14),
        (Value::Timestamp(0), 0),
        (text("1h"), 0),
        (Value::Timestamp(u64::MAX), 13),
    ];
    for (session, (offset, _)) in (2..).zip(starts.clone()) {
        s.subscribe(SessionId(session), "s", offset, 100, &[]).expect("a reader");
    }
    s.publish("s", 13, 4, 10);
    s.commit();
    for (session, (offset, first)) in (2..).zip(starts) {
        let offsets: Vec<u64> = s.readers[&SessionId(session)].seen.iter().map(|s| s.0).collect();
        assert_eq!(offsets, (first..17).collect::<Vec<_>>(), "{offset:?}");
    }
}

#[test]
fn what_a_reader_refuses_or_leaves_is_still_there_and_not_given_again() {
    let mut s = Shore::new();
    s.declare("s", &[]).expect("declared");
    s.publish("s", 0, 9, 10);
    s.commit();
    let me = SessionId(2);
    s.subscribe(me, "s", Value::text("first"), 3, &[]).expect("a reader");
    assert_eq!(s.readers[&me].seen.len(), 3);
    s.settle(me, Outcome::Requeue);
    s.settle(me, Outcome::Discard);
    let offsets: Vec<u64> = s.readers[&me].seen.iter().map(|s| s.0).collect();
    assert_eq!(offsets, (0..9).collect::<Vec<_>>());
    s.run(me, Command::Leave(Lane(1)));
    assert_eq!(s.count("s"), 9);
    s.readers.clear();
    s.subscribe(SessionId(3), "s", Value::text("first"), 9, &[]).expect("a reader");
    assert_eq!(s.readers[&SessionId(3)].seen.len(), 9);
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    let mut s = Shore::new();
    s.declare("s", &[]).expect("declared");
    let (slow, fast) = (SessionId(2), SessionId(3));
    s.subscribe(slow, "s", Value::text("first"), 1, &[]).expect("a reader");
    s.subscribe(fast, "s", Value::text("first"), 100, &[]).expect("a reader");
    for n in 0..200 {
        s.publish("s", n * 10, 10, 2000);
        s.commit();
        s.settle(fast, Outcome::Accept);
        while s.work() {}
    }
    assert_eq!(s.readers[&slow].seen.len(), 1);
    assert_eq!(s.readers[&fast].seen.len(), 2000);
}

#[test]
fn a_stream_that_is_deleted_leaves_no_file() {
    let mut s = Shore::new();
    s.declare("s", &[("x-stream-max-segment-size-bytes", Value::I32(16_384))]).expect("declared");
    s.publish("s", 0, 90, 1000);
    s.calm_down();
    assert!(!s.files.is_empty());
    let delete = Request::DeleteQueue { name: "s".into(), if_unused: false, if_empty: false };
    s.ask(PUBLISHER, delete).expect("deleted");
    s.calm_down();
    assert!(s.files.is_empty());
    assert_eq!(s.broker.resident(), 0);
}

#[test]
fn what_is_not_committed_is_neither_kept_nor_delivered() {
    let mut s = Shore::new();
    s.declare("s", &[]).expect("declared");
    s.subscribe(SessionId(2), "s", Value::text("first"), 1000, &[]).expect("a reader");
    s.publish("s", 0, 100, 4000);
    assert!(s.jobs.is_empty() && s.readers[&SessionId(2)].seen.is_empty());
    s.commit();
    assert!(!s.jobs.is_empty() && s.readers[&SessionId(2)].seen.len() == 100);
}
