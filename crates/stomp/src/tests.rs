//! Tests that need more than one file of this crate: scripts, vectors, properties.

mod scripts;
mod splits;
mod vectors;
