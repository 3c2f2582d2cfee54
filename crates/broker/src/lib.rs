//! The machine: exchanges, bindings, queues; pure and deterministic.
