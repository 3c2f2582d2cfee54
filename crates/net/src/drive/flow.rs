//! When a peer is to be read, and how much of what it was sent it has taken: the
//! two halves of back-pressure.

use lockgate_model::{Alarm, Command, Event, Request, Step};

/// Whether the engine wants this peer to be read.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The engine said `Pause` and not yet `Resume`.
    paused: bool,
    /// One bit for each alarm that is raised.
    alarms: u8,
    /// The peer has published. Those who never did are read even under an alarm:
    /// what they send are acknowledgements, which help.
    published: bool,
}

impl Flow {
    /// True while the peer is not to be read.
    #[inline]
    pub(super) fn holds(&self) -> bool {
        self.paused || (self.alarms != 0 && self.published)
    }

    /// Takes note of what the engine tells.
    pub(super) fn hear(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Pause => self.paused = true,
                Event::Resume => self.paused = false,
                Event::Alarm { alarm, raised } => {
                    let bit = match alarm {
                        Alarm::Memory => 1,
                        Alarm::Disk => 2,
                    };
                    self.alarms = if *raised { self.alarms | bit } else { self.alarms & !bit };
                }
                _ => {}
            }
        }
    }

    /// Takes note of what the session asks.
    pub(super) fn say(&mut self, commands: &[Command]) {
        self.published = self.published
            || commands.iter().any(|command| match command {
                Command::Publish { .. } | Command::PublishOnce { .. } => true,
                Command::Ask { request: Request::Commit(steps), .. } => {
                    steps.iter().any(|step| matches!(step, Step::Publish(_)))
                }
                _ => false,
            });
    }
}

/// The costs of deliveries on their way back to the engine.
///
/// What is written gives back its share of the costs that are in the buffers, and
/// with the last byte all of it. Some is kept until it is worth a command; that is
/// at most an eighth of the engine's window while bytes are still to be written
/// (and more will come due with them), and a sixty-fourth when none are: the engine
/// always has most of its window, so what is kept can stall nothing.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Costs of what is encoded and not yet written.
    encoded: u64,
    /// Costs of what is written and not yet given back.
    written: u64,
}

/// Given back while more is being written.
const WORTH: u64 = 128 * 1024;

/// Given back when all is written.
const WORTH_DRAINED: u64 = 16 * 1024;

impl Window {
    /// Deliveries of this cost were encoded.
    #[inline]
    pub(super) fn encoded(&mut self, cost: u64) {
        self.encoded += cost;
    }

    /// `n` of `waiting` bytes have been written.
    pub(super) fn wrote(&mut self, n: usize, waiting: usize) {
        let share = if n >= waiting {
            self.encoded
        } else {
            (u128::from(self.encoded) * n as u128 / waiting as u128) as u64
        };
        self.encoded -= share;
        self.written += share;
    }

    /// True when enough has come together to be given back.
    #[inline]
    pub(super) fn is_due(&self, drained: bool) -> bool {
        self.written >= if drained { WORTH_DRAINED } else { WORTH }
    }

    /// Gives back what there is, along with other commands.
    pub(super) fn join(&mut self, commands: &mut Vec<Command>) {
        if self.written > 0 {
            commands.push(Command::Window(std::mem::take(&mut self.written)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_holds_publishers_only_and_until_the_last_is_lowered() {
        let raise = |alarm, raised| Event::Alarm { alarm, raised };
        let mut flow = Flow::default();
        flow.hear(&[raise(Alarm::Disk, true), raise(Alarm::Memory, true)]);
        flow.say(&[Command::Window(1)]);
        assert!(!flow.holds());
        flow.say(&[Command::Ask {
            lane: Default::default(),
            ticket: Default::default(),
            request: Request::Commit(vec![Step::Publish(Default::default())]),
        }]);
        assert!(flow.holds());
        flow.hear(&[raise(Alarm::Memory, false)]);
        assert!(flow.holds());
        flow.hear(&[raise(Alarm::Disk, false)]);
        assert!(!flow.holds());
        flow.hear(&[Event::Resume, Event::Pause]);
        assert!(flow.holds());
    }

    #[test]
    fn what_is_encoded_comes_back_exactly_once_however_it_is_written() {
        for step in [1, 7, 1000, 4096, 100_000] {
            let (mut window, mut waiting, mut back) = (Window::default(), 0usize, 0);
            let mut commands = Vec::new();
            for n in 0..50u64 {
                window.encoded(n * 97);
                waiting += n as usize * 61;
                let n = step.min(waiting);
                window.wrote(n, waiting);
                waiting -= n;
                assert!(waiting > 0 || window.encoded == 0);
            }
            window.wrote(waiting, waiting);
            window.join(&mut commands);
            window.join(&mut commands);
            for command in &commands {
                let Command::Window(n) = command else { panic!("{command:?}") };
                back += n;
            }
            assert_eq!(back, (0..50).map(|n| n * 97).sum::<u64>());
            assert_eq!(commands.len(), 1);
        }
    }
}
