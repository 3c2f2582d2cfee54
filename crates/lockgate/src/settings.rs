//! Brings the sources of settings together: the file, the environment, the flags.

use crate::cli::Flags;
use crate::fault::Fault;
use lockgate_config::{Config, FileText, Kind, Loaded, Sources};
use std::path::{Path, PathBuf};

/// What this version can serve.
pub const SERVED: &[Kind] = &[Kind::Amqp, Kind::Mqtt, Kind::Stomp, Kind::Ws, Kind::Auto];

/// The settings that flags, environment and file make together, checked.
pub fn load(flags: &Flags) -> Result<Loaded, Fault> {
    let named = std::env::var_os("LOCKGATE_CONFIG").filter(|name| !name.is_empty());
    let file = flags.config.clone().or(named.map(PathBuf::from));
    let text = file.as_deref().map(read).transpose()?;
    let name = file.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
    let sources = Sources {
        file: text.as_deref().map(|text| FileText { name: &name, text }),
        env: environment()?,
        flags: flags.given.clone(),
    };
    let loaded = Config::load(sources).map_err(Fault::config)?;
    check(&loaded.config)?;
    Ok(loaded)
}

/// The settings that one file makes, with no other source.
pub fn load_file(path: &Path) -> Result<Loaded, Fault> {
    let text = read(path)?;
    let name = path.display().to_string();
    let file = Some(FileText { name: &name, text: &text });
    Config::load(Sources { file, ..Sources::default() }).map_err(Fault::config)
}

/// Holds the settings against what this version can serve.
pub fn check(config: &Config) -> Result<(), Fault> {
    config.check(SERVED).map_err(Fault::config)
}

fn read(path: &Path) -> Result<String, Fault> {
    std::fs::read_to_string(path)
        .map_err(|e| Fault::config(format!("cannot read {}: {e}", path.display())))
}

/// Our part of the environment.
fn environment() -> Result<Vec<(String, String)>, Fault> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("LOCKGATE_"))
        .map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(Fault::config(format!("{name}: it is not UTF-8"))),
        })
        .collect()
}
