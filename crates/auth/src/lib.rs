//! Users, passwords, permissions.
