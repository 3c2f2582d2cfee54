//! The types of settings that are one word out of a few.

/// Declares an enum of words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant, )+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [$name] = &[$( $name::$variant, )+];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )+ }
            }
        }

        impl $crate::value::Setting for $name {
            fn parse(text: &str) -> Result<Self, String> {
                $name::ALL.iter().copied().find(|v| v.word() == text).ok_or_else(|| {
                    let all: Vec<_> = $name::ALL.iter().map(|v| v.word()).collect();
                    format!("`{text}` is none of {}", all.join(", "))
                })
            }

            fn show(&self) -> String {
                $crate::value::quoted(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What has happened to a message when it is confirmed.
    Durability {
        /// It is on the disk.
        Fsync = "fsync",
        /// The operating system has it.
        Os = "os",
        /// Nothing: it is in memory.
        Memory = "memory",
    }
}

words! {
    /// How much is logged.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what looks wrong.
        Warn = "warn",
        /// And what happens.
        Info = "info",
        /// And why.
        Debug = "debug",
        /// And each step.
        Trace = "trace",
    }
}

words! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Text = "text",
        /// One object a line.
        Json = "json",
    }
}

words! {
    /// Whose rules make a routing key of an MQTT topic.
    Dialect {
        /// RabbitMQ's.
        Rabbitmq = "rabbitmq",
        /// The same, but the dot in Sparkplug's prefix comes back.
        Sparkplug = "sparkplug",
        /// ActiveMQ's.
        Activemq = "activemq",
    }
}

/// The dialect of one virtual host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd)]
pub struct VhostDialect {
    /// Which.
    pub vhost: String,
    /// Its dialect.
    pub dialect: Dialect,
}

impl crate::value::Setting for VhostDialect {
    fn parse(text: &str) -> Result<Self, String> {
        // A virtual host's name may hold an equals sign, a dialect's does not.
        let Some((vhost, dialect)) = text.rsplit_once('=') else {
            return Err(format!("`{text}` is not VHOST=DIALECT, such as /=activemq"));
        };
        Ok(VhostDialect { vhost: vhost.into(), dialect: Dialect::parse(dialect.trim())? })
    }

    fn show(&self) -> String {
        crate::value::quoted(&format!("{}={}", self.vhost, self.dialect.word()))
    }
}

/// Where pages come from: `https://example.org`, with one `*` for a part of it, `null` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd)]
pub struct Origin(pub String);

impl crate::value::Setting for Origin {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_end_matches('/');
        let host = text.split_once("://").map(|(_, host)| host);
        let whole = host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
        if !(whole || matches!(text, "*" | "null")) || text.matches('*').count() > 1 {
            return Err(format!(
                "`{text}` is no origin such as https://example.org or https://*.example.org, nor *"
            ));
        }
        Ok(Origin(text.into()))
    }

    fn show(&self) -> String {
        crate::value::quoted(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Setting;

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        for text in ["*", "null", "https://a.example", "http://localhost:*", "https://*.example"] {
            assert_eq!(Origin::parse(text).unwrap().0, text);
        }
        assert_eq!(Origin::parse("https://a.example/").unwrap().0, "https://a.example");
        for text in ["example.org", "https://", "https://a.example/app", "https://*.*", "a/b"] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_virtual_host_may_have_a_dialect_of_its_own() {
        let read = Vec::<VhostDialect>::parse("/=activemq, a=b=sparkplug").unwrap();
        let of = |vhost: &str, dialect| VhostDialect { vhost: vhost.into(), dialect };
        assert_eq!(read, [of("/", Dialect::Activemq), of("a=b", Dialect::Sparkplug)]);
        assert_eq!(read.show(), r#"["/=activemq", "a=b=sparkplug"]"#);
        for text in ["activemq", "/=artemis", "/="] {
            assert!(VhostDialect::parse(text).is_err(), "{text}");
        }
    }
}
