//! What to listen on: `KIND=ADDRESS:PORT`. Which kinds can really be served is
//! for the binary to say, which alone knows every front.

use crate::value::{Setting, quoted};
use crate::words::words;

words! {
    /// What is spoken on a listener.
    Kind {
        /// AMQP 0-9-1.
        Amqp = "amqp",
        /// AMQP 0-9-1 over TLS.
        Amqps = "amqps",
        /// MQTT.
        Mqtt = "mqtt",
        /// MQTT over TLS.
        Mqtts = "mqtts",
        /// STOMP.
        Stomp = "stomp",
        /// STOMP over TLS.
        Stomps = "stomps",
        /// WebSocket around any of them.
        Ws = "ws",
        /// The same over TLS.
        Wss = "wss",
        /// Whatever the first bytes say.
        Auto = "auto",
        /// Management.
        Http = "http",
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd)]
pub struct Listener {
    /// What is spoken.
    pub kind: Kind,
    /// `ADDRESS:PORT`, with a name or an address; port 0 lets the system choose.
    pub address: String,
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.kind.word(), self.address)
    }
}

impl Setting for Listener {
    fn parse(text: &str) -> Result<Self, String> {
        let Some((kind, address)) = text.split_once('=') else {
            return Err(format!("`{text}` is not KIND=ADDRESS:PORT, such as amqp=127.0.0.1:5672"));
        };
        let kind = Kind::parse(kind.trim())?;
        let address = address.trim();
        let port = address
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty() && (host.starts_with('[') || !host.contains(':')));
        match port.map(|(_, port)| port.parse::<u16>()) {
            Some(Ok(_)) => Ok(Listener { kind, address: address.into() }),
            _ => Err(format!("`{address}` is not ADDRESS:PORT, such as 127.0.0.1:5672")),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_a_kind_and_an_address_with_a_port() {
        for text in ["amqp=127.0.0.1:5672", "auto=[::1]:0", "mqtts=localhost:8883"] {
            assert_eq!(Listener::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "amqp",
            "amqp=",
            "amqp=1.2.3.4",
            "amqp=:1",
            "smtp=1.2.3.4:25",
            "amqp=1.2.3.4:70000",
            "amqp=::1:5672",
        ] {
            assert!(Listener::parse(text).is_err(), "{text}");
        }
    }
}
