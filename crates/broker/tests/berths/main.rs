//! Berths: clients come, go and are lost, and what they want to hear waits for them.

#[path = "../kit/mod.rs"]
mod kit;
mod quay;

mod coming;
mod hearing;
mod marks;
mod seams;
mod shares;
mod wills;
