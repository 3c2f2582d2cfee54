//! Declaring what is there: the same again is fine, anything else is named.

mod kit;

use kit::{World, table};
use lockgate_model::*;

fn declare(w: &mut World, arguments: Table) -> Result<Answer, Refusal> {
    let (durable, exclusive, auto_delete) = (true, false, false);
    let spec = QueueSpec { name: "q".into(), durable, exclusive, auto_delete, arguments };
    w.ask(Request::DeclareQueue(spec))
}

fn kind(name: Option<&str>) -> Table {
    name.map_or_else(Table::default, |name| table(&[("x-queue-type", Value::text(name))]))
}

#[test]
fn no_kind_is_classic_and_every_other_is_told_by_its_name() {
    for (first, second, difference) in [
        (None, Some("classic"), None),
        (Some("classic"), None, None),
        (Some("quorum"), Some("quorum"), None),
        (Some("quorum"), Some("classic"), Some(("'classic'", "'quorum'"))),
        (Some("quorum"), None, Some(("none", "the value 'quorum' of type 'longstr'"))),
        (None, Some("quorum"), Some(("the value 'quorum' of type 'longstr'", "none"))),
        (Some("classic"), Some("quorum"), Some(("'quorum'", "'classic'"))),
    ] {
        let mut w = World::with(&[]);
        declare(&mut w, kind(first)).unwrap();
        match (declare(&mut w, kind(second)), difference) {
            (Ok(_), None) => {}
            (Err(Refusal::Inequivalent { received, current, .. }), Some(wanted)) => {
                assert_eq!((&*received, &*current), wanted);
            }
            other => panic!("{first:?}, then {second:?}: {other:?}"),
        }
    }
}

#[test]
fn a_limit_of_minus_one_is_none() {
    let limit = |n| table(&[("x-delivery-limit", Value::I32(n))]);
    declare(&mut World::with(&[]), limit(-1)).unwrap();
    let refused = declare(&mut World::with(&[]), limit(-2));
    let Err(Refusal::BadArgument { reason, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(reason, "{value_negative,-2}");
}
