//! However the bytes of a client are cut into reads, the engine is asked for the same and the
//! client is answered the same.

use super::engine::{Engine, Transcript};
use crate::packet::Version;
use crate::tongue;
use lockgate_front::script::Tongue;
use proptest::prelude::*;

/// The bytes of a whole conversation.
fn conversation(version: Version, lines: &[String]) -> Vec<u8> {
    let mut tongue = tongue::Mqtt::default();
    let connect = match version {
        Version::V31 => "connect v3.1 client=c",
        Version::V311 => "connect v3.1.1 client=c",
        Version::V5 => "connect v5 client=c session-expiry=9 alias-maximum=4",
    };
    let hello = [connect, "subscribe 1 a qos=1 b/# qos=2 c"];
    let lines = hello.iter().copied().chain(lines.iter().map(String::as_str));
    lines.flat_map(|line| tongue.say(line).expect(line)).collect()
}

/// `cuts`: how many bytes each read brings, over and over.
fn played(version: Version, bytes: &[u8], cuts: &[usize]) -> Transcript {
    let mut engine = Engine::default();
    engine.speaks(match version {
        Version::V31 => "v3.1",
        Version::V311 => "v3.1.1",
        Version::V5 => "v5",
    });
    let (mut at, mut cuts) = (0, cuts.iter().cycle());
    while at < bytes.len() {
        let n = cuts.next().map_or(1, |n| (*n).max(1)).min(bytes.len() - at);
        engine.read(&bytes[at..at + n]);
        at += n;
    }
    let mut got = engine.got;
    if got.closed.is_some() {
        // What was not yet safe when the end came is not answered.
        got.said.clear();
    }
    // PUBREC of what nobody knows is answered at once, and one that comes again only if the
    // first has been.
    if let Some(released) = got.said.get_mut("PUBREL") {
        released.sort_unstable();
        released.dedup();
    }
    got
}

fn publish(version: Version) -> impl Strategy<Value = String> {
    let topic = prop_oneof![Just("a"), Just("b/c.d"), Just("$SYS/x"), Just("\"\"")];
    let size = prop_oneof![4 => 0..40usize, 1 => 4_000..90_000usize];
    let said = prop_oneof![
        3 => Just(""), 1 => Just(" type=t user.a=1 user.b=2"), 1 => Just(" alias=1"),
        1 => Just(" alias=2"), 1 => Just(" expiry=9 response=r/s"), 1 => Just(" format=1"),
    ];
    (topic, size, 0..3u8, 1..20u16, any::<bool>(), said).prop_map(
        move |(topic, size, qos, id, retain, said)| {
            let v5 = version == Version::V5;
            let topic =
                if topic == "\"\"" && !(v5 && said.contains("alias")) { "d" } else { topic };
            let said = if v5 { said } else { "" };
            let id = if qos > 0 { format!(" id={id}") } else { String::new() };
            let retain = if retain { " retain" } else { "" };
            format!("publish {topic} *{size} qos={qos}{id}{retain}{said}")
        },
    )
}

fn line(version: Version) -> impl Strategy<Value = String> {
    let rare = prop_oneof![
        5 => Just("pingreq".to_owned()),
        3 => (1..9u16).prop_map(|id| format!("subscribe {id} b/# qos=1 e qos=2")),
        3 => (1..9u16).prop_map(|id| format!("unsubscribe {id} a x")),
        1 => Just("disconnect".to_owned()),
        1 => Just("connect v5 client=d".to_owned()),
        1 => Just("hex 3601".to_owned()),
        1 => Just("hex 00".to_owned()),
    ];
    prop_oneof![
        8 => publish(version),
        4 => (1..20u16).prop_map(|id| format!("pubrel {id}")),
        3 => (1..60u16).prop_map(|id| format!("puback {id}")),
        3 => (1..60u16).prop_map(|id| format!("pubrec {id}")),
        2 => rare,
    ]
}

fn lines() -> impl Strategy<Value = (Version, Vec<String>)> {
    let version = prop_oneof![Just(Version::V31), Just(Version::V311), Just(Version::V5)];
    version.prop_flat_map(|v| (Just(v), prop::collection::vec(line(v), 1..40)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_of_the_bytes_says_the_same(
        (version, lines) in lines(),
        cuts in prop::collection::vec(prop_oneof![1..30usize, 1..5000usize, 1..80_000usize], 1..8),
    ) {
        let bytes = conversation(version, &lines);
        let whole = played(version, &bytes, &[bytes.len()]);
        prop_assert_eq!(&played(version, &bytes, &cuts), &whole);
    }
}

#[test]
fn byte_by_byte_says_the_same() {
    let lines: Vec<String> = [
        "publish a hello qos=1 id=1 alias=1",
        "publish a hello",
        "puback 1",
        "pubrec 3",
        "publish \"\" *300 qos=2 id=2 alias=1",
        "pubrel 2",
        "publish a 5 type=x user.a=b",
        "unsubscribe 2 a",
        "pingreq",
    ]
    .map(str::to_owned)
    .to_vec();
    let version = Version::V5;
    let bytes = conversation(version, &lines);
    let whole = played(version, &bytes, &[bytes.len()]);
    let said = |kind: &str| whole.said.get(kind).map_or(0, Vec::len);
    assert_eq!([said("PUBACK"), said("PUBREC"), said("PUBCOMP"), said("UNSUBACK")], [1; 4]);
    assert_eq!(whole.asked.get("publish").map(Vec::len), Some(3));
    assert_eq!(played(version, &bytes, &[1]), whole);
}
