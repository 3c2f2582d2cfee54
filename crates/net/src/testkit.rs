//! For tests: a front that speaks lines, an engine that does as told, and a
//! doorkeeper who knows one password. Says nothing about any real protocol.

use crate::{Engine, Port};
use lockgate_front::{
    Cause, Close, Front, Login, Mechanism, Memo, Naming, Output, Peer, Proof, Received, Session,
    Verdict,
};
use lockgate_model::{Command, Consumer, Delivery, Event, Lane, Request, Run, Stamp, Ticket, Time};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Makes sessions that speak lines; each command is one of `Lines::line`'s.
pub struct LineFront;

impl Front for LineFront {
    fn name(&self) -> &'static str {
        "lines"
    }

    fn open(&self, peer: &Peer) -> Box<dyn Session> {
        Box::new(Lines {
            heard: peer.now,
            silence_max: None,
            beat: None,
            awaits: false,
            over: false,
            deaf_to_stop: false,
            patient: false,
            memo: None,
            calls: 0,
        })
    }
}

struct Lines {
    heard: Time,
    silence_max: Option<Duration>,
    beat: Option<(Time, Duration)>,
    awaits: bool,
    over: bool,
    deaf_to_stop: bool,
    /// A denied peer may try again.
    patient: bool,
    /// Of a challenge that is not answered yet.
    memo: Option<Memo>,
    /// Calls of `receive` with bytes.
    calls: usize,
}

/// A number at the end of a command.
fn number(word: Option<&str>) -> u64 {
    word.and_then(|w| w.parse().ok()).unwrap_or_default()
}

impl Lines {
    fn line(&mut self, line: &str, now: Time, out: &mut Output) {
        let mut words = line.split(' ');
        let (verb, first) = (words.next().unwrap_or_default(), words.next());
        match verb {
            "login" => {
                self.awaits = true;
                out.login = Some(Login {
                    user: first.unwrap_or_default().into(),
                    proof: Proof::Password(words.next().unwrap_or_default().into()),
                });
            }
            "open" => {
                self.awaits = true;
                let mechanism = Mechanism::ScramSha256;
                let data = first.unwrap_or_default().into();
                let proof = Proof::Opening { mechanism, naming: Naming::User, data };
                out.login = Some(Login { user: "talker".into(), proof });
            }
            "answer" => {
                self.awaits = true;
                let memo = self.memo.take().unwrap_or(Memo(Vec::new()));
                let data = first.unwrap_or_default().into();
                out.login =
                    Some(Login { user: "talker".into(), proof: Proof::Answer { memo, data } });
            }
            "echo" => say(out, line.get(5..).unwrap_or_default()),
            "calls" => say(out, &self.calls.to_string()),
            "publish" => {
                let body = first.unwrap_or_default().as_bytes();
                let run = Arc::new(Run::single("", b"", &[0, 0], body, false));
                out.commands.push(Command::Publish { lane: Lane(0), run, confirm: None });
            }
            "settle" => out.commands.push(Command::Flow { lane: Lane(0), active: true }),
            "ask" => {
                self.awaits = true;
                let request = Request::FindQueue("q".into());
                out.commands.push(Command::Ask { lane: Lane(0), ticket: Ticket(1), request });
            }
            "silence" => self.silence_max = Some(Duration::from_millis(number(first))),
            "beat" => {
                let every = Duration::from_millis(number(first));
                self.beat = Some((now + every, every));
            }
            "patient" => self.patient = true,
            "deaf" => self.deaf_to_stop = true,
            "close" => self.close(Cause::Agreed, number(first), out),
            "fault" => self.close(Cause::Fault("a line of no sense".into()), 0, out),
            "panic" => panic!("as asked"),
            _ => say(out, "what?"),
        }
    }

    fn close(&mut self, cause: Cause, linger: u64, out: &mut Output) {
        self.over = true;
        out.close = Some(Close { linger: Duration::from_millis(linger), cause });
    }
}

fn say(out: &mut Output, what: &str) {
    out.bytes.small().extend_from_slice(what.as_bytes());
    out.bytes.small().push(b'\n');
}

impl Session for Lines {
    fn receive(&mut self, input: &bytes::Bytes, now: Time, out: &mut Output) -> Received {
        self.heard = now;
        self.calls += usize::from(!input.is_empty());
        let mut used = 0;
        while self.wants_input() {
            let rest = &input[used..];
            let Some(end) = rest.iter().position(|b| *b == b'\n') else { break };
            let line = std::str::from_utf8(&rest[..end]).unwrap_or("?").to_owned();
            let mut words = line.split(' ');
            if words.next() == Some("data") {
                let need = end + 1 + number(words.next()) as usize;
                if rest.len() < need {
                    return Received { used, need };
                }
                say(out, &format!("got {}", need - end - 1));
                used += need;
            } else {
                used += end + 1;
                self.line(&line, now, out);
            }
        }
        Received { used, need: 0 }
    }

    fn events(&mut self, events: &mut Vec<Event>, _now: Time, out: &mut Output) {
        for event in events.drain(..) {
            match event {
                Event::Deliver(d) => {
                    for at in d.indices() {
                        let item = &d.run.items[at];
                        out.bytes.body(d.run.buffer(item.body), d.run.body(item));
                        out.bytes.small().push(b'\n');
                    }
                    out.delivered += d.cost;
                }
                Event::Answer { .. } => {
                    self.awaits = false;
                    say(out, "answered");
                }
                Event::Alarm { raised, .. } => say(out, if raised { "blocked" } else { "free" }),
                _ => {}
            }
        }
    }

    fn admitted(&mut self, verdict: Verdict, _now: Time, out: &mut Output) {
        self.awaits = false;
        match verdict {
            Verdict::Admitted(user) | Verdict::Proven { user, .. } => {
                say(out, &format!("welcome {user}"));
            }
            Verdict::Challenge { memo, .. } => {
                self.memo = Some(memo);
                say(out, "who?");
            }
            Verdict::Denied(why) => {
                say(out, "denied");
                if !self.patient {
                    self.close(Cause::Denied(why.into()), 0, out);
                }
            }
        }
    }

    fn tick(&mut self, now: Time, out: &mut Output) {
        if let Some((at, every)) = self.beat
            && at <= now
        {
            say(out, "beat");
            self.beat = Some((now + every, every));
        }
        if self.silence_max.is_some_and(|max| now.since(self.heard) >= max) {
            self.close(Cause::Silent, 0, out);
        }
    }

    fn wake_at(&self) -> Option<Time> {
        let silent = self.silence_max.map(|max| self.heard + max);
        silent.into_iter().chain(self.beat.map(|(at, _)| at)).min()
    }

    fn wants_input(&self) -> bool {
        !self.awaits && !self.over
    }

    fn stop(&mut self, _now: Time, out: &mut Output) {
        say(out, "bye");
        if !self.deaf_to_stop {
            self.close(Cause::Stopped, 0, out);
        }
    }
}

/// Lets in who says `secret`.
pub fn door(login: Login, _peer: &Peer) -> Verdict {
    match login.proof {
        Proof::Password(password) if password == b"secret" => Verdict::Admitted(login.user),
        Proof::Opening { data, .. } => Verdict::Challenge { memo: Memo(data), data: b"who".into() },
        Proof::Answer { memo, data } if memo.0 == data => {
            Verdict::Proven { user: login.user, vhost: None, data: b"you".into() }
        }
        _ => Verdict::Denied("wrong"),
    }
}

/// An engine that notes what it is told and tells what the test says.
#[derive(Clone, Default)]
pub struct FakeEngine(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    ports: Vec<Desk>,
    ticks: usize,
}

/// One session as the fake engine sees it.
#[derive(Default)]
pub struct Desk {
    /// Each batch that was submitted.
    pub batches: Vec<Vec<Command>>,
    /// Told one at a time.
    pub events: VecDeque<Event>,
    /// The port was dropped.
    pub gone: bool,
    /// An ask is answered at once.
    pub answers: bool,
    waker: Option<Waker>,
}

/// A session's port at the fake engine.
pub struct FakePort(FakeEngine, usize);

#[allow(dead_code)] // each test binary uses its part
impl FakeEngine {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics here")
    }

    /// How many sessions ever connected.
    pub fn ports(&self) -> usize {
        self.inner().ports.len()
    }

    /// How often time was told.
    pub fn ticks(&self) -> usize {
        self.inner().ticks
    }

    /// Looks at a session, in order of connecting.
    pub fn desk<T>(&self, port: usize, look: impl FnOnce(&mut Desk) -> T) -> T {
        look(&mut self.inner().ports[port])
    }

    /// Tells a session something.
    pub fn tell(&self, port: usize, event: Event) {
        let waker = self.desk(port, |desk| {
            desk.events.push_back(event);
            desk.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    /// Waits until something is so, letting other tasks run meanwhile.
    pub async fn until(&self, port: usize, mut is: impl FnMut(&mut Desk) -> bool) {
        for _ in 0..100_000 {
            if self.ports() > port && self.desk(port, &mut is) {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("it never is");
    }
}

/// A delivery of one message.
#[allow(dead_code)] // each test binary uses its part
pub fn delivery(body: &[u8]) -> Event {
    Event::Deliver(Delivery {
        lane: Lane(0),
        consumer: Consumer(0),
        run: Arc::new(Run::single("", b"", &[0, 0], body, false)),
        first: 0,
        step: 1,
        count: 1,
        number: 0,
        lease: None,
        redelivered: false,
        stamp: Stamp::None,
        cost: body.len() as u64,
    })
}

impl Engine for FakeEngine {
    type Port = FakePort;

    fn connect(&self) -> FakePort {
        let mut inner = self.inner();
        inner.ports.push(Desk { answers: true, ..Desk::default() });
        FakePort(self.clone(), inner.ports.len() - 1)
    }

    fn tick(&self, _now: Time) -> Option<Time> {
        self.inner().ticks += 1;
        None
    }
}

impl Port for FakePort {
    fn submit(&self, commands: &mut Vec<Command>, _now: Time) {
        self.0.desk(self.1, |desk| {
            for command in commands.iter() {
                if let Command::Ask { lane, ticket, .. } = command
                    && desk.answers
                {
                    let result = Ok(lockgate_model::Answer::Done);
                    desk.events.push_back(Event::Answer { lane: *lane, ticket: *ticket, result });
                }
            }
            desk.batches.push(std::mem::take(commands));
        });
    }

    fn poll_events(&self, cx: &mut Context<'_>, into: &mut Vec<Event>) -> Poll<()> {
        self.0.desk(self.1, |desk| match desk.events.pop_front() {
            Some(event) => {
                into.push(event);
                Poll::Ready(())
            }
            None => {
                desk.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }
}

impl Drop for FakePort {
    fn drop(&mut self) {
        self.0.desk(self.1, |desk| desk.gone = true);
    }
}
