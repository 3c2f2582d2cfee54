//! The scripts of `tests/vectors/mqtt`: one file for each conversation.

use crate::tongue;
use crate::{Mqtt, Settings};
use lockgate_front::script;

/// What every case begins with, unless its name begins with `raw`: a client of version 5.
const PRELUDE: &str = "
> connect v5 client=c clean keep-alive=60
? login guest
@ admit guest
! ask 0 open \"/\" as guest
! ask 0 attach \"c\" at amq.topic fresh holds=512
= ok
= attached
< CONNACK [ReceiveMaximum(1000), MaximumPacketSize(16777216), TopicAliasMaximum(100)]
";

fn play(name: &str, settings: Settings, prelude: &str) {
    let path = format!("{}/../../tests/vectors/mqtt/{name}.script", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect(&path);
    match script::play(&text, &Mqtt::new(settings), &mut tongue::Mqtt::default(), prelude) {
        Ok(cases) => assert!(cases > 0, "{path} has no case"),
        Err(why) => panic!("{name}.script, {why}"),
    }
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            play(stringify!($name), Settings::default(), PRELUDE);
        })*
    };
}

scripts! { auth connect }

/// A client that has proved itself by a method of its own.
const PROVEN: &str = "
> connect v5 client=c clean method=SCRAM-SHA-256 data=first
? opening SCRAM-SHA-256 first
@ prove u final
! ask 0 open \"/\" as u
! ask 0 attach \"c\" at amq.topic fresh holds=512
= ok
= attached
< CONNACK [AuthMethod(\"SCRAM-SHA-256\"), AuthData(<secret>), ReceiveMaximum(1000), \
  MaximumPacketSize(16777216), TopicAliasMaximum(100)]
";

#[test]
fn auth_again() {
    play("auth_again", Settings::default(), PROVEN);
}
