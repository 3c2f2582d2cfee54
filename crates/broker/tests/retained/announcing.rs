//! What the broker announces.

use super::*;
use crate::quay::interest;
use lockgate_broker::Effects;

fn announce(quay: &mut Quay, vhost: &str, topic: &str, body: &str) -> Effects {
    let (run, mut out) = (Arc::new(wished(topic, body, 0, None)), Effects::default());
    let (house, now) = (&mut quay.house, Time(5_000_000));
    house.broker.announce(vhost, &run, now, &mut house.paper, &mut out);
    house.broker.deliver(&mut house.paper, &mut out);
    out
}

#[test]
fn clients_hear_it_and_nobody_else_and_the_log_does_not() {
    let mut quay = Quay::new();
    let (a, b) = (quay.brief("a"), quay.lasting("b"));
    quay.house.queue("other", &[]);
    let binding = Binding {
        source: "amq.topic".into(),
        destination: Destination::Queue("other".into()),
        key: Bytes::from_static(b"#"),
        arguments: Table::default(),
    };
    quay.ask(a, Request::Bind(binding)).unwrap();
    quay.follow(a, interest("$SYS/#", 0));
    quay.follow(b, interest("$SYS/broker/+", 1));
    quay.follow(b, interest("#", 1));
    announce(&mut quay, "/", "$SYS/broker/n", "0");
    let written = quay.house.paper.0.len();
    for n in 1..100 {
        let out = announce(&mut quay, "/", "$SYS/broker/n", &n.to_string());
        let heard: Vec<SessionId> = out.events.iter().map(|e| e.session).collect();
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard.contains(&a) && heard.contains(&b));
    }
    assert_eq!(quay.house.paper.0.len(), written, "the log hears nothing of it");
    assert_eq!(quay.house.waiting("other"), Some(0));
    announce(&mut quay, "elsewhere", "$SYS/broker/n", "none");
    announce(&mut quay, "b", "$SYS/broker/n", "other");
    assert_eq!(told(&mut quay, "$SYS/#"), pairs(&[("$SYS/broker/n", "99")]));
    assert_eq!(told(&mut quay, "#"), []);
    let counts = quay.house.broker.counts();
    assert_eq!((counts.retained, counts.unroutable), (2, 0));
    let names = quay.house.broker.vhosts_with_berths();
    assert_eq!(names, [Name::from("/")]);
}

#[test]
fn it_does_not_last_and_harms_nothing_that_does() {
    for from_snapshot in [false, true] {
        let mut quay = Quay::new();
        let a = quay.brief("a");
        for n in 0..50 {
            retain(&mut quay, a, &format!("x/{n}"), &n.to_string(), 0);
            announce(&mut quay, "/", "$SYS/n", &n.to_string());
            announce(&mut quay, "/", &format!("$SYS/{n}"), "1");
        }
        quay.restart(from_snapshot);
        assert_eq!(told(&mut quay, "$SYS/#"), []);
        assert_eq!(told(&mut quay, "x/+").len(), 50);
        let a = quay.brief("a");
        announce(&mut quay, "/", "$SYS/n", "again");
        retain(&mut quay, a, "x/7", "new", 0);
        quay.restart(!from_snapshot);
        assert_eq!(told(&mut quay, "x/7"), pairs(&[("x/7", "new")]));
        assert_eq!(quay.house.broker.counts().retained, 50);
    }
}
