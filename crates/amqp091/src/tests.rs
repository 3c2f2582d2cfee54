//! Tests that need more than one file of this crate: scripts, vectors, properties.

mod codec;
mod deliveries;
mod hostile;
mod scripts;
mod splits;
mod vectors;
