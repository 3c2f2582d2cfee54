//! Virtual hosts and users: who may come in, how much there may be, and what goes with one
//! that is deleted.

mod kit;

use kit::house::{House, ME, int, spec};
use kit::table;
use lockgate_model::*;

const OTHER: SessionId = SessionId(2);

fn limits(pairs: &[(&str, Value)]) -> Order {
    Order::SetParameter(Parameter {
        vhost: Some("/".into()),
        component: "vhost-limits".into(),
        name: "limits".into(),
        value: Value::Table(table(pairs)),
    })
}

fn rights(user: &str, vhost: &str) -> Order {
    let (user, vhost) = (user.into(), vhost.into());
    Order::SetPermission(Permission { user, vhost, ..Permission::default() })
}

fn vhost(name: &str, metadata: &[(&str, Value)]) -> Order {
    Order::MakeVhost(VhostSpec { name: name.into(), metadata: table(metadata) })
}

#[test]
fn a_deleted_virtual_host_takes_all_with_it_and_shows_its_sessions_out() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.publish("", "q", 3);
    house.enter(OTHER, "b", "guest").unwrap();
    house.order(limits(&[("max-queues", int(9))]));
    house.policy("p", "", 0, &[("expires", int(1))]);
    house.order(Order::DeleteVhost("/".into()));
    let out: Vec<_> = house
        .told
        .iter()
        .filter_map(|(s, e)| match e {
            Event::Expelled { why } => Some((*s, why.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(out, [(ME, "vhost '/' is deleted".into())]);
    assert_eq!(house.broker.counts().queues, 0);
    assert_eq!(house.enter(SessionId(3), "/", "guest"), Err(Refusal::NoVhost("/".into())));
    house.order(vhost("/", &[]));
    for again in [House::restart, House::restart_from_snapshot] {
        again(&mut house);
        let counts = house.broker.counts();
        assert_eq!((counts.queues, counts.messages, counts.exchanges), (0, 0, 12));
        let there = house.broker.holdings();
        assert_eq!((there.parameters.len(), there.policies.len()), (0, 0));
    }
    for order in [Order::SetUser(User { name: "u".into(), ..User::default() }), rights("u", "b")] {
        house.order(order);
    }
    house.order(Order::DeleteVhost("b".into()));
    house.order(vhost("b", &[]));
    assert_eq!(house.broker.holdings().permissions, [], "who could come in before cannot now");
    assert_eq!(house.refused(Order::DeleteVhost("x".into())), "vhost 'x' does not exist");
}

#[test]
fn a_crash_within_a_deletion_leaves_the_virtual_host_whole() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.order(Order::DeleteVhost("/".into()));
    // The last record, which closes the group, did not reach the disk.
    house.paper.0.pop();
    house.restart();
    assert_eq!(house.waiting("q"), Some(0));
}

#[test]
fn a_queue_beyond_the_limit_is_refused_and_one_that_is_there_is_not() {
    let mut house = House::new();
    house.queue("q1", &[]);
    house.order(limits(&[("max-queues", int(2))]));
    house.ask(Request::OpenMailbox { name: "amq.rabbitmq.reply-to.x".into() }).unwrap();
    house.queue("q2", &[]);
    let Err(Refusal::Limit(why)) = house.try_queue("q3", &[]) else { panic!("it was taken") };
    assert_eq!(why, "cannot declare queue 'q3': queue limit in vhost '/' (2) is reached");
    house.queue("q2", &[]);
    house.restart();
    assert!(house.try_queue("q3", &[]).is_err());
    house.order(limits(&[("max-queues", int(-1))]));
    house.queue("q3", &[]);
}

#[test]
fn connections_are_limited_per_virtual_host_and_per_user() {
    let mut house = House::new();
    house.order(limits(&[("max-connections", int(1))]));
    let Err(Refusal::Barred(why)) = house.enter(OTHER, "/", "guest") else { panic!("entered") };
    assert_eq!(
        why,
        "access to vhost '/' refused for user 'guest': connection limit (1) is reached"
    );
    house.enter(OTHER, "b", "guest").unwrap();
    house.command(OTHER, Command::Gone);
    let limits = table(&[("max-connections", int(1))]);
    house.order(Order::SetUser(User { name: "guest".into(), limits, ..User::default() }));
    house.order(Order::SetPermission(Permission {
        user: "guest".into(),
        vhost: "b".into(),
        ..Permission::default()
    }));
    let Err(Refusal::Barred(why)) = house.enter(OTHER, "b", "guest") else { panic!("entered") };
    assert_eq!(why, "connection refused for user 'guest': user connection limit (1) is reached");
    house.command(ME, Command::Gone);
    house.enter(OTHER, "b", "guest").unwrap();
}

#[test]
fn only_who_has_rights_in_a_virtual_host_comes_in() {
    let mut house = House::new();
    house.order(Order::SetUser(User { name: "u".into(), ..User::default() }));
    let denied = Err(Refusal::VhostDenied { vhost: "b".into(), user: "u".into() });
    assert_eq!(house.enter(OTHER, "b", "u"), denied);
    let (user, to): (Name, Name) = ("u".into(), "b".into());
    let may = Permission { user: user.clone(), vhost: to.clone(), ..Permission::default() };
    house.order(Order::SetPermission(may));
    house.enter(OTHER, "b", "u").unwrap();
    house.order(Order::ClearPermission { user: user.clone(), vhost: to });
    assert_eq!(house.enter(SessionId(3), "b", "u"), denied);
    house.order(Order::DeleteUser(user));
    assert!(house.told.iter().any(|(s, e)| *s == OTHER && matches!(e, Event::Expelled { .. })));
}

#[test]
fn a_declaration_without_a_kind_gets_the_virtual_hosts() {
    let mut house = House::new();
    house.order(vhost("/", &[("default_queue_type", Value::text("classic"))]));
    house.queue("q", &[]);
    let kind = house.broker.holdings().queues[0].1.arguments.get("x-queue-type").cloned();
    assert_eq!(kind, Some(Value::text("classic")));
    house.queue("q", &[]);
    house.queue("q", &[("x-queue-type", Value::text("classic"))]);
    // What is ordered is declared as it stands: so it was where it comes from.
    let ordered = Order::DeclareQueue { vhost: "/".into(), spec: spec("plain", &[]) };
    house.order(ordered);
    let plain = &house.broker.holdings().queues[0].1;
    assert_eq!((plain.name.as_str(), plain.arguments.is_empty()), ("plain", true));
    let bad = vhost("/", &[("default_queue_type", Value::text("x"))]);
    assert_eq!(house.refused(bad), "<<\"x\">> is not a valid default queue type");
}

#[test]
fn orders_that_make_no_sense_are_refused_in_rabbitmqs_words() {
    let mut house = House::new();
    for (order, why) in [
        (
            limits(&[("max-connections", Value::text("x"))]),
            "max-connections should be a number, actually was <<\"x\">>",
        ),
        (limits(&[("foo", int(1))]), "Unrecognised terms [{<<\"foo\">>,1}] in limits"),
        (
            Order::SetPermission(Permission {
                user: "nobody".into(),
                vhost: "/".into(),
                ..Permission::default()
            }),
            "user 'nobody' does not exist",
        ),
        (
            Order::SetParameter(Parameter {
                vhost: Some("/".into()),
                component: "foo".into(),
                name: "bar".into(),
                value: Value::Void,
            }),
            "component foo not found",
        ),
        (
            Order::SetUser(User {
                name: "u".into(),
                limits: table(&[("max-x", int(5))]),
                ..User::default()
            }),
            "Unrecognised terms [{<<\"max-x\">>,5}] in user-limits",
        ),
    ] {
        assert_eq!(house.refused(order), why);
    }
    let long = "x".repeat(256);
    let name = Order::SetUser(User { name: long.as_str().into(), ..User::default() });
    assert_eq!(house.refused(name), "the name is longer than 255 bytes");
    let named = Order::DeclareQueue { vhost: "/".into(), spec: spec("q", &[(&long, int(1))]) };
    assert_eq!(house.refused(named), "a key is longer than 255 bytes");
    let deep = (0..40).fold(Value::Void, |inner, _| Value::Array(vec![inner]));
    let why = house.refused(limits(&[("max-connections", deep)]));
    assert!(why.starts_with("values that cannot be kept"), "{why}");
}

#[test]
fn a_users_channels_are_counted_over_all_its_connections() {
    let mut house = House::new();
    let limits = table(&[("max-channels", int(2))]);
    house.order(Order::SetUser(User { name: "u".into(), limits, ..User::default() }));
    let (user, to): (Name, Name) = ("u".into(), "b".into());
    house.order(Order::SetPermission(Permission { user, vhost: to, ..Permission::default() }));
    house.enter(OTHER, "b", "u").unwrap();
    house.enter(SessionId(3), "b", "u").unwrap();
    house.command(OTHER, Command::Leave(Lane(1)));
    house.command(SessionId(3), Command::Leave(Lane(1)));
    house.ask_as(OTHER, Request::OpenLane).unwrap();
    house.lane = Lane(7);
    house.ask_as(SessionId(3), Request::OpenLane).unwrap();
    house.lane = Lane(8);
    let Err(Refusal::Barred(why)) = house.ask_as(SessionId(3), Request::OpenLane) else {
        panic!("it was opened")
    };
    assert_eq!(
        why,
        "number of channels opened for user 'u' has reached the maximum allowed user limit of (2)"
    );
    house.command(OTHER, Command::Gone);
    house.ask_as(SessionId(3), Request::OpenLane).unwrap();
}

/// Held against a RabbitMQ 3.10 whose virtual host makes quorum queues.
#[test]
fn only_what_can_be_a_quorum_queue_becomes_one() {
    let mut house = House::new();
    let classic = [("x-queue-type", Value::text("classic"))];
    house.queue("before", &classic);
    house.order(vhost("/", &[("default_queue_type", Value::text("quorum"))]));
    let mut unlike = |name: &str, pairs: &[(&str, Value)]| match house.try_queue(name, pairs) {
        Err(why) => why.to_string(),
        Ok(_) => String::new(),
    };
    assert_eq!(
        unlike("before", &[]),
        "inequivalent arg 'x-queue-type' for queue 'before' in vhost '/': \
         received 'quorum' but current is 'classic'"
    );
    assert_eq!((unlike("new", &[]), unlike("new", &[])), (String::new(), String::new()));
    assert_eq!(
        unlike("new", &classic),
        "inequivalent arg 'x-queue-type' for queue 'new' in vhost '/': \
         received 'classic' but current is 'quorum'"
    );
    let declare = |house: &mut House, durable, exclusive, auto_delete| {
        let (name, arguments) = (Name::default(), Table::default());
        let spec = QueueSpec { name, durable, exclusive, auto_delete, arguments };
        house.ask(Request::DeclareQueue(spec)).unwrap();
    };
    declare(&mut house, false, false, false);
    declare(&mut house, true, false, true);
    let quorum = |q: &(Name, QueueSpec)| q.1.arguments.get("x-queue-type").is_some();
    let queues = house.broker.holdings().queues;
    let names: Vec<&str> =
        queues.iter().filter(|q| quorum(q)).map(|(_, spec)| spec.name.as_str()).collect();
    assert_eq!((queues.len(), names), (4, vec!["before", "new"]));
    declare(&mut house, true, true, false);
    assert_eq!(house.broker.counts().queues, 5);
}
