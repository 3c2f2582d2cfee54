//! Every end-to-end test, in one binary: a module a theme.

mod tidy;
