//! An administrator's orders: what is done is on the disk, and who judges logins hears of
//! users without the engine's gate.

mod kit;

use kit::{Client, NOW, settings};
use lockgate_engine::Engine;
use lockgate_model::*;
use lockgate_wal::sim::SimDisk;
use std::sync::Arc;

fn open(disk: &SimDisk) -> Engine<SimDisk> {
    let (log, pages) = (Arc::new(disk.clone()), Arc::new(SimDisk::new()));
    Engine::open_on(log, pages, settings(false)).unwrap().0
}

fn user(name: &str) -> Order {
    Order::SetUser(User { name: name.into(), ..User::default() })
}

#[test]
fn what_is_answered_outlives_a_power_cut() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        let engine = open(&disk);
        let mut definition = Table::default();
        definition.set("max-length", Value::I64(2));
        let (pattern, apply_to) = (String::new(), ApplyTo::Queues);
        let policy = Policy { name: "p".into(), pattern, apply_to, definition, priority: 0 };
        let orders = vec![
            user("u"),
            Order::MakeVhost(VhostSpec { name: "v".into(), ..VhostSpec::default() }),
            Order::DeleteUser("nobody".into()),
            Order::SetPolicy { vhost: "v".into(), tier: Tier::User, policy },
        ];
        let done = engine.administer(orders, NOW);
        assert_eq!(done, [Ok(()), Ok(()), Err(Refusal::NoUser("nobody".into())), Ok(())]);
        let holdings = engine.holdings();
        assert_eq!((holdings.users.len(), holdings.policies.len()), (1, 1));
        let disk = disk.reboot(seed);
        drop(engine);
        let engine = open(&disk);
        assert_eq!(engine.holdings(), holdings, "seed {seed}");
        assert_eq!(engine.accounts().users, holdings.users);
    }
}

#[test]
fn a_change_of_users_is_seen_at_once_and_no_other_change_is_one() {
    let engine = open(&SimDisk::new());
    let first = engine.accounts();
    engine.administer(vec![user("u")], NOW);
    let second = engine.accounts();
    assert_ne!(first.revision, second.revision);
    assert_eq!(second.users.len(), 1);
    engine.administer(vec![user("u"), Order::MakeVhost(VhostSpec::default())], NOW);
    assert_eq!(engine.accounts().revision, second.revision);
}

#[test]
fn sessions_of_a_deleted_virtual_host_are_told() {
    let engine = open(&SimDisk::new());
    let mut client = Client::new(&engine);
    assert_eq!(engine.administer(vec![Order::DeleteVhost("/".into())], NOW), [Ok(())]);
    // It comes when the log has it, whoever looks first.
    client.until(|e| matches!(e, Event::Expelled { .. }));
}

#[test]
fn a_stopped_engine_does_nothing_and_says_so() {
    let engine = open(&SimDisk::new());
    engine.stop().unwrap();
    assert_eq!(engine.administer(vec![user("u")], NOW), [Err(Refusal::Stopping)]);
}
