//! The one writer: owns broker and log, batches, holds effects until committed.
