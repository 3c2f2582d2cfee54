//! Who may come in, and how much there may be: rights to virtual hosts, and the limits of
//! virtual hosts and users, in RabbitMQ's words.

use super::administer::ADMINISTRATOR;
use super::{Answered, Broker};
use crate::dispatch::SessionState;
use crate::id::VhostId;
use lockgate_model::{Answer, Lane, Name, QueueSpec, Refusal, SessionId, Value};

/// How many strands a user may have, over all sessions.
const LANES_MAX: &str = "max-channels";

impl Broker {
    /// A session enters a virtual host.
    pub(super) fn open(&mut self, session: SessionId, vhost: &Name, user: Name) -> Answered {
        let id = self.ledger.vhost(vhost).ok_or_else(|| Refusal::NoVhost(vhost.clone()))?;
        self.room_for_session(id, vhost, &user)?;
        let register = &self.ledger.register;
        // A broker that was told of no users has left the question to whoever asks.
        let rights = register.permissions.contains_key(&(vhost.clone(), user.clone()));
        if !rights && !register.users.is_empty() {
            return Err(Refusal::VhostDenied { vhost: vhost.clone(), user });
        }
        let counted = register.user_limit(&user, LANES_MAX).is_some();
        if let Some(s) = self.dispatch.sessions.get_mut(&session) {
            s.vhost = Some(id);
            s.user = user;
        }
        Ok((if counted { Answer::Counted } else { Answer::Done }, 0))
    }

    /// A strand of a user who may have only so many.
    pub(super) fn open_lane(&mut self, session: SessionId, lane: Lane) -> Answered {
        let Some(s) = self.dispatch.sessions.get(&session) else { return Ok((Answer::Done, 0)) };
        let user = s.user.clone();
        if let Some(limit) = self.ledger.register.user_limit(&user, LANES_MAX) {
            let theirs = self.dispatch.sessions.values().filter(|s| s.user == user);
            if theirs.map(|s| s.lanes_open() as u64).sum::<u64>() >= limit {
                return Err(Refusal::Barred(format!(
                    "number of channels opened for user '{user}' has reached \
                     the maximum allowed user limit of ({limit})"
                )));
            }
        }
        if let Some(s) = self.dispatch.sessions.get_mut(&session) {
            s.lane(lane);
        }
        Ok((Answer::Done, 0))
    }

    fn room_for_session(&self, id: VhostId, vhost: &Name, user: &Name) -> Result<(), Refusal> {
        let register = &self.ledger.register;
        let count = |of: &dyn Fn(&SessionState) -> bool| {
            self.dispatch.sessions.values().filter(|s| of(s)).count() as u64
        };
        if let Some(limit) = register.vhost_limit(vhost, "max-connections")
            && count(&|s| s.vhost == Some(id)) >= limit
        {
            return Err(Refusal::Barred(format!(
                "access to vhost '{vhost}' refused for user '{user}': \
                 connection limit ({limit}) is reached"
            )));
        }
        if let Some(limit) = register.user_limit(user, "max-connections")
            && count(&|s| s.vhost.is_some() && s.user == *user) >= limit
        {
            return Err(Refusal::Barred(format!(
                "connection refused for user '{user}': user connection limit ({limit}) is reached"
            )));
        }
        Ok(())
    }

    /// Whether a virtual host may hold one more queue.
    pub(super) fn room_for_queue(&self, id: VhostId, name: &Name) -> Result<(), Refusal> {
        let vhost = self.ledger.vhost_name(id);
        let Some(limit) = self.ledger.register.vhost_limit(&vhost, "max-queues") else {
            return Ok(());
        };
        let there = self.ledger.vhosts.get(&id).map_or(0, |v| {
            v.queues.keys().filter(|name| !name.starts_with("amq.rabbitmq.")).count() as u64
        });
        if there < limit {
            return Ok(());
        }
        Err(Refusal::Limit(format!(
            "cannot declare queue '{name}': queue limit in vhost '{vhost}' ({limit}) is reached"
        )))
    }

    /// Gives a declaration that names no kind of queue the one its virtual host makes, if
    /// that kind can be declared so.
    pub(super) fn choose_kind(&self, session: SessionId, vhost: VhostId, spec: &mut QueueSpec) {
        let plain = spec.durable && !spec.exclusive && !spec.auto_delete;
        if session == ADMINISTRATOR || spec.arguments.get("x-queue-type").is_some() {
            return;
        }
        let kind = self.ledger.vhosts.get(&vhost).and_then(|v| {
            let kind = v.metadata.get("default_queue_type")?.as_str()?;
            (kind == "classic" || (plain && kind != "undefined")).then(|| Value::text(kind))
        });
        if let Some(kind) = kind {
            spec.arguments.set("x-queue-type", kind);
        }
    }
}
