//! Tests that need more than one file of this crate: vectors and properties.

mod codec;
mod scripts;
pub(crate) mod show;
mod vectors;
