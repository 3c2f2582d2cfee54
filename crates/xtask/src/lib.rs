//! Chores: tidy checks, generated tables.
