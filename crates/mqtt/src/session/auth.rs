//! Enhanced authentication (4.12): a client proves who it is in an exchange of its own choice.

use super::Connection;
use crate::error::Fault;
use crate::packet::{Connect, End};
use crate::reason::Reason;
use lockgate_front::Output;
use lockgate_model::Time;

impl Connection {
    /// A CONNECT that names a method. True if it is taken from here: the client is judged when
    /// the exchange is over.
    pub(super) fn begins_exchange(
        &mut self,
        connect: &Connect<'_>,
        _out: &mut Output,
    ) -> Result<bool, Fault> {
        match connect.properties.auth_method() {
            None => Ok(false),
            Some(method) => {
                let text = format!("authentication method {}", method.escape_debug());
                Err(Fault::new(Reason::BadAuthenticationMethod, text, "MQTT-4.12.0-1"))
            }
        }
    }

    /// AUTH has come.
    pub(super) fn auth(
        &mut self,
        _auth: &End<'_>,
        _now: Time,
        _out: &mut Output,
    ) -> Result<(), Fault> {
        let text = "AUTH, and CONNECT named no method";
        Err(Fault::new(Reason::Protocol, text, "MQTT-4.12.0-7"))
    }
}
