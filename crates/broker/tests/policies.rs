//! Policies: which counts, what it does at once to what is there already, and that it is
//! still so after a restart.

mod kit;

use kit::house::{House, int, set_policy};
use kit::{table, to};
use lockgate_model::*;

#[test]
fn a_bound_holds_at_once_and_after_a_restart() {
    let mut house = House::new();
    house.queue("q1", &[]);
    house.publish("", "q1", 5);
    house.policy("short", "^q", 0, &[("max-length", int(2))]);
    assert_eq!(house.waiting("q1"), Some(2));
    for again in [House::restart, House::restart_from_snapshot] {
        again(&mut house);
        house.publish("", "q1", 3);
        assert_eq!(house.waiting("q1"), Some(2));
    }
    house.clear("short");
    house.publish("", "q1", 3);
    assert_eq!(house.waiting("q1"), Some(5));
    house.restart();
    assert_eq!(house.waiting("q1"), Some(5));
}

#[test]
fn a_bound_in_bytes_holds_for_what_waits_already() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.publish("", "q", 5);
    house.policy("small", "q", 0, &[("max-length-bytes", int(9))]);
    assert_eq!(house.waiting("q"), Some(2), "of four bytes each");
    house.restart();
    house.publish("", "q", 3);
    assert_eq!(house.waiting("q"), Some(2));
}

#[test]
fn a_delivery_limit_by_policy_is_for_quorum_queues() {
    let mut house = House::new();
    house.policy("limit", "q", 0, &[("delivery-limit", int(1))]);
    house.queue("q-classic", &[]);
    house.queue("q-quorum", &[("x-queue-type", Value::text("quorum"))]);
    for (queue, left) in [("q-classic", Some(1)), ("q-quorum", Some(0))] {
        house.publish("", queue, 1);
        for _ in 0..2 {
            let get = Request::Get { queue: queue.into(), settled: false };
            let Ok(Answer::Got(Some(got))) = house.ask(get) else { panic!("there is one") };
            let lease = got.lease.unwrap();
            let outcome = Outcome::Requeue;
            house.command(kit::house::ME, Command::Settle { lease, from: 0, count: 1, outcome });
        }
        assert_eq!(house.waiting(queue), left, "{queue}");
    }
}

#[test]
fn a_consumers_timeout_comes_with_its_policy() {
    let mut house = House::new();
    house.queue("q", &[]);
    let wish = Subscription {
        queue: "q".into(),
        consumer: Consumer(1),
        tag: "t".into(),
        settled: false,
        exclusive: false,
        limit: None,
        arguments: Table::default(),
    };
    house.ask(Request::Subscribe(wish)).unwrap();
    house.policy("hold", "q", 0, &[("consumer-timeout", int(1_000))]);
    house.publish("", "q", 1);
    house.pass(900);
    assert!(house.told.is_empty());
    house.pass(60_200);
    let late = |(_, e): &(SessionId, Event)| {
        matches!(e, Event::Cancelled { cause: CancelCause::TimedOut, .. })
    };
    assert!(house.told.iter().any(late), "{:?}", house.told);
}

#[test]
fn what_waits_already_lives_no_longer_than_a_policy_allows_from_then_on() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.publish("", "q", 3);
    house.pass(60_000);
    house.policy("ttl", "q", 0, &[("message-ttl", int(1_000))]);
    house.pass(500);
    assert_eq!(house.waiting("q"), Some(3), "it counts from when it was set");
    house.restart();
    house.pass(400);
    assert_eq!(house.waiting("q"), Some(3));
    house.pass(200);
    assert_eq!(house.waiting("q"), Some(0));
    house.publish("", "q", 1);
    house.pass(1_100);
    assert_eq!(house.waiting("q"), Some(0), "and for what comes later");
}

#[test]
fn a_snapshot_remembers_when_a_policy_lets_what_waits_expire() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.publish("", "q", 3);
    house.policy("ttl", "q", 0, &[("message-ttl", int(1_000))]);
    house.pass(500);
    house.restart_from_snapshot();
    house.pass(400);
    assert_eq!(house.waiting("q"), Some(3));
    house.pass(200);
    assert_eq!(house.waiting("q"), Some(0));
}

#[test]
fn a_queue_that_nobody_uses_goes_when_a_policy_says_so() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.pass(3_600_000);
    house.policy("idle", "q", 0, &[("expires", int(1_000))]);
    house.pass(900);
    assert_eq!(house.broker.counts().queues, 1, "it counts from when it was set");
    house.pass(200);
    assert_eq!(house.broker.counts().queues, 0);
}

#[test]
fn dead_letters_go_where_the_policy_of_the_moment_says() {
    let mut house = House::new();
    ["q", "old", "new"].iter().for_each(|name| house.queue(name, &[]));
    let way = |key: &str| {
        let exchange = ("dead-letter-exchange", Value::text(""));
        [exchange, ("dead-letter-routing-key", Value::text(key)), ("max-length", int(0))]
    };
    house.policy("p", "^q$", 0, &way("old"));
    house.publish("", "q", 2);
    house.policy("p", "^q$", 0, &way("new"));
    house.publish("", "q", 3);
    assert_eq!((house.waiting("old"), house.waiting("new")), (Some(2), Some(3)));
}

#[test]
fn a_full_queue_says_no_by_policy() {
    let mut house = House::new();
    house.queue("q", &[]);
    let full = [("max-length", int(1)), ("overflow", Value::text("reject-publish"))];
    house.policy("full", "q", 0, &full);
    house.publish("", "q", 2);
    assert!(house.told.iter().any(|(_, e)| matches!(e, Event::Rejected { .. })));
    assert_eq!(house.waiting("q"), Some(1));
}

#[test]
fn an_alternate_exchange_comes_and_goes_with_its_policy() {
    let mut house = House::new();
    house.queue("q", &[]);
    for name in ["main", "other"] {
        let (kind, durable) = (ExchangeKind::Fanout, true);
        house
            .ask(Request::DeclareExchange(ExchangeSpec {
                name: name.into(),
                kind,
                durable,
                auto_delete: false,
                internal: false,
                arguments: Table::default(),
            }))
            .unwrap();
    }
    let (source, key, arguments) = ("other".into(), Default::default(), Table::default());
    house.ask(Request::Bind(Binding { source, destination: to("q"), key, arguments })).unwrap();
    house.publish("main", "", 1);
    assert_eq!(house.waiting("q"), Some(0));
    house.policy("ae", "^main$", 0, &[("alternate-exchange", Value::text("other"))]);
    house.publish("main", "", 1);
    assert_eq!(house.waiting("q"), Some(1));
    house.restart();
    house.publish("main", "", 1);
    assert_eq!(house.waiting("q"), Some(2));
    house.clear("ae");
    house.publish("main", "", 1);
    assert_eq!(house.waiting("q"), Some(2));
}

#[test]
fn arguments_and_policies_count_as_rabbitmq_weighs_them() {
    let mut house = House::new();
    house.policy("p", "q", 0, &[("max-length", int(3)), ("overflow", Value::text("drop-head"))]);
    house.queue("q-lower", &[("x-max-length", int(2))]);
    house.queue("q-higher", &[("x-max-length", int(9))]);
    let own = [("x-max-length", int(9)), ("x-overflow", Value::text("reject-publish"))];
    house.queue("q-own", &own);
    for name in ["q-lower", "q-higher", "q-own"] {
        house.publish("", name, 5);
    }
    assert!(house.told.iter().any(|(_, e)| matches!(e, Event::Rejected { .. })), "the argument");
    assert_eq!(house.waiting("q-lower"), Some(2), "the lower number counts");
    assert_eq!(house.waiting("q-higher"), Some(3), "the lower number counts");
    assert_eq!(house.waiting("q-own"), Some(3));
}

#[test]
fn one_policy_counts_the_highest_and_an_operators_beside_it() {
    let mut house = House::new();
    house.queue("q", &[]);
    house.publish("", "q", 9);
    house.policy("wide", "", 1, &[("max-length", int(8)), ("expires", int(1_000))]);
    house.policy("narrow", "^q$", 5, &[("max-length", int(6))]);
    assert_eq!(house.waiting("q"), Some(6));
    let names = house.broker.policies_of("/", Object::Queue, "q");
    assert_eq!(names, (Some("narrow".into()), None));
    house.pass(5_000);
    assert_eq!(house.waiting("q"), Some(6), "nothing of the other counts");
    house.order(set_policy(Tier::Operator, "op", "^q", 0, &[("max-length", int(4))]));
    assert_eq!(house.waiting("q"), Some(4));
    house.order(set_policy(Tier::Operator, "op", "^q", 0, &[("max-length", int(7))]));
    house.publish("", "q", 5);
    assert_eq!(house.waiting("q"), Some(6), "the lower of both");
    house.restart();
    let names = house.broker.policies_of("/", Object::Queue, "q");
    assert_eq!(names, (Some("narrow".into()), Some("op".into())));
    house.clear("narrow");
    let names = house.broker.policies_of("/", Object::Queue, "q");
    assert_eq!(names, (Some("wide".into()), Some("op".into())));
    house.pass(1_100);
    assert_eq!(house.waiting("q"), None, "now the other one does");
}

#[test]
fn a_mailbox_is_nobodys_affair_but_its_owners() {
    let mut house = House::new();
    house.policy("all", ".*", 0, &[("max-length", int(0))]);
    let name: Name = "amq.rabbitmq.reply-to.x".into();
    house.ask(Request::OpenMailbox { name: name.clone() }).unwrap();
    house.publish("", &name, 1);
    assert_eq!(house.waiting(&name), Some(1));
}

#[test]
fn what_is_set_already_is_not_written_again() {
    let mut house = House::new();
    let policy = || set_policy(Tier::User, "p", "q", 0, &[("max-length", int(1))]);
    let binding = Binding {
        source: "amq.direct".into(),
        destination: to("q"),
        key: Default::default(),
        arguments: Table::default(),
    };
    let user = User { name: "u".into(), ..User::default() };
    let (who, vhost): (Name, Name) = ("u".into(), "/".into());
    let orders = || {
        vec![
            policy(),
            Order::MakeVhost(VhostSpec { name: "/".into(), ..Default::default() }),
            Order::SetUser(user.clone()),
            Order::SetPermission(Permission {
                user: who.clone(),
                vhost: vhost.clone(),
                ..Permission::default()
            }),
            Order::SetTopicPermission(TopicPermission {
                user: who.clone(),
                vhost: vhost.clone(),
                exchange: "amq.topic".into(),
                ..TopicPermission::default()
            }),
            Order::SetParameter(Parameter {
                vhost: Some(vhost.clone()),
                component: "vhost-limits".into(),
                name: "limits".into(),
                value: Value::Table(table(&[("max-queues", int(9))])),
            }),
            Order::DeclareQueue {
                vhost: vhost.clone(),
                spec: kit::house::spec("q", &[("x-max-length", int(5))]),
            },
            Order::Bind { vhost: vhost.clone(), binding: binding.clone() },
        ]
    };
    orders().into_iter().for_each(|o| house.order(o));
    let (written, holdings) = (house.paper.0.len(), house.broker.holdings());
    for order in orders() {
        assert_eq!(house.try_order(order), Ok(0));
    }
    assert_eq!(house.paper.0.len(), written);
    house.order(Order::SetPermission(Permission {
        user: "u".into(),
        vhost: "/".into(),
        ..Permission::default()
    }));
    for again in [House::restart, House::restart_from_snapshot] {
        // A user is there now, and only who has rights comes in.
        house.order(Order::SetUser(User { name: "guest".into(), ..User::default() }));
        let (user, vhost) = ("guest".into(), "/".into());
        house.order(Order::SetPermission(Permission { user, vhost, ..Permission::default() }));
        again(&mut house);
        let mut now = house.broker.holdings();
        now.users.retain(|u| u.name == "u");
        now.permissions.retain(|p| p.user == "u");
        assert_eq!(now, holdings);
    }
}

#[test]
fn bad_policies_are_refused_and_change_nothing() {
    let mut house = House::new();
    let before = house.paper.0.len();
    let bad = set_policy(Tier::User, "p", "(", 0, &[("max-length", int(1))]);
    let why = house.refused(bad);
    assert!(why.starts_with("pattern should be regular expression but is invalid: "), "{why}");
    let unknown = set_policy(Tier::User, "p", "", 0, &[("foo", int(1))]);
    assert_eq!(house.refused(unknown), "[{<<\"foo\">>,1}] are not recognised policy settings");
    let Order::SetPolicy { tier, policy, .. } =
        set_policy(Tier::User, "p", "", 0, &[("expires", int(1))])
    else {
        unreachable!()
    };
    let elsewhere = Order::SetPolicy { vhost: "nope".into(), tier, policy };
    assert_eq!(house.refused(elsewhere), "vhost 'nope' does not exist");
    assert_eq!(house.paper.0.len(), before);
}
