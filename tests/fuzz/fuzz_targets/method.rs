//! A payload is a method or it is not. What is one is encoded back to bytes that say
//! the same; so are content headers with their properties.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_amqp091::frame::HEADER;
use lockgate_amqp091::{decode, encode};
use lockgate_model::{Glance, Properties};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(method) = decode::method(bytes) {
        let mut again = Vec::new();
        encode::method(&mut again, 1, &method);
        let payload = &again[HEADER..again.len() - 1];
        let twice = decode::method(payload).expect("what was encoded");
        // Floats that are no number differ from themselves: their text does not.
        assert_eq!(format!("{twice:?}"), format!("{method:?}"));
    }
    if let Ok(header) = decode::header(bytes) {
        let glance = Glance::of(header.properties);
        if let Ok(properties) = Properties::decode(header.properties) {
            let glance = glance.expect("a list that decodes");
            assert_eq!(glance.persistent, properties.delivery_mode == Some(2));
            assert_eq!(glance.priority, properties.priority.unwrap_or(0));
        }
        let mut again = Vec::new();
        encode::header(&mut again, 1, &header);
        assert_eq!(&again[HEADER..again.len() - 1], bytes);
    }
});
