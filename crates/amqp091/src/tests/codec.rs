//! Decoding is the inverse of encoding, and every cut of a packet is refused.

use crate::packet::{Header, Method, RawTable, Secret, method_name, method_table};
use crate::{decode, encode, frame, table};
use bytes::Bytes;
use lockgate_model::{Table, Value};
use proptest::prelude::*;

/// Values for the fields of a method, by kind.
#[derive(Clone, Debug)]
struct Fields {
    number: u64,
    bits: u16,
    text: String,
    bytes: Vec<u8>,
    table: Table,
    raw: Vec<u8>,
}

impl Fields {
    fn octet(&mut self) -> u8 {
        self.number as u8
    }
    fn short(&mut self) -> u16 {
        self.number as u16
    }
    fn long(&mut self) -> u32 {
        self.number as u32
    }
    fn huge(&mut self) -> u64 {
        self.number
    }
    fn bit(&mut self) -> bool {
        self.bits = self.bits.rotate_left(1);
        self.bits & 1 == 1
    }
}

macro_rules! value {
    ($f:ident octet) => {
        $f.octet()
    };
    ($f:ident short) => {
        $f.short()
    };
    ($f:ident long) => {
        $f.long()
    };
    ($f:ident huge) => {
        $f.huge()
    };
    ($f:ident bit) => {
        $f.bit()
    };
    ($f:ident text) => {
        &$f.text
    };
    ($f:ident key) => {
        &$f.bytes
    };
    ($f:ident blob) => {
        &$f.bytes
    };
    ($f:ident secret) => {
        Secret(&$f.bytes)
    };
    ($f:ident raw) => {
        RawTable(&$f.raw)
    };
    ($f:ident args) => {
        $f.table.clone()
    };
}

macro_rules! every {
    ($($class:literal $id:literal $name:literal $variant:ident { $($field:ident: $kind:ident),* })*) => {
        /// Calls `check` with every method there is.
        #[allow(unused_variables, unused_mut)]
        fn every_method(fields: &Fields, check: &mut dyn FnMut(Method<'_>)) {
            $({
                let mut f = fields.clone();
                $(let $field: every!(@type $kind) = every!(@owned f $kind);)*
                check(Method::$variant { $($field: every!(@field f $field $kind)),* });
            })*
        }
    };
    (@type octet) => { u8 };
    (@type short) => { u16 };
    (@type long) => { u32 };
    (@type huge) => { u64 };
    (@type bit) => { bool };
    (@type $other:ident) => { () };
    (@owned $f:ident octet) => { value!($f octet) };
    (@owned $f:ident short) => { value!($f short) };
    (@owned $f:ident long) => { value!($f long) };
    (@owned $f:ident huge) => { value!($f huge) };
    (@owned $f:ident bit) => { value!($f bit) };
    (@owned $f:ident $other:ident) => { () };
    (@field $f:ident $field:ident octet) => { $field };
    (@field $f:ident $field:ident short) => { $field };
    (@field $f:ident $field:ident long) => { $field };
    (@field $f:ident $field:ident huge) => { $field };
    (@field $f:ident $field:ident bit) => { $field };
    (@field $f:ident $field:ident $kind:ident) => { value!($f $kind) };
}
method_table!(every);

fn payload(method: &Method<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode::method(&mut out, 3, method);
    let cut = frame::cut(&out, out.len());
    assert!(matches!(cut, Ok(frame::Cut::Whole(head)) if head.size + frame::AROUND == out.len()));
    out[frame::HEADER..out.len() - 1].to_vec()
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::I8),
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u16>().prop_map(Value::U16),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        (-1e9f64..1e9).prop_map(Value::F64),
        any::<u64>().prop_map(Value::Timestamp),
        ".{0,8}".prop_map(|s| Value::text(&s)),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|b| Value::Binary(Bytes::from(b))),
        (any::<u8>(), any::<i32>()).prop_map(|(scale, value)| Value::Decimal { scale, value }),
        Just(Value::Void),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec(("[a-z]{0,6}", inner), 0..4).prop_map(|fields| {
                Value::Table(Table(fields.into_iter().map(|(k, v)| (k.into(), v)).collect()))
            }),
        ]
    })
}

fn any_table() -> impl Strategy<Value = Table> {
    prop::collection::vec(("[a-zäö-]{0,12}", any_value()), 0..6)
        .prop_map(|fields| Table(fields.into_iter().map(|(k, v)| (k.into(), v)).collect()))
}

fn any_fields() -> impl Strategy<Value = Fields> {
    (
        any::<u64>(),
        any::<u16>(),
        "[ -~ä]{0,60}",
        prop::collection::vec(any::<u8>(), 0..60),
        any_table(),
    )
        .prop_map(|(number, bits, text, bytes, table)| {
            let mut raw = Vec::new();
            table.encode(&mut raw);
            raw.drain(..4);
            Fields { number, bits, text, bytes, table, raw }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_method_comes_back_as_it_went_and_no_cut_does(fields in any_fields()) {
        every_method(&fields, &mut |method| {
            let bytes = payload(&method);
            assert_eq!(decode::method(&bytes).as_ref(), Ok(&method));
            let (class, id) = method.id();
            assert_eq!(method_name(class, id), Some(method.name()));
            for n in 0..bytes.len() {
                assert!(decode::method(&bytes[..n]).is_err(), "{method:?} cut at {n}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert!(decode::method(&longer).is_err(), "{method:?} with a byte more");
        });
    }

    #[test]
    fn headers_come_back_as_they_went(
        class in any::<u16>(),
        weight in any::<u16>(),
        body_size in any::<u64>(),
        properties in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let header = Header { class, weight, body_size, properties: &properties };
        let mut out = Vec::new();
        encode::header(&mut out, 1, &header);
        prop_assert_eq!(decode::header(&out[frame::HEADER..out.len() - 1]), Ok(header));
    }

    /// What is checked where it lies is what decoding accepts, and the reverse.
    #[test]
    fn the_check_of_a_table_agrees_with_its_decoder(
        table in any_table(),
        spoil in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes = Vec::new();
        table.encode(&mut bytes);
        if let Some((at, byte)) = spoil {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(table::check(&bytes), Table::decode(&bytes).map(|_| ()));
    }

    #[test]
    fn any_bytes_decode_or_do_not_but_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::method(&bytes);
        let _ = decode::header(&bytes);
        let _ = frame::cut(&bytes, 4096);
        prop_assert_eq!(table::check(&bytes), Table::decode(&bytes).map(|_| ()));
    }
}

#[test]
fn nesting_and_numbers_of_values_are_bounded_where_they_lie() {
    let mut deep = Value::Void;
    for _ in 0..40 {
        deep = Value::Array(vec![deep]);
    }
    for value in [deep, Value::Array(vec![Value::Void; 20_000])] {
        let mut bytes = Vec::new();
        Table(vec![("a".into(), value)]).encode(&mut bytes);
        assert!(table::check(&bytes).is_err());
        assert_eq!(table::check(&bytes), Table::decode(&bytes).map(|_| ()));
    }
}

#[test]
fn nesting_ends_at_the_same_depth_for_the_check_as_for_the_decoder() {
    let (mut deep, mut good) = (Value::Void, 0);
    for _ in 0..30 {
        let mut bytes = Vec::new();
        Table(vec![("a".into(), deep.clone())]).encode(&mut bytes);
        assert_eq!(table::check(&bytes), Table::decode(&bytes).map(|_| ()));
        good += usize::from(table::check(&bytes).is_ok());
        deep = Value::Table(Table(vec![("b".into(), deep)]));
    }
    assert_eq!(good, lockgate_model::limits::NESTING_MAX + 1);
}

#[test]
fn secrets_are_not_printed() {
    let method = Method::ConnectionSecureOk { response: Secret(b"hunter2") };
    assert!(!format!("{method:?}").contains("hunter"));
    assert!(!format!("{method:?}").contains("104"));
}
