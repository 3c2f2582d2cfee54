//! Every end-to-end test, in one binary: a module a theme.

mod afterlife;
mod amqp;
mod client;
mod crash;
mod definitions;
mod hostile;
mod mqtt;
mod mqtt_client;
mod mqtt_crossing;
mod mqtt_hostile;
mod mqtt_kills;
mod mqtt_lives;
mod mqtt_sessions;
mod scram;
mod startup;
mod stomp;
mod tidy;
mod tunnel;
mod websocket;
