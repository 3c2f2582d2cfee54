//! Any bytes are a frame, a part of one, or none; what is whole is inside the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_amqp091::frame::{AROUND, Cut, HEADER, cut};

const MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut at = 0;
    while let Ok(Cut::Whole(head)) = cut(&bytes[at..], MAX) {
        assert!(head.size <= MAX);
        let payload = &bytes[at + HEADER..at + HEADER + head.size];
        assert_eq!(payload.len(), head.size);
        at += AROUND + head.size;
    }
    if let Ok(Cut::Part(head)) = cut(&bytes[at..], MAX) {
        assert!(head.size <= MAX && bytes.len() - at < AROUND + head.size);
    }
});
