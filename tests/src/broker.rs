//! A running broker: started on a free port, watched line by line, stopped in
//! order or killed, and started again on the same data.

use crate::{PATIENCE, binary};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

/// How a broker is to be started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Flags beside those for the data directory and the listener.
    pub flags: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

impl Options {
    /// With these flags.
    pub fn flags(flags: &[&str]) -> Options {
        Options { flags: flags.iter().map(|f| f.to_string()).collect(), ..Options::default() }
    }

    /// And this variable.
    pub fn env(mut self, name: &str, value: &str) -> Options {
        self.env.push((name.into(), value.into()));
        self
    }
}

/// What is known of a process from outside.
#[derive(Debug, Default)]
struct Watched {
    out: Vec<String>,
    err: Vec<String>,
    /// Of the two streams, how many have ended.
    ended: usize,
    exit: Option<ExitStatus>,
}

/// One process of the binary.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    watched: Arc<(Mutex<Watched>, Condvar)>,
}

impl Process {
    /// Starts the binary with these arguments and watches it.
    pub fn start(arguments: &[&str], env: &[(String, String)]) -> Process {
        let mut command = Command::new(binary::path());
        for (name, _) in std::env::vars_os() {
            // Whoever runs the tests may have settings of a broker of their own.
            if name.to_string_lossy().starts_with("LOCKGATE_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let pid = Pid::from_child(&child);
        let watched = Arc::new((Mutex::new(Watched::default()), Condvar::new()));
        let out = child.stdout.take().expect("it is piped");
        let err = child.stderr.take().expect("it is piped");
        follow(out, watched.clone(), |w| &mut w.out);
        follow(err, watched.clone(), |w| &mut w.err);
        let told = watched.clone();
        thread::spawn(move || {
            let status = child.wait().expect("a child can be waited for");
            told.0.lock().unwrap().exit = Some(status);
            told.1.notify_all();
        });
        Process { pid, watched }
    }

    /// Waits until something holds of what is seen; None if the process ends before.
    fn wait<T>(&self, what: &str, mut of: impl FnMut(&Watched) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut watched = self.watched.0.lock().unwrap();
        loop {
            if let Some(found) = of(&watched) {
                return Some(found);
            }
            if watched.exit.is_some() && watched.ended == 2 {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let saw = format!("{watched:#?}");
                drop(watched);
                panic!("waited for {what}, and saw {saw}");
            }
            watched = self.watched.1.wait_timeout(watched, left).unwrap().0;
        }
    }

    /// Waits for a line of standard output that holds `text`; None if it ends before.
    pub fn line(&self, text: &str) -> Option<String> {
        self.wait(text, |w| w.out.iter().find(|line| line.contains(text)).cloned())
    }

    /// Waits for a line of the log (standard error) that holds `text`.
    pub fn logged(&self, text: &str) -> Option<String> {
        self.wait(text, |w| w.err.iter().find(|line| line.contains(text)).cloned())
    }

    /// Waits for the end. All output has been read by then.
    pub fn ended(&self) -> ExitStatus {
        let exit = self.wait("the end", |w| (w.ended == 2).then_some(w.exit).flatten());
        exit.expect("an exit is what was waited for")
    }

    /// Panics with what it said last if it has ended.
    pub fn must_live(&self) {
        // Not under the lock: a panic would poison it for whoever cleans up.
        let (exit, err) = {
            let watched = self.watched.0.lock().unwrap();
            (watched.exit, watched.err.clone())
        };
        assert!(exit.is_none(), "it died: {exit:?} {err:#?}");
    }

    /// Standard output so far.
    pub fn out(&self) -> Vec<String> {
        self.watched.0.lock().unwrap().out.clone()
    }

    /// Standard error so far.
    pub fn err(&self) -> Vec<String> {
        self.watched.0.lock().unwrap().err.clone()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        // Held while it is sent: a process that was reaped may have given its number on.
        let watched = self.watched.0.lock().unwrap();
        if watched.exit.is_none() {
            // It may have ended just now and not been reaped: no fault.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Its number.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Memory in use, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = line
            .and_then(|line| line.trim().strip_suffix("kB"))
            .and_then(|kib| kib.trim().parse().ok())
            .expect("the system says how much");
        kib * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn follow(
    stream: impl Read + Send + 'static,
    watched: Arc<(Mutex<Watched>, Condvar)>,
    which: fn(&mut Watched) -> &mut Vec<String>,
) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            which(&mut watched.0.lock().unwrap()).push(line);
            watched.1.notify_all();
        }
        watched.0.lock().unwrap().ended += 1;
        watched.1.notify_all();
    });
}

/// A broker that is ready.
#[derive(Debug)]
pub struct Broker {
    /// The process.
    pub process: Process,
    /// Where it speaks AMQP.
    pub amqp: SocketAddr,
    /// Where it speaks MQTT.
    pub mqtt: SocketAddr,
    /// Where it speaks STOMP.
    pub stomp: SocketAddr,
    data: PathBuf,
    /// Removes the data when the last broker that was started on them is gone; none
    /// where they are somebody else's.
    home: Arc<Option<tempfile::TempDir>>,
    options: Options,
}

impl Broker {
    /// Starts one on data of its own.
    pub fn start(options: Options) -> Broker {
        let home = tempfile::tempdir().expect("a temporary directory");
        let data = home.path().join("data");
        Broker::on(data, Arc::new(Some(home)), options)
    }

    /// Starts one on given data.
    pub fn start_on(data: &Path, options: Options) -> Broker {
        Broker::on(data.to_path_buf(), Arc::new(None), options)
    }

    fn on(data: PathBuf, home: Arc<Option<tempfile::TempDir>>, options: Options) -> Broker {
        let process = spawn(&data, &options);
        let Some(_) = process.wait("ready", |w| w.out.iter().find(|l| *l == "ready").cloned())
        else {
            panic!("it ended before it was ready: {:#?}", process.err());
        };
        let amqp = address(&process.out(), "amqp").expect("it listens for AMQP");
        let mqtt = address(&process.out(), "mqtt").expect("it listens for MQTT");
        let stomp = address(&process.out(), "stomp").expect("it listens for STOMP");
        Broker { process, amqp, mqtt, stomp, data, home, options }
    }

    /// Where its data are.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Stops it in order.
    pub fn stop(&self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.ended()
    }

    /// Kills it: no handler of its runs, nothing that it holds in memory is saved.
    pub fn kill(&self) {
        self.process.signal(Signal::KILL);
        self.process.ended();
    }

    /// Starts it again on the same data. The one before must have ended.
    pub fn again(&self) -> Broker {
        self.again_with(self.options.clone())
    }

    /// Starts it again on the same data with other options.
    pub fn again_with(&self, options: Options) -> Broker {
        Broker::on(self.data.clone(), self.home.clone(), options)
    }

    /// Starts it again and kills it before it is ready, once it has said anything at all.
    pub fn stumble(&self) {
        let process = spawn(&self.data, &self.options);
        process.wait("any line", |w| (w.out.len() + w.err.len() > 0).then_some(()));
        process.signal(Signal::KILL);
        process.ended();
    }
}

fn spawn(data: &Path, options: &Options) -> Process {
    let data = data.to_str().expect("temporary directories have plain names");
    let mut arguments = vec!["--data-dir", data];
    for listener in ["amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "stomp=127.0.0.1:0"] {
        arguments.extend(["--listen", listener]);
    }
    arguments.extend(options.flags.iter().map(String::as_str));
    Process::start(&arguments, &options.env)
}

/// The address that a banner names for a kind of listener.
pub fn address(banner: &[String], kind: &str) -> Option<SocketAddr> {
    let mark = format!("{kind}://");
    banner.iter().find_map(|line| line.split_once(&mark)?.1.trim().parse().ok())
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub fn run(arguments: &[&str], env: &[(String, String)]) -> (i32, String, String) {
    let process = Process::start(arguments, env);
    let code = process.ended().code().unwrap_or(-1);
    (code, process.out().join("\n"), process.err().join("\n"))
}
