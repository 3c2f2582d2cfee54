//! Merging: defaults, then the file, then the environment, then the flags; a
//! list is replaced whole. Each fault names its place.

use crate::error::ConfigError;
use crate::keys::{Config, KEYS, Key};
use crate::listener::Kind;
use crate::nearest::nearest;
use crate::value::{Given, MemoryMax};
use crate::words::Dialect;
use lockgate_model::limits::NAME_BYTES_MAX;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration file that somebody else has read.
#[derive(Clone, Copy, Debug)]
pub struct FileText<'a> {
    /// What to call it in errors.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

/// Where settings come from, beside their defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources<'a> {
    /// The file, if there is one.
    pub file: Option<FileText<'a>>,
    /// The environment, whole: what is not ours is passed over.
    pub env: Vec<(String, String)>,
    /// Flags given, as the key's path and the values in order.
    pub flags: Vec<(&'static str, Vec<String>)>,
}

/// The merged configuration, and what the operator should hear of.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// One line each: harmless, and perhaps not meant.
    pub notes: Vec<String>,
}

/// Variables that are ours and no setting.
const OTHER_VARIABLES: [&str; 2] = ["LOCKGATE_CONFIG", "LOCKGATE_PLANT"];

impl Config {
    /// Merges all sources.
    pub fn load(sources: Sources<'_>) -> Result<Loaded, ConfigError> {
        let mut config = Config::default();
        if let Some(file) = sources.file {
            read_file(&mut config, file)?;
        }
        let notes = read_env(&mut config, sources.env)?;
        for (path, values) in sources.flags {
            let Some(key) = KEYS.iter().find(|key| key.path == path) else {
                return Err(ConfigError::at(path, "there is no such setting"));
            };
            let given = match <[String; 1]>::try_from(values) {
                Ok([one]) if !key.list => Given::Text(one),
                Ok(one) => Given::List(one.into()),
                Err(many) => Given::List(many),
            };
            let place = || format!("--{}", key.flag().unwrap_or_default());
            (key.set)(&mut config, &given).map_err(|e| ConfigError::at(place(), e))?;
        }
        Ok(Loaded { config, notes })
    }

    /// Holds the settings against each other and against what can be served.
    pub fn check(&self, served: &[Kind]) -> Result<(), ConfigError> {
        let fault = |text: String| Err(ConfigError::Together(text));
        if self.listeners.is_empty() {
            return fault("listeners: there is none, so nobody could connect".into());
        }
        if let Some(other) = self.listeners.iter().find(|l| !served.contains(&l.kind)) {
            let served: Vec<_> = served.iter().map(|kind| kind.word()).collect();
            return fault(format!(
                "listeners: `{other}` cannot be served by this version, which has: {}",
                served.join(", ")
            ));
        }
        for (n, listener) in self.listeners.iter().enumerate() {
            let twice = self.listeners[..n].iter().any(|l| l.address == listener.address);
            if twice && !listener.address.ends_with(":0") {
                return fault(format!("listeners: {} is named twice", listener.address));
            }
        }
        if self.vhosts.is_empty() {
            return fault("vhosts: there is none, so nobody could connect".into());
        }
        if let Some(long) = self.vhosts.iter().find(|v| v.len() > NAME_BYTES_MAX) {
            return fault(format!("vhosts: `{long}` is longer than {NAME_BYTES_MAX} bytes"));
        }
        let names = [
            ("auth.default_user", &self.auth.default_user),
            ("mqtt.vhost", &self.mqtt.vhost),
            ("mqtt.exchange", &self.mqtt.exchange),
            ("mqtt.anonymous_user", &self.mqtt.anonymous_user),
            ("stomp.vhost", &self.stomp.vhost),
            ("stomp.topic_exchange", &self.stomp.topic_exchange),
        ];
        if let Some((key, _)) = names.iter().find(|(_, name)| name.len() > NAME_BYTES_MAX) {
            return fault(format!("{key} is longer than {NAME_BYTES_MAX} bytes"));
        }
        if self.stomp.default_user.as_ref().is_some_and(|user| user.len() > NAME_BYTES_MAX) {
            return fault(format!("stomp.default_user is longer than {NAME_BYTES_MAX} bytes"));
        }
        if let Some(prefix) = &self.mqtt.response_prefix
            && (prefix.contains(['+', '#', '\0']) || prefix.len() > NAME_BYTES_MAX)
        {
            return fault(format!("mqtt.response_prefix: no topic begins with `{prefix}`"));
        }
        for (key, all) in [("mqtt", &self.mqtt.dialects), ("stomp", &self.stomp.dialects)] {
            for (n, one) in all.iter().enumerate() {
                if all[..n].iter().any(|other| other.vhost == one.vhost) {
                    return fault(format!("{key}.dialects: `{}` is named twice", one.vhost));
                }
            }
        }
        let stomps = self.stomp.dialects.iter().map(|one| one.dialect);
        if stomps.chain([self.stomp.dialect]).any(|dialect| dialect == Dialect::Sparkplug) {
            return fault("stomp.dialect: sparkplug is a dialect of MQTT alone".into());
        }
        let segments = self.storage.segment.0.saturating_mul(3);
        if self.storage.reserve.0 < segments {
            return fault(format!(
                "storage.reserve must be at least three times storage.segment ({segments} bytes)"
            ));
        }
        match self.memory.max {
            MemoryMax::Bytes(max) if self.memory.queue_resident > max => {
                fault("memory.queue_resident is more than memory.max".into())
            }
            _ => Ok(()),
        }
    }
}

fn read_file(config: &mut Config, file: FileText<'_>) -> Result<(), ConfigError> {
    let place = |at: usize| {
        let before = file.text.as_bytes().get(..at).unwrap_or_default();
        format!("{}:{}", file.name, before.iter().filter(|b| **b == b'\n').count() + 1)
    };
    let table = DeTable::parse(file.text)
        .map_err(|e| ConfigError::at(place(e.span().map_or(0, |span| span.start)), e.message()))?;
    for (name, value) in table.get_ref() {
        let path = name.get_ref().as_ref();
        let is_section = KEYS.iter().any(|key| key.section() == path);
        match value.get_ref() {
            DeValue::Table(keys) if is_section => {
                for (name, value) in keys {
                    let path = format!("{path}.{}", name.get_ref());
                    set_from_file(config, &path, value)
                        .map_err(|e| ConfigError::at(place(name.span().start), e))?;
                }
            }
            _ => set_from_file(config, path, value)
                .map_err(|e| ConfigError::at(place(name.span().start), e))?,
        }
    }
    Ok(())
}

fn set_from_file(
    config: &mut Config,
    path: &str,
    value: &Spanned<DeValue<'_>>,
) -> Result<(), String> {
    let Some(key) = KEYS.iter().find(|key| key.path == path) else {
        // An unknown table says most by its first key.
        let inner = value.get_ref().as_table().and_then(|t| t.keys().next());
        let sought = inner.map_or(path.to_string(), |name| format!("{path}.{}", name.get_ref()));
        let near = nearest(&sought, KEYS.iter().map(|key| key.path));
        return Err(format!("unknown key `{sought}`; did you mean `{near}`?"));
    };
    let given = match value.get_ref() {
        DeValue::Array(items) => {
            Given::List(items.iter().map(|item| scalar(item.get_ref())).collect::<Result<_, _>>()?)
        }
        other => Given::Text(scalar(other)?),
    };
    (key.set)(config, &given).map_err(|e| format!("{}: {e}", key.path))
}

/// One TOML value as text. Numbers keep their spelling, so nothing is rounded.
fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    Ok(match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_string(),
        DeValue::Float(number) => number.as_str().to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        other => return Err(format!("a value is wanted, not {}", other.type_str())),
    })
}

/// Sets what the environment says. An unknown variable with our prefix is no error:
/// a container platform makes such for a service that is called lockgate.
fn read_env(config: &mut Config, env: Vec<(String, String)>) -> Result<Vec<String>, ConfigError> {
    let find = |name: &str| -> Option<&'static Key> { KEYS.iter().find(|key| key.env() == name) };
    let mut notes = Vec::new();
    for (name, value) in env {
        if !name.starts_with("LOCKGATE_") || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        match find(&name) {
            Some(key) => (key.set)(config, &Given::Text(value))
                .map_err(|e| ConfigError::at(name.as_str(), e))?,
            None => {
                let all: Vec<String> = KEYS.iter().map(Key::env).collect();
                let near = nearest(&name, all.iter().map(String::as_str));
                notes.push(format!("the variable {name} sets nothing; the nearest is {near}"));
            }
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Setting, Size};

    fn from_file(text: &str) -> Result<Loaded, ConfigError> {
        let file = Some(FileText { name: "lockgate.toml", text });
        Config::load(Sources { file, ..Sources::default() })
    }

    fn fault(text: &str) -> String {
        from_file(text).unwrap_err().to_string()
    }

    #[test]
    fn flags_go_over_environment_over_file_over_default() {
        let file = "[amqp]\nproduct = 'file'\nversion = 'file'\ncluster_name = 'file'";
        let env = |n: &str| (format!("LOCKGATE_AMQP_{n}"), "env".to_string());
        let loaded = Config::load(Sources {
            file: Some(FileText { name: "f", text: file }),
            env: vec![env("VERSION"), env("CLUSTER_NAME")],
            flags: vec![("amqp.cluster_name", vec!["flag".into()])],
        })
        .unwrap();
        let amqp = &loaded.config.amqp;
        assert_eq!(
            (amqp.product.as_str(), amqp.version.as_str(), amqp.cluster_name.as_str()),
            ("file", "env", "flag")
        );
        assert_eq!(amqp.channel_max, 2047);
    }

    #[test]
    fn naming_any_listener_replaces_the_default() {
        let flags = vec![("listeners", vec!["amqp=127.0.0.1:1".into(), "mqtt=[::1]:2".into()])];
        let loaded = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        let listeners: Vec<_> = loaded.config.listeners.iter().map(ToString::to_string).collect();
        assert_eq!(listeners, ["amqp=127.0.0.1:1", "mqtt=[::1]:2"]);
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_known() {
        assert_eq!(
            fault("data_dir = 'x'\n\n[storage]\nsegmnet = '1 MiB'\n"),
            "lockgate.toml:4: unknown key `storage.segmnet`; did you mean `storage.segment`?"
        );
        assert_eq!(
            fault("[log]\nlevel = 'info'"),
            "lockgate.toml:1: unknown key `log.level`; did you mean `logging.level`?"
        );
        assert_eq!(
            fault("listener = 'amqp=1.2.3.4:5'"),
            "lockgate.toml:1: unknown key `listener`; did you mean `listeners`?"
        );
    }

    #[test]
    fn a_wrong_value_names_its_line_key_and_limit() {
        assert_eq!(
            fault("\n[amqp]\nframe_max = 100"),
            "lockgate.toml:3: amqp.frame_max: 100 is not within 4096 and 16777216"
        );
        assert_eq!(
            fault("[logging]\nformat = 3"),
            "lockgate.toml:2: logging.format: `3` is none of text, json"
        );
        assert_eq!(
            fault("data_dir = ['a']"),
            "lockgate.toml:1: data_dir: one value is wanted, not a list"
        );
        assert_eq!(fault("storage = 3").lines().count(), 1);
        assert_eq!(fault("a = [\n").lines().count(), 1);
        assert!(fault("[memory]\nmax = '300%'").contains("300%"));
        assert!(fault("[memory]\nmax = '101%'").contains("within"));
    }

    #[test]
    fn a_foreign_variable_is_noted_and_a_wrong_one_is_an_error() {
        let env = |name: &str, value: &str| Sources {
            env: vec![(name.into(), value.into())],
            ..Sources::default()
        };
        let loaded = Config::load(env("LOCKGATE_PORT", "tcp://10.0.0.1:5672")).unwrap();
        assert_eq!(loaded.notes.len(), 1);
        assert!(Config::load(env("PATH", "x")).unwrap().notes.is_empty());
        let wrong = Config::load(env("LOCKGATE_STORAGE_SEGMENT", "big")).unwrap_err();
        assert!(wrong.to_string().starts_with("LOCKGATE_STORAGE_SEGMENT: `big` is not a size"));
    }

    #[test]
    fn a_flag_of_one_value_takes_the_text_whole() {
        let flags = vec![("amqp.product", vec!["a, b".into()])];
        let loaded = Config::load(Sources { flags, ..Sources::default() }).unwrap();
        assert_eq!(loaded.config.amqp.product, "a, b");
    }

    #[test]
    fn what_does_not_go_together_is_found() {
        let served = [Kind::Amqp, Kind::Mqtt, Kind::Stomp, Kind::Ws];
        let check = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check(&served).map_err(|e| e.to_string())
        };
        assert_eq!(check(|_| {}), Ok(()));
        assert!(check(|c| c.listeners.clear()).is_err());
        assert!(check(|c| c.vhosts.clear()).is_err());
        assert!(check(|c| c.listeners.push(c.listeners[0].clone())).is_err());
        assert!(check(|c| c.storage.reserve = Size(1 << 20)).is_err());
        assert!(check(|c| c.memory.max = MemoryMax::Bytes(Size(1 << 20))).is_err());
        assert!(check(|c| c.mqtt.vhost = "v".repeat(256)).is_err());
        assert!(check(|c| c.stomp.dialect = Dialect::Sparkplug).is_err());
        assert!(check(|c| c.stomp.dialect = Dialect::Activemq).is_ok());
        assert!(check(|c| c.stomp.vhost = "v".repeat(256)).is_err());
        assert!(check(|c| c.stomp.default_user = Some("u".repeat(256))).is_err());
        assert!(check(|c| c.mqtt.response_prefix = Some("a/+/".into())).is_err());
        let dialects = |texts: [&str; 2]| texts.map(|t| Setting::parse(t).unwrap()).to_vec();
        let mut config = Config::default();
        config.mqtt.dialects = dialects(["a=activemq", "b=activemq"]);
        assert!(config.check(&served).is_ok());
        config.mqtt.dialects = dialects(["a=activemq", "a=rabbitmq"]);
        assert!(config.check(&served).is_err());
        let unserved = check(|c| c.listeners[0].kind = Kind::Http).unwrap_err();
        assert_eq!(
            unserved,
            "listeners: `http=127.0.0.1:5672` cannot be served by this version, which has: amqp, mqtt, stomp, ws"
        );
    }
}
