//! Tests of the whole session, around a toy protocol of lines.

mod autos;
mod frames;
mod handshakes;
mod kit;
mod sessions;
mod splits;
