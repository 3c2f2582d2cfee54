//! Listeners and the one drive loop for every session.
