//! The contract between a protocol front and what drives it.
