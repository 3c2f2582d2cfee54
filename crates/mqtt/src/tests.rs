//! Tests that need more than one file of this crate: vectors and properties.

mod codec;
mod scripts;
mod secrets;
pub(crate) mod show;
mod vectors;
