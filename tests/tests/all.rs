//! Every end-to-end test, in one binary: a module a theme.

mod amqp;
mod client;
mod crash;
mod startup;
mod tidy;
