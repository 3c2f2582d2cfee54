//! SUBSCRIBE and UNSUBSCRIBE (3.8, 3.10): a client's interests declared and ended, and the
//! reason for each filter in its place.

use super::publish::LANE;
use super::{Asked, Connection};
use crate::error::{Fault, refused};
use crate::packet::{
    Kind, Packet, PacketId, Place, Reasons, Reply, RetainHandling, Subscribe, Subscription,
    Unsubscribe,
};
use crate::property::PropertyList;
use crate::reason::Reason;
use crate::topic::{self, Filter};
use lockgate_front::Output;
use lockgate_model::limits::NAME_BYTES_MAX;
use lockgate_model::{Command, Followed, Interest, Name, Refusal, Replay, Request, Ticket};
use std::num::NonZeroU32;

/// Bytes of all filters of one client, at most: they are kept for as long as its berth is.
const FILTER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a client is interested in, and is about to be.
struct Held {
    count: usize,
    bytes: usize,
}

/// A SUBSCRIBE that is on its way to the engine.
#[derive(Debug)]
pub(super) struct Subscribing {
    id: PacketId,
    /// Each filter, in order.
    wanted: Vec<Wanted>,
    /// What the engine is asked for: those that are not refused.
    interests: Vec<Interest>,
}

/// What becomes of one filter of a SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    level: u8,
    /// The engine need not be asked.
    refused: Option<Reason>,
}

/// An UNSUBSCRIBE that is on its way to the engine.
#[derive(Debug)]
pub(super) struct Unsubscribing {
    id: PacketId,
    filters: Vec<Name>,
}

impl Connection {
    pub(super) fn ask(&mut self, request: Request, asked: Option<Asked>, out: &mut Output) {
        self.asks = self.asks.wrapping_add(1);
        let ticket = Ticket(self.asks.into());
        if let Some(asked) = asked {
            debug_assert!(self.asked.is_none(), "one request at a time");
            self.asked = Some((ticket, asked));
        }
        out.commands.push(Command::Ask { lane: LANE, ticket, request });
    }

    pub(super) fn subscribe(&mut self, s: &Subscribe<'_>, out: &mut Output) -> Result<(), Fault> {
        let label = s.properties.subscription_id().map_or(0, NonZeroU32::get);
        let mut asking = Subscribing { id: s.id, wanted: Vec::new(), interests: Vec::new() };
        let most = self.shared.settings.interests_max;
        let mut held = Held { count: self.outbound.interests(), bytes: self.filter_bytes as usize };
        for one in s.subscriptions.iter() {
            // One packet can hold millions, and each would have to be looked for.
            let interest = match asking.wanted.len() < most {
                true => self.interest(&one, label, &mut held),
                false => Err(Reason::QuotaExceeded),
            };
            let refused = interest.as_ref().err().copied();
            asking.wanted.push(Wanted { level: one.options.qos.bits(), refused });
            asking.interests.extend(interest);
        }
        if asking.interests.is_empty() {
            return self.say_suback(&asking, &[], out);
        }
        let request = Request::Follow(asking.interests.clone());
        self.ask(request, Some(Asked::Follow(Box::new(asking))), out);
        Ok(())
    }

    /// What one filter asks for; or what is wrong with it.
    fn interest(
        &self,
        wanted: &Subscription<'_>,
        label: u32,
        held: &mut Held,
    ) -> Result<Interest, Reason> {
        let settings = &self.shared.settings;
        // The decoder has checked it.
        let Ok(filter) = Filter::of(wanted.filter) else {
            return Err(Reason::TopicFilterInvalid);
        };
        if topic::levels(filter.pattern) > settings.levels_max {
            return Err(Reason::TopicFilterInvalid);
        }
        if !self.outbound.follows(filter.whole) {
            let bytes = held.bytes + filter.whole.len();
            if held.count >= settings.interests_max || bytes > FILTER_BYTES_MAX {
                return Err(Reason::QuotaExceeded);
            }
            *held = Held { count: held.count + 1, bytes };
        }
        // Its queue has the filter's own name, and AMQP must be able to say it.
        if filter.group.is_some() && filter.whole.len() > NAME_BYTES_MAX {
            return Err(Reason::TopicFilterInvalid);
        }
        let mut key = Vec::with_capacity(filter.pattern.len());
        self.dialect.binding_key(filter.pattern, &mut key);
        let at = filter.whole.len() - filter.pattern.len();
        let Ok(pattern_at) = u16::try_from(at) else {
            return Err(Reason::TopicFilterInvalid);
        };
        let options = wanted.options;
        let replay = match options.retain_handling {
            // 3.8.4: who shares gets nothing that was retained.
            _ if filter.group.is_some() => Replay::Never,
            RetainHandling::Always => Replay::Always,
            RetainHandling::IfNew => Replay::IfNew,
            RetainHandling::Never => Replay::Never,
        };
        Ok(Interest {
            filter: Name::from(filter.whole),
            pattern_at,
            group: filter.group.map(|_| Name::from(filter.whole)),
            key: key.into(),
            level: options.qos.bits(),
            not_own: options.no_local,
            as_published: options.retain_as_published,
            replay,
            label,
        })
    }

    /// The engine has answered SUBSCRIBE.
    pub(super) fn subscribed(
        &mut self,
        asking: &Subscribing,
        results: &[Result<Followed, Refusal>],
        out: &mut Output,
    ) -> Result<(), Fault> {
        for (interest, result) in asking.interests.iter().zip(results) {
            if let Ok(followed) = result {
                if !self.outbound.follows(&interest.filter) {
                    self.filter_bytes += interest.filter.len() as u32;
                }
                self.outbound.follow(interest.clone(), followed.consumer);
            }
        }
        self.say_suback(asking, results, out)
    }

    fn say_suback(
        &mut self,
        asking: &Subscribing,
        results: &[Result<Followed, Refusal>],
        out: &mut Output,
    ) -> Result<(), Fault> {
        let mut results = results.iter();
        let mut list = PropertyList::default();
        let octet = |wanted: &Wanted| {
            let (reason, text) = match (wanted.refused, wanted.level) {
                (Some(reason), _) => (reason, text(reason).into()),
                (None, level) => match results.next() {
                    Some(Ok(_)) => (granted(level), "".into()),
                    Some(Err(why)) => {
                        let Fault { reason, text, .. } = refused(why);
                        (reason.in_place(Place::Suback), text)
                    }
                    None => (Reason::Unspecified, "".into()),
                },
            };
            // There is room for one explanation: the first is as good as any.
            if list.properties().is_empty() {
                self.explain(reason, &text, &mut list);
            }
            // 3.1 has no word for it and hears what it asked for.
            reason.suback_octet(self.version).unwrap_or(wanted.level)
        };
        let octets: Vec<u8> = asking.wanted.iter().map(octet).collect();
        let reasons = Reasons::check(Place::Suback, self.version, &octets)?;
        self.say_reply(Kind::Suback, asking.id, reasons, &list, out)
    }

    pub(super) fn unsubscribe(
        &mut self,
        u: &Unsubscribe<'_>,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let most = self.shared.settings.interests_max;
        if u.filters.iter().count() > most {
            let text = format!("more than {most} filters in UNSUBSCRIBE");
            return Err(Fault::new(Reason::QuotaExceeded, text, ""));
        }
        let filters: Vec<Name> = u.filters.iter().map(Name::from).collect();
        let request = Request::Unfollow(filters.clone());
        let asking = Unsubscribing { id: u.id, filters };
        self.ask(request, Some(Asked::Unfollow(Box::new(asking))), out);
        Ok(())
    }

    /// The engine has answered UNSUBSCRIBE.
    pub(super) fn unsubscribed(
        &mut self,
        asking: &Unsubscribing,
        there: &[bool],
        out: &mut Output,
    ) -> Result<(), Fault> {
        for filter in &asking.filters {
            if self.outbound.follows(filter) {
                self.filter_bytes -= filter.len() as u32;
                self.outbound.unfollow(filter);
            }
        }
        let octet = |there: &bool| match there {
            true => Reason::Success.number(),
            false => Reason::NoSubscriptionExisted.number(),
        };
        let octets: Vec<u8> = there.iter().map(octet).collect();
        let reasons = Reasons::check(Place::Unsuback, self.version, &octets)?;
        self.say_reply(Kind::Unsuback, asking.id, reasons, &PropertyList::default(), out)
    }

    fn say_reply(
        &mut self,
        kind: Kind,
        id: PacketId,
        reasons: Reasons<'_>,
        list: &PropertyList,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let packet = |properties| {
            let reply = Reply { id, properties, reasons };
            match kind {
                Kind::Suback => Packet::Suback(reply),
                _ => Packet::Unsuback(reply),
            }
        };
        if self.say_first(packet, list, out) {
            return Ok(());
        }
        let text = format!("the client takes no packet as large as {}", kind.name());
        Err(Fault::new(Reason::PacketTooLarge, text, "MQTT-3.1.2-24"))
    }
}

/// What a reason for not even asking the engine means.
fn text(reason: Reason) -> &'static str {
    match reason {
        Reason::QuotaExceeded => "more filters than a client may have",
        _ => "a filter of more levels than are taken, or too long a share",
    }
}

/// The reason that says a QoS.
fn granted(level: u8) -> Reason {
    match level {
        0 => Reason::Success,
        1 => Reason::GrantedQos1,
        _ => Reason::GrantedQos2,
    }
}
