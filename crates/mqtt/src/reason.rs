//! Reason codes of version 5 with their numbers, names and the packets they may stand in
//! (2.4 and the tables of each packet), and what 3.1 and 3.1.1 have in their stead.

use crate::packet::{Place, Version};

macro_rules! reasons {
    ($($number:literal $reason:ident $name:literal [$($place:ident)*])*) => {
        /// Why, or that all is well.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // named as the specification names them
        pub enum Reason { $($reason = $number),* }

        impl Reason {
            /// The reason of this number, if it may stand in such a packet.
            #[inline]
            pub fn of(place: Place, number: u8) -> Option<Reason> {
                let (reason, places) = match number {
                    $($number => (Reason::$reason, 0 $(| Place::$place.bit())*),)*
                    _ => return None,
                };
                (places & place.bit() != 0).then_some(reason)
            }

            /// The name, as the specification writes it.
            pub fn name(self) -> &'static str {
                match self { $(Reason::$reason => $name),* }
            }

            /// All there are.
            pub const ALL: &[Reason] = &[$(Reason::$reason),*];
        }
    };
}
reasons! {
    0x00 Success "Success" [Connack Puback Pubrec Pubrel Pubcomp Suback Unsuback
        ClientDisconnect ServerDisconnect ServerAuth]
    0x01 GrantedQos1 "Granted QoS 1" [Suback]
    0x02 GrantedQos2 "Granted QoS 2" [Suback]
    0x04 DisconnectWithWill "Disconnect with Will Message" [ClientDisconnect]
    0x10 NoMatchingSubscribers "No matching subscribers" [Puback Pubrec]
    0x11 NoSubscriptionExisted "No subscription existed" [Unsuback]
    0x18 ContinueAuthentication "Continue authentication" [ClientAuth ServerAuth]
    0x19 Reauthenticate "Re-authenticate" [ClientAuth]
    0x80 Unspecified "Unspecified error" [Connack Puback Pubrec Suback Unsuback
        ClientDisconnect ServerDisconnect]
    0x81 Malformed "Malformed Packet" [Connack ClientDisconnect ServerDisconnect]
    0x82 Protocol "Protocol Error" [Connack ClientDisconnect ServerDisconnect]
    0x83 ImplementationSpecific "Implementation specific error" [Connack Puback Pubrec Suback
        Unsuback ClientDisconnect ServerDisconnect]
    0x84 UnsupportedVersion "Unsupported Protocol Version" [Connack]
    0x85 BadClientId "Client Identifier not valid" [Connack]
    0x86 BadLogin "Bad User Name or Password" [Connack]
    0x87 NotAuthorized "Not authorized" [Connack Puback Pubrec Suback Unsuback ServerDisconnect]
    0x88 ServerUnavailable "Server unavailable" [Connack]
    0x89 ServerBusy "Server busy" [Connack ServerDisconnect]
    0x8a Banned "Banned" [Connack]
    0x8b ServerShuttingDown "Server shutting down" [ServerDisconnect]
    0x8c BadAuthenticationMethod "Bad authentication method" [Connack ServerDisconnect]
    0x8d KeepAliveTimeout "Keep Alive timeout" [ServerDisconnect]
    0x8e SessionTakenOver "Session taken over" [ServerDisconnect]
    0x8f TopicFilterInvalid "Topic Filter invalid" [Suback Unsuback ServerDisconnect]
    0x90 TopicNameInvalid "Topic Name invalid" [Connack Puback Pubrec
        ClientDisconnect ServerDisconnect]
    0x91 PacketIdInUse "Packet Identifier in use" [Puback Pubrec Suback Unsuback]
    0x92 PacketIdNotFound "Packet Identifier not found" [Pubrel Pubcomp]
    0x93 ReceiveMaximumExceeded "Receive Maximum exceeded" [ClientDisconnect ServerDisconnect]
    0x94 TopicAliasInvalid "Topic Alias invalid" [ClientDisconnect ServerDisconnect]
    0x95 PacketTooLarge "Packet too large" [Connack ClientDisconnect ServerDisconnect]
    0x96 MessageRateTooHigh "Message rate too high" [ClientDisconnect ServerDisconnect]
    0x97 QuotaExceeded "Quota exceeded" [Connack Puback Pubrec Suback
        ClientDisconnect ServerDisconnect]
    0x98 AdministrativeAction "Administrative action" [ClientDisconnect ServerDisconnect]
    0x99 PayloadFormatInvalid "Payload format invalid" [Connack Puback Pubrec
        ClientDisconnect ServerDisconnect]
    0x9a RetainNotSupported "Retain not supported" [Connack ServerDisconnect]
    0x9b QosNotSupported "QoS not supported" [Connack ServerDisconnect]
    0x9c UseAnotherServer "Use another server" [Connack ServerDisconnect]
    0x9d ServerMoved "Server moved" [Connack ServerDisconnect]
    0x9e SharedNotSupported "Shared Subscriptions not supported" [Suback ServerDisconnect]
    0x9f ConnectionRateExceeded "Connection rate exceeded" [Connack ServerDisconnect]
    0xa0 MaximumConnectTime "Maximum connect time" [ServerDisconnect]
    0xa1 SubscriptionIdsNotSupported "Subscription Identifiers not supported"
        [Suback ServerDisconnect]
    0xa2 WildcardsNotSupported "Wildcard Subscriptions not supported" [Suback ServerDisconnect]
}

impl Reason {
    /// The number on the wire of version 5.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Does it say that something went wrong?
    pub fn is_error(self) -> bool {
        self.number() >= 0x80
    }

    /// The return code of CONNACK in 3.1 and 3.1.1 (3.1.1's 3.2.2.3). They have five; for
    /// what they cannot say it is that the server is not available, and for what is about
    /// who the client is, that it is not authorized.
    pub fn return_code(self) -> u8 {
        match self {
            Reason::Success => 0,
            Reason::UnsupportedVersion => 1,
            Reason::BadClientId => 2,
            Reason::BadLogin | Reason::BadAuthenticationMethod => 4,
            Reason::NotAuthorized | Reason::Banned => 5,
            _ => 3,
        }
    }

    /// Is it one that 3.1 and 3.1.1 have a return code for? They close without a word where a
    /// client has not kept to the protocol.
    pub fn has_return_code(self) -> bool {
        !matches!(
            self,
            Reason::Malformed
                | Reason::Protocol
                | Reason::PacketTooLarge
                | Reason::TopicNameInvalid
                | Reason::PayloadFormatInvalid
        )
    }

    /// The same where it may stand, else what comes nearest to it.
    pub fn in_place(self, place: Place) -> Reason {
        let stands = |reason: Reason| Reason::of(place, reason.number()) == Some(reason);
        let near = match self {
            Reason::ServerShuttingDown => Reason::ServerUnavailable,
            Reason::ServerUnavailable => Reason::ServerShuttingDown,
            Reason::BadLogin | Reason::Banned => Reason::NotAuthorized,
            Reason::TopicFilterInvalid => Reason::TopicNameInvalid,
            _ => Reason::ImplementationSpecific,
        };
        [self, near].into_iter().find(|r| stands(*r)).unwrap_or(Reason::Unspecified)
    }

    /// The reason that a return code of CONNACK in 3.1 and 3.1.1 gives.
    pub fn of_return_code(code: u8) -> Option<Reason> {
        Some(match code {
            0 => Reason::Success,
            1 => Reason::UnsupportedVersion,
            2 => Reason::BadClientId,
            3 => Reason::ServerUnavailable,
            4 => Reason::BadLogin,
            5 => Reason::NotAuthorized,
            _ => return None,
        })
    }

    /// The octet in SUBACK. 3.1.1 has one failure; 3.1 has none at all, so there nothing can
    /// be said and the caller has to grant something.
    pub fn suback_octet(self, version: Version) -> Option<u8> {
        match version {
            Version::V5 => Some(self.number()),
            Version::V311 if self.is_error() => Some(0x80),
            Version::V31 if self.is_error() => None,
            _ => Some(self.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_codes_come_back() {
        for code in 0..=5 {
            assert_eq!(Reason::of_return_code(code).map(Reason::return_code), Some(code));
        }
        assert_eq!(Reason::of_return_code(6), None);
        assert!(Reason::ALL.iter().all(|r| r.return_code() <= 5));
    }

    #[test]
    fn codes_stand_only_where_they_may() {
        assert_eq!(Reason::of(Place::Suback, 1), Some(Reason::GrantedQos1));
        assert_eq!(Reason::of(Place::Puback, 1), None);
        assert_eq!(Reason::of(Place::ClientDisconnect, 0x04), Some(Reason::DisconnectWithWill));
        assert_eq!(Reason::of(Place::ServerDisconnect, 0x04), None);
        assert_eq!(Reason::of(Place::ClientDisconnect, 0x8e), None);
        assert_eq!(Reason::ALL.len(), 43);
    }

    #[test]
    fn a_refused_subscription_is_said_as_far_as_the_version_can() {
        let no = Reason::NotAuthorized;
        assert_eq!(no.suback_octet(Version::V5), Some(0x87));
        assert_eq!(no.suback_octet(Version::V311), Some(0x80));
        assert_eq!(no.suback_octet(Version::V31), None);
        assert_eq!(Reason::GrantedQos2.suback_octet(Version::V31), Some(2));
    }
}
