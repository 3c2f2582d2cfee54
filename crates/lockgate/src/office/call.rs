//! The command line's side: finds the running broker, or opens the data directory itself.

use super::{Desk, LINE_BYTES_MAX, Report, SOCKET, address, folder};
use crate::cli::{DefinitionsCommand, Place};
use crate::datadir::DataDir;
use crate::fault::Fault;
use crate::{print, serve, settings};
use lockgate_config::Config;
use lockgate_net::Clock;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Does what a command asks of definitions.
pub fn run(command: DefinitionsCommand) -> Result<(), Fault> {
    match command {
        DefinitionsCommand::Import { file, vhost, place } => import(&file, vhost, &place),
        DefinitionsCommand::Export { file, vhost, place } => export(&file, vhost, &place),
    }
}

fn import(file: &Path, vhost: Option<String>, place: &Place) -> Result<(), Fault> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LINE_BYTES_MAX).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|f| f.take(LINE_BYTES_MAX).read_to_end(&mut bytes))
    };
    let shown = file.display();
    read.map_err(|e| Fault::config(format!("cannot read {shown}: {e}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Fault::config(format!("{shown}: no JSON: it is not UTF-8")))?;
    // A file that is none is refused before anything is opened.
    lockgate_definitions::read(text.as_bytes(), vhost.as_deref())
        .map_err(|e| Fault::config(format!("{shown}: {e}")))?;
    let answer = ask(&json!({"do": "import", "vhost": vhost, "text": text}), place)?;
    let report = Report::from_json(&answer)
        .ok_or_else(|| Fault::other("the broker's answer makes no sense"))?;
    for line in &report.skipped {
        print(&format!("passed over: {line}\n"))?;
    }
    for line in &report.bad {
        print(&format!("bad: {line}\n"))?;
    }
    print(&format!("{} definitions are there\n", report.taken))?;
    match report.bad.len() {
        0 => Ok(()),
        n => Err(Fault::other(format!("{n} definitions were not taken"))),
    }
}

fn export(file: &Path, vhost: Option<String>, place: &Place) -> Result<(), Fault> {
    let answer = ask(&json!({"do": "export", "vhost": vhost}), place)?;
    let text = answer["text"].as_str();
    let text = text.ok_or_else(|| Fault::other("the broker's answer makes no sense"))?;
    if file == Path::new("-") {
        return print(text);
    }
    // Password hashes are in it.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(file).and_then(|mut f| f.write_all(text.as_bytes()));
    written.map_err(|e| Fault::other(format!("cannot write {}: {e}", file.display())))
}

/// Has a request done by the running broker, or by one that is opened for it.
fn ask(request: &Value, place: &Place) -> Result<Value, Fault> {
    let loaded = settings::load(&place.flags())?;
    let data = &loaded.config.data_dir;
    let answer = match connect(data) {
        Ok(stream) => over(stream, request)
            .map_err(|e| Fault::other(format!("the broker does not answer: {e}")))?,
        Err(_) => alone(&loaded.config, request)?,
    };
    match answer["error"].as_str() {
        None => Ok(answer),
        Some(why) => Err(Fault::other(why)),
    }
}

fn connect(data: &Path) -> io::Result<UnixStream> {
    let folder = folder(data);
    let held = File::open(&folder)?;
    if !folder.join(SOCKET).exists() {
        return Err(ErrorKind::NotFound.into());
    }
    UnixStream::connect(address(&folder, &held))
}

fn over(stream: UnixStream, request: &Value) -> io::Result<Value> {
    let mut line = request.to_string();
    line.push('\n');
    (&stream).write_all(line.as_bytes())?;
    let mut answer = Vec::new();
    BufReader::new(&stream).take(LINE_BYTES_MAX * 2).read_until(b'\n', &mut answer)?;
    serde_json::from_slice(&answer).map_err(|_| ErrorKind::UnexpectedEof.into())
}

/// No broker runs: the data directory is opened, and closed in order.
fn alone(config: &Config, request: &Value) -> Result<Value, Fault> {
    if !config.data_dir.is_dir() && request["do"] == "export" {
        return Err(Fault::directory(format!("there is no {}", config.data_dir.display())));
    }
    let data = DataDir::hold(&config.data_dir)?;
    let clock = Clock::start();
    let (engine, founding) = serve::open(config, data.path(), clock.now())?;
    let speaks = config.amqp.version.clone();
    let desk = Desk { engine: engine.clone(), clock, speaks };
    let answer = desk.answer(request.to_string().as_bytes());
    let found = super::found(&engine, config, &founding, clock.now());
    engine.stop().map_err(|e| Fault::disk(format!("the log cannot be closed: {e}")))?;
    found.map(|()| answer)
}
