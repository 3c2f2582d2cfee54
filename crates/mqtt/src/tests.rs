//! Tests that need more than one file of this crate: vectors and properties.

mod codec;
mod show;
mod vectors;
