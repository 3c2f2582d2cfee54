//! The effective settings as a file that could be loaded again, secrets masked.

use crate::keys::{Config, KEYS};
use std::fmt::Write;

impl Config {
    /// All settings as TOML, each under its help.
    pub fn show(&self) -> String {
        let mut out = String::new();
        let mut section = "";
        for key in KEYS {
            if key.section() != section {
                section = key.section();
                let _ = write!(out, "\n[{section}]\n");
            }
            let name = key.path.rsplit('.').next().unwrap_or_default();
            let _ = writeln!(out, "# {}\n{name} = {}", key.help.trim(), (key.show)(self));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{FileText, Sources};

    #[test]
    fn what_is_shown_loads_again_but_for_the_secrets() {
        let file = "data_dir = 'a \"b\"'\nvhosts = ['/', 'x']\n[memory]\nmax = '4 GiB'\n\
                    [limits]\nhandshake = '1500 ms'\n[auth]\ndefault_pass = 'hunter2'\n\
                    [mqtt]\nanonymous_pass = 'hunter2'\n[stomp]\ndefault_pass = 'hunter2'";
        let load = |text: &str| {
            let file = Some(FileText { name: "f", text });
            Config::load(Sources { file, ..Sources::default() }).map(|loaded| loaded.config)
        };
        let config = load(file).unwrap();
        let shown = config.show();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(load(&shown).is_err(), "a mask must not become a password");
        let mut again = load(&shown.replace("\"********\"", "'hunter2'")).unwrap();
        assert_eq!(again, config);
        again.vhosts.clear();
        assert_ne!(again, config);
    }
}
