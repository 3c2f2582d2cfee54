//! Scripts: a session's conversation as text, played under virtual time. A script
//! says what comes, and lists everything that the session gives in return, in order.
//! Whatever is not listed fails the script. No socket, no engine, no clock.
//!
//! ```text
//! == the name of a case; each has a session of its own
//! > what the peer says, in its protocol's tongue      >+ the same, read with the next
//! < what the session says in return
//! ! a command for the engine
//! = the answer to the last request not yet answered
//! ~ an event from the engine
//! ? login USER                                        @ admit USER, @ deny WHY
//! ? opening MECHANISM DATA, ? answer MEMO DATA        @ challenge MEMO DATA, @ prove USER DATA
//! + 10s passes (ms, s, m)                             * stop
//! x how the connection ends                           # a remark
//! ```

mod door;
mod feed;
mod print;
mod words;

use crate::{Cause, Front, Output, Peer, Session};
use bytes::{Bytes, BytesMut};
use lockgate_model::{Command, Event, Lane, Ticket, Time};
pub use print::command as lines;
use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
pub use words::Words;

/// A protocol in words.
pub trait Tongue {
    /// The bytes of a line that the peer says.
    fn say(&mut self, line: &str) -> Result<Vec<u8>, String>;

    /// Bytes that the session sent, one line each.
    fn hear(&mut self, bytes: &[u8]) -> Vec<String>;
}

/// Plays every case of a script, and says what did not go as it says.
pub fn play(
    script: &str,
    front: &dyn Front,
    tongue: &mut dyn Tongue,
    prelude: &str,
) -> Result<usize, String> {
    let mut cases = 0;
    let mut player: Option<Player<'_>> = None;
    for (n, line) in script.lines().enumerate() {
        let line = line.trim();
        let at = |why: String| format!("line {}: {line}\n{why}", n + 1);
        if let Some(name) = line.strip_prefix("==") {
            if let Some(done) = player.take() {
                done.finished().map_err(at)?;
            }
            cases += 1;
            let raw = name.trim().starts_with("raw ");
            let mut next = Player::new(front, tongue);
            if !raw {
                for line in prelude.lines() {
                    next.line(line.trim()).map_err(|why| at(format!("prelude: {why}")))?;
                }
            }
            player = Some(next);
        } else if let Some(player) = &mut player {
            player.line(line).map_err(at)?;
        }
    }
    if let Some(done) = player {
        done.finished().map_err(|why| format!("at the end: {why}"))?;
    }
    Ok(cases)
}

/// What a command wants to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sort {
    Published,
    Released,
    Received,
}

type Tickets = HashMap<(Sort, Lane), Vec<Ticket>>;

/// One session, driven as a socket would drive it.
pub struct Player<'t> {
    session: Box<dyn Session>,
    tongue: &'t mut dyn Tongue,
    now: Time,
    unread: BytesMut,
    out: Output,
    /// Lines that the session gave and the script has not listed yet.
    given: VecDeque<String>,
    /// Requests without an answer.
    asked: VecDeque<(Lane, Ticket)>,
    /// Tickets of what is to be confirmed, in order.
    tickets: Tickets,
}

impl<'t> Player<'t> {
    /// A session of a connection that has just been made.
    pub fn new(front: &dyn Front, tongue: &'t mut dyn Tongue) -> Self {
        let now = Time(1_700_000_000_000_000);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let session = front.open(&Peer { address, seed: 7, now });
        Player {
            session,
            tongue,
            now,
            unread: BytesMut::new(),
            out: Output::default(),
            given: VecDeque::new(),
            asked: VecDeque::new(),
            tickets: HashMap::new(),
        }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (sign, rest) = match line.split_once(' ') {
            Some((sign, rest)) => (sign, rest.trim()),
            None => (line, ""),
        };
        match sign {
            "" | "#" => Ok(()),
            "<" | "!" | "?" | "x" => self.expect(line),
            other => {
                if !matches!(other, ">" | ">+") || !self.unread_joins() {
                    self.nothing_left()?;
                }
                self.stimulus(other, rest)
            }
        }
    }

    fn unread_joins(&self) -> bool {
        !self.unread.is_empty() && self.given.is_empty()
    }

    fn stimulus(&mut self, sign: &str, rest: &str) -> Result<(), String> {
        let now = self.now;
        match sign {
            ">" | ">+" => {
                self.unread.extend_from_slice(&self.tongue.say(rest)?);
                if sign == ">+" {
                    return Ok(());
                }
            }
            "=" => {
                let (lane, ticket) = self.asked.pop_front().ok_or("nothing is asked")?;
                let result = feed::answer(&mut Words::new(rest))?;
                self.tell(Event::Answer { lane, ticket, result });
            }
            "~" => {
                let event = feed::event(&mut Words::new(rest), &self.tickets)?;
                self.tell(event);
            }
            "@" => {
                self.session.admitted(door::verdict(rest)?, now, &mut self.out);
            }
            "+" => self.pass(feed::duration(rest)?)?,
            "*" => self.session.stop(now, &mut self.out),
            other => return Err(format!("no such sign: {other}")),
        }
        self.read();
        self.collect();
        Ok(())
    }

    fn tell(&mut self, event: Event) {
        self.session.events(&mut vec![event], self.now, &mut self.out);
    }

    /// Lets time pass, waking the session whenever it asked for it.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let until = self.now + time;
        let mut last = None;
        while let Some(at) = self.session.wake_at()
            && at <= until
        {
            if last == Some(at) {
                return Err("woken as it asked, it asks for the same time again".into());
            }
            last = Some(at);
            self.now = self.now.max(at);
            self.session.tick(self.now, &mut self.out);
            self.collect();
        }
        self.now = until;
        Ok(())
    }

    fn read(&mut self) {
        while self.session.wants_input() && !self.unread.is_empty() {
            let input = Bytes::copy_from_slice(&self.unread);
            let received = self.session.receive(&input, self.now, &mut self.out);
            let _ = self.unread.split_to(received.used);
            if received.used == 0 || received.need > 0 {
                break;
            }
        }
    }

    /// Writes down what the session put out.
    fn collect(&mut self) {
        for command in std::mem::take(&mut self.out.commands) {
            match &command {
                Command::Ask { lane, ticket, .. } => self.asked.push_back((*lane, *ticket)),
                Command::Publish { lane, run, confirm: Some(first) } => {
                    self.awaits((Sort::Published, *lane), *first, run.items.len());
                }
                Command::PublishOnce { lane, run, confirm, .. } => {
                    self.awaits((Sort::Published, *lane), *confirm, run.items.len());
                }
                Command::Release { lane, marks, confirm } => {
                    self.awaits((Sort::Released, *lane), *confirm, marks.len());
                }
                Command::Received { lane, marks, confirm, .. } => {
                    self.awaits((Sort::Received, *lane), *confirm, marks.len());
                }
                Command::Leave(lane) => {
                    self.asked.retain(|(l, _)| l != lane);
                }
                _ => {}
            }
            self.given.extend(print::command(&command).into_iter().map(|l| format!("! {l}")));
        }
        if let Some(login) = self.out.login.take() {
            self.given.push_back(format!("? {}", door::login(&login)).trim_end().to_owned());
        }
        let bytes = self.out.bytes.take();
        self.given.extend(self.tongue.hear(&bytes).into_iter().map(|l| format!("< {l}")));
        if let Some(close) = self.out.close.take() {
            let cause = match close.cause {
                Cause::Agreed => "agreed".to_owned(),
                Cause::Fault(text) => format!("fault {text}"),
                Cause::Denied(text) => format!("denied {text}"),
                Cause::Silent => "silent".to_owned(),
                Cause::Gone => "gone".to_owned(),
                Cause::Displaced => "displaced".to_owned(),
                Cause::Stopped => "stopped".to_owned(),
            };
            let linger = close.linger.as_secs();
            let linger = if linger > 0 { format!(" (linger {linger} s)") } else { String::new() };
            self.given.push_back(format!("x {cause}{linger}"));
        }
    }

    fn awaits(&mut self, what: (Sort, Lane), first: Ticket, count: usize) {
        let tickets = self.tickets.entry(what).or_default();
        tickets.extend((0..count as u64).map(|n| Ticket(first.0 + n)));
    }

    fn expect(&mut self, line: &str) -> Result<(), String> {
        match self.given.pop_front() {
            Some(given) if given == line => Ok(()),
            Some(given) => Err(format!("instead came\n        {given}\n{}", self.rest())),
            None => Err("instead came nothing".into()),
        }
    }

    fn nothing_left(&self) -> Result<(), String> {
        if self.given.is_empty() {
            Ok(())
        } else {
            Err(format!("before this came, and is not listed:\n{}", self.rest()))
        }
    }

    fn rest(&self) -> String {
        self.given.iter().map(|l| format!("        {l}\n")).collect()
    }

    fn finished(self) -> Result<(), String> {
        self.nothing_left()
    }
}
