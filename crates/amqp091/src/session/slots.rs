//! The channels of a connection, by number, and what one channel is. A slot stays when
//! its channel goes: a next life must not hear what is said about the one before.

use super::confirm::Confirms;
use super::content::Content;
use super::mailbox::Mailbox;
use super::tx::Transaction;
use lockgate_front::inflight::Inflight;
use lockgate_model::Name;
use std::collections::BTreeMap;

/// An open channel.
#[derive(Debug)]
pub(super) struct Channel {
    /// Which life of its number this is; in every ticket.
    pub(super) incarnation: u16,
    pub(super) mode: Mode,
    /// The message that is arriving frame by frame.
    pub(super) content: Content,
    pub(super) inflight: Inflight,
    /// Consumer tags and their handles.
    pub(super) tags: BTreeMap<Name, u32>,
    /// The queue that an empty name means.
    pub(super) last_queue: Option<Name>,
    /// What consumers to come may hold unsettled.
    pub(super) prefetch: Option<u32>,
    /// Where replies to this channel go, if it reads them.
    pub(super) mailbox: Option<Mailbox>,
    /// Something was asked without waiting whose refusal may still come.
    pub(super) unsure: bool,
}

impl Channel {
    pub(super) fn new(incarnation: u16) -> Channel {
        Channel {
            incarnation,
            mode: Mode::Plain,
            content: Content::Idle,
            inflight: Inflight::default(),
            tags: BTreeMap::new(),
            last_queue: None,
            prefetch: None,
            mailbox: None,
            unsure: false,
        }
    }
}

/// What is promised to a channel's publisher.
#[derive(Debug)]
pub(super) enum Mode {
    Plain,
    Confirm(Confirms),
    Tx(Transaction),
}

/// A channel number that was used at least once.
#[derive(Debug)]
struct Slot {
    number: u16,
    state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Used before, free again. `clear` if the engine has said all about its last life.
    Free { clear: bool },
    /// The boundary between two lives is awaited.
    Opening { incarnation: u16 },
    /// In use.
    Open(Box<Channel>),
    /// We sent `close`; only `close` and `close-ok` count.
    Closing,
}

/// All slots, by number.
#[derive(Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    fn at(&self, number: u16) -> Result<usize, usize> {
        match self.0.as_slice() {
            [only] if only.number == number => Ok(0),
            slots => slots.binary_search_by_key(&number, |s| s.number),
        }
    }

    /// The state of a number; none if it was never used.
    pub(super) fn state(&self, number: u16) -> Option<&State> {
        self.at(number).ok().and_then(|at| self.0.get(at)).map(|s| &s.state)
    }

    /// The channel, if it is open.
    #[inline]
    pub(super) fn open(&mut self, number: u16) -> Option<&mut Channel> {
        let at = self.at(number).ok()?;
        match &mut self.0.get_mut(at)?.state {
            State::Open(channel) => Some(channel),
            _ => None,
        }
    }

    /// Sets a state.
    pub(super) fn set(&mut self, number: u16, state: State) {
        match self.at(number) {
            Ok(at) => self.0[at].state = state,
            Err(at) => self.0.insert(at, Slot { number, state }),
        }
    }

    /// The incarnation that tickets of a number carry now; 0 for what has none.
    pub(super) fn incarnation(&self, number: u16) -> u16 {
        match self.state(number) {
            Some(State::Open(channel)) => channel.incarnation,
            Some(State::Opening { incarnation }) => *incarnation,
            _ => 0,
        }
    }

    /// True if the channel is open in this very life.
    pub(super) fn is_open_as(&self, number: u16, incarnation: u16) -> bool {
        matches!(self.state(number), Some(State::Open(c)) if c.incarnation == incarnation)
    }

    /// The numbers of all open (or opening) channels.
    pub(super) fn live(&self) -> impl Iterator<Item = u16> + '_ {
        self.0
            .iter()
            .filter(|s| matches!(s.state, State::Open(_) | State::Opening { .. }))
            .map(|s| s.number)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}
