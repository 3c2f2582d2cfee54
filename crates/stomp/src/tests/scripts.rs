//! The scripts of `tests/vectors/stomp`: one file for each conversation.

use crate::tongue::Client;
use crate::{Dialect, Settings, Stomp};
use lockgate_front::script;

/// What every case begins with, unless its name begins with `raw`.
const PRELUDE: &str = "
> CONNECT accept-version:1.0,1.1,1.2 host:/ login:guest passcode:secret
? login guest
@ admit guest
! ask 0 open \"/\" as guest
= ok
< CONNECTED server:RabbitMQ/3.13.7 session:session-* heart-beat:0,0 version:1.2
";

fn play(name: &str, settings: Settings) {
    play_behind(PRELUDE, name, settings);
}

fn play_behind(prelude: &str, name: &str, settings: Settings) {
    let path = format!("{}/../../tests/vectors/stomp/{name}.script", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    match script::play(&text, &Stomp::new(settings), &mut Client::default(), prelude) {
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

scripts! { connect send subscribe settle transaction reply heart close }

#[test]
fn implicit() {
    play("implicit", Settings { implicit_connect: true, ..Settings::default() });
}

#[test]
fn strict() {
    let settings = Settings {
        default_user: None,
        server: None,
        nack_requeue: false,
        trailing_lf: false,
        transactions_max: 1,
        transaction_actions_max: 2,
        transaction_bytes_max: 100,
        subscriptions_max: 1,
        ..Settings::default()
    };
    play("strict", settings);
}

/// By ActiveMQ's rules; the second virtual host has them of its own.
#[test]
fn active() {
    let settings = Settings { dialect: Dialect::ActiveMq, ..Settings::default() };
    play_behind(&PRELUDE.replace("RabbitMQ/3.13.7", "ActiveMQ/5.18.6"), "active", settings);
}
