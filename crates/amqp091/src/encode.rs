//! Packets to bytes, and nothing else.

use crate::frame::{END, HEADER, Kind};
use crate::packet::{Header, Method, RawTable, Secret, method_table};
use lockgate_model::Table;

/// Writes field after field; one method per kind of the method table.
struct Writer<'w> {
    out: &'w mut Vec<u8>,
    /// Bits already in the last octet; 8 where a new one must begin.
    bits: u8,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.bits = 8;
        self.out.extend_from_slice(bytes);
    }

    fn octet(&mut self, n: &u8) {
        self.put(&[*n]);
    }

    fn short(&mut self, n: &u16) {
        self.put(&n.to_be_bytes());
    }

    fn long(&mut self, n: &u32) {
        self.put(&n.to_be_bytes());
    }

    fn huge(&mut self, n: &u64) {
        self.put(&n.to_be_bytes());
    }

    fn bit(&mut self, set: &bool) {
        if self.bits == 8 {
            self.out.push(0);
            self.bits = 0;
        }
        if let Some(last) = self.out.last_mut() {
            *last |= u8::from(*set) << self.bits;
        }
        self.bits += 1;
    }

    fn text(&mut self, text: &str) {
        self.key(text.as_bytes());
    }

    /// Short strings end at 255 bytes: names are checked where they enter.
    fn key(&mut self, key: &[u8]) {
        let n = key.len().min(255);
        self.put(&[n as u8]);
        self.put(&key[..n]);
    }

    fn blob(&mut self, bytes: &[u8]) {
        self.put(&(bytes.len() as u32).to_be_bytes());
        self.put(bytes);
    }

    fn secret(&mut self, secret: &Secret<'_>) {
        self.blob(secret.0);
    }

    fn raw(&mut self, table: &RawTable<'_>) {
        self.blob(table.0);
    }

    fn args(&mut self, table: &Table) {
        self.bits = 8;
        table.encode(self.out);
    }
}

macro_rules! encoder {
    ($($class:literal $id:literal $name:literal $variant:ident { $($field:ident: $kind:ident),* })*) => {
        fn fields(method: &Method<'_>, w: &mut Writer<'_>) {
            match method {
                $(Method::$variant { $($field),* } => { $(w.$kind($field);)* })*
            }
        }
    };
}
method_table!(encoder);

/// Appends a frame whose payload `fill` writes.
pub fn frame(out: &mut Vec<u8>, kind: Kind, channel: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let [c0, c1] = channel.to_be_bytes();
    let at = out.len();
    out.extend_from_slice(&[kind.octet(), c0, c1, 0, 0, 0, 0]);
    fill(out);
    let size = (out.len() - at - HEADER) as u32;
    out[at + 3..at + HEADER].copy_from_slice(&size.to_be_bytes());
    out.push(END);
}

/// Appends a method's frame.
pub fn method(out: &mut Vec<u8>, channel: u16, method: &Method<'_>) {
    let (class, id) = method.id();
    frame(out, Kind::Method, channel, |out| {
        out.extend_from_slice(&class.to_be_bytes());
        out.extend_from_slice(&id.to_be_bytes());
        fields(method, &mut Writer { out, bits: 8 });
    });
}

/// Appends a content header's frame.
pub fn header(out: &mut Vec<u8>, channel: u16, header: &Header<'_>) {
    frame(out, Kind::Header, channel, |out| {
        out.extend_from_slice(&header.class.to_be_bytes());
        out.extend_from_slice(&header.weight.to_be_bytes());
        out.extend_from_slice(&header.body_size.to_be_bytes());
        out.extend_from_slice(header.properties);
    });
}

/// Appends a heartbeat.
pub fn heartbeat(out: &mut Vec<u8>) {
    frame(out, Kind::Heartbeat, 0, |_| {});
}
