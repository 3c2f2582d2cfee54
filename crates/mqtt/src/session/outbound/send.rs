//! What becomes of each message of a delivery, as fast as can be: nearly always it is like the
//! one before.

use super::Outbound;
use super::alias::Said;
use super::crossing::Crossing;
use super::flight::{Entry, Wanted};
use super::late::Late;
use super::layout::{Like, Own};
use crate::dialect::Dialect;
use crate::interests::Heard;
use crate::map;
use crate::packet::{Kind, Version};
use lockgate_front::Output;
use lockgate_model::{
    Consumer, Delivery, Item, Mark, Outcome, PASSING, Retain, Run, SETTLING, Stamp, Time,
};
use std::collections::VecDeque;

/// What is to become of messages of one topic.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// They are sent, with this QoS at most.
    Open { level: u8, as_published: bool, salt: u16, serial: u64 },
    /// They are not sent.
    Shut(Outcome),
    /// They have no topic that the client could be told.
    Nameless,
}

/// What has become of a message.
enum Sent {
    /// It is done with, as far as we go.
    Done,
    /// The client will acknowledge it.
    OnTheWay,
    /// It has to wait for an identifier.
    Waits,
}

/// The topic of a message, or what its key is.
fn topic<'a>(
    crossing: &'a mut Late<Crossing>,
    dialect: Dialect,
    run: &'a Run,
    item: &Item,
) -> Option<&'a str> {
    match run.topic(item) {
        Some(name) => std::str::from_utf8(name).ok(),
        None => crossing.get().topic(dialect, run.key(item)),
    }
}

impl Outbound {
    /// Sends messages, and says what they take of the window: of those that wait when they
    /// have been sent, so that they stay within it.
    pub(in super::super) fn deliver(&mut self, d: &Delivery, now: Time, out: &mut Output) {
        let waits = d.lease.is_some() && !self.waiting.is_empty();
        let next = if waits { 0 } else { self.send(d, 0, now, out) };
        if next < d.count {
            self.waiting.push_back((d.clone(), next));
        } else {
            out.delivered += d.cost;
        }
    }

    /// Sends what waits, as far as there are identifiers.
    pub(super) fn send_waiting(&mut self, now: Time, out: &mut Output) {
        while let Some((d, from)) = self.waiting.pop_front() {
            let next = self.send(&d, from, now, out);
            if next < d.count {
                self.waiting.push_front((d, next));
                return;
            }
            out.delivered += d.cost;
        }
        // Nothing waits, and mostly nothing does.
        self.waiting = VecDeque::new();
    }

    /// Sends messages of a delivery from `from` on, and returns the first that has to wait.
    fn send(&mut self, d: &Delivery, from: u32, now: Time, out: &mut Output) -> u32 {
        let run: &Run = &d.run;
        let mut last: Option<(u32, Way)> = None;
        for n in from..d.count {
            let at = d.first as usize + n as usize * d.step as usize;
            let Some(item) = run.items.get(at) else { return d.count };
            let way = match last {
                Some((origin, way)) if origin == item.origin => way,
                _ => self.way(d, run, item),
            };
            let outcome = match way {
                Way::Open { level, as_published, salt, serial } => {
                    let like = self.like(d, n, item, (level, as_published, serial));
                    match self.one(d, n, item, (like, salt), now, out) {
                        Sent::Done => Some(Outcome::Accept),
                        Sent::OnTheWay => None,
                        Sent::Waits => return n,
                    }
                }
                Way::Shut(outcome) => Some(outcome),
                Way::Nameless => {
                    out.skipped.nameless += 1;
                    Some(Outcome::Accept)
                }
            };
            if let (Some(lease), Some(outcome)) = (d.lease, outcome) {
                self.gather.get().settle(Entry { lease, at: n }, outcome, out);
            }
            if last.is_none() && n + 1 < d.count {
                // Room for all of them, if they are all like the first. Bodies that go by
                // reference take none, and one guess too high is enough.
                let each = self.layout.get().size() + (item.body.len as usize).min(4096);
                out.bytes.small().reserve((each * (d.count - n) as usize).min(256 * 1024));
            }
            last = Some((item.origin, way));
        }
        if self.layout.get().is_large() {
            self.layout.get().forget();
        }
        d.count
    }

    /// What becomes of messages of the topic of this one.
    fn way(&mut self, d: &Delivery, run: &Run, item: &Item) -> Way {
        let handle = d.consumer;
        let Outbound { crossing, interests, terms, .. } = self;
        let Some(topic) = topic(crossing, terms.dialect, run, item) else { return Way::Nameless };
        // Who shares an interest that has ended leaves what still comes to the others.
        let Some(heard) = interests.heard(handle, topic) else {
            return Way::Shut(Outcome::Requeue);
        };
        let level = match heard.level {
            Some(level) => level,
            // A key matches by its own rules: that they were met is the broker's word.
            None if run.topic(item).is_none() => u8::from(handle != PASSING),
            // What may have been begun is gone on with, whatever is wanted now [MQTT-3.10.4-3].
            None if d.redelivered && handle == SETTLING => 2,
            None => return Way::Shut(Outcome::Accept),
        };
        let Heard { as_published, salt, serial, .. } = *heard;
        Way::Open { level, as_published, salt, serial }
    }

    /// What the packet of a message is like.
    #[inline]
    fn like(&self, d: &Delivery, n: u32, item: &Item, open: (u8, bool, u64)) -> Like {
        let (level, as_published, serial) = open;
        let of_message = if item.exact { 2 } else { u8::from(item.persistent) };
        let qos = if d.lease.is_some() { of_message.min(level) } else { 0 };
        let retain = match item.retain {
            Retain::Not => false,
            Retain::Wished => as_published,
            Retain::Replayed => true,
        };
        let dup = d.redelivered && qos > 0;
        let flags = u8::from(dup) << 3 | qos << 1 | u8::from(retain);
        let stamp = match self.terms.version {
            Version::V5 => d.stamp.of(n, d.step),
            _ => Stamp::None,
        };
        Like { serial, flags: Kind::Publish.number() << 4 | flags, stamp }
    }

    /// Sends one message, if the client can take it.
    #[inline]
    fn one(
        &mut self,
        d: &Delivery,
        n: u32,
        item: &Item,
        (like, salt): (Like, u16),
        now: Time,
        out: &mut Output,
    ) -> Sent {
        let run: &Run = &d.run;
        let (native, head, body) = (run.native(item), run.head(item), run.body(item));
        let mut left = 0;
        if !native.is_empty()
            && let Some(until) = map::deadline(native, head)
        {
            let Some(seconds) = u64::from(until).checked_sub(now.secs()) else {
                out.skipped.expired += 1;
                return Sent::Done;
            };
            left = seconds as u32;
        }
        let silent = native.is_empty() && map::BARE.iter().any(|bare| head == bare);
        let own = match self.terms.version {
            Version::V5 if !silent => Own { native, head },
            _ => Own::default(),
        };
        if !self.layout.get().is(like, own) {
            self.lay_out(d.consumer, run, item, like, own, true);
        }
        // What gives its topic a number is laid out like no other.
        let first = matches!(self.layout.get().said, Said::Both(_));
        let mut fits = self.fits(body.len());
        if first && !fits {
            // A number for the topic is no reason to drop it.
            self.lay_out(d.consumer, run, item, like, own, false);
            fits = self.fits(body.len());
        }
        let qos = like.flags >> 1 & 3;
        let id = match qos {
            _ if !fits => None,
            0 => Some(0),
            _ => self.begin(d, n, salt, qos),
        };
        if let Some(id) = id {
            out.untold += u64::from(self.layout.get().untold);
            self.layout.get().write(id, left, run.buffer(item.body), body, &mut out.bytes);
        }
        if first {
            self.after_first(id.is_some(), run, item);
        }
        match id {
            None if fits => Sent::Waits,
            None => {
                out.skipped.too_large += 1;
                Sent::Done
            }
            Some(_) if qos > 0 => Sent::OnTheWay,
            Some(_) => Sent::Done,
        }
    }

    /// The packet identifier of a message that is to be acknowledged, if it can have one now.
    #[inline]
    fn begin(&mut self, d: &Delivery, n: u32, salt: u16, qos: u8) -> Option<u16> {
        let entry = Entry { lease: d.lease?, at: n };
        let number = d.number.wrapping_add(u64::from(n) * u64::from(d.step));
        let wanted = match d.consumer {
            SETTLING => Wanted::Mark(Mark::of_entry(number)),
            _ => Wanted::Made(number.wrapping_add(salt.into())),
        };
        self.flight.begin(wanted, entry, qos == 2)
    }

    /// Makes the layout that of a packet with so large a payload; false if it is too large.
    #[inline]
    fn fits(&mut self, payload: usize) -> bool {
        self.layout.get().fit(payload).is_some_and(|total| total <= self.terms.packet_max)
    }

    fn lay_out(
        &mut self,
        handle: Consumer,
        run: &Run,
        item: &Item,
        like: Like,
        own: Own<'_>,
        numbered: bool,
    ) {
        let Outbound { crossing, interests, aliases, layout, terms, .. } = self;
        let mut lay_out = |topic: &str, labels: &[u32]| {
            let aliases = aliases.as_ref().filter(|_| numbered);
            let said = aliases.map_or(Said::Name, |aliases| aliases.of(topic));
            layout.get().lay_out(terms.version, terms.dialect, (topic, said), labels, like, own);
        };
        // Whoever looked for its way has asked for its topic.
        if let Some((topic, heard)) = interests.kept() {
            lay_out(topic, &heard.labels);
        } else if let Some(topic) = topic(crossing, terms.dialect, run, item) {
            lay_out(topic, interests.heard(handle, topic).map_or(&[], |heard| &heard.labels));
        }
    }

    /// The layout was for one message: if that has told the client the number of its topic,
    /// the number is enough from now on.
    fn after_first(&mut self, sent: bool, run: &Run, item: &Item) {
        let Outbound { crossing, aliases, layout, terms, .. } = self;
        if sent
            && matches!(layout.get().said, Said::Both(_))
            && let Some(topic) = topic(crossing, terms.dialect, run, item)
            && let Some(aliases) = aliases
        {
            aliases.told(topic);
        }
        layout.get().forget();
    }
}
