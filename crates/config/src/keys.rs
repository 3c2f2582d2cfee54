//! The table of settings: each key stands here once, with its type, default,
//! limit, flag and help; the structs, the environment's names, the flags and the
//! file's grammar all come from it.

use crate::listener::Listener;
use crate::value::{Given, MemoryMax, Secret, Setting, Size, Span};
use crate::words::{Dialect, Durability, LogFormat, LogLevel, Origin, VhostDialect};
use std::path::PathBuf;

/// One setting, as data.
pub struct Key {
    /// Its place in the file: `section.name`, or `name` at the top.
    pub path: &'static str,
    /// What it is for, in one sentence.
    pub help: &'static str,
    /// Its value where nothing else is said, as text.
    pub default: &'static str,
    /// The least and the most allowed, as text.
    pub limit: Option<(&'static str, &'static str)>,
    /// Takes more than one value.
    pub list: bool,
    /// Never shown.
    pub secret: bool,
    flag: Option<&'static str>,
    pub(crate) set: fn(&mut Config, &Given) -> Result<(), String>,
    pub(crate) show: fn(&Config) -> String,
}

impl Key {
    /// The environment variable that sets it.
    pub fn env(&self) -> String {
        format!("LOCKGATE_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// The command line flag that sets it, without its dashes. Secrets have none,
    /// since a command line can be read by every user of the machine.
    pub fn flag(&self) -> Option<String> {
        if self.secret {
            return None;
        }
        Some(self.flag.map_or_else(|| self.path.replace(['.', '_'], "-"), str::to_string))
    }

    /// The section of the file that it stands in; empty at the top.
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }
}

/// Reads a value and holds it against its limit.
fn read<T: Setting + PartialOrd>(
    given: &Given,
    limit: Option<(&'static str, &'static str)>,
) -> Result<T, String> {
    let value = T::read(given)?;
    if let Some((least, most)) = limit
        && !(T::parse(least)? <= value && value <= T::parse(most)?)
    {
        return Err(format!("{} is not within {least} and {most}", value.show()));
    }
    Ok(value)
}

macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

macro_rules! settings {
    (
        top { $(
            $(#[doc = $help:literal])+
            $key:ident: $type:ty = $default:literal
                $(, flag $flag:literal)? $(, limit $least:literal $most:literal)?;
        )* }
        $( $(#[doc = $about:literal])+ section $section:ident $Section:ident { $(
            $(#[doc = $shelp:literal])+
            $skey:ident: $stype:ty = $sdefault:literal
                $(, flag $sflag:literal)? $(, limit $sleast:literal $smost:literal)?;
        )* } )*
    ) => {
        /// Every setting, with its effective value.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $( $(#[doc = $help])+ pub $key: $type, )*
            $( $(#[doc = $about])+ pub $section: $Section, )*
        }
        $(
            $(#[doc = $about])+
            #[derive(Clone, Debug, PartialEq)]
            pub struct $Section { $( $(#[doc = $shelp])+ pub $skey: $stype, )* }
        )*

        impl Default for Config {
            fn default() -> Config {
                // invariant: the test below reads every default.
                Config {
                    $( $key: <$type>::parse($default).expect("a default"), )*
                    $( $section: $Section {
                        $( $skey: <$stype>::parse($sdefault).expect("a default"), )*
                    }, )*
                }
            }
        }

        /// Every key there is, in the order in which they are shown.
        pub static KEYS: &[Key] = &[
            $( Key {
                path: stringify!($key),
                help: concat!($($help),+),
                default: $default,
                limit: optional!($(($least, $most))?),
                list: <$type as Setting>::LIST,
                secret: <$type as Setting>::SECRET,
                flag: optional!($($flag)?),
                set: |config, given| {
                    config.$key = read::<$type>(given, optional!($(($least, $most))?))?;
                    Ok(())
                },
                show: |config| config.$key.show(),
            }, )*
            $($( Key {
                path: concat!(stringify!($section), ".", stringify!($skey)),
                help: concat!($($shelp),+),
                default: $sdefault,
                limit: optional!($(($sleast, $smost))?),
                list: <$stype as Setting>::LIST,
                secret: <$stype as Setting>::SECRET,
                flag: optional!($($sflag)?),
                set: |config, given| {
                    config.$section.$skey =
                        read::<$stype>(given, optional!($(($sleast, $smost))?))?;
                    Ok(())
                },
                show: |config| config.$section.$skey.show(),
            }, )*)*
        ];
    };
}

settings! {
    top {
        /// Where everything that must last is kept.
        data_dir: PathBuf = "./lockgate-data";
        /// What to listen on, each KIND=ADDRESS:PORT; naming any replaces the default.
        listeners: Vec<Listener> = "amqp=127.0.0.1:5672, mqtt=127.0.0.1:1883, stomp=127.0.0.1:61613, ws=127.0.0.1:15675", flag "listen";
        /// The virtual hosts that are made at a start if they are not there.
        vhosts: Vec<String> = "/";
        /// A definitions.json of RabbitMQ's that is taken in at every start.
        load_definitions: Option<PathBuf> = "";
    }

    /// Who may come in.
    section auth Auth {
        /// The first user, made where nobody is known yet.
        default_user: String = "guest";
        /// That user's password.
        default_pass: Secret = "guest";
        /// Users who may log in from this machine only.
        loopback_users: Vec<String> = "guest";
    }

    /// What may be held in memory.
    section memory Memory {
        /// When bodies leave memory and publishers wait: bytes, or a share of the machine's or container's memory.
        max: MemoryMax = "60%", limit "1%" "100%";
        /// How much of one queue's backlog stays in memory.
        queue_resident: Size = "8 MiB", limit "64 KiB" "1 TiB";
    }

    /// What holds for all queues.
    section queues Queues {
        /// The header by which messages name their group: one group goes to one consumer, in order; empty for none.
        group_header: String = "JMSXGroupID";
    }

    /// The log on disk.
    section storage Storage {
        /// What confirmed means: fsync (on the disk), os (in the system's hands), memory.
        durability: Durability = "fsync";
        /// How soon the system is told to write out what it holds, with durability os.
        os_flush: Span = "100 ms", limit "1 ms" "60 s";
        /// Size of one file of the log.
        segment: Size = "64 MiB", limit "1 MiB" "1 GiB";
        /// Publishers wait when less than this is free on the disk; at least three segments.
        reserve: Size = "1 GiB", limit "3 MiB" "1 TiB";
    }

    /// What is logged.
    section logging Logging {
        /// error, warn, info, debug or trace.
        level: LogLevel = "info", flag "log-level";
        /// text or json.
        format: LogFormat = "text", flag "log-format";
    }

    /// AMQP 0-9-1.
    section amqp Amqp {
        /// The product's name as clients are told it; some choose their behaviour by it.
        product: String = "RabbitMQ";
        /// The product's version as clients are told it.
        version: String = "3.13.7";
        /// The cluster's name as clients are told it.
        cluster_name: String = "lockgate";
        /// Largest frame in bytes.
        frame_max: u32 = "131072", limit "4096" "16777216";
        /// Most channels of one connection.
        channel_max: u16 = "2047", limit "1" "65535";
        /// How often each side shows that it lives; 0 s turns it off.
        heartbeat: Span = "60 s", limit "0 s" "65535 s";
        /// Largest message body.
        body_max: Size = "128 MiB", limit "1" "128 MiB";
        /// Most that one transaction may hold before it is committed.
        transaction_max: Size = "256 MiB", limit "1 KiB" "1 GiB";
    }

    /// MQTT 3.1, 3.1.1 and 5.
    section mqtt Mqtt {
        /// The virtual host of clients whose user name names none.
        vhost: String = "/";
        /// What stands before the last colon of a user name is a virtual host.
        vhost_in_user: bool = "true";
        /// The topic exchange that topics are published to, and heard from.
        exchange: String = "amq.topic";
        /// Clients that bring no user name come in as the anonymous user.
        allow_anonymous: bool = "true";
        /// Who they then are.
        anonymous_user: String = "guest";
        /// That user's password: where it is another one, nobody comes in without a name.
        anonymous_pass: Secret = "guest";
        /// How topics become routing keys: rabbitmq, sparkplug (the same, keeping the dot of spBv1.0) or activemq.
        dialect: Dialect = "rabbitmq";
        /// Virtual hosts with a dialect of their own, each VHOST=DIALECT.
        dialects: Vec<VhostDialect> = "";
        /// How long the session of a 3.x client outlives its connection, if that was not clean.
        session_expiry: Span = "86400 s", limit "0 s" "4294967295 s";
        /// The longest that any session does, whatever a client asks for; 4294967295 s is for ever.
        session_expiry_max: Span = "2592000 s", limit "0 s" "4294967295 s";
        /// Most messages that wait in one session to be acknowledged; beyond, the oldest are dropped.
        session_messages_max: u32 = "100000", limit "1" "4294967295";
        /// Most bytes of payload that wait in one session to be acknowledged; beyond, the oldest are dropped.
        session_bytes_max: Size = "256 MiB", limit "1 KiB" "1 TiB";
        /// Most messages that wait in all sessions together; beyond, what comes to one drops its oldest.
        sessions_messages_max: u32 = "10000000", limit "1" "4294967295";
        /// Most bytes of payload that wait in all sessions together; beyond, what comes to one drops its oldest.
        sessions_bytes_max: Size = "16 GiB", limit "1 MiB" "1024 TiB";
        /// Most topics that retain a message, in each exchange; beyond, other topics retain none.
        retained_max: u32 = "1000000", limit "0" "4294967295";
        /// Most bytes of retained messages, in each exchange; beyond, other topics retain none.
        retained_bytes_max: Size = "1 GiB", limit "0" "1024 TiB";
        /// How often clients are told how the broker stands, on topics that begin with $SYS; 0 s for never.
        sys_interval: Span = "10 s", limit "0 s" "65535 s";
        /// Most bytes of QoS 0 payload that wait for one slow client; beyond, the oldest are dropped.
        passing_bytes_max: Size = "16 MiB", limit "1 KiB" "1 TiB";
        /// Most messages of QoS 1 and 2 that are on their way to one client, unacknowledged.
        in_flight_max: u16 = "512", limit "1" "32767";
        /// Most messages of QoS 1 and 2 that a version 5 client may have on their way to here.
        // Half of what can be said: a stock Java client takes it for a signed number.
        receive_maximum: u16 = "32767", limit "1" "65535";
        /// Who sends more than that is disconnected (0x93), not served all the same.
        strict_receive_maximum: bool = "true";
        /// Largest packet.
        packet_max: Size = "16 MiB", limit "64 KiB" "128 MiB";
        /// Most topics that a client may give numbers (aliases).
        topic_alias_max: u16 = "16", limit "0" "65535";
        /// Most topics that a client is sent numbers for, if it takes as many.
        topic_alias_out_max: u16 = "16", limit "0" "65535";
        /// Most levels of a topic or a filter.
        topic_levels_max: u16 = "128", limit "1" "65535";
        /// Most filters that one client is subscribed to.
        subscriptions_max: u32 = "10000", limit "1" "1000000";
        /// Most user properties of one message.
        user_properties_max: u16 = "64", limit "0" "65535";
        /// The longest keep alive of version 5 clients, who are told it; 0 s for as they wish, or none.
        keep_alive_max: Span = "0 s", limit "0 s" "65535 s";
        /// What begins the topic that a version 5 client is told to have answers sent to, if it asks; empty for none.
        response_prefix: Option<String> = "response";
        /// Another server that version 5 clients are told of when this one stops; empty for none.
        server_reference: Option<String> = "";
        /// They are to stay there: moved (0x9D), not use another server (0x9C).
        server_moved: bool = "false";
    }

    /// STOMP 1.0, 1.1 and 1.2.
    section stomp Stomp {
        /// Whose destinations and headers clients use: rabbitmq, or activemq, by which host names no virtual host.
        dialect: Dialect = "rabbitmq";
        /// Virtual hosts with a dialect of their own, each VHOST=DIALECT.
        dialects: Vec<VhostDialect> = "";
        /// The virtual host of clients that name none.
        vhost: String = "/";
        /// Who clients are that bring no login; empty to refuse them.
        default_user: Option<String> = "guest";
        /// That user's password, and that of logins without a passcode.
        default_pass: Secret = "guest";
        /// A first frame that is not CONNECT comes in as the default user.
        implicit_connect: bool = "false";
        /// The exchange that /topic stands for.
        topic_exchange: String = "amq.topic";
        /// NACK without a requeue header puts the message back; else it is discarded, or dead-lettered.
        nack_requeue: bool = "true";
        /// CONNECTED does not say what this is.
        hide_server_info: bool = "false";
        /// A line end follows the NUL of each frame.
        trailing_lf: bool = "true";
        /// Most bytes of the headers of one frame.
        header_max: Size = "64 KiB", limit "1 KiB" "128 KiB";
        /// Most headers of one frame.
        headers_max: u32 = "100", limit "16" "16384";
        /// Largest message body.
        body_max: Size = "128 MiB", limit "1" "128 MiB";
        /// Most subscriptions of one connection.
        subscriptions_max: u32 = "65535", limit "1" "1000000";
        /// Most transactions that are open on one connection.
        transactions_max: u32 = "16", limit "1" "65535";
        /// Most frames of one transaction.
        transaction_actions_max: u32 = "1024", limit "1" "1000000";
        /// Most that one transaction may hold before it is committed.
        transaction_max: Size = "256 MiB", limit "1 KiB" "1 GiB";
    }

    /// WebSocket, around every protocol.
    section websocket Websocket {
        /// Origins of pages that may connect, https://*.example.org or * for all; where none is named all may, but a browser on this machine must show a page of this machine.
        origins: Vec<Origin> = "";
        /// Largest message from a client, of all its fragments.
        message_max: Size = "256 MiB", limit "64 KiB" "1 GiB";
    }

    /// What peers may cost.
    section limits Limits {
        /// Most connections at a time.
        connections_max: u32 = "100000", limit "1" "10000000";
        /// How long a peer may take to log in.
        handshake: Span = "10 s", limit "100 ms" "600 s";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_and_keeps_its_own_limit() {
        let mut config = Config::default();
        for key in KEYS {
            (key.set)(&mut config, &Given::Text(key.default.to_string()))
                .unwrap_or_else(|e| panic!("{}: {e}", key.path));
        }
        assert_eq!(config, Config::default());
    }

    #[test]
    fn no_two_keys_share_a_flag_or_a_variable() {
        let mut seen = std::collections::BTreeSet::new();
        for key in KEYS {
            assert!(seen.insert(key.env()), "{}", key.path);
            assert!(key.flag().is_none_or(|flag| seen.insert(flag)), "{}", key.path);
        }
    }

    #[test]
    fn help_is_one_sentence_of_one_line() {
        for key in KEYS {
            assert!(key.help.trim().ends_with('.') && !key.help.contains('\n'), "{}", key.path);
        }
    }

    #[test]
    fn a_secret_has_no_flag_and_debug_does_not_show_it() {
        let key = KEYS.iter().find(|k| k.path == "auth.default_pass").unwrap();
        assert_eq!((key.secret, key.flag()), (true, None));
        let mut config = Config::default();
        (key.set)(&mut config, &Given::Text("hunter2".into())).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
