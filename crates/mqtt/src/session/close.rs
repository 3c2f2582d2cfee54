//! How things end: by the client, by a fault of its own, by silence, by another client of its
//! name, by our own stop. Version 5 is told why; 3.1 and 3.1.1 can only be told at CONNECT.

use super::{Connection, Phase};
use crate::encode;
use crate::error::Fault;
use crate::packet::{Connack, End, Packet, Place, Version};
use crate::property::{Properties, Property, PropertyList};
use crate::reason::Reason;
use lockgate_front::{Cause, Close, Output};
use lockgate_model::{Command, Lasting, Time};
use std::time::Duration;

/// How long a client may take to read our last words and to close the socket. What it sent
/// meanwhile is dropped: closing upon unread input would take back what we said last.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(3);

impl Connection {
    /// The client did something that it may not: it is told why as far as can be.
    pub(super) fn fail(&mut self, fault: &Fault, out: &mut Output) {
        let cause = Cause::Fault(fault.to_string());
        self.part(fault.reason, &fault.text, cause, out);
    }

    /// Ends the connection, and says why as far as can be.
    pub(super) fn part(&mut self, reason: Reason, text: &str, cause: Cause, out: &mut Output) {
        let told = match self.phase {
            Phase::Over => return,
            Phase::Greeting if !self.greeted => false,
            Phase::Greeting | Phase::Login | Phase::Entering => self.say_refusal(reason, text, out),
            Phase::Running => {
                self.answers.say(out);
                self.version == Version::V5 && self.say_disconnect(reason, text, out)
            }
        };
        self.end(if told { LAST_WORDS_WAIT } else { Duration::ZERO }, cause, out);
    }

    /// The end of the connection itself.
    pub(super) fn end(&mut self, linger: Duration, cause: Cause, out: &mut Output) {
        self.phase = Phase::Over;
        self.deadline = None;
        self.asked = None;
        self.entering = None;
        out.close = Some(Close { linger, cause });
    }

    /// CONNACK with a reason. 3.1 and 3.1.1 have codes for few of them and are told nothing
    /// of the others [MQTT-3.1.4-1 of 3.1.1].
    fn say_refusal(&mut self, reason: Reason, text: &str, out: &mut Output) -> bool {
        let reason = reason.in_place(Place::Connack);
        if self.version < Version::V5 && !reason.has_return_code() {
            return false;
        }
        let mut list = PropertyList::default();
        self.explain(reason, text, &mut list);
        self.say_first(
            |properties| Packet::Connack(Connack { session_present: false, reason, properties }),
            &list,
            out,
        )
    }

    fn say_disconnect(&mut self, reason: Reason, text: &str, out: &mut Output) -> bool {
        let reason = reason.in_place(Place::ServerDisconnect);
        let mut list = PropertyList::default();
        self.explain(reason, text, &mut list);
        self.say_first(|properties| Packet::Disconnect(End { reason, properties }), &list, out)
    }

    /// Reason String and Server Reference. What does not fit is left out (3.14.2.2.3).
    pub(super) fn explain(&self, reason: Reason, text: &str, list: &mut PropertyList) {
        if self.version < Version::V5 {
            return;
        }
        if let (Reason::UseAnotherServer | Reason::ServerMoved, Some(other)) =
            (reason, &self.shared.settings.server_reference)
        {
            let _ = list.push(&Property::ServerReference(other));
        }
        if self.problems && !text.is_empty() {
            // Texts hold what the client has sent: U+0000 may not be said [MQTT-1.5.4-2].
            let text: String = text.chars().filter(|c| *c != '\0').collect();
            let _ = list.push(&Property::ReasonString(&text));
        }
    }

    /// Says a packet with properties, or without if the client does not take one so large.
    pub(super) fn say_first<'p>(
        &self,
        packet: impl Fn(Properties<'p>) -> Packet<'p>,
        list: &'p PropertyList,
        out: &mut Output,
    ) -> bool {
        let small = out.bytes.small();
        let mut say = |p: &Packet<'_>| encode::packet(small, self.version, self.packet_max, p);
        say(&packet(list.properties())).or_else(|_| say(&packet(Properties::NONE))).is_ok()
    }

    /// The client says that it goes (3.14).
    pub(super) fn disconnect(&mut self, said: &End<'_>, out: &mut Output) -> Result<(), Fault> {
        let lasting = match said.properties.session_expiry() {
            None => None,
            Some(seconds) if seconds > 0 && !self.lasts => {
                let text = "Session Expiry Interval in DISCONNECT, and none in CONNECT";
                return Err(Fault::new(Reason::Protocol, text, "3.14.2.2.2"));
            }
            Some(seconds) => Some(self.shared.settings.lasting(seconds)),
        };
        // Only who goes without complaint takes its will along [MQTT-3.1.2-10].
        let will = said.reason != Reason::Success;
        if self.phase == Phase::Running {
            out.commands.push(Command::Depart { will, lasting });
        }
        self.end(Duration::ZERO, Cause::Agreed, out);
        Ok(())
    }

    /// The broker goes down.
    pub(super) fn stopped(&mut self, out: &mut Output) {
        let settings = &self.shared.settings;
        let reason = match &settings.server_reference {
            Some(_) if settings.server_moved => Reason::ServerMoved,
            Some(_) => Reason::UseAnotherServer,
            None => Reason::ServerShuttingDown,
        };
        self.part(reason, "", Cause::Stopped, out);
    }

    /// What the session stood on is gone, and an operator wanted it so.
    pub(super) fn expelled(&mut self, why: &str, out: &mut Output) {
        self.part(Reason::AdministrativeAction, why, Cause::Stopped, out);
    }

    /// Another client of the same name has the berth now.
    pub(super) fn displaced(&mut self, out: &mut Output) {
        self.part(Reason::SessionTakenOver, "", Cause::Displaced, out);
    }

    /// Time has passed.
    pub(super) fn ticked(&mut self, now: Time, out: &mut Output) {
        match self.phase {
            Phase::Over => {}
            Phase::Running => {
                if self.wake_for_silence().is_some_and(|at| now >= at) {
                    self.part(Reason::KeepAliveTimeout, "", Cause::Silent, out);
                } else if self.proof_ends_at().is_some_and(|at| now >= at) {
                    self.proof_is_late(out);
                }
            }
            _ => {
                if self.deadline.is_some_and(|at| now >= at) {
                    self.end(Duration::ZERO, Cause::Silent, out);
                }
            }
        }
    }
}

impl crate::Settings {
    /// How long a berth lasts whose client of version 5 asks for so many seconds (3.1.2.11.2).
    pub(super) fn lasting(&self, seconds: u32) -> Lasting {
        match (seconds, self.session_expiry_max) {
            (0, _) | (_, Lasting::Not) => Lasting::Not,
            (u32::MAX, Lasting::Always) => Lasting::Always,
            (u32::MAX, Lasting::Seconds(most)) => Lasting::Seconds(most),
            (seconds, Lasting::Seconds(most)) => Lasting::Seconds(seconds.min(most)),
            (seconds, Lasting::Always) => Lasting::Seconds(seconds),
        }
    }
}
