//! The scripts of `tests/vectors/mqtt`: one file for each conversation.

use crate::dialect::Dialect;
use crate::tongue;
use crate::{Mqtt, Settings};
use lockgate_front::script;
use lockgate_model::{Lasting, Name};

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

/// The same where everything is set to something else.
const SET: &str = "
> connect v5 client=c clean keep-alive=60 user=a:b password=p
? login a:b
@ admit a:b
! ask 0 open \"hall\" as a:b
! ask 0 attach \"c\" at bus fresh holds=4
= ok
= attached
< CONNACK [ServerKeepAlive(30), ReceiveMaximum(2), MaximumPacketSize(65536), TopicAliasMaximum(0)]
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

scripts! { auth connect publish subscribe deliver ends }

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

#[test]
fn settings() {
    let settings = Settings {
        exchange: Name::from("bus"),
        dialect: Dialect::RabbitMq { sparkplug: true },
        dialects: vec![(Name::from("hall"), Dialect::ActiveMq)],
        vhost: Name::from("hall"),
        vhost_in_user: false,
        anonymous: None,
        packet_max: 0,
        levels_max: 3,
        user_properties_max: 1,
        interests_max: 2,
        receive_max: 2,
        in_flight_max: 4,
        alias_max: 0,
        session_expiry: Lasting::Always,
        session_expiry_max: Lasting::Always,
        keep_alive_max: 30,
        response_prefix: None,
        server_reference: Some("other:1883".into()),
        ..Settings::default()
    };
    play("settings", settings.clone(), SET);
    let settings = Settings { receive_strict: false, server_moved: true, ..settings };
    play("lenient", settings, SET);
}
