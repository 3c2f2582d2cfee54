//! Any bytes are a client's messages of SCRAM-SHA-256, or none, and none of them is proof of
//! anything. A line for each message, the first and the last.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_auth::scram::{First, Last, Talk, decoy};

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (first, last) = bytes.split_at(at);
    let last = last.get(1..).unwrap_or_default();
    if let Ok(last) = Last::read(last) {
        assert!(last.without_proof.starts_with("c=") && !last.nonce.contains(','));
    }
    let Ok(said) = First::read(first) else { return };
    assert_eq!([said.gs2, said.bare].concat().as_bytes(), first);
    assert!(!said.user.is_empty() && !said.nonce.is_empty());
    let keys = decoy(&[1; 32], &said.user);
    let talk = Talk::begin(&said, &keys, "ours");
    assert!(talk.challenge().starts_with(&format!("r={}ours,s=", said.nonce)));
    let carried = Talk::read(&talk.write()).expect("what was written");
    assert!(carried == talk && carried.first() == Ok(said));
    assert!(carried.finish(last, &keys).is_err());
});
