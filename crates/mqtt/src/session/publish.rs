//! The way of messages in: consecutive publishes of one read become one run whose ranges
//! point into it. Payloads are not copied, and nothing is allocated per message.
//!
//! ```text
//!  read     [PUBLISH a 1][PUBLISH a 2][PUBREL 7][PUBLISH b 3]
//!  beside   "amq.topic" "a" "b", once each
//!  run       items 1, 2, 3           releases 7
//! ```

use super::Connection;
use super::confirm::{Arrival, Released};
use super::topics::Unpublishable;
use crate::error::Fault;
use crate::frame::{Head, number_size, range_in};
use crate::map::{self, Begins, Heads};
use crate::packet::{Ack, Kind, PacketId, Publish, Qos, Version};
use crate::property::Properties;
use crate::reason::Reason;
use bytes::Bytes;
use lockgate_front::Output;
use lockgate_model::{Command, Item, Lane, Mark, Origin, Range, Retain, Run, Ticket, Time};
use std::num::NonZeroU16;
use std::sync::Arc;

/// The only strand of a session.
pub(super) const LANE: Lane = Lane(0);

/// Messages that room is made for at once: more than a full read of small ones.
const ITEMS_MAX: usize = 8 * 1024;

/// Releases that are gathered before they are handed over.
const RELEASES_MAX: usize = 1024;

/// What is gathered from one read.
#[derive(Debug, Default)]
pub(super) struct Building {
    items: Vec<Item>,
    origins: Vec<Origin>,
    /// One for each message if they are to be published once, else none.
    marks: Vec<Mark>,
    /// The ticket of the first, if they are to be confirmed.
    confirm: Option<Ticket>,
    /// The last message's properties in the input, and what they became.
    last: Option<(Range, bool, Heads)>,
    /// The last message, if the next one may be like it.
    like: Option<Like>,
    /// Packet identifiers to be released, and the ticket of the first.
    releases: Vec<Mark>,
    release: Ticket,
}

/// A message that the next one is nearly always like.
#[derive(Clone, Copy, Debug)]
struct Like {
    /// The lower four bits of its first octet.
    flags: u8,
    qos: Qos,
    /// Its topic with its length in the input, from the beginning of the body on.
    topic: Range,
    /// Its properties with their length; in 3.1 and 3.1.1 nothing.
    properties: Range,
    item: Item,
}

impl Building {
    /// The index of an origin. Those of the last few are found again.
    #[inline]
    fn index(&mut self, origin: Origin) -> u32 {
        let near = self.origins.iter().rev().take(8).position(|o| *o == origin);
        let at = match near {
            Some(behind) => self.origins.len() - 1 - behind,
            None => {
                self.origins.push(origin);
                self.origins.len() - 1
            }
        };
        at as u32
    }
}

/// Why a message, or a will, is not taken, as version 5 can say.
pub(super) struct Unfit {
    reason: Reason,
    clause: &'static str,
}

impl From<Unfit> for Fault {
    fn from(why: Unfit) -> Fault {
        Fault::new(why.reason, text(why.reason), why.clause)
    }
}

/// What a reason for not taking a message means; each has one here.
pub(super) fn text(reason: Reason) -> &'static str {
    match reason {
        Reason::NotAuthorized => "topics that begin with $SYS/ are the broker's own",
        Reason::TopicNameInvalid => "a topic name of more levels than are taken",
        Reason::ImplementationSpecific => "too many user properties",
        Reason::PayloadFormatInvalid => "the payload is not UTF-8",
        Reason::QuotaExceeded => "a queue is full and takes no more messages",
        _ => "",
    }
}

impl From<Unpublishable> for Unfit {
    fn from(why: Unpublishable) -> Unfit {
        match why {
            Unpublishable::Reserved => Unfit { reason: Reason::NotAuthorized, clause: "4.7.2" },
            Unpublishable::Deep | Unpublishable::Long => {
                Unfit { reason: Reason::TopicNameInvalid, clause: "" }
            }
        }
    }
}

impl Connection {
    /// Takes a message.
    pub(super) fn publish(
        &mut self,
        p: &Publish<'_>,
        input: &Bytes,
        run: &mut Building,
        now: Time,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let arrival = self.count(p.qos, p.id)?;
        let once = p.qos == Qos::ExactlyOnce;
        if once == run.marks.is_empty() && !run.items.is_empty() {
            self.flush_inbound(run, input, out);
        }
        let Connection { shared, aliases, beside, version, dialect, .. } = self;
        let topic = aliases.topic(p, shared.settings.alias_max)?;
        let mandatory = *version == Version::V5 && p.qos != Qos::AtMostOnce;
        let fit = unfit(p, shared.settings.user_properties_max)
            .and_then(|()| Ok(beside.origin(topic, mandatory, *dialect, shared)?));
        let origin = match fit {
            Ok(origin) => origin,
            Err(unfit) => return self.refuse(p, arrival, unfit, input, run, out),
        };
        let Heads { head, native, untold } = self.heads(p, input, run, now);
        out.untold += u64::from(untold);
        if run.items.capacity() == 0 {
            // As many as would fit if they were all like the first.
            let size = 8 + p.topic.len() + p.properties.as_bytes().len() + p.payload.len();
            run.items.reserve((input.len() / size + 1).min(ITEMS_MAX));
        }
        let origin = run.index(origin);
        let item = Item {
            origin,
            head,
            body: range_in(input, p.payload).unwrap_or_default(),
            native,
            persistent: p.qos != Qos::AtMostOnce,
            exact: once,
            retain: if p.retain { Retain::Wished } else { Retain::Not },
            priority: 0,
        };
        run.items.push(item);
        run.like = self.like(p, item);
        self.awaits(p.qos, p.id, run);
        Ok(())
    }

    /// What the next message is compared with: none where each payload is to be looked at.
    #[inline]
    fn like(&self, p: &Publish<'_>, item: Item) -> Option<Like> {
        if !p.properties.is_empty() && p.properties.payload_format().is_some() {
            return None;
        }
        let said = p.properties.as_bytes().len();
        let properties = if self.version == Version::V5 { number_size(said) + said } else { 0 };
        let end = item.body.at as usize;
        let id = if p.id.is_some() { 2 } else { 0 };
        let topic = p.topic.len() + 2;
        let at = end.checked_sub(properties + id + topic)?;
        let flags = u8::from(p.dup) << 3 | p.qos.bits() << 1 | u8::from(p.retain);
        let (topic, properties) = (Range::new(at, topic), Range::new(end - properties, properties));
        Some(Like { flags, qos: p.qos, topic, properties, item })
    }

    /// Takes a message that differs from the last one in its identifier and its payload
    /// alone; none if it is not like that.
    #[inline]
    pub(super) fn publish_alike(
        &mut self,
        head: Head,
        at: usize,
        input: &Bytes,
        run: &mut Building,
    ) -> Option<Result<(), Fault>> {
        let Like { flags, qos, topic, properties, item } = run.like?;
        let padded = head.header > 1 + number_size(head.size);
        if head.flags != flags || padded && self.version == Version::V5 {
            return None;
        }
        let body = input.get(at + head.header..at + head.total())?;
        let (said, rest) = body.split_at_checked(topic.len as usize)?;
        let (id, rest) = match qos {
            Qos::AtMostOnce => (None, rest),
            _ => {
                let (id, rest) = rest.split_first_chunk::<2>()?;
                (Some(PacketId(NonZeroU16::new(u16::from_be_bytes(*id))?)), rest)
            }
        };
        let (own, payload) = rest.split_at_checked(properties.len as usize)?;
        if said != topic.of(input) || own != properties.of(input) {
            return None;
        }
        if let Err(fault) = self.count(qos, id) {
            return Some(Err(fault));
        }
        let end = at + head.total();
        run.items.push(Item { body: Range::new(end - payload.len(), payload.len()), ..item });
        self.awaits(qos, id, run);
        Some(Ok(()))
    }

    /// Counts a message against Receive Maximum.
    #[inline]
    fn count(&mut self, qos: Qos, id: Option<PacketId>) -> Result<Arrival, Fault> {
        let settings = &self.shared.settings;
        let strict = self.version == Version::V5 && settings.receive_strict;
        let most = if strict { settings.receive_max.into() } else { u32::MAX };
        let arrival = match (qos, id) {
            (Qos::ExactlyOnce, Some(id)) => self.answers.open(id, most),
            (Qos::AtLeastOnce, _) => self.answers.count(most).then_some(Arrival::New),
            _ => Some(Arrival::New),
        };
        arrival.ok_or_else(|| {
            let text = format!("more than {most} messages without an answer");
            Fault::new(Reason::ReceiveMaximumExceeded, text, "MQTT-3.3.4-9")
        })
    }

    /// What a message says of itself, unless the last one said the same.
    #[inline]
    fn heads(&mut self, p: &Publish<'_>, input: &Bytes, run: &mut Building, now: Time) -> Heads {
        let persistent = p.qos != Qos::AtMostOnce;
        if p.properties.is_empty() {
            let (head, native) = (self.shared.bare(persistent), Range::default());
            return Heads { head, native, untold: 0 };
        }
        let said = range_in(input, p.properties.as_bytes()).unwrap_or_default();
        if let Some((last, same, heads)) = run.last
            && same == persistent
            && last.of(input) == said.of(input)
        {
            return heads;
        }
        let beside = self.beside.grow(&self.shared);
        let heads = map::heads(&p.properties, p.qos, Begins::Now(now), self.dialect, beside);
        run.last = Some((said, persistent, heads));
        heads
    }

    /// Notes who waits for what becomes of a message.
    #[inline]
    fn awaits(&mut self, qos: Qos, id: Option<PacketId>, run: &mut Building) {
        let kind = match (qos, id) {
            (Qos::AtMostOnce, _) | (_, None) => {
                if run.confirm.is_some() {
                    self.answers.published(None, Kind::Puback);
                }
                return;
            }
            (Qos::AtLeastOnce, _) => Kind::Puback,
            (Qos::ExactlyOnce, Some(id)) => {
                run.marks.push(Mark(id.0.get()));
                Kind::Pubrec
            }
        };
        if run.confirm.is_none() {
            run.confirm = Some(self.answers.next_publish());
            // Those before it have tickets, too, that nobody waits for.
            (1..run.items.len()).for_each(|_| self.answers.published(None, Kind::Puback));
        }
        self.answers.published(id, kind);
    }

    /// Says no to a message. Where that cannot be said the message is dropped if it is the
    /// broker's business alone, and the connection ends if the message is not well formed.
    fn refuse(
        &mut self,
        p: &Publish<'_>,
        arrival: Arrival,
        unfit: Unfit,
        input: &Bytes,
        run: &mut Building,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let reason = unfit.reason;
        let silent = reason == Reason::NotAuthorized;
        let reason = match (self.version, p.id) {
            // What was sent before under this identifier was taken.
            (Version::V5, Some(_)) if arrival == Arrival::Again => return Err(unfit.into()),
            (Version::V5, Some(_)) => reason,
            _ if silent => Reason::Success,
            _ => return Err(unfit.into()),
        };
        out.dropped += 1;
        let Some(id) = p.id else { return Ok(()) };
        self.flush_inbound(run, input, out);
        let kind = if p.qos == Qos::ExactlyOnce { Kind::Pubrec } else { Kind::Puback };
        self.answers.decided(id, kind, reason);
        self.answers.say(out);
        Ok(())
    }

    /// The client has forgotten a message with QoS 2 that it had sent.
    pub(super) fn pubrel(
        &mut self,
        ack: &Ack<'_>,
        input: &Bytes,
        run: &mut Building,
        out: &mut Output,
    ) {
        if run.releases.len() == RELEASES_MAX || !self.answers.knows(ack.id) {
            self.flush_inbound(run, input, out);
        }
        let ticket = self.answers.next_release();
        match self.answers.release(ack.id, self.version) {
            Released::Unknown => self.answers.say(out),
            Released::Known { fresh } => {
                if fresh {
                    // Released before it was received: the engine is to hear both in order.
                    self.flush_inbound(run, input, out);
                }
                if run.releases.is_empty() {
                    run.release = ticket;
                }
                run.releases.push(Mark(ack.id.0.get()));
            }
        }
    }

    /// Hands over what was gathered. What was released goes before what is published: then
    /// an identifier that is used again is not taken for the one before.
    pub(super) fn flush_inbound(&mut self, run: &mut Building, input: &Bytes, out: &mut Output) {
        if !run.releases.is_empty() {
            let (marks, confirm) = (std::mem::take(&mut run.releases), run.release);
            out.commands.push(Command::Release { lane: LANE, marks, confirm });
        }
        if run.items.is_empty() {
            return;
        }
        let done = std::mem::take(run);
        let beside = self.beside.finish(done.last.is_some(), self.dialect, &self.shared);
        let (origins, items) = (done.origins, done.items);
        let run = Arc::new(Run { bytes: input.clone(), beside, origins, items });
        let (lane, marks) = (LANE, done.marks);
        out.commands.push(match done.confirm {
            Some(confirm) if !marks.is_empty() => {
                Command::PublishOnce { lane, run, marks, confirm }
            }
            confirm => Command::Publish { lane, run, confirm },
        });
    }
}

/// What is wrong with what a message says of itself.
#[inline]
fn unfit(p: &Publish<'_>, user_properties_max: usize) -> Result<(), Unfit> {
    if p.properties.is_empty() {
        return Ok(());
    }
    check(&p.properties, p.payload, user_properties_max)
}

/// What is wrong with what a message, or a will, says of itself.
pub(super) fn check(
    properties: &Properties<'_>,
    payload: &[u8],
    user_properties_max: usize,
) -> Result<(), Unfit> {
    // Each takes five bytes at least.
    if properties.as_bytes().len() / 5 > user_properties_max
        && properties.user_properties().count() > user_properties_max
    {
        return Err(Unfit { reason: Reason::ImplementationSpecific, clause: "" });
    }
    if properties.payload_format() == Some(true) && std::str::from_utf8(payload).is_err() {
        return Err(Unfit { reason: Reason::PayloadFormatInvalid, clause: "3.3.2.3.2" });
    }
    Ok(())
}
