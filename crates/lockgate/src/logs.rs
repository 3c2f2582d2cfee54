//! Log lines, for people or as JSON, on standard error: standard output is kept
//! for the banner and `ready`.

use lockgate_config::{LogFormat, LogLevel, Logging};
use std::io::IsTerminal;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging; once in a process.
pub fn start(wish: &Logging) {
    let level = match wish.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match wish.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
}
