//! A table that is found good where it lies is one that decodes, and the reverse;
//! and what decodes is encoded back to the same table.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lockgate_amqp091::table;
use lockgate_model::Table;

fuzz_target!(|bytes: &[u8]| {
    let decoded = Table::decode(bytes);
    assert_eq!(table::check(bytes), decoded.as_ref().map(|_| ()).map_err(|e| *e));
    if let Some(inner) = bytes.get(4..) {
        let fields = table::Fields(inner).count();
        if let Ok(table) = &decoded {
            assert_eq!(fields, table.0.len());
        }
    }
    if let Ok(table) = decoded {
        let mut again = Vec::new();
        table.encode(&mut again);
        let twice = Table::decode(&again).expect("what was encoded");
        assert_eq!(format!("{twice:?}"), format!("{table:?}"));
    }
});
