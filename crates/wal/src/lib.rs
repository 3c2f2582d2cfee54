//! The log: append, group sync, recover, read back, compact.
