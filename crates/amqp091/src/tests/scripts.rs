//! The scripts of `tests/vectors/amqp091`: one file for each conversation.

use crate::tongue::Amqp;
use crate::{Amqp091, Settings};
use lockgate_front::script;

/// What every case begins with, unless its name begins with `raw`.
const PRELUDE: &str = "
> hex 414d515000000901
< 0 connection.start PLAIN AMQPLAIN
> login PLAIN guest secret consumer_cancel_notify connection.blocked authentication_failure_close
? login guest
@ admit guest
< 0 connection.tune channel_max=2047 frame_max=131072 heartbeat=60
> 0 connection.tune_ok channel_max=2047 frame_max=131072 heartbeat=60
> 0 connection.open virtual_host=/
! ask 0 open \"/\" as guest
= ok
< 0 connection.open_ok
> 1 channel.open
< 1 channel.open_ok
";

fn play(name: &str, settings: Settings) {
    let path = format!("{}/../../tests/vectors/amqp091/{name}.script", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    match script::play(&text, &Amqp091::new(settings), &mut Amqp::default(), PRELUDE) {
        Ok(cases) => assert!(cases > 0, "{path} has no case"),
        Err(why) => panic!("{name}.script, {why}"),
    }
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name), Settings::default());
        })*
    };
}

scripts! { connect channel topology publish confirm consume settle get tx frames reply }
