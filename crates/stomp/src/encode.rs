//! Frames to bytes, and nothing else.

use crate::header::{Escapes, escape, put_number};

/// Appends `name:value` and its line end.
pub fn header(out: &mut Vec<u8>, name: &[u8], value: &[u8], escapes: Escapes) {
    escape(name, escapes, out);
    out.push(b':');
    escape(value, escapes, out);
    out.push(b'\n');
}

/// Appends a whole frame, with its length if it has a body, and `behind` its NUL.
pub fn frame<'h>(
    out: &mut Vec<u8>,
    command: &str,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    body: &[u8],
    escapes: Escapes,
    behind: &[u8],
) {
    out.extend_from_slice(command.as_bytes());
    out.push(b'\n');
    for (name, value) in headers {
        header(out, name.as_bytes(), value, escapes);
    }
    if !body.is_empty() {
        out.extend_from_slice(b"content-length:");
        put_number(body.len() as u64, out);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(body);
    out.push(0);
    out.extend_from_slice(behind);
}
