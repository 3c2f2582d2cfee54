//! A mailbox: a queue under a reserved name that one session reads and everybody who
//! knows the name can write to, and that leaves nothing behind.

use lockgate_broker::{Broker, Effects, Journal, Place, Settings};
use lockgate_model::*;
use std::sync::Arc;

const NOW: Time = Time(1_000_000_000);

/// A log that must stay as it is.
struct Unwritten(bool);

impl Journal for Unwritten {
    fn append(&mut self, _: u8, _: impl FnOnce(&mut Vec<u8>)) -> Place {
        assert!(!self.0, "a mailbox is not for the log");
        Place { pos: 0, len: 1 }
    }

    fn weigh(&mut self, _: Place, _: i64) {}
}

/// Does a command and ends the turn.
fn run(
    broker: &mut Broker,
    log: &mut Unwritten,
    session: u32,
    command: Command,
) -> Vec<(u32, Event)> {
    let mut out = Effects::default();
    broker.handle(SessionId(session), command, NOW, log, &mut out);
    broker.deliver(log, &mut out);
    out.events.into_iter().map(|e| (e.session.0, e.event)).collect()
}

fn ask(
    broker: &mut Broker,
    log: &mut Unwritten,
    session: u32,
    request: Request,
) -> Result<Answer, Refusal> {
    let command = Command::Ask { lane: Lane(1), ticket: Ticket(1), request };
    for (_, event) in run(broker, log, session, command) {
        if let Event::Answer { result, .. } = event {
            return result;
        }
    }
    panic!("no answer");
}

fn send(broker: &mut Broker, log: &mut Unwritten, session: u32) -> Vec<(u32, Event)> {
    let run_of = Arc::new(Run::single("", b"amq.box", &[0, 0], b"hello", true));
    run(broker, log, session, Command::Publish { lane: Lane(1), run: run_of, confirm: None })
}

#[test]
fn a_mailbox_is_its_sessions_alone_and_goes_with_its_reader() {
    let (mut log, mut b) = (
        Unwritten(false),
        Broker::new(Settings {
            queue_resident: 1 << 20,
            resident_max: 1 << 20,
            seed: 7,
            ..Settings::default()
        }),
    );
    b.make_vhost("/", &mut log);
    b.recovered(true, NOW, &mut log);
    log.0 = true;
    for session in [1, 2] {
        b.connect(SessionId(session));
        let open = Request::Open { vhost: "/".into(), user: "guest".into() };
        ask(&mut b, &mut log, session, open).unwrap();
    }
    let mailbox = || Name::from("amq.box");
    let open = || Request::OpenMailbox { name: mailbox() };
    ask(&mut b, &mut log, 1, open()).unwrap();
    let again = ask(&mut b, &mut log, 2, open());
    assert!(matches!(again, Err(Refusal::Reserved { .. })), "{again:?}");
    let subscribe = || {
        Request::Subscribe(Subscription {
            queue: mailbox(),
            consumer: Consumer(1),
            tag: "t".into(),
            settled: true,
            exclusive: false,
            limit: None,
            arguments: Table::default(),
        })
    };
    let theirs = ask(&mut b, &mut log, 2, subscribe());
    assert!(matches!(theirs, Err(Refusal::Locked { .. })), "{theirs:?}");
    ask(&mut b, &mut log, 1, subscribe()).unwrap();
    let heard = send(&mut b, &mut log, 2);
    assert!(matches!(&heard[..], [(1, Event::Deliver(d))] if d.lease.is_none()), "{heard:?}");

    run(&mut b, &mut log, 1, Command::Leave(Lane(1)));
    let gone = ask(&mut b, &mut log, 2, Request::FindQueue(mailbox()));
    assert!(matches!(gone, Err(Refusal::Missing { .. })), "{gone:?}");
    let heard = send(&mut b, &mut log, 2);
    assert!(matches!(&heard[..], [(2, Event::Returned { .. })]), "{heard:?}");
    assert_eq!(b.counts().queues, 0);
}

#[test]
fn the_default_exchange_cannot_be_looked_for() {
    let mut log = Unwritten(false);
    let mut b = Broker::new(Settings {
        queue_resident: 1 << 20,
        resident_max: 1 << 20,
        seed: 7,
        ..Settings::default()
    });
    b.make_vhost("/", &mut log);
    b.recovered(true, NOW, &mut log);
    b.connect(SessionId(1));
    let open = Request::Open { vhost: "/".into(), user: "guest".into() };
    ask(&mut b, &mut log, 1, open).unwrap();
    let found = ask(&mut b, &mut log, 1, Request::FindExchange(Name::default()));
    assert_eq!(found.unwrap_err(), Refusal::DefaultExchange);
    ask(&mut b, &mut log, 1, Request::FindExchange("amq.direct".into())).unwrap();
}
