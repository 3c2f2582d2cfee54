//! The example of RFC 7677, what is refused, and noise.

use super::*;
use proptest::prelude::*;

// RFC 7677, 3: user "user", password "pencil".
const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const OURS: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CHALLENGE: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const END: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn pencil() -> Scram {
    keys(b"pencil", &STANDARD.decode(SALT).unwrap(), 4096)
}

fn talk() -> (Talk, Scram) {
    let keys = pencil();
    (Talk::begin(&First::read(FIRST.as_bytes()).unwrap(), &keys, OURS), keys)
}

/// A client's last message, to whatever it was challenged with.
fn last(first: &str, challenge: &str, password: &[u8]) -> String {
    let part = |name: &str| challenge.split(',').find_map(|p| p.strip_prefix(name)).unwrap();
    let salt = STANDARD.decode(part("s=")).unwrap();
    let bare = first.splitn(3, ',').nth(2).unwrap();
    let gs2 = STANDARD.encode(&first[..first.len() - bare.len()]);
    let without = format!("c={gs2},r={}", part("r="));
    let said = format!("{bare},{challenge},{without}");
    let salted = keys::salted(password, &salt, part("i=").parse().unwrap());
    let client = hmac(&salted, b"Client Key");
    let signature = hmac(&sha256(&client), said.as_bytes());
    let proof: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    format!("{without},p={}", STANDARD.encode(proof))
}

#[test]
fn the_example_of_rfc_7677_goes_as_it_says() {
    let (talk, keys) = talk();
    assert_eq!(talk.challenge(), CHALLENGE);
    assert_eq!(last(FIRST, CHALLENGE, b"pencil"), LAST);
    let carried = Talk::read(&talk.write()).unwrap();
    assert_eq!(carried, talk);
    assert_eq!(carried.finish(LAST.as_bytes(), &keys).as_deref(), Ok(END));
}

#[test]
fn another_password_proves_nothing() {
    let (talk, keys) = talk();
    let wrong = last(FIRST, CHALLENGE, b"pencils");
    assert_eq!(talk.finish(wrong.as_bytes(), &keys), Err(Unproven("wrong password")));
    let others = super::keys(b"pencil", b"another salt", 4096);
    assert_eq!(talk.finish(LAST.as_bytes(), &others), Err(Unproven("wrong password")));
}

/// RFC 5802, 5.1: each of these must end the conversation.
#[test]
fn what_was_agreed_cannot_be_changed_at_the_end() {
    let (talk, keys) = talk();
    let mut not_ours = talk.clone();
    not_ours.answer = CHALLENGE.replace("k0", "k1");
    let other_nonce = last(FIRST, &not_ours.answer, b"pencil");
    let no = talk.finish(other_nonce.as_bytes(), &keys);
    assert_eq!(no, Err(Unproven("another nonce than ours")));
    let short = LAST.replace(OURS, "");
    assert_eq!(talk.finish(short.as_bytes(), &keys), no);
    // The header of a client that could bind channels, where the first was of one that cannot.
    let downgraded = LAST.replace("c=biws", "c=eSws");
    let no = talk.finish(downgraded.as_bytes(), &keys);
    assert_eq!(no, Err(Unproven("another channel binding than at first")));
}

#[test]
fn headers_without_channel_binding_are_taken_and_others_are_not() {
    let read = |text: &str| First::read(text.as_bytes()).map(|f| f.user.into_owned());
    assert_eq!(read("y,,n=user,r=x"), Ok("user".into()));
    assert_eq!(read("n,a=user,n=user,r=x"), Ok("user".into()));
    assert_eq!(read("n,,n=a=2Cb=3Dc,r=x,e=more"), Ok("a,b=c".into()));
    assert_eq!(read("n,,n=vhost:user,r=x"), Ok("vhost:user".into()));
    let no = Err(Unproven("asks for channel binding, which is not offered"));
    assert_eq!(read("p=tls-unique,,n=user,r=x"), no);
    let no = Err(Unproven("asks for an extension that is not known"));
    assert_eq!(read("n,,m=x,n=user,r=x"), no);
    assert_eq!(read("n,a=admin,n=user,r=x"), Err(Unproven("asks to act as another user")));
    for bad in [
        "",
        "n",
        "n,,",
        "n,,n=user",
        "n,,n=,r=x",
        "n,,n=user,r=",
        "n,,n=user,r=a b",
        "n,,n=user,r=x,",
        "n,,n=user,r=x,more",
        "n,,n=a=2c,r=x",
        "n,,n=a=3,r=x",
        "n,,n=a=,r=x",
        "n,,r=x,n=user",
        "x,,n=user,r=x",
        "n,b=user,n=user,r=x",
        "n,,n=us\0er,r=x",
    ] {
        assert_eq!(read(bad), Err(Unproven("malformed SCRAM message")), "{bad:?}");
    }
    assert!(First::read(b"n,,n=\xff,r=x").is_err());
    let long = format!("n,,n={},r=x", "u".repeat(MESSAGE_BYTES_MAX));
    assert!(First::read(long.as_bytes()).is_err());
}

#[test]
fn who_is_not_known_is_answered_like_who_is() {
    let secret = [7; 32];
    let (a, b) = (decoy(&secret, "a"), decoy(&secret, "b"));
    assert_eq!((a.salt.len(), a.iterations), (16, ITERATIONS));
    assert_eq!(a, decoy(&secret, "a"), "the same each time");
    assert_ne!(a.salt, b.salt);
    assert_ne!(a.salt, decoy(&[8; 32], "a").salt);
}

#[test]
fn nonces_differ_by_seed_and_by_secret() {
    let said = nonce(&[1; 32], b"1");
    assert!(said.len() == 24 && said.bytes().all(|b| b.is_ascii_graphic() && b != b','));
    assert!(said != nonce(&[1; 32], b"2") && said != nonce(&[2; 32], b"1"));
}

#[test]
fn debug_shows_no_secret() {
    let (talk, keys) = talk();
    assert_eq!(format!("{talk:?} {keys:?}"), "Talk(<secret>) Scram(<secret>)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_wrong_byte_is_refused_wherever_it_stands(at in 0..LAST.len(), mask in 1u8..) {
        let (talk, keys) = talk();
        let mut bytes = LAST.as_bytes().to_vec();
        bytes[at] ^= mask;
        prop_assert!(talk.finish(&bytes, &keys).is_err());
    }

    #[test]
    fn a_wrong_byte_at_first_is_refused_in_the_end(at in 0..FIRST.len(), mask in 1u8..) {
        let mut bytes = FIRST.as_bytes().to_vec();
        bytes[at] ^= mask;
        if let Ok(first) = First::read(&bytes) {
            let talk = Talk::begin(&first, &pencil(), OURS);
            prop_assert!(talk.finish(LAST.as_bytes(), &pencil()).is_err());
        }
    }

    #[test]
    fn any_name_and_any_password_will_do(
        user in "[^\0]{1,30}", password in any::<Vec<u8>>(), nonce in "[!-+\\--~]{1,30}"
    ) {
        let said = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("y,a={said},n={said},r={nonce},x=1");
        let keys = keys(&password, b"salt", 2);
        let read = First::read(first.as_bytes()).unwrap();
        prop_assert_eq!(&*read.user, &*user);
        let talk = Talk::begin(&read, &keys, "ours");
        let last = last(&first, talk.challenge(), &password);
        prop_assert!(talk.finish(last.as_bytes(), &keys).is_ok());
    }

    #[test]
    fn noise_is_refused(bytes: Vec<u8>, text in "[nyp=,ac=rspv:0-9A-Za-z+/]{0,60}") {
        let (talk, keys) = talk();
        for noise in [&bytes[..], text.as_bytes()] {
            let _ = First::read(noise);
            let _ = Talk::read(noise);
            prop_assert!(talk.finish(noise, &keys).is_err());
        }
    }
}
