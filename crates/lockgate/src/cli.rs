//! The command line. The flags that set something come from the table of
//! settings, so that each stands there once.

use crate::fault::CODES;
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, value_parser};
use lockgate_config::{KEYS, Key};
use std::path::PathBuf;

/// A message broker for AMQP 0-9-1 applications as they are.
#[derive(Debug, Parser)]
#[command(name = "lockgate", version, after_long_help = CODES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; serve if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For serving without saying so.
    #[command(flatten)]
    pub flags: Flags,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the broker (the default).
    #[command(after_long_help = CODES)]
    Serve(Flags),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Take in or give out definitions: users, virtual hosts, policies, queues and so on.
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Look at a log on disk, with the broker stopped.
    #[command(subcommand)]
    Log(LogCommand),
}

/// What can be done with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether a file is fine.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Print what would hold, secrets masked.
    Show(Flags),
}

/// What can be done with definitions, in RabbitMQ's format.
#[derive(Debug, Subcommand)]
pub enum DefinitionsCommand {
    /// Take in a file, into a running broker or a stopped one's data directory.
    Import {
        /// The file; - for standard input.
        file: PathBuf,
        /// Only what can be in this virtual host, and into it.
        #[arg(long)]
        vhost: Option<String>,
        /// Whose.
        #[command(flatten)]
        place: Place,
    },
    /// Give out all there is.
    Export {
        /// The file; - for standard output.
        #[arg(default_value = "-")]
        file: PathBuf,
        /// Only what is in this virtual host.
        #[arg(long)]
        vhost: Option<String>,
        /// Whose.
        #[command(flatten)]
        place: Place,
    },
}

/// Which broker is meant.
#[derive(Debug, Args)]
pub struct Place {
    /// The configuration file, TOML [env: LOCKGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [env: LOCKGATE_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

impl Place {
    /// The same as settings.
    pub fn flags(&self) -> Flags {
        let given = self.data_dir.iter().map(|dir| ("data_dir", vec![dir.clone()])).collect();
        Flags { config: self.config.clone(), given }
    }
}

/// What can be done with a log.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Read all of it and say what is there, and what is damaged.
    Verify {
        /// The data directory.
        dir: PathBuf,
    },
    /// Print its records, one line each.
    Dump {
        /// The data directory.
        dir: PathBuf,
        /// The position to begin at, as `verify` and `dump` print it.
        #[arg(long, value_name = "POS", value_parser = position)]
        from: Option<u64>,
    },
}

/// A position as it is printed: hexadecimal behind 0x, or decimal.
fn position(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .map_err(|_| "a position looks like 0x1f40 or 8000".into())
}

/// Where settings are given: the file, and one flag for each.
#[derive(Debug, Default)]
pub struct Flags {
    /// The file.
    pub config: Option<PathBuf>,
    /// Keys and their values, as given.
    pub given: Vec<(&'static str, Vec<String>)>,
}

/// The flags that the short help shows too.
const FIRST: [&str; 4] = ["data_dir", "listeners", "logging.level", "logging.format"];

fn arg(key: &'static Key, flag: String) -> Arg {
    let first = FIRST.contains(&key.path);
    let heading = match key.section() {
        _ if first => None,
        "" => Some("Settings".to_string()),
        section => Some(format!("Settings of [{section}]")),
    };
    let limit = key.limit.map_or(String::new(), |(least, most)| format!(" [{least} to {most}]"));
    let help =
        format!("{}{limit} [default: {}] [env: {}]", key.help.trim(), key.default, key.env());
    let arg = Arg::new(key.path)
        .long(flag)
        .value_name(match key.path {
            "data_dir" => "DIR",
            "listeners" => "KIND=ADDR",
            _ => "VALUE",
        })
        .help(help)
        .hide_short_help(!first)
        .value_parser(ValueParser::string())
        .action(if key.list { ArgAction::Append } else { ArgAction::Set });
    match heading {
        Some(heading) => arg.help_heading(heading),
        None => arg,
    }
}

impl Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .help("The configuration file, TOML [env: LOCKGATE_CONFIG]")
            .value_parser(value_parser!(PathBuf));
        let flags = KEYS.iter().filter_map(|key| Some(arg(key, key.flag()?)));
        command.arg(file).args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = KEYS
            .iter()
            .filter(|key| key.flag().is_some())
            .filter_map(|key| {
                let values = matches.get_many::<String>(key.path)?;
                Some((key.path, values.cloned().collect()))
            })
            .collect();
        Ok(Flags { config: matches.get_one("config").cloned(), given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("lockgate").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_what_is_done_if_nothing_is_said() {
        let line = "--data-dir /d --listen amqp=127.0.0.1:0 --listen amqp=127.0.0.1:1";
        let given = [
            ("data_dir", vec!["/d".to_string()]),
            ("listeners", vec!["amqp=127.0.0.1:0".into(), "amqp=127.0.0.1:1".into()]),
        ];
        let bare = parse(line).unwrap();
        assert!(bare.command.is_none());
        assert_eq!(bare.flags.given, given);
        let Some(Command::Serve(flags)) = parse(&format!("serve {line}")).unwrap().command else {
            panic!("not serve");
        };
        assert_eq!(flags.given, given);
    }

    #[test]
    fn every_setting_that_is_no_secret_has_its_flag() {
        for key in KEYS {
            if let Some(flag) = key.flag() {
                let cli = parse(&format!("--{flag} 1")).unwrap();
                assert_eq!(cli.flags.given, [(key.path, vec!["1".to_string()])]);
            }
        }
        assert!(parse("--auth-default-pass x").is_err());
    }

    #[test]
    fn a_position_is_read_as_it_is_printed() {
        assert_eq!(position("0x10"), Ok(16));
        assert_eq!(position("10"), Ok(10));
        assert!(position("x").is_err());
    }
}
