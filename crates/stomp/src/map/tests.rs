//! What a SEND says is what a MESSAGE says, and what stands in between is what AMQP reads.

use super::*;
use crate::decode;
use crate::header::Escapes;
use crate::packet::{Headers, Version};
use lockgate_model::{Name, Object, Properties, Table, Value};

fn list(lines: &str) -> Result<(Properties, Sent), Fault> {
    let mut headers = Headers::default();
    let lines = format!("SEND\n{lines}");
    let frame = decode::frame(lines.as_bytes(), b"", Version::V12, &mut headers).unwrap();
    let mut out = Vec::new();
    let sent = head(&frame, "guest", None, &mut out)?;
    Ok((Properties::decode(&out).unwrap(), sent))
}

fn lines(properties: &Properties) -> String {
    let (mut head, mut out) = (Vec::new(), Vec::new());
    properties.encode(&mut head);
    put_headers(&head, Escapes::Of(Version::V12), &mut out);
    String::from_utf8(out).unwrap()
}

const FULL: &str = "x\\ca:1\nempty:\napp-id:me\nuser-id:guest\ntype:t\ntimestamp:42\n\
    amqp-message-id:m\nexpiration:1000\nreply-to:/queue/r\ncorrelation-id:c\npriority:7\n\
    persistent:true\ncontent-encoding:gzip\ncontent-type:text/plain\n";

#[test]
fn every_header_comes_back_as_it_went() {
    let (properties, sent) = list(FULL).unwrap();
    assert_eq!(sent, Sent { persistent: true, priority: 7 });
    assert_eq!(properties.headers.as_ref().unwrap().get("x:a"), Some(&Value::text("1")));
    assert_eq!(lines(&properties), FULL);
}

#[test]
fn what_is_said_to_us_alone_stays_out() {
    let text = "destination:/queue/a\nreceipt:1\ntransaction:t\ncontent-length:3\n";
    assert_eq!(list(text).unwrap().0, Properties::default());
    assert_eq!(list("persistent:false\n").unwrap().0, Properties::default());
}

#[test]
fn answers_find_their_way_between_queues_and_topics() {
    let reply = |text: &'static str| Properties {
        reply_to: Some(bytes::Bytes::from_static(text.as_bytes())),
        ..Properties::default()
    };
    assert_eq!(lines(&reply("amq.gen-1")), "reply-to:/reply-queue/amq.gen-1\n");
    assert_eq!(lines(&reply("/topic/a")), "reply-to:/topic/a\n");
    let topic = Table(vec![("x-reply-to-topic".into(), Value::text("a.b"))]);
    let asked = Properties { headers: Some(topic.clone()), ..Properties::default() };
    assert_eq!(lines(&asked), "x-reply-to-topic:a.b\nreply-to:/topic/a.b\n");
    let (sent, _) = list("reply-to:/topic/a.b\n").unwrap();
    assert_eq!(sent.headers, Some(topic));
}

#[test]
fn only_what_can_be_text_becomes_a_header_and_nobody_forges_ours() {
    let table = Table(vec![
        ("n".into(), Value::I8(-1)),
        ("t".into(), Value::Bool(true)),
        ("list".into(), Value::Array(vec![])),
        ("subscription".into(), Value::text("other")),
        ("line\nend".into(), Value::text("a\r\nb")),
    ]);
    let said = lines(&Properties { headers: Some(table), ..Properties::default() });
    assert_eq!(said, "n:-1\nt:true\nline\\nend:a\\r\\nb\n");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let text = |lines: &str| list(lines).unwrap_err().text;
    assert_eq!(text("priority:high\n"), "'priority' is not a valid number: 'high'.\n");
    assert_eq!(text("priority:256\n"), "'priority' is not a valid number: '256'.\n");
    let why = |e: &str| text(&format!("expiration:{e}\n"));
    let told = "PRECONDITION_FAILED - invalid expiration";
    assert_eq!(why("x"), format!("{told} 'x': no_integer"));
    assert_eq!(why("1x"), format!("{told} '1x': {{leftover_string,\"x\"}}"));
    assert_eq!(why("-1"), format!("{told} '-1': {{value_negative,-1}}"));
    assert!(why("99999999999999").ends_with("{value_too_large,99999999999999}"));
    assert!(list("user-id:eve\n").unwrap_err().closes);
    let long = format!("{}:v\n", "n".repeat(256));
    assert_eq!(list(&long).unwrap_err().message, "Invalid header");
    assert!(text(&format!("type:{}\n", "n".repeat(256))).contains("longer than 255"));
}

#[test]
fn refusals_have_the_names_of_amqp() {
    let (name, vhost) = (Name::from("q"), Name::from("/"));
    let missing = fault(&Refusal::Missing { object: Object::Queue, name, vhost });
    assert_eq!(missing, Fault::last("not_found", "NOT_FOUND - no queue 'q' in vhost '/'"));
    let shut = shut_out(&Refusal::NoVhost(Name::from("x")));
    assert_eq!(shut, Fault::last("Bad CONNECT", "Virtual host 'x' access denied"));
}
