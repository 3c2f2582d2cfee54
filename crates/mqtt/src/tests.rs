//! Tests that need more than one file of this crate: vectors and properties.

mod codec;
mod engine;
mod hostile;
mod scripts;
mod secrets;
pub(crate) mod show;
mod splits;
mod vectors;
