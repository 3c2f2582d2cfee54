//! The binary: reads the command line, does what it asks, and says in one line
//! what went wrong. The only room that knows every other by name.

mod banner;
mod cli;
mod datadir;
mod door;
mod fault;
mod fronts;
mod log_berths;
mod log_command;
mod log_register;
mod log_streams;
mod log_text;
mod logs;
mod memory;
mod office;
mod serve;
mod settings;
mod signals;
mod sys;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand};
use fault::Fault;
use std::io::Write;
use std::process::ExitCode;

/// Messages are freed on other threads than made them: there glibc's allocator
/// costs 400 ns a message, this one 23.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Nothing is left to be done if not even this can be written.
            let _ = writeln!(std::io::stderr(), "lockgate: {}", fault.cause);
            ExitCode::from(fault.code)
        }
    }
}

fn run(cli: Cli) -> Result<(), Fault> {
    match cli.command.unwrap_or(Command::Serve(cli.flags)) {
        Command::Serve(flags) => serve::serve(&settings::load(&flags)?),
        Command::Config(ConfigCommand::Check { file }) => {
            let loaded = settings::load_file(&file)?;
            settings::check(&loaded.config)?;
            print(&format!("{}: fine\n", file.display()))
        }
        Command::Config(ConfigCommand::Show(flags)) => {
            let loaded = settings::load(&flags)?;
            print(&loaded.config.show())
        }
        Command::Definitions(command) => office::run(command),
        Command::Log(command) => log_command::run(command),
    }
}

/// Prints to standard output. A reader who has gone away is no fault.
pub(crate) fn print(text: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Fault::other(format!("cannot write to standard output: {e}")))
        }
        _ => Ok(()),
    }
}

/// Bytes that nobody could guess.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Fault> {
    use rustix::rand::{GetRandomFlags, getrandom};
    let mut bytes = [0; N];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(n) if n == N => Ok(bytes),
        Ok(_) => Err(Fault::other("the system gives no random bytes")),
        Err(e) => Err(Fault::other(format!("the system gives no random bytes: {e}"))),
    }
}
