//! Replies without a queue of one's own (RabbitMQ's direct reply-to). Who consumes from
//! `amq.rabbitmq.reply-to` gets a mailbox: a queue of the broker whose name nobody can
//! guess. Requests of the channel carry that name; who answers publishes to it.
//!
//! ```text
//!  consume amq.rabbitmq.reply-to          open mailbox amq.rabbitmq.reply-to.KEY, subscribe
//!  publish reply_to=amq.rabbitmq.reply-to publish reply_to=amq.rabbitmq.reply-to.KEY
//! ```

use super::{Connection, Reply};
use crate::error::{Code, Fault};
use lockgate_front::Output;
use lockgate_model::{Name, Properties, Request, Subscription, Table};
use sha2::{Digest, Sha256};

/// What clients call the mailbox of their channel.
pub(super) const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// What names of mailboxes begin with.
const PREFIX: &str = "amq.rabbitmq.reply-to.";

/// Where replies to a channel go.
#[derive(Debug)]
pub(super) struct Mailbox {
    name: Name,
    /// The handle of whoever reads it.
    pub(super) consumer: u32,
}

impl Connection {
    /// A consumer of replies: it gets a mailbox to subscribe to.
    pub(super) fn open_mailbox(
        &mut self,
        n: u16,
        id: (u16, u16),
        wish: &mut Subscription,
        out: &mut Output,
    ) -> Result<(), Fault> {
        let refused = |text: &str| Err(Fault::new(Code::PreconditionFailed, text));
        if !wish.settled {
            return refused("reply consumer cannot acknowledge");
        }
        if self.channel(n)?.mailbox.is_some() {
            return refused("reply consumer already set");
        }
        let consumer = wish.consumer.0;
        let name = Name::from(format!("{PREFIX}{}", drawn(self.seed, "mailbox", consumer)));
        self.channel(n)?.mailbox = Some(Mailbox { name: name.clone(), consumer });
        wish.queue = name.clone();
        // RabbitMQ looks at neither here.
        wish.exclusive = false;
        wish.arguments = Table::default();
        self.ask(n, id, Request::OpenMailbox { name }, None, out);
        Ok(())
    }

    /// The property list of a request, with the mailbox's true name to reply to.
    pub(super) fn with_mailbox(&mut self, n: u16, properties: &[u8]) -> Result<Vec<u8>, Fault> {
        let Some(mailbox) = &self.channel(n)?.mailbox else {
            let text = "fast reply consumer does not exist";
            return Err(Fault::new(Code::PreconditionFailed, text).at(super::publish::PUBLISH));
        };
        let mut all = Properties::decode(properties)
            .map_err(|why| Fault::nowhere(Code::InternalError, why.to_string()))?;
        all.reply_to = Some(mailbox.name.as_bytes().to_vec().into());
        let mut head = Vec::new();
        all.encode(&mut head);
        Ok(head)
    }

    /// `queue.declare` of a mailbox only tells whether it is there. The name that all
    /// channels use for theirs always is. None if it is another name.
    pub(super) fn declare_mailbox(
        &mut self,
        n: u16,
        id: (u16, u16),
        name: &Name,
        no_wait: bool,
        out: &mut Output,
    ) -> Option<Result<(), Fault>> {
        let reply = Reply::MailboxFound { name: name.clone(), silent: no_wait };
        if name == REPLY_TO {
            return Some(self.answer(n, id, reply, out));
        }
        name.starts_with(PREFIX).then(|| {
            self.ask(n, id, Request::FindQueue(name.clone()), Some(reply), out);
            Ok(())
        })
    }

    /// Mailboxes are written to and nothing else: to all methods but publish and declare
    /// there are none.
    pub(super) fn not_a_mailbox(&self, queue: &str) -> Result<(), Fault> {
        if !queue.starts_with(PREFIX) {
            return Ok(());
        }
        let text = format!("no queue '{queue}' in vhost '{}'", self.client.vhost);
        Err(Fault::new(Code::NotFound, text))
    }
}

/// Whether a binding's queue would be a mailbox.
pub(super) fn unbindable(queue: &str) -> Result<(), Fault> {
    if !queue.starts_with(PREFIX) {
        return Ok(());
    }
    let text = format!("queue name '{queue}' contains reserved prefix 'amq.*'");
    Err(Fault::new(Code::AccessRefused, text))
}

/// A tag that no other consumer of any connection is likely to have.
pub(super) fn tag(seed: u64, handle: u32) -> Name {
    Name::from(format!("amq.ctag-{}", drawn(seed, "tag", handle)))
}

/// 22 letters that nobody can tell who does not know the seed, whatever others drawn
/// from it he has seen: the hash cannot be turned around.
fn drawn(seed: u64, what: &str, number: u32) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(number.to_be_bytes());
    hash.update(what);
    hash.finalize().iter().take(22).map(|b| char::from(LETTERS[usize::from(b & 63)])).collect()
}
